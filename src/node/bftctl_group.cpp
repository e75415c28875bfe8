// bftctl group: the groups of replicas, and how they come and go while the cluster runs
// (docs/adr/0026).
#include "client/hosts.hpp"
#include "node/new_group.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <cstdio>

namespace bft::node {
namespace {

namespace json = boost::json;
using consensus::Endpoint;

struct Options : HostsOptions {
    std::vector<std::string> hosts;
    std::vector<std::string> joins;
    std::uint32_t id = 0;

    Options() { timeout_s = 60; }
};

constexpr Duration caught_up_patience = 5s;

Error refused(std::string why) {
    return error(Errc::refused, std::move(why));
}

std::vector<PartitionId> owned(const consensus::Configuration& now, GroupId group) {
    std::vector<PartitionId> partitions;
    for (const auto& [partition, owner] : now.owners)
        if (owner == group) partitions.push_back(partition);
    return partitions;
}

// --- list

int list_groups(const Options& options) {
    auto cluster = look(options);
    if (!cluster) return say_failed(cluster.error());
    client::Hosts hosts(cluster->config);
    (void)hosts.follow(cluster->now);
    json::array all;
    if (!options.json())
        std::printf("configuration %llu\n%-8s %-32s %s\n",
                    static_cast<unsigned long long>(cluster->now.version.value), "GROUP", "HOSTS",
                    "PARTITIONS");
    for (const consensus::Group& group : cluster->now.groups) {
        if (group.removed()) continue;
        std::string text, names;
        json::array partitions, members;
        for (PartitionId p : owned(cluster->now, group.id)) {
            text += (text.empty() ? "" : " ") + std::to_string(p.value);
            partitions.emplace_back(p.value);
        }
        for (std::uint32_t p = 0; p < group.members.size(); ++p) {
            if (!group.active(Position(p))) continue;
            const std::string host = hosts.name_of(group.members[p].host);
            names += (names.empty() ? "" : " ") + host;
            members.emplace_back(host);
        }
        if (!options.json())
            std::printf("%-8u %-32s %s\n", group.id.value, names.c_str(),
                        text.empty() ? "- (spare)" : text.c_str());
        all.emplace_back(json::object{{"id", group.id.value},
                                      {"hosts", std::move(members)},
                                      {"partitions", std::move(partitions)},
                                      {"added", group.added.value}});
    }
    if (options.json())
        std::printf("%s\n", json::serialize(json::object{{"version", cluster->now.version.value},
                                                         {"groups", std::move(all)}})
                                .c_str());
    return exit_done;
}

// --- add

Result<std::vector<JoinFile>> load_joins(const Options& options) {
    std::vector<JoinFile> joins;
    for (const std::string& file : options.joins) {
        auto join = load_join_file(file);
        if (!join) return join.error();
        joins.push_back(std::move(*join));
    }
    return joins;
}

// Those that are named; else whoever runs.
Result<std::vector<Candidate>> members_of(const Options& options, const RunningCluster& cluster,
                                          const std::vector<Candidate>& able) {
    std::string away;
    if (options.hosts.empty())
        return choose(cluster, running(cluster, able, caught_up_patience, away));
    std::vector<Candidate> chosen;
    for (const std::string& name : options.hosts) {
        auto found = std::find_if(able.begin(), able.end(),
                                  [&](const Candidate& each) { return each.name == name; });
        if (found == able.end())
            return refused(name + " has no counter to spare, as far as " + options.cluster +
                           " and the join files say");
        chosen.push_back(*found);
    }
    if (running(cluster, chosen, caught_up_patience, away).size() < chosen.size())
        return refused(away);
    return chosen;
}

int add(const Options& options) {
    auto joins = load_joins(options);
    if (!joins) {
        std::fprintf(stderr, "bftctl: %s\n", joins.error().what.c_str());
        return exit_usage;
    }
    auto cluster = look_at(options);
    if (!cluster) return say_failed(cluster.error());
    auto members = members_of(options, *cluster, candidates(*cluster, *joins));
    if (!members) return say_failed(members.error());
    const auto id = options.id == 0 ? std::nullopt : std::optional(GroupId(options.id));
    auto change = new_group(*cluster, *members, id);
    if (!change) return say_failed(change.error());
    const GroupId group = change->groups_added.front().group;
    const std::string who = "group " + std::to_string(group.value);
    std::vector<std::string> lines;
    json::array seats;
    std::vector<Endpoint> engines;
    for (std::size_t p = 0; p < members->size(); ++p) {
        const Candidate& member = (*members)[p];
        lines.push_back(who + ": position " + std::to_string(p) + " on " + member.name +
                        (member.id ? "" : ", which is new: see to it that it runs"));
        seats.emplace_back(json::object{{"position", p}, {"host", member.name}});
        engines.push_back(Endpoint::replica(group, Position(static_cast<std::uint32_t>(p))));
    }
    return bring(options, *cluster, *change, lines,
                 {{"group", group.value}, {"seats", std::move(seats)}},
                 {{}, [&](json::object& document) {
                      return wait_for(options, *cluster, engines, who, document);
                  }});
}

// --- remove

int remove(const Options& options) {
    auto cluster = look(options);
    if (!cluster) return say_failed(cluster.error());
    consensus::ConfigChange change;
    change.groups_removed.emplace_back(options.id);
    change.held = consensus::held_by(cluster->now, change);
    return bring(options, *cluster, std::move(change),
                 {"group " + std::to_string(options.id) + " goes, for good"},
                 {{"group", options.id}});
}

}  // namespace

Command add_group(CLI::App& app) {
    CLI::App* command =
        app.add_subcommand("group", "The groups of replicas; they come and go with the load");
    command->require_subcommand(1);
    command->footer(
        "Exit status: 0 done; 1 it did not work; 2 wrong command line or file; 4 no f+1 replicas "
        "said\n"
        "in time what is in force.\n"
        "Example:\n"
        "  bftctl group list --client cluster/clients/admin");
    auto options = std::make_shared<Options>();
    CLI::App* list =
        command->add_subcommand("list", "Each group, its hosts, and the partitions that it owns");
    add_looking(*list, *options);
    CLI::App* adds = command->add_subcommand(
        "add", "One more group, which owns nothing yet, while the cluster runs");
    add_changing(*adds, *options);
    add_cluster(*adds, *options);
    adds->add_option("HOST", options->hosts,
                     "its 2f+1 hosts, by position; default: those with fewest seats");
    adds->add_option("--join", options->joins,
                     "NAME.join of `bftctl member prepare`, of hosts that are not in the cluster "
                     "file; as often as there are");
    adds->add_option("--id", options->id, "of the group; default: the next one");
    adds->footer(
        "Each host needs a counter to spare: `spare_counters` of the topology, or `bftctl member "
        "prepare\n--counters` for a new one. Its daemon takes the seat on while it runs. Ends when "
        "all members have\ncaught up; `bftctl partition move` gives the group work then. Exit "
        "status: 0 they have; 1 refused,\nnothing changed; 2 wrong command line or file; 4 not "
        "known in time.\n"
        "Example:\n"
        "  bftctl group add --client cluster/clients/admin --cluster "
        "cluster/hosts/host1/cluster.toml \\\n"
        "    --key cluster/admins/admin.key");
    CLI::App* removes =
        command->add_subcommand("remove", "Takes a group away that owns nothing, dead or alive");
    add_changing(*removes, *options);
    removes->add_option("ID", options->id, "of the group")->required();
    removes->footer(
        "Its number and its counters are never used again. Its replicas answer for what they did "
        "before, and\nare given up after 16384 slots. Exit status: 0 in force; 1 refused, nothing "
        "changed; 2 wrong command\nline or file; 4 not known in time.\n"
        "Example:\n"
        "  bftctl group remove 3 --client cluster/clients/admin --key cluster/admins/admin.key");
    return [options, list, adds] {
        if (list->parsed()) return list_groups(*options);
        return adds->parsed() ? add(*options) : remove(*options);
    };
}

}  // namespace bft::node

// bftctl member: who takes part, and how a host that is lost makes room for another.
#include "node/bftctl_member.hpp"

#include "node/bftctl_hosts.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <cstdio>

namespace bft::node {
namespace {

namespace json = boost::json;
using consensus::Endpoint;

struct Options : HostsOptions {
    std::string old;
    std::string by;

    Options() { timeout_s = 60; }
};

constexpr Duration caught_up_patience = 5s;

// --- list

json::object describe(const RunningCluster& cluster, HostId id, const consensus::JoinedHost& host) {
    json::array seats;
    for (const Endpoint& seat : seats_of(cluster.now, id))
        seats.emplace_back(json::object{{"group", seat.group.value}, {"position", seat.index}});
    const auto voter = voter_of(cluster.now, id);
    const auto primary = primary_of(cluster.now, id);
    const bool part = !seats.empty() || voter || primary;
    json::object document{{"name", host.name},
                          {"id", id.value},
                          {"address", host.address},
                          {"primary", primary.has_value()},
                          {"seats", std::move(seats)},
                          {"joined", cluster.now.hosts.contains(id)},
                          {"member", part}};
    if (voter) document["database"] = voter->value;
    return document;
}

std::string roles_text(const RunningCluster& cluster, HostId id) {
    std::string text;
    const auto add = [&text](const std::string& what) {
        text += (text.empty() ? "" : ", ") + what;
    };
    if (primary_of(cluster.now, id)) add("can order");
    for (const Endpoint& seat : seats_of(cluster.now, id))
        add("group " + std::to_string(seat.group.value) + " position " +
            std::to_string(seat.index));
    if (auto voter = voter_of(cluster.now, id)) add("database " + std::to_string(voter->value));
    return text.empty() ? "- (was replaced)" : text;
}

int list(const Options& options) {
    auto cluster = look_at(options);
    if (!cluster) return say_failed(cluster.error());
    json::array all;
    if (!options.json())
        std::printf("configuration %llu\n%-16s %-24s %s\n",
                    static_cast<unsigned long long>(cluster->now.version.value), "HOST", "ADDRESS",
                    "ROLES");
    for (const auto& [id, host] : cluster->hosts()) {
        all.emplace_back(describe(*cluster, id, host));
        if (!options.json())
            std::printf("%-16s %-24s %s\n", host.name.c_str(), host.address.c_str(),
                        roles_text(*cluster, id).c_str());
    }
    if (options.json())
        std::printf("%s\n", json::serialize(json::object{{"version", cluster->now.version.value},
                                                         {"members", std::move(all)}})
                                .c_str());
    return exit_done;
}

// --- replace

Error refused(std::string why) {
    return error(Errc::refused, std::move(why));
}

Result<consensus::ConfigChange> change_of(const RunningCluster& cluster, HostId old,
                                          const JoinFile& join) {
    if (auto good = check_newcomer(cluster, join); !good) return good.error();
    const std::string name = cluster.name_of(old);
    const std::vector<Endpoint> seats = seats_of(cluster.now, old);
    const auto voter = voter_of(cluster.now, old);
    const auto primary = primary_of(cluster.now, old);
    if (seats.empty() && !voter && !primary)
        return refused(name + " takes no part: it was replaced already");
    if (join.counters.size() < seats.size())
        return refused(name + " has " + std::to_string(seats.size()) + " seats, and " + join.name +
                       " has " + std::to_string(join.counters.size()) +
                       " counter(s): prepare it for this host");
    if (primary && !join.ordering)
        return refused(name + " can order requests, and " + join.name +
                       " was prepared without a counter for that: prepare it for this host");
    if (voter && !join.database)
        return refused(name + " has a database, and " + join.name + " was prepared without one");
    consensus::ConfigChange change;
    const HostId host = cluster.next_host();
    change.hosts.push_back({host, {join.name, join.address, join.key}});
    for (std::size_t s = 0; s < seats.size(); ++s)
        change.replacements.push_back({seats[s].group,
                                       Position(seats[s].index),
                                       {host, join.counters[s].id},
                                       key_of(join.counters[s].usig)});
    if (primary)
        change.primaries.push_back(
            {*primary, {host, join.ordering->id}, key_of(join.ordering->usig)});
    if (voter) change.voters.push_back({*voter, host});
    change.held = consensus::held_by(cluster.now, change);
    return change;
}

// CF1, as far as the order cannot see to it: until it has caught up the new member counts as
// faulty, and no more than f of a group may be.
Result<void> check_others(const RunningCluster& cluster, const consensus::ConfigChange& change) {
    std::vector<Endpoint> others;
    for (const consensus::ReplaceReplica& each : change.replacements) {
        const consensus::Group& group = *cluster.now.group(each.group);
        for (std::uint32_t p = 0; p < group.members.size(); ++p)
            if (group.active(Position(p)) && Position(p) != each.position)
                others.push_back(Endpoint::replica(group.id, Position(p)));
    }
    const std::set<Endpoint> good = cluster.admin->caught_up(others, caught_up_patience);
    for (const consensus::ReplaceReplica& each : change.replacements) {
        std::string missing;
        std::uint32_t faulty = 1;
        for (const Endpoint& other : others) {
            if (other.group != each.group || good.contains(other)) continue;
            ++faulty;
            missing += (missing.empty() ? "" : ", ") +
                       cluster.name_of(cluster.now.group(other.group)->members[other.index].host);
        }
        if (faulty > cluster.now.f)
            return refused(missing + " of group " + std::to_string(each.group.value) +
                           " is away, or has not caught up yet; with a new member that has nothing "
                           "yet, more than f = " +
                           std::to_string(cluster.now.f) + " would be missing: try again when " +
                           (missing.find(',') == std::string::npos ? "it has" : "they have"));
    }
    return {};
}

// In nobody's place: one more database.
Result<consensus::ConfigChange> change_of(const RunningCluster& cluster, const JoinFile& join) {
    if (auto good = check_newcomer(cluster, join); !good) return good.error();
    if (!join.database) return refused(join.name + " was prepared without a database");
    consensus::ConfigChange change;
    const HostId host = cluster.next_host();
    change.hosts.push_back({host, {join.name, join.address, join.key}});
    change.voters.push_back({VoterId(static_cast<std::uint32_t>(cluster.now.voters.size())), host});
    change.held = consensus::held_by(cluster.now, change);
    return change;
}

json::object to_json(const Options& options, const consensus::ConfigChange& change) {
    json::array seats;
    for (const consensus::ReplaceReplica& each : change.replacements)
        seats.emplace_back(json::object{{"group", each.group.value},
                                        {"position", each.position.value},
                                        {"counter", each.by.usig.value}});
    json::object document{{"by", change.hosts.front().joined.name},
                          {"address", change.hosts.front().joined.address},
                          {"seats", std::move(seats)}};
    if (!options.old.empty()) document["replaces"] = options.old;
    if (!change.primaries.empty()) document["primary"] = change.primaries.front().primary.value;
    if (!change.voters.empty()) document["database"] = change.voters.front().voter.value;
    return document;
}

std::vector<std::string> lines_of(const Options& options, const consensus::ConfigChange& change) {
    const std::string& by = change.hosts.front().joined.name;
    std::vector<std::string> lines;
    for (const consensus::ReplacePrimary& each : change.primaries)
        lines.push_back("orders requests: " + by + " in its turn, instead of " + options.old +
                        " (primary " + std::to_string(each.primary.value) + ")");
    for (const consensus::ReplaceReplica& each : change.replacements)
        lines.push_back("group " + std::to_string(each.group.value) + ": the seat of " +
                        options.old + " at position " + std::to_string(each.position.value) +
                        " goes to " + by);
    for (const consensus::ReplaceVoter& each : change.voters)
        lines.push_back("database " + std::to_string(each.voter.value) + ": that of " + by +
                        ", which begins empty");
    return lines;
}

// The new host's engines say so themselves, its database only when it has executed the change.
std::vector<Endpoint> engines_of(const consensus::Configuration& now, HostId host) {
    std::vector<Endpoint> engines = seats_of(now, host);
    if (auto primary = primary_of(now, host)) engines.push_back(Endpoint::primary(*primary));
    if (auto voter = voter_of(now, host)) engines.push_back(Endpoint::voter(*voter));
    return engines;
}

// With OLD, in its place; else as one more.
int let_join(const Options& options) {
    auto join = load_join_file(options.by);
    if (!join) {
        std::fprintf(stderr, "bftctl: %s\n", join.error().what.c_str());
        return exit_usage;
    }
    auto cluster = look_at(options);
    if (!cluster) return say_failed(cluster.error());
    const auto old = cluster->host(options.old);
    if (!old && !options.old.empty())
        return say_failed(refused("there is no host '" + options.old + "'"));
    auto change = old ? change_of(*cluster, *old, *join) : change_of(*cluster, *join);
    if (!change) return say_failed(change.error());
    return bring(options, *cluster, *change, lines_of(options, *change), to_json(options, *change),
                 {[&] { return check_others(*cluster, *change); },
                  [&](json::object& document) -> Result<void> {
                      auto now = cluster->admin->current(options.patience());
                      if (!now) return now.error();
                      return wait_for(options, *cluster,
                                      engines_of(*now, change->hosts.front().host), join->name,
                                      document);
                  }});
}

}  // namespace

Command add_member(CLI::App& app) {
    CLI::App* command =
        app.add_subcommand("member", "The hosts that take part; replaces one that is lost");
    command->require_subcommand(1);
    auto options = std::make_shared<Options>();
    CLI::App* lists = command->add_subcommand("list", "Each host and what it does");
    add_looking(*lists, *options);
    add_cluster(*lists, *options);
    lists->footer(
        "Exit status: 0 done; 1 it did not work; 2 wrong command line; 4 no f+1 replicas said in "
        "time what\nis in force.\nExample:\n"
        "  bftctl member list --client cluster/clients/admin --cluster "
        "cluster/hosts/host1/cluster.toml");
    auto prepare = add_member_prepare(*command);
    CLI::App* replaces =
        command->add_subcommand("replace",
                                "Gives what a host does to a new one, while the cluster runs: "
                                "seats, database, its turn to order");
    add_changing(*replaces, *options);
    add_cluster(*replaces, *options);
    replaces->add_option("OLD", options->old, "the host that is lost, or shall go")->required();
    replaces->add_option("--by", options->by, "NAME.join of `bftctl member prepare`")->required();
    replaces->footer(
        "No request fails and nothing pauses. OLD takes no part from then on, for good, also when "
        "it comes\nback; if it is the one that orders requests now, it does until it stops or is "
        "suspected. Ends when\nthe new host has caught up, its database included. Exit status: "
        "0 it has; 1 refused,\nnothing changed; 2 wrong command line or file; 4 not known in "
        "time.\n"
        "Example:\n"
        "  bftctl member replace host1 --by host4.join --client cluster/clients/admin \\\n"
        "    --cluster cluster/hosts/host2/cluster.toml --key cluster/admins/admin.key");
    CLI::App* adds =
        command->add_subcommand("add", "One more database, beyond 2f_D+1, while the cluster runs");
    add_changing(*adds, *options);
    add_cluster(*adds, *options);
    adds->add_option("JOIN", options->by, "NAME.join of `bftctl member prepare`")->required();
    adds->footer(
        "f_D+1 equal answers are what counts, as before; one more may be away for each one that "
        "comes. It is\nloaded from the others. Ends when it has executed the change. Exit status: "
        "0 it has; 1 refused,\nnothing changed; 2 wrong command line or file; 4 not known in "
        "time.\n"
        "Example:\n"
        "  bftctl member add host4.join --client cluster/clients/admin \\\n"
        "    --cluster cluster/hosts/host2/cluster.toml --key cluster/admins/admin.key");
    command->footer(
        "A dead host is replaced in two commands: `bftctl member prepare` on the new one, and "
        "`bftctl member\nreplace` by an admin. Exit status: 0 done; others: each command's --help "
        "has them.\n"
        "Example:\n  bftctl member list --client cluster/clients/admin --cluster cluster.toml");
    return [options, prepare, command, lists] {
        if (lists->parsed()) return list(*options);
        return command->got_subcommand("prepare") ? prepare() : let_join(*options);
    };
}

}  // namespace bft::node

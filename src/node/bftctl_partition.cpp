// bftctl partition, bftctl group: which group answers for which partition, and how that changes.
#include "base/log.hpp"
#include "client/admin.hpp"
#include "client/hosts.hpp"
#include "node/bftctl.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace bft::node {
namespace {

namespace json = boost::json;

struct Options {
    std::string client;
    std::vector<std::string> keys;
    std::vector<std::uint32_t> partitions;
    std::uint32_t to = 0;
    double timeout_s = 30;
    bool dry_run = false;
    bool json = false;
};

Duration patience(const Options& options) {
    return std::chrono::milliseconds(static_cast<std::int64_t>(options.timeout_s * 1000));
}

int failed(const Error& why) {
    std::fprintf(stderr, "bftctl: %s\n", why.what.c_str());
    return why.code == Errc::unavailable ? exit_unknown : exit_failed;
}

/// A client's folder and what the cluster has in force.
struct Cluster {
    client::Config config;
    std::unique_ptr<client::Admin> admin;
    consensus::Configuration now;
};

Result<Cluster> look(const Options& options) {
    log::start("bftctl", "warn");  // standard output is for the answer
    auto config = client::load_config(options.client);
    if (!config) return config.error();
    auto admin = client::Admin::open(*config);
    if (!admin) return admin.error();
    auto now = (*admin)->current(patience(options));
    if (!now) return now.error();
    return Cluster{std::move(*config), std::move(*admin), std::move(*now)};
}

/// Of its members now, by position.
std::vector<std::string> hosts_of(const Cluster& cluster, const consensus::Group& group) {
    client::Hosts hosts(cluster.config);
    (void)hosts.follow(cluster.now);
    std::vector<std::string> names;
    for (std::uint32_t p = 0; p < group.members.size(); ++p)
        if (group.active(Position(p))) names.push_back(hosts.name_of(group.members[p].host));
    return names;
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
    if (!cluster) return failed(cluster.error());
    json::array all;
    if (!options.json)
        std::printf("configuration %llu\n%-8s %-32s %s\n",
                    static_cast<unsigned long long>(cluster->now.version.value), "GROUP", "HOSTS",
                    "PARTITIONS");
    for (const consensus::Group& group : cluster->now.groups) {
        std::string text, names;
        json::array partitions, hosts;
        for (PartitionId p : owned(cluster->now, group.id)) {
            text += (text.empty() ? "" : " ") + std::to_string(p.value);
            partitions.emplace_back(p.value);
        }
        for (const std::string& host : hosts_of(*cluster, group)) {
            names += (names.empty() ? "" : " ") + host;
            hosts.emplace_back(host);
        }
        if (!options.json)
            std::printf("%-8u %-32s %s\n", group.id.value, names.c_str(),
                        text.empty() ? "- (spare)" : text.c_str());
        all.emplace_back(json::object{{"id", group.id.value},
                                      {"hosts", std::move(hosts)},
                                      {"partitions", std::move(partitions)}});
    }
    if (options.json)
        std::printf("%s\n", json::serialize(json::object{{"version", cluster->now.version.value},
                                                         {"groups", std::move(all)}})
                                .c_str());
    return exit_done;
}

int list_partitions(const Options& options) {
    auto cluster = look(options);
    if (!cluster) return failed(cluster.error());
    json::array all;
    if (!options.json)
        std::printf("configuration %llu\n%-10s %s\n",
                    static_cast<unsigned long long>(cluster->now.version.value), "PARTITION",
                    "GROUP");
    for (const auto& [partition, group] : cluster->now.owners) {
        if (!options.json)
            std::printf("%-10u %u%s\n", partition.value, group.value,
                        partition.value == 0 ? "  (configurations; it stays)" : "");
        all.emplace_back(json::object{{"id", partition.value}, {"group", group.value}});
    }
    if (options.json)
        std::printf("%s\n", json::serialize(json::object{{"version", cluster->now.version.value},
                                                         {"partitions", std::move(all)}})
                                .c_str());
    return exit_done;
}

// --- move

consensus::ConfigChange change_of(const Options& options, const consensus::Configuration& now) {
    consensus::ConfigChange change;
    change.version = now.version.next();
    std::vector<std::uint32_t> partitions = options.partitions;
    std::sort(partitions.begin(), partitions.end());
    partitions.erase(std::unique(partitions.begin(), partitions.end()), partitions.end());
    for (std::uint32_t partition : partitions)
        change.moves.push_back({PartitionId(partition), GroupId(options.to)});
    return change;
}

json::object to_json(const consensus::Configuration& before,
                     const consensus::ConfigChange& change) {
    json::array moves;
    for (const consensus::MovePartition& move : change.moves)
        moves.emplace_back(json::object{{"partition", move.partition.value},
                                        {"from", before.owner(move.partition)->value},
                                        {"to", move.to.value}});
    return {{"version", change.version.value}, {"moves", std::move(moves)}};
}

void tell(const Options& options, const consensus::Configuration& before,
          const consensus::ConfigChange& change) {
    if (options.json) return;
    for (const consensus::MovePartition& move : change.moves)
        std::printf("partition %u: group %u -> group %u\n", move.partition.value,
                    before.owner(move.partition)->value, move.to.value);
    std::fflush(stdout);
}

void conclude(const Options& options, json::object document, const std::string& line) {
    if (options.json)
        std::printf("%s\n", json::serialize(document).c_str());
    else
        std::printf("%s\n", line.c_str());
}

int move(const Options& options) {
    auto keys = client::load_keys(options.keys);
    if (!keys) return failed(keys.error());
    auto cluster = look(options);
    if (!cluster) return failed(cluster.error());
    const consensus::ConfigChange change = change_of(options, cluster->now);
    if (auto next = consensus::apply(cluster->now, change); !next) return failed(next.error());
    auto request = client::sign_change(cluster->config.cluster, cluster->now.admins, change, *keys);
    json::object document = to_json(cluster->now, change);
    if (options.dry_run) {
        tell(options, cluster->now, change);
        document["allowed"] = request.has_value();
        if (!request) document["why_not"] = request.error().what;
        conclude(options, std::move(document),
                 request ? "allowed; nothing was changed"
                         : "not allowed: " + request.error().what + "; nothing was changed");
        return request ? exit_done : exit_failed;
    }
    if (!request) return failed(request.error());
    tell(options, cluster->now, change);
    const auto began = std::chrono::steady_clock::now();
    auto barrier = cluster->admin->order(*request, patience(options));
    if (!barrier) return failed(barrier.error());
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
                          std::chrono::steady_clock::now() - began)
                          .count();
    document["slot"] = (*barrier)->slot.value;
    document["milliseconds"] = took;
    conclude(options, std::move(document),
             "configuration " + std::to_string(change.version.value) + " is in force behind slot " +
                 std::to_string((*barrier)->slot.value) + ", after " + std::to_string(took) +
                 " ms");
    return exit_done;
}

void add_common(CLI::App& command, const std::shared_ptr<Options>& options) {
    command.add_option("--client", options->client, "a client's folder, made by init")->required();
    command.add_option("--timeout", options->timeout_s, "give up after so many seconds")
        ->check(CLI::Range(0.1, 86400.0))
        ->capture_default_str();
    command.add_flag("--json", options->json, "for programs");
}

}  // namespace

Command add_partition(CLI::App& app) {
    CLI::App* command =
        app.add_subcommand("partition", "Which group answers for which partition; moves them");
    command->require_subcommand(1);
    auto options = std::make_shared<Options>();
    CLI::App* list = command->add_subcommand("list", "Each partition and its group");
    add_common(*list, options);
    CLI::App* moves = command->add_subcommand(
        "move", "Gives partitions to another group, while the cluster runs");
    add_common(*moves, options);
    moves->add_option("PARTITION", options->partitions, "one or more, all at once")->required();
    moves->add_option("--to", options->to, "the group")->required();
    moves->add_option("--key", options->keys, "an admin's key; as often as keys must sign")
        ->required();
    moves->add_flag("--dry-run", options->dry_run,
                    "only say what would change, and whether it is allowed");
    moves->footer(
        "No request fails or is repeated; those of the partitions wait for a moment. Exit status: "
        "0 in\n"
        "force; 1 refused, nothing changed; 4 not known in time.\n"
        "Example:\n"
        "  bftctl partition move 3 4 --to 2 --client cluster/clients/admin --key "
        "cluster/admins/admin.key");
    return [options, list] { return list->parsed() ? list_partitions(*options) : move(*options); };
}

Command add_group(CLI::App& app) {
    CLI::App* command = app.add_subcommand("group", "The groups of replicas");
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
    add_common(*list, options);
    return [options] { return list_groups(*options); };
}

}  // namespace bft::node

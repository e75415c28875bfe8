// bftctl partition, bftctl group: which group answers for which partition, and how that changes.
#include "client/hosts.hpp"
#include "node/bftctl_change.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <cstdio>

namespace bft::node {
namespace {

namespace json = boost::json;

struct Options : ChangeOptions {
    std::vector<std::uint32_t> partitions;
    std::uint32_t to = 0;
};

/// Of its members now, by position.
std::vector<std::string> hosts_of(const Running& cluster, const consensus::Group& group) {
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
    if (!cluster) return say_failed(cluster.error());
    json::array all;
    if (!options.json())
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
        if (!options.json())
            std::printf("%-8u %-32s %s\n", group.id.value, names.c_str(),
                        text.empty() ? "- (spare)" : text.c_str());
        all.emplace_back(json::object{{"id", group.id.value},
                                      {"hosts", std::move(hosts)},
                                      {"partitions", std::move(partitions)}});
    }
    if (options.json())
        std::printf("%s\n", json::serialize(json::object{{"version", cluster->now.version.value},
                                                         {"groups", std::move(all)}})
                                .c_str());
    return exit_done;
}

int list_partitions(const Options& options) {
    auto cluster = look(options);
    if (!cluster) return say_failed(cluster.error());
    json::array all;
    if (!options.json())
        std::printf("configuration %llu\n%-10s %s\n",
                    static_cast<unsigned long long>(cluster->now.version.value), "PARTITION",
                    "GROUP");
    for (const auto& [partition, group] : cluster->now.owners) {
        if (!options.json())
            std::printf("%-10u %u%s\n", partition.value, group.value,
                        partition.value == 0 ? "  (configurations; it stays)" : "");
        all.emplace_back(json::object{{"id", partition.value}, {"group", group.value}});
    }
    if (options.json())
        std::printf("%s\n", json::serialize(json::object{{"version", cluster->now.version.value},
                                                         {"partitions", std::move(all)}})
                                .c_str());
    return exit_done;
}

// --- move

int move(const Options& options) {
    auto cluster = look(options);
    if (!cluster) return say_failed(cluster.error());
    std::vector<std::uint32_t> partitions = options.partitions;
    std::sort(partitions.begin(), partitions.end());
    partitions.erase(std::unique(partitions.begin(), partitions.end()), partitions.end());
    consensus::ConfigChange change;
    std::vector<std::string> lines;
    json::array moves;
    for (std::uint32_t partition : partitions) {
        change.moves.push_back({PartitionId(partition), GroupId(options.to)});
        const auto from = cluster->now.owner(PartitionId(partition));
        if (!from) continue;  // apply() says it
        lines.push_back("partition " + std::to_string(partition) + ": group " +
                        std::to_string(from->value) + " -> group " + std::to_string(options.to));
        moves.emplace_back(
            json::object{{"partition", partition}, {"from", from->value}, {"to", options.to}});
    }
    return bring(options, *cluster, std::move(change), lines, {{"moves", std::move(moves)}});
}

}  // namespace

Command add_partition(CLI::App& app) {
    CLI::App* command =
        app.add_subcommand("partition", "Which group answers for which partition; moves them");
    command->require_subcommand(1);
    auto options = std::make_shared<Options>();
    CLI::App* list = command->add_subcommand("list", "Each partition and its group");
    add_looking(*list, *options);
    CLI::App* moves = command->add_subcommand(
        "move", "Gives partitions to another group, while the cluster runs");
    add_changing(*moves, *options);
    moves->add_option("PARTITION", options->partitions, "one or more, all at once")->required();
    moves->add_option("--to", options->to, "the group")->required();
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
    add_looking(*list, *options);
    return [options] { return list_groups(*options); };
}

}  // namespace bft::node

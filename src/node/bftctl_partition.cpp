// bftctl partition: which group answers for which partition, and how that changes.
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

// --- list

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

}  // namespace bft::node

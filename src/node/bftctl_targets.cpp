#include "node/bftctl_targets.hpp"

#include <algorithm>
#include <filesystem>

namespace bft::node {
namespace fs = std::filesystem;

// A cluster folder stands for every host in it.
Result<std::vector<fs::path>> find_node_files(const std::vector<std::string>& places) {
    std::vector<fs::path> files;
    for (const std::string& place : places) {
        std::error_code bad;
        if (!fs::is_directory(place, bad)) {
            files.emplace_back(place);
            continue;
        }
        if (fs::exists(fs::path(place) / "node.toml")) {
            files.push_back(fs::path(place) / "node.toml");
            continue;
        }
        const std::size_t before = files.size();
        // Made by `bftctl init`, or /etc/bftnode.
        for (const fs::path& hosts : {fs::path(place) / "hosts", fs::path(place)})
            for (const fs::directory_entry& entry : fs::directory_iterator(hosts, bad))
                if (fs::exists(entry.path() / "node.toml", bad))
                    files.push_back(entry.path() / "node.toml");
        if (files.size() == before)
            return error(Errc::not_found, place +
                                              " is no cluster's folder: it has neither "
                                              "hosts/NAME/node.toml nor NAME/node.toml");
    }
    return files;
}

namespace {

Result<std::vector<Target>> targets_of(const std::vector<fs::path>& files) {
    std::vector<Target> targets;
    std::string wrong;
    for (const fs::path& file : files) {
        const Loaded<NodeConfig> config = load_node_config(file);
        for (const Diagnostic& what : config.errors) wrong += to_string(what) + "\n";
        if (!config.value) continue;
        const Loaded<ClusterFile> cluster = load_cluster_file(config.value->cluster_file);
        for (const Diagnostic& what : cluster.errors) wrong += to_string(what) + "\n";
        if (!cluster.value) continue;
        const std::optional<HostId> id = cluster.value->host_id(config.value->host);
        targets.push_back(
            {*config.value, *cluster.value, id ? id->value : cluster.value->hosts.size()});
    }
    if (!wrong.empty()) return error(Errc::malformed, wrong);
    std::sort(targets.begin(), targets.end(),
              [](const Target& a, const Target& b) { return a.order < b.order; });
    return targets;
}

}  // namespace

Result<std::vector<Target>> find_targets(const std::vector<std::string>& places) {
    auto files = find_node_files(places);
    if (!files) return error(files.error().code, "bftctl: " + files.error().what);
    return targets_of(*files);
}

}  // namespace bft::node

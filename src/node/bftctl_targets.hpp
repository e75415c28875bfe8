// Which hosts' daemons a command of bftctl talks to: those of this machine.
#pragma once

#include "node/cluster_file.hpp"
#include "node/config.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace bft::node {

struct Target {
    NodeConfig config;
    ClusterFile cluster;
    std::size_t order = 0;  ///< HostId
};

/// The node.toml of every host there.
Result<std::vector<std::filesystem::path>> find_node_files(const std::vector<std::string>& places);

/// By HostId. A place is a cluster's folder, a host's folder, or node.toml.
Result<std::vector<Target>> find_targets(const std::vector<std::string>& places);

}  // namespace bft::node

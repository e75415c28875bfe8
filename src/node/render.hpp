// The text of the files that `bftctl init` makes for each host and client.
#pragma once

#include "client/config.hpp"
#include "node/cluster_file.hpp"
#include "node/topology.hpp"

#include <string>
#include <string_view>

namespace bft::node {

/// A TOML string.
std::string quoted(std::string_view text);
/// node.toml of `host`; every file has its default place beside it.
std::string render_node_toml(const TopologyHost& host,
                             const std::vector<std::string>& origins = {});
/// What client.toml says to the client `id`: its key is client.key and the application is in app/,
/// both beside it.
client::Config client_config(const ClusterFile& cluster, ClientId id);

}  // namespace bft::node

// The manifest: a cluster as HTTP clients know it, in JSON (docs/openapi.yaml, docs/http.md).
#pragma once

#include "catalog/application.hpp"
#include "node/cluster_file.hpp"

#include <string>
#include <string_view>

namespace bft::node {

/// One line; the same bytes for the same cluster file and application.
std::string manifest_json(const ClusterFile& cluster, const catalog::Application& application);

/// The parts that the digest covers; what else the manifest says is not read. An error when the
/// digest that it gives is not theirs.
Result<ClusterFile> parse_manifest(std::string_view text);

}  // namespace bft::node

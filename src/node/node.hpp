// One process of a host: builds everything that its roles need, in order, runs one event loop, and
// takes it down again.
#pragma once

#include "base/result.hpp"
#include "host/misbehaviour.hpp"
#include "node/cluster_file.hpp"
#include "node/config.hpp"
#include "roles/page_generator.hpp"

#include <memory>
#include <set>

namespace bft::node {

struct RunOptions {
    std::set<Role> roles;  ///< not empty
    bool insecure_software_usig = false;
    host::Misbehaviour misbehaviour;  ///< for tests
    roles::PageCost page_cost;
};

/// Each HTTP connection needs a descriptor: asks for as many as this process may have.
void raise_descriptor_limit();

/// Runs until SIGTERM or SIGINT, or until it cannot go on. The process's exit status.
int run(const NodeConfig& config, const ClusterFile& cluster, RunOptions options);

}  // namespace bft::node

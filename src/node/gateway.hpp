// A gateway process: no part of the cluster, beside its client.
#pragma once

#include "node/config.hpp"

namespace bft::node {

/// Runs until SIGTERM or SIGINT. The process's exit status.
int run_gateway(const GatewayConfig& config);

}  // namespace bft::node

// What a daemon says about itself: the document of the status socket (docs/operations.md,
// "Status").
#pragma once

#include "host/durable_log.hpp"
#include "host/exchange.hpp"
#include "host/signature_cache.hpp"
#include "host/stages.hpp"
#include "metrics/latency.hpp"
#include "node/node.hpp"
#include "node/readiness.hpp"
#include "roles/database_voter.hpp"
#include "roles/event_log.hpp"
#include "roles/group_replica.hpp"
#include "roles/primary.hpp"

#include <boost/json/object.hpp>

#include <string>
#include <vector>

namespace bft::node {

/// The parts of a running node; primary and voter are null where it has none.
struct StatusSource {
    const NodeConfig& config;
    const ClusterFile& cluster;
    const RunOptions& options;
    const consensus::Membership& membership;
    HostId self{};
    const host::Exchange* exchange = nullptr;
    const host::SignatureCache* signatures = nullptr;
    const roles::EventLog* events = nullptr;
    const roles::PrimaryRole* primary = nullptr;
    std::vector<const roles::GroupReplicaRole*> replicas;
    const roles::DatabaseVoterRole* voter = nullptr;
    std::vector<const host::DurableLog*> logs;
    const host::Stages* stages = nullptr;
    const Readiness* readiness = nullptr;
    const metrics::Latency* certificates = nullptr;  ///< how long the TPM takes; null: no counters
    bool started = false;
    TimePoint now{};
    Duration uptime{};
};

boost::json::object describe(const StatusSource& source);

/// The document in one line: "ready; leads view 3, slot 812; group 1 executed to 809; database in
/// service".
std::string summary(const boost::json::object& status);

}  // namespace bft::node

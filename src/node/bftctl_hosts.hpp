// What commands have in common that change who takes part: the hosts of the cluster file and those
// that joined, what each of them does, and whether it has caught up.
#pragma once

#include "node/bftctl_change.hpp"
#include "node/cluster_file.hpp"
#include "node/join_file.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace bft::node {

struct HostsOptions : ChangeOptions {
    std::string cluster;  ///< cluster.toml
};

void add_cluster(CLI::App& command, HostsOptions& options);

/// What the cluster began with, and what it has in force.
struct RunningCluster : Running {
    ClusterFile file;

    [[nodiscard]] std::map<HostId, consensus::JoinedHost> hosts() const;
    [[nodiscard]] std::string name_of(HostId host) const;
    [[nodiscard]] std::optional<HostId> host(const std::string& name) const;
    /// For one that joins.
    [[nodiscard]] HostId next_host() const;
};
[[nodiscard]] Result<RunningCluster> look_at(const HostsOptions& options);

/// The active seats of a host.
std::vector<consensus::Endpoint> seats_of(const consensus::Configuration& config, HostId host);
std::optional<VoterId> voter_of(const consensus::Configuration& config, HostId host);
std::optional<PrimaryId> primary_of(const consensus::Configuration& config, HostId host);

/// Of this cluster, with a name and a key that nobody has.
Result<void> check_newcomer(const RunningCluster& cluster, const JoinFile& join);
/// As a configuration holds it.
Bytes key_of(const usig::PublicIdentity& counter);

/// Until `engines` say that they follow the newest configuration and have delivered what they have;
/// said in `document` and, but for programs, to the reader as what `who` has done.
/// Errc::unavailable: not in time.
Result<void> wait_for(const HostsOptions& options, RunningCluster& cluster,
                      const std::vector<consensus::Endpoint>& engines, const std::string& who,
                      boost::json::object& document);

}  // namespace bft::node

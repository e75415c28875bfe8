// Who takes part, as this process knows it: what the cluster file says, and what the order has made
// of it since (docs/adr/0025). Engines tell of configurations, links and checks follow.
#pragma once

#include "consensus/configuration.hpp"
#include "host/directory.hpp"
#include "node/cluster_file.hpp"
#include "usig/verifier.hpp"

#include <map>
#include <memory>

namespace bft::node {

/// Of the loop's thread, but for certified().
class Members {
public:
    explicit Members(const ClusterFile& cluster);

    /// Prepares the counters of the cluster file for certified(). Errors say which is bad.
    Result<void> prepare_counters(usig::AllowSoftware allow);

    /// What the cluster file says.
    [[nodiscard]] const consensus::Membership& genesis() const { return genesis_; }
    /// As of the newest configuration that was followed.
    [[nodiscard]] const consensus::Membership& now() const { return now_; }
    [[nodiscard]] ConfigVersion version() const { return version_; }
    /// Hosts of the cluster file and those that joined.
    [[nodiscard]] const std::map<HostId, host::HostEntry>& hosts() const { return hosts_; }
    /// The host with this identity key.
    [[nodiscard]] std::optional<HostId> host_of_key(ByteView key) const;

    /// In any order. False: it brings nothing new. A counter or an address in it that makes no
    /// sense does not stop anybody: such a member is never heard.
    bool follow(const consensus::Configuration& configuration);

    [[nodiscard]] std::shared_ptr<const host::Directory> directory(
        consensus::SignatureChecker& checker) const;

    /// From any thread.
    [[nodiscard]] bool certified(UsigId identity, const consensus::Ui& ui,
                                 const Digest& digest) const {
        return counters_ && counters_->verify(identity, ui, digest);
    }

private:
    const ClusterFile& cluster_;
    consensus::Membership genesis_;
    consensus::Membership now_;
    ConfigVersion version_;
    std::map<HostId, host::HostEntry> hosts_;
    std::optional<usig::Verifier> counters_;
};

}  // namespace bft::node

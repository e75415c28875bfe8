// Who is known to a process, as of one configuration. Never changes: a later configuration has
// another directory, so that workers which verify may keep the one that they began with.
#pragma once

#include "consensus/verify.hpp"
#include "host/peers.hpp"

#include <map>
#include <string>
#include <vector>

namespace bft::host {

struct HostEntry {
    std::string name;
    std::string address;  ///< where other nodes reach it: host:port

    bool operator==(const HostEntry&) const = default;
};

class Directory {
public:
    /// `checker` must outlive this.
    Directory(consensus::Membership membership, std::map<HostId, HostEntry> hosts,
              consensus::SignatureChecker& checker);
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;

    [[nodiscard]] const consensus::Membership& membership() const { return membership_; }
    [[nodiscard]] const std::map<HostId, HostEntry>& hosts() const { return hosts_; }
    [[nodiscard]] const Peers& peers() const { return peers_; }
    [[nodiscard]] const consensus::Verifier& verifier() const { return verifier_; }
    /// "host 7" where nobody knows its name.
    [[nodiscard]] std::string name_of(HostId host) const;
    /// It leads in its turn, votes or has a database; false: it was replaced, or has no part yet.
    [[nodiscard]] bool takes_part(HostId host) const;

private:
    consensus::Membership membership_;
    std::map<HostId, HostEntry> hosts_;
    Peers peers_;                   ///< of membership_
    consensus::Verifier verifier_;  ///< likewise
};

}  // namespace bft::host

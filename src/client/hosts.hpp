// Whom a client talks to: the hosts of client.toml, and those that joined later (docs/adr/0025).
#pragma once

#include "client/config.hpp"
#include "consensus/configuration.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace bft::client {

class Hosts {
public:
    explicit Hosts(const Config& config) : Hosts(config, membership_of(config)) {}
    /// `membership`: of the same cluster; whoever has its cluster file knows more than a client.
    Hosts(const Config& config, consensus::Membership membership);

    /// As of the newest configuration that was followed; stays where it is.
    [[nodiscard]] const consensus::Membership& membership() const { return membership_; }
    [[nodiscard]] const std::map<HostId, Host>& all() const { return hosts_; }
    [[nodiscard]] std::optional<HostId> by_key(ByteView key) const;
    /// Null: no such host.
    [[nodiscard]] const Bytes* key_of(HostId host) const;
    [[nodiscard]] std::string name_of(HostId host) const;

    /// The hosts that are new in it.
    std::vector<Host> follow(const consensus::Configuration& configuration);

private:
    consensus::Membership membership_;
    std::map<HostId, Host> hosts_;
    std::map<Bytes, HostId> by_key_;
};

}  // namespace bft::client

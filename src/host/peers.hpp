// Who is at the other end of a channel, and as whom it may speak.
#pragma once

#include "base/bytes.hpp"
#include "consensus/membership.hpp"

#include <map>
#include <optional>
#include <vector>

namespace bft::host {

/// The holder of a pinned key: a host of the cluster or one client.
struct Peer {
    std::optional<HostId> host;  ///< nullopt: a client
    ClientId client{};

    bool operator==(const Peer&) const = default;
};

class Peers {
public:
    /// `host_keys` by HostId.
    Peers(const consensus::Membership& membership, std::vector<Bytes> host_keys);

    /// nullopt: nobody that the cluster file knows.
    [[nodiscard]] std::optional<Peer> find(ByteView key) const;
    [[nodiscard]] const Bytes& key_of(HostId host) const { return host_keys_.at(host.value); }
    /// Null: no such client.
    [[nodiscard]] const Bytes* key_of(ClientId client) const;

    /// A host speaks as the endpoints that the membership gives it, a client as itself only. One
    /// stolen host key is then one faulty machine, not more.
    [[nodiscard]] bool may_speak(const Peer& peer, const consensus::Endpoint& as) const;

    [[nodiscard]] std::size_t hosts() const { return host_keys_.size(); }

private:
    const consensus::Membership& membership_;
    std::vector<Bytes> host_keys_;
    std::map<Bytes, Peer> by_key_;
};

}  // namespace bft::host

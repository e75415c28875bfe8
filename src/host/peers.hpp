// Who is at the other end of a channel, and as whom it may speak.
#pragma once

#include "base/bytes.hpp"
#include "consensus/membership.hpp"

#include <map>
#include <optional>

namespace bft::host {

/// The holder of a pinned key: a host of the cluster or one client.
struct Peer {
    std::optional<HostId> host;  ///< nullopt: a client
    ClientId client{};

    bool operator==(const Peer&) const = default;
};

class Peers {
public:
    /// `membership` must outlive this, and stay as it is.
    explicit Peers(const consensus::Membership& membership);

    /// nullopt: nobody that the membership knows.
    [[nodiscard]] std::optional<Peer> find(ByteView key) const;
    /// Null: no such host.
    [[nodiscard]] const Bytes* key_of(HostId host) const;
    /// Null: no such client, or it is none any more.
    [[nodiscard]] const Bytes* key_of(ClientId client) const;

    /// Also of a client that is none any more, or has another one: who is refused is told so.
    [[nodiscard]] std::vector<Bytes> keys_of(ClientId client) const;

    /// A host speaks as the endpoints that the membership gives it, a client as itself only. One
    /// stolen host key is then one faulty machine, not more.
    [[nodiscard]] bool may_speak(const Peer& peer, const consensus::Endpoint& as) const;

private:
    const consensus::Membership& membership_;
    std::map<Bytes, Peer> by_key_;
};

}  // namespace bft::host

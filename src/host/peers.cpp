#include "host/peers.hpp"

namespace bft::host {

using consensus::Endpoint;

Peers::Peers(const consensus::Membership& membership) : membership_(membership) {
    for (const auto& [id, key] : membership.clients) by_key_[key] = {std::nullopt, id};
    for (const auto& [name, key] : membership.later_keys) by_key_[key] = {std::nullopt, name.first};
    // A key that is pinned for both is a host's: hosts must stay reachable.
    for (const auto& [host, key] : membership.host_keys) by_key_[key] = {host, {}};
}

std::optional<Peer> Peers::find(ByteView key) const {
    auto found = by_key_.find(to_bytes(key));
    if (found == by_key_.end()) return std::nullopt;
    return found->second;
}

const Bytes* Peers::key_of(HostId host) const {
    auto found = membership_.host_keys.find(host);
    return found == membership_.host_keys.end() ? nullptr : &found->second;
}

const Bytes* Peers::key_of(ClientId client) const {
    if (auto newest = membership_.newest_keys.find(client); newest != membership_.newest_keys.end())
        return newest->second.empty() ? nullptr : &newest->second;
    auto found = membership_.clients.find(client);
    return found == membership_.clients.end() ? nullptr : &found->second;
}

std::vector<Bytes> Peers::keys_of(ClientId client) const {
    std::vector<Bytes> keys;
    if (auto first = membership_.clients.find(client); first != membership_.clients.end())
        keys.push_back(first->second);
    for (auto later = membership_.later_keys.lower_bound({client, 0});
         later != membership_.later_keys.end() && later->first.first == client; ++later)
        keys.push_back(later->second);
    return keys;
}

bool Peers::may_speak(const Peer& peer, const Endpoint& as) const {
    if (as.role == Endpoint::Role::client) return !peer.host && as.client == peer.client;
    return peer.host && membership_.host_of(as) == peer.host;
}

}  // namespace bft::host

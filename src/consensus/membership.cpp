#include "consensus/membership.hpp"

#include "base/sha256.hpp"

#include <algorithm>
#include <set>

namespace bft::consensus {

std::uint64_t key_name(ByteView key) {
    const Digest digest = Digester("client key").bytes(key).finish();
    std::uint64_t name = 0;
    for (std::size_t i = 0; i < 6; ++i) name = name << 8 | digest.bytes[i];
    return std::max<std::uint64_t>(name, 1);
}

const Bytes* Membership::client_key(ClientId client, std::uint64_t name) const {
    if (name == 0) {
        auto found = clients.find(client);
        return found == clients.end() ? nullptr : &found->second;
    }
    auto found = later_keys.find({client, name});
    return found == later_keys.end() ? nullptr : &found->second;
}

const AdminKeys& Membership::admins_of(ConfigVersion changed_to) const {
    auto former = former_admins.lower_bound(changed_to);
    return former == former_admins.end() ? admins : former->second;
}

bool Group::active(Position position) const {
    return position.value < members.size() &&
           !std::binary_search(retired.begin(), retired.end(), position);
}

const Group* Membership::group(GroupId id) const {
    auto found = std::lower_bound(groups.begin(), groups.end(), id,
                                  [](const Group& g, GroupId wanted) { return g.id < wanted; });
    return found != groups.end() && found->id == id ? &*found : nullptr;
}

std::optional<GroupId> Membership::owner(PartitionId partition) const {
    auto found = owners.find(partition);
    if (found == owners.end()) return std::nullopt;
    return found->second;
}

std::optional<HostId> Membership::host_of(const Endpoint& endpoint) const {
    switch (endpoint.role) {
        case Endpoint::Role::primary:
            if (endpoint.index >= primaries.size()) return std::nullopt;
            return primaries[endpoint.index].host;
        case Endpoint::Role::replica: {
            const Group* g = group(endpoint.group);
            if (g == nullptr || endpoint.index >= g->members.size() ||
                g->members[endpoint.index].host == nobody)
                return std::nullopt;
            return g->members[endpoint.index].host;
        }
        case Endpoint::Role::voter:
            if (endpoint.index >= voters.size()) return std::nullopt;
            return voters[endpoint.index];
        case Endpoint::Role::client:
            return std::nullopt;
    }
    return std::nullopt;
}

std::optional<UsigId> Membership::usig_of(const Endpoint& endpoint) const {
    if (!host_of(endpoint)) return std::nullopt;
    if (endpoint.role == Endpoint::Role::primary) return primaries[endpoint.index].usig;
    if (endpoint.role == Endpoint::Role::replica)
        return group(endpoint.group)->members[endpoint.index].usig;
    return std::nullopt;
}

std::vector<Endpoint> Membership::replicas(GroupId id, std::optional<Position> except) const {
    std::vector<Endpoint> all;
    const Group* g = group(id);
    if (g == nullptr) return all;
    for (std::uint32_t j = 0; j < g->members.size(); ++j)
        if (g->active(Position(j)) && (!except || except->value != j))
            all.push_back(Endpoint::replica(id, Position(j)));
    return all;
}

std::vector<Endpoint> Membership::all_replicas() const {
    std::vector<Endpoint> all;
    for (const Group& g : groups)
        for (std::uint32_t j = 0; j < g.members.size(); ++j)
            if (g.active(Position(j))) all.push_back(Endpoint::replica(g.id, Position(j)));
    return all;
}

std::vector<Endpoint> Membership::removed_replicas() const {
    std::vector<Endpoint> all;
    for (const Group& g : groups)
        for (std::uint32_t j = 0; g.removed() && j < g.members.size(); ++j)
            if (g.members[j].host != nobody) all.push_back(Endpoint::replica(g.id, Position(j)));
    return all;
}

std::vector<Endpoint> Membership::all_voters() const {
    std::vector<Endpoint> all;
    for (std::uint32_t d = 0; d < voters.size(); ++d) all.push_back(Endpoint::voter(VoterId(d)));
    return all;
}

PrimaryId Membership::primary_of(View view) const {
    const std::uint64_t turn = view.value & 0xffffffffu;
    if (reigns.empty()) return PrimaryId(static_cast<std::uint32_t>(turn % primaries.size()));
    const auto& reign = reigns[std::min<std::uint64_t>(epoch(view), reigns.size() - 1)];
    return reign[turn % reign.size()];
}

View Membership::after(View view) const {
    const View newest(reigns.empty() ? 0 : std::uint64_t{reigns.size() - 1} << 32);
    return std::max(view.next(), newest);
}

std::vector<Endpoint> Membership::all_primaries() const {
    std::set<PrimaryId> all;
    if (reigns.empty())
        for (std::uint32_t p = 0; p < primaries.size(); ++p) all.insert(PrimaryId(p));
    for (std::size_t e = reigns.size() < 2 ? 0 : reigns.size() - 2; e < reigns.size(); ++e)
        all.insert(reigns[e].begin(), reigns[e].end());
    std::vector<Endpoint> found;
    for (PrimaryId each : all) found.push_back(Endpoint::primary(each));
    return found;
}

std::vector<Endpoint> Membership::processors(const StreamId& stream) const {
    if (stream.kind == StreamId::Kind::vote) return replicas(stream.group, stream.position);
    return all_replicas();
}

const Bytes* Membership::identity_key(const Endpoint& endpoint) const {
    auto host = host_of(endpoint);
    if (!host) return nullptr;
    auto found = host_keys.find(*host);
    return found == host_keys.end() ? nullptr : &found->second;
}

}  // namespace bft::consensus

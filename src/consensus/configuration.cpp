#include "consensus/configuration.hpp"

#include "base/sha256.hpp"
#include "consensus/config_codec.hpp"

#include <algorithm>

namespace bft::consensus {

namespace {

// The second format is that of clusters in which more than owners has changed.
constexpr std::uint32_t format_of_owners = 1;
constexpr std::uint32_t format_of_all = 2;

void put(ConfigWriter& out, const std::vector<Member>& members) {
    out.u32(members.size());
    for (const Member& m : members) out.u32(m.host.value).u32(m.usig.value);
}

void put(ConfigWriter& out, const AdminKeys& admins) {
    out.u32(admins.quorum).u32(admins.keys.size());
    for (const Bytes& key : admins.keys) out.bytes(key);
}

void put_movers(ConfigWriter& out, const AdminKeys& admins) {
    out.u32(admins.movers.size());
    for (const Bytes& key : admins.movers) out.bytes(key);
}

AdminKeys admins(ConfigReader& in) {
    AdminKeys found;
    found.quorum = in.u32();
    found.keys.resize(in.count(4));
    for (Bytes& key : found.keys) key = in.bytes();
    return found;
}

void movers(ConfigReader& in, AdminKeys& admins) {
    admins.movers.resize(in.count(4));
    for (Bytes& key : admins.movers) key = in.bytes();
}

std::vector<Member> members(ConfigReader& in) {
    std::vector<Member> found(in.count(8));
    for (Member& m : found) {
        m.host = HostId(in.u32());
        m.usig = UsigId(in.u32());
    }
    return found;
}

}  // namespace

std::optional<GroupId> Configuration::owner(PartitionId partition) const {
    auto found = owners.find(partition);
    if (found == owners.end()) return std::nullopt;
    return found->second;
}

const Group* Configuration::group(GroupId id) const {
    for (const Group& each : groups)
        if (each.id == id) return &each;
    return nullptr;
}

bool Configuration::active(GroupId id, Position position) const {
    const Group* found = group(id);
    return found != nullptr && found->active(position);
}

std::string too_new(std::uint64_t level, std::uint64_t known) {
    return "the cluster is at feature level " + std::to_string(level) +
           ", and this program knows levels up to " + std::to_string(known) +
           ": upgrade bftnode on this host";
}

std::uint64_t Configuration::features() const {
    auto found = parameters.find(Parameter::features);
    return found == parameters.end() ? features_first : found->second;
}

bool Configuration::removed(ClientId client) const {
    auto found = clients.find(client);
    return found != clients.end() && found->second.empty();
}

bool Configuration::in_force(ClientId client, std::uint64_t key) const {
    auto found = clients.find(client);
    if (found == clients.end()) return key == 0;
    return !found->second.empty() && key_name(found->second) == key;
}

Configuration configuration_of(const Membership& m) {
    return {m.version, m.f, m.f_database, m.primaries, m.groups, m.owners, m.voters, m.admins};
}

void follow(Membership& membership, const Configuration& configuration) {
    membership.primaries = configuration.primaries;
    membership.reigns = configuration.reigns;
    membership.groups = configuration.groups;
    membership.voters = configuration.voters;
    membership.admins = configuration.admins;
    membership.former_admins = configuration.former_admins;
    membership.newest_keys = configuration.clients;
    know_keys(membership, configuration);
}

void know_keys(Membership& membership, const Configuration& configuration) {
    for (const auto& [client, key] : configuration.clients)
        if (!key.empty()) membership.later_keys[{client, key_name(key)}] = key;
    for (const auto& [host, joined] : configuration.hosts) membership.host_keys[host] = joined.key;
}

Bytes encode(const Configuration& c) {
    ConfigWriter out;
    bool owners_only = c.hosts.empty() && c.usigs.empty() && c.clients.empty() &&
                       c.parameters.empty() && c.former_admins.empty() &&
                       std::all_of(c.groups.begin(), c.groups.end(),
                                   [](const Group& group) { return group.retired.empty(); });
    out.u32(owners_only ? format_of_owners : format_of_all);
    out.u64(c.version.value).u32(c.f).u32(c.f_database);
    put(out, c.primaries);
    out.u32(c.groups.size());
    for (const Group& group : c.groups) {
        out.u32(group.id.value);
        put(out, group.members);
    }
    out.u32(c.owners.size());
    for (const auto& [partition, group] : c.owners) out.u32(partition.value).u32(group.value);
    out.u32(c.voters.size());
    for (HostId host : c.voters) out.u32(host.value);
    put(out, c.admins);
    if (owners_only) return out.take();
    for (const Group& group : c.groups) {
        out.u32(group.retired.size());
        for (Position position : group.retired) out.u32(position.value);
        out.u64(group.added.value);
    }
    out.u32(c.hosts.size());
    for (const auto& [host, joined] : c.hosts)
        out.u32(host.value).text(joined.name).text(joined.address).bytes(joined.key);
    out.u32(c.usigs.size());
    for (const auto& [usig, key] : c.usigs) out.u32(usig.value).bytes(key);
    out.u32(c.clients.size());
    for (const auto& [client, key] : c.clients) out.u64(client.value).bytes(key);
    out.u32(c.parameters.size());
    for (const auto& [parameter, value] : c.parameters)
        out.u32(static_cast<std::uint32_t>(parameter)).u64(value);
    out.u32(c.former_admins.size());
    for (const auto& [version, admins] : c.former_admins) {
        out.u64(version.value);
        put(out, admins);
        put_movers(out, admins);
    }
    put_movers(out, c.admins);
    out.u32(c.reigns.size());
    for (const auto& reign : c.reigns) {
        out.u32(reign.size());
        for (PrimaryId primary : reign) out.u32(primary.value);
    }
    return out.take();
}

Result<Configuration> decode_configuration(ByteView bytes) {
    ConfigReader in(bytes);
    Configuration c;
    std::uint32_t format = in.u32();
    bool known = format == format_of_owners || format == format_of_all;
    c.version = ConfigVersion(in.u64());
    c.f = in.u32();
    c.f_database = in.u32();
    c.primaries = members(in);
    c.groups.resize(in.count(8));
    for (Group& group : c.groups) {
        group.id = GroupId(in.u32());
        group.members = members(in);
    }
    for (std::size_t n = in.count(8); n > 0; --n) {
        PartitionId partition(in.u32());
        c.owners[partition] = GroupId(in.u32());
    }
    c.voters.resize(in.count(4));
    for (HostId& host : c.voters) host = HostId(in.u32());
    c.admins = admins(in);
    if (format == format_of_all) {
        for (Group& group : c.groups) {
            group.retired.resize(in.count(4));
            for (Position& position : group.retired) position = Position(in.u32());
            group.added = ConfigVersion(in.u64());
        }
        for (std::size_t n = in.count(16); n > 0; --n) {
            JoinedHost& joined = c.hosts[HostId(in.u32())];
            joined.name = in.text();
            joined.address = in.text();
            joined.key = in.bytes();
        }
        for (std::size_t n = in.count(8); n > 0; --n) {
            UsigId usig(in.u32());
            c.usigs[usig] = in.bytes();
        }
        for (std::size_t n = in.count(12); n > 0; --n) {
            ClientId client(in.u64());
            c.clients[client] = in.bytes();
        }
        for (std::size_t n = in.count(12); n > 0; --n) {
            Parameter parameter{in.u32()};
            c.parameters[parameter] = in.u64();
        }
        for (std::size_t n = in.count(16); n > 0; --n) {
            ConfigVersion version(in.u64());
            movers(in, c.former_admins[version] = admins(in));
        }
        movers(in, c.admins);
        c.reigns.resize(in.count(4));
        for (auto& reign : c.reigns) {
            reign.resize(in.count(4));
            for (PrimaryId& primary : reign) primary = PrimaryId(in.u32());
            known = known && !reign.empty();
        }
    }
    // One encoding only: whatever was out of order would come back otherwise.
    if (!known || !in.complete() || encode(c) != to_bytes(bytes))
        return error(Errc::malformed, "not the encoding of a configuration");
    return c;
}

Digest configuration_digest(const Configuration& configuration) {
    return Digester("configuration").bytes(encode(configuration)).finish();
}

}  // namespace bft::consensus

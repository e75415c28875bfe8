#include "node/cluster_file.hpp"

#include "base/sha256.hpp"
#include "node/join_file.hpp"
#include "node/render.hpp"

#include <algorithm>
#include <functional>
#include <sstream>

namespace bft::node {
namespace {

template <class Range, class Write>
std::string list(const Range& range, Write write) {
    std::string out = "[";
    for (const auto& element : range) {
        if (out.size() > 1) out += ", ";
        out += write(element);
    }
    return out + "]";
}

void render_identity(std::ostream& out, const ClusterIdentity& identity) {
    out << "host = " << quoted(identity.host) << "\n"
        << "usig = " << quoted(usig::encode(identity.usig)) << "\n";
}

}  // namespace

Digest ClusterFile::digest() const {
    Digester d("cluster");
    d.text(name).bytes(id).u32(f).u32(f_database).u64(checkpoint_slots).u64(scan_slots);
    d.text(application.name).digest(application.digest);
    const auto count = [&d](const auto& list) { d.u32(static_cast<std::uint32_t>(list.size())); };
    count(hosts);
    for (const ClusterHost& host : hosts) {
        d.text(host.name).bytes(host.key);
        if (!host.web_key.empty()) d.bytes(host.web_key);
    }
    const auto identity = [&d](const ClusterIdentity& i) {
        d.text(i.host).text(usig::encode(i.usig));
    };
    count(primaries);
    for (const ClusterIdentity& primary : primaries) identity(primary);
    count(groups);
    for (const ClusterGroup& group : groups) {
        d.u32(group.id.value);
        count(group.members);
        for (const ClusterIdentity& member : group.members) identity(member);
        count(group.partitions);
        for (const PartitionId partition : group.partitions) d.u32(partition.value);
    }
    if (std::any_of(hosts.begin(), hosts.end(),
                    [](const ClusterHost& host) { return !host.spare_counters.empty(); })) {
        d.text("spare counters");
        for (const ClusterHost& host : hosts) {
            count(host.spare_counters);
            for (const usig::PublicIdentity& spare : host.spare_counters)
                d.text(usig::encode(spare));
        }
    }
    count(voters);
    for (const std::string& voter : voters) d.text(voter);
    count(clients);
    for (const ClusterClient& client : clients)
        d.u64(client.id.value).text(client.name).bytes(client.key);
    if (genesis)
        d.text("genesis")
            .digest(genesis->root)
            .digest(genesis->snapshot)
            .digest(genesis->cluster)
            .u64(genesis->slot.value);
    if (!admins.empty()) {
        d.text("admins").u32(admin_quorum);
        count(admins);
        for (const ClusterAdmin& admin : admins) d.text(admin.name).bytes(admin.key);
    }
    return d.finish();
}

std::optional<HostId> ClusterFile::host_id(std::string_view host_name) const {
    for (std::uint32_t i = 0; i < hosts.size(); ++i)
        if (hosts[i].name == host_name) return HostId(i);
    return std::nullopt;
}

consensus::Membership ClusterFile::membership() const {
    consensus::Membership m;
    m.cluster = digest();
    m.f = f;
    m.f_database = f_database;
    m.checkpoint_slots = checkpoint_slots;
    m.scan_slots = scan_slots;
    UsigId next{};
    const auto member = [&](const ClusterIdentity& identity) {
        const consensus::Member made{host_id(identity.host).value(), next};
        next = next.next();
        return made;
    };
    for (const ClusterIdentity& primary : primaries) m.primaries.push_back(member(primary));
    for (const ClusterGroup& group : groups) {
        consensus::Group& made = m.groups.emplace_back();
        made.id = group.id;
        for (const ClusterIdentity& identity : group.members)
            made.members.push_back(member(identity));
        for (const PartitionId partition : group.partitions) m.owners[partition] = group.id;
    }
    for (const std::string& voter : voters) m.voters.push_back(host_id(voter).value());
    for (std::uint32_t h = 0; h < hosts.size(); ++h) {
        m.host_keys[HostId(h)] = hosts[h].key;
        for (const usig::PublicIdentity& spare : hosts[h].spare_counters) {
            const std::string identity = usig::encode(spare);
            m.spares[late_id(spare)] = {HostId(h), Bytes(identity.begin(), identity.end())};
        }
    }
    for (const ClusterClient& client : clients) m.clients[client.id] = client.key;
    m.admins.quorum = admin_quorum;
    for (const ClusterAdmin& admin : admins) m.admins.keys.push_back(admin.key);
    return m;
}

std::vector<usig::PublicIdentity> ClusterFile::usig_identities() const {
    std::vector<usig::PublicIdentity> all;
    for (const ClusterIdentity& primary : primaries) all.push_back(primary.usig);
    for (const ClusterGroup& group : groups)
        for (const ClusterIdentity& member : group.members) all.push_back(member.usig);
    return all;
}

std::set<Role> ClusterFile::roles_of(std::string_view host_name) const {
    std::set<Role> roles;
    const auto is_here = [&](const ClusterIdentity& i) { return i.host == host_name; };
    if (std::any_of(primaries.begin(), primaries.end(), is_here)) roles.insert(Role::primary);
    for (const ClusterGroup& group : groups)
        if (std::any_of(group.members.begin(), group.members.end(), is_here))
            roles.insert(Role::replica);
    if (auto known = host_id(host_name); known && !host(*known).spare_counters.empty())
        roles.insert(Role::replica);
    if (!roles.empty()) roles.insert(Role::usig);
    if (std::find(voters.begin(), voters.end(), host_name) != voters.end())
        roles.insert(Role::voter);
    return roles;
}

std::string render(const ClusterFile& cluster) {
    std::ostringstream out;
    const auto number = [](const PartitionId p) { return std::to_string(p.value); };
    const auto encoded = [](const usig::PublicIdentity& u) {
        return node::quoted(usig::encode(u));
    };
    out << "# Who takes part in this cluster; made by `bftctl init`, the same on every host. A "
           "change\n"
           "# makes another cluster of it, except for addresses and folders. Digest:\n"
        << "# " << hex(cluster.digest()) << "\n\n"
        << "name = " << quoted(cluster.name) << "\n"
        << "id = " << quoted(hex(cluster.id)) << "\n"
        << "f = " << cluster.f << "\n"
        << "f_database = " << cluster.f_database << "\n"
        << "checkpoint_slots = " << cluster.checkpoint_slots << "\n"
        << "scan_slots = " << cluster.scan_slots << "\n"
        << "voters = " << list(cluster.voters, quoted) << "\n";
    if (!cluster.admins.empty()) out << "admin_quorum = " << cluster.admin_quorum << "\n";
    out << "\n"
        << "[application]\n"
        << "name = " << quoted(cluster.application.name) << "\n"
        << "digest = " << quoted(hex(cluster.application.digest)) << "\n"
        << "folder = "
        << quoted(
               cluster.application.folder.lexically_proximate(cluster.file.parent_path()).string())
        << "\n";
    if (cluster.genesis)
        out << "\n# The databases begin with this snapshot of an earlier cluster.\n[genesis]\n"
            << "root = " << quoted(hex(cluster.genesis->root)) << "\n"
            << "snapshot = " << quoted(hex(cluster.genesis->snapshot)) << "\n"
            << "cluster = " << quoted(hex(cluster.genesis->cluster)) << "\n"
            << "slot = " << cluster.genesis->slot.value << "\n";
    for (const ClusterHost& host : cluster.hosts)
        out << "\n[[host]]\n"
            << "name = " << quoted(host.name) << "\n"
            << "address = " << quoted(host.address) << "\n"
            << "key = " << quoted(hex(host.key)) << "\n"
            << (host.web_key.empty() ? "" : "web_key = " + node::quoted(hex(host.web_key)) + "\n")
            << (host.http.empty() ? "" : "http = " + node::quoted(host.http) + "\n")
            << (host.spare_counters.empty()
                    ? ""
                    : "spare_counters = " + list(host.spare_counters, encoded) + "\n");
    for (const ClusterIdentity& primary : cluster.primaries) {
        out << "\n[[primary]]\n";
        render_identity(out, primary);
    }
    for (const ClusterGroup& group : cluster.groups) {
        out << "\n[[group]]\n"
            << "id = " << group.id.value << "\n"
            << "partitions = " << list(group.partitions, number) << "\n";
        for (const ClusterIdentity& member : group.members) {
            out << "\n[[group.member]]\n";
            render_identity(out, member);
        }
    }
    for (const ClusterClient& client : cluster.clients)
        out << "\n[[client]]\n"
            << "id = " << client.id.value << "\n"
            << "name = " << quoted(client.name) << "\n"
            << "key = " << quoted(hex(client.key)) << "\n";
    for (const ClusterAdmin& admin : cluster.admins)
        out << "\n[[admin]]\n"
            << "name = " << quoted(admin.name) << "\n"
            << "key = " << quoted(hex(admin.key)) << "\n";
    return out.str();
}

}  // namespace bft::node

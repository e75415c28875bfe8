#include "consensus/configuration.hpp"

#include "base/sha256.hpp"

#include <algorithm>

namespace bft::consensus {

namespace {

constexpr std::uint32_t configuration_format = 1;
constexpr std::uint32_t change_format = 1;
constexpr std::size_t list_max = 1 << 16;

class Writer {
public:
    Writer& u32(std::uint64_t value) { return put(value, 4); }
    Writer& u64(std::uint64_t value) { return put(value, 8); }
    Writer& bytes(ByteView value) {
        u32(value.size());
        out_.insert(out_.end(), value.begin(), value.end());
        return *this;
    }
    [[nodiscard]] Bytes take() { return std::move(out_); }

private:
    Writer& put(std::uint64_t value, int size) {
        for (int i = size - 1; i >= 0; --i)
            out_.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
        return *this;
    }
    Bytes out_;
};

class Reader {
public:
    explicit Reader(ByteView bytes) : rest_(bytes) {}

    std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
    std::uint64_t u64() { return number(8); }
    /// Of a list whose elements take at least `element` bytes each.
    std::size_t count(std::size_t element) {
        std::size_t n = u32();
        if (n > list_max || n * element > rest_.size()) good_ = false;
        return good_ ? n : 0;
    }
    Bytes bytes() {
        std::size_t size = count(1);
        Bytes found = to_bytes(rest_.first(size));
        rest_ = rest_.subspan(size);
        return found;
    }
    [[nodiscard]] bool complete() const { return good_ && rest_.empty(); }

private:
    std::uint64_t number(std::size_t size) {
        if (rest_.size() < size) {
            good_ = false;
            rest_ = {};
            return 0;
        }
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < size; ++i) value = value << 8 | rest_[i];
        rest_ = rest_.subspan(size);
        return value;
    }
    ByteView rest_;
    bool good_ = true;
};

void put(Writer& out, const std::vector<Member>& members) {
    out.u32(members.size());
    for (const Member& m : members) out.u32(m.host.value).u32(m.usig.value);
}

std::vector<Member> members(Reader& in) {
    std::vector<Member> found(in.count(8));
    for (Member& m : found) {
        m.host = HostId(in.u32());
        m.usig = UsigId(in.u32());
    }
    return found;
}

template <class T, class Less>
bool increasing(const std::vector<T>& items, Less less) {
    return std::adjacent_find(items.begin(), items.end(),
                              [&](const T& a, const T& b) { return !less(a, b); }) == items.end();
}

Error refused(std::string why) {
    return error(Errc::refused, std::move(why));
}

std::string name(PartitionId partition) {
    return "partition " + std::to_string(partition.value);
}
std::string name(GroupId group) {
    return "group " + std::to_string(group.value);
}

}  // namespace

std::optional<GroupId> Configuration::owner(PartitionId partition) const {
    auto found = owners.find(partition);
    if (found == owners.end()) return std::nullopt;
    return found->second;
}

Configuration configuration_of(const Membership& m) {
    return {m.version, m.f, m.f_database, m.primaries, m.groups, m.owners, m.voters, m.admins};
}

Bytes encode(const Configuration& c) {
    Writer out;
    out.u32(configuration_format).u64(c.version.value).u32(c.f).u32(c.f_database);
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
    out.u32(c.admins.quorum).u32(c.admins.keys.size());
    for (const Bytes& key : c.admins.keys) out.bytes(key);
    return out.take();
}

Result<Configuration> decode_configuration(ByteView bytes) {
    Reader in(bytes);
    Configuration c;
    bool known = in.u32() == configuration_format;
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
    c.admins.quorum = in.u32();
    c.admins.keys.resize(in.count(4));
    for (Bytes& key : c.admins.keys) key = in.bytes();
    // One encoding only: whatever was out of order would come back otherwise.
    if (!known || !in.complete() || encode(c) != to_bytes(bytes))
        return error(Errc::malformed, "not the encoding of a configuration");
    return c;
}

Digest configuration_digest(const Configuration& configuration) {
    return Digester("configuration").bytes(encode(configuration)).finish();
}

// --- changes ---

namespace {

void put_content(Writer& out, const ConfigChange& change) {
    out.u32(change_format).u64(change.version.value).u32(change.moves.size());
    for (const MovePartition& move : change.moves) out.u32(move.partition.value).u32(move.to.value);
}

}  // namespace

Bytes encode(const ConfigChange& change) {
    Writer out;
    put_content(out, change);
    out.u32(change.signatures.size());
    for (const AdminSignature& s : change.signatures) out.u32(s.key).bytes(s.signature);
    return out.take();
}

Result<ConfigChange> decode_change(ByteView bytes) {
    Reader in(bytes);
    ConfigChange change;
    bool known = in.u32() == change_format;
    change.version = ConfigVersion(in.u64());
    change.moves.resize(in.count(8));
    for (MovePartition& move : change.moves) {
        move.partition = PartitionId(in.u32());
        move.to = GroupId(in.u32());
    }
    change.signatures.resize(in.count(8));
    for (AdminSignature& s : change.signatures) {
        s.key = in.u32();
        s.signature = in.bytes();
    }
    bool sorted =
        increasing(change.moves,
                   [](const auto& a, const auto& b) { return a.partition < b.partition; }) &&
        increasing(change.signatures, [](const auto& a, const auto& b) { return a.key < b.key; });
    if (!known || !in.complete() || !sorted || change.moves.empty() ||
        change.moves.size() > changes_max)
        return error(Errc::malformed, "not the encoding of a configuration change");
    return change;
}

Digest change_digest(const Digest& cluster, const ConfigChange& change) {
    Writer out;
    put_content(out, change);
    return Digester("CONFIG").digest(cluster).bytes(out.take()).finish();
}

std::vector<PartitionId> parts_of(const ConfigChange& change) {
    std::vector<PartitionId> parts{PartitionId(0)};
    for (const MovePartition& move : change.moves) parts.push_back(move.partition);
    return parts;
}

Request config_request(const ConfigChange& change) {
    Request request;
    request.id = {config_client, PartitionId(0), ClientSeq(change.version.value)};
    request.parts = parts_of(change);
    request.op = encode(change);
    return request;
}

Result<Configuration> apply(const Configuration& current, const ConfigChange& change) {
    if (change.version != current.version.next())
        return refused("the change makes version " + std::to_string(change.version.value) +
                       ", but version " + std::to_string(current.version.value) +
                       " is in force: another change came first");
    Configuration next = current;
    next.version = change.version;
    for (const MovePartition& move : change.moves) {
        if (move.partition.value == 0)
            return refused("partition 0 stays with the group that orders configurations");
        auto owner = next.owners.find(move.partition);
        if (owner == next.owners.end()) return refused(name(move.partition) + " does not exist");
        bool exists = std::any_of(next.groups.begin(), next.groups.end(),
                                  [&](const Group& group) { return group.id == move.to; });
        if (!exists) return refused(name(move.to) + " does not exist");
        if (owner->second == move.to)
            return refused(name(move.partition) + " is with " + name(move.to) + " already");
        owner->second = move.to;
    }
    return next;
}

// --- history ---

const StableCert* BarrierCert::of(GroupId group) const {
    for (const StableCert& cert : groups)
        if (cert.group == group) return &cert;
    return nullptr;
}

ConfigHistory::ConfigHistory(const Membership& genesis) {
    all_[Slot(0)] = {std::make_shared<const Configuration>(configuration_of(genesis)), nullptr,
                     Digest{}};
}

const Configuration& ConfigHistory::at(Slot slot) const {
    auto later = all_.lower_bound(slot);
    return later == all_.begin() ? *later->second.config : *std::prev(later)->second.config;
}

Slot ConfigHistory::since(Slot slot) const {
    auto later = all_.lower_bound(slot);
    return later == all_.begin() ? later->first : std::prev(later)->first;
}

BarrierCertPtr ConfigHistory::barrier_at(Slot slot) const {
    auto found = all_.find(slot);
    return found == all_.end() ? nullptr : found->second.barrier;
}

BarrierCertPtr ConfigHistory::after(ConfigVersion version) const {
    for (const auto& [slot, era] : all_)
        if (era.barrier && era.config->version > version) return era.barrier;
    return nullptr;
}

Digest ConfigHistory::digest_after(Slot slot) const {
    return std::prev(all_.upper_bound(slot))->second.digest;
}

bool ConfigHistory::append(const BarrierCertPtr& barrier) {
    if (barrier->slot <= all_.rbegin()->first) return false;
    all_[barrier->slot] = {barrier->config, barrier, configuration_digest(*barrier->config)};
    return true;
}

bool ConfigHistory::establish(const BarrierCertPtr& barrier) {
    return barrier->config->version == newest().version.next() && append(barrier);
}

bool ConfigHistory::skip_to(const BarrierCertPtr& barrier) {
    return barrier->config->version > newest().version && append(barrier);
}

}  // namespace bft::consensus

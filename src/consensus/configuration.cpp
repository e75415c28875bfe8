#include "consensus/configuration.hpp"

#include "base/sha256.hpp"

#include <algorithm>

namespace bft::consensus {

namespace {

// The second format is that of clusters whose members have changed, or change.
constexpr std::uint32_t configuration_format = 1;
constexpr std::uint32_t configuration_of_members = 2;
constexpr std::uint32_t change_format = 1;
constexpr std::uint32_t change_of_members = 2;
constexpr std::uint32_t positions_max = 64;  // a voter's bit mask
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

const Group* Configuration::group(GroupId id) const {
    for (const Group& each : groups)
        if (each.id == id) return &each;
    return nullptr;
}

bool Configuration::active(GroupId id, Position position) const {
    const Group* found = group(id);
    return found != nullptr && found->active(position);
}

Configuration configuration_of(const Membership& m) {
    return {m.version, m.f, m.f_database, m.primaries, m.groups, m.owners, m.voters, m.admins};
}

void follow(Membership& membership, const Configuration& configuration) {
    membership.groups = configuration.groups;
    for (const auto& [host, key] : configuration.hosts) membership.host_keys[host] = key;
}

Bytes encode(const Configuration& c) {
    Writer out;
    bool members_changed = !c.hosts.empty() || !c.usigs.empty();
    out.u32(members_changed ? configuration_of_members : configuration_format);
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
    out.u32(c.admins.quorum).u32(c.admins.keys.size());
    for (const Bytes& key : c.admins.keys) out.bytes(key);
    if (!members_changed) return out.take();
    for (const Group& group : c.groups) {
        out.u32(group.retired.size());
        for (Position position : group.retired) out.u32(position.value);
    }
    out.u32(c.hosts.size());
    for (const auto& [host, key] : c.hosts) out.u32(host.value).bytes(key);
    out.u32(c.usigs.size());
    for (const auto& [usig, key] : c.usigs) out.u32(usig.value).bytes(key);
    return out.take();
}

Result<Configuration> decode_configuration(ByteView bytes) {
    Reader in(bytes);
    Configuration c;
    std::uint32_t format = in.u32();
    bool known = format == configuration_format || format == configuration_of_members;
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
    if (format == configuration_of_members) {
        for (Group& group : c.groups) {
            group.retired.resize(in.count(4));
            for (Position& position : group.retired) position = Position(in.u32());
        }
        for (std::size_t n = in.count(8); n > 0; --n) {
            HostId host(in.u32());
            c.hosts[host] = in.bytes();
        }
        for (std::size_t n = in.count(8); n > 0; --n) {
            UsigId usig(in.u32());
            c.usigs[usig] = in.bytes();
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

// --- changes ---

namespace {

void put_content(Writer& out, const ConfigChange& change) {
    out.u32(change.replacements.empty() ? change_format : change_of_members);
    out.u64(change.version.value).u32(change.moves.size());
    for (const MovePartition& move : change.moves) out.u32(move.partition.value).u32(move.to.value);
    if (change.replacements.empty()) return;
    out.u32(change.replacements.size());
    for (const ReplaceReplica& each : change.replacements)
        out.u32(each.group.value)
            .u32(each.position.value)
            .u32(each.by.host.value)
            .u32(each.by.usig.value)
            .bytes(each.host_key)
            .bytes(each.usig_key);
    out.u32(change.held.size());
    for (PartitionId partition : change.held) out.u32(partition.value);
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
    std::uint32_t format = in.u32();
    bool known = format == change_format || format == change_of_members;
    change.version = ConfigVersion(in.u64());
    change.moves.resize(in.count(8));
    for (MovePartition& move : change.moves) {
        move.partition = PartitionId(in.u32());
        move.to = GroupId(in.u32());
    }
    if (format == change_of_members) {
        change.replacements.resize(in.count(24));
        for (ReplaceReplica& each : change.replacements) {
            each.group = GroupId(in.u32());
            each.position = Position(in.u32());
            each.by.host = HostId(in.u32());
            each.by.usig = UsigId(in.u32());
            each.host_key = in.bytes();
            each.usig_key = in.bytes();
        }
        change.held.resize(in.count(4));
        for (PartitionId& partition : change.held) partition = PartitionId(in.u32());
        known = known && !change.replacements.empty();
    }
    change.signatures.resize(in.count(8));
    for (AdminSignature& s : change.signatures) {
        s.key = in.u32();
        s.signature = in.bytes();
    }
    bool sorted =
        increasing(change.moves,
                   [](const auto& a, const auto& b) { return a.partition < b.partition; }) &&
        increasing(change.signatures, [](const auto& a, const auto& b) { return a.key < b.key; }) &&
        increasing(change.replacements,
                   [](const auto& a, const auto& b) {
                       return std::pair(a.group, a.position) < std::pair(b.group, b.position);
                   }) &&
        increasing(change.held, std::less<>());
    std::size_t changes = change.moves.size() + change.replacements.size();
    if (!known || !in.complete() || !sorted || changes == 0 ||
        changes + change.held.size() > changes_max)
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
    parts.insert(parts.end(), change.held.begin(), change.held.end());
    std::sort(parts.begin(), parts.end());
    parts.erase(std::unique(parts.begin(), parts.end()), parts.end());
    return parts;
}

std::vector<PartitionId> held_by(const Configuration& current, const ConfigChange& change) {
    std::vector<PartitionId> held;
    for (const auto& [partition, owner] : current.owners) {
        bool affected = std::any_of(change.replacements.begin(), change.replacements.end(),
                                    [&, group = owner](const auto& r) { return r.group == group; });
        bool moves = std::any_of(
            change.moves.begin(), change.moves.end(),
            [&, moving = partition](const auto& move) { return move.partition == moving; });
        if (partition.value != 0 && affected && !moves) held.push_back(partition);
    }
    return held;
}

Request config_request(const ConfigChange& change) {
    Request request;
    request.id = {config_client, PartitionId(0), ClientSeq(change.version.value)};
    request.parts = parts_of(change);
    request.op = encode(change);
    return request;
}

namespace {

bool used(const Configuration& config, UsigId usig) {
    auto has = [&](const std::vector<Member>& members) {
        return std::any_of(members.begin(), members.end(),
                           [&](const Member& m) { return m.host != nobody && m.usig == usig; });
    };
    return has(config.primaries) ||
           std::any_of(config.groups.begin(), config.groups.end(),
                       [&](const Group& group) { return has(group.members); });
}

bool known_host(const Configuration& config, HostId host) {
    auto has = [&](const std::vector<Member>& members) {
        return std::any_of(members.begin(), members.end(),
                           [&](const Member& m) { return m.host == host; });
    };
    return has(config.primaries) || config.hosts.contains(host) ||
           std::find(config.voters.begin(), config.voters.end(), host) != config.voters.end() ||
           std::any_of(config.groups.begin(), config.groups.end(),
                       [&](const Group& group) { return has(group.members); });
}

// CF1. The counter is new for good, no host holds two seats of a group, and f+1 members stay.
Result<void> replace(Configuration& next, const ReplaceReplica& change) {
    auto found = std::find_if(next.groups.begin(), next.groups.end(),
                              [&](const Group& group) { return group.id == change.group; });
    if (found == next.groups.end()) return refused(name(change.group) + " does not exist");
    Group& group = *found;
    std::string who = "position " + std::to_string(change.position.value) + " of " + name(group.id);
    if (!group.active(change.position)) return refused(who + " is not a member");
    const std::uint32_t n = 2 * next.f + 1;
    const Position place(change.position.value + n);
    if (place.value >= positions_max)
        return refused(who + " was replaced too often: move its partitions to a new group");
    if (change.by.host == nobody || used(next, change.by.usig))
        return refused("counter " + std::to_string(change.by.usig.value) + " was used before");
    for (std::uint32_t p = 0; p < group.members.size(); ++p)
        if (Position(p) != change.position && group.active(Position(p)) &&
            group.members[p].host == change.by.host)
            return refused("host " + std::to_string(change.by.host.value) +
                           " is a member of the group already");
    if (change.host_key.empty() == !known_host(next, change.by.host))
        return refused("host " + std::to_string(change.by.host.value) +
                       (change.host_key.empty() ? " is not known" : " has a key already"));
    while (group.members.size() <= place.value) {
        Position hole(static_cast<std::uint32_t>(group.members.size()));
        group.members.push_back({nobody, {}});
        group.retired.push_back(hole);
    }
    group.members[place.value] = change.by;
    std::erase(group.retired, place);
    group.retired.push_back(change.position);
    std::sort(group.retired.begin(), group.retired.end());
    if (!change.host_key.empty()) next.hosts[change.by.host] = change.host_key;
    next.usigs[change.by.usig] = change.usig_key;
    return {};
}

Result<void> replace_all(const Configuration& current, Configuration& next,
                         const ConfigChange& change) {
    std::map<GroupId, std::uint32_t> replaced;
    for (const ReplaceReplica& each : change.replacements) {
        if (++replaced[each.group] > current.f)
            return refused("more than f members of " + name(each.group) + " at once");
        if (!current.active(each.group, each.position))
            return refused("position " + std::to_string(each.position.value) + " of " +
                           name(each.group) + " is not a member");
        if (auto done = replace(next, each); !done) return done;
    }
    if (change.held != held_by(current, change))
        return refused("the change does not name the partitions that it touches");
    return {};
}

}  // namespace

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
    if (auto done = replace_all(current, next, change); !done) return done.error();
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

std::optional<Slot> ConfigHistory::until(Slot slot) const {
    auto later = all_.lower_bound(slot);
    if (later == all_.begin() && slot.value == 0) ++later;
    return later == all_.end() ? std::nullopt : std::optional(later->first);
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

bool ConfigHistory::continues(const BarrierCert& barrier) const {
    const Configuration& last = newest();
    if (barrier.config->version <= last.version) return false;
    return barrier.config->version == last.version.next() || barrier.config->groups == last.groups;
}

bool ConfigHistory::skip_to(const BarrierCertPtr& barrier) {
    return continues(*barrier) && append(barrier);
}

bool ConfigHistory::knows(const BarrierCert& barrier) const {
    if (barrier.config->version > newest().version) return false;
    auto found = all_.find(barrier.slot);
    if (found != all_.end())
        return found->second.barrier && found->second.config->version == barrier.config->version &&
               found->second.digest == configuration_digest(*barrier.config);
    // One that was skipped: members are those of its time.
    const Configuration& then = at(barrier.slot);
    return then.groups == barrier.config->groups && then.version < barrier.config->version;
}

}  // namespace bft::consensus

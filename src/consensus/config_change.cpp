#include "consensus/config_change.hpp"

#include "base/sha256.hpp"
#include "consensus/config_codec.hpp"
#include "consensus/config_rules.hpp"
#include "consensus/reign.hpp"

#include <algorithm>
#include <utility>

namespace bft::consensus {

namespace {

// The second format is that of changes of more than owners.
constexpr std::uint32_t format_of_moves = 1;
constexpr std::uint32_t format_of_all = 2;
constexpr std::uint32_t positions_max = 64;  // a voter's bit mask
constexpr std::size_t primaries_max = 64;    // what a STATUS tells of
constexpr std::size_t voters_max = 64;       // a slot's answers and each other's roots
constexpr std::size_t key_size = 32;         // Ed25519
constexpr std::size_t web_key_size = 65;     // P-256, a browser's
constexpr std::size_t text_max = 255;
constexpr std::size_t admins_max = 64;

Error refused(std::string why) {
    return error(Errc::refused, std::move(why));
}

std::string name(PartitionId partition) {
    return "partition " + std::to_string(partition.value);
}
std::string name(GroupId group) {
    return "group " + std::to_string(group.value);
}
std::string name(HostId host) {
    return "host " + std::to_string(host.value);
}

template <class T, class Less>
bool increasing(const std::vector<T>& items, Less less) {
    return std::adjacent_find(items.begin(), items.end(),
                              [&](const T& a, const T& b) { return !less(a, b); }) == items.end();
}

void put_content(ConfigWriter& out, const ConfigChange& change) {
    out.u32(moves_only(change) ? format_of_moves : format_of_all);
    out.u64(change.version.value).u32(change.moves.size());
    for (const MovePartition& move : change.moves) out.u32(move.partition.value).u32(move.to.value);
    if (moves_only(change)) return;
    out.u32(change.replacements.size());
    for (const ReplaceReplica& each : change.replacements)
        out.u32(each.group.value)
            .u32(each.position.value)
            .u32(each.by.host.value)
            .u32(each.by.usig.value)
            .bytes(each.usig_key);
    out.u32(change.held.size());
    for (PartitionId partition : change.held) out.u32(partition.value);
    out.u32(change.hosts.size());
    for (const AddHost& each : change.hosts)
        out.u32(each.host.value)
            .text(each.joined.name)
            .text(each.joined.address)
            .bytes(each.joined.key);
    out.u32(change.voters.size());
    for (const ReplaceVoter& each : change.voters) out.u32(each.voter.value).u32(each.by.value);
    out.u32(change.primaries.size());
    for (const ReplacePrimary& each : change.primaries)
        out.u32(each.primary.value)
            .u32(each.by.host.value)
            .u32(each.by.usig.value)
            .bytes(each.usig_key);
    out.u32(change.clients.size());
    for (const SetClient& each : change.clients) out.u64(each.client.value).bytes(each.key);
    out.u32(change.admins ? 1 : 0);
    if (change.admins) {
        out.u32(change.admins->quorum).u32(change.admins->keys.size());
        for (const Bytes& key : change.admins->keys) out.bytes(key);
        out.u32(change.admins->movers.size());
        for (const Bytes& key : change.admins->movers) out.bytes(key);
    }
    out.u32(change.parameters.size());
    for (const SetParameter& each : change.parameters)
        out.u32(static_cast<std::uint32_t>(each.parameter)).u64(each.value);
    put_groups(out, change);
}

void read_members(ConfigReader& in, ConfigChange& change) {
    change.replacements.resize(in.count(20));
    for (ReplaceReplica& each : change.replacements) {
        each.group = GroupId(in.u32());
        each.position = Position(in.u32());
        each.by.host = HostId(in.u32());
        each.by.usig = UsigId(in.u32());
        each.usig_key = in.bytes();
    }
    change.held.resize(in.count(4));
    for (PartitionId& partition : change.held) partition = PartitionId(in.u32());
    change.hosts.resize(in.count(16));
    for (AddHost& each : change.hosts) {
        each.host = HostId(in.u32());
        each.joined.name = in.text();
        each.joined.address = in.text();
        each.joined.key = in.bytes();
    }
    change.voters.resize(in.count(8));
    for (ReplaceVoter& each : change.voters) {
        each.voter = VoterId(in.u32());
        each.by = HostId(in.u32());
    }
    change.primaries.resize(in.count(16));
    for (ReplacePrimary& each : change.primaries) {
        each.primary = PrimaryId(in.u32());
        each.by.host = HostId(in.u32());
        each.by.usig = UsigId(in.u32());
        each.usig_key = in.bytes();
    }
}

// False: a flag that is none.
bool read_rest(ConfigReader& in, ConfigChange& change) {
    change.clients.resize(in.count(12));
    for (SetClient& each : change.clients) {
        each.client = ClientId(in.u64());
        each.key = in.bytes();
    }
    std::uint32_t has_admins = in.u32();
    if (has_admins == 1) {
        change.admins.emplace();
        change.admins->quorum = in.u32();
        change.admins->keys.resize(in.count(4));
        for (Bytes& key : change.admins->keys) key = in.bytes();
        change.admins->movers.resize(in.count(4));
        for (Bytes& key : change.admins->movers) key = in.bytes();
    }
    change.parameters.resize(in.count(12));
    for (SetParameter& each : change.parameters) {
        each.parameter = Parameter{in.u32()};
        each.value = in.u64();
    }
    read_groups(in, change);
    return has_admins <= 1;
}

bool in_order(const ConfigChange& change) {
    auto by = [](auto&& key) {
        return [key](const auto& a, const auto& b) { return key(a) < key(b); };
    };
    return increasing(change.moves, by([](const auto& m) { return m.partition; })) &&
           increasing(change.signatures, by([](const auto& s) { return s.key; })) &&
           increasing(change.replacements,
                      by([](const auto& r) { return std::pair(r.group, r.position); })) &&
           increasing(change.held, std::less<>()) &&
           increasing(change.hosts, by([](const auto& h) { return h.host; })) &&
           increasing(change.voters, by([](const auto& v) { return v.voter; })) &&
           increasing(change.primaries, by([](const auto& p) { return p.primary; })) &&
           increasing(change.clients, by([](const auto& c) { return c.client; })) &&
           increasing(change.parameters, by([](const auto& p) { return p.parameter; })) &&
           increasing(change.groups_added, by([](const auto& g) { return g.group; })) &&
           increasing(change.groups_removed, std::less<>());
}

}  // namespace

std::size_t ConfigChange::changes() const {
    return moves.size() + replacements.size() + hosts.size() + voters.size() + primaries.size() +
           clients.size() + (admins ? 1 : 0) + parameters.size() + groups_added.size() +
           groups_removed.size();
}

bool moves_only(const ConfigChange& change) {
    return change.changes() == change.moves.size() && change.held.empty();
}

bool of_movers_kind(const ConfigChange& change) {
    return change.held.empty() && change.changes() == change.moves.size() +
                                                          change.groups_added.size() +
                                                          change.groups_removed.size();
}

bool in_movers_power(const Membership& membership, const ConfigChange& change) {
    auto spare = [&](const NewMember& member) {
        auto found = membership.spares.find(member.by.usig);
        return found != membership.spares.end() &&
               found->second == SpareCounter{member.by.host, member.usig_key};
    };
    return of_movers_kind(change) &&
           std::all_of(change.groups_added.begin(), change.groups_added.end(),
                       [&](const auto& group) {
                           return std::all_of(group.members.begin(), group.members.end(), spare);
                       });
}

Bytes encode(const ConfigChange& change) {
    ConfigWriter out;
    put_content(out, change);
    out.u32(change.signatures.size());
    for (const AdminSignature& s : change.signatures) out.u32(s.key).bytes(s.signature);
    return out.take();
}

Result<ConfigChange> decode_change(ByteView bytes) {
    ConfigReader in(bytes);
    ConfigChange change;
    std::uint32_t format = in.u32();
    bool known = format == format_of_moves || format == format_of_all;
    change.version = ConfigVersion(in.u64());
    change.moves.resize(in.count(8));
    for (MovePartition& move : change.moves) {
        move.partition = PartitionId(in.u32());
        move.to = GroupId(in.u32());
    }
    if (format == format_of_all) {
        read_members(in, change);
        known = read_rest(in, change) && !moves_only(change);
    }
    change.signatures.resize(in.count(8));
    for (AdminSignature& s : change.signatures) {
        s.key = in.u32();
        s.signature = in.bytes();
    }
    if (!known || !in.complete() || !in_order(change) || change.changes() == 0 ||
        change.changes() + change.held.size() > changes_max)
        return error(Errc::malformed, "not the encoding of a configuration change");
    return change;
}

Digest change_digest(const Digest& cluster, const ConfigChange& change) {
    ConfigWriter out;
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
        bool affected = !change.voters.empty() ||
                        std::any_of(change.replacements.begin(), change.replacements.end(),
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

namespace {

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
            return refused(name(change.by.host) + " is a member of the group already");
    if (!known_host(next, change.by.host)) return refused(name(change.by.host) + " is not known");
    while (group.members.size() <= place.value) {
        Position hole(static_cast<std::uint32_t>(group.members.size()));
        group.members.push_back({nobody, {}});
        group.retired.push_back(hole);
    }
    group.members[place.value] = change.by;
    std::erase(group.retired, place);
    group.retired.push_back(change.position);
    std::sort(group.retired.begin(), group.retired.end());
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
    return {};
}

Result<void> add_hosts(Configuration& next, const ConfigChange& change) {
    for (const AddHost& each : change.hosts) {
        const JoinedHost& joined = each.joined;
        if (each.host == nobody || known_host(next, each.host))
            return refused(name(each.host) + " was there before");
        if (joined.name.empty() || joined.name.size() > text_max || joined.address.empty() ||
            joined.address.size() > text_max || joined.key.size() != key_size)
            return refused(name(each.host) + " needs a name, an address and an Ed25519 key");
        for (const auto& [host, other] : next.hosts)
            if (other.name == joined.name || other.key == joined.key)
                return refused(name(each.host) + " has the name or the key of " + name(host));
        next.hosts[each.host] = joined;
    }
    return {};
}

// f_D+1 databases stay, so whoever comes finds the state, and f_D+1 equal answers.
Result<void> replace_voters(Configuration& next, const ConfigChange& change) {
    const std::size_t before = next.voters.size();
    auto replaced = std::count_if(change.voters.begin(), change.voters.end(),
                                  [&](const auto& each) { return each.voter.value < before; });
    if (replaced > static_cast<std::ptrdiff_t>(next.f_database))
        return refused("more than f databases at once");
    for (const ReplaceVoter& each : change.voters) {
        if (before == 0) return refused("the cluster has no databases");
        if (each.voter.value > next.voters.size())
            return refused("database " + std::to_string(each.voter.value) + " does not exist");
        if (next.voters.size() >= voters_max && each.voter.value >= before)
            return refused("too many databases");
        if (!known_host(next, each.by)) return refused(name(each.by) + " is not known");
        if (std::find(next.voters.begin(), next.voters.end(), each.by) != next.voters.end())
            return refused(name(each.by) + " has a database already");
        if (each.voter.value == next.voters.size()) next.voters.emplace_back();
        next.voters[each.voter.value] = each.by;
    }
    return {};
}

// CF11. Views of the epochs before keep their primaries, so this ends no view by itself.
Result<void> replace_primaries(Configuration& next, const ConfigChange& change) {
    if (change.primaries.empty()) return {};
    std::vector<PrimaryId> reign = reign_of(next);
    if (next.reigns.empty()) next.reigns.push_back(reign);
    for (const ReplacePrimary& each : change.primaries) {
        const std::string who = "primary " + std::to_string(each.primary.value);
        auto turn = std::find(reign.begin(), reign.end(), each.primary);
        if (turn == reign.end()) return refused(who + " is none, or was replaced before");
        if (next.primaries.size() >= primaries_max) return refused("too many primaries so far");
        if (each.by.host == nobody || used(next, each.by.usig))
            return refused("counter " + std::to_string(each.by.usig.value) + " was used before");
        if (!known_host(next, each.by.host)) return refused(name(each.by.host) + " is not known");
        for (PrimaryId other : reign)
            if (other != each.primary && next.primaries[other.value].host == each.by.host)
                return refused(name(each.by.host) + " is a primary already");
        *turn = PrimaryId(static_cast<std::uint32_t>(next.primaries.size()));
        next.primaries.push_back(each.by);
        next.usigs[each.by.usig] = each.usig_key;
    }
    next.reigns.push_back(std::move(reign));
    return {};
}

Result<void> set_clients(Configuration& next, const ConfigChange& change) {
    for (const SetClient& each : change.clients) {
        std::string who = "client " + std::to_string(each.client.value);
        if (each.client == config_client) return refused(who + " is what admins are");
        if (!each.key.empty() && each.key.size() != key_size && each.key.size() != web_key_size)
            return refused(who + " needs an Ed25519 or a P-256 key");
        if (each.key.empty() && next.removed(each.client)) return refused(who + " is none already");
        auto known = next.clients.find(each.client);
        if (known != next.clients.end() && !each.key.empty() && known->second == each.key)
            return refused(who + " has this key already");
        next.clients[each.client] = each.key;
    }
    return {};
}

// Of a number that this program does not know another may know the meaning, and all must judge the
// same.
Result<void> set_parameters(const Configuration& current, Configuration& next,
                            const ConfigChange& change) {
    for (const SetParameter& each : change.parameters) {
        if (each.parameter == Parameter::features && each.value <= current.features())
            return refused("feature level " + std::to_string(current.features()) +
                           " is in force: levels only rise");
        next.parameters[each.parameter] = each.value;
    }
    return {};
}

Result<void> set_admins(Configuration& next, const AdminKeys& admins) {
    auto sorted = admins.keys;
    sorted.insert(sorted.end(), admins.movers.begin(), admins.movers.end());
    std::sort(sorted.begin(), sorted.end());
    bool doubled = std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end();
    bool sized = std::all_of(sorted.begin(), sorted.end(),
                             [](const Bytes& key) { return key.size() == key_size; });
    if (admins.keys.empty() || sorted.size() > admins_max || doubled || !sized)
        return refused("admin keys are one to " + std::to_string(admins_max) +
                       " different Ed25519 keys");
    if (admins.quorum == 0 || admins.quorum > admins.keys.size())
        return refused("of " + std::to_string(admins.keys.size()) + " admin keys, " +
                       std::to_string(admins.quorum) + " cannot be needed");
    next.former_admins[next.version] = std::exchange(next.admins, admins);
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
        const Group* to = next.group(move.to);
        if (to == nullptr) return refused(name(move.to) + " does not exist");
        if (to->removed()) return refused(name(move.to) + " was removed");
        if (owner->second == move.to)
            return refused(name(move.partition) + " is with " + name(move.to) + " already");
        owner->second = move.to;
    }
    if (auto done = add_hosts(next, change); !done) return done.error();
    if (auto done = replace_all(current, next, change); !done) return done.error();
    if (auto done = replace_voters(next, change); !done) return done.error();
    if (auto done = replace_primaries(next, change); !done) return done.error();
    if (change.held != held_by(current, change))
        return refused("the change does not name the partitions that it touches");
    if (auto done = set_clients(next, change); !done) return done.error();
    if (change.admins)
        if (auto done = set_admins(next, *change.admins); !done) return done.error();
    if (auto done = set_parameters(current, next, change); !done) return done.error();
    if (auto done = add_groups(next, change); !done) return done.error();
    if (auto done = remove_groups(current, next, change); !done) return done.error();
    return next;
}

}  // namespace bft::consensus

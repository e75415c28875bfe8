#include "admin_node.hpp"

#include "consensus/signed_bytes.hpp"
#include "wire/codec.hpp"

#include <algorithm>

namespace bft::sim {

using namespace consensus;

namespace {

constexpr ClientId admin_client{900};
constexpr Duration patience = 400ms;
constexpr std::uint8_t of_client = 4;
constexpr std::uint8_t of_admin = 5;

/// As long as a real one.
Bytes numbered_key(std::uint8_t whose, std::uint64_t number) {
    Bytes key(32, whose);
    for (std::size_t i = 0; i < 8; ++i) key[24 + i] = static_cast<std::uint8_t>(number >> (8 * i));
    return key;
}

}  // namespace

AdminNode::AdminNode(Cluster& cluster, Prng prng)
    : cluster_(cluster),
      self_(Endpoint::of_client(admin_client)),
      prng_(prng),
      history_(cluster.membership) {
    cluster.nodes[self_] = this;
}

void AdminNode::start() {
    auto mean = static_cast<std::uint64_t>(cluster_.plan.moves_every.count());
    cluster_.time.after(Duration(prng_.below(2 * mean + 1)), [this] {
        if (stopped_) return;
        if (!wanted_) change_something();
        start();
    });
}

ConfigChange AdminNode::some_change() {
    const Configuration& now = history_.newest();
    ConfigChange change;
    change.version = now.version.next();
    const std::vector<Group> there = groups();
    for (const auto& [partition, owner] : now.owners) {
        if (partition.value == 0 || !prng_.chance(change.moves.empty() ? 500 : 250)) continue;
        const Group& to = there[prng_.below(there.size())];
        if (to.id != owner && to.id != leaving_) change.moves.push_back({partition, to.id});
    }
    if (replaced_ < cluster_.plan.replacements && prng_.chance(600)) {
        if (prng_.chance(600)) change.moves.clear();
        replace_someone(change);
        replace_database(change);
        if (prng_.chance(300)) replace_primary(change);
        change.held = held_by(now, change);
    }
    if (client_changes_ < cluster_.plan.client_changes && prng_.chance(600)) change_clients(change);
    if (group_changes_ < cluster_.plan.group_changes && prng_.chance(600)) change_groups(change);
    return change;
}

std::vector<Group> AdminNode::groups() const {
    std::vector<Group> there = history_.newest().groups;
    std::erase_if(there, [](const Group& group) { return group.removed(); });
    return there;
}

// One that owns nothing goes, or is given something; one gives away what it has, to go next; or one
// comes.
void AdminNode::change_groups(ConfigChange& change) {
    const Configuration& now = history_.newest();
    std::vector<GroupId> idle;
    std::vector<GroupId> busy;
    for (const Group& group : groups()) {
        if (group.id == now.owner(PartitionId(0))) continue;
        bool owns = std::any_of(now.owners.begin(), now.owners.end(),
                                [&](const auto& owned) { return owned.second == group.id; });
        (owns ? busy : idle).push_back(group.id);
    }
    auto one_of = [&](const auto& some) { return some[prng_.below(some.size())]; };
    if (leaving_ && std::find(idle.begin(), idle.end(), *leaving_) != idle.end() &&
        prng_.chance(800))
        return remove_group(*leaving_, change);
    if (!idle.empty() && prng_.chance(500)) return remove_group(one_of(idle), change);
    if (!idle.empty() && prng_.chance(300)) return employ_group(one_of(idle), change);
    if (!busy.empty() && prng_.chance(600)) return empty_group(one_of(busy), change);
    add_group(change);
}

void AdminNode::remove_group(GroupId out, ConfigChange& change) {
    std::erase_if(change.moves, [&](const MovePartition& move) { return move.to == out; });
    std::erase_if(change.replacements, [&](const auto& each) { return each.group == out; });
    change.groups_removed = {out};
    change.held = held_by(history_.newest(), change);
}

void AdminNode::employ_group(GroupId group, ConfigChange& change) {
    const PartitionId given(1 + static_cast<std::uint32_t>(prng_.below(cluster_.plan.partitions)));
    std::erase_if(change.moves, [&](const MovePartition& move) { return move.partition == given; });
    change.moves.push_back({given, group});
    std::sort(change.moves.begin(), change.moves.end());
    change.held = held_by(history_.newest(), change);
}

// To anybody who stays; in the same moment, perhaps, a member of it is replaced.
void AdminNode::empty_group(GroupId out, ConfigChange& change) {
    const Configuration& now = history_.newest();
    std::erase_if(change.moves, [&](const MovePartition& move) {
        return move.to == out || now.owner(move.partition) == out;
    });
    std::vector<Group> others = groups();
    std::erase_if(others, [&](const Group& group) { return group.id == out; });
    for (const auto& [partition, owner] : now.owners)
        if (owner == out)
            change.moves.push_back({partition, others[prng_.below(others.size())].id});
    std::sort(change.moves.begin(), change.moves.end());
    if (change.replacements.empty() && replaced_ < cluster_.plan.replacements && prng_.chance(400))
        replace_member(*now.group(out), change);
    change.held = held_by(now, change);
    leaving_ = out;
}

// On hosts that are there, or on new ones beside them.
void AdminNode::add_group(ConfigChange& change) {
    AddGroup added{GroupId(newest_group_++), {}};
    for (std::uint32_t j = 0; j < cluster_.plan.replicas(); ++j) {
        HostId host(j);
        if (prng_.chance(500)) {
            host = HostId(cluster_.plan.machines() * (1 + hosts_) + j);
            ++hosts_;
            introduce(host, change);
        }
        added.members.push_back({{host, UsigId(newest_usig_++)}, {1}});
    }
    change.groups_added.push_back(std::move(added));
}

// CF12. Clients of the cluster file stay what they are; the others come, change their key while
// they call, and go. Old admin keys sign which ones come.
void AdminNode::change_clients(ConfigChange& change) {
    const Configuration& now = history_.newest();
    for (const auto& [client, key] : now.clients) {
        if (!prng_.chance(400)) continue;
        if (!key.empty() && prng_.chance(400))
            change.clients.push_back({client, {}});
        else
            change.clients.push_back({client, numbered_key(of_client, ++newest_key_)});
    }
    if (now.clients.size() < 4 && (change.clients.empty() || prng_.chance(300)))
        change.clients.push_back(
            {ClientId(newest_client_++), numbered_key(of_client, ++newest_key_)});
    if (prng_.chance(300)) {
        change.admins.emplace();
        change.admins->quorum = prng_.chance(500) ? 2 : 1;
        for (int i = 0; i < 3; ++i)
            change.admins->keys.push_back(numbered_key(of_admin, ++newest_key_));
    }
    if (now.features() < features_max && prng_.chance(400))
        change.parameters.push_back({Parameter::features, features_max});
}

void AdminNode::tell_clients(const Configuration& before) {
    const Configuration& now = history_.newest();
    for (const auto& [client, key] : now.clients) {
        auto old = before.clients.find(client);
        const Bytes had = old == before.clients.end() ? Bytes{} : old->second;
        if (had != key) on_client(client, had, key);
    }
    for (const Group& group : now.groups) {
        const Group* old = before.group(group.id);
        if (old == nullptr) {
            cluster_.reach("a group is added");
            strike_new_member(group);
        } else if (group.removed() && !old->removed()) {
            cluster_.reach("a group is removed");
            if (group.added.value != 0) cluster_.reach("a group that was added is removed");
            if (employed_.contains(group.id))
                cluster_.reach("a group that had partitions is removed");
            for (std::uint32_t p = 0; p < old->members.size(); ++p)
                if (old->active(Position(p)) && faulty(Endpoint::replica(group.id, Position(p))))
                    cluster_.reach("a group is removed: a member is dead, lies, or is not warm");
        }
    }
    for (const auto& [partition, owner] : now.owners) employed_.insert(owner);
    if (before.admins != now.admins) cluster_.reach("admin keys are replaced");
    if (before.features() != now.features()) cluster_.reach("a feature level is switched on");
}

// I8. One that was to be ready never comes, where no other of its group is lost.
void AdminNode::strike_new_member(const Group& group) {
    if (!prng_.chance(250)) return;
    for (std::uint32_t p = 0; p < group.members.size(); ++p)
        if (!cluster_.correct(Endpoint::replica(group.id, Position(p))) ||
            cluster_.plan.gone.contains(group.members[p].host.value))
            return;
    const Position one(static_cast<std::uint32_t>(prng_.below(group.members.size())));
    strike_dead(Endpoint::replica(group.id, one));
    cluster_.reach("a group is added without one of its members");
}

// A seat that is empty or lies for good, or is not warm yet.
bool AdminNode::faulty(const Endpoint& member) const {
    auto host = cluster_.membership.host_of(member);
    return !cluster_.correct(member) || !host || cluster_.plan.gone.contains(host->value) ||
           !caught_up(member);
}

// CF1: what an operator must see to. With the new member, which counts as faulty until it has
// caught up, no more than f seats of the group are.
void AdminNode::replace_someone(ConfigChange& change) {
    const std::vector<Group> there = groups();
    replace_member(there[prng_.below(there.size())], change);
}

void AdminNode::replace_member(const Group& group, ConfigChange& change) {
    std::vector<Position> members;
    for (std::uint32_t p = 0; p < group.members.size(); ++p)
        if (group.active(Position(p))) members.push_back(Position(p));
    Position out = members[prng_.below(members.size())];
    std::size_t others = 0;
    for (Position each : members)
        if (each != out && faulty(Endpoint::replica(group.id, each))) ++others;
    if (others + 1 > history_.newest().f) return;
    HostId host(cluster_.plan.machines() * (1 + hosts_) +
                group.members[out.value].host.value % cluster_.plan.machines());
    ++hosts_;
    introduce(host, change);
    change.replacements.push_back({group.id, out, {host, UsigId(newest_usig_++)}, {1}});
}

// One that is being rebuilt comes to an end first: f_D of them at most are not as they should be.
// Beyond 2f_D+1 each comes once, one after the other.
void AdminNode::replace_database(ConfigChange& change) {
    for (std::uint32_t voter : cluster_.plan.databases_replaced) {
        const std::size_t now = history_.newest().voters.size();
        if (voter > now || (voter >= cluster_.plan.voters() && voter < now)) continue;
        if (!prng_.chance(300)) continue;
        HostId host(cluster_.plan.machines() * (1 + hosts_) + voter % cluster_.plan.machines());
        ++hosts_;
        introduce(host, change);
        change.voters.push_back({VoterId(voter), host});
    }
}

// One that is correct and there stays among those who lead now: else nobody orders the change.
void AdminNode::replace_primary(ConfigChange& change) {
    const Membership& membership = cluster_.membership;
    std::vector<PrimaryId> reign;
    if (!membership.reigns.empty()) reign = membership.reigns.back();
    for (std::uint32_t p = 0; membership.reigns.empty() && p < membership.primaries.size(); ++p)
        reign.emplace_back(p);
    const PrimaryId out = reign[prng_.below(reign.size())];
    bool another = std::any_of(reign.begin(), reign.end(), [&](PrimaryId p) {
        return p != out && !faulty(Endpoint::primary(p));
    });
    if (!another) return;
    HostId host(cluster_.plan.machines() * (1 + hosts_) +
                membership.primaries[out.value].host.value % cluster_.plan.machines());
    ++hosts_;
    introduce(host, change);
    change.primaries.push_back({out, {host, UsigId(newest_usig_++)}, {1}});
}

void AdminNode::introduce(HostId host, ConfigChange& change) {
    const std::string name = "host" + std::to_string(host.value);
    AddHost added{host, {name, name + ":7000", cluster_.tokens.host_key(host)}};
    auto after = std::find_if(change.hosts.begin(), change.hosts.end(),
                              [&](const AddHost& other) { return other.host > host; });
    change.hosts.insert(after, std::move(added));
}

// As many of the three keys as must sign, or all.
Body AdminNode::sign(ConfigChange change) {
    Digest digest = change_digest(cluster_.membership.cluster, change);
    const AdminKeys& admins = history_.newest().admins;
    std::uint64_t without = prng_.below(3);
    for (std::uint32_t key = 0; key < 3; ++key)
        if (key != without)
            change.signatures.push_back({key, cluster_.tokens.sign(admins.keys[key], digest)});
    auto request = std::make_shared<Request>(config_request(change));
    request->raw = wire::encode_request(*request);
    request->rd = request_digest(request->raw);
    cluster_.checker.requested(request);
    return request;
}

void AdminNode::change_something() {
    ConfigChange change = some_change();
    if (change.changes() == 0) return;
    if (!change.clients.empty() || change.admins || !change.parameters.empty()) ++client_changes_;
    for (const ReplaceReplica& each : change.replacements) {
        ++replaced_;
        if (prng_.chance(400)) strike_dead(Endpoint::replica(each.group, each.position));
    }
    for (const ReplacePrimary& each : change.primaries)
        if (prng_.chance(400)) strike_dead(Endpoint::primary(each.primary));
    if (!change.groups_added.empty() || !change.groups_removed.empty()) ++group_changes_;
    for (GroupId removed : change.groups_removed)
        if (prng_.chance(300))
            for (const Endpoint& member : cluster_.membership.replicas(removed))
                if (prng_.chance(600)) strike_dead(member);
    if (cluster_.plan.group_changes > 0 && prng_.chance(250))
        cluster_.time.after(Duration(prng_.below(400'000'000)), [this, version = change.version] {
            if (wanted_ == version) end_view();
        });
    wanted_ = change.version;
    request_ = sign(std::move(change));
    rival_ = nullptr;
    if (ConfigChange other = some_change();
        !other.moves.empty() && other.changes() == other.moves.size() && prng_.chance(250))
        rival_ = sign(std::move(other));
    cluster_.log(self_, "wants configuration " + std::to_string(wanted_->value));
    ask();
}

// Everybody who may order it and everybody who sees to that, until a barrier says what became of
// it.
void AdminNode::ask() {
    if (!wanted_) return;
    std::vector<Endpoint> to =
        cluster_.membership.replicas(*cluster_.membership.owner(PartitionId(0)));
    for (const Endpoint& each : cluster_.membership.all_primaries()) to.push_back(each);
    for (const Endpoint& each : to) {
        bool other = rival_ && prng_.chance(500);
        cluster_.network.send(self_, {{each}, other ? rival_ : request_});
        cluster_.network.send(self_, {{each}, FetchConfig{history_.newest().version}});
    }
    cluster_.time.after(patience, [this, version = *wanted_] {
        if (wanted_ == version) ask();
    });
}

void AdminNode::receive(const Network::Packet& packet) {
    const auto* barrier = std::get_if<BarrierCertPtr>(&packet->payload());
    const Configuration before = history_.newest();
    if (barrier == nullptr || !history_.skip_to(*barrier)) return;
    tell_clients(before);
    if (!wanted_ || *wanted_ > version()) return;
    wanted_.reset();
    if (rival_) cluster_.reach("two admins wanted one version");
}

}  // namespace bft::sim

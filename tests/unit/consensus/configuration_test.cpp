#include "consensus/config_change.hpp"
#include "consensus/reign.hpp"

#include <gtest/gtest.h>

#include <functional>

namespace bft::consensus {
namespace {

Membership three_groups() {
    Membership m;
    m.version = ConfigVersion(1);
    m.primaries = {{HostId(3), UsigId(0)}, {HostId(4), UsigId(1)}};
    std::uint32_t usig = 2;
    for (std::uint32_t g = 1; g <= 3; ++g) {
        Group group{GroupId(g), {}};
        for (std::uint32_t j = 0; j < 3; ++j) group.members.push_back({HostId(j), UsigId(usig++)});
        m.groups.push_back(std::move(group));
    }
    for (std::uint32_t p = 0; p <= 6; ++p) m.owners[PartitionId(p)] = GroupId(1 + p % 3);
    m.owners[PartitionId(0)] = GroupId(1);
    m.voters = {HostId(0), HostId(1), HostId(2)};
    m.admins = {2, {{1, 2}, {3, 4}, {5, 6}}};
    return m;
}

ConfigChange move(std::uint64_t version, std::uint32_t partition, std::uint32_t group) {
    return {ConfigVersion(version), {{PartitionId(partition), GroupId(group)}}, {}};
}

TEST(Configuration, ComesBackFromItsEncodingAndNothingElseDoes) {
    Configuration c = configuration_of(three_groups());
    Bytes bytes = encode(c);
    auto back = decode_configuration(bytes);
    ASSERT_TRUE(back);
    EXPECT_EQ(encode(*back), bytes);
    EXPECT_EQ(configuration_digest(*back), configuration_digest(c));
    for (std::size_t size = 0; size < bytes.size(); ++size)
        EXPECT_FALSE(decode_configuration(ByteView(bytes).first(size))) << size;
    bytes.push_back(0);
    EXPECT_FALSE(decode_configuration(bytes));
}

TEST(Configuration, AHugeListIsRefusedBeforeItIsRead) {
    Bytes bytes = encode(configuration_of(three_groups()));
    for (std::size_t at = 20; at < 24; ++at) bytes[at] = 0xff;  // number of primaries
    EXPECT_FALSE(decode_configuration(bytes));
}

TEST(Configuration, EachFieldCountsInItsDigest) {
    Configuration c = configuration_of(three_groups());
    Configuration other = c;
    other.owners[PartitionId(3)] = GroupId(2);
    EXPECT_NE(configuration_digest(c), configuration_digest(other));
    other = c;
    other.groups[1].members[2].usig = UsigId(99);
    EXPECT_NE(configuration_digest(c), configuration_digest(other));
    other = c;
    other.admins.quorum = 1;
    EXPECT_NE(configuration_digest(c), configuration_digest(other));
}

TEST(ConfigChange, MovesAPartition) {
    Configuration c = configuration_of(three_groups());
    auto next = apply(c, move(2, 3, 2));
    ASSERT_TRUE(next);
    EXPECT_EQ(next->version, ConfigVersion(2));
    EXPECT_EQ(next->owner(PartitionId(3)), GroupId(2));
    EXPECT_EQ(next->owner(PartitionId(4)), c.owner(PartitionId(4)));
}

TEST(ConfigChange, EveryRefusalHasItsName) {
    Configuration c = configuration_of(three_groups());
    auto why = [&](const ConfigChange& change) {
        auto next = apply(c, change);
        return next ? std::string("applied") : next.error().what;
    };
    EXPECT_NE(why(move(1, 3, 2)).find("another change came first"), std::string::npos);
    EXPECT_NE(why(move(3, 3, 2)).find("another change came first"), std::string::npos);
    EXPECT_NE(why(move(2, 0, 2)).find("partition 0 stays"), std::string::npos);
    EXPECT_NE(why(move(2, 9, 2)).find("partition 9 does not exist"), std::string::npos);
    EXPECT_NE(why(move(2, 3, 7)).find("group 7 does not exist"), std::string::npos);
    EXPECT_NE(why(move(2, 3, 1)).find("is with group 1 already"), std::string::npos);
}

TEST(ConfigChange, ComesBackFromItsEncodingInOneFormOnly) {
    ConfigChange change = move(2, 3, 2);
    change.moves.push_back({PartitionId(5), GroupId(1)});
    change.signatures = {{0, {7, 7}}, {2, {8}}};
    auto back = decode_change(encode(change));
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, change);
    std::swap(change.moves[0], change.moves[1]);
    EXPECT_FALSE(decode_change(encode(change))) << "moves out of order";
    std::swap(change.moves[0], change.moves[1]);
    change.signatures[1].key = 0;
    EXPECT_FALSE(decode_change(encode(change))) << "one key twice";
    change.signatures.clear();
    change.moves.clear();
    EXPECT_FALSE(decode_change(encode(change))) << "nothing to do";
}

TEST(ConfigChange, SignaturesAreNotSigned) {
    ConfigChange change = move(2, 3, 2);
    Digest digest = change_digest({}, change);
    change.signatures = {{0, {7}}};
    EXPECT_EQ(change_digest({}, change), digest);
    change.version = ConfigVersion(3);
    EXPECT_NE(change_digest({}, change), digest);
}

TEST(ConfigChange, ItsRequestTouchesWhatMoves) {
    Request request = config_request(move(4, 3, 2));
    EXPECT_EQ(request.id, (RequestId{config_client, PartitionId(0), ClientSeq(4)}));
    EXPECT_EQ(request.parts, (std::vector{PartitionId(0), PartitionId(3)}));
}

BarrierCertPtr barrier(const ConfigHistory& history, std::uint64_t slot,
                       const ConfigChange& change) {
    auto made = std::make_shared<BarrierCert>();
    made->slot = Slot(slot);
    made->config = std::make_shared<const Configuration>(*apply(history.newest(), change));
    return made;
}

TEST(ConfigHistory, EachSlotHasItsConfiguration) {
    ConfigHistory history(three_groups());
    EXPECT_FALSE(history.changed());
    EXPECT_TRUE(history.digest_after(Slot(100)).is_zero());
    auto first = barrier(history, 10, move(2, 3, 2));
    ASSERT_TRUE(history.establish(first));
    EXPECT_FALSE(history.establish(first));
    EXPECT_EQ(history.owner(Slot(10), PartitionId(3)), GroupId(1));
    EXPECT_EQ(history.owner(Slot(11), PartitionId(3)), GroupId(2));
    EXPECT_TRUE(history.digest_after(Slot(9)).is_zero());
    EXPECT_EQ(history.digest_after(Slot(10)), configuration_digest(*first->config));
    EXPECT_EQ(history.barrier_at(Slot(10)), first);
    EXPECT_EQ(history.barrier_at(Slot(11)), nullptr);
    EXPECT_EQ(history.since(Slot(10)), Slot(0));
    EXPECT_EQ(history.since(Slot(11)), Slot(10));
}

TEST(ConfigHistory, OnlyTheNextOneFollowsUnlessWhatLiesBetweenIsPast) {
    ConfigHistory far(three_groups());
    ASSERT_TRUE(far.establish(barrier(far, 10, move(2, 3, 2))));
    ASSERT_TRUE(far.establish(barrier(far, 20, move(3, 3, 3))));
    ConfigHistory history(three_groups());
    EXPECT_FALSE(history.establish(far.barrier()));
    EXPECT_EQ(far.after(ConfigVersion(1))->slot, Slot(10));
    EXPECT_EQ(far.after(ConfigVersion(2))->slot, Slot(20));
    EXPECT_EQ(far.after(ConfigVersion(3)), nullptr);
    EXPECT_TRUE(history.skip_to(far.barrier()));
    EXPECT_EQ(history.owner(Slot(21), PartitionId(3)), GroupId(3));
}

// --- members ---

AddHost new_host(std::uint32_t host) {
    const std::string name = "host" + std::to_string(host);
    return {HostId(host), {name, name + ":7000", Bytes(32, static_cast<std::uint8_t>(host))}};
}

ConfigChange replace(const Configuration& now, std::uint32_t group, std::uint32_t position,
                     std::uint32_t host, std::uint32_t usig) {
    ConfigChange change;
    change.version = now.version.next();
    if (host >= 10) change.hosts.push_back(new_host(host));
    change.replacements.push_back(
        {GroupId(group), Position(position), {HostId(host), UsigId(usig)}, {8}});
    change.held = held_by(now, change);
    return change;
}

TEST(ReplaceReplica, GivesTheSeatToAnotherPosition) {
    Configuration now = configuration_of(three_groups());
    const GroupId group = now.groups.front().id;
    const std::uint32_t n = 2 * now.f + 1;
    auto next = apply(now, replace(now, group.value, 1, 77, 901));
    ASSERT_TRUE(next) << next.error().what;
    EXPECT_FALSE(next->active(group, Position(1)));
    EXPECT_TRUE(next->active(group, Position(1 + n)));
    EXPECT_FALSE(next->active(group, Position(n))) << "nobody has replaced position 0";
    EXPECT_EQ(next->hosts.at(HostId(77)), new_host(77).joined);

    Membership membership = three_groups();
    follow(membership, *next);
    EXPECT_EQ(membership.replicas(group).size(), n);
    EXPECT_EQ(membership.seat(Position(1 + n)), 1u);
    EXPECT_TRUE(membership.usig_of(Endpoint::replica(group, Position(1)))) << "still known";
    EXPECT_FALSE(membership.usig_of(Endpoint::replica(group, Position(n))));
    EXPECT_EQ(*membership.identity_key(Endpoint::replica(group, Position(1 + n))), Bytes(32, 77));

    auto again = apply(*next, replace(*next, group.value, 0, 78, 902));
    ASSERT_TRUE(again) << again.error().what;
    EXPECT_TRUE(again->active(group, Position(n)));
    auto back = decode_configuration(encode(*again));
    ASSERT_TRUE(back);
    EXPECT_EQ(encode(*back), encode(*again));
}

TEST(ReplaceReplica, EveryRefusalHasItsName) {
    Configuration now = configuration_of(three_groups());
    const std::uint32_t group = now.groups.front().id.value;
    auto why = [&](const ConfigChange& change) {
        auto next = apply(now, change);
        return next ? std::string() : next.error().what;
    };
    EXPECT_NE(why(replace(now, 99, 0, 77, 901)), "");
    EXPECT_NE(why(replace(now, group, 9, 77, 901)).find("not a member"), std::string::npos);
    std::uint32_t known = now.groups.front().members[1].usig.value;
    EXPECT_NE(why(replace(now, group, 0, 77, known)).find("used before"), std::string::npos);
    ConfigChange beside = replace(now, group, 0, now.groups.front().members[1].host.value, 901);
    EXPECT_NE(why(beside).find("member of the group already"), std::string::npos);
    ConfigChange keyless = replace(now, group, 0, 77, 901);
    keyless.hosts.clear();
    EXPECT_NE(why(keyless).find("not known"), std::string::npos);
    ConfigChange partial = replace(now, group, 0, 77, 901);
    ASSERT_FALSE(partial.held.empty());
    partial.held.pop_back();
    EXPECT_NE(why(partial).find("partitions that it touches"), std::string::npos);
    ConfigChange many = replace(now, group, 0, 77, 901);
    for (std::uint32_t p = 1; p <= now.f; ++p)
        many.replacements.push_back(
            {GroupId(group), Position(p), {HostId(77 + p), UsigId(901 + p)}, {1}});
    EXPECT_NE(why(many).find("more than f"), std::string::npos);
    ConfigChange nameless = replace(now, group, 0, 77, 901);
    nameless.hosts[0].joined.name.clear();
    EXPECT_NE(why(nameless).find("needs a name"), std::string::npos);
    ConfigChange twice = replace(now, group, 0, 77, 901);
    twice.hosts.push_back(new_host(78));
    twice.hosts[1].joined.key = twice.hosts[0].joined.key;
    EXPECT_NE(why(twice).find("the key of"), std::string::npos);
}

TEST(ReplaceReplica, ComesBackFromItsEncoding) {
    Configuration now = configuration_of(three_groups());
    ConfigChange change = replace(now, now.groups.front().id.value, 2, 77, 901);
    auto back = decode_change(encode(change));
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, change);
    EXPECT_EQ(parts_of(change).size(), change.held.size() + 1);
}

// --- databases, clients, keys, parameters ---

ConfigChange nothing_yet(const Configuration& now) {
    ConfigChange change;
    change.version = now.version.next();
    return change;
}

TEST(ReplaceVoter, AnotherHostAnswersAndEveryPartitionNotices) {
    Configuration now = configuration_of(three_groups());
    ConfigChange change = nothing_yet(now);
    change.hosts.push_back(new_host(77));
    change.voters.push_back({VoterId(2), HostId(77)});
    EXPECT_FALSE(apply(now, change)) << "the partitions are not named";
    change.held = held_by(now, change);
    EXPECT_EQ(change.held.size(), 6u);
    auto next = apply(now, change);
    ASSERT_TRUE(next) << next.error().what;
    Membership membership = three_groups();
    follow(membership, *next);
    EXPECT_EQ(membership.host_of(Endpoint::voter(VoterId(2))), HostId(77));
    EXPECT_EQ(*membership.identity_key(Endpoint::voter(VoterId(2))), Bytes(32, 77));
    auto back = decode_configuration(encode(*next));
    ASSERT_TRUE(back);
    EXPECT_EQ(encode(*back), encode(*next));

    auto why = [&](const std::function<void(ConfigChange&)>& spoil) {
        ConfigChange spoilt = change;
        spoil(spoilt);
        spoilt.held = held_by(now, spoilt);
        auto applied = apply(now, spoilt);
        return applied ? std::string() : applied.error().what;
    };
    EXPECT_NE(why([](auto& c) { c.voters[0].voter = VoterId(4); }).find("does not exist"),
              std::string::npos);
    EXPECT_NE(why([](auto& c) { c.voters[0].by = HostId(0); }).find("has a database"),
              std::string::npos);
    EXPECT_NE(why([](auto& c) { c.hosts.clear(); }).find("not known"), std::string::npos);
    EXPECT_NE(why([](auto& c) {
                  c.voters.insert(c.voters.begin(), {VoterId(1), HostId(77)});
              }).find("more than f"),
              std::string::npos);
}

TEST(ReplaceVoter, TheNumberOfDatabasesIsThePlaceOfOneMore) {
    Configuration now = configuration_of(three_groups());
    ConfigChange change = nothing_yet(now);
    change.hosts = {new_host(77), new_host(78)};
    change.voters = {{VoterId(3), HostId(77)}, {VoterId(4), HostId(78)}};
    change.held = held_by(now, change);
    EXPECT_EQ(change.held.size(), 6u);
    auto next = apply(now, change);
    ASSERT_TRUE(next) << next.error().what;
    EXPECT_EQ(next->voters.size(), 5u);
    Membership membership = three_groups();
    follow(membership, *next);
    EXPECT_EQ(membership.database_quorum(), 2u) << "one of two that agree is correct, as before";
    EXPECT_EQ(membership.host_of(Endpoint::voter(VoterId(4))), HostId(78));
    EXPECT_EQ(membership.all_voters().size(), 5u);
    auto back = decode_configuration(encode(*next));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->voters, next->voters);
    change.voters[0].voter = VoterId(5);
    std::swap(change.voters[0], change.voters[1]);
    auto gap = apply(now, change);
    ASSERT_FALSE(gap);
    EXPECT_NE(gap.error().what.find("does not exist"), std::string::npos);
    // As many places change hands as before.
    change.voters = {{VoterId(0), HostId(77)}, {VoterId(3), HostId(78)}};
    EXPECT_TRUE(apply(now, change));
    now.voters.clear();
    change.voters = {{VoterId(0), HostId(77)}};
    auto none = apply(now, change);
    ASSERT_FALSE(none);
    EXPECT_NE(none.error().what.find("no databases"), std::string::npos);
}

TEST(ReplacePrimary, LeadsFromTheNextEpochOn) {
    Configuration now = configuration_of(three_groups());
    ConfigChange change = nothing_yet(now);
    change.hosts.push_back(new_host(77));
    change.primaries.push_back({PrimaryId(0), {HostId(77), UsigId(901)}, {8}});
    EXPECT_EQ(parts_of(change), std::vector<PartitionId>{PartitionId(0)});
    auto back = decode_change(encode(change));
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, change);
    auto next = apply(now, change);
    ASSERT_TRUE(next) << next.error().what;
    Membership membership = three_groups();
    const View later(std::uint64_t{1} << 32);
    EXPECT_FALSE(membership.knows(later));
    follow(membership, *next);
    EXPECT_TRUE(membership.knows(later));
    EXPECT_FALSE(membership.knows(View(std::uint64_t{2} << 32)));
    EXPECT_EQ(membership.primary_of(View(2)), PrimaryId(0)) << "as it was in views of before";
    EXPECT_EQ(membership.primary_of(later), PrimaryId(2));
    EXPECT_EQ(membership.primary_of(later.next()), PrimaryId(1));
    EXPECT_EQ(membership.after(View(7)), later);
    EXPECT_EQ(membership.after(later), later.next());
    EXPECT_EQ(membership.usig_of(Endpoint::primary(PrimaryId(2))), UsigId(901));
    EXPECT_EQ(reign_of(three_groups()), (std::vector{PrimaryId(0), PrimaryId(1)}));
    EXPECT_EQ(reign_of(membership), (std::vector{PrimaryId(2), PrimaryId(1)}));
    EXPECT_EQ(membership.all_primaries().size(), 3u);
    auto again = decode_configuration(encode(*next));
    ASSERT_TRUE(again);
    EXPECT_EQ(configuration_digest(*again), configuration_digest(*next));

    auto why = [&](std::uint32_t out, HostId host, UsigId usig) {
        ConfigChange other = nothing_yet(*next);
        other.primaries.push_back({PrimaryId(out), {host, usig}, {8}});
        auto applied = apply(*next, other);
        return applied ? std::string() : applied.error().what;
    };
    EXPECT_NE(why(0, HostId(0), UsigId(902)).find("replaced before"), std::string::npos);
    EXPECT_NE(why(1, HostId(77), UsigId(902)).find("a primary already"), std::string::npos);
    EXPECT_NE(why(1, HostId(0), UsigId(901)).find("used before"), std::string::npos);
    EXPECT_NE(why(1, HostId(78), UsigId(902)).find("not known"), std::string::npos);
    EXPECT_EQ(why(1, HostId(0), UsigId(902)), "");
}

TEST(SetClient, ComesChangesItsKeyAndGoes) {
    Configuration now = configuration_of(three_groups());
    ConfigChange change = nothing_yet(now);
    change.clients = {{ClientId(1), {}}, {ClientId(9), Bytes(32, 9)}, {ClientId(10), Bytes(65, 4)}};
    EXPECT_EQ(parts_of(change), std::vector<PartitionId>{PartitionId(0)});
    auto back = decode_change(encode(change));
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, change);
    auto next = apply(now, change);
    ASSERT_TRUE(next) << next.error().what;
    EXPECT_EQ(next->clients.at(ClientId(9)), Bytes(32, 9));
    EXPECT_TRUE(next->clients.at(ClientId(1)).empty());
    auto again = decode_configuration(encode(*next));
    ASSERT_TRUE(again);
    EXPECT_EQ(configuration_digest(*again), configuration_digest(*next));

    change.clients = {{ClientId(9), Bytes(31, 9)}};
    EXPECT_FALSE(apply(now, change));
    change.clients = {{config_client, Bytes(32, 9)}};
    EXPECT_FALSE(apply(now, change));
}

TEST(AdminKeys, AreReplacedAsAWhole) {
    Configuration now = configuration_of(three_groups());
    ConfigChange change = nothing_yet(now);
    change.admins = AdminKeys{2, {Bytes(32, 1), Bytes(32, 2)}, {Bytes(32, 3)}};
    auto back = decode_change(encode(change));
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, change);
    auto next = apply(now, change);
    ASSERT_TRUE(next) << next.error().what;
    Membership membership = three_groups();
    follow(membership, *next);
    EXPECT_EQ(membership.admins, *change.admins);
    auto again = decode_configuration(encode(*next));
    ASSERT_TRUE(again);
    EXPECT_EQ(again->admins, *change.admins);
    EXPECT_EQ(again->former_admins, next->former_admins);
    for (const AdminKeys& bad :
         {AdminKeys{0, {Bytes(32, 1)}}, AdminKeys{2, {Bytes(32, 1)}}, AdminKeys{1, {}},
          AdminKeys{1, {Bytes(31, 1)}}, AdminKeys{1, {Bytes(32, 1), Bytes(32, 1)}},
          AdminKeys{1, {Bytes(32, 1)}, {Bytes(32, 1)}}}) {
        change.admins = bad;
        EXPECT_FALSE(apply(now, change));
    }
}

TEST(SetParameter, IsPartOfTheConfiguration) {
    Configuration now = configuration_of(three_groups());
    ConfigChange change = nothing_yet(now);
    change.parameters = {{Parameter::features, 3}};
    auto back = decode_change(encode(change));
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, change);
    auto next = apply(now, change);
    ASSERT_TRUE(next);
    EXPECT_EQ(next->parameters.at(Parameter::features), 3u);
    EXPECT_NE(configuration_digest(*next), configuration_digest(now));
    auto again = decode_configuration(encode(*next));
    ASSERT_TRUE(again);
    EXPECT_EQ(again->parameters, next->parameters);
}

AddGroup fourth_group() {
    return {GroupId(4),
            {{{HostId(0), UsigId(50)}, {1}},
             {{HostId(1), UsigId(51)}, {2}},
             {{HostId(2), UsigId(52)}, {3}}}};
}

ConfigChange adds(AddGroup group, std::uint64_t version = 2) {
    ConfigChange change{ConfigVersion(version), {}, {}};
    change.groups_added = {std::move(group)};
    return change;
}

ConfigChange removes(std::uint64_t version, std::uint32_t group) {
    ConfigChange change{ConfigVersion(version), {}, {}};
    change.groups_removed = {GroupId(group)};
    return change;
}

TEST(ConfigChange, AGroupComesAndGoesOnce) {
    Configuration first = configuration_of(three_groups());
    auto with = apply(first, adds(fourth_group()));
    ASSERT_TRUE(with);
    ASSERT_NE(with->group(GroupId(4)), nullptr);
    EXPECT_EQ(with->group(GroupId(4))->added, ConfigVersion(2));
    EXPECT_FALSE(with->signs_barrier(*with->group(GroupId(4)))) << "it was not there before";
    EXPECT_EQ(with->usigs.at(UsigId(51)), Bytes{2});
    EXPECT_EQ(encode(*decode_configuration(encode(*with))), encode(*with));

    auto without = apply(*with, removes(3, 4));
    ASSERT_TRUE(without);
    EXPECT_TRUE(without->group(GroupId(4))->removed());
    EXPECT_FALSE(without->active(GroupId(4), Position(0)));
    EXPECT_FALSE(without->signs_barrier(*without->group(GroupId(4)))) << "it may be dead";
    EXPECT_EQ(encode(*decode_configuration(encode(*without))), encode(*without));
    EXPECT_NE(apply(*without, removes(4, 4)).error().what.find("removed before"),
              std::string::npos);
    EXPECT_NE(apply(*without, move(4, 3, 4)).error().what.find("was removed"), std::string::npos);
    AddGroup again = fourth_group();
    for (NewMember& each : again.members) each.by.usig = UsigId(each.by.usig.value + 10);
    EXPECT_NE(apply(*without, adds(again, 4)).error().what.find("was there before"),
              std::string::npos);
}

TEST(ConfigChange, AGroupOfTheClusterFileGoesOnlyWhenItOwnsNothing) {
    Configuration now = configuration_of(three_groups());
    auto owns = [](const Result<Configuration>& next) {
        return !next && next.error().what.find("owns partitions") != std::string::npos;
    };
    EXPECT_TRUE(owns(apply(now, removes(2, 1)))) << "it orders configurations";
    EXPECT_TRUE(owns(apply(now, removes(2, 3))));
    ConfigChange both = move(2, 2, 1);
    both.moves.push_back({PartitionId(5), GroupId(1)});
    both.groups_removed = {GroupId(3)};
    EXPECT_TRUE(owns(apply(now, both))) << "in a change of its own";
    both.groups_removed.clear();
    now = *apply(now, both);
    ConfigChange gains = move(3, 1, 3);
    gains.groups_removed = {GroupId(3)};
    EXPECT_TRUE(owns(apply(now, gains)));
    auto gone = apply(now, removes(3, 3));
    ASSERT_TRUE(gone);
    EXPECT_EQ(encode(*decode_configuration(encode(*gone))), encode(*gone));
}

TEST(ConfigChange, WhyAGroupIsNotAdded) {
    Configuration c = configuration_of(three_groups());
    auto why = [&](auto&& spoil) {
        AddGroup group = fourth_group();
        spoil(group);
        auto next = apply(c, adds(group));
        return next ? std::string("applied") : next.error().what;
    };
    EXPECT_EQ(why([](AddGroup&) {}), "applied");
    EXPECT_EQ(why([](AddGroup& g) { g.group = GroupId(2); }), "group 2 was there before");
    EXPECT_EQ(why([](AddGroup& g) { g.members.pop_back(); }), "group 4 needs 3 members");
    EXPECT_EQ(why([](AddGroup& g) { g.members[1].by.host = HostId(77); }), "host 77 is not known");
    EXPECT_EQ(why([](AddGroup& g) { g.members[1].by.host = HostId(0); }),
              "host 0 has two seats of group 4");
    EXPECT_EQ(why([](AddGroup& g) { g.members[1].by.usig = UsigId(2); }),
              "counter 2 was used before");
    EXPECT_EQ(why([](AddGroup& g) { g.members[1].by.usig = UsigId(50); }),
              "counter 50 was used before");
}

TEST(ConfigChange, GroupsComeBackFromItsEncoding) {
    ConfigChange change = adds(fourth_group());
    change.groups_removed = {GroupId(2), GroupId(3)};
    EXPECT_EQ(*decode_change(encode(change)), change);
    std::swap(change.groups_removed[0], change.groups_removed[1]);
    EXPECT_FALSE(decode_change(encode(change))) << "out of order";
}

TEST(ConfigHistory, AGroupBeginsWhereItWasAdded) {
    ConfigHistory history(three_groups());
    ASSERT_TRUE(history.establish(barrier(history, 10, move(2, 3, 2))));
    ASSERT_TRUE(history.establish(barrier(history, 20, adds(fourth_group(), 3))));
    EXPECT_EQ(history.began(GroupId(2)), Slot(0));
    EXPECT_EQ(history.began(GroupId(4)), Slot(20));
    ASSERT_TRUE(history.establish(barrier(history, 30, removes(4, 4))));
    EXPECT_EQ(history.began(GroupId(4)), Slot(20));
    ASSERT_NE(history.standing(GroupId(4)), nullptr);
    EXPECT_TRUE(history.standing(GroupId(4))->active(Position(2))) << "as it was last";
}

}  // namespace
}  // namespace bft::consensus

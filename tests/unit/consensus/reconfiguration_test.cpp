// Partitions that move between groups, by the order (protocol.md 3.16; faults.md, class I).
#include "cluster_options.hpp"
#include "consensus/config_change.hpp"

#include <gtest/gtest.h>

namespace bft::consensus::test {
namespace {

const Endpoint p0 = Endpoint::primary(PrimaryId(0));
const Endpoint p1 = Endpoint::primary(PrimaryId(1));
Endpoint at(std::uint32_t g, std::uint32_t j) {
    return Endpoint::replica(GroupId(g), Position(j));
}

ConfigChange move(std::uint64_t version, std::uint32_t partition, std::uint32_t group) {
    return {ConfigVersion(version), {{PartitionId(partition), GroupId(group)}}, {}};
}

// To whoever may order it, and to those who see to that.
void propose(Cluster& c, const Body& body) {
    for (const Endpoint& each : c.m.replicas(GroupId(0)))
        c.inject(Endpoint::of_client(ClientId(1)), each, body);
    for (const Endpoint& each : c.m.all_primaries())
        c.inject(Endpoint::of_client(ClientId(1)), each, body);
}

ConfigVersion version_of(Cluster& c, const Endpoint& who) {
    return c.node(who).replica->agreement().configs().newest().version;
}

bool in_force(Cluster& c, std::uint64_t version) {
    for (const Endpoint& each : c.m.all_replicas())
        if (c.node(each).up && version_of(c, each) != ConfigVersion(version)) return false;
    return true;
}

// A client that does not know who owns what.
Body ask(Cluster& c, std::vector<PartitionId> parts) {
    std::vector<Endpoint> everyone = c.m.all_replicas();
    for (const Endpoint& each : c.m.all_primaries()) everyone.push_back(each);
    return c.submit(std::move(parts), everyone);
}

void expect_progress(Cluster& c) {
    for (std::uint32_t p = 1; p <= 4; ++p) {
        Body one = ask(c, {PartitionId(p)});
        EXPECT_TRUE(c.run_until([&] { return c.answered(one); }, 20s)) << "partition " << p;
    }
    Body all = ask(c, {PartitionId(1), PartitionId(2), PartitionId(3)});
    EXPECT_TRUE(c.run_until([&] { return c.answered(all); }, 20s));
    EXPECT_EQ(c.violation, "");
}

TEST(Reconfiguration, APartitionMovesAndWhatWasDoneIsNotDoneAgain) {
    Cluster c(quick(2, 2));
    Body before = ask(c, {PartitionId(1)});
    ASSERT_TRUE(c.run_until([&] { return c.answered(before); }, 5s));
    propose(c, make_config(c.m, move(1, 1, 1)));
    ASSERT_TRUE(c.run_until([&] { return in_force(c, 1); }, 10s));
    EXPECT_TRUE(c.run_until([&] { return c.count(Event::Kind::partitions_taken) == 3; }, 5s));
    // The new owner knows what was delivered: its repetition is no new request.
    for (std::uint32_t j = 0; j < 3; ++j) {
        EXPECT_TRUE(c.replica(1, j).replica->agreement().delivered_before(before->id));
        EXPECT_FALSE(c.replica(0, j).replica->agreement().owns(PartitionId(1)));
    }
    expect_progress(c);
    EXPECT_EQ(c.count(Event::Kind::suspected), 0u);
}

TEST(Reconfiguration, BackAndForthManyTimes) {
    Cluster c(quick(3, 2));
    for (std::uint64_t version = 1; version <= 12; ++version) {
        std::uint32_t to = static_cast<std::uint32_t>(version % 3);
        ConfigChange change = move(version, 1, to);
        change.moves.push_back({PartitionId(2), GroupId((to + 1) % 3)});
        propose(c, make_config(c.m, change));
        Body one = ask(c, {PartitionId(1), PartitionId(2)});
        ASSERT_TRUE(c.run_until([&] { return in_force(c, version) && c.answered(one); }, 20s))
            << version << " " << c.violation;
    }
    expect_progress(c);
}

// CF1: below k of n it is nobody's request.
TEST(Reconfiguration, TooFewAdminKeysAreRefused) {
    Membership m = small_cluster(2);
    HashChecker checker;
    Verifier verifier(m, checker);
    auto judged = [&](const Body& body) {
        return verifier.verify({Endpoint::of_client(ClientId(1)), p0, body}).has_value();
    };
    EXPECT_TRUE(judged(make_config(m, move(1, 1, 1), 2)));
    EXPECT_TRUE(judged(make_config(m, move(1, 1, 1), 3)));
    EXPECT_FALSE(judged(make_config(m, move(1, 1, 1), 1)));
    auto forged = std::make_shared<Request>(*make_config(m, move(1, 1, 1)));
    auto change = *decode_change(forged->op);
    change.moves[0].to = GroupId(0);
    forged->op = forged->raw = encode(change);
    forged->rd = request_digest(forged->raw);
    EXPECT_FALSE(judged(forged)) << "signatures of another change";
    auto misnamed = std::make_shared<Request>(*make_config(m, move(1, 1, 1)));
    misnamed->parts = {PartitionId(0), PartitionId(2)};
    EXPECT_FALSE(judged(misnamed)) << "other partitions";
    m.admins = {};
    EXPECT_FALSE(judged(make_config(small_cluster(2), move(1, 1, 1)))) << "no admin keys";
}

// Of several bodies in one message each change has its own signatures, whatever they share.
TEST(Reconfiguration, NothingHidesBehindAChange) {
    Membership m = small_cluster(2);
    HashChecker checker;
    Verifier verifier(m, checker);
    auto judged = [&](std::vector<Body> bodies) {
        return verifier.verify({at(0, 1), at(0, 0), Bodies{std::move(bodies)}}).has_value();
    };
    Body good = make_config(m, move(1, 1, 1));
    EXPECT_TRUE(judged({good, make_request(m, 1)}));
    EXPECT_FALSE(judged({good, make_config(m, move(1, 1, 1), 1)}));

    auto change = std::make_shared<Request>(*good);
    auto forged = std::make_shared<Request>(*make_request(m, 1));
    forged->id.client = config_client;
    forged->signature.clear();
    change->bundle = forged->bundle = std::make_shared<const SignedBundle>(
        SignedBundle{MerkleTree(std::vector{change->rd, forged->rd}), {}});
    change->bundle_count = forged->bundle_count = 2;
    forged->bundle_index = 1;
    EXPECT_FALSE(judged({change, forged}));
    EXPECT_FALSE(judged({good, forged}));
    EXPECT_FALSE(judged({change})) << "a change is in no bundle";
}

// A frame of requests of which some are another group's by now: each owner takes its own.
TEST(Reconfiguration, ABundleForTwoOwnersIsTakenByBoth) {
    Cluster c(quick(2, 2));
    propose(c, make_config(c.m, move(1, 1, 1)));
    ASSERT_TRUE(c.run_until([&] { return in_force(c, 1); }, 10s));
    // Partition 1 has moved, partition 3 has not.
    std::vector<Body> bodies = make_bundle(
        c.m, {make_request(c.m, 1, {PartitionId(1)}), make_request(c.m, 1, {PartitionId(3)})});
    std::vector<Endpoint> everyone = c.m.all_replicas();
    for (const Endpoint& each : c.m.all_primaries()) everyone.push_back(each);
    for (const Endpoint& each : everyone)
        c.inject(Endpoint::of_client(ClientId(1)), each, Bodies{bodies});
    EXPECT_TRUE(c.run_until([&] { return c.answered(bodies[0]) && c.answered(bodies[1]); }, 20s));
    EXPECT_EQ(c.violation, "");
}

// C20: a stale one is never ordered by a correct primary, and suspects nobody.
TEST(Reconfiguration, AChangeThatDoesNotFitIsNotOrdered) {
    Cluster c(quick(2, 2));
    propose(c, make_config(c.m, move(7, 1, 1)));
    propose(c, make_config(c.m, move(1, 1, 0)));  // where it is already
    expect_progress(c);
    c.run_for(2s);
    EXPECT_TRUE(in_force(c, 0));
    EXPECT_EQ(c.count(Event::Kind::suspected), 0u);
}

// I14.
TEST(Reconfiguration, OfTwoForOneVersionOneWins) {
    Cluster c(quick(2, 2));
    Body one = make_config(c.m, move(1, 1, 1));
    Body other = make_config(c.m, move(1, 2, 0));
    for (const Endpoint& each : c.m.all_primaries())
        c.inject(Endpoint::of_client(ClientId(1)), each, one);
    propose(c, other);
    ASSERT_TRUE(c.run_until([&] { return in_force(c, 1); }, 10s)) << c.violation;
    propose(c, one);
    expect_progress(c);
    EXPECT_TRUE(in_force(c, 1));
}

// I7: nobody has the body, so nobody commits the entry; the next view goes without, and the next
// attempt works.
TEST(Reconfiguration, AWithheldOneHasNoEffect) {
    ClusterOptions o = quick(2, 2);
    o.liars = {p0};
    Cluster c(o);
    expect_progress(c);
    Body body = make_config(c.m, move(1, 1, 1));
    bool withheld = true;
    c.network = [&](const Endpoint& from, const Endpoint& to, Payload& payload) {
        if (!withheld) return true;
        if (const auto* found = std::get_if<Bodies>(&payload))
            return from != p0 || found->bodies.empty();
        const auto* request = std::get_if<Body>(&payload);
        return request == nullptr || *request != body || to == p0;
    };
    c.inject(Endpoint::of_client(ClientId(1)), p0, body);
    auto begun = [&](const Endpoint& each) {
        auto report = c.node(each).replica->agreement().report();
        return report.view == View(1) && report.active && !report.unsettled;
    };
    ASSERT_TRUE(c.run_until([&] { return begun(at(0, 0)) && begun(at(1, 0)); }, 20s));
    EXPECT_GT(c.count(Event::Kind::config_ordered), 0u);
    EXPECT_TRUE(in_force(c, 0));
    withheld = false;
    propose(c, body);
    ASSERT_TRUE(c.run_until([&] { return in_force(c, 1); }, 20s)) << c.violation;
    expect_progress(c);
}

// I6: the view changes where the chain ends with a configuration: before anybody committed it, when
// the coordinator's group has, and when all have but nobody knows.
TEST(Reconfiguration, AViewChangeAtTheBarrier) {
    for (int who = 0; who < 3; ++who) {
        Cluster c(quick(3, 2));
        expect_progress(c);
        bool cut = true;
        c.network = [&](const Endpoint& from, const Endpoint&, Payload& payload) {
            if (!cut) return true;
            const auto* commit = std::get_if<Commit>(&payload);
            bool of_others = from.role == Endpoint::Role::replica && from.group != GroupId(0);
            if (commit != nullptr && who == 0) return false;
            if (commit != nullptr && who == 1) return !of_others;
            return !std::holds_alternative<Checkpoint>(payload);
        };
        propose(c, make_config(c.m, move(1, 1, 1)));
        ASSERT_TRUE(c.run_until([&] { return c.count(Event::Kind::config_ordered) == 9; }, 5s))
            << who;
        c.run_for(50ms);
        EXPECT_TRUE(in_force(c, 0)) << who;
        c.primary(0).primary->resign({TimePoint{}, 0});
        c.run_for(300ms);
        cut = false;
        ASSERT_TRUE(c.run_until([&] { return in_force(c, 1); }, 30s)) << who << c.violation;
        EXPECT_GE(c.view(0, 0), View(1));
        expect_progress(c);
    }
}

// P24: whoever was away gets the barriers that it missed.
TEST(Reconfiguration, ALaggardWakesThreeConfigurationsLater) {
    for (std::uint64_t retain : {0, 16}) {
        ClusterOptions o = quick(2, 2);
        o.retain = retain;
        Cluster c(o);
        expect_progress(c);
        c.crash(at(1, 0));
        for (std::uint64_t version = 1; version <= 3; ++version) {
            propose(c, make_config(c.m, move(version, 1, version % 2 == 1 ? 1 : 0)));
            ASSERT_TRUE(c.run_until([&] { return in_force(c, version); }, 20s)) << c.violation;
            expect_progress(c);
            c.run_for(2s);
        }
        c.restart(at(1, 0));
        ASSERT_TRUE(c.run_until([&] { return in_force(c, 3); }, 60s)) << retain << c.violation;
        expect_progress(c);
    }
}

// At any moment, with any of the records that were not durable.
TEST(Reconfiguration, CrashesOnBothSidesOfTheBarrier) {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        Cluster c(quick(2, 2, seed));
        expect_progress(c);
        propose(c, make_config(c.m, move(1, 1, 1)));
        Prng moments(seed);
        for (int k = 0; k < 4; ++k) {
            c.run_for(Duration(moments.below(20'000'000)));
            auto g = static_cast<std::uint32_t>(moments.below(2));
            auto j = static_cast<std::uint32_t>(moments.below(3));
            c.crash(at(g, j));
            c.run_for(Duration(moments.below(20'000'000)));
            c.restart(at(g, j));
        }
        propose(c, make_config(c.m, move(1, 1, 1)));
        ASSERT_TRUE(c.run_until([&] { return in_force(c, 1); }, 30s)) << seed << c.violation;
        expect_progress(c);
        if (::testing::Test::HasFailure()) FAIL() << "seed " << seed;
    }
}

// CF3: a replica that hears of nobody else's CHECKPOINTs stays before the barrier, whatever its
// primary orders.
TEST(Reconfiguration, NobodyPassesTheBarrierAlone) {
    Cluster c(quick(2, 2));
    expect_progress(c);
    const Endpoint alone = at(1, 2);
    c.network = [&](const Endpoint& from, const Endpoint& to, Payload& payload) {
        if (to != alone || from == alone) return true;
        return !std::holds_alternative<Checkpoint>(payload) &&
               !std::holds_alternative<BarrierCertPtr>(payload) &&
               !std::holds_alternative<ViewChangePtr>(payload);
    };
    propose(c, make_config(c.m, move(1, 1, 1)));
    ASSERT_TRUE(c.run_until([&] { return version_of(c, at(1, 0)) == ConfigVersion(1); }, 10s));
    Body later = ask(c, {PartitionId(1)});
    ASSERT_TRUE(c.run_until([&] { return c.answered(later); }, 10s)) << c.violation;
    auto report = c.node(alone).replica->agreement().report();
    ASSERT_TRUE(report.unsettled);
    EXPECT_EQ(report.tip, *report.unsettled);
    EXPECT_LE(report.committed, *report.unsettled);
    c.network = nullptr;
    EXPECT_TRUE(c.run_until([&] { return in_force(c, 1); }, 10s));
    expect_progress(c);
}

// CF4, CF7. The members of a group that was removed sleep through it. What they say of views
// concerns nobody, and the primary tells them what became of them.
TEST(Reconfiguration, ARemovedGroupThatSleptEndsNoViewAndHearsOfIt) {
    Cluster c(quick(2, 2));
    ConfigChange empties{ConfigVersion(1), {}, {}};
    for (const auto& [partition, owner] : c.m.owners)
        if (owner == GroupId(1)) empties.moves.push_back({partition, GroupId(0)});
    propose(c, make_config(c.m, empties));
    ASSERT_TRUE(c.run_until([&] { return in_force(c, 1); }, 10s)) << c.violation;
    expect_progress(c);
    c.network = [&](const Endpoint& from, const Endpoint& to, Payload&) {
        return to.group != GroupId(1) || from.group == GroupId(1) ||
               to.role != Endpoint::Role::replica || from.role == Endpoint::Role::client;
    };
    ConfigChange removes{ConfigVersion(2), {}, {}};
    removes.groups_removed = {GroupId(1)};
    propose(c, make_config(c.m, removes));
    ASSERT_TRUE(c.run_until([&] { return version_of(c, at(0, 0)) == ConfigVersion(2); }, 10s))
        << c.violation;
    auto complain = [&] { return c.replica(1, 0).replica->agreement().view() != View(0); };
    ASSERT_TRUE(c.run_until(complain, 60s)) << c.violation;
    expect_progress(c);
    EXPECT_EQ(c.replica(0, 0).replica->agreement().view(), View(0));
    c.network = nullptr;
    EXPECT_TRUE(c.run_until([&] { return in_force(c, 2); }, 10s)) << c.violation;
    expect_progress(c);
}

/// On the hosts of another group.
AddGroup group_beside(const Group& other, GroupId id) {
    AddGroup adds{id, {}};
    for (std::uint32_t j = 0; j < 3; ++j)
        adds.members.push_back({{other.members[j].host, UsigId(900 + j)}, {1}});
    return adds;
}

// ADR 26: what only a new group has committed would be lost in a view that begins with members who
// have not heard of it. So it waits until f+1 coordinators are beyond the barrier.
TEST(Reconfiguration, AGroupThatComesCommitsNothingBeforeTheCoordinators) {
    Cluster c(quick(2, 2));
    expect_progress(c);
    bool cut = true;
    c.network = [&](const Endpoint& from, const Endpoint&, Payload& payload) {
        if (!cut || from.group != GroupId(0) || from.role != Endpoint::Role::replica) return true;
        if (std::holds_alternative<Certificates>(payload)) return false;
        const auto* commit = std::get_if<Commit>(&payload);
        if (commit == nullptr) return true;
        BarrierCertPtr passed = c.node(from).replica->agreement().configs().barrier();
        return passed == nullptr || commit->to <= passed->slot;
    };
    ConfigChange adds{ConfigVersion(1), {}, {}};
    adds.groups_added = {group_beside(c.m.groups[0], GroupId(7))};
    propose(c, make_config(c.m, adds));
    ASSERT_TRUE(c.run_until([&] { return in_force(c, 1); }, 10s)) << c.violation;
    c.add(GroupId(7), c.replica(0, 0).replica->agreement().configs().barrier());
    ASSERT_TRUE(c.run_until([&] { return c.count(Event::Kind::state_adopted) == 3; }, 10s));
    ask(c, {PartitionId(2)});
    auto committed = [&](std::uint32_t j) { return c.replica(7, j).seen[Event::Kind::committed]; };
    auto could = [&](std::uint32_t j) {
        auto report = c.replica(7, j).replica->agreement().report();
        return report.tip > report.delivered;
    };
    ASSERT_TRUE(c.run_until([&] { return could(0) && could(1) && could(2); }, 10s));
    c.run_for(200ms);
    for (std::uint32_t j = 0; j < 3; ++j) EXPECT_EQ(committed(j), 0u);
    cut = false;
    EXPECT_TRUE(c.run_until([&] { return committed(0) > 0 && committed(1) > 0; }, 20s));
    expect_progress(c);
}

// ADR 26. What a primary certified before the group came is gone; where its counter stands the
// members of the group believe f+1 coordinators, not one.
TEST(Reconfiguration, AGroupThatComesBelievesNoSingleCoordinator) {
    ClusterOptions o = quick(2, 2);
    o.retain = 48;
    Cluster c(o);
    for (int i = 0; i < 60; ++i) expect_progress(c);
    bool cut = true;
    c.network = [&](const Endpoint& from, const Endpoint& to, Payload& payload) {
        const bool coordinator = from.group == GroupId(0) && from.role == Endpoint::Role::replica;
        if (from.role == Endpoint::Role::primary && std::holds_alternative<Certificates>(payload))
            return false;
        return !cut || to.group != GroupId(7) || !coordinator || from.index == 2 ||
               !std::holds_alternative<Vouch>(payload);
    };
    ConfigChange adds{ConfigVersion(1), {}, {}};
    adds.groups_added = {group_beside(c.m.groups[0], GroupId(7))};
    propose(c, make_config(c.m, adds));
    ASSERT_TRUE(c.run_until([&] { return in_force(c, 1); }, 10s)) << c.violation;
    c.add(GroupId(7), c.replica(0, 0).replica->agreement().configs().barrier());
    ASSERT_TRUE(c.run_until([&] { return c.count(Event::Kind::state_adopted) == 3; }, 10s));
    auto adopted = [&](std::uint32_t j) {
        return c.replica(7, j).seen[Event::Kind::counter_adopted] > 0;
    };
    c.run_for(3s);  // less than it takes until the next primary leads, whose counter is short
    for (std::uint32_t j = 0; j < 3; ++j) EXPECT_FALSE(adopted(j)) << j;
    cut = false;
    EXPECT_TRUE(c.run_until([&] { return adopted(0) && adopted(1) && adopted(2); }, 20s));
    c.network = nullptr;
    expect_progress(c);
}

// A liar whose VIEW-CHANGEs keep quiet about configurations, however far they go.
class BarrierHider {
public:
    BarrierHider(Cluster& cluster, const Endpoint& liar) {
        cluster.corrupt = [this, &cluster, liar](Cluster::Node& node, Output& out) {
            if (node.who != liar) return;
            for (Persist& persist : out.persist) {
                if (auto* intent = std::get_if<ViewChangeIntent>(&persist.record)) {
                    if (!intent->change->barrier) continue;
                    ViewChange lie = *intent->change;
                    lie.barrier = nullptr;
                    lie.stable.reset();
                    out.seal = Draft{view_change_digest(cluster.m.cluster, lie)};
                    intent->change = std::make_shared<const ViewChange>(lie);
                    lies_.insert_or_assign(lie.view, std::move(lie));
                } else if (auto* record = std::get_if<ViewChangeRecord>(&persist.record)) {
                    record->change = substituted(node.who, record->change);
                }
            }
            for (Send& send : out.send)
                if (auto* change = std::get_if<ViewChangePtr>(&send.payload))
                    *change = substituted(node.who, *change);
        };
    }
    [[nodiscard]] std::size_t lies() const { return lies_.size(); }

private:
    [[nodiscard]] ViewChangePtr substituted(const Endpoint& liar,
                                            const ViewChangePtr& change) const {
        auto found = lies_.find(change->view);
        if (found == lies_.end() || at(change->group.value, change->position.value) != liar)
            return change;
        ViewChange lie = found->second;
        lie.ui = change->ui;
        return std::make_shared<const ViewChange>(std::move(lie));
    }

    std::map<View, ViewChange> lies_;
};

// CF5: a liar and one correct member of the new owner have committed an entry of the partition that
// moved, and the new view hears of it from the liar alone. Without its barrier the entry would be
// the old owner's, whose members have never seen it: nullified, although it is decided.
TEST(Reconfiguration, WhoHidesABarrierUndoesNothing) {
    const Endpoint liar = at(1, 2), witness = at(1, 0), knowing = at(0, 0);
    ClusterOptions o = quick(2, 2);
    o.liars = {liar};
    Cluster c(o);
    BarrierHider hider(c, liar);
    expect_progress(c);
    bool plot = true;
    c.network = [&](const Endpoint&, const Endpoint& to, Payload& payload) {
        if (!plot) return true;
        const bool told = to == knowing || to == witness || to == liar || to == p0;
        if (std::holds_alternative<Checkpoint>(payload) ||
            std::holds_alternative<BarrierCertPtr>(payload))
            return told;
        if (const auto* change = std::get_if<ViewChangePtr>(&payload)) {
            const Endpoint from = at((*change)->group.value, (*change)->position.value);
            return from != witness && from != knowing;
        }
        return to != p1 ||
               !(std::holds_alternative<Body>(payload) || std::holds_alternative<Bodies>(payload));
    };
    propose(c, make_config(c.m, move(1, 1, 1)));
    ASSERT_TRUE(c.run_until([&] { return version_of(c, witness) == ConfigVersion(1); }, 10s));
    Body later = c.submit({PartitionId(1)}, {p0, at(1, 0), at(1, 1), at(1, 2)});
    auto delivered = [&] {
        return c.node(witness).replica->agreement().delivered_before(later->id);
    };
    ASSERT_TRUE(c.run_until(delivered, 10s)) << c.violation;
    EXPECT_EQ(version_of(c, at(1, 1)), ConfigVersion(0));
    c.crash(p0);
    c.run_for(5s);
    EXPECT_GT(hider.lies(), 0u);
    EXPECT_EQ(c.violation, "");
    plot = false;
    c.restart(p0);
    ASSERT_TRUE(c.run_until([&] { return c.answered(later) && in_force(c, 1); }, 60s))
        << c.violation;
    EXPECT_EQ(c.count(Event::Kind::nullified), 0u);
    expect_progress(c);
}

}  // namespace
}  // namespace bft::consensus::test

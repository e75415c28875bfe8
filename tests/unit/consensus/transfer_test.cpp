// Away for too long, or corrupt: a replica goes on with the state of f+1 others (ST1-ST5, CK7).
#include "cluster_options.hpp"

#include <gtest/gtest.h>

namespace bft::consensus::test {
namespace {

constexpr Duration patience = 20s;

Endpoint at(std::uint32_t g, std::uint32_t j) {
    return Endpoint::replica(GroupId(g), Position(j));
}

ClusterOptions short_logs() {
    ClusterOptions o = quick(2, 2);
    o.retain = 48;
    o.replica.lag_patience = 500ms;
    o.replica.state_entries = 1;
    return o;
}

void load(Cluster& c) {
    for (const auto& [p, owner] : c.m.owners)
        if (p.value > 0) c.submit({p});
    c.submit({PartitionId(1), PartitionId(2)});
}

/// As if the primaries' logs were as short as the others'.
bool answered_by_primary(const Endpoint& from, const Payload& payload) {
    return from.role == Endpoint::Role::primary &&
           (std::holds_alternative<Certificates>(payload) ||
            std::holds_alternative<Headers>(payload) || std::holds_alternative<Bodies>(payload));
}

/// So many slots later.
void go_on(Cluster& c, std::uint32_t witness, std::uint64_t slots) {
    auto delivered = [&] { return c.replica(0, witness).replica->agreement().delivered(); };
    Slot goal = delivered() + slots;
    while (delivered() < goal && c.violation.empty()) {
        load(c);
        c.run_for(200ms);
    }
    EXPECT_TRUE(c.run_until([&] { return c.all_answered(); }, patience));
}

bool caught_up(Cluster& c, const Endpoint& who) {
    auto report = c.node(who).replica->agreement().report();
    auto other = c.replica(who.group.value, (who.index + 1) % 3).replica->agreement().report();
    return report.active && report.delivered + 8 >= other.delivered &&
           report.committed + 8 >= other.committed;
}

TEST(Transfer, WhoWasAwayTooLongTakesTheStateAndVotesAgain) {
    Cluster c(short_logs());
    c.network = [](const Endpoint& from, const Endpoint&, Payload& payload) {
        return !answered_by_primary(from, payload);
    };
    go_on(c, 1, 20);
    c.crash(at(0, 0));
    go_on(c, 1, 300);
    c.restart(at(0, 0));
    ASSERT_TRUE(c.run_until([&] { return caught_up(c, at(0, 0)); }, patience)) << c.violation;
    auto& seen = c.replica(0, 0).seen;
    EXPECT_EQ(seen[Event::Kind::state_adopted], 1u);
    EXPECT_GE(seen[Event::Kind::counter_adopted], 3u) << "of both peers and the primary";
    EXPECT_GE(seen[Event::Kind::gone], 2u);
    // Now it is one of f+1, also after a crash.
    c.crash(at(0, 0));
    c.restart(at(0, 0));
    c.crash(at(0, 1));
    go_on(c, 2, 30);
    EXPECT_EQ(c.violation, "");
}

// Of the two who went on without it one is gone for good: what that one vouched for comes from the
// other.
TEST(Transfer, TheVouchesOfOneWhoIsGoneAreSentOn) {
    Cluster c(short_logs());
    c.network = [](const Endpoint& from, const Endpoint&, Payload& payload) {
        return !answered_by_primary(from, payload);
    };
    go_on(c, 1, 20);
    c.crash(at(0, 0));
    go_on(c, 1, 300);
    c.crash(at(0, 2));
    c.run_for(500ms);
    c.restart(at(0, 0));
    go_on(c, 1, 100);
    EXPECT_TRUE(c.run_until([&] { return caught_up(c, at(0, 0)); }, patience));
    EXPECT_EQ(c.violation, "");
}

TEST(Transfer, TheOneWhoLedIsFollowedAgainInALaterView) {
    Cluster c(short_logs());
    go_on(c, 1, 20);
    c.crash(at(0, 2));
    go_on(c, 1, 200);
    c.crash(Endpoint::primary(PrimaryId(0)));
    go_on(c, 1, 200);
    c.restart(Endpoint::primary(PrimaryId(0)));
    c.restart(at(0, 2));
    ASSERT_TRUE(c.run_until([&] { return caught_up(c, at(0, 2)); }, patience)) << c.violation;
    EXPECT_GE(c.replica(0, 2).seen[Event::Kind::state_adopted], 1u);
    // Primary 0 leads again: its counter was adopted, or goes on from where it was vouched for.
    c.crash(Endpoint::primary(PrimaryId(1)));
    go_on(c, 1, 30);
    EXPECT_TRUE(c.run_until([&] { return caught_up(c, at(0, 2)); }, patience));
    EXPECT_EQ(c.violation, "");
}

TEST(Transfer, AStateThatNobodySignedIsRefused) {
    ClusterOptions o = short_logs();
    o.liars = {at(0, 1)};
    Cluster c(o);
    std::uint64_t lies = 0;
    c.network = [&](const Endpoint& from, const Endpoint&, Payload& payload) {
        if (answered_by_primary(from, payload)) return false;
        auto* part = std::get_if<StatePartPtr>(&payload);
        if (part == nullptr || from != at(0, 1)) return true;
        auto lie = std::make_shared<StatePart>(**part);
        lie->state.null_digest.bytes[0] ^= 1;
        *part = std::move(lie);
        ++lies;
        return true;
    };
    go_on(c, 2, 20);
    c.crash(at(0, 0));
    go_on(c, 2, 300);
    c.restart(at(0, 0));
    ASSERT_TRUE(c.run_until([&] { return caught_up(c, at(0, 0)); }, patience)) << c.violation;
    auto& seen = c.replica(0, 0).seen;
    EXPECT_EQ(seen[Event::Kind::state_adopted], 1u);
    if (lies > 2) {
        EXPECT_GE(seen[Event::Kind::disagreement], 1u);
    }
    EXPECT_EQ(c.violation, "");
}

// One liar's word changes nothing: the others still have what is asked for.
TEST(Transfer, OneGoneIsNotBelieved) {
    ClusterOptions o = quick(2, 2);
    o.liars = {at(0, 1)};
    Cluster c(o);
    go_on(c, 2, 20);
    c.crash(at(0, 0));
    go_on(c, 2, 60);
    c.restart(at(0, 0));
    for (int i = 0; i < 20; ++i) {
        for (const StreamId& stream :
             {StreamId::ordering(PrimaryId(0)), StreamId::vote(GroupId(0), Position(2))})
            c.inject(at(0, 1), at(0, 0), Gone{stream, Counter(1000)});
        c.run_for(20ms);
    }
    ASSERT_TRUE(c.run_until([&] { return caught_up(c, at(0, 0)); }, patience)) << c.violation;
    EXPECT_EQ(c.replica(0, 0).seen[Event::Kind::counter_adopted], 0u);
    EXPECT_EQ(c.replica(0, 0).seen[Event::Kind::state_adopted], 0u);
    EXPECT_EQ(c.violation, "");
}

TEST(Transfer, ACorruptReplicaFallsSilentAndRepairsItself) {
    Cluster c(short_logs());
    go_on(c, 1, 100);
    auto& node = c.replica(0, 0);
    c.crash(at(0, 0));
    node.spoiled = true;
    ASSERT_TRUE(node.disk.spoil());
    c.restart(at(0, 0));
    bool halted = false;
    for (int i = 0; i < 200 && !node.seen[Event::Kind::state_adopted]; ++i) {
        load(c);
        c.run_for(20ms);
        halted = halted || node.replica->agreement().report().halted;
    }
    EXPECT_TRUE(halted) << "it votes no more";
    EXPECT_EQ(node.seen[Event::Kind::halted], 1u);
    ASSERT_TRUE(c.run_until([&] { return caught_up(c, at(0, 0)); }, patience)) << c.violation;
    EXPECT_FALSE(node.replica->agreement().report().halted);
    c.crash(at(0, 2));
    go_on(c, 1, 40);
    EXPECT_EQ(node.seen[Event::Kind::halted], 1u) << "it is right now";
    EXPECT_EQ(c.violation, "");
}

}  // namespace
}  // namespace bft::consensus::test

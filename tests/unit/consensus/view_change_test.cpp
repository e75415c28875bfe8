// Scenarios of the catalogue's sections C, D and H, on whole clusters in memory.
#include "cluster_options.hpp"

#include <gtest/gtest.h>

namespace bft::consensus::test {
namespace {

constexpr Duration patience = 20s;

const Endpoint p0 = Endpoint::primary(PrimaryId(0));
const Endpoint p1 = Endpoint::primary(PrimaryId(1));
const Endpoint p2 = Endpoint::primary(PrimaryId(2));

Endpoint at(std::uint32_t g, std::uint32_t j) {
    return Endpoint::replica(GroupId(g), Position(j));
}

/// Some load on every partition and on pairs that cross groups.
void load(Cluster& c, int rounds = 1) {
    for (int i = 0; i < rounds; ++i) {
        for (const auto& [p, owner] : c.m.owners)
            if (p.value > 0) c.submit({p});
        c.submit({PartitionId(1), PartitionId(2)});
    }
}

void expect_progress(Cluster& c, int rounds = 3) {
    load(c, rounds);
    EXPECT_TRUE(c.run_until([&] { return c.all_answered(); }, patience));
    EXPECT_EQ(c.violation, "");
}

TEST(ViewChange, NoneWithoutAFault) {
    Cluster c(quick(2, 2));
    for (int i = 0; i < 20; ++i) {
        load(c);
        c.run_for(200ms);
    }
    EXPECT_TRUE(c.all_answered());
    EXPECT_EQ(c.count(Event::Kind::suspected), 0u);  // L-NOFALSE
    EXPECT_GT(c.count(Event::Kind::checkpoint_stable), 10u);
    for (const Endpoint& who : c.m.all_replicas()) {
        auto report = c.node(who).replica->agreement().report();
        EXPECT_LT(report.vote_log, 64u);  // vouches truncate it
        EXPECT_LE(report.links, 48u);
    }
    EXPECT_EQ(c.violation, "");
}

TEST(ViewChange, ADeadPrimaryIsReplaced) {
    Cluster c(quick(2, 2));
    expect_progress(c);
    load(c);  // in flight
    c.run_for(4ms);
    c.crash(p0);
    expect_progress(c);
    EXPECT_EQ(c.view(0, 0), View(1));
    EXPECT_EQ(c.view(1, 2), View(1));
    c.restart(p0);
    c.crash(p1);
    expect_progress(c);
    EXPECT_EQ(c.view(0, 0), View(2));
}

TEST(ViewChange, ASilentPrimaryIsReplaced) {
    Cluster c(quick(3, 2));
    expect_progress(c);
    c.network = [](const Endpoint& from, const Endpoint&, Payload&) { return from != p0; };
    expect_progress(c);
    EXPECT_EQ(c.view(2, 0), View(1));
}

TEST(ViewChange, APrimaryThatCensorsOneGroupIsReplaced) {
    ClusterOptions o = quick(2, 2);
    o.liars = {p0};
    Cluster c(o);
    c.network = [&](const Endpoint&, const Endpoint& to, Payload& payload) {
        const auto* body = std::get_if<Body>(&payload);
        return to != p0 || body == nullptr || c.m.owner((*body)->id.home) != GroupId(1);
    };
    expect_progress(c);
    EXPECT_EQ(c.view(0, 0), View(1));
}

TEST(ViewChange, AResigningPrimaryIsReplacedAtOnce) {
    Cluster c(quick(2, 2));
    expect_progress(c);
    c.primary(0).primary->resign({TimePoint{}, 0});
    EXPECT_TRUE(c.run_until([&] { return c.view(0, 0) == View(1); }, 1s));
    expect_progress(c);
}

TEST(ViewChange, TwoFailedViewsInARow) {
    Cluster c(quick(2, 3));
    expect_progress(c);
    c.crash(p0);
    c.crash(p1);
    expect_progress(c);
    EXPECT_EQ(c.view(0, 0), View(2));
}

// C7, C8: nobody correct of the owner group can COMMIT the entry; the next view nullifies it.
TEST(ViewChange, AWithheldBodyIsNullified) {
    for (bool colluding : {false, true}) {
        ClusterOptions o = quick(2, 2);
        o.liars = {p0, at(0, 2)};
        Cluster c(o);
        expect_progress(c);
        c.primary(0).disk.hide_bodies = true;
        c.replica(0, 2).disk.hide_bodies = true;
        std::vector<Endpoint> to{p0};
        if (colluding) to.push_back(at(0, 2));
        Body secret = c.submit({PartitionId(1), PartitionId(2)}, to);
        c.run_for(30ms);
        expect_progress(c);
        auto both = [&] { return c.count(Event::Kind::nullified) == 2; };  // (0,0) and (0,1)
        EXPECT_TRUE(c.run_until(both, 5s)) << colluding;
        EXPECT_GE(c.view(0, 0), View(1));
        EXPECT_FALSE(c.answered(secret));
    }
}

// H5: one correct replica has the body; the others get it, and it stays.
TEST(ViewChange, ABodyAtOneReplicaIsKept) {
    ClusterOptions o = quick(2, 2);
    o.liars = {p0};
    Cluster c(o);
    expect_progress(c);
    c.primary(0).disk.hide_bodies = true;
    Body body = c.submit({PartitionId(1)}, {p0, at(0, 1)});
    c.run_for(8ms);
    c.crash(p0);
    expect_progress(c);
    EXPECT_EQ(c.count(Event::Kind::nullified), 0u);
    EXPECT_TRUE(c.run_until([&] { return c.answered(body); }, 5s));
}

// C4, C5: what is wrong with the NEW-VIEW that a lying P1 certifies.
struct BadNewView {
    const char* name;
    std::function<void(NewView&)> change;
};

TEST(ViewChange, InvalidNewViewsAreRejectedByAll) {
    std::vector<BadNewView> bad{
        {"smaller N", [](NewView& v) { v.slot = Slot(v.slot.value - 1); }},
        {"another chain", [](NewView& v) { v.hd.bytes[0] ^= 1; }},
        {"nullifies a kept entry",
         [](NewView& v) {
             v.nullset.insert(v.nullset.begin(), EntryRef{Slot(1), 0});
         }},
        {"nullifies at N",
         [](NewView& v) {
             v.nullset.push_back({v.slot, 0});
         }},
        {"nullifies beyond N",
         [](NewView& v) {
             v.nullset.push_back({v.slot + 1, 0});
         }},
        {"one group is missing",
         [](NewView& v) {
             std::erase_if(v.view_changes, [](auto& r) { return r.group == GroupId(1); });
         }},
        {"one VIEW-CHANGE of a group only",
         [](NewView& v) {
             std::size_t seen = 0;
             std::erase_if(v.view_changes,
                           [&](auto& r) { return r.group == GroupId(0) && seen++ > 0; });
         }},
    };
    for (const BadNewView& each : bad) {
        ClusterOptions o = quick(2, 3);
        o.liars = {p1};
        Cluster c(o);
        std::optional<NewView> lie;
        c.corrupt = [&](Cluster::Node& node, Output& out) {
            for (Persist& persist : out.persist)
                if (auto* intent = std::get_if<NewViewIntent>(&persist.record)) {
                    each.change(intent->new_view);
                    lie = intent->new_view;
                    out.seal = Draft{new_view_digest(c.m.cluster, *lie)};
                } else if (auto* record = std::get_if<NewViewRecord>(&persist.record); record) {
                    Ui ui = record->new_view.ui;
                    record->new_view = *lie;
                    record->new_view.ui = ui;
                }
            for (Send& send : out.send)
                if (auto* new_view = std::get_if<NewView>(&send.payload)) {
                    Ui ui = new_view->ui;
                    *new_view = *lie;
                    new_view->ui = ui;
                }
            (void)node;
        };
        expect_progress(c);
        c.crash(p0);
        expect_progress(c);
        EXPECT_TRUE(lie) << each.name;
        EXPECT_EQ(c.view(0, 0), View(2)) << each.name;
        EXPECT_GT(c.count(Event::Kind::sender_dead), 0u) << each.name;
    }
}

// D1: the VIEW-CHANGE of a liar understates its last COMMIT.
TEST(ViewChange, AHiddenCommitDoesNotPass) {
    ClusterOptions o = quick(1, 2);
    o.liars = {at(0, 2)};
    Cluster c(o);
    bool lied = false;
    bool passed = false;
    c.corrupt = [&](Cluster::Node& node, Output& out) {
        for (Persist& persist : out.persist) {
            auto* intent = std::get_if<ViewChangeIntent>(&persist.record);
            if (intent == nullptr || lied) continue;
            lied = true;
            ViewChange lie = *intent->change;
            lie.last = {};
            lie.proof = {};
            lie.base = {};
            lie.vouches.clear();
            lie.log.clear();
            lie.ui = HashChecker::certify(node.usig, node.counter.next(),
                                          view_change_digest(c.m.cluster, lie));
            HashChecker checker;
            Verifier verifier(c.m, checker);
            passed = verifier.verify({node.who, p1, std::make_shared<const ViewChange>(lie)})
                         .has_value();
        }
    };
    expect_progress(c);
    c.crash(p0);
    expect_progress(c);
    EXPECT_TRUE(lied);
    EXPECT_FALSE(passed);
}

// D3: a COMMIT of the old view after the VIEW-CHANGE.
TEST(ViewChange, ACommitAfterAViewChangeEndsItsSender) {
    ClusterOptions o = quick(1, 2);
    o.liars = {at(0, 2)};
    Cluster c(o);
    std::optional<Commit> old;
    bool sent = false;
    c.corrupt = [&](Cluster::Node& node, Output& out) {
        for (Send& send : out.send) {
            if (auto* commit = std::get_if<Commit>(&send.payload); commit && !sent) old = *commit;
            if (!std::holds_alternative<ViewChangePtr>(send.payload) || !old || sent) continue;
            sent = true;
            ++old->to.value;  // unproven, but newer than all before
            old->prepare.slot = old->to;
            old->prepare.ui =
                HashChecker::certify(c.m.primaries[0].usig, Counter(old->to.value),
                                     prepare_digest(c.m.cluster, old->view, old->to, old->hd));
            old->ui = c.certify(node, commit_digest(c.m.cluster, *old));
            out.send.push_back({c.m.replicas(GroupId(0), Position(2)), *old});
            break;
        }
    };
    expect_progress(c);
    c.crash(p0);
    expect_progress(c);
    EXPECT_TRUE(sent);
    EXPECT_EQ(c.replica(0, 0).seen[Event::Kind::sender_dead], 1u);
}

// C1: a second PREPARE for a slot has the next counter value, which fits no slot of its chain.
TEST(ViewChange, AnEquivocatingPrimaryIsReplaced) {
    ClusterOptions o = quick(2, 2);
    o.liars = {p0};
    Cluster c(o);
    expect_progress(c);
    bool done = false;
    c.corrupt = [&](Cluster::Node& node, Output& out) {
        for (Send& send : out.send) {
            const auto* prepare = std::get_if<Prepare>(&send.payload);
            if (prepare == nullptr || done) continue;
            done = true;
            auto header = std::make_shared<Header>(*prepare->header);
            ++header->ts_ms;
            Prepare other = *prepare;
            other.hd = header_digest(*header);
            other.header = header;
            other.ui =
                c.certify(node, prepare_digest(c.m.cluster, other.view, other.slot, other.hd));
            out.send.push_back({c.m.replicas(GroupId(1)), other});
            return;
        }
    };
    expect_progress(c);
    EXPECT_TRUE(done);
    EXPECT_GE(c.view(0, 0), View(1));
}

// H6: a replica that missed views is brought in by a ViewCert.
TEST(ViewChange, ALaggardAdoptsAViewCert) {
    Cluster c(quick(2, 2));
    expect_progress(c);
    Endpoint cut = at(0, 2);
    c.network = [&](const Endpoint& from, const Endpoint& to, Payload&) {
        return from != cut && to != cut;
    };
    for (int i = 0; i < 6; ++i) {
        Endpoint leader = Endpoint::primary(c.m.primary_of(c.view(0, 0)));
        c.crash(leader);
        expect_progress(c, 2);
        c.restart(leader);
    }
    View reached = c.view(0, 0);
    EXPECT_GE(reached, View(6));
    c.network = nullptr;
    EXPECT_TRUE(c.run_until(
        [&] {
            const auto& behind = c.replica(0, 2).replica->agreement();
            return behind.report().active && behind.view() == c.view(0, 0) &&
                   behind.delivered() + 4 >= c.replica(0, 0).replica->agreement().delivered();
        },
        patience));
    expect_progress(c);
    c.crash(at(0, 0));  // now the laggard's vote is needed
    expect_progress(c);
}

TEST(ViewChange, EverythingStopsAndStartsAgainInTheMiddle) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        Cluster c(quick(2, 2, seed));
        expect_progress(c, 1);
        c.crash(p0);
        load(c);
        c.run_for(Duration(c.random.between(380, 620) * 1'000'000));  // somewhere in the change
        for (const Endpoint& who : c.everyone()) c.crash(who);
        for (const Endpoint& who : c.everyone()) c.restart(who);
        expect_progress(c, 2);
        if (HasFailure()) FAIL() << "seed " << seed;
    }
}

// The answer is in the databases only, below every snapshot: clients that ask again get it (R1).
TEST(ViewChange, AnswersOutliveTheSnapshotThatCoversThem) {
    Cluster c(quick(2, 2));
    expect_progress(c);
    ClientSeq lost{};
    c.network = [&](const Endpoint&, const Endpoint&, Payload& payload) {
        const auto* reply = std::get_if<Reply>(&payload);
        return reply == nullptr || reply->answer.rid.home != PartitionId(1) ||
               reply->answer.rid.cseq != lost;
    };
    lost = ClientSeq(c.submit({PartitionId(1)})->id.cseq);
    for (int i = 0; i < 30; ++i) {
        load(c);
        c.run_for(200ms);
    }
    EXPECT_FALSE(c.all_answered());
    for (const Endpoint& who : c.everyone()) c.node(who).disk.sync();
    for (const Endpoint& who : c.everyone()) c.crash(who);
    for (const Endpoint& who : c.everyone()) c.restart(who);
    lost = ClientSeq(0);
    EXPECT_TRUE(c.run_until([&] { return c.all_answered(); }, patience));
    EXPECT_EQ(c.violation, "");
}

// T1v: power cuts of hosts in the middle of a certificate, until each kind of counter had its hole.
TEST(Holes, AreVoidedUnanimously) {
    std::uint64_t voided = 0;
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
        ClusterOptions o = quick(2, 2, seed);
        o.hole_permille = 1000;
        o.seal_max = 40ms;
        Cluster c(o);
        for (const Endpoint& who : {p0, at(0, 1), at(1, 2), p1, at(0, 0)}) {
            load(c);
            c.run_for(Duration(c.random.between(20, 80) * 1'000'000));
            c.crash(who);
            c.run_for(100ms);
            c.restart(who);
            expect_progress(c, 1);
        }
        for (const Endpoint& who : c.everyone()) EXPECT_FALSE(c.node(who).hole) << to_string(who);
        voided += c.count(Event::Kind::voided);
        if (HasFailure()) FAIL() << "seed " << seed;
    }
    EXPECT_GT(voided, 3u);
}

// One processor that is away keeps the owner waiting, and nobody else.
TEST(Holes, WaitForTheLastProcessor) {
    ClusterOptions o = quick(2, 2);
    o.hole_permille = 1000;
    o.seal_max = 40ms;
    Cluster c(o);
    expect_progress(c);
    for (int i = 0; i < 50 && !c.node(at(0, 1)).hole; ++i) {
        load(c);
        c.run_for(Duration(c.random.between(20, 150) * 1'000'000));
        c.crash(at(0, 1));
        if (!c.node(at(0, 1)).hole) c.restart(at(0, 1));
    }
    ASSERT_TRUE(c.node(at(0, 1)).hole);
    c.network = [&](const Endpoint& from, const Endpoint& to, Payload& payload) {
        return !(to == at(0, 2) && from == at(0, 1) &&
                 std::holds_alternative<VoidRequest>(payload));
    };
    c.restart(at(0, 1));
    expect_progress(c);
    EXPECT_TRUE(c.node(at(0, 1)).hole);
    c.network = nullptr;
    EXPECT_TRUE(c.run_until([&] { return !c.node(at(0, 1)).hole; }, patience));
    c.crash(at(0, 0));  // now its vote is needed
    expect_progress(c);
}

}  // namespace
}  // namespace bft::consensus::test

// The guard against the other voters, correct and hostile ones, with databases made of maps.
#include "consensus/database_guard.hpp"

#include "fixture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

namespace bft::consensus {
namespace {

using namespace test;
using State = DatabaseGuard::State;

constexpr std::uint64_t kEvery = 32;

/// (table, partition) -> chunks of rows.
using Tables = std::map<std::pair<std::string, std::uint32_t>, std::vector<std::string>>;

DbLeavesPtr leaves_of(const Tables& tables) {
    auto leaves = std::make_shared<std::vector<DbLeaf>>();
    for (const auto& [name, chunks] : tables) {
        DbLeaf leaf{name.first, PartitionId(name.second), 10 * chunks.size(), {}};
        for (const auto& chunk : chunks) leaf.chunks.push_back(chunk_digest(as_bytes(chunk)));
        leaves->push_back(std::move(leaf));
    }
    return leaves;
}

struct Node {
    Node(const Membership& m, VoterId id, GuardOptions options,
         DatabaseGuard::Condition condition = DatabaseGuard::Condition::sound)
        : signer(m, Endpoint::voter(id)), guard(m, id, options, signer, condition) {}

    HashSigner signer;
    DatabaseGuard guard;
    Tables tables;
    bool running = true;
    bool down = false;
    bool busy = false;        ///< its database has work
    bool stuck = false;       ///< its voter executes nothing
    bool lost_place = false;  ///< was started again: no checkpoint since
    std::map<PartitionId, Seq> next;
    Slot passed{};
    std::set<Slot> cuts;
    std::optional<std::pair<Slot, Tables>> snapshot;
    std::optional<Duration> scan_done;
    std::optional<Rebuild> rebuild;
    Tables loading;
    std::vector<Event> events;
    /// What a liar does with what it sends; false: it does not send it.
    std::function<bool(Payload&)> lie;
};

class GuardTest : public testing::Test {
protected:
    GuardTest() {
        m_.checkpoint_slots = kEvery;
        m_.scan_slots = 4 * kEvery;
        for (std::uint32_t d = 0; d < 3; ++d)
            nodes_.push_back(std::make_unique<Node>(m_, VoterId(d), options_));
        Tables tables{{{"orders", 1}, {"a", "b", "c"}},
                      {{"orders", 2}, {"d"}},
                      {{"item", 0}, {"i"}},
                      {{"cbft_part", 0}, {"p"}}};
        for (auto& node : nodes_) node->tables = tables;
    }
    Node& node(std::uint32_t d) { return *nodes_[d]; }
    Now now() const { return {TimePoint{} + 1h + time_, 0}; }

    void perform(std::uint32_t d) {
        Node& n = node(d);
        GuardOutput out = n.guard.take_output();
        if (out.stop) n.running = false;
        if (out.begin) n.running = true;
        for (Slot slot : out.cuts) n.cuts.insert(slot);
        if (out.release) n.snapshot.reset();
        for (auto& asked : out.exports) {
            std::optional<Bytes> rows;
            if (n.snapshot && n.snapshot->first == asked.slot) {
                auto leaf = n.snapshot->second.begin();
                std::advance(leaf, asked.leaf);
                rows = to_bytes(as_bytes(leaf->second.at(asked.chunk)));
            }
            n.guard.exported(asked, rows, now());
        }
        if (out.rebuild) {
            n.rebuild = out.rebuild;
            n.loading.clear();
            n.guard.ready_to_load(now());
        }
        for (auto& load : out.load) {
            const DbLeaf& leaf = (*n.rebuild->leaves)[load.leaf];
            n.loading[{leaf.table, leaf.partition.value}].push_back(
                std::string(as_text(load.rows)));
            n.guard.loaded(now());
        }
        if (out.finish) finish(n);
        for (auto& event : out.events) n.events.push_back(std::move(event));
        for (Send& send : out.send)
            for (const Endpoint& to : send.to) {
                Payload payload = send.payload;
                if (n.lie && !n.lie(payload)) continue;
                wire_.push_back({Endpoint::voter(VoterId(d)), to, std::move(payload)});
            }
        if (out.rebuild || !out.load.empty() || !out.exports.empty() || out.finish) perform(d);
    }
    void finish(Node& n) {
        if (database_root(*leaves_of(n.loading)) != n.rebuild->root)
            return n.guard.rebuild_failed("the loaded rows have another root", now());
        n.tables = n.loading;
        n.running = true;
        n.passed = n.rebuild->slot;
        n.guard.rebuilt(now());
    }
    void deliver() {
        while (!wire_.empty()) {
            Message message = std::move(wire_.front());
            wire_.pop_front();
            Node& to = node(message.to.index);
            if (to.down || node(message.from.index).down) continue;
            auto verified = verifier_.verify(std::move(message));
            if (!verified) continue;
            to.guard.receive(*verified, now());
            perform(verified->message().to.index);
        }
    }
    /// Half a second: the order reaches the next checkpoint slot, everybody says where it stands.
    void step() {
        time_ += 500ms;
        slot_ = slot_ + kEvery;
        for (std::uint32_t d = 0; d < nodes_.size(); ++d) {
            Node& n = node(d);
            if (n.down) continue;
            if (n.scan_done && n.snapshot && *n.scan_done <= time_) finish_scan(d);
            if (n.running && !n.stuck) reach(n, d);
            n.guard.standing(n.next, n.passed, n.busy, now());
            VoterStatus status{VoterId(d), {}, n.lost_place ? Slot(0) : n.passed};
            for (auto& [p, s] : n.next) status.next.push_back({p, s});
            if (n.running)
                for (std::uint32_t to = 0; to < nodes_.size(); ++to)
                    if (to != d)
                        wire_.push_back(
                            {Endpoint::voter(VoterId(d)), Endpoint::voter(VoterId(to)), status});
            n.guard.tick(now());
            perform(d);
        }
        deliver();
    }
    void reach(Node& n, std::uint32_t d) {
        n.passed = slot_;
        for (const auto& [p, g] : m_.owners) n.next[p] = Seq(1 + slot_.value / kEvery);
        // The order writes the same to every database.
        n.tables[{"orders", 1}].back() = "c" + std::to_string(slot_.value);
        bool cut = n.cuts.contains(slot_) || slot_.value % m_.scan_slots == 0;
        if (!cut) return;
        if (n.snapshot) {
            n.guard.cut_skipped(slot_);
            return;
        }
        n.snapshot = {slot_, n.tables};
        n.scan_done = time_ + scan_takes_;
        if (scan_takes_ == 0ms) finish_scan(d);
    }
    void finish_scan(std::uint32_t d) {
        Node& n = node(d);
        n.scan_done.reset();
        n.guard.scanned({n.snapshot->first, leaves_of(n.snapshot->second)}, now());
        perform(d);
    }
    bool steps_until(const std::function<bool()>& done, int steps = 400) {
        for (int i = 0; i < steps; ++i) {
            if (done()) return true;
            step();
        }
        return done();
    }
    bool healed(std::uint32_t d) {
        return steps_until(
            [&] { return node(d).guard.report().transfers > 0 && !node(d).guard.quarantined(); });
    }
    static std::size_t count(const Node& n, Event::Kind kind) {
        return static_cast<std::size_t>(std::count_if(
            n.events.begin(), n.events.end(), [&](const Event& e) { return e.kind == kind; }));
    }
    static bool says(const Node& n, const std::string& text) {
        auto all = n.guard.report().differences;
        return std::any_of(all.begin(), all.end(),
                           [&](const auto& each) { return each.find(text) != std::string::npos; });
    }
    void all_equal() {
        for (auto& n : nodes_) EXPECT_EQ(n->tables, nodes_[0]->tables);
    }

    Membership m_ = small_cluster();
    HashChecker checker_;
    Verifier verifier_{m_, checker_};
    GuardOptions options_;
    std::vector<std::unique_ptr<Node>> nodes_;
    std::deque<Message> wire_;
    Duration time_{};
    Duration scan_takes_ = 0ms;
    Slot slot_{};
};

TEST_F(GuardTest, EqualDatabasesGiveAStableCheckpointAndNothingElse) {
    for (int i = 0; i < 40; ++i) step();
    for (auto& n : nodes_) {
        EXPECT_EQ(n->guard.report().stable, Slot(40 * kEvery));
        EXPECT_FALSE(n->guard.quarantined());
        EXPECT_EQ(count(*n, Event::Kind::database_differs), 0u);
        EXPECT_FALSE(n->snapshot) << "nobody wants to read it";
        EXPECT_LE(n->guard.report().roots.size(), 8u);
    }
}

TEST_F(GuardTest, AChangedRowIsNamedAndRepairedFromTheOthers) {
    step();
    node(2).tables[{"orders", 2}] = {"evil"};
    ASSERT_TRUE(steps_until([&] { return node(2).guard.quarantined(); }, 10));
    EXPECT_FALSE(node(2).running);
    ASSERT_TRUE(healed(2));
    EXPECT_TRUE(says(node(2), "table orders partition 2: other contents"));
    EXPECT_EQ(node(2).guard.report().differences.size(), 1u);
    for (std::uint32_t d : {0u, 1u}) {
        EXPECT_EQ(count(node(d), Event::Kind::database_differs), 1u) << "blamed once";
        EXPECT_FALSE(node(d).guard.quarantined());
    }
    step();
    all_equal();
    // The snapshots that were lent are given back.
    ASSERT_TRUE(steps_until([&] { return !node(0).snapshot && !node(1).snapshot; }, 300));
}

// The asker repeats its wish while the donors scan: they must not call it too late.
TEST_F(GuardTest, SlowScansDoNotMakeTheTransferBeginAgain) {
    scan_takes_ = 5s;
    step();
    node(2).guard.damaged("it is gone", now());
    perform(2);
    ASSERT_TRUE(healed(2));
    EXPECT_EQ(count(node(2), Event::Kind::dropped), 0u);
    for (std::uint32_t d : {0u, 1u}) {
        EXPECT_EQ(count(node(d), Event::Kind::dropped), 0u) << "one cut was enough";
        EXPECT_EQ(node(d).cuts.size(), 1u);
    }
    step();
    EXPECT_FALSE(node(0).guard.report().snapshot_held) << "given back at once";
}

TEST_F(GuardTest, ACutThatFindsTheSnapshotInUseIsAskedForAgain) {
    step();
    for (std::uint32_t d : {0u, 1u}) node(d).snapshot = {Slot(1), node(d).tables};
    node(2).guard.damaged("it is gone", now());
    perform(2);
    for (int i = 0; i < 4; ++i) step();
    EXPECT_TRUE(node(2).guard.quarantined());
    for (std::uint32_t d : {0u, 1u}) node(d).snapshot.reset();
    ASSERT_TRUE(healed(2));
    step();
    all_equal();
}

TEST_F(GuardTest, MissingAndAddedRowsAreTold) {
    step();
    node(0).tables.erase({"orders", 2});
    node(0).tables[{"orders", 7}] = {"x"};
    ASSERT_TRUE(healed(0));
    EXPECT_TRUE(says(node(0), "table orders partition 2: all 10 rows are missing"));
    EXPECT_TRUE(says(node(0), "table orders partition 7: 10 rows that should not be there"));
    step();
    all_equal();
}

TEST_F(GuardTest, ADatabaseThatIsGoneIsRebuilt) {
    step();
    node(1).guard.damaged("table orders does not exist", now());
    node(1).tables.clear();
    perform(1);
    EXPECT_FALSE(node(1).running);
    ASSERT_TRUE(healed(1));
    EXPECT_TRUE(says(node(1), "does not exist"));
    step();
    all_equal();
}

TEST_F(GuardTest, AnAuditScansAtOnceEverywhere) {
    step();
    node(0).guard.audit(Slot(3 * kEvery), now());
    perform(0);
    deliver();
    for (int i = 0; i < 2; ++i) step();
    auto roots = node(1).guard.report().roots;
    ASSERT_TRUE(roots.contains(Slot(3 * kEvery)));
    EXPECT_EQ(roots[Slot(3 * kEvery)].size(), 3u);
}

// --- copied to a file ---

TEST_F(GuardTest, ASnapshotIsLentWithWhatProvesItUntilItIsGivenBack) {
    scan_takes_ = 2s;
    step();
    const Slot slot(3 * kEvery);
    node(0).guard.save(slot, now());
    perform(0);
    deliver();
    EXPECT_TRUE(node(0).guard.saving(slot));
    EXPECT_FALSE(node(0).guard.saved(slot, now())) << "it is still to come";
    ASSERT_TRUE(steps_until([&] { return node(0).guard.saved(slot, now()).has_value(); }, 20));
    const auto saved = *node(0).guard.saved(slot, now());
    EXPECT_EQ(database_root(*saved.leaves), saved.root);
    EXPECT_GE(saved.votes.size(), m_.database_quorum());
    for (const DbCheckpoint& vote : saved.votes) {
        EXPECT_EQ(vote.root, saved.root);
        EXPECT_EQ(vote.slot, slot);
    }
    EXPECT_TRUE(node(0).snapshot) << "it stays open";
    EXPECT_FALSE(node(1).snapshot) << "the others only scan";
    EXPECT_TRUE(node(0).guard.lend(slot, 0, 0, now()));
    EXPECT_FALSE(node(0).guard.lend(slot, 0, 9, now()));
    EXPECT_FALSE(node(0).guard.lend(slot, 9, 0, now()));
    EXPECT_FALSE(node(0).guard.lend(Slot(4 * kEvery), 0, 0, now()));
    node(0).guard.exported({Endpoint::voter(VoterId(0)), slot, 0, 0}, Bytes(), now());
    EXPECT_TRUE(node(0).guard.take_output().send.empty()) << "nobody else asked";
    node(0).guard.end_save();
    perform(0);
    EXPECT_FALSE(node(0).snapshot);
    EXPECT_FALSE(node(0).guard.saving(slot));
    EXPECT_FALSE(node(0).guard.lend(slot, 0, 0, now()));
}

TEST_F(GuardTest, ASnapshotThatNobodyReadsIsClosed) {
    options_.lease = 10s;
    nodes_[0] = std::make_unique<Node>(m_, VoterId(0), options_);
    nodes_[0]->tables = node(1).tables;
    step();
    const Slot slot(3 * kEvery);
    node(0).guard.save(slot, now());
    perform(0);
    ASSERT_TRUE(steps_until([&] { return node(0).guard.saved(slot, now()).has_value(); }, 20));
    for (int i = 0; i < 40; ++i) {
        step();
        ASSERT_TRUE(node(0).guard.lend(slot, 0, 0, now())) << "each read renews the lease";
    }
    ASSERT_TRUE(steps_until([&] { return !node(0).guard.saving(slot); }, 30));
    EXPECT_FALSE(node(0).snapshot);
}

TEST_F(GuardTest, OneThatDiffersLendsNothing) {
    step();
    const Slot slot(3 * kEvery);
    node(0).tables[{"item", 0}] = {"x"};
    node(0).guard.save(slot, now());
    perform(0);
    for (int i = 0; i < 4; ++i) {
        step();
        EXPECT_FALSE(node(0).guard.saved(slot, now()));
    }
    EXPECT_TRUE(node(0).guard.quarantined());
    EXPECT_FALSE(node(0).guard.saving(slot));
}

TEST_F(GuardTest, ASkippedCutIsNotWaitedFor) {
    step();
    node(0).snapshot = {Slot(1), node(0).tables};
    node(0).guard.save(Slot(3 * kEvery), now());
    perform(0);
    for (int i = 0; i < 3; ++i) step();
    EXPECT_FALSE(node(0).guard.saving(Slot(3 * kEvery)));
    node(0).guard.save(Slot(5), now());
    EXPECT_FALSE(node(0).guard.saving(Slot(5))) << "no checkpoint slot";
}

// In a cluster that begins with a snapshot an empty database is not a new one's.
TEST_F(GuardTest, AnUnseededDatabaseIsLoadedFromOthersAndNeverBegins) {
    nodes_[2] =
        std::make_unique<Node>(m_, VoterId(2), options_, DatabaseGuard::Condition::unseeded);
    perform(2);
    EXPECT_TRUE(node(2).guard.quarantined());
    EXPECT_FALSE(node(2).running);
    ASSERT_TRUE(healed(2));
    step();
    all_equal();
}

TEST_F(GuardTest, WithoutF_DPlus1EqualOnesNothingIsTransferred) {
    step();
    node(0).tables[{"item", 0}] = {"x"};
    node(1).tables[{"item", 0}] = {"y"};
    for (int i = 0; i < 12; ++i) step();
    for (auto& n : nodes_) {
        EXPECT_FALSE(n->guard.quarantined());
        EXPECT_GT(count(*n, Event::Kind::nondeterminism), 0u);
    }
}

// f_D = 1: one liar beside one that needs help is more than f_D faults as far as progress goes, but
// whatever it says, nothing wrong is loaded.
TEST_F(GuardTest, ALyingDonorIsFoundOutAndAnotherOneHelps) {
    std::vector<std::string> lies;
    node(0).lie = [&](Payload& payload) {
        if (auto* chunk = std::get_if<DbChunk>(&payload)) {
            chunk->rows = to_bytes(as_bytes("forged"));
            lies.emplace_back("chunk");
        }
        if (auto* leaves = std::get_if<DbLeaves>(&payload)) {
            auto other = std::make_shared<std::vector<DbLeaf>>(*leaves->leaves);
            other->front().rows += 1;
            leaves->leaves = other;
            lies.emplace_back("leaves");
        }
        return true;
    };
    step();
    node(2).tables[{"orders", 2}] = {"evil"};
    ASSERT_TRUE(healed(2));
    EXPECT_FALSE(lies.empty());
    EXPECT_GT(count(node(2), Event::Kind::disagreement), 0u);
    step();
    all_equal();
}

TEST_F(GuardTest, ASilentDonorIsPassedOver) {
    node(0).lie = [](Payload& payload) { return !std::holds_alternative<DbChunk>(payload); };
    step();
    node(2).tables[{"orders", 1}][0] = "evil";
    ASSERT_TRUE(healed(2));
    step();
    all_equal();
}

TEST_F(GuardTest, ADonorThatDiesMeansAnotherCutLater) {
    step();
    node(2).tables[{"orders", 2}] = {"evil"};
    ASSERT_TRUE(steps_until([&] { return node(2).guard.report().state == State::cutting; }, 20));
    node(0).down = true;
    for (int i = 0; i < 60; ++i) step();
    EXPECT_TRUE(node(2).guard.quarantined()) << "one signer is not f_D+1";
    node(0).down = false;
    // It comes back as what it was: state at the current slot.
    node(0).tables = node(1).tables;
    ASSERT_TRUE(steps_until([&] { return node(2).guard.report().transfers > 0; }, 2000));
    step();
    all_equal();
}

TEST_F(GuardTest, StandingStillWhileOthersGoOnEndsInATransfer) {
    for (int i = 0; i < 3; ++i) step();
    node(1).stuck = true;
    node(1).busy = true;
    for (int i = 0; i < 200; ++i) step();
    EXPECT_FALSE(node(1).guard.quarantined()) << "its server may be down for a while";
    node(1).busy = false;
    for (int i = 0; i < 20; ++i) step();
    EXPECT_FALSE(node(1).guard.quarantined()) << "not at once";
    ASSERT_TRUE(steps_until([&] { return node(1).guard.quarantined(); }, 60));
    node(1).stuck = false;
    ASSERT_TRUE(healed(1));
    step();
    all_equal();
}

// Sequence numbers raised far beyond the order, and a restart: all that comes seems executed.
TEST_F(GuardTest, StandingAheadOfTheOrderEndsInATransfer) {
    for (int i = 0; i < 8; ++i) step();
    Node& raised = node(0);
    raised.stuck = true;
    for (auto& [p, seq] : raised.next) seq = seq + 100'000;
    auto one_step = [&] {
        std::map<PartitionId, Seq> order;
        for (const auto& [p, g] : m_.owners) order[p] = Seq(slot_.value / kEvery);
        if (raised.running) raised.guard.asked_again(order);
        step();
        return raised.guard.report().quarantines > 0;
    };
    int steps = 0;
    while (!one_step() && steps < 400) ++steps;
    EXPECT_GE(steps * 500ms, options_.stuck_after - 1s);
    EXPECT_THAT(raised.guard.report().reason, testing::HasSubstr("it stands ahead"));
    raised.stuck = false;
    EXPECT_TRUE(steps_until([&] { return raised.guard.report().transfers == 1; }));
}

// Others come back and are slow: the order does not go on below a sound database's next number.
TEST_F(GuardTest, AheadOfSlowOnesIsNoReason) {
    for (int i = 0; i < 8; ++i) step();
    node(1).stuck = node(2).stuck = true;
    std::map<PartitionId, Seq> order;
    for (const auto& [p, g] : m_.owners) order[p] = Seq(2);
    for (int i = 0; i < 400; ++i) {
        node(0).guard.asked_again(order);  // old ones, asked for again, and none after them
        step();
    }
    EXPECT_EQ(node(0).guard.report().quarantines, 0u);
}

TEST_F(GuardTest, OneLiarAheadBringsNobodyDown) {
    for (int i = 0; i < 3; ++i) step();
    for (auto& n : nodes_) n->stuck = true;  // nothing is ordered
    VoterStatus status{VoterId(0), {}, Slot(1 << 20)};
    for (const auto& [p, g] : m_.owners) status.next.push_back({p, Seq(1 << 20)});
    for (int i = 0; i < 200; ++i) {
        wire_.push_back({Endpoint::voter(VoterId(0)), Endpoint::voter(VoterId(1)), status});
        step();
    }
    EXPECT_FALSE(node(1).guard.quarantined());
}

TEST_F(GuardTest, AnEmptyDatabaseBeginsAndIsLoadedWhereThatIsInVain) {
    for (std::uint32_t d = 0; d < 3; ++d) {
        nodes_[d] =
            std::make_unique<Node>(m_, VoterId(d), options_, DatabaseGuard::Condition::empty);
        nodes_[d]->tables = {{{"orders", 1}, {"a"}}};
        perform(d);
    }
    node(2).down = true;
    ASSERT_TRUE(steps_until([&] { return node(0).running && node(1).running; }, 10));
    for (int i = 0; i < 10; ++i) step();
    node(2).down = false;
    node(2).stuck = true;  // what it missed is no longer sent
    ASSERT_TRUE(steps_until([&] { return node(2).running; }, 10)) << "it tries";
    ASSERT_TRUE(steps_until([&] { return !node(2).running; }, 200)) << "in vain";
    node(2).stuck = false;
    ASSERT_TRUE(healed(2));
    step();
    all_equal();
}

// One more than 2f_D+1: the others' roots and cuts are for it, too, and its own count.
TEST_F(GuardTest, OneMoreDatabaseIsLoadedAndCounts) {
    for (int i = 0; i < 3; ++i) step();
    m_.voters.push_back(HostId(0));
    nodes_.push_back(
        std::make_unique<Node>(m_, VoterId(3), options_, DatabaseGuard::Condition::half_built));
    wire_.push_back({Endpoint::voter(VoterId(3)), Endpoint::voter(VoterId(0)),
                     DbCut{VoterId(3), slot_ + kEvery * 4, true}});
    deliver();
    EXPECT_TRUE(node(0).cuts.empty()) << "nobody yet";
    for (std::uint32_t d = 0; d < 3; ++d) node(d).guard.joined(VoterId(3));
    perform(3);
    ASSERT_TRUE(healed(3));
    step();
    all_equal();
    // Two of four are f_D+1.
    node(0).down = node(1).down = true;
    const Slot before = node(3).guard.report().stable;
    EXPECT_TRUE(steps_until([&] { return node(3).guard.report().stable > before; }, 40));
}

// One other is ahead, and who would confirm it is gone for good: it must not wait for ever.
TEST_F(GuardTest, AnEmptyDatabaseWaitsOnlySoLong) {
    nodes_[1] = std::make_unique<Node>(m_, VoterId(1), options_, DatabaseGuard::Condition::empty);
    nodes_[1]->running = false;
    perform(1);
    node(2).down = true;
    for (int i = 0; i < 20; ++i) step();
    EXPECT_FALSE(node(1).running);
    EXPECT_TRUE(steps_until([&] { return node(1).running; }, 100));
}

TEST_F(GuardTest, AnInterruptedTransferBeginsAgain) {
    for (int i = 0; i < 3; ++i) step();
    nodes_[1] =
        std::make_unique<Node>(m_, VoterId(1), options_, DatabaseGuard::Condition::half_built);
    perform(1);
    EXPECT_FALSE(node(1).running);
    ASSERT_TRUE(healed(1));
    step();
    all_equal();
}

// Those who were started again say that they have passed no checkpoint: a cut chosen from that lies
// in the past, and each one in vain doubles the distance of the next.
TEST_F(GuardTest, NoCutIsChosenBeforeTheOthersKnowWhereTheyStand) {
    for (int i = 0; i < 200; ++i) step();
    for (std::uint32_t d : {0u, 1u}) node(d).lost_place = true;
    nodes_[2] =
        std::make_unique<Node>(m_, VoterId(2), options_, DatabaseGuard::Condition::half_built);
    perform(2);
    for (int i = 0; i < 20; ++i) step();
    for (std::uint32_t d : {0u, 1u}) node(d).lost_place = false;
    EXPECT_TRUE(steps_until([&] { return node(2).guard.report().transfers > 0; }, 20));
}

TEST_F(GuardTest, CutsCostTheirAskerABudget) {
    step();
    std::size_t granted = 0;
    for (std::uint64_t i = 2; i < 100; ++i) {
        wire_.push_back({Endpoint::voter(VoterId(0)), Endpoint::voter(VoterId(1)),
                         DbCut{VoterId(0), Slot(i * kEvery), true}});
    }
    deliver();
    granted = node(1).cuts.size();
    EXPECT_EQ(granted, options_.cut_burst);
}

TEST_F(GuardTest, HostileMessagesAreHarmless) {
    step();
    auto from = Endpoint::voter(VoterId(0)), to = Endpoint::voter(VoterId(1));
    auto give = [&](Payload payload) {
        wire_.push_back({from, to, std::move(payload)});
        deliver();
    };
    give(DbCut{VoterId(0), Slot(UINT64_MAX - UINT64_MAX % kEvery), true});
    give(DbCut{VoterId(0), Slot(0), true});
    give(DbCut{VoterId(2), Slot(64), true});
    give(FetchDbLeaves{VoterId(0), Slot(7)});
    give(FetchDbChunk{VoterId(0), Slot(7), UINT32_MAX, UINT32_MAX});
    give(DbChunk{VoterId(0), Slot(7), 0, 0, {}});
    give(DbLeaves{VoterId(0), Slot(7), leaves_of(node(0).tables)});
    give(DbLeaves{VoterId(0), Slot(7), nullptr});
    give(DbGone{VoterId(0), Slot(7)});
    give(DbCheckpoint{VoterId(0), Slot(kEvery), Digest(), to_bytes(as_bytes("no signature"))});
    EXPECT_FALSE(node(1).guard.quarantined());
    EXPECT_TRUE(node(1).guard.report().roots.empty());
    EXPECT_TRUE(node(1).cuts.empty());
}

}  // namespace
}  // namespace bft::consensus

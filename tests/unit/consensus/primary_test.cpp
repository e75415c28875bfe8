#include "consensus/minbft/primary.hpp"

#include "fixture.hpp"

#include <gtest/gtest.h>

namespace bft::consensus::minbft {
namespace {

using namespace test;

class PrimaryTest : public testing::Test {
protected:
    PrimaryTest() {
        options_.batch_interval = 10ms;
        options_.heartbeat = 1s;
        options_.window = 4;
        start();
    }

    void start() { primary_.emplace(m_, PrimaryId(0), options_, signer_); }
    Now at(Duration since_start) { return {TimePoint{} + 1h + since_start, 1000}; }
    void give(Endpoint from, Payload payload, Duration when) {
        auto verified =
            verifier_.verify({from, Endpoint::primary(PrimaryId(0)), std::move(payload)});
        ASSERT_TRUE(verified) << verified.error().what;
        primary_->receive(*verified, at(when));
    }
    void request(std::uint64_t cseq, Duration when) {
        give(Endpoint::of_client(ClientId(1)), make_request(m_, cseq), when);
    }
    /// Ticks, certifies the draft that must be there, and returns the PREPARE.
    Prepare order(Duration when) {
        primary_->tick(at(when));
        Output out = primary_->take_output();
        EXPECT_TRUE(out.seal);
        if (!out.seal) return {};
        primary_->sealed(HashChecker::certify(UsigId(0), ++counter_, out.seal->digest), at(when));
        out = primary_->take_output();
        EXPECT_EQ(out.send.size(), 1u);
        return std::get<Prepare>(out.send.at(0).payload);
    }
    static Primary::Recovered logged(std::vector<Prepare> prepares,
                                     std::optional<PrepareIntent> intent = {}) {
        return {std::move(prepares), std::move(intent), {}, {}, {}, {}, {}, {}, {}};
    }
    void status(std::uint32_t position, Slot slot, Duration when) {
        Status s;
        s.delivered = s.executed = s.low = slot;
        s.votes_seen.resize(3);
        s.ordering_seen.resize(1);
        give(Endpoint::replica(GroupId(0), Position(position)), s, when);
    }

    struct CountUp {
        std::uint64_t value = 0;
        Counter operator++() { return Counter(++value); }
    } counter_;
    Membership m_ = small_cluster();
    HashChecker checker_;
    Verifier verifier_{m_, checker_};
    HashSigner signer_{m_, Endpoint::primary(PrimaryId(0))};
    PrimaryOptions options_;
    std::optional<Primary> primary_;
};

TEST_F(PrimaryTest, BatchesWhatCameWithinTheInterval) {
    order(0ms);  // the first heartbeat is due at once
    request(1, 1ms);
    request(2, 5ms);
    primary_->tick(at(6ms));
    EXPECT_FALSE(primary_->take_output().seal);
    Prepare prepare = order(11ms);
    EXPECT_EQ(prepare.slot, Slot(2));
    EXPECT_EQ(prepare.header->entries.size(), 2u);
}

TEST_F(PrimaryTest, PersistsTheIntentBeforeItAsksTheTpm) {
    order(0ms);
    request(1, 1ms);
    primary_->tick(at(20ms));
    Output out = primary_->take_output();
    ASSERT_TRUE(out.seal);
    ASSERT_EQ(out.persist.size(), 2u);
    EXPECT_TRUE(std::holds_alternative<SlotBodiesRecord>(out.persist[0].record));
    EXPECT_TRUE(std::holds_alternative<PrepareIntent>(out.persist[1].record));
    EXPECT_TRUE(out.persist[1].durable);
    EXPECT_TRUE(out.send.empty());
}

TEST_F(PrimaryTest, OrdersARequestOnce) {
    request(1, 0ms);
    EXPECT_EQ(order(10ms).header->entries.size(), 1u);
    request(1, 20ms);
    EXPECT_TRUE(order(2s).header->entries.empty());
}

TEST_F(PrimaryTest, ACopyThatComesWhileTheTpmWorksIsNotOrderedAgain) {
    request(1, 0ms);
    primary_->tick(at(10ms));
    ASSERT_TRUE(primary_->take_output().seal);
    request(1, 11ms);
    EXPECT_EQ(primary_->report().pooled, 0u);
}

TEST_F(PrimaryTest, StopsAtTheWindowUntilFPlusOneMoveOn) {
    for (int i = 0; i < 4; ++i) order(2s * (i + 1));
    EXPECT_EQ(primary_->next_deadline(), at(9s).mono);
    primary_->tick(at(20s));
    Output out = primary_->take_output();
    EXPECT_FALSE(out.seal);
    // No new slot will show the gap to who missed the last ones: the tip goes again.
    ASSERT_EQ(out.send.size(), 1u);
    EXPECT_EQ(out.send[0].to, m_.all_replicas());
    EXPECT_EQ(std::get<Prepare>(out.send[0].payload).slot, Slot(4));
    EXPECT_EQ(primary_->next_deadline(), at(21s).mono);
    status(0, Slot(4), 21s);  // one may lie
    EXPECT_FALSE(primary_->take_output().seal);
    status(1, Slot(2), 22s);
    EXPECT_TRUE(primary_->take_output().seal);
}

TEST_F(PrimaryTest, CreditsFollowExecution) {
    options_.group_credit = 1;
    start();
    request(1, 0ms);
    request(2, 0ms);
    EXPECT_EQ(order(10ms).header->entries.size(), 1u);
    primary_->tick(at(30ms));
    EXPECT_FALSE(primary_->take_output().seal);
    status(0, Slot(1), 40ms);
    EXPECT_FALSE(primary_->take_output().seal);
    status(1, Slot(1), 50ms);
    EXPECT_TRUE(primary_->take_output().seal);
}

TEST_F(PrimaryTest, ALoneRequestWaitsForNobody) {
    order(0ms);
    request(1, 50ms);  // long after the last slot: at once
    EXPECT_TRUE(primary_->take_output().seal);
}

TEST_F(PrimaryTest, ACrowdThatComesBackSharesASlot) {
    order(0ms);
    for (std::uint64_t cseq = 1; cseq <= 4; ++cseq) request(cseq, 1ms);
    EXPECT_EQ(order(10ms).header->entries.size(), 4u);
    // All have their answers at once; the first to come back waits for the others.
    status(0, Slot(2), 60ms);
    request(5, 60ms);
    status(1, Slot(2), 60ms);
    EXPECT_FALSE(primary_->take_output().seal);
    request(6, 70ms);
    request(7, 75ms);
    primary_->tick(at(80ms));
    EXPECT_FALSE(primary_->take_output().seal);
    request(8, 82ms);  // as many as before, but perhaps one more
    EXPECT_FALSE(primary_->take_output().seal);
    EXPECT_EQ(primary_->next_deadline(), at(84ms).mono);
    EXPECT_EQ(order(84ms).header->entries.size(), 4u);
}

TEST_F(PrimaryTest, ACrowdThatShrinksIsNotWaitedForLong) {
    order(0ms);
    for (std::uint64_t cseq = 1; cseq <= 4; ++cseq) request(cseq, 1ms);
    order(10ms);
    for (std::uint32_t position : {0u, 1u}) status(position, Slot(2), 60ms);
    request(5, 100ms);
    EXPECT_EQ(primary_->next_deadline(), at(125ms).mono);
    EXPECT_EQ(order(125ms).header->entries.size(), 1u);
    for (std::uint64_t slot = 3; slot <= 5; ++slot) {
        Duration when = 200ms * static_cast<int>(slot);
        for (std::uint32_t position : {0u, 1u}) status(position, Slot(slot), when);
        request(slot + 3, when);
        order(when + 25ms);
    }
    for (std::uint32_t position : {0u, 1u}) status(position, Slot(6), 1100ms);
    request(9, 1100ms);  // alone by now: at once
    EXPECT_TRUE(primary_->take_output().seal);
}

TEST_F(PrimaryTest, WhileDatabasesWorkSlotsFill) {
    order(0ms);
    for (std::uint64_t cseq = 1; cseq <= 2; ++cseq) request(cseq, 1ms);
    order(10ms);
    request(3, 20ms);
    EXPECT_EQ(primary_->next_deadline(), at(210ms).mono);  // fewer than lately: twice as long
    request(4, 30ms);
    EXPECT_EQ(primary_->next_deadline(), at(110ms).mono);
    EXPECT_EQ(order(110ms).header->entries.size(), 2u);
}

TEST_F(PrimaryTest, TimeAlwaysIncreases) {
    Prepare first = order(0s);
    Prepare second = order(2s);  // the wall clock stands still in this test
    EXPECT_GT(second.header->ts_ms, first.header->ts_ms);
}

TEST_F(PrimaryTest, ACounterThatDoesNotFitEndsIt) {
    primary_->tick(at(0s));
    Output out = primary_->take_output();
    primary_->sealed(HashChecker::certify(UsigId(0), Counter(2), out.seal->digest), at(0s));
    out = primary_->take_output();
    ASSERT_EQ(out.send.size(), 1u);
    EXPECT_TRUE(std::holds_alternative<Resign>(out.send[0].payload));
    ASSERT_EQ(out.events.size(), 1u);
    EXPECT_EQ(out.events[0].kind, Event::Kind::sender_dead);
    primary_->tick(at(1h));
    EXPECT_TRUE(primary_->take_output().empty());
}

TEST_F(PrimaryTest, RecoversT0T1AndRefusesTheRest) {
    Digest genesis = genesis_header_digest(m_.cluster);
    Prepare first = make_prepare(m_, Slot(1), genesis, {}, 5);
    Prepare second = make_prepare(m_, Slot(2), first.hd, {}, 6);
    Digest second_digest = prepare_digest(m_.cluster, View(0), Slot(2), second.hd);
    Digest first_digest = prepare_digest(m_.cluster, View(0), Slot(1), first.hd);

    EXPECT_TRUE(primary_->recover(logged({first}), std::pair(first_digest, first.ui)));
    EXPECT_EQ(primary_->report().tip, Slot(1));

    start();  // T1: certified, not logged
    PrepareIntent intent{View(0), second.header};
    EXPECT_TRUE(primary_->recover(logged({first}, intent), std::pair(second_digest, second.ui)));
    EXPECT_EQ(primary_->report().tip, Slot(2));
    primary_->tick(at(0s));
    Output out = primary_->take_output();
    ASSERT_FALSE(out.send.empty());
    EXPECT_EQ(std::get<Prepare>(out.send[0].payload).slot, Slot(2));

    start();  // T2: the log is older than the TPM
    EXPECT_FALSE(primary_->recover(logged({first}), std::pair(second_digest, second.ui)));
    start();  // T6: the TPM is older than the log
    EXPECT_FALSE(primary_->recover(logged({first, second}), std::pair(first_digest, first.ui)));
    start();  // a damaged log
    EXPECT_FALSE(primary_->recover(logged({second}), std::pair(second_digest, second.ui)));
}

}  // namespace
}  // namespace bft::consensus::minbft

#include "consensus/voter.hpp"

#include "fixture.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace bft::consensus {
namespace {

using namespace test;

PartitionSeq at_seq(std::uint32_t partition, std::uint64_t seq) {
    return {PartitionId(partition), Seq(seq)};
}

class VoterTest : public testing::Test {
protected:
    VoterTest() { start(); }

    void start(std::map<PartitionId, Seq> next = {}) {
        voter_.emplace(m_, VoterId(0), options_, next);
        out_ = {};
    }
    Now at(Duration since_start) { return {TimePoint{} + 1h + since_start, 0}; }
    void collect() {
        VoterOutput more = voter_->take_output();
        for (auto& e : more.execute) out_.execute.push_back(std::move(e));
        for (auto& l : more.lookup) out_.lookup.push_back(std::move(l));
        for (auto& s : more.send) out_.send.push_back(std::move(s));
        for (auto& e : more.events) out_.events.push_back(std::move(e));
    }
    void give(Endpoint from, Payload payload, Duration when = 0ms) {
        auto verified = verifier_.verify({from, Endpoint::voter(VoterId(0)), std::move(payload)});
        ASSERT_TRUE(verified) << verified.error().what;
        voter_->receive(*verified, at(when));
        collect();
    }
    void tick(Duration when) {
        voter_->tick(at(when));
        collect();
    }
    /// An item of one request; its home is the first partition.
    DbItem item(const Body& body, std::vector<PartitionSeq> seqs, std::uint32_t index = 0) {
        DbItem item;
        item.index = index;
        item.rid = body->id;
        item.rd = body->rd;
        item.ts_ms = 7;
        item.seqs = std::move(seqs);
        return item;
    }
    Body request(std::uint64_t cseq, std::vector<std::uint32_t> parts = {1}) {
        std::vector<PartitionId> ids;
        for (std::uint32_t p : parts) ids.emplace_back(p);
        return make_request(m_, cseq, ids);
    }
    void vote(std::uint32_t position, std::uint64_t slot, std::vector<DbItem> items,
              std::vector<Body> bodies = {}, Duration when = 0ms) {
        GroupId group = *m_.owner(items.front().rid.home);
        give(Endpoint::replica(group, Position(position)),
             CommitDb{group, Position(position), Slot(slot), m_.version, std::move(items),
                      std::move(bodies)},
             when);
    }
    /// f+1 votes with the body.
    void decide(std::uint64_t slot, const DbItem& it, const Body& body) {
        vote(0, slot, {it}, body ? std::vector<Body>{body} : std::vector<Body>{});
        vote(1, slot, {it}, {});
    }
    /// The database commits what was given to workers, in the order given.
    void commit(std::size_t count) {
        std::vector<Executed> done;
        for (std::size_t i = 0; i < count; ++i, ++committed_) {
            const Execution& e = out_.execute.at(committed_);
            ItemResult result;
            result.index = e.item.index;
            result.rid = e.item.rid;
            result.result = {1, 2, 3};
            result.has_result = true;
            result.rdig = result_digest(result.outcome, result.code, result.result);
            done.push_back({e.group, e.slot, result, e.item.seqs});
        }
        voter_->executed(done, at(0ms));
        collect();
    }
    template <class T>
    std::vector<std::pair<std::vector<Endpoint>, T>> sent() {
        std::vector<std::pair<std::vector<Endpoint>, T>> found;
        for (const Send& send : out_.send)
            if (const T* payload = std::get_if<T>(&send.payload))
                found.emplace_back(send.to, *payload);
        return found;
    }
    std::size_t events(Event::Kind kind) {
        return static_cast<std::size_t>(
            std::count_if(out_.events.begin(), out_.events.end(),
                          [&](const Event& e) { return e.kind == kind; }));
    }

    Membership m_ = small_cluster(2, 4);  // 1 and 3: group 0; 2 and 4: group 1
    HashChecker checker_;
    Verifier verifier_{m_, checker_};
    VoterOptions options_;
    std::optional<Voter> voter_;
    VoterOutput out_;
    std::size_t committed_ = 0;
};

TEST_F(VoterTest, ExecutesOnTwoEqualVotesOfTheOwnerGroup) {
    Body body = request(1);
    DbItem it = item(body, {at_seq(1, 1)});
    vote(0, 1, {it}, {body});
    EXPECT_TRUE(out_.execute.empty());
    vote(0, 1, {it}, {body});  // the same position again counts once
    EXPECT_TRUE(out_.execute.empty());
    vote(2, 1, {it});
    ASSERT_EQ(out_.execute.size(), 1u);
    EXPECT_EQ(out_.execute[0].item, it);
    EXPECT_EQ(out_.execute[0].body, body);
    commit(1);
    auto replies = sent<DbReply>();
    ASSERT_EQ(replies.size(), 1u);
    EXPECT_EQ(replies[0].first, m_.replicas(GroupId(0)));
    EXPECT_TRUE(replies[0].second.items.at(0).has_result);  // (slot 1 + voter 0) mod 3 < 2
}

TEST_F(VoterTest, ResultsRotateOverTheVoters) {
    for (std::uint64_t slot = 1; slot <= 3; ++slot) {
        Body body = request(slot);
        decide(slot, item(body, {at_seq(1, slot)}), body);
        commit(1);
    }
    auto replies = sent<DbReply>();
    ASSERT_EQ(replies.size(), 3u);
    EXPECT_TRUE(replies[0].second.items[0].has_result);
    EXPECT_FALSE(replies[1].second.items[0].has_result);  // slot 2: voters 1 and 2
    EXPECT_TRUE(replies[1].second.items[0].result.empty());
    EXPECT_TRUE(replies[2].second.items[0].has_result);
    EXPECT_FALSE(replies[1].second.items[0].rdig.is_zero());
}

TEST_F(VoterTest, FirstVoteWinsAndDisagreementIsNamed) {
    Body body = request(1);
    DbItem right = item(body, {at_seq(1, 1)});
    DbItem wrong = right;
    wrong.seed = 99;
    vote(0, 1, {wrong});
    vote(0, 1, {right}, {body});  // changed its mind: the first one stays
    EXPECT_EQ(events(Event::Kind::disagreement), 1u);
    vote(1, 1, {right}, {body});
    EXPECT_TRUE(out_.execute.empty());
    vote(2, 1, {right});
    ASSERT_EQ(out_.execute.size(), 1u);
    auto liar = Endpoint::replica(GroupId(0), Position(0));
    EXPECT_EQ(voter_->report().disagreements.at(liar), 2u);
    EXPECT_EQ(voter_->report().disagreements.size(), 1u);
}

TEST_F(VoterTest, WaitsForTheSequenceNumberOnEveryPartition) {
    Body multi = request(1, {1, 2});
    decide(2, item(multi, {at_seq(1, 2), at_seq(2, 1)}), multi);
    EXPECT_TRUE(out_.execute.empty());
    Body first = request(2);
    decide(1, item(first, {at_seq(1, 1)}), first);
    ASSERT_EQ(out_.execute.size(), 2u);  // one worker: the second may follow at once
    EXPECT_EQ(out_.execute[0].item.rid, first->id);
    EXPECT_EQ(out_.execute[1].item.rid, multi->id);
}

TEST_F(VoterTest, ItemWaitsWhilePredecessorsAreWithDifferentWorkers) {
    options_.workers = 4;
    start();
    Body one = request(1, {1});
    Body two = request(1, {2});
    decide(1, item(one, {at_seq(1, 1)}), one);
    decide(1, item(two, {at_seq(2, 1)}), two);
    ASSERT_EQ(out_.execute.size(), 2u);
    EXPECT_EQ(out_.execute[0].worker, 1u);  // home mod workers
    EXPECT_EQ(out_.execute[1].worker, 2u);
    Body both = request(2, {1, 2});
    decide(2, item(both, {at_seq(1, 2), at_seq(2, 2)}), both);
    EXPECT_EQ(out_.execute.size(), 2u);
    commit(1);  // partition 1 is free now: the item may follow behind partition 2's worker
    ASSERT_EQ(out_.execute.size(), 3u);
    EXPECT_EQ(out_.execute[2].worker, 2u);
    // A single-partition item now has its predecessor on worker 2, not on its home worker.
    Body after = request(3, {1});
    decide(3, item(after, {at_seq(1, 3)}), after);
    ASSERT_EQ(out_.execute.size(), 4u);
    EXPECT_EQ(out_.execute[3].worker, 2u);
}

TEST_F(VoterTest, InFlightIsBounded) {
    options_.in_flight_max = 2;
    start();
    for (std::uint64_t s = 1; s <= 5; ++s) {
        Body body = request(s);
        decide(s, item(body, {at_seq(1, s)}), body);
    }
    EXPECT_EQ(out_.execute.size(), 2u);
    commit(2);
    EXPECT_EQ(out_.execute.size(), 4u);
    EXPECT_EQ(voter_->report().in_flight, 2u);
    EXPECT_EQ(voter_->report().waiting, 1u);
}

TEST_F(VoterTest, NopNeedsNoBodyAndIsAnsweredWithoutTheDatabasesWord) {
    Body body = request(1);
    DbItem nop = item(body, {at_seq(1, 1)});
    nop.kind = ItemKind::nop;
    vote(0, 1, {nop});
    vote(1, 1, {nop});
    ASSERT_EQ(out_.execute.size(), 1u);
    EXPECT_EQ(out_.execute[0].body, nullptr);
    commit(1);
    EXPECT_EQ(sent<DbReply>().at(0).second.items[0].outcome, Outcome::duplicate);
}

TEST_F(VoterTest, WrongGroupIsThrownAway) {
    Body body = request(1, {1, 2});  // home 1: group 0
    DbItem it = item(body, {at_seq(1, 1), at_seq(2, 1)});
    for (std::uint32_t j : {0u, 1u})
        give(Endpoint::replica(GroupId(1), Position(j)),
             CommitDb{GroupId(1), Position(j), Slot(1), m_.version, {it}, {body}});
    EXPECT_TRUE(out_.execute.empty());
    EXPECT_EQ(voter_->report().waiting, 0u);
    decide(1, it, body);
    EXPECT_EQ(out_.execute.size(), 1u);
}

TEST_F(VoterTest, TwoDecidedItemsForOneNumberHaltThePartition) {
    Body a = request(1);
    Body b = request(2);
    decide(2, item(a, {at_seq(1, 2)}), a);
    decide(3, item(b, {at_seq(1, 2)}), b);
    EXPECT_EQ(events(Event::Kind::order_conflict), 1u);
    Body first = request(3);
    decide(1, item(first, {at_seq(1, 1)}), first);
    EXPECT_TRUE(out_.execute.empty());
    Body other = request(1, {3});
    decide(4, item(other, {at_seq(3, 1)}), other);
    EXPECT_EQ(out_.execute.size(), 1u);  // other partitions go on
}

TEST_F(VoterTest, RetransmittedItemsAreAnsweredFromMemory) {
    Body body = request(1);
    DbItem it = item(body, {at_seq(1, 1)});
    decide(1, it, body);
    commit(1);
    out_.send.clear();
    vote(2, 1, {it});  // late, for the first time: what the rotation gives
    vote(2, 1, {it});  // again: in full
    auto replies = sent<DbReply>();
    ASSERT_EQ(replies.size(), 2u);
    EXPECT_EQ(replies[0].first, std::vector{Endpoint::replica(GroupId(0), Position(2))});
    EXPECT_TRUE(replies[1].second.items[0].has_result);
    EXPECT_TRUE(out_.lookup.empty());
    DbItem wrong = it;
    wrong.seed = 5;
    vote(2, 1, {wrong});
    EXPECT_EQ(events(Event::Kind::disagreement), 1u);
}

TEST_F(VoterTest, AfterARestartAnswersComeFromTheDatabase) {
    start({{PartitionId(1), Seq(5)}});
    Body body = request(1);
    DbItem it = item(body, {at_seq(1, 4)});
    vote(0, 9, {it});
    vote(0, 9, {it});  // one Lookup at a time for it
    ASSERT_EQ(out_.lookup.size(), 1u);
    ItemResult row;
    row.rid = it.rid;
    row.rdig = result_digest(Outcome::ok, 0, {});
    row.has_result = true;
    voter_->found(out_.lookup[0], {row}, at(0ms));
    collect();
    auto replies = sent<DbReply>();
    ASSERT_EQ(replies.size(), 1u);
    EXPECT_TRUE(replies[0].second.items[0].same_answer(row));
    vote(0, 9, {it});
    ASSERT_EQ(out_.lookup.size(), 2u);
    voter_->found(out_.lookup[1], {}, at(0ms));  // no row: it had no effect
    collect();
    EXPECT_EQ(sent<DbReply>().at(1).second.items[0].outcome, Outcome::duplicate);
}

// V10: what it has answers to does not make it one that stands ahead of the order.
TEST_F(VoterTest, OnlyWhatItNeverExecutedIsAskedAgain) {
    start({{PartitionId(1), Seq(5)}});
    Body body = request(1);
    DbItem it = item(body, {at_seq(1, 4)});
    ItemResult row;
    row.rid = it.rid;
    row.rdig = result_digest(Outcome::ok, 0, {});
    row.has_result = true;
    for (std::uint32_t position : {0, 1}) {
        vote(position, 9, {it});
        voter_->found(out_.lookup.back(), {row}, at(0ms));
    }
    EXPECT_EQ(voter_->asked_again()[PartitionId(1)], Seq(0));
    for (std::uint32_t position : {0, 1}) {
        vote(position, 9, {it});
        voter_->found(out_.lookup.back(), {}, at(0ms));
    }
    EXPECT_EQ(voter_->asked_again()[PartitionId(1)], Seq(4));
}

TEST_F(VoterTest, ItemsBeyondTheWindowAreDropped) {
    options_.window = 10;
    start();
    Body body = request(1);
    decide(1, item(body, {at_seq(1, 11)}), body);
    EXPECT_EQ(voter_->report().waiting, 0u);
    EXPECT_EQ(events(Event::Kind::dropped), 2u);
    decide(1, item(body, {at_seq(1, 10)}), body);
    EXPECT_EQ(voter_->report().waiting, 1u);
}

TEST_F(VoterTest, MalformedItemsAreDropped) {
    Body body = request(1, {1, 2});
    for (auto seqs : {std::vector{at_seq(1, 0), at_seq(2, 1)},
                      {at_seq(2, 1), at_seq(1, 1)},
                      {at_seq(1, 1), at_seq(1, 1)},
                      {at_seq(1, 1), at_seq(99, 1)},
                      {at_seq(2, 1), at_seq(3, 1)}})
        vote(0, 1, {item(body, seqs)});
    EXPECT_EQ(events(Event::Kind::dropped), 5u);
    EXPECT_EQ(voter_->report().waiting, 0u);
}

TEST_F(VoterTest, AFullQuotaPrefersEarlierPlaces) {
    options_.sender_bytes = 10 * 288;
    start();
    for (std::uint64_t s = 20; s > 0; --s) {
        Body body = request(s);
        vote(0, s, {item(body, {at_seq(1, s)})});
    }
    EXPECT_EQ(voter_->report().waiting, 10u);
    EXPECT_EQ(events(Event::Kind::dropped), 0u);  // the later ones made room
    Body late = request(30);
    vote(0, 30, {item(late, {at_seq(1, 30)})});
    EXPECT_EQ(events(Event::Kind::dropped), 1u);
    // The earliest ones are the ones that can be decided.
    for (std::uint64_t s = 1; s <= 10; ++s) {
        Body body = request(s);
        vote(1, s, {item(body, {at_seq(1, s)})}, {body});
    }
    EXPECT_GT(out_.execute.size(), 0u);
}

TEST_F(VoterTest, AVoteForASequenceNumberThatAnotherItemGotIsDroppedAndNamed) {
    Body body = request(1);
    DbItem it = item(body, {at_seq(1, 1)});
    Body forged = request(2);
    vote(2, 5, {item(forged, {at_seq(1, 1)})});
    EXPECT_EQ(voter_->report().waiting, 1u);
    decide(1, it, body);
    commit(1);
    EXPECT_EQ(voter_->report().waiting, 0u);
    EXPECT_EQ(events(Event::Kind::disagreement), 1u);
}

TEST_F(VoterTest, MissingBodyIsFetchedFromTheOwnerGroup) {
    Body body = request(1);
    DbItem it = item(body, {at_seq(1, 1)});
    vote(0, 1, {it});
    vote(1, 1, {it});
    EXPECT_TRUE(out_.execute.empty());
    tick(100ms);
    EXPECT_TRUE(sent<FetchBodies>().empty());
    tick(250ms);
    auto fetches = sent<FetchBodies>();
    ASSERT_EQ(fetches.size(), 1u);
    EXPECT_EQ(fetches[0].first, m_.replicas(GroupId(0)));
    EXPECT_EQ(fetches[0].second.rds, std::vector{body->rd});
    give(Endpoint::replica(GroupId(1), Position(0)), Bodies{{body}});
    EXPECT_TRUE(out_.execute.empty());  // not of the owner group
    give(Endpoint::replica(GroupId(0), Position(2)), Bodies{{body}});
    EXPECT_EQ(out_.execute.size(), 1u);
}

TEST_F(VoterTest, GapsAreFetchedFromEverybodyWithBackOff) {
    Body body = request(1);
    decide(3, item(body, {at_seq(1, 3)}), body);
    tick(150ms);
    EXPECT_TRUE(sent<FetchDbItems>().empty());
    tick(250ms);
    auto fetches = sent<FetchDbItems>();
    ASSERT_EQ(fetches.size(), 1u);
    EXPECT_EQ(fetches[0].first, m_.all_replicas());
    EXPECT_EQ(fetches[0].second.partition, PartitionId(1));
    EXPECT_EQ(fetches[0].second.from, Seq(1));
    EXPECT_EQ(fetches[0].second.to, Seq(2));
    for (Duration t = 250ms; t < 10s; t += 50ms) tick(t);
    EXPECT_LT(sent<FetchDbItems>().size(), 9u);
    EXPECT_GT(sent<FetchDbItems>().size(), 3u);
}

TEST_F(VoterTest, AnnouncesWhereItStands) {
    start({{PartitionId(2), Seq(7)}});
    tick(0ms);
    auto statuses = sent<VoterStatus>();
    ASSERT_EQ(statuses.size(), 1u);
    EXPECT_EQ(statuses[0].first, m_.all_replicas());
    ASSERT_EQ(statuses[0].second.next.size(), 5u);
    EXPECT_EQ(statuses[0].second.next[1], at_seq(1, 1));
    EXPECT_EQ(statuses[0].second.next[2], at_seq(2, 7));
    EXPECT_EQ(voter_->next_deadline(), at(200ms).mono);
}

// V3 judges the group where the item's turn comes; which version its replicas speak of says
// nothing.
TEST_F(VoterTest, ItemsOfAnotherVersionAreJudgedByTheirPlace) {
    Body body = request(1);
    DbItem it = item(body, {at_seq(1, 1)});
    for (std::uint32_t j : {0u, 1u})
        give(Endpoint::replica(GroupId(0), Position(j)),
             CommitDb{GroupId(0), Position(j), Slot(1), ConfigVersion(9), {it}, {body}});
    EXPECT_EQ(voter_->report().in_flight, 1u);
}

// V12, V3: from a configuration item on, the partitions that it moves are another group's.
TEST_F(VoterTest, AConfigurationMovesAPartition) {
    ASSERT_EQ(m_.owner(PartitionId(1)), GroupId(0));
    Body body = make_config(m_, {ConfigVersion(1), {{PartitionId(1), GroupId(1)}}, {}});
    DbItem change;
    change.kind = ItemKind::config;
    change.rid = body->id;
    change.rd = body->rd;
    change.seqs = {at_seq(0, 1), at_seq(1, 1)};
    auto cast = [&](std::uint32_t group, std::uint64_t slot, const DbItem& it, const Body& with) {
        for (std::uint32_t j : {0u, 1u})
            give(Endpoint::replica(GroupId(group), Position(j)),
                 CommitDb{GroupId(group), Position(j), Slot(slot), {}, {it}, {with}});
    };
    Body old_body = request(1);
    Body new_body = request(2);
    DbItem late = item(old_body, {at_seq(1, 2)});
    cast(0, 2, late, old_body);
    EXPECT_EQ(voter_->report().in_flight, 0u);
    cast(0, 1, change, body);
    // The old owner's vote for what comes after it is void, the new one's is not.
    EXPECT_EQ(voter_->config().owner(PartitionId(1)), GroupId(1));
    EXPECT_EQ(voter_->report().in_flight, 1u);
    cast(1, 2, item(new_body, {at_seq(1, 2)}), new_body);
    EXPECT_EQ(voter_->report().in_flight, 2u);
}

// V11: the checkpoint item waits for all partitions, and all partitions wait for it.
TEST_F(VoterTest, ACheckpointCutsThroughAllPartitions) {
    m_.checkpoint_slots = 4;
    m_.scan_slots = 8;
    options_.workers = 4;
    start();
    auto checkpoint = [&](std::uint64_t slot, std::vector<PartitionSeq> seqs) {
        DbItem it;
        it.index = 1;
        it.kind = ItemKind::checkpoint;
        it.rid = {ClientId(0), PartitionId(0), ClientSeq(slot)};
        it.seqs = std::move(seqs);
        return it;
    };
    Body one = request(1, {1}), two = request(2, {2}), later = request(3, {3});
    decide(3, item(one, {at_seq(1, 1)}), one);
    decide(3, item(two, {at_seq(2, 1)}), two);
    DbItem cut =
        checkpoint(4, {at_seq(0, 1), at_seq(1, 2), at_seq(2, 2), at_seq(3, 1), at_seq(4, 1)});
    decide(4, cut, nullptr);
    decide(5, item(later, {at_seq(3, 2)}), later);
    ASSERT_EQ(out_.execute.size(), 2u) << "two workers are busy";
    commit(1);
    ASSERT_EQ(out_.execute.size(), 4u) << "what is left before it is with one worker";
    EXPECT_EQ(out_.execute[2].item.kind, ItemKind::checkpoint);
    EXPECT_FALSE(out_.execute[2].cut) << "not at every checkpoint";
    EXPECT_EQ(out_.execute[2].worker, out_.execute[1].worker);
    EXPECT_EQ(out_.execute[3].worker, out_.execute[2].worker) << "behind it, not beside it";
    commit(1);
    EXPECT_EQ(voter_->checkpoint(), Slot(0));
    commit(1);
    EXPECT_EQ(voter_->checkpoint(), Slot(4));
    EXPECT_EQ(sent<DbReply>().back().second.items.front().outcome, Outcome::ok);
    // Whoever asks again gets the same answer, without a row in the database.
    vote(2, 4, {cut});
    EXPECT_EQ(sent<DbReply>().back().second.items.front().rdig, result_digest(Outcome::ok, 0, {}));
    EXPECT_TRUE(out_.lookup.empty());
}

TEST_F(VoterTest, CutsAreTakenOnScheduleAndOnDemand) {
    m_.checkpoint_slots = 4;
    m_.scan_slots = 8;
    start();
    voter_->want_cut(Slot(12));
    voter_->want_cut(Slot(13));  // no checkpoint slot
    for (std::uint64_t n = 1; n <= 4; ++n) {
        DbItem it;
        it.kind = ItemKind::checkpoint;
        it.rid = {ClientId(0), PartitionId(0), ClientSeq(4 * n)};
        for (std::uint32_t p = 0; p <= 4; ++p) it.seqs.push_back(at_seq(p, n));
        decide(4 * n, it, nullptr);
        commit(1);
    }
    std::vector<bool> cuts;
    for (const Execution& e : out_.execute) cuts.push_back(e.cut);
    EXPECT_EQ(cuts, (std::vector<bool>{false, true, true, true}));
}

// A scan that takes longer than the schedule: every database falls back to the same cuts, so that
// their roots can be compared.
TEST_F(VoterTest, WhoCannotKeepUpTakesThePowersOfTwo) {
    m_.checkpoint_slots = 4;
    m_.scan_slots = 4;
    start();
    std::vector<std::uint64_t> cuts;
    for (std::uint64_t n = 1; n <= 16; ++n) {
        DbItem it;
        it.kind = ItemKind::checkpoint;
        it.rid = {ClientId(0), PartitionId(0), ClientSeq(4 * n)};
        for (std::uint32_t p = 0; p <= 4; ++p) it.seqs.push_back(at_seq(p, n));
        decide(4 * n, it, nullptr);
        commit(1);
        if (out_.execute.back().cut) cuts.push_back(4 * n);
        if (n == 1 || n == 4) voter_->cut_skipped(Slot(4 * n));
    }
    EXPECT_EQ(cuts, (std::vector<std::uint64_t>{4, 8, 16, 32, 48, 64}));
}

}  // namespace
}  // namespace bft::consensus

#include "consensus/minbft/group_replica.hpp"
#include "fixture.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace bft::consensus::minbft {
namespace {

using namespace test;

class ReplicaTest : public testing::Test {
protected:
    ReplicaTest() { start(); }

    void start() {
        replica_.emplace(m_, GroupId(0), Position(0), ReplicaOptions{}, ExecutorOptions{}, signer_);
    }
    Now at(Duration since_start) { return {TimePoint{} + 1h + since_start, 0}; }
    void give(Endpoint from, Payload payload, Duration when = 0ms) {
        auto verified = verifier_.verify(
            {from, Endpoint::replica(GroupId(0), Position(0)), std::move(payload)});
        ASSERT_TRUE(verified) << verified.error().what;
        replica_->receive(*verified, at(when));
        collect();
    }
    void tick(Duration when) {
        replica_->tick(at(when));
        collect();
    }
    void collect() {
        Output out = replica_->take_output();
        for (auto& p : out.persist) persisted_.push_back(std::move(p));
        for (auto& s : out.send) sent_.push_back(std::move(s));
        for (auto& d : out.deliver) delivered_.push_back(std::move(d));
        for (auto& e : out.events) events_.push_back(std::move(e));
        if (out.seal) draft_ = out.seal;
    }
    void seal() {
        ASSERT_TRUE(draft_);
        Digest digest = draft_->digest;
        draft_.reset();
        replica_->sealed(HashChecker::certify(UsigId(1), Counter(++counter_), digest), at(0ms));
        collect();
    }
    Prepare next_slot(std::vector<Body> bodies) {
        std::vector<EntryHeader> entries;
        for (const Body& body : bodies) entries.push_back(entry_of(body));
        ++slot_;
        Prepare p = make_prepare(m_, Slot(slot_), tip_, entries, slot_);
        tip_ = p.hd;
        return p;
    }
    Body deliver_one() {
        Body body = make_request(m_, 1);
        give(client_, body);
        Prepare prepare = next_slot({body});
        give(primary_, prepare);
        seal();
        give(peer1_, make_commit(m_, GroupId(0), Position(1), prepare, Counter(1)));
        return body;
    }
    template <class T>
    std::vector<std::pair<std::vector<Endpoint>, T>> sent() {
        std::vector<std::pair<std::vector<Endpoint>, T>> found;
        for (const Send& send : sent_)
            if (const T* payload = std::get_if<T>(&send.payload))
                found.emplace_back(send.to, *payload);
        return found;
    }
    bool happened(Event::Kind kind) {
        return std::any_of(events_.begin(), events_.end(),
                           [&](const Event& e) { return e.kind == kind; });
    }

    Membership m_ = small_cluster();
    HashChecker checker_;
    Verifier verifier_{m_, checker_};
    HashSigner signer_{m_, Endpoint::replica(GroupId(0), Position(0))};
    std::optional<GroupReplica> replica_;
    std::vector<Persist> persisted_;
    std::vector<Send> sent_;
    std::vector<Delivery> delivered_;
    std::vector<Event> events_;
    std::optional<Draft> draft_;
    std::uint64_t counter_ = 0;
    std::uint64_t slot_ = 0;
    Digest tip_ = genesis_header_digest(m_.cluster);
    Endpoint client_ = Endpoint::of_client(ClientId(1));
    Endpoint primary_ = Endpoint::primary(PrimaryId(0));
    Endpoint peer1_ = Endpoint::replica(GroupId(0), Position(1));
    Endpoint peer2_ = Endpoint::replica(GroupId(0), Position(2));
};

TEST_F(ReplicaTest, CommitsAndDeliversWithOnePeer) {
    Body body = make_request(m_, 1);
    give(client_, body);
    Prepare prepare = next_slot({body});
    give(primary_, prepare);
    EXPECT_TRUE(delivered_.empty());
    seal();
    ASSERT_EQ(sent<Commit>().size(), 1u);
    EXPECT_TRUE(delivered_.empty());  // one COMMIT is no quorum
    give(peer1_, make_commit(m_, GroupId(0), Position(1), prepare, Counter(1)));
    ASSERT_EQ(delivered_.size(), 1u);
    ASSERT_EQ(delivered_[0].entries.size(), 1u);
    EXPECT_EQ(delivered_[0].entries[0].item.seqs[0].seq, Seq(1));
    // Bodies go to the voter on this replica's own host only.
    std::size_t voters = 0;
    for (const auto& [to, message] : sent<CommitDb>()) {
        voters += to.size();
        bool own = to == std::vector{Endpoint::voter(VoterId(0))};
        EXPECT_EQ(message.bodies.size(), own ? 1u : 0u);
    }
    EXPECT_EQ(voters, 3u);
}

TEST_F(ReplicaTest, WithoutDatabasesThePlaceIsTheAnswer) {
    m_.voters.clear();
    m_.f_database = 0;
    start();
    std::vector<Body> bodies = make_bundle(m_, {make_request(m_, 1), make_request(m_, 2)});
    give(client_, Bodies{bodies});
    Prepare prepare = next_slot(bodies);
    give(primary_, prepare);
    seal();
    EXPECT_TRUE(sent<Replies>().empty()) << "nothing is answered before it is committed";
    give(peer1_, make_commit(m_, GroupId(0), Position(1), prepare, Counter(1)));
    auto together = sent<Replies>();
    ASSERT_EQ(together.size(), 1u);
    EXPECT_EQ(together[0].first, std::vector{client_});
    const std::vector<Reply>& replies = together[0].second.replies;
    ASSERT_EQ(replies.size(), 2u);
    for (std::uint32_t i = 0; i < 2; ++i) {
        EXPECT_EQ(replies[i].slot, prepare.slot);
        EXPECT_EQ(replies[i].answer.index, i);
        EXPECT_EQ(replies[i].answer.rid, bodies[i]->id);
    }
    EXPECT_TRUE(sent<CommitDb>().empty());
    EXPECT_EQ(replica_->executor().report().executed, prepare.slot);

    give(client_, Bodies{bodies});  // asked again, answered again
    EXPECT_EQ(sent<Reply>().size(), 2u);
    EXPECT_EQ(sent<Reply>()[1].second.answer.index, 1u);
}

TEST_F(ReplicaTest, AStatusOfAnOlderConfigurationIsAnsweredOnlyWithWhatThereIs) {
    m_.version = ConfigVersion(1);
    start();
    Status status;
    status.ordering_seen.resize(m_.primaries.size());
    status.votes_seen.resize(m_.replicas_per_group());
    give(peer1_, status);
    EXPECT_TRUE(sent<BarrierCertPtr>().empty());
}

TEST_F(ReplicaTest, LogsTheBodiesOfASlotBeforeItsCommit) {
    std::vector<Body> bodies = make_bundle(m_, {make_request(m_, 1), make_request(m_, 2)});
    give(client_, Bodies{bodies});
    EXPECT_TRUE(persisted_.empty()) << "what is not ordered comes again";
    Prepare prepare = next_slot(bodies);
    give(primary_, prepare);
    std::optional<std::size_t> logged, intent;
    for (std::size_t i = 0; i < persisted_.size(); ++i) {
        if (const auto* slot = std::get_if<SlotBodiesRecord>(&persisted_[i].record)) {
            logged = i;
            EXPECT_EQ(slot->slot, prepare.slot);
            EXPECT_EQ(slot->hd, prepare.hd);
            EXPECT_EQ(slot->bodies, bodies);
        }
        if (std::holds_alternative<CommitIntent>(persisted_[i].record)) intent = i;
    }
    ASSERT_TRUE(logged && intent);
    EXPECT_LT(*logged, *intent);
}

TEST_F(ReplicaTest, DoesNotCommitWithoutTheBody) {
    Body body = make_request(m_, 1);
    Prepare prepare = next_slot({body});
    give(primary_, prepare);
    EXPECT_FALSE(draft_);
    tick(1s);
    ASSERT_EQ(sent<FetchBodies>().size(), 1u);
    EXPECT_EQ(sent<FetchBodies>()[0].first[0], primary_);
    give(peer1_, Bodies{{body}});
    EXPECT_TRUE(draft_);
}

TEST_F(ReplicaTest, ABodyThatContradictsItsHeaderIsNone) {
    Body body = make_request(m_, 1, {PartitionId(1)});
    give(client_, body);
    EntryHeader entry = entry_of(body);
    entry.parts = {PartitionId(1), PartitionId(2)};
    give(primary_, make_prepare(m_, Slot(1), tip_, {entry}, 1));
    EXPECT_FALSE(draft_);
}

TEST_F(ReplicaTest, OneCertificateCoversManySlots) {
    give(primary_, next_slot({}));
    give(primary_, next_slot({}));
    Prepare third = next_slot({});
    give(primary_, third);
    seal();  // of slot 1, asked for before the others came
    seal();
    auto commits = sent<Commit>();
    ASSERT_EQ(commits.size(), 2u);
    EXPECT_EQ(commits[1].second.to, third.slot);
}

TEST_F(ReplicaTest, AskersGetTheMissingPrepareFromThePrimaryThenFromOthers) {
    next_slot({});
    Prepare second = next_slot({});
    give(primary_, second);
    tick(1s);
    tick(2s);
    tick(3s);
    auto fetches = sent<FetchCertificates>();
    ASSERT_GE(fetches.size(), 2u);
    EXPECT_EQ(fetches[0].first[0], primary_);
    EXPECT_NE(fetches[1].first[0], primary_);
    EXPECT_EQ(fetches[0].second.from, Counter(1));
    EXPECT_EQ(fetches[0].second.to, Counter(1));
}

TEST_F(ReplicaTest, AMalformedPrepareEndsThePrimary) {
    Prepare skipped = make_prepare(m_, Slot(2), tip_, {}, 1, Counter(1));  // counter of slot 1
    give(primary_, skipped);
    EXPECT_TRUE(happened(Event::Kind::sender_dead));
    give(primary_, next_slot({}));
    EXPECT_EQ(replica_->agreement().report().tip, Slot(0));
    EXPECT_EQ(replica_->agreement().report().dead.size(), 1u);
}

TEST_F(ReplicaTest, CommitsThatDoNotIncreaseEndTheirSender) {
    Prepare first = next_slot({});
    Prepare second = next_slot({});
    give(primary_, first);
    give(primary_, second);
    give(peer1_, make_commit(m_, GroupId(0), Position(1), second, Counter(1)));
    EXPECT_FALSE(happened(Event::Kind::sender_dead));
    give(peer1_, make_commit(m_, GroupId(0), Position(1), first, Counter(2)));
    EXPECT_TRUE(happened(Event::Kind::sender_dead));
}

TEST_F(ReplicaTest, ADuplicateEntryBecomesANop) {
    Body body = make_request(m_, 1);
    give(client_, body);
    Prepare first = next_slot({body});
    Prepare second = next_slot({body});
    give(primary_, first);
    seal();
    give(peer1_, make_commit(m_, GroupId(0), Position(1), first, Counter(1)));
    ASSERT_EQ(delivered_.size(), 1u);
    give(primary_, second);
    tick(1s);
    give(peer1_, Bodies{{body}});
    seal();
    give(peer1_, make_commit(m_, GroupId(0), Position(1), second, Counter(2)));
    ASSERT_EQ(delivered_.size(), 2u);
    EXPECT_EQ(delivered_[1].entries[0].item.kind, ItemKind::nop);
    EXPECT_EQ(delivered_[1].entries[0].item.seqs[0].seq, Seq(2));
}

TEST_F(ReplicaTest, RepliesOnceDatabasesAgreeAndNamesTheOther) {
    const Body body = deliver_one();
    auto answer = [&](std::uint32_t voter, std::string_view rows) {
        ItemResult item;
        item.rid = body->id;
        item.result = to_bytes(as_bytes(rows));
        item.has_result = true;
        item.rdig = result_digest(item.outcome, 0, item.result);
        give(Endpoint::voter(VoterId(voter)), DbReply{VoterId(voter), GroupId(0), Slot(1), {item}});
    };
    answer(0, "wrong");
    answer(1, "right");
    EXPECT_TRUE(sent<Reply>().empty());
    answer(2, "right");
    auto replies = sent<Reply>();
    ASSERT_EQ(replies.size(), 1u);
    EXPECT_EQ(replies[0].first[0], client_);
    EXPECT_EQ(replies[0].second.answer.rdig, result_digest(Outcome::ok, 0, as_bytes("right")));
    EXPECT_EQ(replica_->executor().report().disagreements.at(VoterId(0)), 1u);
    EXPECT_EQ(replica_->executor().report().waiting_slots, 0u);

    sent_.clear();  // the client asks again: the whole reply
    give(client_, body);
    ASSERT_EQ(sent<Reply>().size(), 1u);
    EXPECT_TRUE(sent<Reply>()[0].second.answer.has_result);
}

// Whose turn it was to send the result lied, or had another configuration's turns (seed 5132).
TEST_F(ReplicaTest, AResultThatNobodySentIsAskedForAgain) {
    const Body body = deliver_one();
    auto answer = [&](std::uint32_t voter, bool with_result) {
        ItemResult item;
        item.rid = body->id;
        item.rdig = result_digest(item.outcome, 0, as_bytes("rows"));
        item.has_result = with_result;
        if (with_result) item.result = to_bytes(as_bytes("rows"));
        give(Endpoint::voter(VoterId(voter)), DbReply{VoterId(voter), GroupId(0), Slot(1), {item}});
    };
    for (std::uint32_t voter = 0; voter < 3; ++voter) answer(voter, false);
    EXPECT_TRUE(sent<Reply>().empty());
    EXPECT_EQ(replica_->executor().report().unanswered.size(), 3u);
    EXPECT_LT(replica_->executor().executed(), Slot(1));
    sent_.clear();
    tick(60s);
    EXPECT_EQ(sent<CommitDb>().size(), 3u);
    answer(1, true);
    ASSERT_EQ(sent<Reply>().size(), 1u);
    EXPECT_EQ(replica_->executor().report().waiting_slots, 0u) << "nobody owes anything";
    EXPECT_EQ(replica_->executor().executed(), Slot(1));
}

// Its client has the answer of others, said so, and all databases have cleared it away.
TEST_F(ReplicaTest, AResultThatIsClearedAwayIsNotWaitedFor) {
    const Body body = deliver_one();
    auto answer = [&](std::uint32_t voter, std::string_view rows, bool with_result) {
        ItemResult item;
        item.rid = body->id;
        item.rdig = result_digest(item.outcome, 0, as_bytes(rows));
        item.has_result = with_result;
        if (with_result) item.result = to_bytes(as_bytes(rows));
        give(Endpoint::voter(VoterId(voter)), DbReply{VoterId(voter), GroupId(0), Slot(1), {item}});
    };
    for (std::uint32_t voter = 0; voter < 3; ++voter) answer(voter, "rows", false);
    for (std::uint32_t voter = 0; voter < 2; ++voter) answer(voter, "", true);
    EXPECT_EQ(replica_->executor().report().waiting_slots, 1u) << "one may still have it";
    answer(2, "", true);
    EXPECT_EQ(replica_->executor().report().waiting_slots, 0u);
    EXPECT_EQ(replica_->executor().executed(), Slot(1));
    EXPECT_TRUE(sent<Reply>().empty());
}

TEST(GroupExecutor, OneMoreDatabaseOwesAnswersFromThenOn) {
    Membership m = small_cluster();
    Membership later = m;
    later.voters.push_back(HostId(0));
    HashChecker checker;
    Verifier verifier(later, checker);
    GroupExecutor executor(m, GroupId(0), Position(0), {});
    const Now now{TimePoint{} + 1h, 0};
    const Body body = make_request(m, 1);
    DbItem item;
    item.rid = body->id;
    item.rd = body->rd;
    item.seqs = {{PartitionId(1), Seq(1)}};
    executor.deliver({Slot(1), {{item, body}}}, now);
    auto answer = [&](std::uint32_t voter) {
        ItemResult result;
        result.rid = body->id;
        result.rdig = result_digest(result.outcome, 0, {});
        result.has_result = true;
        auto verified = verifier.verify({Endpoint::voter(VoterId(voter)),
                                         Endpoint::replica(GroupId(0), Position(0)),
                                         DbReply{VoterId(voter), GroupId(0), Slot(1), {result}}});
        ASSERT_TRUE(verified) << verified.error().what;
        executor.receive(*verified, now);
    };
    answer(3);  // of a configuration that is not known here
    EXPECT_EQ(executor.report().unanswered.size(), 3u);
    m.voters = later.voters;
    executor.note_config(ConfigVersion(2), now);
    EXPECT_EQ(executor.report().unanswered.size(), 4u) << "of what is not decided yet";
    answer(0);
    EXPECT_EQ(executor.report().replied, 0u);
    answer(3);
    EXPECT_EQ(executor.report().replied, 1u) << "f_D+1 of four";
    answer(1);
    EXPECT_EQ(executor.report().waiting_slots, 1u);
    answer(2);
    EXPECT_EQ(executor.report().waiting_slots, 0u) << "all four";
    EXPECT_EQ(executor.answered(), Slot(1));
}

TEST_F(ReplicaTest, ThreeDifferentAnswersAreAnAlarmAndNoReply) {
    const Body body = deliver_one();
    for (std::uint32_t voter = 0; voter < 3; ++voter) {
        ItemResult item;
        item.rid = body->id;
        item.result = {static_cast<std::uint8_t>(voter)};
        item.has_result = true;
        item.rdig = result_digest(item.outcome, 0, item.result);
        give(Endpoint::voter(VoterId(voter)), DbReply{VoterId(voter), GroupId(0), Slot(1), {item}});
    }
    EXPECT_TRUE(happened(Event::Kind::nondeterminism));
    EXPECT_TRUE(sent<Reply>().empty());
}

TEST_F(ReplicaTest, TheIntentIsDurableBeforeTheDraft) {
    give(primary_, next_slot({}));
    ASSERT_FALSE(persisted_.empty());
    EXPECT_TRUE(std::holds_alternative<CommitIntent>(persisted_.back().record));
    EXPECT_TRUE(persisted_.back().durable);
}

TEST_F(ReplicaTest, RecoversItsChainVotesAndDeliveries) {
    Body body = make_request(m_, 1);
    give(client_, body);
    Prepare prepare = next_slot({body});
    give(primary_, prepare);
    seal();
    Commit peer = make_commit(m_, GroupId(0), Position(1), prepare, Counter(1));
    give(peer1_, peer);

    Replica::Recovered log;
    std::optional<std::pair<Digest, Ui>> last;
    for (const Persist& p : persisted_) {
        if (const auto* b = std::get_if<BodyRecord>(&p.record)) log.bodies[b->body->rd] = b->body;
        if (const auto* b = std::get_if<SlotBodiesRecord>(&p.record))
            for (const Body& each : b->bodies) log.bodies[each->rd] = each;
        if (const auto* q = std::get_if<PrepareRecord>(&p.record))
            log.prepares.push_back(q->prepare);
        if (const auto* c = std::get_if<CommitIntent>(&p.record)) log.intent = *c;
        if (const auto* c = std::get_if<CommitRecord>(&p.record)) {
            bool own = c->commit.position == Position(0);
            (own ? log.own_commits : log.peer_commits).push_back(c->commit);
            if (own) last = {commit_digest(m_.cluster, c->commit), c->commit.ui};
        }
    }
    ASSERT_EQ(log.own_commits.size(), 1u);

    delivered_.clear();
    start();
    ASSERT_TRUE(replica_->recover(log, last));  // T0
    collect();
    EXPECT_EQ(replica_->agreement().delivered(), Slot(1));
    EXPECT_EQ(delivered_.size(), 1u);  // no ExecutedRecord: the voters hear of it again

    auto without_last = log;
    without_last.own_commits.clear();  // T1: the crash came between the TPM and the log
    start();
    ASSERT_TRUE(replica_->recover(without_last, last));
    sent_.clear();
    tick(0ms);
    EXPECT_EQ(sent<Commit>().size(), 1u);

    without_last.intent.reset();  // T2
    start();
    EXPECT_FALSE(replica_->recover(without_last, last));
    start();  // T6
    EXPECT_FALSE(replica_->recover(log, std::nullopt));
}

// A STATUS proves nothing. Whoever says in it that there is a later configuration is asked for the
// proof, now and then, and that it has none is nobody else's trouble.
TEST_F(ReplicaTest, WhoSpeaksOfALaterConfigurationIsAskedAlone) {
    Status lie;
    lie.view = View(std::uint64_t{7} << 32);
    lie.config = ConfigVersion(9);
    lie.votes_seen.resize(3);
    lie.ordering_seen.resize(1);
    const Duration patience = ReplicaOptions{}.retransmit;
    for (int i = 0; i < 8; ++i) {
        give(peer1_, lie, patience / 4 * i);
        tick(patience / 4 * i);
    }
    auto asked = sent<FetchConfig>();
    EXPECT_EQ(asked.size(), 2u) << "once in T_rx";
    for (const auto& [to, question] : asked) EXPECT_EQ(to, std::vector{peer1_});
    sent_.clear();
    give(peer2_, lie, patience * 2 - 1ms);
    ASSERT_EQ(sent<FetchConfig>().size(), 1u) << "a liar takes nobody's turn";
    EXPECT_EQ(sent<FetchConfig>().front().first, std::vector{peer2_});
    sent_.clear();
    for (int i = 2; i < 10; ++i) tick(patience * i);
    EXPECT_TRUE(sent<FetchConfig>().empty()) << "it is not asked for ever";
}

}  // namespace
}  // namespace bft::consensus::minbft

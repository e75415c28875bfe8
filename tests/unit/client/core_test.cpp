#include "client/core.hpp"

#include "base/merkle.hpp"
#include "consensus/client_window.hpp"
#include "consensus/signed_bytes.hpp"

#include <gtest/gtest.h>

namespace bft::client {
namespace {

using consensus::Endpoint;
using consensus::ItemResult;
using consensus::Outcome;
using consensus::Rejected;
using consensus::Reply;

constexpr ClientId self(7);
constexpr ClientSeq first(1000);
constexpr PartitionId home(1);
constexpr GroupId home_group(1);

// Primary on host 0; groups 1 and 2 on hosts 1..3, in different orders.
consensus::Membership cluster(std::uint32_t f = 1) {
    consensus::Membership m;
    m.cluster.bytes[0] = 42;
    m.f = f;
    m.primaries = {{HostId(0), {}}, {HostId(1), {}}};
    for (std::uint32_t g : {1u, 2u}) {
        consensus::Group group{GroupId(g), {}};
        for (std::uint32_t j = 0; j < 2 * f + 1; ++j)
            group.members.push_back({HostId(1 + (j + g) % (2 * f + 1)), {}});
        m.groups.push_back(group);
    }
    m.owners = {
        {PartitionId(0), GroupId(1)}, {PartitionId(1), GroupId(1)}, {PartitionId(2), GroupId(2)}};
    return m;
}

class ClientCoreTest : public ::testing::Test {
protected:
    explicit ClientCoreTest(std::uint32_t f = 1)
        : membership(cluster(f)), core(membership, self, options(), first, 1) {}

    static CoreOptions options() {
        CoreOptions o;
        o.retry_after = 1s;
        o.retry_max = 4s;
        o.bundle_interval = 1ms;
        o.queue_max = 8;
        return o;
    }

    void submit(std::uint64_t token, PartitionId at = home) {
        ASSERT_TRUE(core.submit(token, at, {at}, false, to_bytes(as_bytes("op")), now));
    }

    // Ticks and performs until nothing is left; sends and finished calls are collected.
    void run() {
        core.tick(now);
        while (true) {
            auto out = core.take_output();
            if (out.ask_config) asked.push_back(*out.ask_config);
            if (!out.sign && out.send.empty() && out.finished.empty()) return;
            if (out.sign) {
                bundles.push_back(*out.sign);
                core.bundle_signed(*out.sign, to_bytes(as_bytes("signature")), now);
            }
            for (auto& s : out.send) sent.push_back(std::move(s));
            for (auto& d : out.finished) finished.push_back(std::move(d));
        }
    }
    void advance(Duration by) {
        now += by;
        run();
    }

    // Submits one call and lets it be sent.
    consensus::RequestId send_one(std::uint64_t token = 1, PartitionId at = home) {
        submit(token, at);
        advance(1ms);
        return sent.back().body->id;
    }

    HostId host_of(GroupId group, std::uint32_t position) {
        return *membership.host_of(Endpoint::replica(group, Position(position)));
    }

    Reply reply(const consensus::RequestId& id, std::uint32_t position, const char* result,
                bool full = true) {
        Reply r;
        r.group = *membership.owner(id.home);
        r.position = Position(position);
        r.slot = Slot(5);
        r.answer.index = 3;
        r.answer.rid = id;
        r.answer.result = to_bytes(as_bytes(result));
        r.answer.rdig = consensus::result_digest(Outcome::ok, 0, r.answer.result);
        r.answer.has_result = full;
        if (!full) r.answer.result.clear();
        return r;
    }
    void deliver(const Reply& r) {
        core.replied(host_of(r.group, r.position.value), r, now);
        run();
    }
    void reject(const consensus::RequestId& id, std::uint32_t position, Rejected::Reason why) {
        GroupId group = *membership.owner(id.home);
        core.rejected(host_of(group, position), Endpoint::replica(group, Position(position)),
                      {id, why, "because"}, now);
        run();
    }

    consensus::Membership membership;
    TimePoint now{100s};
    ClientCore core;
    std::vector<ClientCore::Bundle> bundles;
    std::vector<ClientCore::Send> sent;
    std::vector<ClientCore::AskConfig> asked;
    std::vector<Finished> finished;
};

class ClientCoreTwoFaults : public ClientCoreTest {
protected:
    ClientCoreTwoFaults() : ClientCoreTest(2) {}
};

TEST_F(ClientCoreTest, SendsToThePrimaryAndTheOwnerGroup) {
    send_one();
    std::vector<Endpoint> expected = membership.replicas(GroupId(1));
    expected.push_back(Endpoint::primary(PrimaryId(0)));
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_EQ(sent[0].to, expected);
    EXPECT_EQ(sent[0].body->id.cseq, first);
    EXPECT_EQ(sent[0].body->ack_low, first) << "what earlier incarnations asked is finished";
}

TEST_F(ClientCoreTest, AcceptsQuorumWithFullResult) {
    auto id = send_one();
    deliver(reply(id, 0, "yes"));
    EXPECT_TRUE(finished.empty());
    deliver(reply(id, 1, "yes", false));
    ASSERT_EQ(finished.size(), 1u);
    EXPECT_EQ(finished[0].how, Finished::How::answered);
    EXPECT_EQ(as_text(finished[0].answer.result), "yes");
    EXPECT_EQ(finished[0].slot, Slot(5));
    EXPECT_TRUE(finished[0].disagreeing.empty());
}

TEST_F(ClientCoreTest, WaitsForTheFullResult) {
    auto id = send_one();
    deliver(reply(id, 0, "yes", false));
    deliver(reply(id, 1, "yes", false));
    EXPECT_TRUE(finished.empty());
    deliver(reply(id, 1, "yes"));
    EXPECT_EQ(finished.size(), 1u);
}

TEST_F(ClientCoreTest, AnEmptyResultNeedsNobodyToSendIt) {
    auto id = send_one();
    deliver(reply(id, 0, "", false));
    deliver(reply(id, 1, "", false));
    EXPECT_EQ(finished.size(), 1u);
}

TEST_F(ClientCoreTest, OnePositionCountsOnce) {
    auto id = send_one();
    for (int i = 0; i < 5; ++i) deliver(reply(id, 2, "lie"));
    EXPECT_TRUE(finished.empty());
}

TEST_F(ClientCoreTest, OnlyTheHostOfAPositionSpeaksForIt) {
    auto id = send_one();
    HostId liar = host_of(GroupId(1), 2);
    core.replied(liar, reply(id, 0, "lie"), now);
    core.replied(liar, reply(id, 1, "lie"), now);
    core.replied(liar, reply(id, 2, "lie"), now);
    run();
    EXPECT_TRUE(finished.empty());
}

TEST_F(ClientCoreTest, OtherGroupsHaveNoSay) {
    auto id = send_one();
    for (std::uint32_t j = 0; j < 3; ++j) {
        Reply r = reply(id, j, "lie");
        r.group = GroupId(2);
        deliver(r);
    }
    EXPECT_TRUE(finished.empty());
}

TEST_F(ClientCoreTwoFaults, FLiarsAndLateTruth) {
    auto id = send_one();
    deliver(reply(id, 0, "lie"));
    deliver(reply(id, 1, "lie"));
    deliver(reply(id, 2, "truth"));
    deliver(reply(id, 3, "truth"));
    EXPECT_TRUE(finished.empty()) << "f equal answers prove nothing";
    deliver(reply(id, 4, "truth"));
    ASSERT_EQ(finished.size(), 1u);
    EXPECT_EQ(as_text(finished[0].answer.result), "truth");
    std::vector<HostId> liars{host_of(GroupId(1), 0), host_of(GroupId(1), 1)};
    EXPECT_EQ(finished[0].disagreeing, liars);
    EXPECT_EQ(core.disagreements().at(liars[0]), 1u);
}

TEST_F(ClientCoreTest, EverythingThatCountsMustBeEqual) {
    auto id = send_one();
    deliver(reply(id, 0, "yes"));
    Reply other_slot = reply(id, 1, "yes");
    other_slot.slot = Slot(6);
    deliver(other_slot);
    Reply other_index = reply(id, 2, "yes");
    other_index.answer.index = 4;
    deliver(other_index);
    EXPECT_TRUE(finished.empty());
}

TEST_F(ClientCoreTest, AFullResultThatDoesNotFitItsDigestIsALie) {
    auto id = send_one();
    Reply forged = reply(id, 0, "yes");
    forged.answer.result = to_bytes(as_bytes("no!"));
    deliver(forged);
    deliver(reply(id, 1, "yes", false));
    EXPECT_TRUE(finished.empty()) << "the forged result must not be handed out";
    deliver(reply(id, 2, "yes"));
    ASSERT_EQ(finished.size(), 1u);
    EXPECT_EQ(as_text(finished[0].answer.result), "yes");
    EXPECT_EQ(finished[0].disagreeing, std::vector<HostId>{host_of(GroupId(1), 0)});
}

TEST_F(ClientCoreTest, LateDisagreementIsNoticedOnce) {
    auto id = send_one();
    deliver(reply(id, 0, "yes"));
    deliver(reply(id, 1, "yes"));
    ASSERT_EQ(finished.size(), 1u);
    deliver(reply(id, 2, "lie"));
    deliver(reply(id, 2, "lie"));
    EXPECT_EQ(core.disagreements().at(host_of(GroupId(1), 2)), 1u);
    EXPECT_EQ(finished.size(), 1u);
}

TEST_F(ClientCoreTest, RetriesWithDoublingPatienceToAllPrimaries) {
    send_one();
    advance(799ms);
    EXPECT_EQ(sent.size(), 1u);
    advance(402ms);  // T_c is 1 s, +-20 %
    ASSERT_EQ(sent.size(), 2u);
    EXPECT_EQ(sent[1].body, sent[0].body) << "a cseq never stands for other content (C3)";
    std::vector<Endpoint> expected = membership.replicas(GroupId(1));
    expected.push_back(Endpoint::primary(PrimaryId(0)));
    expected.push_back(Endpoint::primary(PrimaryId(1)));
    EXPECT_EQ(sent[1].to, expected);
    advance(1590ms);
    EXPECT_EQ(sent.size(), 2u);
    advance(820ms);
    EXPECT_EQ(sent.size(), 3u);
}

TEST_F(ClientCoreTest, AHostThatComesUpGetsWhatIsOutstanding) {
    send_one(1, PartitionId(2));
    core.connected(HostId(0));
    core.connected(HostId(2));
    run();
    ASSERT_EQ(sent.size(), 3u);
    EXPECT_EQ(sent[1].to, std::vector<Endpoint>{Endpoint::primary(PrimaryId(0))});
    EXPECT_EQ(sent[2].to, std::vector<Endpoint>{Endpoint::replica(GroupId(2), Position(2))});
    EXPECT_EQ(sent[2].body, sent[0].body);
    // Who leads may have changed unseen: a request is for any host that may lead now.
    core.connected(HostId(1));
    run();
    ASSERT_EQ(sent.size(), 4u);
    EXPECT_EQ(sent[3].to.back(), Endpoint::primary(PrimaryId(1)));
}

TEST_F(ClientCoreTest, FinalRejectionNeedsAQuorum) {
    auto id = send_one();
    reject(id, 0, Rejected::Reason::bad_arguments);
    reject(id, 0, Rejected::Reason::bad_arguments);
    EXPECT_TRUE(finished.empty());
    reject(id, 1, Rejected::Reason::unknown_procedure);
    EXPECT_TRUE(finished.empty()) << "different reasons are not equal answers";
    reject(id, 2, Rejected::Reason::bad_arguments);
    ASSERT_EQ(finished.size(), 1u);
    EXPECT_EQ(finished[0].how, Finished::How::rejected);
    EXPECT_EQ(finished[0].reason, Rejected::Reason::bad_arguments);
}

TEST_F(ClientCoreTest, ThePrimaryCannotReject) {
    auto id = send_one();
    for (std::uint32_t p : {0u, 1u})
        core.rejected(membership.primaries[p].host, Endpoint::primary(PrimaryId(p)),
                      {id, Rejected::Reason::malformed, ""}, now);
    run();
    EXPECT_TRUE(finished.empty());
}

// Seats change hands one configuration after the other: position p is replaced by p + 3.
class ClientCoreChangingTest : public ClientCoreTest {
protected:
    void replace(GroupId group, std::uint32_t position) {
        config.version = config.version.next();
        for (consensus::Group& each : config.groups) {
            if (each.id != group) continue;
            each.members.resize(std::max<std::size_t>(each.members.size(), position + 4),
                                {consensus::nobody, {}});
            each.members[position + 3] = {newcomer, {}};
            each.retired.clear();
            for (std::uint32_t p = 0; p < each.members.size(); ++p)
                if (p == position || each.members[p].host == consensus::nobody)
                    each.retired.emplace_back(p);
        }
        consensus::follow(membership, config);
        barriers.push_back(std::make_shared<const consensus::BarrierCert>(
            consensus::BarrierCert{Slot(10 * config.version.value),
                                   std::make_shared<const consensus::Configuration>(config),
                                   {}}));
    }
    void show(const consensus::BarrierCertPtr& barrier, const Endpoint& from) {
        core.configured(from, barrier, now);
        run();
    }
    ConfigVersion known_to(const ClientCore::AskConfig& ask) { return ask.question.version; }

    const HostId newcomer{9};
    consensus::Configuration config = consensus::configuration_of(membership);
    std::vector<consensus::BarrierCertPtr> barriers;
};

// f+1 seats: whoever was replaced may be broken, and its successor has the say.
TEST_F(ClientCoreChangingTest, ARefusalCountsFromMembersOnly) {
    auto id = send_one();
    reject(id, 1, Rejected::Reason::not_a_client);
    replace(home_group, 1);
    show(barriers[0], Endpoint::replica(home_group, Position(0)));
    reject(id, 0, Rejected::Reason::not_a_client);
    EXPECT_TRUE(finished.empty()) << "position 1 was counted, which has left";
    reject(id, 1, Rejected::Reason::not_a_client);
    EXPECT_TRUE(finished.empty());
    reject(id, 4, Rejected::Reason::not_a_client);
    ASSERT_EQ(finished.size(), 1u);
    EXPECT_EQ(finished[0].reason, Rejected::Reason::not_a_client);
}

// Members that it does not know can neither answer nor refuse it.
TEST_F(ClientCoreChangingTest, WhoeverIsNotAnsweredAsksWhoTakesPart) {
    send_one();
    EXPECT_TRUE(asked.empty());
    send_one(2, PartitionId(2));
    advance(1200ms);
    ASSERT_EQ(asked.size(), 1u) << "one question in T_c, however many calls wait";
    EXPECT_EQ(asked[0].to, membership.all_replicas());
    EXPECT_EQ(known_to(asked[0]), ConfigVersion(0));
    // One configuration proves the next: who has shown one may have another.
    replace(home_group, 0);
    replace(home_group, 1);
    const Endpoint peer = Endpoint::replica(GroupId(2), Position(0));
    show(barriers[0], peer);
    ASSERT_EQ(asked.size(), 2u);
    EXPECT_EQ(asked[1].to, std::vector{peer});
    EXPECT_EQ(known_to(asked[1]), ConfigVersion(1));
    show(barriers[1], peer);
    EXPECT_EQ(core.config(), ConfigVersion(2));
    show(barriers[0], peer);
    EXPECT_EQ(core.config(), ConfigVersion(2));
    EXPECT_EQ(asked.size(), 3u);
}

// A barrier that does not continue what is known proves nothing, yet f+1 who show one are right.
TEST_F(ClientCoreChangingTest, ABarrierTooFarAheadIsAReasonToAsk) {
    send_one();
    replace(home_group, 0);
    replace(home_group, 1);
    show(barriers[1], Endpoint::replica(GroupId(2), Position(0)));
    show(barriers[1], Endpoint::replica(GroupId(2), Position(0)));
    show(barriers[1], Endpoint::replica(home_group, Position(2)));
    EXPECT_EQ(core.config(), ConfigVersion(0));
    EXPECT_TRUE(asked.empty()) << "f of each group may lie";
    core.heard_of(Endpoint::replica(GroupId(2), Position(2)), ConfigVersion(2));
    run();
    ASSERT_EQ(asked.size(), 1u);
    EXPECT_EQ(asked[0].to.size(), 3u);
    EXPECT_EQ(known_to(asked[0]), ConfigVersion(0));
}

TEST_F(ClientCoreTest, WantOfRoomIsNoFinalRejection) {
    auto id = send_one();
    for (std::uint32_t j = 0; j < 3; ++j) reject(id, j, Rejected::Reason::over_quota);
    EXPECT_TRUE(finished.empty());
}

TEST_F(ClientCoreTest, ARequestThatComesAloneIsSentAtOnce) {
    submit(1);
    run();
    EXPECT_EQ(sent.size(), 1u);
    submit(2);
    run();
    EXPECT_EQ(sent.size(), 1u) << "the last signature was just now";
    advance(1ms);
    EXPECT_EQ(sent.size(), 2u);
}

TEST_F(ClientCoreTest, RequestsThatWaitTogetherShareOneSignature) {
    send_one(100);
    bundles.clear();
    sent.clear();
    for (std::uint64_t token = 1; token <= 5; ++token) submit(token);
    run();
    EXPECT_TRUE(sent.empty()) << "the flush is due after the bundle interval";
    advance(1ms);
    ASSERT_EQ(bundles.size(), 1u);
    ASSERT_EQ(sent.size(), 5u);
    for (const auto& s : sent) {
        const consensus::Request& r = *s.body;
        EXPECT_EQ(r.bundle_count, 5u);
        EXPECT_EQ(r.rd, consensus::request_digest(r.raw));
        auto root = merkle_fold(r.rd, r.bundle_index, r.bundle_count, consensus::proof_of(r).path);
        ASSERT_TRUE(root);
        EXPECT_EQ(consensus::bundle_digest(membership.cluster, self, *root), bundles[0].digest);
    }
    // They come in numbers: the next ones are given more time to gather.
    submit(6);
    advance(2ms);
    EXPECT_EQ(bundles.size(), 1u);
    advance(1ms);
    ASSERT_EQ(bundles.size(), 2u);
    submit(7);  // that was one alone
    advance(1ms);
    EXPECT_EQ(bundles.size(), 3u);
}

TEST_F(ClientCoreTest, OutstandingRequestsStayWithinOneWindow) {
    constexpr std::uint64_t window = consensus::ClientWindow::size;
    for (std::uint64_t token = 0; token < window + 8; ++token) submit(token);
    EXPECT_FALSE(core.submit(999, home, {home}, false, {}, now)) << "the queue is bounded";
    EXPECT_TRUE(core.submit(999, PartitionId(2), {PartitionId(2)}, false, {}, now))
        << "each home has a window of its own";
    advance(1ms);
    EXPECT_EQ(core.outstanding(), window + 1);
    EXPECT_EQ(core.waiting(), 8u);

    // The second is finished: the lowest is not, so the window must not move.
    auto second = consensus::RequestId{self, home, first.next()};
    deliver(reply(second, 0, "yes"));
    deliver(reply(second, 1, "yes"));
    EXPECT_EQ(core.waiting(), 8u);
    auto lowest = consensus::RequestId{self, home, first};
    deliver(reply(lowest, 0, "yes"));
    deliver(reply(lowest, 1, "yes"));
    EXPECT_EQ(core.waiting(), 6u);
    advance(1ms);
    for (const auto& s : sent) {
        EXPECT_LE(s.body->ack_low, s.body->id.cseq);
        EXPECT_LT(s.body->id.cseq - s.body->ack_low, window);
    }
    EXPECT_EQ(sent.back().body->ack_low, first + 2);
}

TEST_F(ClientCoreTest, UnknownPartitionIsRefusedAtOnce) {
    auto refused = core.submit(1, PartitionId(9), {PartitionId(9)}, false, {}, now);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::not_found);
}

TEST(ClientCore, GivesUpWhenToldTo) {
    auto membership = cluster();
    CoreOptions options;
    options.give_up_after = 5s;
    ClientCore core(membership, self, options, first, 1);
    TimePoint now{1s};
    ASSERT_TRUE(core.submit(1, home, {home}, false, {}, now));
    bool timed_out = false;
    for (int i = 0; i < 100 && !timed_out; ++i) {
        now += 100ms;
        core.tick(now);
        auto out = core.take_output();
        if (out.sign) core.bundle_signed(*out.sign, {}, now);
        for (const auto& done : out.finished) timed_out = done.how == Finished::How::timed_out;
    }
    EXPECT_TRUE(timed_out);
    EXPECT_EQ(now, TimePoint(6s));
}

// Who wants a receipt does not count unsigned words: f+1 signed ones prove it to others.
TEST_F(ClientCoreTest, ReceiptsNeedSignedReplies) {
    CoreOptions with = options();
    with.well_signed = [](const Reply& r) { return r.signature && r.signature->signature[0] == 1; };
    ClientCore wary(membership, self, with, first, 1);
    ASSERT_TRUE(wary.submit(1, home, {home}, false, {}, now, {true, {}}));
    now += 1ms;
    wary.tick(now);
    auto bundle = wary.take_output().sign;
    ASSERT_TRUE(bundle);
    wary.bundle_signed(*bundle, Bytes(64, 5), now);
    EXPECT_TRUE(wary.take_output().send.at(0).body->receipt);
    auto say = [&](std::uint32_t position, std::uint8_t signature, std::uint64_t ts_ms) {
        Reply r = reply(bundle->requests.at(0), position, "result");
        r.ts_ms = ts_ms;
        if (signature != 0) r.signature = consensus::ReplySignature{0, 1, {}, Bytes(64, signature)};
        wary.replied(host_of(r.group, position), r, now);
        return wary.take_output().finished;
    };
    EXPECT_TRUE(say(0, 0, 10).empty()) << "unsigned";
    EXPECT_TRUE(say(1, 2, 10).empty()) << "badly signed";
    EXPECT_TRUE(say(0, 1, 10).empty()) << "one";
    EXPECT_TRUE(say(1, 1, 11).empty()) << "signed another time: not the same words";
    auto done = say(2, 1, 10);
    ASSERT_EQ(done.size(), 1u);
    EXPECT_EQ(done[0].signatures.size(), 2u);
    EXPECT_EQ(done[0].ts_ms, 10u);
    EXPECT_EQ(done[0].disagreeing.size(), 1u);
}

}  // namespace
}  // namespace bft::client

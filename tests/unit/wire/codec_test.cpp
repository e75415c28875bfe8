#include "wire/codec.hpp"

#include "consensus/signed_bytes.hpp"
#include "samples.hpp"

#include <gtest/gtest.h>

#include <set>

namespace bft::wire {
namespace {

using namespace consensus;

template <class T>
T through_the_wire(const T& payload) {
    Message message{Endpoint::primary(PrimaryId(1)), Endpoint::voter(VoterId(2)), payload};
    auto back = decode(encode(message));
    EXPECT_TRUE(back.has_value()) << back.error().what;
    EXPECT_EQ(back->from, message.from);
    EXPECT_EQ(back->to, message.to);
    return std::get<T>(back->payload);
}

void expect_equal(const Request& a, const Request& b) {
    EXPECT_EQ(a.id, b.id);
    EXPECT_EQ(a.ack_low, b.ack_low);
    EXPECT_EQ(a.parts, b.parts);
    EXPECT_EQ(a.read_only, b.read_only);
    EXPECT_EQ(a.op, b.op);
    EXPECT_EQ(a.raw, b.raw);
    EXPECT_EQ(a.rd, b.rd);
    EXPECT_EQ(a.bundle_index, b.bundle_index);
    EXPECT_EQ(a.bundle_count, b.bundle_count);
    EXPECT_EQ(a.bundle_path, b.bundle_path);
    EXPECT_EQ(a.signature, b.signature);
}

void expect_equal(const Prepare& a, const Prepare& b) {
    EXPECT_EQ(a.view, b.view);
    EXPECT_EQ(a.slot, b.slot);
    EXPECT_EQ(a.hd, b.hd);
    EXPECT_EQ(a.ui, b.ui);
    ASSERT_EQ(a.header == nullptr, b.header == nullptr);
    if (a.header) {
        EXPECT_EQ(*a.header, *b.header);
    }
}

void expect_equal(const Commit& a, const Commit& b) {
    EXPECT_EQ(a.group, b.group);
    EXPECT_EQ(a.position, b.position);
    EXPECT_EQ(a.view, b.view);
    EXPECT_EQ(a.to, b.to);
    EXPECT_EQ(a.hd, b.hd);
    EXPECT_EQ(a.nvd, b.nvd);
    expect_equal(a.prepare, b.prepare);
    EXPECT_EQ(a.from_new_view, b.from_new_view);
    EXPECT_EQ(a.ui, b.ui);
}

void expect_equal(const NewView& a, const NewView& b) {
    EXPECT_EQ(new_view_digest({}, a), new_view_digest({}, b));
    EXPECT_EQ(a.nullset, b.nullset);
    EXPECT_EQ(a.view_changes, b.view_changes);
    EXPECT_EQ(a.ui, b.ui);
}

void expect_equal(const ViewCertPtr& a, const ViewCertPtr& b) {
    ASSERT_EQ(a == nullptr, b == nullptr);
    if (!a) return;
    expect_equal(a->new_view, b->new_view);
    EXPECT_EQ(a->group, b->group);
    EXPECT_EQ(a->signers, b->signers);
}

void expect_equal(const Vouch& a, const Vouch& b) {
    EXPECT_EQ(vouch_digest({}, a), vouch_digest({}, b));
    EXPECT_EQ(a.signature, b.signature);
}

void expect_equal(const TriggerCertificate& a, const TriggerCertificate& b) {
    EXPECT_EQ(a.view, b.view);
    ASSERT_EQ(a.requests.size(), b.requests.size());
    for (std::size_t i = 0; i < a.requests.size(); ++i) {
        EXPECT_EQ(request_view_change_digest({}, a.requests[i]),
                  request_view_change_digest({}, b.requests[i]));
        EXPECT_EQ(a.requests[i].signature, b.requests[i].signature);
    }
}

// The digest of a VIEW-CHANGE covers all that is in it, so that its validity is a function of it.
void expect_equal(const ViewChange& a, const ViewChange& b) {
    EXPECT_EQ(view_change_digest(digest_of(1), a), view_change_digest(digest_of(1), b));
    expect_equal(a.proof, b.proof);
    EXPECT_EQ(a.last, b.last);
    EXPECT_EQ(a.from_new_view, b.from_new_view);
    expect_equal(a.view_cert, b.view_cert);
    EXPECT_EQ(a.stable, b.stable);
    ASSERT_EQ(a.vouches.size(), b.vouches.size());
    for (std::size_t i = 0; i < a.vouches.size(); ++i) expect_equal(a.vouches[i], b.vouches[i]);
    ASSERT_EQ(a.log.size(), b.log.size());
    for (std::size_t i = 0; i < a.log.size(); ++i) {
        EXPECT_EQ(a.log[i].view_change, b.log[i].view_change);
        EXPECT_EQ(a.log[i].target, b.log[i].target);
        EXPECT_EQ(a.log[i].last, b.log[i].last);
        EXPECT_EQ(a.log[i].rest, b.log[i].rest);
        EXPECT_EQ(a.log[i].ui, b.log[i].ui);
    }
    EXPECT_EQ(a.ui, b.ui);
}

void expect_equal(const ItemResult& a, const ItemResult& b) {
    EXPECT_TRUE(a.same_answer(b));
    EXPECT_EQ(a.result, b.result);
    EXPECT_EQ(a.has_result, b.has_result);
}

TEST(Codec, DatabaseCheckpointsAndTransfer) {
    std::map<std::size_t, Payload> by_kind;
    for (const Message& message : sample_messages())
        by_kind.emplace(message.payload.index(), message.payload);
    auto same = [&]<class T>(const T*, auto equal) {
        Message message{Endpoint::voter(VoterId(1)), Endpoint::voter(VoterId(2)),
                        by_kind.at(Payload(T{}).index())};
        auto back = decode(encode(message));
        ASSERT_TRUE(back) << back.error().what;
        EXPECT_TRUE(equal(std::get<T>(message.payload), std::get<T>(back->payload)));
    };
    same(static_cast<DbCheckpoint*>(nullptr), [](const auto& a, const auto& b) {
        return db_checkpoint_digest({}, a) == db_checkpoint_digest({}, b) &&
               a.signature == b.signature;
    });
    same(static_cast<DbCut*>(nullptr), [](const auto& a, const auto& b) {
        return a.voter == b.voter && a.slot == b.slot && a.hold == b.hold;
    });
    auto cut = [](const auto& a, const auto& b) { return a.voter == b.voter && a.slot == b.slot; };
    same(static_cast<FetchDbLeaves*>(nullptr), cut);
    same(static_cast<DbGone*>(nullptr), cut);
    same(static_cast<DbLeaves*>(nullptr),
         [&](const auto& a, const auto& b) { return cut(a, b) && *a.leaves == *b.leaves; });
    auto chunk = [&](const auto& a, const auto& b) {
        return cut(a, b) && a.leaf == b.leaf && a.chunk == b.chunk;
    };
    same(static_cast<FetchDbChunk*>(nullptr), chunk);
    same(static_cast<DbChunk*>(nullptr),
         [&](const auto& a, const auto& b) { return chunk(a, b) && a.rows == b.rows; });
    same(static_cast<VoterStatus*>(nullptr), [](const auto& a, const auto& b) {
        return a.next == b.next && a.checkpoint == b.checkpoint;
    });
}

TEST(Codec, SamplesHaveEveryKindOfMessageAndRecord) {
    std::set<std::size_t> kinds, records;
    for (const Message& message : sample_messages()) kinds.insert(message.payload.index());
    for (const LogRecord& record : sample_records()) records.insert(record.index());
    EXPECT_EQ(kinds.size(), std::variant_size_v<Payload>) << "add a sample of the new message";
    EXPECT_EQ(records.size(), std::variant_size_v<LogRecord>) << "add a sample of the new record";
}

TEST(Codec, EveryMessageComesBackAsItWas) {
    for (const Message& message : sample_messages()) {
        const Bytes bytes = encode(message);
        auto back = decode(bytes);
        ASSERT_TRUE(back.has_value()) << message.payload.index() << ": " << back.error().what;
        EXPECT_EQ(back->from, message.from);
        EXPECT_EQ(back->to, message.to);
        EXPECT_EQ(back->payload.index(), message.payload.index());
        EXPECT_EQ(encode(*back), bytes);
    }
}

TEST(Codec, EmptyMessagesComeBackToo) {
    EXPECT_TRUE(through_the_wire(Status{}).votes_seen.empty());
    EXPECT_TRUE(through_the_wire(Certificates{}).commits.empty());
    EXPECT_TRUE(through_the_wire(FetchBodies{}).rds.empty());
    EXPECT_TRUE(through_the_wire(Bodies{}).bodies.empty());
    EXPECT_TRUE(through_the_wire(CommitDb{}).items.empty());
    EXPECT_TRUE(through_the_wire(DbReply{}).items.empty());
    EXPECT_TRUE(through_the_wire(VoterStatus{}).next.empty());
    EXPECT_TRUE(through_the_wire(Vouch{}).votes.empty());
    EXPECT_TRUE(through_the_wire(TriggerCertificate{}).requests.empty());
    EXPECT_TRUE(through_the_wire(Headers{}).headers.empty());
    EXPECT_TRUE(through_the_wire(FetchViewChanges{}).wanted.empty());
    EXPECT_TRUE(through_the_wire(ViewChanges{}).messages.empty());
    expect_equal(through_the_wire(NewView{}), NewView{});
    Prepare heartbeat = sample_prepare(1, false);
    heartbeat.header = std::make_shared<const Header>();
    expect_equal(through_the_wire(heartbeat), heartbeat);
}

TEST(Codec, RequestFields) {
    Body body = sample_body(3);
    expect_equal(*through_the_wire(body), *body);
    expect_equal(*through_the_wire(Bodies{{body}}).bodies.at(0), *body);
    EXPECT_EQ(body->rd, request_digest(body->raw));
}

TEST(Codec, ABundleComesBackWhole) {
    const std::vector<Body> bodies = sample_bundle(5);
    Bodies back = through_the_wire(Bodies{bodies});
    ASSERT_EQ(back.bodies.size(), bodies.size());
    ASSERT_TRUE(back.bodies[0]->bundle);
    EXPECT_EQ(back.bodies[0]->bundle->tree.root(), bodies[0]->bundle->tree.root());
    EXPECT_EQ(back.bodies[0]->bundle->signature, bodies[0]->bundle->signature);
    for (std::size_t i = 0; i < bodies.size(); ++i) {
        expect_equal(*back.bodies[i], *bodies[i]);
        EXPECT_EQ(back.bodies[i]->receipt, bodies[i]->receipt);
        EXPECT_EQ(back.bodies[i]->bundle, back.bodies[0]->bundle);
    }
}

TEST(Codec, APartOfABundleHasTheSameRoot) {
    const std::vector<Body> bodies = sample_bundle(7);
    for (std::vector<Body> part :
         {std::vector{bodies[1], bodies[4], bodies[6]}, std::vector{bodies[5], bodies[0]}}) {
        Bodies back = through_the_wire(Bodies{part});
        ASSERT_EQ(back.bodies.size(), part.size());
        for (const Body& body : back.bodies) {
            ASSERT_TRUE(body->bundle);
            EXPECT_EQ(body->bundle->tree.root(), bodies[0]->bundle->tree.root());
            EXPECT_EQ(body->bundle->tree.leaves()[body->bundle_index], body->rd);
        }
    }
    // One of many travels with its path.
    Bodies alone = through_the_wire(Bodies{{bodies[3]}});
    EXPECT_FALSE(alone.bodies.at(0)->bundle);
    EXPECT_EQ(alone.bodies[0]->bundle_path, proof_of(*bodies[3]).path);
    EXPECT_EQ(alone.bodies[0]->signature, bodies[3]->bundle->signature);
}

TEST(Codec, FramesForSeveralRecipientsSayTheSame) {
    const Payload payload = Bodies{sample_bundle(3)};
    const Endpoint from = Endpoint::of_client(ClientId(5));
    const std::vector<Endpoint> to{Endpoint::replica(GroupId(1), Position(2)),
                                   Endpoint::primary(PrimaryId(0))};
    const std::vector<Bytes> frames = encode(from, to, payload);
    ASSERT_EQ(frames.size(), to.size());
    for (std::size_t i = 0; i < to.size(); ++i) {
        auto back = decode(frames[i]);
        ASSERT_TRUE(back) << back.error().what;
        EXPECT_EQ(back->from, from);
        EXPECT_EQ(back->to, to[i]);
        EXPECT_EQ(std::get<Bodies>(back->payload).bodies.size(), 3u);
    }
}

TEST(Codec, RepliesComeBackEachWithItsResult) {
    Replies replies = sample_replies();
    Replies back = through_the_wire(replies);
    ASSERT_EQ(back.replies.size(), replies.replies.size());
    for (std::size_t i = 0; i < replies.replies.size(); ++i) {
        const Reply& a = replies.replies[i];
        const Reply& b = back.replies[i];
        EXPECT_EQ(a.group, b.group);
        EXPECT_EQ(a.position, b.position);
        EXPECT_EQ(a.slot, b.slot);
        EXPECT_EQ(a.view_hint, b.view_hint);
        EXPECT_EQ(a.config, b.config);
        EXPECT_TRUE(a.answer.same_answer(b.answer));
        EXPECT_EQ(a.answer.has_result, b.answer.has_result);
        EXPECT_EQ(a.answer.result, b.answer.result);
    }
}

TEST(Codec, RequestRawIsVerbatim) {
    auto request = std::make_shared<Request>(*sample_body(2));
    ASSERT_FALSE(request->read_only);
    // A client may encode as it likes: here a default value is written out.
    request->raw.push_back(6 << 3);
    request->raw.push_back(0);
    auto back = through_the_wire(Body(request));
    EXPECT_EQ(back->raw, request->raw);
    EXPECT_EQ(back->rd, request_digest(request->raw));
}

TEST(Codec, CertifiedMessages) {
    expect_equal(through_the_wire(sample_prepare(1, true)), sample_prepare(1, true));
    expect_equal(through_the_wire(sample_prepare(1, false)), sample_prepare(1, false));
    expect_equal(through_the_wire(sample_commit(2)), sample_commit(2));
    Certificates out{StreamId::vote(GroupId(2), Position(1)),
                     {sample_prepare(1, true)},
                     {sample_new_view(1)},
                     {sample_void(StreamId::ordering(PrimaryId(1)), 5)},
                     {sample_commit(1)},
                     {std::make_shared<const ViewChange>(sample_view_change(1))}};
    Certificates in = through_the_wire(out);
    EXPECT_EQ(in.stream, out.stream);
    expect_equal(in.new_views.at(0), out.new_views[0]);
    expect_equal(*in.view_changes.at(0), *out.view_changes[0]);
    expect_equal(in.prepares.at(0), out.prepares[0]);
    expect_equal(in.commits.at(0), out.commits[0]);
}

TEST(Codec, FullSlot) {
    Prepare prepare = sample_prepare(1, false);
    prepare.header = sample_header(1, static_cast<int>(message_limits.slot_entries));
    expect_equal(through_the_wire(prepare), prepare);
    prepare.header = sample_header(1, static_cast<int>(message_limits.slot_entries) + 1);
    EXPECT_FALSE(
        decode(encode({Endpoint::primary(PrimaryId(0)), Endpoint::voter(VoterId(0)), prepare}))
            .has_value());
}

TEST(Codec, StatusAndFetchFields) {
    Status status = through_the_wire(Status{View(1),
                                            true,
                                            Slot(2),
                                            Slot(3),
                                            Slot(4),
                                            Slot(5),
                                            Slot(6),
                                            {Counter(7), Counter(6)},
                                            {Counter(8), Counter(9)}});
    EXPECT_EQ(status.view, View(1));
    EXPECT_TRUE(status.active);
    EXPECT_EQ(status.tip, Slot(2));
    EXPECT_EQ(status.committed, Slot(3));
    EXPECT_EQ(status.delivered, Slot(4));
    EXPECT_EQ(status.executed, Slot(5));
    EXPECT_EQ(status.low, Slot(6));
    EXPECT_EQ(status.ordering_seen, (std::vector<Counter>{Counter(7), Counter(6)}));
    EXPECT_EQ(status.votes_seen, (std::vector<Counter>{Counter(8), Counter(9)}));

    auto fetch = through_the_wire(
        FetchCertificates{StreamId::ordering(PrimaryId(4)), Counter(2), Counter(3)});
    EXPECT_EQ(fetch.stream, StreamId::ordering(PrimaryId(4)));
    EXPECT_EQ(fetch.from, Counter(2));
    EXPECT_EQ(fetch.to, Counter(3));

    EXPECT_EQ(through_the_wire(FetchBodies{{digest_of(1), digest_of(2)}}).rds,
              (std::vector<Digest>{digest_of(1), digest_of(2)}));

    auto items = through_the_wire(FetchDbItems{VoterId(1), PartitionId(2), Seq(3), Seq(4)});
    EXPECT_EQ(items.voter, VoterId(1));
    EXPECT_EQ(items.partition, PartitionId(2));
    EXPECT_EQ(items.from, Seq(3));
    EXPECT_EQ(items.to, Seq(4));
}

TEST(Codec, DatabaseMessageFields) {
    CommitDb out{GroupId(1), Position(2), Slot(3), ConfigVersion(4), {}, {sample_body(1)}};
    for (int i = 0; i < 6; ++i) out.items.push_back(sample_item(i));
    CommitDb in = through_the_wire(out);
    EXPECT_EQ(in.group, out.group);
    EXPECT_EQ(in.position, out.position);
    EXPECT_EQ(in.slot, out.slot);
    EXPECT_EQ(in.config, out.config);
    EXPECT_EQ(in.items, out.items);
    expect_equal(*in.bodies.at(0), *out.bodies[0]);

    DbReply reply{VoterId(1), GroupId(2), Slot(3), {}};
    for (int i = 0; i < 6; ++i) reply.items.push_back(sample_result(i));
    DbReply back = through_the_wire(reply);
    EXPECT_EQ(back.voter, reply.voter);
    EXPECT_EQ(back.group, reply.group);
    EXPECT_EQ(back.slot, reply.slot);
    ASSERT_EQ(back.items.size(), reply.items.size());
    for (std::size_t i = 0; i < back.items.size(); ++i) expect_equal(back.items[i], reply.items[i]);

    VoterStatus status = through_the_wire(VoterStatus{VoterId(2), {{PartitionId(1), Seq(2)}}});
    EXPECT_EQ(status.voter, VoterId(2));
    EXPECT_EQ(status.next, (std::vector<PartitionSeq>{{PartitionId(1), Seq(2)}}));
}

TEST(Codec, ClientMessageFields) {
    Reply reply = through_the_wire(Reply{GroupId(1),
                                         Position(2),
                                         Slot(3),
                                         sample_result(1),
                                         View(4),
                                         ConfigVersion(5),
                                         {},
                                         0,
                                         {},
                                         false});
    EXPECT_EQ(reply.group, GroupId(1));
    EXPECT_EQ(reply.position, Position(2));
    EXPECT_EQ(reply.slot, Slot(3));
    expect_equal(reply.answer, sample_result(1));
    EXPECT_EQ(reply.view_hint, View(4));
    EXPECT_EQ(reply.config, ConfigVersion(5));

    const RequestId rid{ClientId(1), PartitionId(2), ClientSeq(3)};
    Rejected rejected = through_the_wire(Rejected{rid, Rejected::Reason::over_quota, "later"});
    EXPECT_EQ(rejected.rid, rid);
    EXPECT_EQ(rejected.reason, Rejected::Reason::over_quota);
    EXPECT_EQ(rejected.text, "later");
    Message loud{Endpoint::replica(GroupId(1), Position(0)), Endpoint::of_client(ClientId(4)),
                 Rejected{rid, Rejected::Reason::stale, "a\x1b[2Jb\n"}};
    auto heard = decode(encode(loud));
    ASSERT_TRUE(heard.has_value());
    EXPECT_EQ(std::get<Rejected>(heard->payload).text, "a?[2Jb?") << "a terminal obeys nobody";
    Rejected wordy{rid, Rejected::Reason::stale, std::string(2000, 'w')};
    EXPECT_EQ(through_the_wire(wordy).text.size(), text_bytes_max);
}

TEST(Codec, ViewChangeFields) {
    for (int seed : {1, 2}) {
        ViewChange full = sample_view_change(seed);
        expect_equal(*through_the_wire(ViewChangePtr(std::make_shared<const ViewChange>(full))),
                     full);
        expect_equal(through_the_wire(sample_new_view(seed)), sample_new_view(seed));
        expect_equal(through_the_wire(sample_view_cert(seed)), sample_view_cert(seed));
        expect_equal(through_the_wire(sample_vouch(seed)), sample_vouch(seed));
        expect_equal(through_the_wire(sample_trigger(seed)), sample_trigger(seed));
    }
    // Before anything was committed, agreed or vouched for.
    ViewChange bare;
    bare.group = GroupId(1);
    bare.view = View(1);
    bare.ui = sample_ui(1);
    expect_equal(*through_the_wire(ViewChangePtr(std::make_shared<const ViewChange>(bare))), bare);
    EXPECT_TRUE(through_the_wire(sample_commit(2)).from_new_view);
    EXPECT_FALSE(through_the_wire(sample_commit(1)).from_new_view);
}

TEST(Codec, ViewMessageFields) {
    Checkpoint checkpoint{GroupId(1), Position(2), Slot(64), digest_of(1), 17, digest_of(2), {9}};
    Checkpoint back = through_the_wire(checkpoint);
    EXPECT_EQ(checkpoint_digest({}, back), checkpoint_digest({}, checkpoint));
    EXPECT_EQ(back.signature, checkpoint.signature);

    NewViewAccept accept{GroupId(1), Position(2), View(3), digest_of(4), Counter(5), {9}};
    NewViewAccept accepted = through_the_wire(accept);
    EXPECT_EQ(accept_digest({}, accepted), accept_digest({}, accept));
    EXPECT_EQ(accepted.signature, accept.signature);

    Resign resign = through_the_wire(Resign{PrimaryId(1), View(2), {3}});
    EXPECT_EQ(resign.primary, PrimaryId(1));
    EXPECT_EQ(resign.view, View(2));
    EXPECT_EQ(resign.signature, Bytes{3});

    FetchHeaders fetch = through_the_wire(FetchHeaders{Slot(1), Slot(2), digest_of(3)});
    EXPECT_EQ(fetch.from, Slot(1));
    EXPECT_EQ(fetch.to, Slot(2));
    EXPECT_EQ(fetch.hd, digest_of(3));
    EXPECT_EQ(*through_the_wire(Headers{{sample_header(1)}}).headers.at(0), *sample_header(1));
    EXPECT_EQ(through_the_wire(FetchViewCert{digest_of(1)}).nvd, digest_of(1));
    auto refs = sample_new_view(1).view_changes;
    EXPECT_EQ(through_the_wire(FetchViewChanges{refs}).wanted, refs);
    ViewChanges changes{{std::make_shared<const ViewChange>(sample_view_change(1))}};
    expect_equal(*through_the_wire(changes).messages.at(0), sample_view_change(1));
}

// What a replica of many groups shows after a long time without vouches still fits a frame.
TEST(Codec, LongestVoteLog) {
    ViewChange change = sample_view_change(1);
    change.log.assign(message_limits.vote_log, change.log[1]);
    Message message{Endpoint::replica(GroupId(1), Position(2)), Endpoint::primary(PrimaryId(0)),
                    std::make_shared<const ViewChange>(change)};
    Bytes bytes = encode(message);
    EXPECT_LT(bytes.size(), frame_bytes_max);
    ASSERT_TRUE(decode(bytes).has_value());
    change.log.push_back(change.log[0]);
    message.payload = std::make_shared<const ViewChange>(change);
    EXPECT_FALSE(decode(encode(message)).has_value());
}

void expect_equal(const DerivedState& a, const DerivedState& b) {
    EXPECT_EQ(a.slot, b.slot);
    EXPECT_EQ(a.hd, b.hd);
    EXPECT_EQ(a.ts_ms, b.ts_ms);
    EXPECT_EQ(a.null_digest, b.null_digest);
    EXPECT_EQ(a.next_seq, b.next_seq);
    EXPECT_EQ(a.windows, b.windows);
    EXPECT_EQ(a.unfinished, b.unfinished);
}

void expect_equal(const SnapshotRecord& a, const SnapshotRecord& b) {
    expect_equal(static_cast<const DerivedState&>(a), static_cast<const DerivedState&>(b));
    EXPECT_EQ(a.cert, b.cert);
    ASSERT_EQ(a.votes.size(), b.votes.size());
    for (std::size_t i = 0; i < a.votes.size(); ++i) {
        EXPECT_EQ(a.votes[i].processed, b.votes[i].processed);
        EXPECT_EQ(a.votes[i].promised, b.votes[i].promised);
        EXPECT_EQ(a.votes[i].last, b.votes[i].last);
    }
    ASSERT_EQ(a.ordering.size(), b.ordering.size());
    for (std::size_t i = 0; i < a.ordering.size(); ++i) {
        EXPECT_EQ(a.ordering[i].processed, b.ordering[i].processed);
        EXPECT_EQ(a.ordering[i].leading, b.ordering[i].leading);
        EXPECT_EQ(a.ordering[i].view, b.ordering[i].view);
        EXPECT_EQ(a.ordering[i].base, b.ordering[i].base);
        EXPECT_EQ(a.ordering[i].base_slot, b.ordering[i].base_slot);
        EXPECT_EQ(a.ordering[i].tip, b.ordering[i].tip);
        EXPECT_EQ(a.ordering[i].tip_digest, b.ordering[i].tip_digest);
    }
}

template <class Record>
Record through_the_log(const Record& record) {
    auto back = decode_record(encode_record(record));
    EXPECT_TRUE(back.has_value()) << back.error().what;
    return std::get<Record>(*back);
}

TEST(Codec, ViewRecordFields) {
    NewViewRecord new_view = through_the_log(NewViewRecord{sample_new_view(1), 18});
    expect_equal(new_view.new_view, sample_new_view(1));
    EXPECT_EQ(new_view.ts_ms, 18u);
    NewViewIntent intent = through_the_log(NewViewIntent{sample_new_view(2), 19});
    expect_equal(intent.new_view, sample_new_view(2));
    EXPECT_EQ(intent.ts_ms, 19u);
    auto change = std::make_shared<const ViewChange>(sample_view_change(1));
    expect_equal(*through_the_log(ViewChangeIntent{change}).change, *change);
    expect_equal(*through_the_log(ViewChangeRecord{change}).change, *change);
    EXPECT_EQ(*through_the_log(HeaderRecord{sample_header(1)}).header, *sample_header(1));
    expect_equal(through_the_log(ViewCertRecord{sample_view_cert(1)}).cert, sample_view_cert(1));
    EXPECT_EQ(through_the_log(StableRecord{sample_stable(1)}).cert, sample_stable(1));
    auto snapshot = std::make_shared<const SnapshotRecord>(sample_snapshot(1));
    expect_equal(*through_the_log(SnapshotPtr(snapshot)), *snapshot);

    ViewRecord view = through_the_log(
        ViewRecord{View(7), digest_of(8), Counter(9), sample_view_cert(1), sample_trigger(2)});
    EXPECT_EQ(view.view, View(7));
    EXPECT_EQ(view.accepted, digest_of(8));
    EXPECT_EQ(view.accepted_cv, Counter(9));
    expect_equal(view.chain, sample_view_cert(1));
    expect_equal(view.trigger.value(), sample_trigger(2));
    view = through_the_log(ViewRecord{});
    EXPECT_EQ(view.chain, nullptr);
    EXPECT_FALSE(view.trigger.has_value());

    VouchRecord vouched = through_the_log(VouchRecord{Counter(12), {sample_vouch(1)}});
    EXPECT_EQ(vouched.base, Counter(12));
    expect_equal(vouched.vouches.at(0), sample_vouch(1));
}

TEST(Codec, RecordsComeBackAsTheyWere) {
    for (const LogRecord& record : sample_records()) {
        const Bytes bytes = encode_record(record);
        auto back = decode_record(bytes);
        ASSERT_TRUE(back.has_value()) << record.index() << ": " << back.error().what;
        EXPECT_EQ(back->index(), record.index());
        EXPECT_EQ(encode_record(*back), bytes);
    }
    auto intent = decode_record(encode_record(PrepareIntent{View(3), sample_header(3)}));
    EXPECT_EQ(std::get<PrepareIntent>(*intent).view, View(3));
    EXPECT_EQ(*std::get<PrepareIntent>(*intent).header, *sample_header(3));
    auto commit = decode_record(encode_record(CommitIntent{sample_commit(1)}));
    expect_equal(std::get<CommitIntent>(*commit).commit, sample_commit(1));
    auto body = decode_record(encode_record(BodyRecord{sample_body(1)}));
    expect_equal(*std::get<BodyRecord>(*body).body, *sample_body(1));
    auto executed = decode_record(encode_record(ExecutedRecord{Slot(9)}));
    EXPECT_EQ(std::get<ExecutedRecord>(*executed).slot, Slot(9));
}

}  // namespace
}  // namespace bft::wire

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
    EXPECT_EQ(a.ui, b.ui);
}

void expect_equal(const ItemResult& a, const ItemResult& b) {
    EXPECT_TRUE(a.same_answer(b));
    EXPECT_EQ(a.result, b.result);
    EXPECT_EQ(a.has_result, b.has_result);
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
    Certificates out{
        StreamId::vote(GroupId(2), Position(1)), {sample_prepare(1, true)}, {sample_commit(1)}};
    Certificates in = through_the_wire(out);
    EXPECT_EQ(in.stream, out.stream);
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
                                            Counter(7),
                                            {Counter(8), Counter(9)}});
    EXPECT_EQ(status.view, View(1));
    EXPECT_TRUE(status.active);
    EXPECT_EQ(status.tip, Slot(2));
    EXPECT_EQ(status.committed, Slot(3));
    EXPECT_EQ(status.delivered, Slot(4));
    EXPECT_EQ(status.executed, Slot(5));
    EXPECT_EQ(status.low, Slot(6));
    EXPECT_EQ(status.ordering_seen, Counter(7));
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
    Rejected wordy{rid, Rejected::Reason::stale, std::string(2000, 'w')};
    EXPECT_EQ(through_the_wire(wordy).text.size(), text_bytes_max);
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

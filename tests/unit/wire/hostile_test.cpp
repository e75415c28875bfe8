// Bytes that encode() did not write.
#include "codec_entry.hpp"
#include "mutator.hpp"
#include "samples.hpp"
#include "wire/codec.hpp"

#include <gtest/gtest.h>

#include <bftnode/wire.pb.h>

namespace bft::wire {
namespace {

using namespace consensus;

namespace pb = ::bftnode::wire;

pb::Frame frame_to_voter() {
    pb::Frame frame;
    frame.mutable_from()->set_role(2);
    frame.mutable_to()->set_role(3);
    return frame;
}

Result<Message> decode_text(const std::string& bytes) {
    return decode(as_bytes(bytes));
}

std::string why(const pb::Frame& frame) {
    auto message = decode_text(frame.SerializeAsString());
    if (message) return "accepted";
    EXPECT_EQ(message.error().code, Errc::malformed);
    return message.error().what;
}

TEST(HostileBytes, EmptyAndGarbage) {
    EXPECT_FALSE(decode({}).has_value());
    EXPECT_FALSE(decode_record({}).has_value());
    EXPECT_TRUE(decode_request({}).has_value()) << "all fields zero: the Verifier's business";
    EXPECT_FALSE(decode(Bytes(100, 0xff)).has_value());
    EXPECT_FALSE(decode(Bytes(100, 0)).has_value());
}

TEST(HostileBytes, NoPayloadOrTwo) {
    pb::Frame frame = frame_to_voter();
    EXPECT_NE(why(frame).find("exactly one"), std::string::npos);
    frame.mutable_status();
    EXPECT_EQ(why(frame), "accepted");
    pb::Frame other;
    other.mutable_fetch_bodies();
    EXPECT_FALSE(decode_text(frame.SerializeAsString() + other.SerializeAsString()).has_value());
}

TEST(HostileBytes, RepeatedSingleField) {
    pb::Frame frame = frame_to_voter();
    frame.mutable_status();
    pb::Frame again;
    again.mutable_from()->set_role(1);
    auto result = decode_text(frame.SerializeAsString() + again.SerializeAsString());
    ASSERT_FALSE(result.has_value());
    EXPECT_NE(result.error().what.find("repeated"), std::string::npos);
}

TEST(HostileBytes, UnknownFieldsAndEnumerators) {
    pb::Frame frame = frame_to_voter();
    frame.mutable_status();
    EXPECT_FALSE(
        decode_text(frame.SerializeAsString() + std::string("\x98\x06\x01", 3)).has_value());
    frame.mutable_from()->set_role(9);
    EXPECT_NE(why(frame).find("role"), std::string::npos);
    frame.mutable_from()->set_role(2 + 256);
    EXPECT_NE(why(frame).find("role"), std::string::npos);
    frame.mutable_from()->set_role(2);
    frame.mutable_rejected()->set_reason(99);
    EXPECT_NE(why(frame).find("reason"), std::string::npos);
    frame.mutable_fetch_certificates()->mutable_stream()->set_kind(0);
    EXPECT_NE(why(frame).find("stream"), std::string::npos);
}

TEST(HostileBytes, EndpointWithFieldsOfAnotherRole) {
    pb::Frame frame = frame_to_voter();
    frame.mutable_status();
    frame.mutable_to()->set_client(5);
    EXPECT_NE(why(frame).find("endpoint"), std::string::npos);
}

TEST(HostileBytes, ColumnsOfDifferentLength) {
    pb::Frame frame = frame_to_voter();
    pb::CommitDb* commit = frame.mutable_commit_db();
    commit->add_indexes(1);
    EXPECT_NE(why(frame).find("columns"), std::string::npos);
    frame.mutable_voter_status()->add_partitions(1);
    EXPECT_NE(why(frame).find("columns"), std::string::npos);

    auto prepare = sample_prepare(1, true);
    Message message{Endpoint::primary(PrimaryId(0)), Endpoint::voter(VoterId(0)), prepare};
    Bytes good = encode(message);
    pb::Frame changed;
    ASSERT_TRUE(changed.ParseFromArray(good.data(), static_cast<int>(good.size())));
    changed.mutable_prepare()->mutable_header()->add_parts(1);
    EXPECT_NE(why(changed).find("partitions of no entry"), std::string::npos);
    changed.mutable_prepare()->mutable_header()->set_part_counts(0, 0xffffffff);
    EXPECT_NE(why(changed).find("partitions"), std::string::npos);
}

TEST(HostileBytes, DigestsHave32Bytes) {
    pb::Frame frame = frame_to_voter();
    frame.mutable_prepare()->set_hd("short");
    EXPECT_NE(why(frame).find("32 bytes"), std::string::npos);
    frame.mutable_fetch_bodies()->set_rds(std::string(33, 'x'));
    EXPECT_NE(why(frame).find("32 bytes"), std::string::npos);
}

// Two bytes each on the wire, and an object each in protobuf's decoder: it must not come to that.
TEST(HostileBytes, EndlessListsAreRefused) {
    pb::Frame frame = frame_to_voter();
    for (int i = 0; i < 2002; ++i) frame.mutable_db_reply()->add_items();
    EXPECT_NE(why(frame).find("repeated too often"), std::string::npos);
    for (int i = 0; i < 2002; ++i) frame.mutable_bodies()->add_bodies();
    EXPECT_NE(why(frame).find("repeated too often"), std::string::npos);
    for (int i = 0; i < 65; ++i) frame.mutable_status()->add_votes_seen(1);
    EXPECT_NE(why(frame).find("list is longer"), std::string::npos);
    frame.mutable_fetch_bodies()->set_rds(std::string(513 * 32, 'x'));
    EXPECT_NE(why(frame).find("byte string is longer"), std::string::npos);
}

TEST(HostileBytes, EndlessListsOfViewChangeAreRefused) {
    pb::Frame frame = frame_to_voter();
    frame.mutable_view_change()->add_log();
    EXPECT_NE(why(frame).find("shorter than any"), std::string::npos)
        << "two bytes of wire must not become a log entry";
    frame.mutable_view_change()->clear_log();
    for (int i = 0; i < 65; ++i) frame.mutable_view_change()->add_vouches();
    EXPECT_NE(why(frame).find("repeated too often"), std::string::npos);
    for (int i = 0; i < 65; ++i) frame.mutable_trigger()->add_requests();
    EXPECT_NE(why(frame).find("repeated too often"), std::string::npos);
    for (int i = 0; i < 65; ++i) frame.mutable_view_cert()->add_signers();
    EXPECT_NE(why(frame).find("repeated too often"), std::string::npos);
    for (int i = 0; i < 513; ++i) frame.mutable_headers()->add_headers();
    EXPECT_NE(why(frame).find("repeated too often"), std::string::npos);
    for (int i = 0; i < 65; ++i) frame.mutable_vouch()->add_votes(1);
    EXPECT_NE(why(frame).find("list is longer"), std::string::npos);
    for (int i = 0; i < 65; ++i) frame.mutable_status()->add_ordering_seen(1);
    EXPECT_NE(why(frame).find("list is longer"), std::string::npos);
    for (int i = 0; i <= 1 << 18; ++i) frame.mutable_new_view()->add_null_slots(1);
    EXPECT_NE(why(frame).find("list is longer"), std::string::npos);
    for (int i = 0; i <= 4096; ++i) frame.mutable_fetch_view_changes()->add_groups(1);
    EXPECT_NE(why(frame).find("list is longer"), std::string::npos);
}

TEST(HostileBytes, ViewChangesThatContradictThemselves) {
    pb::Frame frame = frame_to_voter();
    frame.mutable_new_view()->add_null_slots(1);
    EXPECT_NE(why(frame).find("columns"), std::string::npos);
    frame.mutable_fetch_view_changes()->add_groups(1);
    EXPECT_NE(why(frame).find("columns"), std::string::npos);
    frame.mutable_request_view_change()->set_reason(13);
    EXPECT_NE(why(frame).find("suspicion"), std::string::npos);
    frame.mutable_request_view_change()->set_reason(1 + 256);
    EXPECT_NE(why(frame).find("suspicion"), std::string::npos);

    Message message{Endpoint::replica(GroupId(1), Position(0)), Endpoint::primary(PrimaryId(0)),
                    std::make_shared<const ViewChange>(sample_view_change(1))};
    Bytes good = encode(message);
    pb::Frame changed;
    ASSERT_TRUE(changed.ParseFromArray(good.data(), static_cast<int>(good.size())));
    changed.mutable_view_change()->mutable_log(0)->set_target(3);
    EXPECT_NE(why(changed).find("target"), std::string::npos);
    changed.mutable_view_change()->mutable_log(0)->set_rest("short");
    EXPECT_NE(why(changed).find("32 bytes"), std::string::npos);
    changed.mutable_view_change()->mutable_log()->RemoveLast();
    changed.mutable_view_change()->mutable_log(0)->clear_last();
    EXPECT_NE(why(changed), "accepted");
}

TEST(HostileBytes, LengthsBeyondTheEnd) {
    for (const Message& message : sample_messages()) {
        const Bytes bytes = encode(message);
        for (std::size_t size = 0; size < bytes.size(); size += 1 + bytes.size() / 200)
            EXPECT_FALSE(decode(ByteView(bytes).first(size)).has_value());
    }
    EXPECT_FALSE(decode_text("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01").has_value());
    EXPECT_FALSE(decode_text("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f").has_value());
}

TEST(HostileBytes, RequestBounds) {
    Request request;
    request.op = Bytes(message_limits.op_bytes);
    for (std::uint32_t i = 0; i < message_limits.parts_per_request; ++i)
        request.parts.emplace_back(0xffffff00u + i);
    request.id = {ClientId(~0ull), PartitionId(~0u), ClientSeq(~0ull)};
    request.ack_low = ClientSeq(~0ull);
    EXPECT_TRUE(decode_request(encode_request(request)).has_value());
    request.op.push_back(0);
    EXPECT_FALSE(decode_request(encode_request(request)).has_value());
    request.op.clear();
    request.parts.emplace_back(1);
    EXPECT_FALSE(decode_request(encode_request(request)).has_value());
}

TEST(HostileBytes, NumbersInListsHave64BitsAtMost) {
    // Field 5 of a request, its partitions, with one number.
    auto parts = [](std::size_t more, std::uint8_t last) {
        Bytes bytes{0x2a, static_cast<std::uint8_t>(more + 1)};
        bytes.insert(bytes.end(), more, 0x82);
        bytes.push_back(last);
        return bytes;
    };
    EXPECT_TRUE(decode_request(parts(0, 7)).has_value());
    EXPECT_TRUE(decode_request(parts(9, 1)).has_value());
    EXPECT_FALSE(decode_request(parts(9, 2)).has_value()) << "65 bits";
    EXPECT_FALSE(decode_request(parts(10, 1)).has_value()) << "eleven bytes";
    EXPECT_FALSE(decode_request(parts(40, 1)).has_value());
    EXPECT_FALSE(decode_request(parts(3, 0x82)).has_value()) << "unfinished";
}

TEST(HostileBytes, FrameLongerThanTheBound) {
    EXPECT_FALSE(decode(Bytes(frame_bytes_max + 1)).has_value());
}

// --- seeded mutations: the fuzzers' entry functions, in every test run
// -------------------------------

using fuzz::Mutator;

TEST(HostileBytes, MutatedFrames) {
    Mutator mutate(1);
    std::size_t accepted = 0;
    for (const Message& message : sample_messages()) {
        const Bytes bytes = encode(message);
        for (int i = 0; i < 1500; ++i) accepted += fuzz::frame(mutate(bytes));
    }
    EXPECT_GT(accepted, 0u) << "mutations that always fail test nothing behind the first check";
}

TEST(HostileBytes, MutatedRecords) {
    Mutator mutate(2);
    std::size_t accepted = 0;
    for (const LogRecord& record : sample_records()) {
        const Bytes bytes = encode_record(record);
        for (int i = 0; i < 1500; ++i) accepted += fuzz::record(mutate(bytes));
    }
    EXPECT_GT(accepted, 0u);
}

TEST(HostileBytes, MutatedRequests) {
    Mutator mutate(3);
    std::size_t accepted = 0;
    for (int i = 0; i < 5000; ++i) accepted += fuzz::request(mutate(sample_body(1)->raw));
    EXPECT_GT(accepted, 0u);
}

}  // namespace
}  // namespace bft::wire

#include "samples.hpp"

#include "base/sha256.hpp"
#include "wire/codec.hpp"

namespace bft::wire {

using namespace consensus;

namespace {

std::uint64_t u64(int seed) {
    return static_cast<std::uint64_t>(seed);
}
std::uint32_t u32(int seed) {
    return static_cast<std::uint32_t>(seed);
}

}  // namespace

Digest digest_of(int seed) {
    return sha256(as_bytes("digest " + std::to_string(seed)));
}

Ui sample_ui(int seed) {
    return {Counter(u64(seed) << 40), u32(seed), Bytes(1200, static_cast<std::uint8_t>(seed))};
}

Body sample_body(int seed) {
    Request fields;
    fields.id = {ClientId(u64(seed) + 100), PartitionId(u32(seed)), ClientSeq(u64(seed) + 7)};
    fields.ack_low = ClientSeq(u64(seed) + 3);
    fields.parts = {PartitionId(u32(seed)), PartitionId(u32(seed) + 5)};
    fields.read_only = seed % 2 == 1;
    fields.op = Bytes(50, static_cast<std::uint8_t>(seed));
    auto request = std::make_shared<Request>(*decode_request(encode_request(fields)));
    request->bundle_index = 2;
    request->bundle_count = 5;
    request->bundle_path = {digest_of(seed), digest_of(seed + 1), digest_of(seed + 2)};
    request->signature = Bytes(64, static_cast<std::uint8_t>(seed + 1));
    return request;
}

HeaderPtr sample_header(int seed, int entries) {
    auto header = std::make_shared<Header>();
    header->slot = Slot(u64(seed) + 1000);
    header->previous = digest_of(seed);
    header->ts_ms = 1'700'000'000'000 + u64(seed);
    for (int i = 0; i < entries; ++i) {
        EntryHeader entry;
        entry.rid = {ClientId(u64(seed + i)), PartitionId(u32(i + 1)), ClientSeq(u64(i) << 33)};
        for (int part = 0; part < i % 4; ++part) entry.parts.emplace_back(u32(part + i));
        entry.kind = i % 2 == 0 ? EntryKind::transaction : EntryKind::config;
        entry.rd = digest_of(seed + i);
        header->entries.push_back(entry);
    }
    return header;
}

Prepare sample_prepare(int seed, bool with_header) {
    return {View(u64(seed) << 32 | 1), Slot(u64(seed) + 1000), digest_of(seed), sample_ui(seed),
            with_header ? sample_header(seed) : nullptr};
}

Commit sample_commit(int seed) {
    return {GroupId(u32(seed)),
            Position(2),
            View(u64(seed) << 32),
            Slot(u64(seed) + 9),
            digest_of(seed),
            digest_of(seed + 1),
            sample_prepare(seed + 2, false),
            sample_ui(seed + 3)};
}

DbItem sample_item(int seed) {
    DbItem item;
    item.index = u32(seed);
    item.kind = seed % 2 == 0 ? ItemKind::transaction : ItemKind::nop;
    item.rid = {ClientId(u64(seed)), PartitionId(u32(seed) + 1), ClientSeq(u64(seed) + 2)};
    item.rd = digest_of(seed);
    item.ts_ms = 1'700'000'000'000 + u64(seed);
    item.seed = 0xfedcba9876543210u + u64(seed);
    for (int i = 0; i < seed % 5; ++i)
        item.seqs.push_back({PartitionId(u32(i)), Seq(u64(i) << 50)});
    return item;
}

ItemResult sample_result(int seed) {
    ItemResult result;
    result.index = u32(seed);
    result.rid = {ClientId(u64(seed)), PartitionId(u32(seed) + 1), ClientSeq(u64(seed) + 2)};
    result.outcome = seed % 2 == 0 ? Outcome::ok : Outcome::aborted;
    result.code = u32(seed) * 3;
    result.rdig = digest_of(seed);
    result.has_result = seed % 3 != 0;
    if (seed % 3 == 1) result.result = Bytes(300, static_cast<std::uint8_t>(seed));
    return result;
}

std::vector<Message> sample_messages() {
    Status status{View(1), true,       Slot(2),
                  Slot(3), Slot(4),    Slot(5),
                  Slot(6), Counter(7), {Counter(8), Counter(0), Counter(~0ull)}};
    Certificates prepares{
        StreamId::ordering(PrimaryId(3)), {sample_prepare(1, true), sample_prepare(2, false)}, {}};
    Certificates commits{
        StreamId::vote(GroupId(2), Position(1)), {}, {sample_commit(1), sample_commit(2)}};
    CommitDb commit_db{GroupId(1),       Position(2), Slot(3),
                       ConfigVersion(4), {},          {sample_body(1), sample_body(2)}};
    for (int i = 0; i < 6; ++i) commit_db.items.push_back(sample_item(i));
    DbReply db_reply{VoterId(1), GroupId(2), Slot(3), {}};
    for (int i = 0; i < 6; ++i) db_reply.items.push_back(sample_result(i));
    const std::vector<Payload> payloads{
        sample_body(1),
        sample_prepare(1, true),
        sample_commit(4),
        status,
        FetchCertificates{StreamId::vote(GroupId(9), Position(1)), Counter(2), Counter(3)},
        prepares,
        commits,
        FetchBodies{{digest_of(1), digest_of(2)}},
        Bodies{{sample_body(3), sample_body(4)}},
        commit_db,
        db_reply,
        VoterStatus{VoterId(2), {{PartitionId(1), Seq(2)}, {PartitionId(3), Seq(~0ull)}}},
        FetchDbItems{VoterId(1), PartitionId(2), Seq(3), Seq(4)},
        Reply{GroupId(1),
              Position(2),
              Slot(3),
              sample_result(1),
              View(4),
              ConfigVersion(5),
              {},
              0,
              {},
              false},
        Reply{GroupId(1), Position(2), Slot(3), sample_result(1), View(4), ConfigVersion(5),
              digest_of(7), 8,
              consensus::ReplySignature{1, 3, {digest_of(9), digest_of(10)}, Bytes(64, 11)}, false},
        Rejected{{ClientId(1), PartitionId(2), ClientSeq(3)}, Rejected::Reason::stale, "why \xff"}};
    std::vector<Message> messages;
    for (const Payload& payload : payloads)
        messages.push_back({Endpoint::replica(GroupId(7), Position(1)),
                            messages.size() % 2 == 0 ? Endpoint::of_client(ClientId(~0ull))
                                                     : Endpoint::voter(VoterId(2)),
                            payload});
    return messages;
}

std::vector<LogRecord> sample_records() {
    Commit intent = sample_commit(6);
    intent.ui = {};
    return {BodyRecord{sample_body(1)},
            PrepareRecord{sample_prepare(2, true)},
            PrepareIntent{View(3), sample_header(3)},
            CommitIntent{intent},
            CommitRecord{sample_commit(5)},
            ExecutedRecord{Slot(77)}};
}

}  // namespace bft::wire

#include "samples.hpp"

#include "base/sha256.hpp"
#include "consensus/configuration.hpp"
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

std::vector<Body> sample_bundle(int count) {
    std::vector<std::shared_ptr<Request>> requests;
    std::vector<Digest> rds;
    for (int i = 0; i < count; ++i) {
        auto request = std::make_shared<Request>(*sample_body(i));
        request->bundle_index = u32(i);
        request->bundle_count = u32(count);
        request->bundle_path.clear();
        request->signature.clear();
        request->receipt = i % 3 == 1;
        rds.push_back(request->rd);
        requests.push_back(std::move(request));
    }
    auto bundle = std::make_shared<const SignedBundle>(SignedBundle{MerkleTree(rds), Bytes(64, 7)});
    std::vector<Body> bodies;
    for (auto& request : requests) {
        request->bundle = bundle;
        bodies.push_back(std::move(request));
    }
    return bodies;
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
            seed % 2 == 0,
            sample_ui(seed + 3)};
}

namespace {

Bytes signature(int seed) {
    return Bytes(64, static_cast<std::uint8_t>(seed));
}

LastCommit sample_last(int seed) {
    return {View(u64(seed)), Slot(u64(seed) + 10), digest_of(seed), digest_of(seed + 1)};
}

RequestViewChange sample_request_view_change(int seed) {
    return {GroupId(u32(seed)), Position(1), View(u64(seed) + 1), Suspicion::body_missing,
            signature(seed)};
}

}  // namespace

StableCert sample_stable(int seed) {
    return {GroupId(u32(seed)),  Slot(u64(seed) << 20),
            digest_of(seed),     1'700'000'000'000 + u64(seed),
            digest_of(seed + 1), {{Position(0), signature(1)}, {Position(2), signature(2)}}};
}

Vouch sample_vouch(int seed) {
    return {GroupId(u32(seed)),
            Position(2),
            {Counter(u64(seed)), Counter(0), Counter(~0ull)},
            {Counter(u64(seed) + 1), Counter(~0ull)},
            signature(seed)};
}

TriggerCertificate sample_trigger(int seed) {
    return {View(u64(seed) + 1), {sample_request_view_change(seed), sample_request_view_change(9)}};
}

NewView sample_new_view(int seed) {
    return {View(u64(seed) << 32 | 1),
            Slot(u64(seed) + 77),
            digest_of(seed),
            {{Slot(5), 0}, {Slot(5), 3}, {Slot(u64(seed) + 70), 1999}},
            {{GroupId(1), Position(0), Counter(9), digest_of(3)},
             {GroupId(2), Position(2), Counter(~0ull), digest_of(4)}},
            sample_ui(seed)};
}

ViewCertPtr sample_view_cert(int seed) {
    return std::make_shared<const ViewCert>(
        ViewCert{sample_new_view(seed),
                 GroupId(4),
                 {{Position(0), signature(seed)}, {Position(1), signature(seed + 1)}}});
}

ViewChange sample_view_change(int seed) {
    ViewChange change;
    change.group = GroupId(u32(seed));
    change.position = Position(2);
    change.view = View(u64(seed) + 5);
    change.last = sample_last(seed);
    change.proof = {change.last.view, change.last.to, change.last.hd, sample_ui(seed), nullptr};
    change.from_new_view = seed % 2 == 1;
    change.view_cert = sample_view_cert(seed);
    change.stable = sample_stable(seed);
    change.base = Counter(u64(seed) + 2);
    change.vouches = {sample_vouch(seed), sample_vouch(seed + 1)};
    change.log = {{false, {}, sample_last(1), {}, sample_ui(1)},
                  {true, View(3), sample_last(2), digest_of(7), sample_ui(2)}};
    change.ui = sample_ui(seed + 3);
    if (seed % 2 == 1) change.barrier = sample_barrier(seed);
    return change;
}

BarrierCertPtr sample_barrier(int seed) {
    Configuration config;
    config.version = ConfigVersion(u64(seed));
    config.primaries = {{HostId(1), UsigId(2)}};
    config.groups = {{GroupId(1), {{HostId(2), UsigId(3)}, {HostId(3), UsigId(4)}}}};
    config.owners = {{PartitionId(0), GroupId(1)}, {PartitionId(7), GroupId(1)}};
    config.voters = {HostId(2)};
    config.admins = {1, {signature(seed)}};
    auto barrier = std::make_shared<BarrierCert>();
    barrier->slot = Slot(u64(seed));
    barrier->config = std::make_shared<const Configuration>(std::move(config));
    barrier->groups = {sample_stable(seed)};
    barrier->groups.front().config = configuration_digest(*barrier->config);
    return barrier;
}

VoidCert sample_void(StreamId stream, int seed) {
    VoidCert cert{stream, Counter(u64(seed)), {}};
    for (std::uint32_t j = 0; j < 2; ++j)
        cert.promises.push_back({stream, cert.cv, GroupId(1), Position(j), signature(seed)});
    return cert;
}

EquivocationProof sample_equivocation(int seed) {
    return {StreamId::vote(GroupId(1), Position(2)),
            Counter(u64(seed)),
            digest_of(seed),
            sample_ui(seed),
            digest_of(seed + 1),
            sample_ui(seed)};
}

SnapshotRecord sample_snapshot(int seed) {
    SnapshotRecord snapshot;
    snapshot.slot = Slot(u64(seed) + 64);
    snapshot.hd = digest_of(seed);
    snapshot.ts_ms = 1'700'000'000'000 + u64(seed);
    snapshot.null_digest = digest_of(seed + 1);
    snapshot.next_seq = {{PartitionId(1), Seq(2)}, {PartitionId(9), Seq(~0ull)}};
    ClientWindow window;
    for (std::uint64_t cseq : {3u, 66u, 130u, 255u})
        window.insert(ClientSeq(cseq + u64(seed)), ClientSeq(u64(seed)));
    snapshot.windows = {{{PartitionId(1), ClientId(2)}, window},
                        {{PartitionId(2), ClientId(~0ull)}, ClientWindow()}};
    snapshot.unfinished = {{Slot(3), sample_item(3)}, {Slot(u64(seed)), sample_item(4)}};
    snapshot.votes = {{Counter(4), View(5), sample_last(seed)}, {}};
    snapshot.ordering = {{Counter(1), true, View(2), Counter(3), Slot(4), Slot(5), digest_of(6)},
                         {}};
    if (seed % 2 == 0) snapshot.cert = sample_stable(seed);
    return snapshot;
}

StatePart sample_state(int seed) {
    StatePart part;
    part.cert = sample_stable(seed);
    part.part = u32(seed);
    part.parts = u32(seed) + 2;
    part.state = sample_snapshot(seed);
    part.vouches = {sample_vouch(seed), sample_vouch(seed + 1)};
    return part;
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

Replies sample_replies() {
    Replies replies;
    for (int i = 0; i < 5; ++i) {
        Reply reply;
        reply.group = GroupId(1);
        reply.position = Position(2);
        reply.view_hint = View(4);
        reply.config = ConfigVersion(5);
        reply.slot = Slot(u64(i) + 3);
        reply.answer = sample_result(i);
        reply.answer.rid.client = ClientId(9);
        replies.replies.push_back(std::move(reply));
    }
    return replies;
}

namespace {

DbLeavesPtr sample_leaves() {
    return std::make_shared<const std::vector<DbLeaf>>(
        std::vector<DbLeaf>{{"cbft_part", PartitionId(0), 2, {digest_of(1)}},
                            {"orders", PartitionId(7), ~0ull, {digest_of(2), digest_of(3)}}});
}

}  // namespace

std::vector<Message> sample_messages() {
    Status status{View(1),
                  true,
                  Slot(2),
                  Slot(3),
                  Slot(4),
                  Slot(5),
                  Slot(6),
                  {Counter(7), Counter(~0ull)},
                  {Counter(8), Counter(0), Counter(~0ull)}};
    auto view_change = [](int seed) {
        return std::make_shared<const ViewChange>(sample_view_change(seed));
    };
    Certificates prepares{StreamId::ordering(PrimaryId(3)),
                          {sample_prepare(1, true), sample_prepare(2, false)},
                          {sample_new_view(3)},
                          {},
                          {},
                          {}};
    Certificates commits{
        StreamId::vote(GroupId(2), Position(1)), {}, {}, {}, {sample_commit(1), sample_commit(2)},
        {view_change(2), view_change(3)}};
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
        FetchBodies{{digest_of(1), digest_of(2)}, {Slot(3), Slot(1)}},
        Bodies{{sample_body(3), sample_body(4)}},
        commit_db,
        db_reply,
        VoterStatus{VoterId(2), {{PartitionId(1), Seq(2)}, {PartitionId(3), Seq(~0ull)}}, Slot(64)},
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
        sample_replies(),
        Bodies{sample_bundle(5)},
        Bodies{{sample_bundle(5)[0], sample_bundle(9)[2], sample_body(1)}},
        Rejected{{ClientId(1), PartitionId(2), ClientSeq(3)}, Rejected::Reason::stale, "why?"},
        Checkpoint{GroupId(1), Position(2), Slot(64), digest_of(1), 17, digest_of(2), signature(3)},
        sample_vouch(1),
        sample_request_view_change(2),
        sample_trigger(3),
        view_change(4),
        sample_new_view(5),
        NewViewAccept{GroupId(1), Position(2), View(3), digest_of(4), Counter(5), signature(6)},
        sample_view_cert(6),
        Resign{PrimaryId(1), View(2), signature(3)},
        FetchHeaders{Slot(1), Slot(2), digest_of(3)},
        Headers{{sample_header(1), sample_header(2)}},
        FetchViewCert{digest_of(1)},
        FetchViewChanges{sample_new_view(1).view_changes},
        ViewChanges{{view_change(1), view_change(2)}},
        VoidRequest{StreamId::ordering(PrimaryId(1)), Counter(7)},
        sample_void(StreamId::vote(GroupId(1), Position(2)), 8).promises.front(),
        sample_void(StreamId::ordering(PrimaryId(1)), 9),
        DbCheckpoint{VoterId(1), Slot(64), digest_of(5), signature(6)},
        DbCut{VoterId(2), Slot(96), true},
        FetchDbLeaves{VoterId(0), Slot(96)},
        DbLeaves{VoterId(1), Slot(96), sample_leaves()},
        FetchDbChunk{VoterId(2), Slot(96), 3, 4},
        DbChunk{VoterId(1), Slot(96), 3, 4, {0, 1, 2, 255}},
        DbGone{VoterId(1), Slot(96)},
        Gone{StreamId::vote(GroupId(1), Position(2)), Counter(70)},
        FetchState{Slot(64), Slot(128), 3},
        std::make_shared<const StatePart>(sample_state(4)),
        sample_equivocation(10),
        FetchConfig{ConfigVersion(~0ull), 7},
        sample_barrier(11)};
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
            SlotBodiesRecord{Slot(9), digest_of(3), {sample_body(1), sample_body(2)}},
            PrepareRecord{sample_prepare(2, true)},
            PrepareIntent{View(3), sample_header(3)},
            CommitIntent{intent},
            CommitRecord{sample_commit(5)},
            ExecutedRecord{Slot(77)},
            NewViewRecord{sample_new_view(1), 18},
            NewViewIntent{sample_new_view(2), 19},
            ViewChangeRecord{std::make_shared<const ViewChange>(sample_view_change(3))},
            ViewChangeIntent{std::make_shared<const ViewChange>(sample_view_change(4))},
            HeaderRecord{sample_header(5)},
            ViewCertRecord{sample_view_cert(6)},
            ViewRecord{View(7), digest_of(8), Counter(9), sample_view_cert(10), sample_trigger(11)},
            VouchRecord{Counter(12), {sample_vouch(13), sample_vouch(14)}},
            StableRecord{sample_stable(15)},
            std::make_shared<const SnapshotRecord>(sample_snapshot(16)),
            VoidPromiseRecord{StreamId::vote(GroupId(1), Position(2)), Counter(17)},
            VoidRecord{sample_void(StreamId::ordering(PrimaryId(1)), 18)},
            StandingRecord{View(1), Counter(2), Slot(3), Counter(4), Slot(5), digest_of(6), 7},
            EquivocationRecord{sample_equivocation(19)},
            ForkRecord{sample_stable(20)},
            BarrierRecord{sample_barrier(21)},
            HandoverRecord{GroupId(2), std::make_shared<DerivedState>(sample_snapshot(22))}};
}

}  // namespace bft::wire

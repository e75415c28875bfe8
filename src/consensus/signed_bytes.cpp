#include "consensus/signed_bytes.hpp"

#include "base/merkle.hpp"
#include "base/sha256.hpp"

namespace bft::consensus {

namespace {

Digest entry_digest(const EntryHeader& entry) {
    Digester d("entry");
    d.u8(static_cast<std::uint8_t>(entry.kind));
    d.u64(entry.rid.client.value).u32(entry.rid.home.value).u64(entry.rid.cseq.value);
    d.u64(entry.parts.size());
    for (PartitionId p : entry.parts) d.u32(p.value);
    return d.digest(entry.rd).finish();
}

}  // namespace

Digest request_digest(ByteView raw) {
    return Digester("req").bytes(raw).finish();
}

Digest bundle_digest(const Digest& cluster, ClientId client, const Digest& root) {
    return Digester("bundle").digest(cluster).u64(client.value).digest(root).finish();
}

Digest genesis_header_digest(const Digest& cluster) {
    return Digester("genesis").digest(cluster).finish();
}

Digest header_digest(const Header& header) {
    std::vector<Digest> leaves;
    leaves.reserve(header.entries.size());
    for (const EntryHeader& entry : header.entries) leaves.push_back(entry_digest(entry));
    return Digester("hb")
        .u64(header.slot.value)
        .digest(header.previous)
        .u64(header.ts_ms)
        .digest(merkle_root(leaves))
        .finish();
}

std::uint64_t slot_seed(const Digest& previous_hd) {
    Digest digest = Digester("seed").digest(previous_hd).finish();
    std::uint64_t seed = 0;
    for (int i = 0; i < 8; ++i) seed = seed << 8 | digest.bytes[static_cast<std::size_t>(i)];
    return seed;
}

Digest prepare_digest(const Digest& cluster, View view, Slot slot, const Digest& hd) {
    return Digester("PREP").digest(cluster).u64(view.value).u64(slot.value).digest(hd).finish();
}

Digest commit_digest(const Digest& cluster, const Commit& commit) {
    return Digester("COMMIT")
        .digest(cluster)
        .u32(commit.group.value)
        .u32(commit.position.value)
        .u64(commit.view.value)
        .u64(commit.to.value)
        .digest(commit.hd)
        .digest(commit.nvd)
        .finish();
}

Digest item_digest(GroupId group, Slot slot, const DbItem& item) {
    Digester d("item");
    d.u32(group.value).u64(slot.value).u32(item.index).u8(static_cast<std::uint8_t>(item.kind));
    d.u64(item.rid.client.value).u32(item.rid.home.value).u64(item.rid.cseq.value);
    d.digest(item.rd).u64(item.ts_ms).u64(item.seed).u64(item.seqs.size());
    for (const PartitionSeq& s : item.seqs) d.u32(s.partition.value).u64(s.seq.value);
    return d.finish();
}

Digest result_digest(Outcome outcome, std::uint32_t code, ByteView result) {
    return Digester("result")
        .u8(static_cast<std::uint8_t>(outcome))
        .u32(code)
        .bytes(result)
        .finish();
}

Digest page_digest(ByteView html) {
    return Digester("page").bytes(html).finish();
}

Digest answer_digest(const Reply& reply, const Digest& page) {
    const ItemResult& a = reply.answer;
    return Digester("answer")
        .u32(reply.group.value)
        .u64(reply.slot.value)
        .u32(a.index)
        .u64(a.rid.client.value)
        .u32(a.rid.home.value)
        .u64(a.rid.cseq.value)
        .digest(reply.rd)
        .u64(reply.ts_ms)
        .u8(static_cast<std::uint8_t>(a.outcome))
        .u32(a.code)
        .digest(a.rdig)
        .digest(page)
        .finish();
}

Digest refusal_digest(GroupId group, const Rejected& refusal, const Digest& rd) {
    return Digester("refusal")
        .u32(group.value)
        .u64(refusal.rid.client.value)
        .u32(refusal.rid.home.value)
        .u64(refusal.rid.cseq.value)
        .digest(rd)
        .u32(static_cast<std::uint32_t>(refusal.reason))
        .finish();
}

Digest replies_digest(const Digest& cluster, GroupId group, Position position, const Digest& root) {
    return Digester("replies")
        .digest(cluster)
        .u32(group.value)
        .u32(position.value)
        .digest(root)
        .finish();
}

}  // namespace bft::consensus

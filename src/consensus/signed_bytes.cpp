#include "consensus/signed_bytes.hpp"

#include "base/merkle.hpp"
#include "base/sha256.hpp"
#include "consensus/configuration.hpp"

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

void put(Digester& d, const Ui& ui) {
    d.u64(ui.cv.value).u32(ui.voids).bytes(ui.certificate);
}

void put(Digester& d, const std::vector<PositionSignature>& signers) {
    d.u64(signers.size());
    for (const PositionSignature& s : signers) d.u32(s.position.value).bytes(s.signature);
}

// A cluster that keeps its first configuration signs nothing about it.
void put(Digester& d, const StableCert& s) {
    d.u32(s.group.value).u64(s.slot.value).digest(s.hd).u64(s.ts_ms).digest(s.state);
    put(d, s.signers);
    if (!s.config.is_zero()) d.digest(s.config);
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
    return commit_digest(cluster, commit.group, commit.position,
                         {commit.view, commit.to, commit.hd, commit.nvd});
}

Digest commit_digest(const Digest& cluster, GroupId group, Position position,
                     const LastCommit& accepted) {
    return Digester("COMMIT")
        .digest(cluster)
        .u32(group.value)
        .u32(position.value)
        .u64(accepted.view.value)
        .u64(accepted.to.value)
        .digest(accepted.hd)
        .digest(accepted.nvd)
        .finish();
}

Digest new_view_digest(const Digest& cluster, const NewView& new_view) {
    Digester d("NV");
    d.digest(cluster).u64(new_view.view.value).u64(new_view.slot.value).digest(new_view.hd);
    d.u64(new_view.nullset.size());
    for (const EntryRef& e : new_view.nullset) d.u64(e.slot.value).u32(e.index);
    d.u64(new_view.view_changes.size());
    for (const ViewChangeRef& vc : new_view.view_changes)
        d.u32(vc.group.value).u32(vc.position.value).u64(vc.cv.value).digest(vc.digest);
    return d.finish();
}

// Validity must be a function of the digest (VC3): so it covers every byte that a check looks at,
// signatures and certificates included.
Digest view_change_rest(const ViewChange& change) {
    Digester d("VCREST");
    put(d, change.proof.ui);
    d.u8(change.from_new_view ? 1 : 0).u8(change.view_cert ? 1 : 0);
    if (change.view_cert) {
        const ViewCert& cert = *change.view_cert;
        d.digest(new_view_digest({}, cert.new_view)).u32(cert.group.value);
        put(d, cert.new_view.ui);
        put(d, cert.signers);
    }
    d.u8(change.stable ? 1 : 0);
    if (change.stable) {
        const StableCert& s = *change.stable;
        put(d, s);
    }
    d.u64(change.base.value).u64(change.vouches.size());
    for (const Vouch& vouch : change.vouches)
        d.digest(vouch_digest({}, vouch)).bytes(vouch.signature);
    d.u64(change.log.size());
    for (const VoteEntry& entry : change.log) {
        d.digest(vote_entry_digest({}, change.group, change.position, entry));
        put(d, entry.ui);
    }
    d.u64(change.voids.size());
    for (const VoidCert& cert : change.voids) {
        d.u64(cert.cv.value).u64(cert.promises.size());
        for (const VoidPromise& promise : cert.promises)
            d.digest(void_promise_digest({}, promise)).bytes(promise.signature);
    }
    if (change.barrier) {
        d.u64(change.barrier->slot.value).digest(configuration_digest(*change.barrier->config));
        d.u64(change.barrier->groups.size());
        for (const StableCert& cert : change.barrier->groups) put(d, cert);
    }
    return d.finish();
}

Digest view_change_digest(const Digest& cluster, const ViewChange& change) {
    VoteEntry entry{true, change.view, change.last, view_change_rest(change), {}};
    return vote_entry_digest(cluster, change.group, change.position, entry);
}

Digest vote_entry_digest(const Digest& cluster, GroupId group, Position position,
                         const VoteEntry& entry) {
    if (!entry.view_change) return commit_digest(cluster, group, position, entry.last);
    return Digester("VC")
        .digest(cluster)
        .u32(group.value)
        .u32(position.value)
        .u64(entry.target.value)
        .u64(entry.last.view.value)
        .u64(entry.last.to.value)
        .digest(entry.last.hd)
        .digest(entry.last.nvd)
        .digest(entry.rest)
        .finish();
}

Digest checkpoint_digest(const Digest& cluster, const Checkpoint& c) {
    Digester d("CHECKPOINT");
    d.digest(cluster)
        .u32(c.group.value)
        .u32(c.position.value)
        .u64(c.slot.value)
        .digest(c.hd)
        .u64(c.ts_ms)
        .digest(c.state);
    if (!c.config.is_zero()) d.digest(c.config);
    return d.finish();
}

// Only what is final goes in: other groups' null decisions may still change.
Digest state_digest(GroupId group, const DerivedState& state) {
    std::vector<Digest> windows;
    windows.reserve(state.windows.size());
    for (const auto& [key, window] : state.windows) {
        Digester d("window");
        d.u32(key.first.value).u64(key.second.value).u64(window.low().value);
        d.text(window.bits().to_string());
        windows.push_back(d.finish());
    }
    Digester d("ck");
    d.u32(group.value).u64(state.slot.value).digest(state.hd).digest(state.null_digest);
    d.u64(state.next_seq.size());
    for (const auto& [partition, seq] : state.next_seq) d.u32(partition.value).u64(seq.value);
    d.digest(merkle_root(windows)).u64(state.unfinished.size());
    for (const auto& [slot, item] : state.unfinished) d.digest(item_digest(group, slot, item));
    if (!state.config.is_zero()) d.digest(state.config);
    return d.finish();
}

Digest vouch_digest(const Digest& cluster, const Vouch& vouch) {
    Digester d("VOUCH");
    d.digest(cluster).u32(vouch.group.value).u32(vouch.position.value).u64(vouch.votes.size());
    for (Counter cv : vouch.votes) d.u64(cv.value);
    d.u64(vouch.ordering.size());
    for (Counter cv : vouch.ordering) d.u64(cv.value);
    return d.finish();
}

Digest request_view_change_digest(const Digest& cluster, const RequestViewChange& request) {
    return Digester("REQ-VC")
        .digest(cluster)
        .u32(request.group.value)
        .u32(request.position.value)
        .u64(request.view.value)
        .u8(static_cast<std::uint8_t>(request.reason))
        .finish();
}

Digest accept_digest(const Digest& cluster, const NewViewAccept& accept) {
    return Digester("NV-ACCEPT")
        .digest(cluster)
        .u32(accept.group.value)
        .u32(accept.position.value)
        .u64(accept.view.value)
        .digest(accept.nvd)
        .u64(accept.cv.value)
        .finish();
}

Digest void_promise_digest(const Digest& cluster, const VoidPromise& promise) {
    return Digester("VOID")
        .digest(cluster)
        .u8(static_cast<std::uint8_t>(promise.stream.kind))
        .u32(promise.stream.primary.value)
        .u32(promise.stream.group.value)
        .u32(promise.stream.position.value)
        .u64(promise.cv.value)
        .u32(promise.group.value)
        .u32(promise.position.value)
        .finish();
}

Digest resign_digest(const Digest& cluster, PrimaryId primary, View view) {
    return Digester("RESIGN").digest(cluster).u32(primary.value).u64(view.value).finish();
}

Digest db_checkpoint_digest(const Digest& cluster, const DbCheckpoint& checkpoint) {
    return Digester("DBCKPT")
        .digest(cluster)
        .u32(checkpoint.voter.value)
        .u64(checkpoint.slot.value)
        .digest(checkpoint.root)
        .finish();
}

Digest chunk_digest(ByteView rows) {
    return Digester("rows").bytes(rows).finish();
}

Digest database_root(const std::vector<DbLeaf>& leaves) {
    std::vector<Digest> digests;
    digests.reserve(leaves.size());
    for (const DbLeaf& leaf : leaves)
        digests.push_back(Digester("leaf")
                              .text(leaf.table)
                              .u32(leaf.partition.value)
                              .u64(leaf.rows)
                              .digest(merkle_root(leaf.chunks))
                              .finish());
    return merkle_root(digests);
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

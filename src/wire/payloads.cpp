#include "wire/payloads.hpp"

#include "base/invariant.hpp"

namespace bft::wire {

using namespace consensus;

namespace {

// Overloads for whole payloads follow, one for each alternative of Payload, or the variant does not
// compile; these are the ones for what several of them contain.
using wire::write;

void write_to(const Body& in, pb::Frame* out) {
    invariant(in != nullptr, "a body that is sent exists");
    write(*in, out->mutable_request());
}

void write_to(const Prepare& in, pb::Frame* out) {
    write(in, out->mutable_prepare());
}

void write_to(const Commit& in, pb::Frame* out) {
    write(in, out->mutable_commit());
}

void write_to(const Status& in, pb::Frame* frame) {
    pb::Status* out = frame->mutable_status();
    out->set_view(in.view.value);
    out->set_active(in.active);
    out->set_tip(in.tip.value);
    out->set_committed(in.committed.value);
    out->set_delivered(in.delivered.value);
    out->set_executed(in.executed.value);
    out->set_low(in.low.value);
    for (Counter seen : in.ordering_seen) out->add_ordering_seen(seen.value);
    for (Counter seen : in.votes_seen) out->add_votes_seen(seen.value);
    out->set_config(in.config.value);
}

void write_to(const FetchCertificates& in, pb::Frame* frame) {
    pb::FetchCertificates* out = frame->mutable_fetch_certificates();
    write(in.stream, out->mutable_stream());
    out->set_from(in.from.value);
    out->set_to(in.to.value);
}

void write_to(const Certificates& in, pb::Frame* frame) {
    pb::Certificates* out = frame->mutable_certificates();
    write(in.stream, out->mutable_stream());
    for (const Prepare& prepare : in.prepares) write(prepare, out->add_prepares());
    for (const Commit& commit : in.commits) write(commit, out->add_commits());
    for (const NewView& new_view : in.new_views) write(new_view, out->add_new_views());
    for (const ViewChangePtr& change : in.view_changes) {
        invariant(change != nullptr, "a VIEW-CHANGE that is sent exists");
        write(*change, out->add_view_changes());
    }
    for (const VoidCert& cert : in.voids) write(cert, out->add_voids());
}

void write_to(const FetchBodies& in, pb::Frame* out) {
    out->mutable_fetch_bodies()->set_rds(write_digests(in.rds));
    for (Slot slot : in.slots) out->mutable_fetch_bodies()->add_slots(slot.value);
}

void write_to(const Bodies& in, pb::Frame* frame) {
    write(in.bodies, frame->mutable_bodies());
}

void write_to(const CommitDb& in, pb::Frame* frame) {
    pb::CommitDb* out = frame->mutable_commit_db();
    out->set_group(in.group.value);
    out->set_position(in.position.value);
    out->set_slot(in.slot.value);
    out->set_config(in.config.value);
    std::string* rds = out->mutable_rds();
    rds->reserve(in.items.size() * sizeof(Digest::bytes));
    for (const DbItem& item : in.items) {
        out->add_indexes(item.index);
        out->add_kinds(static_cast<std::uint32_t>(item.kind));
        out->add_clients(item.rid.client.value);
        out->add_homes(item.rid.home.value);
        out->add_cseqs(item.rid.cseq.value);
        *rds += as_text(item.rd.view());
        out->add_ts_ms(item.ts_ms);
        out->add_seeds(item.seed);
        out->add_seq_counts(static_cast<std::uint32_t>(item.seqs.size()));
        for (const PartitionSeq& seq : item.seqs) {
            out->add_seq_partitions(seq.partition.value);
            out->add_seq_values(seq.seq.value);
        }
    }
    if (!in.bodies.empty()) write(in.bodies, out->mutable_bodies());
}

void write_to(const DbReply& in, pb::Frame* frame) {
    pb::DbReply* out = frame->mutable_db_reply();
    out->set_voter(in.voter.value);
    out->set_group(in.group.value);
    out->set_slot(in.slot.value);
    for (const ItemResult& item : in.items) write(item, out->add_items());
}

void write_to(const VoterStatus& in, pb::Frame* frame) {
    pb::VoterStatus* out = frame->mutable_voter_status();
    out->set_voter(in.voter.value);
    for (const PartitionSeq& next : in.next) {
        out->add_partitions(next.partition.value);
        out->add_seqs(next.seq.value);
    }
    out->set_checkpoint(in.checkpoint.value);
}

void write_to(const FetchDbItems& in, pb::Frame* frame) {
    pb::FetchDbItems* out = frame->mutable_fetch_db_items();
    out->set_voter(in.voter.value);
    out->set_partition(in.partition.value);
    out->set_from(in.from.value);
    out->set_to(in.to.value);
}

void write_to(const Reply& in, pb::Frame* frame) {
    pb::Reply* out = frame->mutable_reply();
    out->set_group(in.group.value);
    out->set_position(in.position.value);
    out->set_slot(in.slot.value);
    write(in.answer, out->mutable_answer());
    out->set_view_hint(in.view_hint.value);
    out->set_config(in.config.value);
    if (!in.signature) return;
    pb::ReplySignature* signature = out->mutable_signature();
    signature->set_bundle_index(in.signature->bundle_index);
    signature->set_bundle_count(in.signature->bundle_count);
    signature->set_bundle_path(write_digests(in.signature->bundle_path));
    signature->set_signature(text(in.signature->signature));
    signature->set_rd(text(in.rd.view()));
    signature->set_ts_ms(in.ts_ms);
}

void write_to(const Replies& in, pb::Frame* frame) {
    invariant(!in.replies.empty() && in.replies.size() <= replies_max, "a frame of replies");
    pb::Replies* out = frame->mutable_replies();
    const Reply& first = in.replies.front();
    out->set_group(first.group.value);
    out->set_position(first.position.value);
    out->set_view_hint(first.view_hint.value);
    out->set_config(first.config.value);
    out->set_client(first.answer.rid.client.value);
    for (const Reply& reply : in.replies) {
        invariant(!reply.signature, "replies that share a frame are not signed");
        const ItemResult& answer = reply.answer;
        out->add_slots(reply.slot.value);
        out->add_indexes(answer.index);
        out->add_homes(answer.rid.home.value);
        out->add_cseqs(answer.rid.cseq.value);
        out->add_outcomes(static_cast<std::uint32_t>(answer.outcome));
        out->add_codes(answer.code);
        *out->mutable_rdigs() += as_text(answer.rdig.view());
        out->add_lengths(answer.has_result ? static_cast<std::uint32_t>(answer.result.size()) + 1
                                           : 0);
        *out->mutable_results() += as_text(answer.result);
    }
}

void write_to(const Rejected& in, pb::Frame* frame) {
    pb::Rejected* out = frame->mutable_rejected();
    out->set_client(in.rid.client.value);
    out->set_home(in.rid.home.value);
    out->set_cseq(in.rid.cseq.value);
    out->set_reason(static_cast<std::uint32_t>(in.reason));
    out->set_text(in.text.substr(0, text_bytes_max));
}

void write_to(const Checkpoint& in, pb::Frame* out) {
    write(in, out->mutable_checkpoint());
}

void write_to(const Vouch& in, pb::Frame* out) {
    write(in, out->mutable_vouch());
}

void write_to(const RequestViewChange& in, pb::Frame* out) {
    write(in, out->mutable_request_view_change());
}

void write_to(const TriggerCertificate& in, pb::Frame* out) {
    write(in, out->mutable_trigger());
}

void write_to(const ViewChangePtr& in, pb::Frame* out) {
    invariant(in != nullptr, "a VIEW-CHANGE that is sent exists");
    write(*in, out->mutable_view_change());
}

void write_to(const NewView& in, pb::Frame* out) {
    write(in, out->mutable_new_view());
}

void write_to(const NewViewAccept& in, pb::Frame* out) {
    write(in, out->mutable_new_view_accept());
}

void write_to(const ViewCertPtr& in, pb::Frame* out) {
    invariant(in != nullptr, "a ViewCert that is sent exists");
    write(*in, out->mutable_view_cert());
}

void write_to(const Resign& in, pb::Frame* frame) {
    pb::Resign* out = frame->mutable_resign();
    out->set_primary(in.primary.value);
    out->set_view(in.view.value);
    out->set_signature(text(in.signature));
}

void write_to(const FetchHeaders& in, pb::Frame* frame) {
    pb::FetchHeaders* out = frame->mutable_fetch_headers();
    out->set_from(in.from.value);
    out->set_to(in.to.value);
    out->set_hd(text(in.hd.view()));
}

void write_to(const Headers& in, pb::Frame* frame) {
    pb::Headers* out = frame->mutable_headers();
    for (const HeaderPtr& header : in.headers) {
        invariant(header != nullptr, "a header that is sent exists");
        write(*header, out->add_headers());
    }
}

void write_to(const FetchViewCert& in, pb::Frame* out) {
    out->mutable_fetch_view_cert()->set_nvd(text(in.nvd.view()));
}

void write_to(const FetchViewChanges& in, pb::Frame* out) {
    write(in.wanted, out->mutable_fetch_view_changes());
}

void write_to(const ViewChanges& in, pb::Frame* frame) {
    pb::ViewChanges* out = frame->mutable_view_changes();
    for (const ViewChangePtr& change : in.messages) {
        invariant(change != nullptr, "a VIEW-CHANGE that is sent exists");
        write(*change, out->add_messages());
    }
}

void write_to(const VoidRequest& in, pb::Frame* out) {
    write(VoidCert{in.stream, in.cv, {}}, out->mutable_void_request());
}

void write_to(const VoidPromise& in, pb::Frame* out) {
    write(VoidCert{in.stream, in.cv, {in}}, out->mutable_void_promise());
}

void write_to(const VoidCert& in, pb::Frame* out) {
    write(in, out->mutable_void_cert());
}

void write_to(const EquivocationProof& in, pb::Frame* out) {
    write(in, out->mutable_equivocation());
}

void write_to(const DbCheckpoint& in, pb::Frame* frame) {
    pb::DbCheckpoint* out = frame->mutable_db_checkpoint();
    out->set_voter(in.voter.value);
    out->set_slot(in.slot.value);
    out->set_root(text(in.root.view()));
    out->set_signature(text(in.signature));
}

void write_to(const DbCut& in, pb::Frame* frame) {
    pb::DbCut* out = frame->mutable_db_cut();
    out->set_voter(in.voter.value);
    out->set_slot(in.slot.value);
    out->set_hold(in.hold);
}

void write_cut(VoterId voter, Slot slot, pb::DbCutRef* out) {
    out->set_voter(voter.value);
    out->set_slot(slot.value);
}

void write_to(const FetchDbLeaves& in, pb::Frame* out) {
    write_cut(in.voter, in.slot, out->mutable_fetch_db_leaves());
}

void write_to(const DbGone& in, pb::Frame* out) {
    write_cut(in.voter, in.slot, out->mutable_db_gone());
}

void write_to(const DbLeaves& in, pb::Frame* frame) {
    invariant(in.leaves != nullptr, "leaves that are sent exist");
    pb::DbLeaves* out = frame->mutable_db_leaves();
    out->set_voter(in.voter.value);
    out->set_slot(in.slot.value);
    for (const DbLeaf& leaf : *in.leaves) {
        pb::DbLeaf* each = out->add_leaves();
        each->set_table(leaf.table);
        each->set_partition(leaf.partition.value);
        each->set_rows(leaf.rows);
        each->set_chunks(write_digests(leaf.chunks));
    }
}

template <class Chunk>
void write_chunk(const Chunk& in, pb::DbChunk* out) {
    out->set_voter(in.voter.value);
    out->set_slot(in.slot.value);
    out->set_leaf(in.leaf);
    out->set_chunk(in.chunk);
}

void write_to(const FetchDbChunk& in, pb::Frame* out) {
    write_chunk(in, out->mutable_fetch_db_chunk());
}

void write_to(const DbChunk& in, pb::Frame* out) {
    write_chunk(in, out->mutable_db_chunk());
    out->mutable_db_chunk()->set_rows(text(in.rows));
}

void write_to(const Gone& in, pb::Frame* frame) {
    pb::Gone* out = frame->mutable_gone();
    write(in.stream, out->mutable_stream());
    out->set_line(in.line.value);
}

void write_to(const FetchState& in, pb::Frame* frame) {
    pb::FetchState* out = frame->mutable_fetch_state();
    out->set_beyond(in.beyond.value);
    out->set_slot(in.slot.value);
    out->set_part(in.part);
}

void write_to(const StatePartPtr& in, pb::Frame* out) {
    invariant(in != nullptr, "a state that is sent exists");
    write(*in, out->mutable_state_part());
}

void write_to(const FetchConfig& in, pb::Frame* out) {
    out->mutable_fetch_config()->set_version(in.version.value);
    out->mutable_fetch_config()->set_features(in.features);
}

void write_to(const BarrierCertPtr& in, pb::Frame* out) {
    invariant(in != nullptr, "a barrier that is sent exists");
    write(*in, out->mutable_barrier());
}

}  // namespace

void write_payload(const Payload& in, pb::Frame* out) {
    std::visit([out](const auto& payload) { write_to(payload, out); }, in);
}

}  // namespace bft::wire

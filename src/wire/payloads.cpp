#include "wire/payloads.hpp"

#include "base/invariant.hpp"

namespace bft::wire {

using namespace consensus;

namespace {

// Overloads for whole payloads follow; these are the ones for what several of them contain.
using wire::read;
using wire::write;

// --- to protobuf: one overload for each alternative of Payload, or the variant does not compile
// ------

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

// --- from protobuf
// ---------------------------------------------------------------------------------

Fault read(const pb::Status& in, Status& out) {
    out.view = View(in.view());
    out.active = in.active();
    out.tip = Slot(in.tip());
    out.committed = Slot(in.committed());
    out.delivered = Slot(in.delivered());
    out.executed = Slot(in.executed());
    out.low = Slot(in.low());
    for (std::uint64_t seen : in.ordering_seen()) out.ordering_seen.emplace_back(seen);
    for (std::uint64_t seen : in.votes_seen()) out.votes_seen.emplace_back(seen);
    out.config = ConfigVersion(in.config());
    return nullptr;
}

Fault read(const pb::FetchCertificates& in, FetchCertificates& out) {
    out.from = Counter(in.from());
    out.to = Counter(in.to());
    return read(in.stream(), out.stream);
}

Fault read(const pb::ViewChange& in, ViewChangePtr& out) {
    auto change = std::make_shared<ViewChange>();
    Fault fault = wire::read(in, *change);
    out = std::move(change);
    return fault;
}

template <class In, class Out>
Fault read_all(const In& in, std::vector<Out>& out) {
    out.reserve(static_cast<std::size_t>(in.size()));
    for (const auto& element : in)
        if (Fault fault = read(element, out.emplace_back())) return fault;
    return nullptr;
}

Fault read(const pb::Certificates& in, Certificates& out) {
    if (Fault fault = read(in.stream(), out.stream)) return fault;
    if (Fault fault = read_all(in.prepares(), out.prepares)) return fault;
    if (Fault fault = read_all(in.new_views(), out.new_views)) return fault;
    if (Fault fault = read_all(in.view_changes(), out.view_changes)) return fault;
    if (Fault fault = read_all(in.voids(), out.voids)) return fault;
    return read_all(in.commits(), out.commits);
}

Fault read(const pb::Resign& in, Resign& out) {
    out.primary = PrimaryId(in.primary());
    out.view = View(in.view());
    out.signature = to_bytes(view(in.signature()));
    return nullptr;
}

Fault read(const pb::FetchHeaders& in, FetchHeaders& out) {
    out.from = Slot(in.from());
    out.to = Slot(in.to());
    return read(in.hd(), out.hd);
}

Fault read(const pb::Headers& in, Headers& out) {
    return read_all(in.headers(), out.headers);
}

Fault read(const pb::FetchViewCert& in, FetchViewCert& out) {
    return read(in.nvd(), out.nvd);
}

Fault read(const pb::ViewChangeRefs& in, FetchViewChanges& out) {
    return read(in, out.wanted);
}

Fault read(const pb::ViewChanges& in, ViewChanges& out) {
    return read_all(in.messages(), out.messages);
}

Fault read(const pb::FetchBodies& in, FetchBodies& out) {
    for (std::uint64_t slot : in.slots()) out.slots.emplace_back(slot);
    return read_digests(in.rds(), out.rds);
}

Fault read(const pb::Bodies& in, Bodies& out) {
    return read(in, out.bodies);
}

Fault read_seqs(const pb::CommitDb& in, int& at, std::uint32_t count,
                std::vector<PartitionSeq>& out) {
    // The Verifier knows which items may have more than a request's partitions.
    if (count > status_partitions_max ||
        count > static_cast<std::uint32_t>(in.seq_values_size() - at))
        return "the items of a COMMIT-DB have more sequence numbers than its column";
    out.reserve(count);
    for (std::uint32_t k = 0; k < count; ++k, ++at)
        out.push_back({PartitionId(in.seq_partitions(at)), Seq(in.seq_values(at))});
    return nullptr;
}

Fault read(const pb::CommitDb& in, CommitDb& out) {
    out.group = GroupId(in.group());
    out.position = Position(in.position());
    out.slot = Slot(in.slot());
    out.config = ConfigVersion(in.config());
    std::vector<Digest> rds;
    if (Fault fault = read_digests(in.rds(), rds)) return fault;
    const int count = in.indexes_size();
    if (in.kinds_size() != count || in.clients_size() != count || in.homes_size() != count ||
        in.cseqs_size() != count || in.ts_ms_size() != count || in.seeds_size() != count ||
        in.seq_counts_size() != count || rds.size() != static_cast<std::size_t>(count) ||
        in.seq_partitions_size() != in.seq_values_size())
        return "the columns of a COMMIT-DB differ in length";
    out.items.resize(rds.size());
    int at = 0;
    for (int i = 0; i < count; ++i) {
        DbItem& item = out.items[static_cast<std::size_t>(i)];
        std::optional<ItemKind> kind = item_kind(in.kinds(i));
        if (!kind) return "unknown kind of item";
        item.index = in.indexes(i);
        item.kind = *kind;
        item.rid = {ClientId(in.clients(i)), PartitionId(in.homes(i)), ClientSeq(in.cseqs(i))};
        item.rd = rds[static_cast<std::size_t>(i)];
        item.ts_ms = in.ts_ms(i);
        item.seed = in.seeds(i);
        if (Fault fault = read_seqs(in, at, in.seq_counts(i), item.seqs)) return fault;
    }
    if (at != in.seq_values_size()) return "a COMMIT-DB has sequence numbers of no item";
    return read(in.bodies(), out.bodies);
}

Fault read(const pb::DbReply& in, DbReply& out) {
    out.voter = VoterId(in.voter());
    out.group = GroupId(in.group());
    out.slot = Slot(in.slot());
    return read_all(in.items(), out.items);
}

Fault read(const pb::VoterStatus& in, VoterStatus& out) {
    if (in.partitions_size() != in.seqs_size())
        return "the columns of a voter's status differ in length";
    out.voter = VoterId(in.voter());
    out.next.reserve(static_cast<std::size_t>(in.seqs_size()));
    for (int i = 0; i < in.seqs_size(); ++i)
        out.next.push_back({PartitionId(in.partitions(i)), Seq(in.seqs(i))});
    out.checkpoint = Slot(in.checkpoint());
    return nullptr;
}

Fault read(const pb::FetchDbItems& in, FetchDbItems& out) {
    out.voter = VoterId(in.voter());
    out.partition = PartitionId(in.partition());
    out.from = Seq(in.from());
    out.to = Seq(in.to());
    return nullptr;
}

Fault read(const pb::Reply& in, Reply& out) {
    out.group = GroupId(in.group());
    out.position = Position(in.position());
    out.slot = Slot(in.slot());
    out.view_hint = View(in.view_hint());
    out.config = ConfigVersion(in.config());
    if (in.has_signature()) {
        const pb::ReplySignature& signature = in.signature();
        consensus::ReplySignature& read_into = out.signature.emplace();
        read_into.bundle_index = signature.bundle_index();
        read_into.bundle_count = signature.bundle_count();
        if (Fault fault = read_digests(signature.bundle_path(), read_into.bundle_path))
            return fault;
        read_into.signature = to_bytes(view(signature.signature()));
        if (Fault fault = read(signature.rd(), out.rd)) return fault;
        out.ts_ms = signature.ts_ms();
    }
    return read(in.answer(), out.answer);
}

Fault read(const pb::Replies& in, Replies& out) {
    const int count = in.slots_size();
    std::vector<Digest> rdigs;
    if (Fault fault = read_digests(in.rdigs(), rdigs)) return fault;
    if (count == 0 || in.indexes_size() != count || in.homes_size() != count ||
        in.cseqs_size() != count || in.outcomes_size() != count || in.codes_size() != count ||
        in.lengths_size() != count || rdigs.size() != static_cast<std::size_t>(count))
        return "the columns of replies differ in length";
    out.replies.resize(rdigs.size());
    ByteView rest = view(in.results());
    for (int i = 0; i < count; ++i) {
        Reply& reply = out.replies[static_cast<std::size_t>(i)];
        reply.group = GroupId(in.group());
        reply.position = Position(in.position());
        reply.slot = Slot(in.slots(i));
        reply.view_hint = View(in.view_hint());
        reply.config = ConfigVersion(in.config());
        ItemResult& answer = reply.answer;
        std::optional<Outcome> outcome = outcome_of(in.outcomes(i));
        if (!outcome) return "unknown outcome";
        answer.outcome = *outcome;
        answer.index = in.indexes(i);
        answer.rid = {ClientId(in.client()), PartitionId(in.homes(i)), ClientSeq(in.cseqs(i))};
        answer.code = in.codes(i);
        answer.rdig = rdigs[static_cast<std::size_t>(i)];
        answer.has_result = in.lengths(i) > 0;
        if (!answer.has_result) continue;
        const std::size_t length = in.lengths(i) - 1;
        if (length > rest.size()) return "a result reaches beyond the end";
        answer.result = to_bytes(rest.first(length));
        rest = rest.subspan(length);
    }
    return rest.empty() ? nullptr : "replies have bytes of no result";
}

bool known(Rejected::Reason reason) {
    switch (reason) {
        case Rejected::Reason::malformed:
        case Rejected::Reason::unknown_partition:
        case Rejected::Reason::unknown_procedure:
        case Rejected::Reason::bad_arguments:
        case Rejected::Reason::wrong_partitions:
        case Rejected::Reason::bad_signature:
        case Rejected::Reason::over_quota:
        case Rejected::Reason::stale:
        case Rejected::Reason::not_a_client:
            return true;
    }
    return false;
}

Fault read(const pb::Rejected& in, Rejected& out) {
    out.rid = {ClientId(in.client()), PartitionId(in.home()), ClientSeq(in.cseq())};
    if (in.reason() > 255 || !known(static_cast<Rejected::Reason>(in.reason())))
        return "unknown reason";
    out.reason = static_cast<Rejected::Reason>(in.reason());
    out.text = in.text();
    return nullptr;
}

Fault read(const pb::DbCheckpoint& in, DbCheckpoint& out) {
    out.voter = VoterId(in.voter());
    out.slot = Slot(in.slot());
    out.signature = to_bytes(view(in.signature()));
    return read(in.root(), out.root);
}

Fault read(const pb::DbCut& in, DbCut& out) {
    out = {VoterId(in.voter()), Slot(in.slot()), in.hold()};
    return nullptr;
}

Fault read(const pb::DbCutRef& in, FetchDbLeaves& out) {
    out = {VoterId(in.voter()), Slot(in.slot())};
    return nullptr;
}

Fault read(const pb::DbCutRef& in, DbGone& out) {
    out = {VoterId(in.voter()), Slot(in.slot())};
    return nullptr;
}

Fault read(const pb::DbLeaves& in, DbLeaves& out) {
    out.voter = VoterId(in.voter());
    out.slot = Slot(in.slot());
    auto leaves = std::make_shared<std::vector<DbLeaf>>();
    leaves->reserve(static_cast<std::size_t>(in.leaves_size()));
    for (const pb::DbLeaf& leaf : in.leaves()) {
        leaves->push_back({leaf.table(), PartitionId(leaf.partition()), leaf.rows(), {}});
        if (Fault fault = read_digests(leaf.chunks(), leaves->back().chunks)) return fault;
    }
    out.leaves = std::move(leaves);
    return nullptr;
}

Fault read(const pb::DbChunk& in, FetchDbChunk& out) {
    out = {VoterId(in.voter()), Slot(in.slot()), in.leaf(), in.chunk()};
    return nullptr;
}

Fault read(const pb::DbChunk& in, DbChunk& out) {
    out = {VoterId(in.voter()), Slot(in.slot()), in.leaf(), in.chunk(), to_bytes(view(in.rows()))};
    return nullptr;
}

Fault read(const pb::Gone& in, Gone& out) {
    out.line = Counter(in.line());
    return read(in.stream(), out.stream);
}

Fault read(const pb::FetchState& in, FetchState& out) {
    out = {Slot(in.beyond()), Slot(in.slot()), in.part()};
    return nullptr;
}

Fault read(const pb::StatePart& in, StatePartPtr& out) {
    auto part = std::make_shared<StatePart>();
    Fault fault = wire::read(in, *part);
    out = std::move(part);
    return fault;
}

Fault read(const pb::FetchConfig& in, FetchConfig& out) {
    out.version = ConfigVersion(in.version());
    out.features = in.features();
    return nullptr;
}

template <class T, class In>
Fault read_as(const In& in, Payload& out) {
    return read(in, out.emplace<T>());
}

}  // namespace

void write_payload(const Payload& in, pb::Frame* out) {
    std::visit([out](const auto& payload) { write_to(payload, out); }, in);
}

Fault read_payload(const pb::Frame& in, Payload& out) {
    switch (in.payload_case()) {
        case pb::Frame::kRequest:
            return read_as<Body>(in.request(), out);
        case pb::Frame::kPrepare:
            return read_as<Prepare>(in.prepare(), out);
        case pb::Frame::kCommit:
            return read_as<Commit>(in.commit(), out);
        case pb::Frame::kStatus:
            return read_as<Status>(in.status(), out);
        case pb::Frame::kFetchCertificates:
            return read_as<FetchCertificates>(in.fetch_certificates(), out);
        case pb::Frame::kCertificates:
            return read_as<Certificates>(in.certificates(), out);
        case pb::Frame::kFetchBodies:
            return read_as<FetchBodies>(in.fetch_bodies(), out);
        case pb::Frame::kBodies:
            return read_as<Bodies>(in.bodies(), out);
        case pb::Frame::kCommitDb:
            return read_as<CommitDb>(in.commit_db(), out);
        case pb::Frame::kDbReply:
            return read_as<DbReply>(in.db_reply(), out);
        case pb::Frame::kVoterStatus:
            return read_as<VoterStatus>(in.voter_status(), out);
        case pb::Frame::kFetchDbItems:
            return read_as<FetchDbItems>(in.fetch_db_items(), out);
        case pb::Frame::kReply:
            return read_as<Reply>(in.reply(), out);
        case pb::Frame::kRejected:
            return read_as<Rejected>(in.rejected(), out);
        case pb::Frame::kCheckpoint:
            return read_as<Checkpoint>(in.checkpoint(), out);
        case pb::Frame::kVouch:
            return read_as<Vouch>(in.vouch(), out);
        case pb::Frame::kRequestViewChange:
            return read_as<RequestViewChange>(in.request_view_change(), out);
        case pb::Frame::kTrigger:
            return read_as<TriggerCertificate>(in.trigger(), out);
        case pb::Frame::kViewChange:
            return read_as<ViewChangePtr>(in.view_change(), out);
        case pb::Frame::kNewView:
            return read_as<NewView>(in.new_view(), out);
        case pb::Frame::kNewViewAccept:
            return read_as<NewViewAccept>(in.new_view_accept(), out);
        case pb::Frame::kViewCert:
            return read_as<ViewCertPtr>(in.view_cert(), out);
        case pb::Frame::kResign:
            return read_as<Resign>(in.resign(), out);
        case pb::Frame::kFetchHeaders:
            return read_as<FetchHeaders>(in.fetch_headers(), out);
        case pb::Frame::kHeaders:
            return read_as<Headers>(in.headers(), out);
        case pb::Frame::kFetchViewCert:
            return read_as<FetchViewCert>(in.fetch_view_cert(), out);
        case pb::Frame::kFetchViewChanges:
            return read_as<FetchViewChanges>(in.fetch_view_changes(), out);
        case pb::Frame::kViewChanges:
            return read_as<ViewChanges>(in.view_changes(), out);
        case pb::Frame::kVoidRequest:
            return read_as<VoidRequest>(in.void_request(), out);
        case pb::Frame::kVoidPromise:
            return read_as<VoidPromise>(in.void_promise(), out);
        case pb::Frame::kVoidCert:
            return read_as<VoidCert>(in.void_cert(), out);
        case pb::Frame::kEquivocation:
            return read_as<EquivocationProof>(in.equivocation(), out);
        case pb::Frame::kDbCheckpoint:
            return read_as<DbCheckpoint>(in.db_checkpoint(), out);
        case pb::Frame::kDbCut:
            return read_as<DbCut>(in.db_cut(), out);
        case pb::Frame::kFetchDbLeaves:
            return read_as<FetchDbLeaves>(in.fetch_db_leaves(), out);
        case pb::Frame::kDbLeaves:
            return read_as<DbLeaves>(in.db_leaves(), out);
        case pb::Frame::kFetchDbChunk:
            return read_as<FetchDbChunk>(in.fetch_db_chunk(), out);
        case pb::Frame::kDbChunk:
            return read_as<DbChunk>(in.db_chunk(), out);
        case pb::Frame::kDbGone:
            return read_as<DbGone>(in.db_gone(), out);
        case pb::Frame::kGone:
            return read_as<Gone>(in.gone(), out);
        case pb::Frame::kFetchState:
            return read_as<FetchState>(in.fetch_state(), out);
        case pb::Frame::kStatePart:
            return read_as<StatePartPtr>(in.state_part(), out);
        case pb::Frame::kReplies:
            return read_as<Replies>(in.replies(), out);
        case pb::Frame::kFetchConfig:
            return read_as<FetchConfig>(in.fetch_config(), out);
        case pb::Frame::kBarrier:
            return wire::read(in.barrier(), out.emplace<BarrierCertPtr>());
        case pb::Frame::PAYLOAD_NOT_SET:
            break;
    }
    return "no payload";
}

}  // namespace bft::wire

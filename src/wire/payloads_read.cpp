#include "wire/payloads.hpp"

#include <algorithm>

namespace bft::wire {

using namespace consensus;

namespace {

// Overloads for whole payloads follow; these are the ones for what several of them contain.
using wire::read;

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
    // A stranger's words, which end up on a terminal.
    std::replace_if(
        out.text.begin(), out.text.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
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

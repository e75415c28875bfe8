// Checkpoints and view change, to and from protobuf.
#include "base/invariant.hpp"
#include "consensus/configuration.hpp"
#include "wire/parts.hpp"

namespace bft::wire {

using namespace consensus;

namespace {

std::optional<Suspicion> suspicion_of(std::uint32_t value) {
    if (value > 255) return std::nullopt;
    switch (static_cast<Suspicion>(value)) {
        case Suspicion::request_not_ordered:
        case Suspicion::body_missing:
        case Suspicion::silent:
        case Suspicion::no_new_view:
        case Suspicion::dead:
        case Suspicion::resigned:
        case Suspicion::slow_slots:
        case Suspicion::late_orders:
        case Suspicion::overtaken:
        case Suspicion::low_rate:
        case Suspicion::clock_drift:
        case Suspicion::duplicates:
            return static_cast<Suspicion>(value);
    }
    return std::nullopt;
}

void write(const PositionSignature& in, pb::PositionSignature* out) {
    out->set_position(in.position.value);
    out->set_signature(text(in.signature));
}

Fault read(const pb::PositionSignature& in, PositionSignature& out) {
    out.position = Position(in.position());
    out.signature = to_bytes(view(in.signature()));
    return nullptr;
}

void write(const VoteEntry& in, pb::VoteEntry* out) {
    wire::write(in.last, out->mutable_last());
    wire::write(in.ui, out->mutable_ui());
    if (!in.view_change) return;
    out->set_target(in.target.value);
    out->set_rest(text(in.rest.view()));
}

Fault read(const pb::VoteEntry& in, VoteEntry& out) {
    out.view_change = !in.rest().empty();
    if (!out.view_change && in.target() != 0) return "a COMMIT in a log has a target";
    out.target = View(in.target());
    if (out.view_change)
        if (Fault fault = wire::read(in.rest(), out.rest)) return fault;
    if (Fault fault = wire::read(in.last(), out.last)) return fault;
    return wire::read(in.ui(), out.ui);
}

// Zero, which is most of the time, does not travel.
template <class Out>
void write_config(const Digest& in, Out* out) {
    if (!in.is_zero()) out->set_config(text(in.view()));
}

Fault read_config(const std::string& in, Digest& out) {
    return in.empty() ? nullptr : wire::read(in, out);
}

}  // namespace

// --- what several members sign
// ---------------------------------------------------------------------

void write(const Checkpoint& in, pb::Checkpoint* out) {
    out->set_group(in.group.value);
    out->set_position(in.position.value);
    out->set_slot(in.slot.value);
    out->set_hd(text(in.hd.view()));
    out->set_ts_ms(in.ts_ms);
    out->set_state(text(in.state.view()));
    out->set_signature(text(in.signature));
    write_config(in.config, out);
}

Fault read(const pb::Checkpoint& in, Checkpoint& out) {
    out.group = GroupId(in.group());
    out.position = Position(in.position());
    out.slot = Slot(in.slot());
    out.ts_ms = in.ts_ms();
    out.signature = to_bytes(view(in.signature()));
    if (Fault fault = read(in.hd(), out.hd)) return fault;
    if (Fault fault = read_config(in.config(), out.config)) return fault;
    return read(in.state(), out.state);
}

void write(const StableCert& in, pb::StableCert* out) {
    out->set_group(in.group.value);
    out->set_slot(in.slot.value);
    out->set_hd(text(in.hd.view()));
    out->set_ts_ms(in.ts_ms);
    out->set_state(text(in.state.view()));
    for (const PositionSignature& signer : in.signers) write(signer, out->add_signers());
    write_config(in.config, out);
}

void write(const BarrierCert& in, pb::Barrier* out) {
    out->set_slot(in.slot.value);
    out->set_config(text(encode(*in.config)));
    for (const StableCert& cert : in.groups) write(cert, out->add_groups());
}

Fault read(const pb::Barrier& in, BarrierCertPtr& out) {
    auto barrier = std::make_shared<BarrierCert>();
    barrier->slot = Slot(in.slot());
    auto config = decode_configuration(view(in.config()));
    if (!config) return "not a configuration";
    barrier->config = std::make_shared<const Configuration>(std::move(*config));
    for (const auto& cert : in.groups())
        if (Fault fault = read(cert, barrier->groups.emplace_back())) return fault;
    if (barrier->groups.empty()) return "a barrier of nobody";
    out = std::move(barrier);
    return nullptr;
}

Fault read(const pb::StableCert& in, StableCert& out) {
    out.group = GroupId(in.group());
    out.slot = Slot(in.slot());
    out.ts_ms = in.ts_ms();
    if (Fault fault = read(in.hd(), out.hd)) return fault;
    if (Fault fault = read(in.state(), out.state)) return fault;
    if (Fault fault = read_config(in.config(), out.config)) return fault;
    for (const auto& signer : in.signers())
        if (Fault fault = read(signer, out.signers.emplace_back())) return fault;
    return nullptr;
}

void write(const Vouch& in, pb::Vouch* out) {
    out->set_group(in.group.value);
    out->set_position(in.position.value);
    for (Counter cv : in.votes) out->add_votes(cv.value);
    for (Counter cv : in.ordering) out->add_ordering(cv.value);
    out->set_signature(text(in.signature));
}

Fault read(const pb::Vouch& in, Vouch& out) {
    out.group = GroupId(in.group());
    out.position = Position(in.position());
    for (std::uint64_t cv : in.votes()) out.votes.emplace_back(cv);
    for (std::uint64_t cv : in.ordering()) out.ordering.emplace_back(cv);
    out.signature = to_bytes(view(in.signature()));
    return nullptr;
}

void write(const RequestViewChange& in, pb::RequestViewChange* out) {
    out->set_group(in.group.value);
    out->set_position(in.position.value);
    out->set_view(in.view.value);
    out->set_reason(static_cast<std::uint32_t>(in.reason));
    out->set_signature(text(in.signature));
}

Fault read(const pb::RequestViewChange& in, RequestViewChange& out) {
    std::optional<Suspicion> reason = suspicion_of(in.reason());
    if (!reason) return "unknown suspicion";
    out.group = GroupId(in.group());
    out.position = Position(in.position());
    out.view = View(in.view());
    out.reason = *reason;
    out.signature = to_bytes(view(in.signature()));
    return nullptr;
}

void write(const TriggerCertificate& in, pb::TriggerCertificate* out) {
    out->set_view(in.view.value);
    for (const RequestViewChange& request : in.requests) write(request, out->add_requests());
}

Fault read(const pb::TriggerCertificate& in, TriggerCertificate& out) {
    out.view = View(in.view());
    for (const auto& request : in.requests())
        if (Fault fault = read(request, out.requests.emplace_back())) return fault;
    return nullptr;
}

void write(const NewViewAccept& in, pb::NewViewAccept* out) {
    out->set_group(in.group.value);
    out->set_position(in.position.value);
    out->set_view(in.view.value);
    out->set_nvd(text(in.nvd.view()));
    out->set_cv(in.cv.value);
    out->set_signature(text(in.signature));
}

Fault read(const pb::NewViewAccept& in, NewViewAccept& out) {
    out.group = GroupId(in.group());
    out.position = Position(in.position());
    out.view = View(in.view());
    out.cv = Counter(in.cv());
    out.signature = to_bytes(view(in.signature()));
    return read(in.nvd(), out.nvd);
}

// --- NEW-VIEW
// ---------------------------------------------------------------------------------------

void write(const std::vector<ViewChangeRef>& in, pb::ViewChangeRefs* out) {
    for (const ViewChangeRef& ref : in) {
        out->add_groups(ref.group.value);
        out->add_positions(ref.position.value);
        out->add_cvs(ref.cv.value);
        *out->mutable_digests() += as_text(ref.digest.view());
    }
}

Fault read(const pb::ViewChangeRefs& in, std::vector<ViewChangeRef>& out) {
    std::vector<Digest> digests;
    if (Fault fault = read_digests(in.digests(), digests)) return fault;
    const int count = in.groups_size();
    if (in.positions_size() != count || in.cvs_size() != count ||
        digests.size() != static_cast<std::size_t>(count))
        return "the columns of VIEW-CHANGEs differ in length";
    out.reserve(digests.size());
    for (int i = 0; i < count; ++i)
        out.push_back({GroupId(in.groups(i)), Position(in.positions(i)), Counter(in.cvs(i)),
                       digests[static_cast<std::size_t>(i)]});
    return nullptr;
}

void write(const NewView& in, pb::NewView* out) {
    out->set_view(in.view.value);
    out->set_slot(in.slot.value);
    out->set_hd(text(in.hd.view()));
    for (const EntryRef& entry : in.nullset) {
        out->add_null_slots(entry.slot.value);
        out->add_null_indexes(entry.index);
    }
    write(in.view_changes, out->mutable_view_changes());
    write(in.ui, out->mutable_ui());
}

Fault read(const pb::NewView& in, NewView& out) {
    if (in.null_slots_size() != in.null_indexes_size())
        return "the columns of a nullset differ in length";
    out.view = View(in.view());
    out.slot = Slot(in.slot());
    out.nullset.reserve(static_cast<std::size_t>(in.null_slots_size()));
    for (int i = 0; i < in.null_slots_size(); ++i)
        out.nullset.push_back({Slot(in.null_slots(i)), in.null_indexes(i)});
    if (Fault fault = read(in.hd(), out.hd)) return fault;
    if (Fault fault = read(in.view_changes(), out.view_changes)) return fault;
    return read(in.ui(), out.ui);
}

void write(const ViewCert& in, pb::ViewCert* out) {
    write(in.new_view, out->mutable_new_view());
    out->set_group(in.group.value);
    for (const PositionSignature& signer : in.signers) write(signer, out->add_signers());
}

Fault read(const pb::ViewCert& in, ViewCertPtr& out) {
    auto cert = std::make_shared<ViewCert>();
    cert->group = GroupId(in.group());
    if (Fault fault = read(in.new_view(), cert->new_view)) return fault;
    for (const auto& signer : in.signers())
        if (Fault fault = read(signer, cert->signers.emplace_back())) return fault;
    out = std::move(cert);
    return nullptr;
}

// --- unanimous void
// ---------------------------------------------------------------------------------

void write(const VoidPromise& in, pb::VoidPromise* out) {
    out->set_group(in.group.value);
    out->set_position(in.position.value);
    out->set_signature(text(in.signature));
}

void write(const VoidCert& in, pb::VoidValue* out) {
    write(in.stream, out->mutable_stream());
    out->set_cv(in.cv.value);
    for (const VoidPromise& promise : in.promises) write(promise, out->add_promises());
}

Fault read(const pb::VoidValue& in, VoidCert& out) {
    out.cv = Counter(in.cv());
    if (Fault fault = read(in.stream(), out.stream)) return fault;
    for (const auto& promise : in.promises())
        out.promises.push_back({out.stream, out.cv, GroupId(promise.group()),
                                Position(promise.position()), to_bytes(view(promise.signature()))});
    return nullptr;
}

Fault read(const pb::VoidValue& in, VoidRequest& out) {
    if (!in.promises().empty()) return "a question with an answer";
    out.cv = Counter(in.cv());
    return read(in.stream(), out.stream);
}

Fault read(const pb::VoidValue& in, VoidPromise& out) {
    if (in.promises_size() != 1) return "not one promise";
    VoidCert one;
    if (Fault fault = read(in, one)) return fault;
    out = std::move(one.promises.front());
    return nullptr;
}

// --- EQUIV-PROOF
// ------------------------------------------------------------------------------------

void write(const EquivocationProof& in, pb::EquivocationProof* out) {
    write(in.stream, out->mutable_stream());
    out->set_cv(in.cv.value);
    out->set_first(text(in.first.view()));
    write(in.first_ui, out->mutable_first_ui());
    out->set_second(text(in.second.view()));
    write(in.second_ui, out->mutable_second_ui());
}

Fault read(const pb::EquivocationProof& in, EquivocationProof& out) {
    out.cv = Counter(in.cv());
    if (Fault fault = read(in.stream(), out.stream)) return fault;
    if (Fault fault = read(in.first(), out.first)) return fault;
    if (Fault fault = read(in.first_ui(), out.first_ui)) return fault;
    if (Fault fault = read(in.second(), out.second)) return fault;
    return read(in.second_ui(), out.second_ui);
}

// --- VIEW-CHANGE
// ------------------------------------------------------------------------------------

void write(const LastCommit& in, pb::LastCommit* out) {
    out->set_view(in.view.value);
    out->set_to(in.to.value);
    out->set_hd(text(in.hd.view()));
    out->set_nvd(text(in.nvd.view()));
}

Fault read(const pb::LastCommit& in, LastCommit& out) {
    out.view = View(in.view());
    out.to = Slot(in.to());
    if (Fault fault = read(in.hd(), out.hd)) return fault;
    return read(in.nvd(), out.nvd);
}

void write(const ViewChange& in, pb::ViewChange* out) {
    out->set_group(in.group.value);
    out->set_position(in.position.value);
    out->set_view(in.view.value);
    write(in.last, out->mutable_last());
    write(in.proof.ui, out->mutable_proof());
    out->set_from_new_view(in.from_new_view);
    if (in.view_cert) write(*in.view_cert, out->mutable_view_cert());
    if (in.stable) write(*in.stable, out->mutable_stable());
    out->set_base(in.base.value);
    for (const Vouch& vouch : in.vouches) write(vouch, out->add_vouches());
    for (const VoteEntry& entry : in.log) write(entry, out->add_log());
    for (const VoidCert& cert : in.voids) write(cert, out->add_voids());
    write(in.ui, out->mutable_ui());
    if (in.barrier) write(*in.barrier, out->mutable_barrier());
}

Fault read(const pb::ViewChange& in, ViewChange& out) {
    out.group = GroupId(in.group());
    out.position = Position(in.position());
    out.view = View(in.view());
    if (Fault fault = read(in.last(), out.last)) return fault;
    // What the proof says besides its certificate is what `last` says: nobody can claim otherwise.
    if (!out.last.none()) out.proof = {out.last.view, out.last.to, out.last.hd, {}, nullptr};
    if (Fault fault = read(in.proof(), out.proof.ui)) return fault;
    out.from_new_view = in.from_new_view();
    if (in.has_view_cert())
        if (Fault fault = read(in.view_cert(), out.view_cert)) return fault;
    if (in.has_stable())
        if (Fault fault = read(in.stable(), out.stable.emplace())) return fault;
    out.base = Counter(in.base());
    for (const auto& vouch : in.vouches())
        if (Fault fault = read(vouch, out.vouches.emplace_back())) return fault;
    out.log.reserve(static_cast<std::size_t>(in.log_size()));
    for (const auto& entry : in.log())
        if (Fault fault = read(entry, out.log.emplace_back())) return fault;
    for (const auto& cert : in.voids())
        if (Fault fault = read(cert, out.voids.emplace_back())) return fault;
    if (in.has_barrier())
        if (Fault fault = read(in.barrier(), out.barrier)) return fault;
    return read(in.ui(), out.ui);
}

}  // namespace bft::wire

#include "wire/records.hpp"

#include "base/invariant.hpp"

namespace bft::wire {

using namespace consensus;

namespace {

void write(const VoteTrack& in, pb::VoteTrack* out) {
    out->set_processed(in.processed.value);
    out->set_promised(in.promised.value);
    wire::write(in.last, out->mutable_last());
}

Fault read(const pb::VoteTrack& in, VoteTrack& out) {
    out.processed = Counter(in.processed());
    out.promised = View(in.promised());
    return wire::read(in.last(), out.last);
}

void write(const OrderingTrack& in, pb::OrderingTrack* out) {
    out->set_processed(in.processed.value);
    out->set_leading(in.leading);
    out->set_view(in.view.value);
    out->set_base(in.base.value);
    out->set_base_slot(in.base_slot.value);
    out->set_tip(in.tip.value);
    out->set_tip_digest(text(in.tip_digest.view()));
}

Fault read(const pb::OrderingTrack& in, OrderingTrack& out) {
    out.processed = Counter(in.processed());
    out.leading = in.leading();
    out.view = View(in.view());
    out.base = Counter(in.base());
    out.base_slot = Slot(in.base_slot());
    out.tip = Slot(in.tip());
    return wire::read(in.tip_digest(), out.tip_digest);
}

void write(const SnapshotRecord& in, pb::Snapshot* out) {
    wire::write(static_cast<const DerivedState&>(in), out->mutable_state());
    for (const VoteTrack& track : in.votes) write(track, out->add_votes());
    for (const OrderingTrack& track : in.ordering) write(track, out->add_ordering());
    if (in.cert) wire::write(*in.cert, out->mutable_cert());
}

Fault read(const pb::Snapshot& in, SnapshotRecord& out) {
    if (Fault fault = wire::read(in.state(), static_cast<DerivedState&>(out))) return fault;
    for (const auto& track : in.votes())
        if (Fault fault = read(track, out.votes.emplace_back())) return fault;
    for (const auto& track : in.ordering())
        if (Fault fault = read(track, out.ordering.emplace_back())) return fault;
    return in.has_cert() ? wire::read(in.cert(), out.cert.emplace()) : nullptr;
}

// --- one overload for each alternative of LogRecord
// ------------------------------------------------

void write_to(const BodyRecord& in, pb::Record* out) {
    invariant(in.body != nullptr, "a body that is logged exists");
    wire::write(*in.body, out->mutable_body());
}
void write_to(const SlotBodiesRecord& in, pb::Record* record) {
    pb::SlotBodies* out = record->mutable_slot_bodies();
    out->set_slot(in.slot.value);
    out->set_hd(text(in.hd.view()));
    wire::write(in.bodies, out->mutable_bodies());
}
void write_to(const PrepareRecord& in, pb::Record* out) {
    wire::write(in.prepare, out->mutable_prepare());
}
void write_to(const PrepareIntent& in, pb::Record* out) {
    invariant(in.header != nullptr, "an intent names a header");
    out->mutable_prepare_intent()->set_view(in.view.value);
    wire::write(*in.header, out->mutable_prepare_intent()->mutable_header());
}
void write_to(const CommitIntent& in, pb::Record* out) {
    wire::write(in.commit, out->mutable_commit_intent());
}
void write_to(const CommitRecord& in, pb::Record* out) {
    wire::write(in.commit, out->mutable_commit());
}
void write_to(const ExecutedRecord& in, pb::Record* out) {
    out->mutable_executed()->set_slot(in.slot.value);
}
void write_to(const NewViewRecord& in, pb::Record* out) {
    wire::write(in.new_view, out->mutable_new_view()->mutable_new_view());
    out->mutable_new_view()->set_ts_ms(in.ts_ms);
}
void write_to(const NewViewIntent& in, pb::Record* out) {
    wire::write(in.new_view, out->mutable_new_view_intent()->mutable_new_view());
    out->mutable_new_view_intent()->set_ts_ms(in.ts_ms);
}
void write_to(const ViewChangeRecord& in, pb::Record* out) {
    invariant(in.change != nullptr, "a VIEW-CHANGE that is logged exists");
    wire::write(*in.change, out->mutable_view_change());
}
void write_to(const ViewChangeIntent& in, pb::Record* out) {
    invariant(in.change != nullptr, "a VIEW-CHANGE that is logged exists");
    wire::write(*in.change, out->mutable_view_change_intent());
}
void write_to(const HeaderRecord& in, pb::Record* out) {
    invariant(in.header != nullptr, "a header that is logged exists");
    wire::write(*in.header, out->mutable_header());
}
void write_to(const ViewCertRecord& in, pb::Record* out) {
    invariant(in.cert != nullptr, "a ViewCert that is logged exists");
    wire::write(*in.cert, out->mutable_view_cert());
}
void write_to(const ViewRecord& in, pb::Record* record) {
    pb::ViewState* out = record->mutable_view();
    out->set_view(in.view.value);
    out->set_accepted(text(in.accepted.view()));
    out->set_accepted_cv(in.accepted_cv.value);
    if (in.chain) wire::write(*in.chain, out->mutable_chain());
    if (in.trigger) wire::write(*in.trigger, out->mutable_trigger());
}
void write_to(const VouchRecord& in, pb::Record* out) {
    out->mutable_vouched()->set_base(in.base.value);
    for (const Vouch& vouch : in.vouches) wire::write(vouch, out->mutable_vouched()->add_vouches());
}
void write_to(const StableRecord& in, pb::Record* out) {
    wire::write(in.cert, out->mutable_stable());
}
void write_to(const SnapshotPtr& in, pb::Record* out) {
    invariant(in != nullptr, "a snapshot that is logged exists");
    write(*in, out->mutable_snapshot());
}

void write_to(const VoidPromiseRecord& in, pb::Record* out) {
    wire::write(VoidCert{in.stream, in.cv, {}}, out->mutable_void_promise());
}
void write_to(const VoidRecord& in, pb::Record* out) {
    wire::write(in.cert, out->mutable_void_cert());
}
void write_to(const EquivocationRecord& in, pb::Record* out) {
    wire::write(in.proof, out->mutable_equivocation());
}
void write_to(const ForkRecord& in, pb::Record* out) {
    wire::write(in.other, out->mutable_fork());
}

void write_to(const BarrierRecord& in, pb::Record* out) {
    invariant(in.barrier != nullptr, "a barrier that is logged exists");
    wire::write(*in.barrier, out->mutable_barrier());
}
void write_to(const HandoverRecord& in, pb::Record* out) {
    invariant(in.state != nullptr, "a state that is logged exists");
    out->mutable_handover()->set_group(in.group.value);
    wire::write(*in.state, out->mutable_handover()->mutable_state());
}

void write_to(const StandingRecord& in, pb::Record* record) {
    pb::Standing* out = record->mutable_standing();
    out->set_view(in.view.value);
    out->set_base(in.base.value);
    out->set_base_slot(in.base_slot.value);
    out->set_cv(in.cv.value);
    out->set_slot(in.slot.value);
    out->set_hd(text(in.hd.view()));
    out->set_ts_ms(in.ts_ms);
}

Fault read(const pb::Standing& in, StandingRecord& out) {
    out.view = View(in.view());
    out.base = Counter(in.base());
    out.base_slot = Slot(in.base_slot());
    out.cv = Counter(in.cv());
    out.slot = Slot(in.slot());
    out.ts_ms = in.ts_ms();
    return wire::read(in.hd(), out.hd);
}

Fault read(const pb::ViewState& in, ViewRecord& out) {
    out.view = View(in.view());
    out.accepted_cv = Counter(in.accepted_cv());
    if (Fault fault = wire::read(in.accepted(), out.accepted)) return fault;
    if (in.has_chain())
        if (Fault fault = wire::read(in.chain(), out.chain)) return fault;
    return in.has_trigger() ? wire::read(in.trigger(), out.trigger.emplace()) : nullptr;
}

Fault read(const pb::Vouched& in, VouchRecord& out) {
    out.base = Counter(in.base());
    for (const auto& vouch : in.vouches())
        if (Fault fault = wire::read(vouch, out.vouches.emplace_back())) return fault;
    return nullptr;
}

template <class Entry>
Fault read(const pb::NewViewEntry& in, Entry& out) {
    out.ts_ms = in.ts_ms();
    return wire::read(in.new_view(), out.new_view);
}

}  // namespace

void write_record(const LogRecord& in, pb::Record* out) {
    std::visit([out](const auto& alternative) { write_to(alternative, out); }, in);
}

Fault read_record(const pb::Record& in, LogRecord& out) {
    switch (in.record_case()) {
        case pb::Record::kBody:
            return wire::read(in.body(), out.emplace<BodyRecord>().body);
        case pb::Record::kPrepare:
            return wire::read(in.prepare(), out.emplace<PrepareRecord>().prepare);
        case pb::Record::kPrepareIntent: {
            auto& intent = out.emplace<PrepareIntent>();
            intent.view = View(in.prepare_intent().view());
            return wire::read(in.prepare_intent().header(), intent.header);
        }
        case pb::Record::kCommitIntent:
            return wire::read(in.commit_intent(), out.emplace<CommitIntent>().commit);
        case pb::Record::kCommit:
            return wire::read(in.commit(), out.emplace<CommitRecord>().commit);
        case pb::Record::kExecuted:
            out.emplace<ExecutedRecord>().slot = Slot(in.executed().slot());
            return nullptr;
        case pb::Record::kNewView:
            return read(in.new_view(), out.emplace<NewViewRecord>());
        case pb::Record::kNewViewIntent:
            return read(in.new_view_intent(), out.emplace<NewViewIntent>());
        case pb::Record::kViewChange: {
            auto change = std::make_shared<ViewChange>();
            Fault fault = wire::read(in.view_change(), *change);
            out.emplace<ViewChangeRecord>().change = std::move(change);
            return fault;
        }
        case pb::Record::kViewChangeIntent: {
            auto change = std::make_shared<ViewChange>();
            Fault fault = wire::read(in.view_change_intent(), *change);
            out.emplace<ViewChangeIntent>().change = std::move(change);
            return fault;
        }
        case pb::Record::kHeader:
            return wire::read(in.header(), out.emplace<HeaderRecord>().header);
        case pb::Record::kViewCert:
            return wire::read(in.view_cert(), out.emplace<ViewCertRecord>().cert);
        case pb::Record::kView:
            return read(in.view(), out.emplace<ViewRecord>());
        case pb::Record::kVouched:
            return read(in.vouched(), out.emplace<VouchRecord>());
        case pb::Record::kStable:
            return wire::read(in.stable(), out.emplace<StableRecord>().cert);
        case pb::Record::kSnapshot: {
            auto snapshot = std::make_shared<SnapshotRecord>();
            Fault fault = read(in.snapshot(), *snapshot);
            out.emplace<SnapshotPtr>() = std::move(snapshot);
            return fault;
        }
        case pb::Record::kVoidPromise: {
            VoidRequest promised;
            Fault fault = wire::read(in.void_promise(), promised);
            out.emplace<VoidPromiseRecord>() = {promised.stream, promised.cv};
            return fault;
        }
        case pb::Record::kVoidCert:
            return wire::read(in.void_cert(), out.emplace<VoidRecord>().cert);
        case pb::Record::kStanding:
            return read(in.standing(), out.emplace<StandingRecord>());
        case pb::Record::kEquivocation:
            return wire::read(in.equivocation(), out.emplace<EquivocationRecord>().proof);
        case pb::Record::kFork:
            return wire::read(in.fork(), out.emplace<ForkRecord>().other);
        case pb::Record::kSlotBodies: {
            auto& bodies = out.emplace<SlotBodiesRecord>();
            bodies.slot = Slot(in.slot_bodies().slot());
            if (Fault fault = wire::read(in.slot_bodies().hd(), bodies.hd)) return fault;
            return wire::read(in.slot_bodies().bodies(), bodies.bodies);
        }
        case pb::Record::kBarrier:
            return wire::read(in.barrier(), out.emplace<BarrierRecord>().barrier);
        case pb::Record::kHandover: {
            auto state = std::make_shared<DerivedState>();
            Fault fault = wire::read(in.handover().state(), *state);
            out.emplace<HandoverRecord>() = {GroupId(in.handover().group()), std::move(state)};
            return fault;
        }
        case pb::Record::RECORD_NOT_SET:
            break;
    }
    return "no record";
}

}  // namespace bft::wire

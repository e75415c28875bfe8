#include "host/retention.hpp"

#include "base/invariant.hpp"
#include "host/log_keys.hpp"
#include "wire/codec.hpp"

#include <algorithm>

namespace bft::host {

using consensus::Endpoint;
using keys::Kind;

namespace {

// Per write; there are at least as many writes as slots.
constexpr std::size_t prepares_per_sweep = 32;
constexpr std::size_t expired_per_sweep = 64;
// Erasing a range of counters costs the store one mark each: not at every checkpoint.
constexpr std::uint64_t steps_per_retention = 16;
// A body comes before its slot is ordered, and that before the snapshot after it, by at most so
// many slots more than the log is kept: the window, and what is ordered before a view change is
// asked for.
constexpr std::uint64_t waiting_slots = 1024;

// Whoever came after the mark has said nothing before it.
Counter at(const std::vector<Counter>& counters, std::size_t place) {
    return place < counters.size() ? counters[place] : Counter(0);
}

}  // namespace

Retention::Retention(const storage::Store& store, const consensus::Membership& membership,
                     std::uint64_t retain)
    : store_(store),
      retain_(retain),
      cut_(membership.primaries.size()),
      swept_(membership.primaries.size()) {}

void Retention::expect(const Endpoint& owner, Counter kept_from, Slot newest, Counter newest_view) {
    owners_[owner].kept_from = kept_from;
    owners_[owner].newest_view = newest_view;
    generation_ = std::max(generation_, newest);
}

void Retention::expect_cert(View newest, Bytes key) {
    if (!newest_cert_ || newest_cert_->first < newest) newest_cert_ = {newest, std::move(key)};
}

// --- what is written
// --------------------------------------------------------------------------------

void Retention::expire(ByteView key, storage::Batch& batch, std::uint64_t later) const {
    batch.put(keys::Builder(Kind::expiry).u64(generation_.value + later).bytes(key).finish(), {});
}

void Retention::note(const Endpoint& owner, ByteView key, const consensus::LogRecord& record,
                     storage::Batch& batch) {
    if (std::holds_alternative<consensus::BodyRecord>(record) ||
        std::holds_alternative<consensus::HeaderRecord>(record)) {
        expire(key, batch, waiting_slots);
    } else if (const auto* prepare = std::get_if<consensus::PrepareRecord>(&record)) {
        Bytes place = keys::Builder(Kind::prepare).bytes(key.subspan(1)).finish();
        batch.put(keys::named(Kind::header_of_prepare, prepare->prepare.hd), place);
        note_prepare(owner, prepare->prepare);
    } else if (const auto* change = std::get_if<consensus::ViewChangeRecord>(&record)) {
        bool counted = std::any_of(owners_.begin(), owners_.end(), [&](const auto& each) {
            return each.first.role == Endpoint::Role::replica &&
                   each.first.group == change->change->group;
        });
        if (!counted) expire(key, batch);
    } else if (const auto* cert = std::get_if<consensus::ViewCertRecord>(&record)) {
        note_cert(*cert->cert, key, batch);
    } else if (const auto* vouched = std::get_if<consensus::VouchRecord>(&record)) {
        owners_[owner].kept_from = vouched->base;
    } else if (const auto* view = std::get_if<consensus::NewViewRecord>(&record)) {
        if (owner.role != Endpoint::Role::primary) return;
        owners_[owner].kept_from = owners_[owner].newest_view = view->new_view.ui.cv;
    } else if (const auto* standing = std::get_if<consensus::StandingRecord>(&record)) {
        owners_[owner].kept_from = standing->cv;
    } else if (const auto* snapshot = std::get_if<consensus::SnapshotPtr>(&record)) {
        note_snapshot(owner, **snapshot);
    }
}

// COMMITs refer to their view's NEW-VIEW: its certificate goes when a later view's has been here
// for as long as the COMMITs are kept.
void Retention::note_cert(const consensus::ViewCert& cert, ByteView key, storage::Batch& batch) {
    View view = cert.new_view.view;
    if (newest_cert_ && newest_cert_->first == view) return;
    if (newest_cert_ && newest_cert_->first > view) return expire(key, batch);
    if (newest_cert_) expire(newest_cert_->second, batch);
    newest_cert_ = {view, to_bytes(key)};
}

// The counter at `slot`. By the time a snapshot is written more was processed: a restart needs
// that. Of a view that began later, what came before its NEW-VIEW may still lead to it.
Counter Retention::reached(const consensus::OrderingTrack& track, Slot slot) {
    if (!track.leading || slot < track.base_slot) return Counter(0);
    return std::min(track.processed, track.base + (slot - track.base_slot));
}

void Retention::note_snapshot(const Endpoint& owner, const consensus::SnapshotRecord& record) {
    generation_ = std::max(generation_, record.slot);
    Mark mark{record.slot, {}, {}};
    for (const consensus::VoteTrack& track : record.votes) mark.votes.push_back(track.processed);
    std::deque<Mark>& marks = owners_[owner].marks;
    for (std::size_t p = 0; p < record.ordering.size(); ++p) {
        Counter before = marks.empty() ? Counter(0) : at(marks.back().ordering, p);
        mark.ordering.push_back(std::max(before, reached(record.ordering[p], record.slot)));
    }
    marks.push_back(std::move(mark));
    while (marks.size() > 1 && marks[1].slot.value + retain_ <= record.slot.value)
        marks.pop_front();
    find_floor();
}

// A primary without replicas has no snapshots: what it ordered long ago may go, since the replicas
// have it.
void Retention::note_prepare(const Endpoint& owner, const consensus::Prepare& prepare) {
    if (owner.role != Endpoint::Role::primary) return;
    generation_ = std::max(generation_, prepare.slot);
    std::deque<Mark>& marks = owners_[owner].marks;
    std::uint64_t step = std::max<std::uint64_t>(retain_ / steps_per_retention, 1);
    if (!marks.empty() && prepare.slot.value < marks.back().slot.value + step) return;
    Mark mark{prepare.slot, {}, std::vector<Counter>(owner.index + 1)};
    mark.ordering[owner.index] = prepare.ui.cv;
    marks.push_back(std::move(mark));
    while (marks.size() > 1 && marks[1].slot.value + retain_ <= prepare.slot.value)
        marks.pop_front();
    find_floor();
}

// What every owner can do without.
void Retention::find_floor() {
    Slot floor = generation_;
    std::size_t primaries = cut_.size();
    for (const auto& [endpoint, owner] : owners_)
        if (!owner.marks.empty())
            primaries = std::max(primaries, owner.marks.front().ordering.size());
    cut_.resize(primaries);
    swept_.resize(primaries);
    std::vector<Counter> cut(cut_.size(), Counter(~std::uint64_t{0}));
    for (const auto& [endpoint, owner] : owners_) {
        if (owner.marks.empty() || owner.marks.front().slot.value + retain_ > generation_.value)
            return;
        floor = std::min(floor, owner.marks.front().slot);
        for (std::size_t p = 0; p < cut.size(); ++p)
            cut[p] = std::min(cut[p], at(owner.marks.front().ordering, p));
        if (endpoint.role == Endpoint::Role::primary)
            cut[endpoint.index] = std::min(cut[endpoint.index], owner.kept_from);
    }
    floor_ = std::max(floor_, floor);
    for (std::size_t p = 0; p < cut.size(); ++p) cut_[p] = std::max(cut_[p], cut[p]);
}

// --- what goes
// --------------------------------------------------------------------------------------

void Retention::cut_votes(const Endpoint& owner, Owner& state, storage::Batch& batch) const {
    if (owner.role != Endpoint::Role::replica || state.marks.empty()) return;
    const Mark& mark = state.marks.front();
    std::uint64_t step = std::max<std::uint64_t>(retain_ / steps_per_retention, 1);
    if (mark.slot.value + retain_ > generation_.value) return;
    if (mark.slot.value < state.cut.value + step) return;
    state.cut = mark.slot;
    for (std::uint32_t j = 0; j < mark.votes.size(); ++j) {
        Counter to = mark.votes[j];
        if (j == owner.index) to = std::min(to, state.kept_from);
        for (Kind kind : {Kind::commit, Kind::view_change})
            batch.erase_range(keys::vote(kind, owner.group, Position(j), Counter(0)),
                              keys::vote(kind, owner.group, Position(j), to));
    }
}

Result<void> Retention::sweep(storage::Batch& batch) {
    for (auto& [endpoint, owner] : owners_) cut_votes(endpoint, owner, batch);
    for (std::uint32_t p = 0; p < cut_.size(); ++p)
        if (swept_[p] < cut_[p])
            if (auto done = sweep_prepares(PrimaryId(p), batch); !done) return done;
    // Erasing a range costs the store one mark: not at every slot.
    std::uint64_t step = std::max<std::uint64_t>(retain_ / steps_per_retention, 1);
    if (floor_.value >= bodies_cut_.value + step) {
        batch.erase_range(keys::Builder(Kind::slot_bodies).u64(bodies_cut_.value).finish(),
                          keys::Builder(Kind::slot_bodies).u64(floor_.value).finish());
        bodies_cut_ = floor_;
    }
    if (expired_ < floor_) return sweep_expired(batch);
    return {};
}

Result<void> Retention::sweep_prepares(PrimaryId primary, storage::Batch& batch) {
    Counter& swept = swept_[primary.value];
    Counter to = cut_[primary.value];
    std::size_t count = 0;
    Counter reached = to;
    auto visit = [&](ByteView key, ByteView value) {
        Counter cv(keys::number_at(key, 5, 8));
        if (cv >= to) return false;
        if (count++ == prepares_per_sweep) {
            reached = cv;
            return false;
        }
        batch.erase(key);
        // A damaged record leaves its index behind, no more.
        auto record = wire::decode_record(value);
        if (!record) return true;
        if (const auto* found = std::get_if<consensus::PrepareRecord>(&*record))
            batch.erase(keys::named(Kind::header_of_prepare, found->prepare.hd));
        return true;
    };
    Bytes prefix = keys::Builder(Kind::prepare).u32(primary.value).finish();
    auto scanned = store_.scan(prefix, keys::ordering(Kind::prepare, primary, swept), visit);
    if (!scanned) return scanned;
    swept = reached;
    if (reached < to) return {};
    batch.erase_range(keys::ordering(Kind::new_view, primary, Counter(0)),
                      keys::ordering(Kind::new_view, primary, to));
    if (auto own = owners_.find(Endpoint::primary(primary)); own != owners_.end())
        to = std::min(to, own->second.newest_view);
    batch.erase_range(keys::ordering(Kind::own_new_view, primary, Counter(0)),
                      keys::ordering(Kind::own_new_view, primary, to));
    return {};
}

Result<void> Retention::sweep_expired(storage::Batch& batch) {
    std::size_t count = 0;
    Slot reached = floor_;
    auto visit = [&](ByteView key, ByteView) {
        Slot slot(keys::number_at(key, 1, 8));
        if (slot >= floor_) return false;
        if (count++ == expired_per_sweep) {
            reached = slot;
            return false;
        }
        batch.erase(key);
        batch.erase(key.subspan(9));
        return true;
    };
    auto scanned = store_.scan(keys::Builder(Kind::expiry).finish(),
                               keys::Builder(Kind::expiry).u64(expired_.value).finish(), visit);
    if (!scanned) return scanned;
    expired_ = reached;
    return {};
}

}  // namespace bft::host

// What a simulated log forgets: the rules of host/retention, on records.
#include "disk.hpp"

#include <algorithm>
#include <utility>

namespace bft::sim {

using namespace consensus;

void SimDisk::note_snapshot(const LogRecord& record) {
    const auto* found = std::get_if<SnapshotPtr>(&record);
    if (found == nullptr) return;
    const SnapshotPtr& snapshot = *found;
    Mark mark{snapshot->slot, {}, {}};
    for (const VoteTrack& track : snapshot->votes) mark.votes.push_back(track.processed);
    for (const OrderingTrack& track : snapshot->ordering) mark.ordering.push_back(track.processed);
    marks_.push_back(std::move(mark));
}

/// Which records stay, from the newest to the oldest.
struct SimDisk::Sweep {
    Sweep(const Membership& m, const Endpoint& who, const Mark& what)
        : membership(m), self(who), mark(what) {}
    const Membership& membership;
    const Endpoint& self;
    const Mark& mark;
    Slot generation{};   ///< of the record
    Counter own_from{};  ///< own certified messages from here on stay
    std::vector<bool> seen = std::vector<bool>(std::variant_size_v<LogRecord>);
    std::optional<View> newest_cert;

    /// Of a kind of which only the newest one counts: the newest?
    bool first(std::size_t kind) {
        bool before = seen[kind];
        seen[kind] = true;
        return !before;
    }
    [[nodiscard]] bool young() const { return generation >= mark.slot; }
    bool vote(GroupId group, Position position, Counter cv) const {
        if (group != self.group) return young();
        Counter from = counter_at(mark.votes, position.value).next();
        if (position.value == self.index) from = std::min(from, own_from);
        return cv >= from;
    }
    bool ordering(View view, Counter cv) const {
        return cv > counter_at(mark.ordering, membership.primary_of(view).value);
    }

    bool operator()(const BodyRecord&) const { return young(); }
    bool operator()(const SlotBodiesRecord& r) const { return r.slot >= mark.slot; }
    bool operator()(const HeaderRecord&) const { return young(); }
    bool operator()(const PrepareRecord& r) const {
        return ordering(r.prepare.view, r.prepare.ui.cv);
    }
    bool operator()(const NewViewRecord& r) const {
        return ordering(r.new_view.view, r.new_view.ui.cv);
    }
    bool operator()(const CommitRecord& r) const {
        return vote(r.commit.group, r.commit.position, r.commit.ui.cv);
    }
    bool operator()(const ViewChangeRecord& r) const {
        return vote(r.change->group, r.change->position, r.change->ui.cv);
    }
    bool operator()(const ViewCertRecord& r) {
        bool newest = !newest_cert || r.cert->new_view.view == *newest_cert;
        if (!newest_cert) newest_cert = r.cert->new_view.view;
        return newest || young();
    }
    bool operator()(const CommitIntent&) { return first(0); }
    bool operator()(const ViewChangeIntent&) { return first(0); }
    bool operator()(const PrepareIntent&) { return first(1); }
    bool operator()(const NewViewIntent&) { return first(1); }
    bool operator()(const ExecutedRecord&) { return first(2); }
    bool operator()(const ViewRecord&) { return first(3); }
    bool operator()(const VouchRecord& r) {
        if (!first(4)) return false;
        own_from = r.base;
        return true;
    }
    bool operator()(const StableRecord&) { return first(5); }
    bool operator()(const SnapshotPtr&) { return first(6); }
    bool operator()(const StandingRecord&) { return first(7); }
    bool operator()(const EquivocationRecord&) const { return true; }
    bool operator()(const ForkRecord&) const { return true; }
    bool operator()(const BarrierRecord&) const { return true; }
    bool operator()(const HandoverRecord&) const { return true; }
    bool operator()(const VoidPromiseRecord&) const { return true; }
    bool operator()(const VoidRecord&) const { return true; }
};

void SimDisk::forget_old(const Endpoint& self, std::uint64_t retain) {
    if (syncing_ || !waiting_.empty() || marks_.empty()) return;
    Slot newest = marks_.back().slot;
    while (marks_.size() > 1 && marks_[1].slot.value + retain <= newest.value) marks_.pop_front();
    if (marks_.front().slot.value + retain > newest.value) return;
    Sweep sweep{membership_, self, marks_.front()};
    std::vector<bool> stays(records_.size());
    for (std::size_t i = records_.size(); i-- > 0;) {
        sweep.generation = generations_[i];
        stays[i] = std::visit(sweep, records_[i]);
    }
    keep_only(stays);
}

void SimDisk::forget_old_views(std::uint64_t retain) {
    if (syncing_ || !waiting_.empty()) return;
    Slot newest{};
    for (const LogRecord& record : records_)
        if (const auto* prepare = std::get_if<PrepareRecord>(&record))
            newest = std::max(newest, prepare->prepare.slot);
    auto young = [&](Slot slot) { return slot.value + retain > newest.value; };
    // What was ordered comes from the first PREPARE on that is still served.
    auto first = std::find_if(records_.begin(), records_.end(), [&](const LogRecord& record) {
        const auto* prepare = std::get_if<PrepareRecord>(&record);
        return prepare != nullptr && young(prepare->prepare.slot);
    });
    auto served_from = static_cast<std::size_t>(first - records_.begin());
    std::vector<bool> stays(records_.size(), true);
    bool older = false;
    bool intent = false;
    bool standing = false;
    for (std::size_t i = records_.size(); i-- > 0;) {
        const LogRecord& record = records_[i];
        if (std::holds_alternative<PrepareIntent>(record) ||
            std::holds_alternative<NewViewIntent>(record))
            stays[i] = !std::exchange(intent, true);
        if (std::holds_alternative<StandingRecord>(record))
            stays[i] = !std::exchange(standing, true);
        if (std::holds_alternative<BodyRecord>(record) ||
            std::holds_alternative<SlotBodiesRecord>(record) ||
            std::holds_alternative<HeaderRecord>(record) ||
            std::holds_alternative<ViewChangeRecord>(record))
            stays[i] = i >= served_from;
        if (const auto* prepare = std::get_if<PrepareRecord>(&record))
            stays[i] = !older || young(prepare->prepare.slot);
        if (const auto* view = std::get_if<NewViewRecord>(&record)) {
            stays[i] = !older || young(view->new_view.slot);
            older = true;
        }
    }
    keep_only(stays);
}

void SimDisk::keep_only(const std::vector<bool>& stays) {
    std::size_t kept = 0;
    std::size_t kept_synced = 0;
    for (std::size_t i = 0; i < records_.size(); ++i) {
        if (!stays[i]) continue;
        if (i < synced_) ++kept_synced;
        if (kept != i) {
            records_[kept] = std::move(records_[i]);
            generations_[kept] = generations_[i];
        }
        ++kept;
    }
    records_.resize(kept);
    generations_.resize(kept);
    synced_ = kept_synced;
    read_again();
}

}  // namespace bft::sim

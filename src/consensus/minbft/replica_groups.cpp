// A group that the order added (docs/adr/0026): its members begin with the coordinators' state at
// the slot that made it, follow the order on the coordinators' word until something of their own
// group is stable, and commit nothing before the coordinators have.
#include "consensus/minbft/replica.hpp"
#include "consensus/rules.hpp"

#include <algorithm>

namespace bft::consensus::minbft {

namespace {

constexpr std::uint32_t grown_after = 10;  // in T_lag
constexpr std::uint32_t told_every = 2;    // in one T_status

}  // namespace

// Who may have the state of `group` at `slot`. Of a group that was removed since: those who were
// members then.
std::vector<Endpoint> Replica::donors(Slot slot, GroupId group) const {
    std::vector<Endpoint> found = membership_.replicas(group);
    const Group* then = configs_.at(slot).group(group);
    if (!found.empty() || then == nullptr) return found;
    for (std::uint32_t p = 0; p < then->members.size(); ++p)
        if (then->active(Position(p))) found.push_back(Endpoint::replica(group, Position(p)));
    return found;
}

// --- the beginning
// --------------------------------------------------------------------------------------

// What the coordinators signed for the barrier holds the order's digest and every partition's
// numbers. Nothing else of it concerns a group that owns nothing.
void Replica::ask_for_beginning(Now now) {
    if (begun_ || taking_) return;
    const Slot born = configs_.began(group_);
    if (configs_.barrier_at(born) == nullptr) return;
    taking_ = Taking{born, coordinators(), {}, {}, 0, {}, now.mono};
}

void Replica::begin_if_due(Now now) {
    if (begun_) return;
    auto given = taken_.find({configs_.began(group_), coordinators()});
    if (given == taken_.end()) return;
    const DerivedState& state = *given->second;
    begun_ = true;
    auto first = std::make_shared<SnapshotRecord>();
    first->slot = state.slot;
    first->hd = state.hd;
    first->ts_ms = state.ts_ms;
    first->next_seq = state.next_seq;
    first->config = state.config;
    chain_.restart_at(state.slot, state.hd, state.ts_ms, state.next_seq);
    delivered_ = ready_to_ = state.slot;
    snapshot_ = std::move(first);
    persist_tracks();
    grown_at_ = now.mono + options_.lag_patience * grown_after;
    if (active_) watch_.begin(now.mono);
    status_at_ = {};
    judge_again_ = true;
    out_.events.push_back({Event::Kind::state_adopted, self(), delivered_, 0, {}});
}

// While it asks for the way itself, it has nothing to say about the primary; but not for ever.
bool Replica::growing_up(Now now) const {
    return !begun_ || (added() && own().last.none() && now.mono < grown_at_);
}

// --- the first COMMIT
// ----------------------------------------------------------------------------------

// Whoever leaves a view and does not know of the group yet asks none of its members (CF6), so what
// only they have committed would be lost. Where f+1 coordinators say that they have delivered
// something beyond the barrier, in this view or before, one is correct: f+1 of its group have
// committed that, and every later view meets one of them, who shows the barrier.
bool Replica::may_commit() const {
    if (!rules::coordinators_go_first || !added() || !own().last.none()) return true;
    std::set<std::uint32_t> seats;
    for (std::uint32_t p = 0; p < elders_.size(); ++p)
        if (elders_[p].beyond && *elders_[p].beyond <= view_ &&
            membership_.active(coordinators(), Position(p)))
            seats.insert(membership_.seat(Position(p)));
    return seats.size() >= membership_.quorum();
}

// --- the coordinators' word
// ----------------------------------------------------------------------------

void Replica::on_foreign_status(const Endpoint& from, const Status& status) {
    if (from.group == coordinators()) {
        if (!added()) return;
        elders_.resize(std::max<std::size_t>(elders_.size(), from.index + 1));
        auto& beyond = elders_[from.index].beyond;
        if (status.delivered > configs_.began(group_))
            beyond = std::min(beyond.value_or(status.view), status.view);
        return;
    }
    const Group* theirs = membership_.group(from.group);
    if (group_ != coordinators() || theirs == nullptr || theirs->added.value == 0) return;
    if (!theirs->active(Position(from.index)) || halted_) return;
    TimePoint& told = told_at_[from];
    if (told != TimePoint{} && now_ - told < options_.status_interval / told_every) return;
    told = now_;
    if (BarrierCertPtr barrier = configs_.after(status.config))
        out_.send.push_back({{from}, std::move(barrier)});
    show_view(from, status);
    out_.send.push_back({{from}, this->status()});
    if (const auto& vouch = vouches_[position_.value]) out_.send.push_back({{from}, *vouch});
}

// That we are beyond the slot that made a group its members hear at once: they wait for it.
void Replica::tell_new_groups(Slot before) {
    BarrierCertPtr barrier = configs_.barrier();
    if (!barrier || barrier->slot < before || barrier->slot >= delivered_) return;
    if (group_ != coordinators()) return;
    std::vector<Endpoint> to;
    for (const Group& group : barrier->config->groups)
        if (group.added == barrier->config->version)
            for (const Endpoint& each : membership_.replicas(group.id)) to.push_back(each);
    if (!to.empty()) out_.send.push_back({std::move(to), status()});
}

// Whoever missed a view gets the proof of it (ST4), or of why we left the one before.
void Replica::show_view(const Endpoint& to, const Status& status) {
    bool behind = status.view < view_ || (status.view == view_ && !status.active);
    if (!behind) return;
    if (active_ && chain_cert_)
        out_.send.push_back({{to}, chain_cert_});
    else if (trigger_ && status.view < view_)
        out_.send.push_back({{to}, *trigger_});
}

void Replica::on_elder_vouch(const Vouch& vouch) {
    if (!added() || vouch.group != coordinators()) return;
    elders_.resize(std::max<std::size_t>(elders_.size(), vouch.position.value + 1));
    elders_[vouch.position.value].vouch = vouch;
}

}  // namespace bft::consensus::minbft

// Leaving a view: suspicion, REQ-VC, TC, VIEW-CHANGE (VC1, VC2, VC9; timers of 3.17).
#include "base/invariant.hpp"
#include "consensus/minbft/replica.hpp"
#include "consensus/rules.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::consensus::minbft {

namespace {

constexpr std::uint32_t doublings_max = 10;
// T4: a REQ-VC that is meant is sent every T_rx, so one that is older than this is meant no more.
constexpr Duration still_meant(Duration retransmit) {
    return retransmit * 5 / 2;
}
constexpr std::size_t changes_per_member = 2;

}  // namespace

// T5: each view in a row that brought no progress doubles the timers.
Duration Replica::patience(Duration base) const {
    Duration scaled = base * (std::int64_t{1} << std::min(failures_, doublings_max));
    return std::min(scaled, std::max(base, options_.patience_max));
}

// VC1. Judged anew each time: a replica that was cut off and has caught up stops asking, so its old
// wish and one liar never make a view change.
std::optional<Replica::Reason> Replica::why_suspect(Now now) {
    auto because = [](Suspicion why) { return Reason{why, to_string(why)}; };
    const Ordering& leading = ordering_[leader().value];
    if (leading.stream.dead() || leading.condemned == view_) return because(Suspicion::dead);
    if (resigned_ == view_) return because(Suspicion::resigned);
    if (catching_up(now) || growing_up(now)) return std::nullopt;
    if (!active_) {
        if (now.mono >= new_view_by_) return because(Suspicion::no_new_view);
        if (rules::timers_rest) return std::nullopt;  // there is no primary (P15)
    }
    bool hasty = active_ && strikes(options_.quirks, Quirk::hasty_suspicion);
    if (hasty || watch_.silence() >= patience(options_.silence_patience))
        return because(Suspicion::silent);
    if (stuck_since_ && delivered_ <= ready_to_ &&
        watch_.awake() - *stuck_since_ >= patience(options_.body_patience))
        return because(Suspicion::body_missing);
    for (const auto& [rid, waiting] : pending_)
        if (watch_.waited(waiting.ticket) >= patience(options_.order_patience))
            return Reason{Suspicion::request_not_ordered,
                          std::string(to_string(Suspicion::request_not_ordered)) + ": client " +
                              std::to_string(rid.client.value) + ", home " +
                              std::to_string(rid.home.value) + ", cseq " +
                              std::to_string(rid.cseq.value)};
    auto slow = watch_.verdict(now.mono, std::min(failures_, doublings_max), tpm_);
    if (!slow) return std::nullopt;
    return Reason{slow->first, std::string(to_string(slow->first)) + ": " + slow->second};
}

void Replica::suspect_if_due(Now now) {
    auto why = takes_part() ? why_suspect(now) : std::nullopt;
    if (!why) {
        suspicion_.reset();
        asked_[position_.value].reset();
        return;
    }
    View wanted = membership_.after(view_);
    if (suspicion_ != why->first)
        out_.events.push_back(
            {Event::Kind::suspected, primary(), {}, wanted.value, std::move(why->second)});
    suspicion_ = why->first;
    if (now.mono < request_at_) return;
    request_at_ = now.mono + options_.retransmit;
    RequestViewChange request{group_, position_, wanted, why->first, {}};
    request.signature = signer_.sign(request_view_change_digest(membership_.cluster, request));
    out_.send.push_back({membership_.replicas(group_, position_), request});
    asked_[position_.value] = Asked{std::move(request), now.mono};
    trigger_if_quorum(now);
}

// f+1 REQ-VCs of one group, one of a correct replica: the (f+1)-th largest view that they ask for.
void Replica::trigger_if_quorum(Now now) {
    std::vector<RequestViewChange> requests;
    for (const auto& asked : asked_)
        if (asked && active(asked->request.position) &&
            now.mono - asked->at <= still_meant(options_.retransmit))
            requests.push_back(asked->request);
    std::uint32_t quorum = membership_.quorum();
    if (requests.size() < quorum) return;
    std::stable_sort(requests.begin(), requests.end(),
                     [](const auto& a, const auto& b) { return a.view > b.view; });
    requests.resize(quorum);
    View view = requests.back().view;
    std::sort(requests.begin(), requests.end(),
              [](const auto& a, const auto& b) { return a.position < b.position; });
    on_trigger({view, std::move(requests)}, now);
}

// VC2: whatever group complains, all leave the view; a TC floods by being sent on once.
void Replica::on_trigger(const TriggerCertificate& trigger, Now now) {
    if (trigger.view <= view_) return;
    if (!membership_.knows(trigger.view)) {
        config_wanted_ = true;
        return;
    }
    enter_view(trigger.view, trigger, now);
    view_change_due_ = true;
    resend_at_ = {};
    resend_view_messages(now);
}

// What is persisted names the TC: who comes back in this view, and nobody else in it yet, must be
// able to bring the others along.
void Replica::enter_view(View view, std::optional<TriggerCertificate> trigger, Now now) {
    invariant(view > view_, "views increase");
    if (failures_ < doublings_max) ++failures_;
    view_ = view;
    active_ = false;
    watch_.end();
    trigger_ = std::move(trigger);
    view_change_due_ = false;
    own_change_.reset();
    accepted_ = {};
    accepted_cv_ = {};
    own_accept_.reset();
    suspicion_.reset();
    request_at_ = {};
    new_view_by_ = now.mono + patience(options_.new_view_patience);
    judge_again_ = true;
    for (auto it = changes_.begin(); it != changes_.end();) {
        std::erase_if(it->second, [&](const ViewChangePtr& c) { return c->view < view; });
        it = it->second.empty() ? changes_.erase(it) : std::next(it);
    }
    persist_view(false);
    out_.events.push_back({Event::Kind::view_entered, self(), delivered_, view.value, {}});
}

void Replica::persist_view(bool durable) {
    out_.persist.push_back(
        {ViewRecord{view_, accepted_, accepted_cv_, chain_cert_, trigger_}, durable});
}

// A COMMIT that is being certified comes first: the log that we show must hold it.
void Replica::view_change_if_due() {
    if (!view_change_due_ || quest_ || halted_ || !std::holds_alternative<std::monostate>(sealing_))
        return;
    if (!takes_part()) return;
    // Another one when all primaries had their turn: each of them meets all vouchers.
    if (failures_ > 2) rebase_log(1 + (view_.value & 0xffffffffu) / membership_.leaders(view_));
    view_change_due_ = false;
    ViewChange change = make_view_change();
    persist_view(true);
    out_.persist.push_back({ViewChangeIntent{std::make_shared<const ViewChange>(change)}});
    seal(view_change_digest(membership_.cluster, change));
    sealing_ = std::move(change);
}

ViewChange Replica::make_view_change() const {
    ViewChange change;
    change.group = group_;
    change.position = position_;
    change.view = view_;
    change.last = own().last;
    change.stable = stable_;
    change.barrier = configs_.barrier();
    change.base = vouched_.base;
    change.vouches = vouched_.vouches;
    change.log.assign(own_log_.begin(), own_log_.end());
    for (const VoidCert& cert : own_voids_)
        if (cert.cv > change.base) change.voids.push_back(cert);
    if (change.last.none()) return change;
    change.proof = last_proof_.prepare;
    change.from_new_view = last_proof_.from_new_view;
    change.view_cert = last_proof_cert_;
    return change;
}

// VIEW-CHANGEs of all groups: NEW-VIEWs name them by digest. Of one view a liar may certify
// several; those that a candidate names are fetched.
void Replica::keep_change(const ViewChangePtr& change) {
    if (change->barrier) on_barrier(change->barrier, {now_, 0});
    if (!known(change->group, change->position)) return;
    if (change->group == group_ && change->position != position_)
        votes_[change->position.value].stream.offer(change);
    if (change->view < view_) return;
    auto& kept = changes_[{change->group, change->position}];
    for (const ViewChangePtr& each : kept)
        if (each->view == change->view && each->ui.cv == change->ui.cv) return;
    kept.push_back(change);
    if (kept.size() > changes_per_member) kept.erase(kept.begin());
    judge_again_ = true;
}

// VC9, R15: everything that others may have missed is sent again until the view is active.
void Replica::resend_view_messages(Now now) {
    if (active_ || now.mono < resend_at_) return;
    resend_at_ = now.mono + options_.retransmit;
    std::vector<Endpoint> group = membership_.replicas(group_, position_);
    if (trigger_) {
        std::vector<Endpoint> everyone = membership_.all_replicas();
        std::erase(everyone, self());
        for (const Endpoint& each : membership_.all_primaries()) everyone.push_back(each);
        out_.send.push_back({std::move(everyone), *trigger_});
    }
    if (own_change_) {
        std::vector<Endpoint> to = group;
        to.push_back(primary());
        out_.send.push_back({std::move(to), own_change_});
    }
    if (own_accept_) out_.send.push_back({std::move(group), *own_accept_});
}

}  // namespace bft::consensus::minbft

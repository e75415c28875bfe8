// Who counts where (CF3, CF4, CF6): up to a CONFIG slot the members before it, beyond it those
// after it, and in what is said of the slot itself nobody whom it replaces.
#include "consensus/config_change.hpp"
#include "consensus/minbft/replica.hpp"
#include "consensus/rules.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::consensus::minbft {

// Positions are added, never taken away: what the old members said is still there for slots that
// are theirs.
void Replica::follow_members() {
    if (configs_.changed()) consensus::follow(membership_, configs_.newest());
    const Group* group = membership_.group(group_);  // null: the order has not added it yet
    const std::size_t places = std::max<std::size_t>(group == nullptr ? 0 : group->members.size(),
                                                     std::size_t{position_.value} + 1);
    while (votes_.size() < places) votes_.emplace_back(options_.window);
    checkpoint_votes_.resize(std::max(checkpoint_votes_.size(), places));
    vouches_.resize(std::max(vouches_.size(), places));
    accepts_.resize(std::max(accepts_.size(), places));
    asked_.resize(std::max(asked_.size(), places));
    leases_.resize(std::max(leases_.size(), places));
    config_asked_at_.resize(std::max(config_asked_at_.size(), places));
    while (ordering_.size() < membership_.primaries.size()) {
        ordering_.emplace_back(options_.window);
        ordering_.back().track.tip_digest = genesis_header_digest(membership_.cluster);
    }
    // Rules that are not known here: to guess would be to fork.
    if (const std::uint64_t level = configs_.newest().features(); level > options_.features)
        halt(delivered_, too_new(level, options_.features));
}

// CF11: who leads a view of a later epoch is known by its configuration only, which a VIEW-CHANGE
// brings along and others show who ask.
bool Replica::knows_primaries_of(const Payload& payload, Now now) {
    const View newest = newest_view(payload);
    if (membership_.knows(newest)) return true;
    if (const auto* change = std::get_if<ViewChangePtr>(&payload); change && (*change)->barrier)
        on_barrier((*change)->barrier, now);
    if (membership_.knows(newest)) return true;
    config_wanted_ = true;
    return false;
}

// What a kept CONFIG at the chain's tip would put in force; null: none, or its body is not here.
const Configuration* Replica::coming() const {
    const Link* link = unsettled_ ? chain_.at(*unsettled_) : nullptr;
    if (link == nullptr || !link->config) return nullptr;
    if (announced_ && announced_->hd == link->prepare.hd) return &announced_->config;
    auto next = configuration_after(*link);
    if (!next) return nullptr;
    Digest digest = configuration_digest(*next);
    announced_ = Announced{link->prepare.hd, std::move(*next), digest};
    return &announced_->config;
}

bool Replica::counts(GroupId group, Position position, Slot slot) const {
    if (!rules::members_by_slot) return known(group, position);
    if (!configs_.at(slot).active(group, position)) return false;
    if (!rules::replaced_excluded) return true;
    if (BarrierCertPtr barrier = configs_.barrier_at(slot))
        return barrier->config->active(group, position);
    const Configuration* next = unsettled_ == slot ? coming() : nullptr;
    return next == nullptr || next->active(group, position);
}

// A TC of members. Of those who left, all may be broken; but a member that had not heard yet that
// they leave has gone where they asked to, does not come back, and shows their TC. So the members
// of the configuration before end one more view, and all are together.
bool Replica::may_trigger(const TriggerCertificate& trigger) {
    auto members_of = [&](const Configuration& config) {
        return std::all_of(
            trigger.requests.begin(), trigger.requests.end(),
            [&](const RequestViewChange& r) { return config.active(r.group, r.position); });
    };
    if (!rules::members_by_slot || members_of(configs_.newest())) return true;
    BarrierCertPtr newest = configs_.barrier();
    if (!newest || last_word_ == newest->config->version) return false;
    if (trigger.view <= view_ || trigger.view > membership_.after(view_)) return false;
    if (!members_of(configs_.at(newest->slot))) return false;
    last_word_ = newest->config->version;
    return true;
}

// Its counter is worth following: it is a member, or was one for slots that are not delivered here.
bool Replica::still_matters(Position position) const {
    return active(position) || configs_.at(delivered_.next()).active(group_, position);
}

// R10. The (f+1)-th largest of the members of each configuration, as far as it is in force. Whoever
// commits beyond a barrier has seen it, so f+1 members beyond it decide what lies before it as
// well.
Slot Replica::committed_by(const std::vector<Slot>& tos) const {
    auto reach = [&](auto&& member) {
        std::vector<Slot> sorted;
        for (std::uint32_t j = 0; j < tos.size(); ++j)
            if (member(Position(j))) sorted.push_back(tos[j]);
        std::uint32_t quorum = rules::commit_quorum(membership_);
        if (sorted.size() < quorum) return Slot(0);
        std::sort(sorted.begin(), sorted.end(), std::greater<>());
        return sorted[quorum - 1];
    };
    if (!rules::members_by_slot) return reach([](Position) { return true; });
    Slot goal{};
    for (Slot slot = delivered_.next();;) {
        const Configuration& config = configs_.at(slot);
        Slot largest = reach([&](Position p) { return config.active(group_, p); });
        auto until = configs_.until(slot);
        if (largest > configs_.since(slot))
            goal = std::max(goal, until ? std::min(largest, *until) : largest);
        if (!until) break;
        slot = until->next();
    }
    if (!unsettled_ || goal < *unsettled_) return goal;
    if (reach([&](Position p) { return counts(group_, p, *unsettled_); }) >= *unsettled_)
        return goal;
    return Slot(unsettled_->value - 1);
}

// CF6: a VIEW-CHANGE that shows a configuration is judged by those who know it, and know it to be
// the one.
Replica::Step Replica::check_configs(const std::vector<ViewChangePtr>& changes) {
    for (const ViewChangePtr& change : changes) {
        if (!change->barrier || configs_.knows(*change->barrier)) continue;
        if (change->barrier->config->version <= configs_.newest().version) return Step::invalid;
        config_wanted_ = true;
        return Step::wait;
    }
    return Step::done;
}

Coming Replica::coming_of(const EntryHeader& entry, const Configuration& base) const {
    auto body = bodies_.find(entry.rd);
    if (body == bodies_.end()) return {};
    const Body* valid = valid_body(entry);
    auto change =
        valid ? decode_change((*valid)->op) : Result<ConfigChange>(error(Errc::malformed, ""));
    if (!change) return {true, std::nullopt};
    auto next = apply(base, *change);
    return {true, next ? std::optional(std::move(*next)) : std::nullopt};
}

}  // namespace bft::consensus::minbft

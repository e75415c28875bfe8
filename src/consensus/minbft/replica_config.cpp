// Configurations that the order changes (CF2-CF5, CF8): the chain stops at a CONFIG entry until
// every group has delivered it, client windows go along with partitions, and requests with them.
#include "base/invariant.hpp"
#include "consensus/config_change.hpp"
#include "consensus/minbft/replica.hpp"
#include "consensus/rules.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::consensus::minbft {

namespace {

constexpr std::size_t handovers_kept = 16;   // in memory; the log has them all
constexpr std::uint32_t donor_patience = 5;  // in T_rx
constexpr std::uint32_t handover_rate = 16;  // parts for one replica in T_rx, at most
constexpr std::size_t handed_max = 1024;

// The first part that is missing; nullopt: all are here.
std::optional<std::uint32_t> next_part(const std::vector<StatePartPtr>& parts) {
    auto missing = std::find(parts.begin(), parts.end(), nullptr);
    if (!parts.empty() && missing == parts.end()) return std::nullopt;
    return static_cast<std::uint32_t>(missing - parts.begin());
}

// What `group` takes over, by who had it.
std::map<GroupId, std::set<PartitionId>> gained_by(GroupId group, const Configuration& before,
                                                   const Configuration& after) {
    std::map<GroupId, std::set<PartitionId>> gained;
    if (!rules::windows_move) return gained;
    for (const auto& [partition, owner] : before.owners)
        if (owner != group && after.owner(partition) == group) gained[owner].insert(partition);
    return gained;
}

}  // namespace

// --- the chain stops, and goes on
// --------------------------------------------------------------------

bool Replica::settled(Slot slot, const Digest& hd) const {
    BarrierCertPtr barrier = configs_.barrier_at(slot);
    return barrier && barrier->groups.front().hd == hd;
}

// CF3. Nothing is appended beyond a kept CONFIG entry, so nothing is committed beyond it, and every
// later entry is judged by the configuration that it belongs to.
void Replica::settle_or_stop(const Link& link) {
    Slot slot = link.prepare.slot;
    if (is_null(slot, 0) || settled(slot, link.prepare.hd)) return;
    unsettled_ = slot;
    out_.events.push_back({Event::Kind::config_ordered, self(), slot, 0, {}});
}

// A view's chain reaches beyond a CONFIG entry whose barrier is not here: whoever committed beyond
// it has it.
std::optional<Slot> Replica::blocks(const ViewCert& cert,
                                    const HeaderStore::Segment& segment) const {
    const auto& nullset = cert.new_view.nullset;
    auto stops = [&](Slot slot, const Digest& hd) {
        return !std::binary_search(nullset.begin(), nullset.end(), EntryRef{slot, 0}) &&
               !settled(slot, hd);
    };
    const Link* last = chain_.at(delivered_);
    if (last != nullptr && last->config && !segment.headers.empty() &&
        stops(delivered_, last->prepare.hd))
        return delivered_;
    for (std::size_t i = 0; i + 1 < segment.headers.size(); ++i) {
        const Header& header = *segment.headers[i];
        bool config = !header.entries.empty() && header.entries[0].kind == EntryKind::config;
        if (config && stops(header.slot, segment.digests[i])) return header.slot;
    }
    return std::nullopt;
}

// CF1: the body continues what is in force at its slot.
std::optional<Configuration> Replica::configuration_after(const Link& link) const {
    const Body* body = valid_body(link.config_entry());
    if (body == nullptr) return std::nullopt;
    auto change = decode_change((*body)->op);
    if (!change) return std::nullopt;
    auto next = apply(configs_.at(link.prepare.slot), *change);
    if (!next) return std::nullopt;
    return *next;
}

// --- CHECKPOINTs at a CONFIG slot (CK1)
// -----------------------------------------------------------------

// The coordinator's group has decided the entry when it delivers it. What other groups have
// delivered may still be nullified by a view, until the coordinators say that they have kept it. A
// nullified one is final where something beyond it is delivered.
void Replica::config_checkpoint_if_due(bool leaving) {
    const Link* link = chain_.at(delivered_);
    if (halted_ || link == nullptr || !link->config || config_checkpoint_ == delivered_) return;
    if (is_null(delivered_, 0)) {
        if (!leaving) return;
        config_checkpoint_ = delivered_;
        if (delivered_.value % options_.checkpoint_every == 0)
            make_checkpoint(configs_.digest_after(delivered_), false);
        return;
    }
    BarrierCertPtr barrier = configs_.barrier_at(delivered_);
    auto next = barrier ? std::optional(*barrier->config) : configuration_after(*link);
    if (!next) return;
    Digest digest = configuration_digest(*next);
    GroupId coordinator = *configs_.owner(delivered_, PartitionId(0));
    if (rules::coordinator_first && group_ != coordinator && !barrier &&
        !foreign_certificate(coordinator, delivered_, digest))
        return;
    config_checkpoint_ = delivered_;
    make_checkpoint(digest, true);
    while (given_.size() > handovers_kept) given_.erase(given_.begin());
}

std::optional<StableCert> Replica::foreign_certificate(GroupId group, Slot slot,
                                                       const Digest& config) const {
    auto members = foreign_.find(group);
    auto hd = chain_.digest_at(slot);
    if (members == foreign_.end() || !hd) return std::nullopt;
    for (const auto& candidates : members->second) {
        auto candidate = candidates.find(slot);
        if (candidate == candidates.end()) continue;
        const Checkpoint& wanted = candidate->second;
        if (wanted.config != config || wanted.hd != *hd) continue;
        StableCert cert{group, slot, wanted.hd, wanted.ts_ms, wanted.state, {}, wanted.config};
        for (const auto& votes : members->second) {
            auto vote = votes.find(slot);
            if (vote == votes.end() || cert.signers.size() == membership_.quorum()) continue;
            if (cert.says(vote->second) && counts(group, vote->second.position, slot))
                cert.signers.push_back({vote->second.position, vote->second.signature});
        }
        if (cert.signers.size() == membership_.quorum()) return cert;
    }
    return std::nullopt;
}

// --- the barrier
// ------------------------------------------------------------------------------------

void Replica::barrier_if_complete(Now now) {
    if (!unsettled_ || halted_) return;
    const Link* link = chain_.at(*unsettled_);
    if (link == nullptr || !link->config) return;
    const Configuration* next = coming();
    if (next == nullptr) return;
    Digest digest = configuration_digest(*next);
    auto barrier = std::make_shared<BarrierCert>();
    barrier->slot = *unsettled_;
    for (const Group& group : next->groups) {
        if (!next->signs_barrier(group) && (rules::barrier_without_removed || !group.removed()))
            continue;
        std::optional<StableCert> cert;
        if (group.id != group_) {
            cert = foreign_certificate(group.id, *unsettled_, digest);
        } else if (auto own = stable_certs_.find(*unsettled_); own != stable_certs_.end()) {
            if (own->second.config == digest && own->second.hd == link->prepare.hd)
                cert = own->second;
        }
        if (cert)
            barrier->groups.push_back(std::move(*cert));
        else if (rules::barrier_waited_for || group.id == group_)
            return;
    }
    barrier->config = std::make_shared<const Configuration>(*next);
    put_in_force(barrier, now);
}

void Replica::on_barrier(const BarrierCertPtr& barrier, Now now) {
    if (barrier->config->version == configs_.newest().version.next()) put_in_force(barrier, now);
}

void Replica::put_in_force(const BarrierCertPtr& barrier, Now now) {
    if (!configs_.establish(barrier)) return;
    out_.persist.push_back({BarrierRecord{barrier}});
    out_.events.push_back(
        {Event::Kind::config_in_force, self(), barrier->slot, barrier->config->version.value, {}});
    if (const Link* link = chain_.at(barrier->slot)) {
        if (settled(barrier->slot, link->prepare.hd)) {
            if (unsettled_ == barrier->slot) unsettled_.reset();
            if (link->config && link->own.empty()) missing_.erase(link->config_entry().rd);
        }
    }
    barrier_word_.reset();
    config_wanted_ = false;
    follow_members();
    rebase_log();
    judge_again_ = true;
    out_.send.push_back({membership_.all_primaries(), barrier});
    let_requests_go();
    // Before the next slot is here: its requests wait for it.
    auto gained = gained_by(group_, configs_.at(barrier->slot), *barrier->config);
    if (delivered_ == barrier->slot && !gained.empty()) (void)take_partitions(barrier, now);
}

// A request that this group sees to. A CONFIG only when its turn has come: to wait for any other
// would be to suspect a primary that is right.
bool Replica::wants(const Request& request) const {
    if (!owns(request.id.home)) return false;
    if (request.id.home.value != 0) return admits(request);
    auto change = decode_change(request.op);
    return !unsettled_ && change && apply(configs_.newest(), *change);
}

// Another group waits for them now, or their client is none any more, and no primary orders them; a
// CONFIG request has had its time; and what came before the
// windows of its partition may have been delivered long ago.
void Replica::let_requests_go() {
    for (auto it = pending_.begin(); it != pending_.end();) {
        auto body = bodies_.find(it->second.rd);
        const bool admitted = body == bodies_.end() || admits(*body->second);
        if (owns(it->first.home) && it->first.home.value != 0 && admitted &&
            !delivered_before(it->first)) {
            ++it;
            continue;
        }
        auto count = pending_count_.find({it->first.home, it->first.client});
        if (--count->second == 0) pending_count_.erase(count);
        bodies_.erase(it->second.rd);
        watch_.gone(it->second.ticket);
        it = pending_.erase(it);
    }
}

void Replica::on_fetch_config(const Endpoint& from, const FetchConfig& fetch) {
    if (BarrierCertPtr barrier = configs_.after(fetch.version)) {
        out_.send.push_back({{from}, std::move(barrier)});
        return;
    }
    // To an admin it says: there is nothing newer, and I have caught up with it.
    BarrierCertPtr newest = configs_.barrier();
    if (from.role == Endpoint::Role::client && (!newest || delivered_ >= newest->slot))
        out_.send.push_back({{from}, FetchConfig{configs_.newest().version, options_.features}});
}

// R15 for what a barrier is made of.
void Replica::ask_for_barrier(Now now) {
    ask_for_beginning(now);
    if (taking_) {
        Taking& t = *taking_;
        if (now.mono >= t.give_up_at) {
            auto members = donors(t.slot, t.group);
            t.donor = members[(t.donors++ + position_.value) % members.size()];
            t.parts.clear();
            t.ask_at = {};
            // It may lag or be down; but answers may also take their time.
            t.give_up_at = now.mono + options_.retransmit / 2 * t.donors;
        }
        if (now.mono >= t.ask_at) {
            t.ask_at = now.mono + options_.retransmit;
            // Nobody gives anything away before the barrier: the donor may not have it yet.
            if (t.parts.empty())
                if (auto barrier = configs_.barrier_at(t.slot))
                    out_.send.push_back({{t.donor}, std::move(barrier)});
            out_.send.push_back(
                {{t.donor}, FetchState{{}, t.slot, next_part(t.parts).value_or(0)}});
        }
    }
    if ((!unsettled_ && !activating_ && !config_wanted_) || now.mono < config_ask_at_) return;
    config_ask_at_ = now.mono + options_.retransmit;
    std::vector<Endpoint> everyone = membership_.all_replicas();
    std::erase(everyone, self());
    out_.send.push_back({everyone, FetchConfig{configs_.newest().version}});
    if (!unsettled_) return;
    if (barrier_word_) out_.send.push_back({everyone, *barrier_word_});
    if (auto own = stable_certs_.find(*unsettled_); own != stable_certs_.end())
        for (const PositionSignature& s : own->second.signers)
            out_.send.push_back({everyone, own->second.of(s)});
}

// --- partitions change hands (CF8)
// --------------------------------------------------------------------

// Between the CONFIG slot and the next one: what belongs to the slot is signed as it was before.
bool Replica::leave_config_slot(Now now) {
    BarrierCertPtr barrier = configs_.barrier_at(delivered_);
    if (barrier && !take_partitions(barrier, now)) return false;
    if (!barrier) config_checkpoint_if_due(true);
    const Link* link = chain_.at(delivered_);
    if (link == nullptr || !link->config) return true;
    Digest rd = link->config_entry().rd;
    auto body = bodies_.find(rd);
    if (body == bodies_.end() || still_wanted(body->second->id, rd)) return true;
    // One that was nullified waits for its turn again, or has it in a slot behind.
    for (Slot slot = delivered_.next(); slot <= chain_.tip(); slot = slot.next())
        if (const Link& later = *chain_.at(slot); later.config && later.config_entry().rd == rd)
            return true;
    bodies_.erase(body);
    return true;
}

bool Replica::take_partitions(const BarrierCertPtr& barrier, Now now) {
    const Configuration& before = configs_.at(barrier->slot);
    auto gained = gained_by(group_, before, *barrier->config);
    for (const auto& [group, partitions] : gained) {
        if (taken_.contains({barrier->slot, group})) continue;
        if (!taking_ || taking_->slot != barrier->slot || taking_->group != group) {
            taking_ = Taking{barrier->slot, group, {}, {}, 0, {}, now.mono};
            check_at_ = {};
        }
        return false;
    }
    std::set<PartitionId> lost;
    for (const auto& [partition, owner] : before.owners)
        if (owner == group_ && barrier->config->owner(partition) != group_) lost.insert(partition);
    std::erase_if(windows_, [&](const auto& each) { return lost.contains(each.first.first); });
    for (const auto& [group, partitions] : gained) {
        for (const auto& [key, window] : taken_.at({barrier->slot, group})->windows)
            if (partitions.contains(key.first)) windows_[key] = window;
        out_.events.push_back(
            {Event::Kind::partitions_taken, self(), barrier->slot, partitions.size(), {}});
    }
    if (!gained.empty()) let_requests_go();
    return true;
}

void Replica::serve_handover(const Endpoint& from, const FetchState& fetch, Now now) {
    auto given = given_.find(fetch.slot);
    BarrierCertPtr barrier = configs_.barrier_at(fetch.slot);
    const StableCert* cert = barrier ? barrier->of(group_) : nullptr;
    if (given == given_.end() || cert == nullptr || from.role != Endpoint::Role::replica) return;
    if (handed_at_.size() > handed_max) handed_at_.clear();
    TimePoint& handed = handed_at_[from];
    if (handed != TimePoint{} && now.mono - handed < options_.retransmit / handover_rate) return;
    handed = now.mono;
    auto part = make_part(*given->second, fetch.part);
    if (!part) return;
    part->cert = *cert;
    part->barrier = barrier;
    out_.send.push_back({{from}, StatePartPtr(std::move(part))});
}

void Replica::on_handover(const Endpoint& from, const StatePartPtr& part, Now now) {
    if (!taking_ || from != taking_->donor || part->cert.group != taking_->group) return;
    Taking& t = *taking_;
    BarrierCertPtr barrier = configs_.barrier_at(t.slot);
    const StableCert* cert = barrier ? barrier->of(t.group) : nullptr;
    if (part->cert.slot != t.slot || cert == nullptr || part->cert.state != cert->state) return;
    if (t.parts.empty()) t.parts.assign(part->parts, nullptr);
    if (t.parts.size() != part->parts) return;
    t.parts[part->part] = part;
    // As fast as a donor gives.
    t.ask_at = now.mono + options_.retransmit * 2 / handover_rate;
    check_at_ = std::min(check_at_, t.ask_at);
    t.give_up_at = now.mono + options_.retransmit * donor_patience;
    if (next_part(t.parts)) return;
    auto state = std::make_shared<DerivedState>(t.parts.front()->state);
    for (std::size_t i = 1; i < t.parts.size(); ++i) {
        const DerivedState& more = t.parts[i]->state;
        state->windows.insert(more.windows.begin(), more.windows.end());
        state->unfinished.insert(state->unfinished.end(), more.unfinished.begin(),
                                 more.unfinished.end());
    }
    if (state_digest(t.group, *state) != part->cert.state) {
        out_.events.push_back({Event::Kind::disagreement, from, t.slot, 0,
                               "its state at the barrier is not what f+1 members signed"});
        t.parts.clear();
        t.give_up_at = now.mono;
        return;
    }
    out_.persist.push_back({HandoverRecord{t.group, state}});
    taken_[{t.slot, t.group}] = std::move(state);
    while (taken_.size() > handovers_kept) taken_.erase(taken_.begin());
    taking_.reset();
}

// --- restart
// ----------------------------------------------------------------------------------------

void Replica::recover_configs(const Recovered& log) {
    std::vector<BarrierCertPtr> barriers = log.barriers;
    std::sort(barriers.begin(), barriers.end(),
              [](const auto& a, const auto& b) { return a->slot < b->slot; });
    for (const BarrierCertPtr& barrier : barriers) configs_.skip_to(barrier);
    follow_members();
    for (const HandoverRecord& each : log.handovers) {
        if (each.group == group_)
            given_[each.state->slot] = each.state;
        else
            taken_[{each.state->slot, each.group}] = each.state;
    }
}

}  // namespace bft::consensus::minbft

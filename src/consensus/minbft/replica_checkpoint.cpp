// Checkpoints of what follows from the order, vouches, and what may be forgotten (CK1-CK4, CK7).
#include "base/merkle.hpp"
#include "base/sha256.hpp"
#include "consensus/minbft/replica.hpp"
#include "consensus/rules.hpp"
#include "consensus/select.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::consensus::minbft {

namespace {

constexpr std::size_t checkpoint_votes_max = 8;  // slots per member
constexpr std::size_t own_checkpoints_max = 8;
constexpr std::size_t stable_certs_max = 16;
constexpr std::size_t own_digests_max = 16;

}  // namespace

void Replica::checkpoint_if_due() {
    if (chain_.at(delivered_)->config) return config_checkpoint_if_due(false);
    if (delivered_.value % options_.checkpoint_every != 0) return;
    make_checkpoint(configs_.digest_after(delivered_), false);
}

// `of_config`: for everyone, and not what a restart or another replica begins with.
void Replica::make_checkpoint(const Digest& config, bool of_config) {
    // Clients of partitions that are gone have asked by now.
    std::erase_if(unfinished_, [&](const auto& each) {
        return each.second.first + null_retention < delivered_ &&
               configs_.owner(delivered_, each.first.home) != group_;
    });
    const Link& link = *chain_.at(delivered_);
    auto state = std::make_shared<SnapshotRecord>();
    state->slot = delivered_;
    state->hd = link.prepare.hd;
    state->ts_ms = link.prepare.header->ts_ms;
    state->null_digest = null_digest_;
    state->next_seq = chain_.next_seqs_at(delivered_);
    state->config = config;
    state->windows = windows_;
    for (const auto& [rid, item] : unfinished_) state->unfinished.push_back(item);
    std::sort(state->unfinished.begin(), state->unfinished.end(), [](const auto& a, const auto& b) {
        return std::pair(a.first, a.second.index) < std::pair(b.first, b.second.index);
    });

    Checkpoint mine{group_,    position_,    state->slot,
                    state->hd, state->ts_ms, state_digest(group_, *state),
                    {},        config};
    mine.signature = signer_.sign(checkpoint_digest(membership_.cluster, mine));
    std::vector<Endpoint> to =
        of_config ? membership_.all_replicas() : membership_.replicas(group_, position_);
    std::erase(to, self());
    if (of_config) {
        given_[delivered_] = state;
        out_.persist.push_back({HandoverRecord{group_, state}});
        barrier_word_ = mine;
    }
    out_.send.push_back({std::move(to), mine});
    newest_checkpoint_ = mine;
    own_digests_[delivered_] = mine.hd;
    while (own_digests_.size() > own_digests_max) own_digests_.erase(own_digests_.begin());
    find_fork();
    checkpoint_votes_[position_.value][delivered_] = mine;
    if (of_config) return;
    checkpoints_[delivered_] = {std::move(mine), std::move(state)};
    // The voters lag far: only the oldest states can become snapshots soon.
    while (checkpoints_.size() > own_checkpoints_max)
        checkpoints_.erase(std::prev(checkpoints_.end(), 2));
}

void Replica::on_checkpoint(const Checkpoint& checkpoint) {
    if (checkpoint.group != group_) return on_foreign_checkpoint(checkpoint);
    if (checkpoint.slot.value % options_.checkpoint_every != 0 && checkpoint.slot != unsettled_)
        return;
    // Of an older slot than the stable one only what makes an own state worth giving away.
    bool wanted =
        checkpoints_.contains(checkpoint.slot) && !stable_certs_.contains(checkpoint.slot);
    if (stable_ && checkpoint.slot <= stable_->slot && !wanted) return;
    if (checkpoint.position.value >= checkpoint_votes_.size()) return;
    auto& votes = checkpoint_votes_[checkpoint.position.value];
    votes[checkpoint.slot] = checkpoint;
    while (votes.size() > checkpoint_votes_max) votes.erase(votes.begin());
    stabilise();
    slide();
}

std::optional<StableCert> Replica::certificate_at(Slot slot) const {
    for (const auto& candidates : checkpoint_votes_) {
        auto candidate = candidates.find(slot);
        if (candidate == candidates.end()) continue;
        const Checkpoint& wanted = candidate->second;
        // Who counts is known only where the configuration is.
        if (rules::members_by_slot && wanted.config != configs_.digest_after(slot) &&
            !(unsettled_ == slot && coming() != nullptr && wanted.config == announced_->digest))
            continue;
        StableCert cert{group_, slot, wanted.hd, wanted.ts_ms, wanted.state, {}, wanted.config};
        for (const auto& votes : checkpoint_votes_) {
            auto vote = votes.find(slot);
            if (vote == votes.end() || cert.signers.size() == membership_.quorum()) continue;
            const Checkpoint& each = vote->second;
            if (cert.says(each) && counts(group_, each.position, slot))
                cert.signers.push_back({each.position, each.signature});
        }
        if (cert.signers.size() == membership_.quorum()) return cert;
    }
    return std::nullopt;
}

// CK2: f+1 equal ones; the newest slot wins.
void Replica::stabilise() {
    std::set<Slot> slots;
    for (const auto& votes : checkpoint_votes_)
        for (const auto& [slot, vote] : votes)
            if (!stable_certs_.contains(slot)) slots.insert(slot);
    for (Slot slot : slots)
        if (auto cert = certificate_at(slot)) stable_certs_.emplace(slot, std::move(*cert));
    while (stable_certs_.size() > stable_certs_max) stable_certs_.erase(stable_certs_.begin());
    if (stable_certs_.empty()) return;
    const auto& [newest, cert] = *stable_certs_.rbegin();
    if (stable_ && newest <= stable_->slot) return;
    out_.persist.push_back({StableRecord{cert}});
    out_.events.push_back({Event::Kind::checkpoint_stable, self(), newest, 0, {}});
    stable_ = cert;
    tell_others_stable();
    for (auto& votes : checkpoint_votes_) votes.erase(votes.begin(), votes.upper_bound(newest));
}

// What lies below both the stable checkpoint and what was delivered here is final: the window
// begins there. A laggard that only knows of a later stable checkpoint slides with its deliveries.
void Replica::slide() {
    if (!stable_ || halted_) return;
    // CK7: f+1 others derived something else. What we hold is corrupt, and so is what we would vote
    // for: silence until their state is here.
    for (const auto& [slot, own] : checkpoints_) {
        auto cert = stable_certs_.find(slot);
        if (cert == stable_certs_.end() || cert->second.state == own.message.state) continue;
        corrupt_ = true;
        return halt(slot, "the state derived here is not what f+1 members derived");
    }
    Slot final = std::min(delivered_, stable_->slot);
    // What is delivered of a CONFIG may still be decided otherwise: its link says so.
    if (const Link* link = chain_.at(delivered_); final == delivered_ && link && link->config)
        final = Slot(final.value - 1);
    chain_.forget_up_to(Slot(final.value - final.value % options_.checkpoint_every));
    snapshot_if_due();
}

// A restart begins at a state whose effects every voter has: nothing before it is sent again. One
// that f+1 have signed is worth waiting for, since others may need it (ST2).
void Replica::snapshot_if_due() {
    if (!stable_ || halted_) return;
    auto beyond = checkpoints_.upper_bound(std::min(stable_->slot, answered_));
    if (beyond == checkpoints_.begin()) return;
    auto chosen = beyond;
    while (chosen != checkpoints_.begin() && !stable_certs_.contains(std::prev(chosen)->first))
        --chosen;
    if (chosen == checkpoints_.begin()) {
        if (checkpoints_.size() < own_checkpoints_max / 2) return;
        chosen = beyond;
    }
    auto snapshot = std::make_shared<SnapshotRecord>(*std::prev(chosen)->second.state);
    checkpoints_.erase(checkpoints_.begin(), chosen);
    if (auto cert = stable_certs_.find(snapshot->slot); cert != stable_certs_.end())
        snapshot->cert = cert->second;
    for (const Votes& each : votes_) snapshot->votes.push_back(each.track);
    for (const Ordering& each : ordering_) snapshot->ordering.push_back(each.track);
    snapshot_ = std::move(snapshot);
    out_.persist.push_back({snapshot_, false});
}

// CK3. A vouch for oneself counts as one of f+1: another one of them is correct in any case.
void Replica::send_vouch() {
    Vouch vouch{group_, position_, {}, {}, {}};
    for (const Votes& each : votes_) vouch.votes.push_back(each.track.processed);
    for (const Ordering& each : ordering_) vouch.ordering.push_back(each.track.processed);
    vouch.signature = signer_.sign(vouch_digest(membership_.cluster, vouch));
    out_.send.push_back({membership_.replicas(group_, position_), vouch});
    if (newest_checkpoint_)
        out_.send.push_back({membership_.replicas(group_, position_), *newest_checkpoint_});
    on_vouch(vouch);
}

// CK4: the own log begins at the (f+1)-th largest counter vouched for, and keeps that message.
void Replica::on_vouch(const Vouch& vouch) {
    if (vouch.group != group_) return on_elder_vouch(vouch);
    if (vouch.position.value >= vouches_.size()) return;
    auto& newest = vouches_[vouch.position.value];
    // An older one, sent on to us.
    auto less = [](const std::vector<Counter>& a, const std::vector<Counter>& b) {
        if (a.size() < b.size()) return true;
        return std::mismatch(b.begin(), b.end(), a.begin(), std::less_equal<>()).first != b.end();
    };
    if (newest && (less(vouch.votes, newest->votes) || less(vouch.ordering, newest->ordering)))
        return;
    newest = vouch;
    rebase_log();
}

// Whoever is about to leave vouches for nothing beyond its leaving (CF4, CF6). That one leaves may
// be known to others only: views that fail in a row try other vouchers, by `turn`.
void Replica::rebase_log(std::uint64_t turn) {
    std::uint32_t me = position_.value;
    auto stays = [&, next = coming()](Position position) {
        return active(position) && (next == nullptr || next->active(group_, position));
    };
    std::vector<Vouch> best;
    for (const auto& each : vouches_)
        if (each && stays(each->position) && me < each->votes.size()) best.push_back(*each);
    std::size_t quorum = rules::vouch_quorum(membership_);
    if (best.size() < quorum || own_log_.empty()) return;
    // At first those who vouch for most. In later turns a liar that leaves must not be everybody's
    // choice because it says most: all prefer the same ones then, others in each turn.
    std::erase_if(best, [&](const Vouch& v) { return turn > 0 && v.votes[me] < vouched_.base; });
    if (best.size() < quorum) return;
    std::stable_sort(best.begin(), best.end(), [&](const Vouch& a, const Vouch& b) {
        if (turn == 0) return a.votes[me] > b.votes[me];
        std::size_t places = vouches_.size();
        return (a.position.value + turn) % places < (b.position.value + turn) % places;
    });
    best.resize(quorum);
    Counter vouched = quorum == 0 ? own().processed : best.front().votes[me];
    for (const Vouch& each : best) vouched = std::min(vouched, each.votes[me]);
    auto base = std::find_if(own_log_.rbegin(), own_log_.rend(),
                             [&](const VoteEntry& e) { return e.ui.cv <= vouched; });
    // Those who let the log begin where it does may have left: others do in their place.
    bool by_members = std::all_of(vouched_.vouches.begin(), vouched_.vouches.end(),
                                  [&](const Vouch& each) { return stays(each.position); });
    if (base == own_log_.rend() || base->ui.cv < vouched_.base ||
        (base->ui.cv == vouched_.base && by_members && turn == 0))
        return;
    vouched_.base = base->ui.cv;
    std::sort(best.begin(), best.end(),
              [](const Vouch& a, const Vouch& b) { return a.position < b.position; });
    vouched_.vouches = std::move(best);
    while (own_log_.front().ui.cv < vouched_.base) own_log_.pop_front();
    std::erase_if(own_voids_, [&](const VoidCert& cert) { return cert.cv < vouched_.base; });
    out_.persist.push_back({vouched_, false});
}

}  // namespace bft::consensus::minbft

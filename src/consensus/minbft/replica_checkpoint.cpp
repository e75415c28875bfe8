// Checkpoints of what follows from the order, vouches, and what may be forgotten (CK1-CK4, CK7).
#include "base/merkle.hpp"
#include "base/sha256.hpp"
#include "consensus/minbft/replica.hpp"
#include "consensus/rules.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::consensus::minbft {

namespace {

constexpr std::size_t checkpoint_votes_max = 8;  // slots per member
constexpr std::size_t own_checkpoints_max = 8;
constexpr std::size_t own_digests_max = 16;

}  // namespace

// D of CK1. Only what is final goes in: other groups' null decisions may still change.
Digest Replica::state_digest(const SnapshotRecord& state) const {
    std::vector<Digest> windows;
    windows.reserve(state.windows.size());
    for (const auto& [key, window] : state.windows) {
        Digester d("window");
        d.u32(key.first.value).u64(key.second.value).u64(window.low().value);
        d.text(window.bits().to_string());
        windows.push_back(d.finish());
    }
    Digester d("ck");
    d.u32(group_.value).u64(state.slot.value).digest(state.hd).digest(state.null_digest);
    d.u64(state.next_seq.size());
    for (const auto& [partition, seq] : state.next_seq) d.u32(partition.value).u64(seq.value);
    return d.digest(merkle_root(windows)).finish();
}

void Replica::checkpoint_if_due() {
    if (delivered_.value % options_.checkpoint_every != 0) return;
    const Link& link = *chain_.at(delivered_);
    auto state = std::make_shared<SnapshotRecord>();
    state->slot = delivered_;
    state->hd = link.prepare.hd;
    state->ts_ms = link.prepare.header->ts_ms;
    state->null_digest = null_digest_;
    state->next_seq = chain_.next_seqs_at(delivered_);
    state->windows = windows_;
    for (const auto& [rid, item] : unfinished_) state->unfinished.push_back(item);
    std::sort(state->unfinished.begin(), state->unfinished.end(), [](const auto& a, const auto& b) {
        return std::pair(a.first, a.second.index) < std::pair(b.first, b.second.index);
    });

    Checkpoint mine{group_, position_, state->slot, state->hd, state->ts_ms, state_digest(*state),
                    {}};
    mine.signature = signer_.sign(checkpoint_digest(membership_.cluster, mine));
    out_.send.push_back({membership_.replicas(group_, position_), mine});
    newest_checkpoint_ = mine;
    own_digests_[delivered_] = mine.hd;
    while (own_digests_.size() > own_digests_max) own_digests_.erase(own_digests_.begin());
    find_fork();
    checkpoint_votes_[position_.value][delivered_] = mine;
    checkpoints_[delivered_] = {std::move(mine), std::move(state)};
    // The voters lag far: only the oldest states can become snapshots soon.
    while (checkpoints_.size() > own_checkpoints_max)
        checkpoints_.erase(std::prev(checkpoints_.end(), 2));
}

void Replica::on_checkpoint(const Checkpoint& checkpoint) {
    if (checkpoint.group != group_) return on_foreign_checkpoint(checkpoint);
    if (checkpoint.slot.value % options_.checkpoint_every != 0) return;
    if (stable_ && checkpoint.slot <= stable_->slot) return;
    auto& votes = checkpoint_votes_[checkpoint.position.value];
    votes[checkpoint.slot] = checkpoint;
    while (votes.size() > checkpoint_votes_max) votes.erase(votes.begin());
    stabilise();
    slide();
}

// CK2: f+1 equal ones; the newest slot wins.
void Replica::stabilise() {
    std::set<Slot, std::greater<>> slots;
    for (const auto& votes : checkpoint_votes_)
        for (const auto& [slot, vote] : votes)
            if (!stable_ || slot > stable_->slot) slots.insert(slot);
    for (Slot slot : slots) {
        for (const auto& candidates : checkpoint_votes_) {
            auto candidate = candidates.find(slot);
            if (candidate == candidates.end()) continue;
            const Checkpoint& wanted = candidate->second;
            StableCert cert{group_, slot, wanted.hd, wanted.ts_ms, wanted.state, {}};
            for (const auto& votes : checkpoint_votes_) {
                auto vote = votes.find(slot);
                if (vote == votes.end() || cert.signers.size() == membership_.quorum()) continue;
                const Checkpoint& each = vote->second;
                if (each.hd == wanted.hd && each.ts_ms == wanted.ts_ms &&
                    each.state == wanted.state)
                    cert.signers.push_back({each.position, each.signature});
            }
            if (cert.signers.size() < membership_.quorum()) continue;
            out_.persist.push_back({StableRecord{cert}});
            out_.events.push_back({Event::Kind::checkpoint_stable, self(), slot, 0, {}});
            stable_ = std::move(cert);
            tell_others_stable();
            for (auto& votes : checkpoint_votes_)
                votes.erase(votes.begin(), votes.upper_bound(slot));
            return;
        }
    }
}

// What lies below both the stable checkpoint and what was delivered here is final: the window
// begins there. A laggard that only knows of a later stable checkpoint slides with its deliveries.
void Replica::slide() {
    if (!stable_) return;
    // CK7: f+1 others derived something else. What we hold is corrupt.
    auto own = checkpoints_.find(stable_->slot);
    if (own != checkpoints_.end() && own->second.message.state != stable_->state)
        return halt(stable_->slot, "the state derived here is not what f+1 members derived");
    Slot final = std::min(delivered_, stable_->slot);
    chain_.forget_up_to(Slot(final.value - final.value % options_.checkpoint_every));
    snapshot_if_due();
}

// A restart begins at a state whose effects every voter has: nothing before it is sent again.
void Replica::snapshot_if_due() {
    if (!stable_) return;
    Slot limit = std::min(stable_->slot, answered_);
    auto beyond = checkpoints_.upper_bound(limit);
    if (beyond == checkpoints_.begin()) return;
    SnapshotRecord snapshot = *std::prev(beyond)->second.state;
    checkpoints_.erase(checkpoints_.begin(), beyond);
    for (const Votes& each : votes_) snapshot.votes.push_back(each.track);
    for (const Ordering& each : ordering_) snapshot.ordering.push_back(each.track);
    out_.persist.push_back({std::move(snapshot), false});
}

// CK3. A vouch for oneself counts as one of f+1: another one of them is correct in any case.
void Replica::send_vouch() {
    Vouch vouch{group_, position_, {}, {}};
    for (const Votes& each : votes_) vouch.votes.push_back(each.track.processed);
    vouch.signature = signer_.sign(vouch_digest(membership_.cluster, vouch));
    out_.send.push_back({membership_.replicas(group_, position_), vouch});
    if (newest_checkpoint_)
        out_.send.push_back({membership_.replicas(group_, position_), *newest_checkpoint_});
    on_vouch(vouch);
}

// CK4: the own log begins at the (f+1)-th largest counter vouched for, and keeps that message.
void Replica::on_vouch(const Vouch& vouch) {
    if (vouch.group != group_) return;
    std::uint32_t me = position_.value;
    auto& newest = vouches_[vouch.position.value];
    if (newest && vouch.votes[me] < newest->votes[me]) return;
    newest = vouch;

    std::vector<Vouch> best;
    for (const auto& each : vouches_)
        if (each) best.push_back(*each);
    std::size_t quorum = rules::vouch_quorum(membership_);
    if (best.size() < quorum || own_log_.empty()) return;
    std::stable_sort(best.begin(), best.end(),
                     [&](const Vouch& a, const Vouch& b) { return a.votes[me] > b.votes[me]; });
    best.resize(quorum);
    Counter vouched = quorum == 0 ? own().processed : best.back().votes[me];
    auto base = std::find_if(own_log_.rbegin(), own_log_.rend(),
                             [&](const VoteEntry& e) { return e.ui.cv <= vouched; });
    if (base == own_log_.rend() || base->ui.cv <= vouched_.base) return;
    vouched_.base = base->ui.cv;
    std::sort(best.begin(), best.end(),
              [](const Vouch& a, const Vouch& b) { return a.position < b.position; });
    vouched_.vouches = std::move(best);
    while (own_log_.front().ui.cv < vouched_.base) own_log_.pop_front();
    std::erase_if(own_voids_, [&](const VoidCert& cert) { return cert.cv < vouched_.base; });
    out_.persist.push_back({vouched_, false});
}

}  // namespace bft::consensus::minbft

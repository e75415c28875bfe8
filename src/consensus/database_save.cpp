// The guard lends its snapshot to somebody on its own host, with what proves it (docs/adr/0020).
#include "consensus/database_guard.hpp"

#include <algorithm>

namespace bft::consensus {

void DatabaseGuard::save(Slot slot, Now now) {
    if (!membership_.is_checkpoint(slot) || state_ != State::sound) return;
    stop_reading(self_);
    holds_[slot].insert(self_);
    audit(slot, now);
}

void DatabaseGuard::end_save() {
    stop_reading(self_);
}

bool DatabaseGuard::saving(Slot slot) const {
    if (held_ && held_->slot == slot) return held_->readers.contains(self_);
    auto hold = holds_.find(slot);
    return hold != holds_.end() && hold->second.contains(self_);
}

std::optional<DatabaseGuard::Saved> DatabaseGuard::saved(Slot slot, Now now) {
    if (held_ && held_->slot == slot && saving(slot)) held_->until = now.mono + options_.lease;
    auto own = own_.find(slot);
    auto root = stable_root(slot);
    if (state_ != State::sound || !held_ || held_->slot != slot || own == own_.end() || !root ||
        own->second.root != *root)
        return std::nullopt;
    Saved saved{*root, own->second.leaves, {own->second.message}};
    for (const auto& [voter, peer] : peers_) {
        auto vote = peer.checkpoints.find(slot);
        if (vote != peer.checkpoints.end() && vote->second.root == *root)
            saved.votes.push_back(vote->second);
    }
    std::sort(saved.votes.begin(), saved.votes.end(),
              [](const DbCheckpoint& a, const DbCheckpoint& b) { return a.voter < b.voter; });
    return saved;
}

bool DatabaseGuard::lend(Slot slot, std::uint32_t leaf, std::uint32_t chunk, Now now) {
    auto own = own_.find(slot);
    if (state_ != State::sound || !held_ || held_->slot != slot || own == own_.end()) return false;
    const auto& leaves = *own->second.leaves;
    if (leaf >= leaves.size() || chunk >= leaves[leaf].chunks.size()) return false;
    held_->until = now.mono + options_.lease;
    return true;
}

}  // namespace bft::consensus

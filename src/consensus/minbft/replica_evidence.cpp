// What convicts a trusted counter or the whole order (EQUIV-PROOF, section 3.15), and what excuses
// a primary that orders nothing (L-NOFALSE).
#include "consensus/minbft/replica.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::consensus::minbft {

namespace {

constexpr std::size_t foreign_checkpoints_max = 8;  // slots per member
constexpr std::uint32_t tell_every = 4;             // vouches
// A group that does not move for so long has failed: the others must be able to leave the view.
constexpr std::int64_t excuse_max = 8;  // in T3

}  // namespace

// --- counters
// ---------------------------------------------------------------------------------------

void Replica::inspect(const Verified& message) {
    if (auto proof = equivocation_.inspect(message)) convict(*proof);
}

// Kept, told to everyone, and acted on: once for each counter.
void Replica::convict(const EquivocationProof& proof) {
    if (!equivocation_.take(proof)) return;
    out_.persist.push_back({EquivocationRecord{proof}});
    proofs_told_ = 0;
    repeat_proofs();
    apply_proof(proof);
}

void Replica::apply_proof(const EquivocationProof& proof) {
    Endpoint owner = owner_of(proof.stream);
    out_.events.push_back(alarm(proof));
    if (proof.stream.kind == StreamId::Kind::ordering) {
        // Its views are left at once, and what it certifies from now on is not followed.
        Ordering& from = ordering_[proof.stream.primary.value];
        from.stream.kill();
        from.candidate.reset();
        from.waiting.clear();
        return;
    }
    if (proof.stream.group != group_ || proof.stream.position.value >= votes_.size()) return;
    if (owner == self())
        return halt({}, "this replica's own counter has certified two messages with value " +
                            std::to_string(proof.cv.value) +
                            ": its TPM was cloned or rolled back; replace this host's identity");
    // Never unsafe to count less.
    std::uint32_t j = proof.stream.position.value;
    votes_[j].stream.kill();
    for (auto& [view, tos] : commits_)
        if (j < tos.size()) tos[j] = Slot(0);
}

// Links lose messages, and hosts are away: told again now and then, at most one for each counter.
void Replica::repeat_proofs() {
    if (equivocation_.proofs().empty() || proofs_told_++ % (2 * tell_every) != 0) return;
    std::vector<Endpoint> everyone = membership_.all_replicas();
    std::erase(everyone, self());
    for (const Endpoint& each : membership_.all_primaries()) everyone.push_back(each);
    for (const auto& [stream, proof] : equivocation_.proofs())
        out_.send.push_back({everyone, proof});
}

void Replica::recover_evidence(const Recovered& log) {
    for (const EquivocationProof& proof : log.equivocations)
        if (equivocation_.take(proof)) apply_proof(proof);
    if (log.fork)
        halt(log.fork->slot, "the order stream has forked: group " +
                                 std::to_string(log.fork->group.value) +
                                 " certified another header; see the log of the day it was found");
}

// --- the order of other groups
// ----------------------------------------------------------------------

void Replica::on_foreign_checkpoint(const Checkpoint& checkpoint) {
    if (checkpoint.slot.value % options_.checkpoint_every != 0 && checkpoint.slot != unsettled_)
        return;
    auto& members = foreign_[checkpoint.group];
    if (!known(checkpoint.group, checkpoint.position)) return;
    members.resize(std::max<std::size_t>(members.size(), checkpoint.position.value + 1));
    auto& newest = members[checkpoint.position.value];
    newest[checkpoint.slot] = checkpoint;
    while (newest.size() > foreign_checkpoints_max) newest.erase(newest.begin());
    find_fork();
}

// All groups follow one header chain. f+1 members of another group, one of them correct, say that
// they delivered another header than we did: consistency before availability.
void Replica::find_fork() {
    if (halted_) return;
    for (const auto& [group, members] : foreign_) {
        for (const auto& candidates : members) {
            for (const auto& [slot, wanted] : candidates) {
                auto own = own_digests_.find(slot);
                if (own == own_digests_.end() || own->second == wanted.hd) continue;
                StableCert other{group,        slot, wanted.hd,    wanted.ts_ms,
                                 wanted.state, {},   wanted.config};
                for (const auto& votes : members) {
                    auto vote = votes.find(slot);
                    if (vote == votes.end() || other.signers.size() == membership_.quorum())
                        continue;
                    const Checkpoint& each = vote->second;
                    if (other.says(each) && counts(group, each.position, slot))
                        other.signers.push_back({each.position, each.signature});
                }
                if (other.signers.size() < membership_.quorum()) continue;
                out_.persist.push_back({ForkRecord{other}});
                return halt(slot,
                            "the order stream has forked: group " + std::to_string(group.value) +
                                " certified another header for slot " + std::to_string(slot.value) +
                                " than this group delivered. The ordering counter of a primary is "
                                "broken. The partitions of this group stop");
            }
        }
    }
}

// Other groups compare digests with it, and know what the primary's window waits for. All signers'
// words, not only the own one: whoever restarts hears at once how far everyone is.
void Replica::tell_others_stable() {
    if (!stable_ || membership_.groups.size() < 2) return;
    std::vector<Endpoint> others = membership_.all_replicas();
    std::erase_if(others, [&](const Endpoint& each) { return each.group == group_; });
    for (const PositionSignature& s : stable_->signers)
        out_.send.push_back({others, stable_->of(s)});
}

// --- excuses
// ----------------------------------------------------------------------------------------

// As the primary reckons (P2): the (f+1)-th largest of each group.
Slot Replica::low_of_all() const {
    Slot low = chain_.low();
    for (const Group& group : membership_.groups) {
        if (group.id == group_ || group.removed()) continue;
        std::vector<Slot> slots(membership_.replicas_per_group(), configs_.began(group.id));
        if (auto known = foreign_.find(group.id); known != foreign_.end())
            for (std::uint32_t j = 0; j < known->second.size(); ++j)
                if (!known->second[j].empty() && group.active(Position(j)))
                    slots[membership_.seat(Position(j))] = std::max(
                        slots[membership_.seat(Position(j))], known->second[j].rbegin()->first);
        std::sort(slots.begin(), slots.end(), std::greater<>());
        low = std::min(low, slots[membership_.f]);
    }
    return low;
}

// A correct primary stops at its window's end, and orders nothing for a group whose executions are
// too far behind. Two checkpoints' worth of doubt: we hear of progress later than it does.
void Replica::let_time_pass(Now now) {
    Slot low = low_of_all();
    bool held = unsettled_ ||
                chain_.tip().value + 2 * options_.checkpoint_every >= low.value + options_.window;
    if (!held || low != window_low_) held_since_ = now.mono;
    window_low_ = low;
    LeaderWatch::Excuse excuse;
    excuse.slots =
        held && now.mono - held_since_ < patience(options_.silence_patience) * excuse_max;
    excuse.requests = excuse.slots || backlog_ + in_chain_.size() >= options_.backlog_entries;
    watch_.pass(now.mono, excuse);
}

}  // namespace bft::consensus::minbft

// The guard's other half: a database in quarantine, until it is rebuilt (DBS2, DBS4, DBS5).
#include "base/invariant.hpp"
#include "consensus/database_guard.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::consensus {

namespace {

constexpr std::uint32_t doublings_max = 6;
constexpr std::size_t loads_max = 2;  // chunks given to the database and not yet in it

}  // namespace

void DatabaseGuard::quarantine(const std::string& why, Now now) {
    bool named = state_ == State::sound && own_.contains(cut_) && cut_.value != 0;
    state_ = State::naming;
    reason_ = why;
    differences_.clear();
    attempts_ = 0;
    ++quarantines_;
    out_.stop = true;
    held_.reset();
    out_.release = true;
    holds_.clear();
    note(Event::Kind::quarantined, self(), cut_, quarantines_, why);
    if (!named) return choose_cut(now);
    donors_ = signers(cut_, root_);
    donor_ = refusals_ = 0;
    give_up_at_ = now.mono + options_.naming_within;
    ask_leaves(now);
}

void DatabaseGuard::damaged(const std::string& why, Now now) {
    if (state_ != State::sound && state_ != State::waiting) return;
    cut_ = Slot(0);
    quarantine(why, now);
    if (differences_.size() < options_.differences_kept) differences_.push_back(why);
}

void DatabaseGuard::resync(Now now) {
    if (state_ != State::sound) return;
    cut_ = Slot(0);
    quarantine("an operator asked for it", now);
}

// A checkpoint slot that the others have not reached yet, by what f_D+1 of them say; further ahead
// each time that it came too late.
void DatabaseGuard::choose_cut(Now now) {
    state_ = State::cutting;
    own_.clear();
    leaves_.reset();
    plan_.clear();
    fetched_ = loaded_ = 0;
    unable_.clear();
    std::uint64_t every = membership_.checkpoint_slots;
    std::size_t heard = 0;
    for (const auto& [voter, peer] : peers_) heard += peer.checkpoint != Slot(0) ? 1 : 0;
    if (every == 0 || heard < membership_.database_quorum()) {
        // Without cuts, or before we know where the others stand, there is nothing to ask for. Who
        // was started again knows its place only from the next checkpoint on.
        cut_ = Slot(0);
        give_up_at_ = now.mono;
        return;
    }
    std::uint32_t doublings = std::min(attempts_, doublings_max);
    Slot reached = std::max(credible_checkpoint(), checkpoint_);
    if (attempts_ % 2 == 0 || membership_.scan_slots == 0) {
        cut_ =
            Slot(reached.value - reached.value % every + every * (std::uint64_t{2} << doublings));
    } else {
        // Who scans all the time has room for no cut besides those of its schedule, the rarer ones
        // above all (Voter::cut_skipped).
        std::uint64_t rare = membership_.scan_slots << doublings / 2;
        std::uint64_t soonest = reached.value + 2 * every;
        cut_ = Slot(soonest + (rare - soonest % rare) % rare);
    }
    Duration patience = std::min(options_.cut_within * (1 << doublings), options_.cut_within_max);
    ++attempts_;
    give_up_at_ = now.mono + patience;
    out_.send.push_back({others(), DbCut{self_, cut_, true}});
}

void DatabaseGuard::watch_cut(Now now) {
    if (auto root = stable_root(cut_)) {
        note_stable(cut_, *root);
        return begin_fetching(cut_, *root, now);
    }
    bool hopeless = peers_.size() - unable_.size() < membership_.database_quorum();
    if (now.mono >= give_up_at_ || hopeless) return choose_cut(now);
    out_.send.push_back({others(), DbCut{self_, cut_, true}});
}

void DatabaseGuard::begin_fetching(Slot slot, const Digest& root, Now now) {
    state_ = State::fetching;
    cut_ = slot;
    root_ = root;
    donors_ = signers(slot, root);
    donor_ = refusals_ = 0;
    ask_leaves(now);
}

void DatabaseGuard::ask_leaves(Now now) {
    ask_by_ = now.mono + options_.answer_within;
    if (donors_.empty()) return;
    out_.send.push_back({{Endpoint::voter(donors_[donor_])}, FetchDbLeaves{self_, cut_}});
}

void DatabaseGuard::on_leaves(const DbLeaves& answer, Now now) {
    if (state_ != State::naming && state_ != State::fetching) return;
    if (answer.slot != cut_ || donors_.empty() || answer.voter != donors_[donor_]) return;
    if (database_root(*answer.leaves) != root_) {
        note(Event::Kind::disagreement, Endpoint::voter(answer.voter), cut_, 0,
             "leaves that are not of the root that it signed");
        return next_donor("wrong leaves", now);
    }
    if (state_ == State::naming) {
        name_differences(*answer.leaves);
        return choose_cut(now);
    }
    leaves_ = answer.leaves;
    plan_.clear();
    for (std::uint32_t leaf = 0; leaf < leaves_->size(); ++leaf)
        for (std::uint32_t chunk = 0; chunk < (*leaves_)[leaf].chunks.size(); ++chunk)
            plan_.emplace_back(leaf, chunk);
    fetched_ = loaded_ = 0;
    refusals_ = 0;
    state_ = State::emptying;
    note(Event::Kind::transferring, Endpoint::voter(answer.voter), cut_, plan_.size(),
         "the database is emptied and loaded again");
    out_.rebuild = Rebuild{cut_, root_, leaves_};
}

// --- chunks
// -------------------------------------------------------------------------

void DatabaseGuard::ready_to_load(Now now) {
    if (state_ != State::emptying) return;
    state_ = State::loading;
    if (!plan_.empty()) return ask_chunk(now);
    state_ = State::checking;
    out_.finish = true;
}

void DatabaseGuard::ask_chunk(Now now) {
    if (fetched_ == plan_.size() || fetched_ - loaded_ >= loads_max) {
        ask_by_ = TimePoint::max();
        return;
    }
    ask_by_ = now.mono + options_.answer_within;
    auto [leaf, chunk] = plan_[fetched_];
    out_.send.push_back(
        {{Endpoint::voter(donors_[donor_])}, FetchDbChunk{self_, cut_, leaf, chunk}});
}

void DatabaseGuard::on_chunk(const DbChunk& answer, Now now) {
    if (state_ != State::loading || fetched_ == plan_.size() || answer.slot != cut_) return;
    // Not asked for: an answer that came late, or twice.
    if (answer.voter != donors_[donor_] || ask_by_ == TimePoint::max()) return;
    auto [leaf, chunk] = plan_[fetched_];
    if (answer.leaf != leaf || answer.chunk != chunk) return;
    if (chunk_digest(answer.rows) != (*leaves_)[leaf].chunks[chunk]) {
        note(Event::Kind::disagreement, Endpoint::voter(answer.voter), cut_, 0,
             "rows that are not those of the root that it signed");
        return next_donor("wrong rows", now);
    }
    refusals_ = 0;
    ++fetched_;
    out_.load.push_back({leaf, chunk, answer.rows});
    ask_chunk(now);
}

void DatabaseGuard::loaded(Now now) {
    if (state_ != State::loading) return;
    ++loaded_;
    invariant(loaded_ <= fetched_, "only what was fetched is loaded");
    if (loaded_ == plan_.size()) {
        state_ = State::checking;
        out_.finish = true;
        return;
    }
    if (ask_by_ == TimePoint::max()) ask_chunk(now);
}

void DatabaseGuard::rebuilt(Now now) {
    if (state_ != State::checking) return;
    state_ = State::sound;
    moved_at_ = now.mono;
    checkpoint_ = cut_;
    own_.clear();
    ++transfers_;
    out_.send.push_back({others(), DbGone{self_, cut_}});  // nobody needs to hold it any more
    note(Event::Kind::transferred, self(), cut_, plan_.size(), "the database is what f_D+1 signed");
}

void DatabaseGuard::rebuild_failed(const std::string& why, Now now) {
    if (state_ == State::sound) return;
    start_over(why, now);
}

void DatabaseGuard::on_gone(const DbGone& gone, Now now) {
    if (state_ == State::cutting && gone.slot == cut_) {
        unable_.insert(gone.voter);
        return;
    }
    if (held_ && gone.slot == held_->slot) return stop_reading(gone.voter);
    bool asked = state_ == State::naming || state_ == State::fetching || state_ == State::loading;
    if (!asked || gone.slot != cut_ || donors_.empty() || gone.voter != donors_[donor_]) return;
    if (ask_by_ == TimePoint::max()) return;
    next_donor("it no longer holds the cut", now);
}

// Another signer has the same rows. When none of them helps, a newer cut does.
void DatabaseGuard::next_donor(const char* why, Now now) {
    if (donors_.empty() || ++refusals_ > 2 * donors_.size()) {
        if (state_ == State::naming) return choose_cut(now);
        return start_over(std::string("no donor is left: ") + why, now);
    }
    donor_ = (donor_ + 1) % donors_.size();
    if (state_ == State::loading)
        ask_chunk(now);
    else
        ask_leaves(now);
}

void DatabaseGuard::start_over(const std::string& why, Now now) {
    note(Event::Kind::dropped, self(), cut_, attempts_, "the transfer begins again: " + why);
    choose_cut(now);
}

}  // namespace bft::consensus

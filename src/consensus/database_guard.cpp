// Roots compared, cuts agreed, and the snapshot lent to others: the part of the guard that runs
// while the database is sound.
#include "consensus/database_guard.hpp"

#include "base/invariant.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::consensus {

namespace {

constexpr std::size_t cuts_kept = 4;   // roots per voter, own ones included
constexpr std::size_t holds_max = 16;  // cuts that others want to read
constexpr std::size_t blamed_max = 256;

std::string text_of(const DbLeaf& leaf) {
    return "table " + leaf.table +
           (leaf.partition.value == 0 ? "" : " partition " + std::to_string(leaf.partition.value));
}

template <class Map>
void keep_newest(Map& map) {
    while (map.size() > cuts_kept) map.erase(map.begin());
}

}  // namespace

const char* to_string(DatabaseGuard::State state) {
    using State = DatabaseGuard::State;
    switch (state) {
        case State::sound:
            return "sound";
        case State::waiting:
            return "waiting";
        case State::naming:
            return "naming";
        case State::cutting:
            return "cutting";
        case State::fetching:
            return "fetching";
        case State::emptying:
            return "emptying";
        case State::loading:
            return "loading";
        case State::checking:
            return "checking";
    }
    return "unknown";
}

DatabaseGuard::DatabaseGuard(const Membership& membership, VoterId self, GuardOptions options,
                             Signer& signer, Condition condition)
    : membership_(membership), self_(self), options_(options), signer_(signer) {
    for (std::uint32_t d = 0; d < membership.voters.size(); ++d)
        if (VoterId(d) != self)
            peers_[VoterId(d)].cut_credit = options.cut_interval * options.cut_burst;
    if (condition == Condition::empty) {
        state_ = State::waiting;
        out_.stop = true;
    } else if (condition == Condition::half_built) {
        quarantine("a transfer was interrupted", Now{});
    } else if (condition == Condition::unseeded) {
        quarantine(
            "the database is empty, and this cluster begins with a snapshot: `bftctl snapshot "
            "restore` loads it, or f_D+1 others do",
            Now{});
    }
}

void DatabaseGuard::receive(const Verified& message, Now now) {
    // One that has come with a configuration that is not known here says it again.
    if (message.from().role != Endpoint::Role::voter || message.from() == self() ||
        !peers_.contains(VoterId(message.from().index)))
        return;
    const Payload& payload = message.payload();
    if (const auto* checkpoint = std::get_if<DbCheckpoint>(&payload))
        on_checkpoint(*checkpoint, now);
    else if (const auto* cut = std::get_if<DbCut>(&payload))
        on_cut(*cut, now);
    else if (const auto* status = std::get_if<VoterStatus>(&payload))
        on_status(*status);
    else if (const auto* leaves = std::get_if<FetchDbLeaves>(&payload))
        on_fetch_leaves(*leaves);
    else if (const auto* chunk = std::get_if<FetchDbChunk>(&payload))
        on_fetch_chunk(message.from(), *chunk, now);
    else if (const auto* found = std::get_if<DbLeaves>(&payload))
        on_leaves(*found, now);
    else if (const auto* rows = std::get_if<DbChunk>(&payload))
        on_chunk(*rows, now);
    else if (const auto* gone = std::get_if<DbGone>(&payload))
        on_gone(*gone, now);
}

// --- roots (DBS1, DBS2)
// -------------------------------------------------------------------------

void DatabaseGuard::scanned(Scan scan, Now now) {
    if (state_ != State::sound || !scan.leaves) {
        holds_.erase(scan.slot);
        out_.release = true;
        return;
    }
    Own own{scan.slot, database_root(*scan.leaves), scan.leaves, {}};
    own.message = {self_, scan.slot, own.root, {}};
    own.message.signature = signer_.sign(db_checkpoint_digest(membership_.cluster, own.message));
    out_.send.push_back({others(), own.message});
    announce_at_ = now.mono + options_.announce_interval;
    own_[scan.slot] = std::move(own);
    keep_newest(own_);
    hold_or_release(scan.slot, now);
    compare(scan.slot, now);
}

// An empty database is as good as none here; whether the others are new is theirs to say.
void DatabaseGuard::joined(VoterId voter) {
    if (voter == self_) return;
    Peer& peer = peers_[voter];
    const std::uint32_t exports = peer.exports;
    peer = Peer();
    peer.cut_credit = options_.cut_interval * options_.cut_burst;
    peer.exports = exports;
    stop_reading(voter);
}

void DatabaseGuard::hold_or_release(Slot slot, Now now) {
    std::set<VoterId> readers;
    if (auto wanted = holds_.find(slot); wanted != holds_.end()) readers = wanted->second;
    holds_.erase(holds_.begin(), holds_.upper_bound(slot));
    if (readers.empty())
        out_.release = true;
    else
        held_ = Held{slot, std::move(readers), now.mono, now.mono + options_.lease};
}

void DatabaseGuard::cut_skipped(Slot slot) {
    holds_.erase(slot);
}

// It has what it wanted, or wants another cut now.
void DatabaseGuard::stop_reading(VoterId reader) {
    for (auto hold = holds_.begin(); hold != holds_.end();) {
        hold->second.erase(reader);
        hold = hold->second.empty() ? holds_.erase(hold) : std::next(hold);
    }
    if (!held_ || held_->readers.erase(reader) == 0 || !held_->readers.empty()) return;
    held_.reset();
    out_.release = true;
}

void DatabaseGuard::on_checkpoint(const DbCheckpoint& message, Now now) {
    if (!membership_.is_checkpoint(message.slot)) return;
    Peer& peer = peers_.at(message.voter);
    // The first one counts; a voter that signs two roots for one slot gains nothing by the second.
    if (!peer.checkpoints.emplace(message.slot, message).second) return;
    keep_newest(peer.checkpoints);
    compare(message.slot, now);
}

std::vector<VoterId> DatabaseGuard::signers(Slot slot, const Digest& root) const {
    std::vector<VoterId> found;
    for (const auto& [voter, peer] : peers_) {
        auto vote = peer.checkpoints.find(slot);
        if (vote != peer.checkpoints.end() && vote->second.root == root) found.push_back(voter);
    }
    return found;
}

/// The root that f_D+1 voters signed at `slot`, own included.
std::optional<Digest> DatabaseGuard::stable_root(Slot slot) const {
    std::map<Digest, std::size_t> count;
    if (auto own = own_.find(slot); own != own_.end()) ++count[own->second.root];
    for (const auto& [voter, peer] : peers_)
        if (auto vote = peer.checkpoints.find(slot); vote != peer.checkpoints.end())
            ++count[vote->second.root];
    for (const auto& [root, votes] : count)
        if (votes >= membership_.database_quorum()) return root;
    return std::nullopt;
}

void DatabaseGuard::note_stable(Slot slot, const Digest& root) {
    if (slot <= stable_) return;
    stable_ = slot;
    stable_root_ = root;
    note(Event::Kind::database_stable, self(), slot, signers(slot, root).size(), {});
}

void DatabaseGuard::compare(Slot slot, Now now) {
    auto root = stable_root(slot);
    auto own = own_.find(slot);
    if (!root) {
        std::size_t votes = own != own_.end() ? 1 : 0;
        for (const auto& [voter, peer] : peers_) votes += peer.checkpoints.contains(slot) ? 1 : 0;
        if (votes == peers_.size() + 1)
            note(Event::Kind::nondeterminism, {}, slot, 0, "no f_D+1 databases have one root");
        return;
    }
    note_stable(slot, *root);
    for (const auto& [voter, peer] : peers_) {
        auto vote = peer.checkpoints.find(slot);
        if (vote == peer.checkpoints.end() || vote->second.root == *root) continue;
        if (blamed_.size() >= blamed_max) blamed_.erase(blamed_.begin());
        if (blamed_.emplace(slot, voter).second)
            note(Event::Kind::database_differs, Endpoint::voter(voter), slot, 0,
                 "its root is not the one that f_D+1 signed");
    }
    if (state_ == State::sound && own != own_.end() && own->second.root != *root) {
        cut_ = slot;
        root_ = *root;
        quarantine("own root at slot " + std::to_string(slot.value) +
                       " is not the one that f_D+1 databases have",
                   now);
    }
}

void DatabaseGuard::name_differences(const std::vector<DbLeaf>& right) {
    auto own = own_.find(cut_);
    if (own == own_.end()) return;
    std::map<std::pair<std::string, PartitionId>, const DbLeaf*> mine;
    for (const DbLeaf& leaf : *own->second.leaves) mine[{leaf.table, leaf.partition}] = &leaf;
    auto add = [&](std::string what) {
        if (differences_.size() >= options_.differences_kept) return;
        note(Event::Kind::database_differs, self(), cut_, 0, what);
        differences_.push_back(std::move(what));
    };
    for (const DbLeaf& leaf : right) {
        auto found = mine.find({leaf.table, leaf.partition});
        if (found == mine.end()) {
            add(text_of(leaf) + ": all " + std::to_string(leaf.rows) + " rows are missing");
            continue;
        }
        if (found->second->rows != leaf.rows)
            add(text_of(leaf) + ": " + std::to_string(found->second->rows) + " rows instead of " +
                std::to_string(leaf.rows));
        else if (found->second->chunks != leaf.chunks)
            add(text_of(leaf) + ": other contents");
        mine.erase(found);
    }
    for (const auto& [name, leaf] : mine)
        add(text_of(*leaf) + ": " + std::to_string(leaf->rows) + " rows that should not be there");
}

// --- cuts that somebody asks for
// -------------------------------------------------------------------------

// One scan costs seconds of CPU, so a voter's wishes have a budget.
void DatabaseGuard::on_cut(const DbCut& cut, Now now) {
    if (!membership_.is_checkpoint(cut.slot)) return;
    Slot known = std::max(checkpoint_, credible_checkpoint());
    if (cut.slot > known && cut.slot - known > options_.cut_ahead_max) return;
    if (state_ != State::sound || cut.slot <= checkpoint_) {
        // Too late, or of no use: it had better choose another one. Unless it is being scanned.
        if (cut.hold && !own_.contains(cut.slot) && !holds_.contains(cut.slot))
            out_.send.push_back({{Endpoint::voter(cut.voter)}, DbGone{self_, cut.slot}});
        return;
    }
    Peer& peer = peers_.at(cut.voter);
    if (cut.slot != peer.cut) {
        peer.cut_credit = std::min<Duration>(options_.cut_interval * options_.cut_burst,
                                             peer.cut_credit + (now.mono - peer.credit_at));
        peer.credit_at = now.mono;
        if (peer.cut_credit < options_.cut_interval) {
            return note(Event::Kind::dropped, Endpoint::voter(cut.voter), cut.slot, 0,
                        "asks for too many cuts");
        }
        peer.cut_credit -= options_.cut_interval;
        peer.cut = cut.slot;
        if (cut.hold) stop_reading(cut.voter);
    }
    out_.cuts.push_back(cut.slot);
    if (cut.hold && (holds_.size() < holds_max || holds_.contains(cut.slot)))
        holds_[cut.slot].insert(cut.voter);
}

void DatabaseGuard::audit(Slot slot, Now) {
    if (!membership_.is_checkpoint(slot)) return;
    out_.cuts.push_back(slot);
    out_.send.push_back({others(), DbCut{self_, slot, false}});
}

// --- the snapshot, lent
// -------------------------------------------------------------------------

void DatabaseGuard::on_fetch_leaves(const FetchDbLeaves& fetch) {
    auto own = own_.find(fetch.slot);
    Endpoint asker = Endpoint::voter(fetch.voter);
    if (state_ != State::sound || own == own_.end()) {
        out_.send.push_back({{asker}, DbGone{self_, fetch.slot}});
        return;
    }
    out_.send.push_back({{asker}, DbLeaves{self_, fetch.slot, own->second.leaves}});
}

void DatabaseGuard::on_fetch_chunk(const Endpoint& from, const FetchDbChunk& fetch, Now now) {
    auto own = own_.find(fetch.slot);
    if (!held_ || held_->slot != fetch.slot || own == own_.end() || state_ != State::sound) {
        out_.send.push_back({{from}, DbGone{self_, fetch.slot}});
        return;
    }
    const auto& leaves = *own->second.leaves;
    if (fetch.leaf >= leaves.size() || fetch.chunk >= leaves[fetch.leaf].chunks.size()) return;
    Peer& peer = peers_.at(fetch.voter);
    if (peer.exports > 0) return;  // one at a time; it asks again
    ++peer.exports;
    held_->until = now.mono + options_.lease;
    out_.exports.push_back({from, fetch.slot, fetch.leaf, fetch.chunk});
}

void DatabaseGuard::exported(const ChunkExport& asked, std::optional<Bytes> rows, Now) {
    bool ours = asked.asker == self();  // lend(): whoever asked has the rows
    if (!ours) {
        Peer& peer = peers_.at(VoterId(asked.asker.index));
        if (peer.exports > 0) --peer.exports;
    }
    if (!rows) {
        held_.reset();
        out_.release = true;
        if (!ours) out_.send.push_back({{asked.asker}, DbGone{self_, asked.slot}});
        return;
    }
    if (ours) return;
    out_.send.push_back(
        {{asked.asker}, DbChunk{self_, asked.slot, asked.leaf, asked.chunk, std::move(*rows)}});
}

// --- where the others stand
// -------------------------------------------------------------------------

void DatabaseGuard::on_status(const VoterStatus& status) {
    Peer& peer = peers_.at(status.voter);
    peer.heard = true;
    peer.next.clear();
    for (const PartitionSeq& s : status.next)
        if (membership_.owner(s.partition)) peer.next[s.partition] = s.seq;
    if (membership_.is_checkpoint(status.checkpoint)) peer.checkpoint = status.checkpoint;
}

// The (f_D+1)-th largest: one of those who claim as much or more is correct.
Slot DatabaseGuard::credible_checkpoint() const {
    std::vector<Slot> claims;
    for (const auto& [voter, peer] : peers_) claims.push_back(peer.checkpoint);
    std::sort(claims.rbegin(), claims.rend());
    return claims.size() > membership_.f_database ? claims[membership_.f_database] : Slot(0);
}

void DatabaseGuard::standing(const std::map<PartitionId, Seq>& next, Slot checkpoint, bool busy,
                             Now now) {
    if (busy || next != next_) moved_at_ = now.mono;
    next_ = next;
    checkpoint_ = std::max(checkpoint_, checkpoint);
}

bool DatabaseGuard::behind() const {
    for (const auto& [partition, owner] : membership_.owners) {
        std::vector<Seq> claims;
        for (const auto& [voter, peer] : peers_)
            if (auto claim = peer.next.find(partition); claim != peer.next.end())
                claims.push_back(claim->second);
        if (claims.size() <= membership_.f_database) continue;
        std::sort(claims.rbegin(), claims.rend());
        auto mine = next_.find(partition);
        if (claims[membership_.f_database] > (mine == next_.end() ? Seq(1) : mine->second))
            return true;
    }
    return false;
}

// V10. What f+1 replicas ask for goes on below where this database stands, and so do all but f_D
// databases: it never executed what it takes for executed. (Of 2f_D+1 these are f_D+1. One more may
// be new, and empty.) A sound one that is ahead has executed what
// f+1 replicas asked for, so they go on above it, or not at all.
bool DatabaseGuard::ahead(Now now) {
    for (const auto& [partition, order] : asked_again_) {
        auto mine = next_.find(partition);
        auto lower =
            std::count_if(peers_.begin(), peers_.end(), [&, p = partition](const auto& each) {
                auto claim = each.second.next.find(p);
                return claim != each.second.next.end() && mine != next_.end() &&
                       claim->second < mine->second;
            });
        if (mine == next_.end() || order.next() >= mine->second ||
            lower < static_cast<std::ptrdiff_t>(peers_.size() + 1 - membership_.f_database)) {
            ahead_.erase(partition);
            continue;
        }
        Ahead& first =
            ahead_.try_emplace(partition, Ahead{mine->second, order, now.mono}).first->second;
        if (first.mine != mine->second) first = {mine->second, order, now.mono};
        if (order > first.order && now.mono - first.since >= options_.stuck_after) return true;
    }
    return false;
}

void DatabaseGuard::check_progress(Now now) {
    if (ahead(now)) {
        ahead_.clear();
        asked_again_.clear();
        return quarantine(
            "it stands ahead of what f+1 replicas order: it takes for executed what "
            "it never executed",
            now);
    }
    if (!behind()) {
        moved_at_ = now.mono;
        return;
    }
    if (now.mono - moved_at_ < options_.stuck_after) return;
    quarantine("it stands still while f_D+1 others are ahead: what it lacks is no longer sent",
               now);
}

// f_D+1 voters that have executed nothing, this one among them: at most f_D of them lie or have
// lost their databases. Otherwise it begins all the same: what is executed from the first entry on
// is right, and who cannot get the first entries is found to stand still. To wait for a transfer
// instead would be to wait for f_D+1 others, of whom f_D may be gone: it may be one of those who
// are needed.
void DatabaseGuard::judge_empty(Now now) {
    if (!waiting_since_) waiting_since_ = now.mono;
    std::size_t fresh = 1;
    for (const auto& [voter, peer] : peers_)
        if (peer.heard && std::all_of(peer.next.begin(), peer.next.end(),
                                      [](const auto& s) { return s.second <= Seq(1); }))
            ++fresh;
    bool patient = now.mono - *waiting_since_ < options_.stuck_after;
    if (fresh < membership_.database_quorum() && !behind() && patient) return;
    state_ = State::sound;
    moved_at_ = now.mono;
    out_.begin = true;
}

// --- time
// -------------------------------------------------------------------------

void DatabaseGuard::announce(Now now) {
    if (own_.empty() || now.mono < announce_at_ || state_ != State::sound) return;
    announce_at_ = now.mono + options_.announce_interval;
    out_.send.push_back({others(), own_.rbegin()->second.message});
}

void DatabaseGuard::tick(Now now) {
    if (now.mono < check_at_) return;
    check_at_ = now.mono + options_.check_interval;
    announce(now);
    if (held_ && (now.mono >= held_->until || now.mono - held_->since >= options_.lease_max ||
                  strikes(options_.quirks, Quirk::short_lease))) {
        held_.reset();
        out_.release = true;
    }
    bool asking = state_ == State::naming || state_ == State::fetching || state_ == State::loading;
    bool hasty = asking && strikes(options_.quirks, Quirk::other_donor);
    switch (state_) {
        case State::sound:
            return check_progress(now);
        case State::waiting:
            // Whoever wants to know who else is empty says so.
            out_.send.push_back({others(), VoterStatus{self_, {}, {}}});
            return judge_empty(now);
        case State::naming:
            if (now.mono >= give_up_at_) return choose_cut(now);
            if (now.mono >= ask_by_ || hasty) return next_donor("no answer", now);
            return;
        case State::cutting:
            return watch_cut(now);
        case State::fetching:
        case State::loading:
            if (now.mono >= ask_by_ || hasty) next_donor("no answer", now);
            return;
        case State::emptying:
        case State::checking:
            return;  // the database says when it is done
    }
}

std::vector<Endpoint> DatabaseGuard::others() const {
    std::vector<Endpoint> all;
    for (const auto& [voter, peer] : peers_) all.push_back(Endpoint::voter(voter));
    return all;
}

void DatabaseGuard::note(Event::Kind kind, const Endpoint& peer, Slot slot, std::uint64_t count,
                         std::string text) {
    out_.events.push_back({kind, peer, slot, count, std::move(text)});
}

DatabaseGuard::Report DatabaseGuard::report() const {
    Report report;
    report.state = state_;
    report.reason = reason_;
    report.stable = stable_;
    report.stable_root = stable_root_;
    for (const auto& [slot, own] : own_) {
        report.scanned = slot;
        report.root = own.root;
        report.roots[slot][self_] = own.root;
    }
    for (const auto& [voter, peer] : peers_)
        for (const auto& [slot, message] : peer.checkpoints)
            report.roots[slot][voter] = message.root;
    report.differences = differences_;
    report.chunks = plan_.size();
    report.chunks_loaded = loaded_;
    report.quarantines = quarantines_;
    report.transfers = transfers_;
    report.snapshot_held = held_.has_value();
    return report;
}

}  // namespace bft::consensus

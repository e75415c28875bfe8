// The voter's order: what was decided goes to the workers partition by partition (V2-V5), and what
// time brings about (V9, V10).
#include "base/invariant.hpp"
#include "consensus/config_change.hpp"
#include "consensus/rules.hpp"
#include "consensus/signed_bytes.hpp"
#include "consensus/voter.hpp"

#include <algorithm>

namespace bft::consensus {

namespace {

constexpr std::uint64_t fetch_span_max = 1024;  // sequence numbers in one FETCH-DBITEM
constexpr std::size_t fetch_bodies_max = 128;   // per group and round
constexpr std::size_t fetch_lanes_max = 64;     // FETCH-DBITEMs in one round
constexpr std::uint32_t fetch_backoff_max = 5;  // doublings
constexpr std::size_t cuts_max = 64;
constexpr std::uint32_t scan_shift_max = 16;
constexpr std::uint32_t scans_before_more = 8;  // in a row, until the schedule is tried again

std::uint64_t bit(std::uint32_t position) {
    return std::uint64_t{1} << position;
}

}  // namespace

// --- the order ---

void Voter::index_claims(const Key& key, const Candidate& candidate, Now now) {
    for (const PartitionSeq& s : candidate.item.seqs) {
        Lane& lane = lanes_.at(s.partition);
        if (lane.known.empty()) lane.quiet_since = now.mono;
        lane.known.emplace(s.seq, key);
    }
}

void Voter::drop_claims(const Key& key, const Entry& entry, const Candidate& candidate) {
    for (const PartitionSeq& s : candidate.item.seqs) {
        bool shared = std::any_of(
            entry.candidates.begin(), entry.candidates.end(), [&](const Candidate& other) {
                return &other != &candidate &&
                       std::find(other.item.seqs.begin(), other.item.seqs.end(), s) !=
                           other.item.seqs.end();
            });
        if (!shared) lanes_.at(s.partition).known.erase({s.seq, key});
    }
}

// With `how`, its voters are named for it.
void Voter::remove_candidate(const Key& key, Entry& entry, std::size_t index, const char* how) {
    Candidate& candidate = entry.candidates[index];
    drop_claims(key, entry, candidate);
    for (std::uint32_t j = 0; j < group_size(key.group); ++j) {
        if ((candidate.voters & bit(j)) == 0) continue;
        Endpoint voter = Endpoint::replica(key.group, Position(j));
        if (how != nullptr) disagree(voter, key, how);
        release_charge(voter, key, entry);
    }
    entry.candidates.erase(entry.candidates.begin() + static_cast<std::ptrdiff_t>(index));
}

void Voter::erase(const Key& key) {
    Entry& entry = entries_.at(key);
    for (const Candidate& candidate : entry.candidates) {
        drop_claims(key, entry, candidate);
        for (const PartitionSeq& s : candidate.item.seqs) {
            Lane& lane = lanes_.at(s.partition);
            auto place = lane.decided.find(s.seq);
            if (place != lane.decided.end() && place->second == key) lane.decided.erase(place);
        }
        auto wanted = bodies_wanted_.find(candidate.item.rd);
        if (wanted != bodies_wanted_.end() && wanted->second == key) bodies_wanted_.erase(wanted);
    }
    release_charges(key, entry);
    entries_.erase(key);
}

void Voter::decide(const Key& key, Entry& entry, std::size_t winner, Now now) {
    std::swap(entry.candidates[0], entry.candidates[winner]);
    while (entry.candidates.size() > 1)
        remove_candidate(key, entry, entry.candidates.size() - 1, "vote against what was decided");
    entry.stage = Stage::decided;
    entry.since = now.mono;
    const DbItem& item = entry.chosen().item;
    for (const PartitionSeq& s : item.seqs) {
        Lane& lane = lanes_.at(s.partition);
        bool first = s.seq >= lane.dispatch && lane.decided.emplace(s.seq, key).second;
        runnable_.insert(s.partition);
        if (first) continue;
        // Two groups of f+1 certify two items for one place: a trusted counter is broken.
        // Consistency over availability (EQUIV-PROOF, section 3.15).
        lane.halted = true;
        note(Event::Kind::order_conflict, {}, key.slot, s.partition.value,
             "two decided items for one sequence number");
    }
    bool acts = item.kind == ItemKind::transaction || item.kind == ItemKind::config;
    if (acts && !entry.chosen().body) bodies_wanted_.emplace(item.rd, key);
}

void Voter::schedule(Now now) {
    std::uint32_t most = strikes(options_.quirks, Quirk::lone_item) ? 1 : options_.in_flight_max;
    while (!runnable_.empty() && in_flight_ < most) {
        auto place = runnable_.upper_bound(turn_);
        if (place == runnable_.end()) place = runnable_.begin();
        turn_ = *place;
        if (!advance_lane(lanes_.at(turn_), now)) runnable_.erase(turn_);
    }
}

bool Voter::advance_lane(Lane& lane, Now now) {
    auto head = rules::in_sequence ? lane.decided.find(lane.dispatch) : lane.decided.begin();
    if (lane.halted || head == lane.decided.end()) return false;
    Key key = head->second;
    Entry& entry = entries_.at(key);
    const DbItem& item = entry.chosen().item;
    for (const PartitionSeq& s : item.seqs) {
        const Lane& other = lanes_.at(s.partition);
        bool next = other.dispatch == s.seq || !rules::in_sequence;
        if (other.halted || !next) return false;
        if (!rules::every_partition) break;
    }
    // V3: who may speak for an item is judged by the configuration at this point of the order.
    if (config_->owner(item.rid.home) != key.group) {
        note(Event::Kind::dropped, {}, key.slot, key.index,
             "decided by a group that is not the owner");
        erase(key);
        return true;
    }
    // CF4: members who have left by now may have decided it; those who are there say it again.
    if (votes_for(key, entry.chosen()) < rules::item_quorum(membership_)) {
        note(Event::Kind::dropped, {}, key.slot, key.index, "decided by members who have left");
        erase(key);
        return true;
    }
    bool acts = item.kind == ItemKind::transaction || item.kind == ItemKind::config;
    if (acts && !entry.chosen().body) return false;
    if (item.kind == ItemKind::config && !configuration_of(entry)) {
        // f+1 of its group kept it, and one of them is correct: this database is not what it was.
        lane.halted = true;
        note(Event::Kind::order_conflict, {}, key.slot, 0,
             "a configuration that does not continue the one in force");
        return false;
    }
    auto worker = worker_for(item);
    if (!worker) return false;
    start(key, entry, *worker, now);
    return true;
}

ConfigurationPtr Voter::configuration_of(Entry& entry) const {
    auto change = decode_change(entry.chosen().body->op);
    if (!change) return nullptr;
    auto next = apply(*config_, *change);
    return next ? std::make_shared<const Configuration>(std::move(*next)) : nullptr;
}

// A worker executes in the order given, so an item may follow predecessors that are not committed
// yet if they are all with that worker; otherwise it waits for their commits.
std::optional<std::uint32_t> Voter::worker_for(const DbItem& item) const {
    std::optional<std::uint32_t> worker;
    for (const PartitionSeq& s : item.seqs) {
        const Lane& lane = lanes_.at(s.partition);
        if (lane.running == 0) continue;
        if (worker && *worker != lane.worker) return std::nullopt;
        worker = lane.worker;
    }
    return worker ? *worker : item.rid.home.value % options_.workers;
}

void Voter::start(const Key& key, Entry& entry, std::uint32_t worker, Now now) {
    Candidate& chosen = entry.chosen();
    for (const PartitionSeq& s : chosen.item.seqs) {
        Lane& lane = lanes_.at(s.partition);
        lane.decided.erase(s.seq);
        lane.dispatch = s.seq.next();
        ++lane.running;
        lane.worker = worker;
        lane.quiet_since = now.mono;
        lane.asked_times = 0;
        runnable_.insert(s.partition);
    }
    entry.stage = Stage::running;
    release_charges(key, entry);
    ++in_flight_;
    bool cut = cuts_at(key, chosen.item);
    // V12. Its partitions' later items are judged by it: they come after it.
    ConfigurationPtr config;
    if (chosen.item.kind == ItemKind::config) {
        config = config_ = configuration_of(entry);
        follow_config();
    }
    out_.execute.push_back(
        {worker, key.group, key.slot, chosen.item, std::move(chosen.body), cut, config});
    chosen.body = nullptr;
}

// V11: what is not committed before it was given to the same worker, and until its own commit is
// known so is all that follows: the worker is alone with the database at that moment.
bool Voter::cuts_at(const Key& key, const DbItem& item) {
    if (item.kind != ItemKind::checkpoint) return false;
    bool wanted = cuts_.contains(key.slot);
    cuts_.erase(cuts_.begin(), cuts_.upper_bound(key.slot));
    bool due = scheduled(key.slot);
    if (due && ++scans_taken_ >= scans_before_more && scan_shift_ > 0) {
        --scan_shift_;
        scans_taken_ = 0;
    }
    return wanted || due;
}

bool Voter::scheduled(Slot slot) const {
    return membership_.scan_slots != 0 && slot.value % (membership_.scan_slots << scan_shift_) == 0;
}

// Databases that take every other cut, each one another, would never be compared. Whoever cannot
// keep up takes those of a power of two: every such slot is one of everybody's.
void Voter::cut_skipped(Slot slot) {
    if (!scheduled(slot) || scan_shift_ == scan_shift_max) return;
    ++scan_shift_;
    scans_taken_ = 0;
}

void Voter::want_cut(Slot slot) {
    if (slot <= checkpoint_ || !membership_.is_checkpoint(slot)) return;
    cuts_.insert(slot);
    while (cuts_.size() > cuts_max) cuts_.erase(std::prev(cuts_.end()));
}

void Voter::executed(const std::vector<Executed>& results, Now now) {
    std::map<std::pair<GroupId, Slot>, std::vector<ItemResult>> replies;
    for (const Executed& done : results) {
        Key key{done.slot, done.result.index, done.group};
        auto found = entries_.find(key);
        invariant(found != entries_.end() && found->second.stage == Stage::running,
                  "only what was given to a worker comes back");
        Candidate chosen = found->second.chosen();
        erase(key);
        --in_flight_;
        ++executed_;
        for (const PartitionSeq& s : chosen.item.seqs) {
            Lane& lane = lanes_.at(s.partition);
            invariant(lane.next == s.seq, "a partition's items are committed in order");
            lane.next = s.seq.next();
            --lane.running;
            runnable_.insert(s.partition);
            drop_passed_claims(s.partition, lane);
        }
        ItemResult result =
            chosen.item.kind == ItemKind::transaction ? done.result : no_effect(chosen.item);
        if (chosen.item.kind == ItemKind::checkpoint) checkpoint_ = std::max(checkpoint_, key.slot);
        result.has_result = true;
        answers_.keep(key.group, key.slot, {chosen.digest, result, chosen.voters});
        replies[{key.group, key.slot}].push_back(std::move(result));
    }
    for (auto& [place, items] : replies) {
        if (!in_rotation(place.second))
            for (ItemResult& item : items) drop_payload(item);
        out_.send.push_back({membership_.replicas(place.first),
                             DbReply{self_, place.first, place.second, std::move(items)}});
    }
    schedule(now);
}

// V4, O6: all but f_D databases, another set for each slot, send results; the others their digests.
// Of 2f_D+1 these are f_D+1; each one more may be away.
bool Voter::in_rotation(Slot slot) const {
    const std::size_t n = membership_.voters.size();
    return (slot.value + self_.value) % n < n - membership_.f_database;
}

void Voter::drop_passed_claims(PartitionId partition, Lane& lane) {
    while (!lane.known.empty() && lane.known.begin()->first < lane.next) {
        auto [seq, key] = *lane.known.begin();
        Entry& entry = entries_.at(key);
        PartitionSeq claim{partition, seq};
        for (std::size_t i = entry.candidates.size(); i-- > 0;) {
            const auto& seqs = entry.candidates[i].item.seqs;
            if (std::find(seqs.begin(), seqs.end(), claim) == seqs.end()) continue;
            if (entry.stage != Stage::voting) break;  // the loser of an order conflict
            remove_candidate(key, entry, i, "a sequence number was another item's");
        }
        if (entry.candidates.empty() || entry.stage != Stage::voting) erase(key);
        lane.known.erase({seq, key});
    }
}

void Voter::found(const Lookup& lookup, const std::vector<ItemResult>& results, Now) {
    lookups_.erase({lookup.asker, lookup.slot});
    --senders_.at(lookup.asker).lookups;
    std::vector<ItemResult> known;
    for (const DbItem& item : lookup.items) {
        auto row = std::find_if(results.begin(), results.end(),
                                [&](const ItemResult& r) { return r.index == item.index; });
        if (row == results.end()) {
            // Executed without leaving a row (V4: a duplicate), or finished and cleared away (C4).
            note_past(lookup.asker, item);
            known.push_back(no_effect(item));
        } else if (row->rid == item.rid)
            known.push_back(*row);
        else
            disagree(lookup.asker, {lookup.slot, item.index, lookup.group},
                     "vote against what was executed");
    }
    if (!known.empty()) answer(lookup.asker, lookup.group, lookup.slot, std::move(known));
}

// --- time ---

void Voter::tick(Now now) {
    if (now.mono >= next_status_) {
        send_status();
        next_status_ = now.mono + options_.status_interval;
    }
    if (next_check_ && now.mono >= *next_check_) {
        fetch_gaps(now);
        fetch_bodies(now);
        next_check_.reset();
        if (!entries_.empty()) next_check_ = now.mono + options_.gap_timeout / 2;
    }
    schedule(now);
}

std::optional<TimePoint> Voter::next_deadline() const {
    return next_check_ ? std::min(*next_check_, next_status_) : next_status_;
}

// V9. Who owns a missing sequence number is what we do not know: all replicas are asked, those
// whose group owns such entries send them again.
void Voter::fetch_gaps(Now now) {
    std::size_t asked = 0;
    for (auto& [partition, lane] : lanes_) {
        if (asked >= fetch_lanes_max) return;
        if (lane.known.empty() || lane.halted || lane.decided.contains(lane.dispatch)) continue;
        if (lane.known.rbegin()->first < lane.dispatch) continue;  // all of it is being executed
        Duration patience =
            options_.gap_timeout * (1 << std::min(lane.asked_times, fetch_backoff_max));
        TimePoint since = lane.asked_times == 0 ? lane.quiet_since : lane.asked;
        if (now.mono - since < patience && !strikes(options_.quirks, Quirk::early_gap)) continue;
        Seq last = lane.dispatch;
        if (!lane.decided.empty()) last = Seq(lane.decided.begin()->first.value - 1);
        last = std::min(last, lane.dispatch + (fetch_span_max - 1));
        lane.asked = now.mono;
        ++lane.asked_times;
        ++asked;
        out_.send.push_back(
            {membership_.all_replicas(), FetchDbItems{self_, partition, lane.dispatch, last}});
    }
}

void Voter::fetch_bodies(Now now) {
    std::map<GroupId, FetchBodies> wanted;
    for (const auto& [rd, key] : bodies_wanted_) {
        Entry& entry = entries_.at(key);
        if (now.mono - std::max(entry.since, entry.body_asked) < options_.gap_timeout) continue;
        FetchBodies& fetch = wanted[key.group];
        if (fetch.rds.size() >= fetch_bodies_max) continue;
        entry.body_asked = now.mono;
        fetch.rds.push_back(rd);
        fetch.slots.push_back(key.slot);
    }
    for (auto& [group, fetch] : wanted) {
        note(Event::Kind::body_missing, {}, {}, fetch.rds.size(), "fetching bodies");
        out_.send.push_back({membership_.replicas(group), std::move(fetch)});
    }
}

void Voter::send_status() {
    VoterStatus status{self_, {}, checkpoint_};
    for (const auto& [partition, lane] : lanes_) status.next.push_back({partition, lane.next});
    std::vector<Endpoint> to = membership_.all_replicas();
    // The others' guards compare where they stand.
    if (membership_.checkpoint_slots != 0)
        for (const Endpoint& voter : membership_.all_voters())
            if (voter != Endpoint::voter(self_)) to.push_back(voter);
    out_.send.push_back({std::move(to), std::move(status)});
}

// --- output ---

void Voter::answer(const Endpoint& to, GroupId group, Slot slot, std::vector<ItemResult> results) {
    out_.send.push_back({{to}, DbReply{self_, group, slot, std::move(results)}});
}

void Voter::disagree(const Endpoint& peer, const Key& key, const char* how) {
    ++disagreements_[peer];
    note(Event::Kind::disagreement, peer, key.slot, key.index, how);
}

void Voter::note(Event::Kind kind, const Endpoint& peer, Slot slot, std::uint64_t count,
                 const char* text) {
    out_.events.push_back({kind, peer, slot, count, text});
}

VoterOutput Voter::take_output() {
    return std::exchange(out_, {});
}

std::map<PartitionId, Seq> Voter::next() const {
    std::map<PartitionId, Seq> next;
    for (const auto& [partition, lane] : lanes_) next.emplace(partition, lane.next);
    return next;
}

Voter::Report Voter::report() const {
    Report report;
    report.next = next();
    report.waiting = entries_.size() - in_flight_;
    report.in_flight = in_flight_;
    report.executed = executed_;
    report.disagreements = disagreements_;
    return report;
}

}  // namespace bft::consensus

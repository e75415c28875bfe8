// Catching up when the others' logs no longer go back far enough, or own state is corrupt: the
// state at a checkpoint, counters on f+1 vouches, the chain by its headers (ST1-ST5, CK7). Nothing
// is believed that f+1 members of the own group did not sign, and no own entry is left out that the
// databases have not executed: they need the votes of those who come back.
#include "base/invariant.hpp"
#include "consensus/minbft/replica.hpp"
#include "consensus/rules.hpp"
#include "consensus/select.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::consensus::minbft {

namespace {

// A value that is proven void has no message: some below the vouched one are asked for, too.
constexpr std::uint64_t adopt_span = 16;
// So many questions in vain count as much as f+1 GONEs: members may be down, or silent to us.
constexpr std::uint32_t rounds_in_vain = 4;
constexpr std::uint32_t donor_patience = 5;    // in T_rx
constexpr std::uint32_t state_rate = 16;       // parts for one member in T_rx, at most
constexpr std::uint32_t lease_rounds = 10;     // in T_rx: a state that nobody reads is let go
constexpr std::uint32_t suspicion_rests = 10;  // in T_lag

}  // namespace

// --- ST1: is it needed?
// ---------------------------------------------------------------------------

// A hint, no more: it makes us look at what f+1 have signed.
void Replica::on_gone(const Endpoint& from, const Gone& gone) {
    const bool asked = from.group == group_ || (needs_elders() && from.group == coordinators());
    if (from.role != Endpoint::Role::replica || !asked || from == self()) return;
    auto gap = gaps_.find(gone.stream);
    if (gap == gaps_.end() || gone.line <= gap->second.processed.next()) return;
    if (!transfer_.gone[gone.stream].insert(from).second) return;
    out_.events.push_back({Event::Kind::gone,
                           from,
                           {},
                           gone.line.value,
                           "of the counter of " + to_string(owner_of(gone.stream))});
}

bool Replica::asked_in_vain(const StreamId& stream, const Gap& gap) const {
    if (gap.attempts >= rounds_in_vain * membership_.replicas_per_group()) return true;
    auto gone = transfer_.gone.find(stream);
    return gone != transfer_.gone.end() && gone->second.size() >= membership_.quorum();
}

// The group has a stable checkpoint that we have not reached, and we do not move, or what leads
// there is gone. A replica whose state is corrupt waits for nothing.
bool Replica::needs_state(Now now) const {
    if (corrupt_) return true;
    if (!stable_ || stable_->slot <= delivered_) return false;
    if (transfer_.since && transfer_.moved_at <= *transfer_.since) return true;
    if (now.mono - transfer_.moved_at >= options_.lag_patience) return true;
    return std::any_of(gaps_.begin(), gaps_.end(), [&](const auto& each) {
        return each.first.kind == StreamId::Kind::ordering &&
               asked_in_vain(each.first, each.second);
    });
}

// While it asks for the way itself, it has nothing to say about the primary; but not for ever.
bool Replica::catching_up(Now now) const {
    return transfer_.since && stable_ && stable_->slot > delivered_ &&
           now.mono - *transfer_.since < options_.lag_patience * suspicion_rests;
}

void Replica::transfer_if_due(Now now) {
    if (transfer_.moved_at == TimePoint{} || transfer_.delivered != delivered_) {
        transfer_.delivered = delivered_;
        transfer_.moved_at = now.mono;
    }
    for (StateLease& each : leases_)
        if (each.state && now.mono - each.served > options_.retransmit * lease_rounds)
            each.state.reset();
    if (halted_ && !corrupt_) return;
    if (transfer_.complete) return install_if_executed(now);
    if (!needs_state(now)) return transfer_.end();
    if (!transfer_.since) {
        transfer_.since = now.mono;
        transfer_.give_up_at = now.mono;
        out_.events.push_back({Event::Kind::state_wanted, self(), delivered_, 0, {}});
    }
    if (now.mono >= transfer_.give_up_at) next_donor(now);
    if (!transfer_.since || now.mono < transfer_.ask_at) return;
    transfer_.ask_at = now.mono + options_.retransmit;
    FetchState fetch{delivered_, {}, 0};
    auto missing = std::find(transfer_.parts.begin(), transfer_.parts.end(), nullptr);
    if (!transfer_.parts.empty() && transfer_.parts.front()) {
        fetch.slot = transfer_.parts.front()->cert.slot;
        fetch.part = static_cast<std::uint32_t>(missing - transfer_.parts.begin());
    }
    out_.send.push_back({{transfer_.donor}, fetch});
}

void Replica::next_donor(Now now) {
    std::vector<Endpoint> peers = membership_.replicas(group_, position_);
    if (peers.empty()) return transfer_.end();  // the group was removed
    transfer_.begin_with(peers[(transfer_.donors + position_.value) % peers.size()],
                         now.mono + options_.retransmit * donor_patience);
}

// --- ST2: the state
// -------------------------------------------------------------------------------

// Who reads goes on with the state that it began with, while newer ones come.
void Replica::on_fetch_state(const Endpoint& from, const FetchState& fetch, Now now) {
    if (from.group != group_ && !halted_) return serve_handover(from, fetch, now);
    if (from.group != group_ || from == self() || halted_) return;
    if (from.index >= leases_.size()) return;
    StateLease& lease = leases_[from.index];
    if (lease.state && now.mono - lease.served < options_.retransmit / state_rate) return;
    bool reading = lease.state && lease.state->slot == fetch.slot;
    if (!reading) {
        if (!snapshot_ || !snapshot_->cert || snapshot_->slot <= fetch.beyond) return;
        lease.state = snapshot_;
    }
    lease.served = now.mono;
    auto part = make_part(*lease.state, reading ? fetch.part : 0);
    if (!part) return;
    part->cert = *lease.state->cert;
    if (!part->cert.config.is_zero()) {
        part->barrier = configs_.barrier_at(configs_.since(part->cert.slot.next()));
        if (!part->barrier) return;
    }
    if (part->part == 0)
        for (const auto& vouch : vouches_)
            if (vouch && membership_.active(group_, vouch->position))
                part->vouches.push_back(*vouch);
    out_.send.push_back({{from}, StatePartPtr(std::move(part))});
}

std::shared_ptr<StatePart> Replica::make_part(const DerivedState& source,
                                              std::uint32_t index) const {
    std::size_t per_part = options_.state_entries;
    std::size_t windows = source.windows.size();
    std::size_t total = windows + source.unfinished.size();
    auto part = std::make_shared<StatePart>();
    part->parts =
        static_cast<std::uint32_t>(std::max<std::size_t>(1, (total + per_part - 1) / per_part));
    part->part = index;
    if (part->part >= part->parts) return nullptr;
    DerivedState& state = part->state;
    state.slot = source.slot;
    state.hd = source.hd;
    state.ts_ms = source.ts_ms;
    state.null_digest = source.null_digest;
    state.next_seq = source.next_seq;
    state.config = source.config;
    std::size_t begin = part->part * per_part;
    std::size_t end = std::min(total, begin + per_part);
    if (begin < windows) {
        auto first = std::next(source.windows.begin(), static_cast<std::ptrdiff_t>(begin));
        auto last = std::next(first, static_cast<std::ptrdiff_t>(std::min(end, windows) - begin));
        state.windows.insert(first, last);
    }
    for (std::size_t i = std::max(begin, windows); i < end; ++i)
        state.unfinished.push_back(source.unfinished[i - windows]);
    return part;
}

void Replica::on_state(const Endpoint& from, const StatePartPtr& part, Now now) {
    if (part->cert.group != group_) return on_handover(from, part, now);
    if (!transfer_.since || transfer_.complete || from != transfer_.donor) return;
    if (part->cert.group != group_ || part->cert.slot <= delivered_) return;
    // Whom to believe comes first (CF9): the others' STATUS answers bring one barrier after
    // another.
    if (part->barrier) {
        on_barrier(part->barrier, now);
        if (!configs_.knows(*part->barrier) && !configs_.continues(*part->barrier)) {
            config_wanted_ = true;
            return;
        }
    }
    for (const PositionSignature& s : part->cert.signers)
        if (!membership_.active(group_, s.position) && !counts(group_, s.position, part->cert.slot))
            return;
    for (const Vouch& vouch : part->vouches) on_vouch(vouch);
    auto& parts = transfer_.parts;
    if (part->part == 0 &&
        (parts.empty() || !parts.front() || parts.front()->cert.slot != part->cert.slot))
        parts.assign(part->parts, nullptr);
    if (parts.size() != part->parts) return;
    if (part->part != 0 && (!parts.front() || parts.front()->cert.slot != part->cert.slot)) return;
    parts[part->part] = part;
    transfer_.ask_at = {};  // the next one
    transfer_.give_up_at = now.mono + options_.retransmit * donor_patience;
    if (std::find(parts.begin(), parts.end(), nullptr) != parts.end()) return;

    SnapshotRecord state;
    static_cast<DerivedState&>(state) = parts.front()->state;
    for (std::size_t i = 1; i < parts.size(); ++i) {
        const DerivedState& more = parts[i]->state;
        state.windows.insert(more.windows.begin(), more.windows.end());
        state.unfinished.insert(state.unfinished.end(), more.unfinished.begin(),
                                more.unfinished.end());
    }
    state.cert = parts.front()->cert;
    transfer_.barrier = parts.front()->barrier;
    if (state_digest(group_, state) != state.cert->state) {
        out_.events.push_back({Event::Kind::disagreement, from, state.slot, 0,
                               "its state is not what f+1 members signed"});
        return next_donor(now);
    }
    transfer_.complete = std::move(state);
    install_if_executed(now);
}

void Replica::note_voter(const VoterStatus& status) {
    if (status.voter.value >= membership_.voters.size()) return;
    voters_next_.resize(membership_.voters.size());
    auto& next = voters_next_[status.voter.value];
    next.clear();
    for (const PartitionSeq& each : status.next) next[each.partition] = each.seq;
}

// f_D+1 databases, one of them correct, have executed everything of the own group that the state
// covers: nobody needs our vote for it. Without databases the state itself names the answers that
// clients may still ask for.
bool Replica::executed_by_databases(const DerivedState& state) const {
    if (membership_.orders_only()) return true;
    std::size_t count = 0;
    for (const auto& next : voters_next_) {
        bool all = !next.empty();
        for (const auto& [partition, seq] : state.next_seq) {
            // Of what is another group's now, some may have been ours.
            bool ours = configs_.changed() || !state.config.is_zero() ||
                        membership_.owner(partition) == group_;
            if (!all || !ours) continue;
            auto found = next.find(partition);
            all = found != next.end() ? found->second >= seq : seq.value <= 1;
        }
        if (all) ++count;
    }
    return count >= membership_.database_quorum();
}

void Replica::install_if_executed(Now now) {
    if (transfer_.complete->slot <= delivered_ && !corrupt_) return transfer_.end();
    if (transfer_.complete->slot <= delivered_ || !executed_by_databases(*transfer_.complete)) {
        // Databases that say so are on their way, or a later state will do.
        if (now.mono < transfer_.give_up_at) return;
        transfer_.complete.reset();
        return next_donor(now);
    }
    SnapshotRecord state = std::move(*transfer_.complete);
    transfer_.end();
    transfer_.delivered = state.slot;
    transfer_.moved_at = now.mono;
    install(std::move(state), now);
}

// What was derived here is replaced as a whole. The record is durable before anything that follows
// from it is seen; a crash before that leaves the state before.
void Replica::install(SnapshotRecord state, Now now) {
    Slot before = delivered_;
    if (transfer_.barrier && configs_.skip_to(transfer_.barrier)) {
        out_.persist.push_back({BarrierRecord{transfer_.barrier}});
        follow_members();
    }
    auto hd = chain_.digest_at(state.slot);
    bool on_our_chain =
        !corrupt_ && hd && *hd == state.hd && chain_.next_seqs_at(state.slot) == state.next_seq;
    std::vector<Body> displaced;
    for (Slot slot = delivered_.next(); slot <= chain_.tip(); slot = slot.next())
        for (const OwnEntry& own : chain_.at(slot)->own)
            if (const Body* body = valid_body(chain_.at(slot)->prepare.header->entries[own.index]))
                displaced.push_back(*body);
    if (on_our_chain)
        chain_.forget_up_to(state.slot);
    else
        chain_.restart_at(state.slot, state.hd, state.ts_ms, state.next_seq);
    if (unsettled_ && *unsettled_ != chain_.tip()) unsettled_.reset();
    taking_.reset();
    begun_ = true;
    delivered_ = state.slot;
    ready_to_ = std::max(on_our_chain ? ready_to_ : Slot(0), state.slot);
    stuck_since_.reset();
    null_digest_ = state.null_digest;
    windows_ = state.windows;
    unfinished_.clear();
    for (const auto& [at, item] : state.unfinished) unfinished_[item.rid] = {at, item};
    if (corrupt_) checkpoints_.clear();
    checkpoints_.erase(checkpoints_.begin(), checkpoints_.upper_bound(state.slot));
    checkpoint_votes_[position_.value].clear();
    newest_checkpoint_.reset();
    if (!stable_ || stable_->slot < state.slot) {
        stable_ = state.cert;
        out_.persist.push_back({StableRecord{*stable_}});
    }
    corrupt_ = halted_ = false;
    reindex(std::move(displaced), now);

    snapshot_ = std::make_shared<const SnapshotRecord>(std::move(state));
    persist_tracks();
    // Whatever the executor waits for is executed; clients may still ask for these answers.
    out_.deliver.clear();
    adopted_ = snapshot_->slot;
    deliver_unfinished(*snapshot_);
    if (active_) watch_.begin(now.mono);
    judge_again_ = true;
    out_.events.push_back({Event::Kind::state_adopted, self(), delivered_, before.value, {}});
}

// Which requests and bodies the chain beyond what is delivered, and the windows, speak of.
void Replica::reindex(std::vector<Body> displaced, Now now) {
    in_chain_.clear();
    missing_.clear();
    std::set<Digest> used;
    for (Slot slot = delivered_.next(); slot <= chain_.tip(); slot = slot.next()) {
        const Link& link = *chain_.at(slot);
        for (const OwnEntry& own : link.own) {
            if (is_null(slot, own.index)) continue;
            const EntryHeader& entry = link.prepare.header->entries[own.index];
            in_chain_.insert(entry.rid);
            used.insert(entry.rd);
            if (!bodies_.contains(entry.rd) && fate(slot, entry) != Fate::skipped)
                missing_[entry.rd] = {now.mono, slot, 0, link.config};
        }
        if (!link.config) continue;
        const Digest& rd = link.config_entry().rd;
        used.insert(rd);
        if (unsettled_ == slot && !bodies_.contains(rd)) missing_[rd] = {now.mono, slot, 0, true};
    }
    for (auto it = pending_.begin(); it != pending_.end();) {
        if (!delivered_before(it->first) && owns(it->first.home)) {
            used.insert(it->second.rd);
            ++it;
            continue;
        }
        auto count = pending_count_.find({it->first.home, it->first.client});
        if (--count->second == 0) pending_count_.erase(count);
        watch_.gone(it->second.ticket);
        it = pending_.erase(it);
    }
    std::erase_if(bodies_, [&](const auto& each) { return !used.contains(each.first); });
    for (const Body& body : displaced)
        if (!in_chain_.contains(body->id) && !pending_.contains(body->id) &&
            !delivered_before(body->id) && wants(*body))
            wait_for_order(body, now, Duration{});
}

// A restart goes on with these counters. Rare: where messages were skipped, not merely processed.
void Replica::persist_tracks() {
    SnapshotRecord record;
    if (snapshot_) {
        record = *snapshot_;
    } else {
        record.hd = genesis_header_digest(membership_.cluster);
        for (const auto& [partition, owner] : membership_.owners)
            record.next_seq[partition] = Seq(1);
    }
    record.votes.clear();
    record.ordering.clear();
    for (const Votes& each : votes_) record.votes.push_back(each.track);
    for (const Ordering& each : ordering_) record.ordering.push_back(each.track);
    out_.persist.push_back({std::make_shared<const SnapshotRecord>(std::move(record))});
}

// --- ST3: counters
// --------------------------------------------------------------------------------

// The (f+1)-th largest: a correct member has processed everything up to there in order.
// Of the primaries' counters the coordinators know as well as the own group.
Counter Replica::vouched_for(const StreamId& stream) const {
    const bool orders = stream.kind == StreamId::Kind::ordering;
    auto quorate = [&](GroupId group, auto&& vouches, std::uint32_t quorum) {
        std::vector<Counter> counters(membership_.replicas_per_group());
        for (const std::optional<Vouch>& vouch : vouches) {
            if (!vouch || (!membership_.active(group, vouch->position) && rules::members_by_slot))
                continue;
            const auto& told = orders ? vouch->ordering : vouch->votes;
            const std::size_t place = orders ? stream.primary.value : stream.position.value;
            Counter& counter = counters[membership_.seat(vouch->position)];
            if (place < told.size()) counter = std::max(counter, told[place]);
        }
        std::sort(counters.begin(), counters.end(), std::greater<>());
        return quorum == 0 ? Counter(0) : counters[quorum - 1];
    };
    const std::uint32_t quorum = rules::adoption_quorum(membership_);
    const Counter own = quorate(group_, vouches_, quorum);
    if (!orders || !added()) return own;
    std::vector<std::optional<Vouch>> elders;
    for (const Elder& each : elders_) elders.push_back(each.vouch);
    return std::max(own, quorate(coordinators(), elders, rules::elders_agree ? quorum : 1));
}

// When the messages before are gone: the one that is vouched for says by itself where its sender
// stands, since a correct member found it valid in its place. What is missing is then to be asked
// for no more; `missing` becomes what to ask for instead. True: adopted.
bool Replica::adopt_vouched(const StreamId& stream, const Gap& gap,
                            std::pair<Counter, Counter>& missing) {
    Counter limit = vouched_for(stream);
    // Who comes new to an old cluster need not ask for all that there ever was.
    const bool far = young() && limit > gap.processed + options_.window;
    if (!far && !asked_in_vain(stream, gap)) return false;
    if (limit <= gap.processed.next()) return false;
    Counter from(limit.value > adopt_span ? limit.value - adopt_span + 1 : 1);
    missing = {std::max(from, gap.processed.next()), limit};
    return stream.kind == StreamId::Kind::ordering ? adopt_ordering(stream.primary.value, missing)
                                                   : adopt_votes(stream.position.value, missing);
}

bool Replica::adopt_ordering(std::uint32_t p, std::pair<Counter, Counter> between) {
    Ordering& from = ordering_[p];
    from.stream.drop_before(between.first);
    const OrderingMessage* message = from.stream.held_up_to(between.second);
    if (message == nullptr) return false;
    Counter at = ui_of(*message).cv;
    OrderingTrack& track = from.track;
    // As it was just before: the message is then processed like every other one.
    if (const auto* prepare = std::get_if<Prepare>(message)) {
        if (track.view != prepare->view) {
            from.waiting.clear();
            from.candidate.reset();
        }
        track.leading = true;
        track.view = prepare->view;
        track.base = at;
        track.base_slot = prepare->slot;
        track.tip = Slot(prepare->slot.value - 1);
        track.tip_digest = prepare->header->previous;
    } else {
        track.leading = false;
    }
    track.processed = Counter(at.value - 1);
    from.stream.resume_after(track.processed);
    note_adopted(StreamId::ordering(PrimaryId(p)), at);
    return true;
}

bool Replica::adopt_votes(std::uint32_t j, std::pair<Counter, Counter> between) {
    Votes& from = votes_[j];
    from.stream.drop_before(between.first);
    const VoteMessage* message = from.stream.held_up_to(between.second);
    if (message == nullptr) return false;
    VoteTrack& track = from.track;
    if (const auto* commit = std::get_if<Commit>(message)) {
        // R7 holds for what follows: no COMMIT of a view before this one's can be valid.
        track.promised = commit->view;
        track.last = {commit->view, commit->to, commit->hd, commit->nvd};
        out_.persist.push_back({CommitRecord{*commit}, false});
        auto ours = chain_.digest_at(commit->to);
        if (commit->view != chain_view() || !ours || *ours == commit->hd) {
            auto& tos = commits_[commit->view];
            tos.resize(votes_.size());
            tos[j] = std::max(tos[j], commit->to);
        }
    } else {
        const auto& change = std::get<ViewChangePtr>(*message);
        track.promised = change->view;
        track.last = change->last;
        out_.persist.push_back({ViewChangeRecord{change}, false});
    }
    Counter at = ui_of(*message).cv;
    from.stream.resume_after(at);
    track.processed = from.stream.processed();
    note_adopted(StreamId::vote(group_, Position(j)), at);
    return true;
}

void Replica::note_adopted(const StreamId& stream, Counter at) {
    persist_tracks();
    out_.events.push_back({Event::Kind::counter_adopted, owner_of(stream), {}, at.value, {}});
}

// --- the chain of the view, where its PREPAREs begin beyond our tip
// -------------------------------------------------

// R3: what the primary has ordered in our view and could not be appended yet. Where PREPAREs were
// skipped, the next one's header names the way down to our tip. Where there is none, the view is
// over: what came as a state was decided in a later one, whose proof is on the way (ST4).
void Replica::append_waiting(Now now) {
    if (!active_ || halted_) return;
    Ordering& from = ordering_[leader().value];
    while (!from.waiting.empty() && from.waiting.front().view == view_ && !unsettled_) {
        const Prepare& next = from.waiting.front();
        if (next.slot <= chain_.tip()) {
            from.waiting.pop_front();
            continue;
        }
        if (next.slot > chain_.tip().next() && !bridge_to(next, now)) return;
        if (next.header->previous != chain_.tip_digest()) return from.waiting.clear();
        if (auto why = chain_.why_invalid(*next.header)) {
            condemn_primary(leader().value, view_, next.slot, *why);
            from.waiting.clear();
            return;
        }
        Prepare prepare = std::move(from.waiting.front());
        from.waiting.pop_front();
        append(std::move(prepare), now);
    }
}

bool Replica::bridge_to(const Prepare& next, Now now) {
    Slot to(next.slot.value - 1);
    if (to - chain_.tip() > null_retention) return false;  // a state comes first
    headers_.reserve(static_cast<std::size_t>(to - chain_.tip() + options_.window));
    auto found = headers_.segment(chain_.tip(), to, next.header->previous);
    if (found.missing) {
        want_header(*found.missing, primary());
        return false;
    }
    if (found.broken || found.segment->below != chain_.tip_digest()) {
        ordering_[leader().value].waiting.clear();
        return false;
    }
    headers_.release();
    for (std::size_t i = 0; i < found.segment->headers.size(); ++i) {
        const HeaderPtr& header = found.segment->headers[i];
        if (auto why = chain_.why_invalid(*header)) {
            condemn_primary(leader().value, view_, header->slot, *why);
            return false;
        }
        if (unsettled_) return false;
        // Without a certificate of its own: our COMMIT names a later slot.
        append({view_, header->slot, found.segment->digests[i], {}, header}, now);
    }
    return true;
}

}  // namespace bft::consensus::minbft

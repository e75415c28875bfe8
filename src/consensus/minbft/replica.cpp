#include "consensus/minbft/replica.hpp"

#include "base/invariant.hpp"
#include "consensus/rules.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::consensus::minbft {

namespace {

// tick() is wanted every quarter of T_rx.
WatchOptions watch_options(const ReplicaOptions& options) {
    WatchOptions watch = options.watch;
    watch.step_max = options.retransmit;
    return watch;
}

}  // namespace

Replica::Replica(const Membership& membership, GroupId group, Position position,
                 ReplicaOptions options, Signer& signer)
    : membership_(membership),
      group_(group),
      position_(position),
      options_(options),
      signer_(signer),
      configs_(membership),
      chain_(membership_, group, &configs_),
      ordering_(membership.primaries.size(), Ordering(options.window)),
      votes_(membership.replicas_per_group(), Votes(options.window)),
      checkpoint_votes_(membership.replicas_per_group()),
      vouches_(membership.replicas_per_group()),
      accepts_(membership.replicas_per_group()),
      asked_(membership.replicas_per_group()),
      watch_(watch_options(options), membership.primaries.size()),
      headers_(static_cast<std::size_t>(options.window) * 4),
      leases_(membership.replicas_per_group()),
      voters_next_(membership.voters.size()),
      equivocation_(membership_) {
    membership_.clients.clear();  // whoever knows them has judged what they sent
    follow_members();
    // View (0,0) begins with a virtual NEW-VIEW: N = 0, U = 0.
    OrderingTrack& first = ordering_[membership.primary_of(View(0)).value].track;
    first.leading = true;
    for (Ordering& each : ordering_) each.track.tip_digest = chain_.tip_digest();
}

// --- inputs
// -----------------------------------------------------------------------------------------

void Replica::receive(const Verified& message, Now now) {
    now_ = now.mono;
    const Payload& payload = message.payload();
    if (!knows_primaries_of(payload, now)) return;
    inspect(message);
    if (const auto* body = std::get_if<Body>(&payload)) {
        // With requests only: what a STATUS sets off must not be more STATUS.
        if (strikes(options_.quirks, Quirk::early_check)) check_at_ = now.mono;
        if (strikes(options_.quirks, Quirk::early_status)) status_at_ = now.mono;
        on_request(*body, now);
    } else if (const auto* prepare = std::get_if<Prepare>(&payload)) {
        on_prepare(*prepare);
    } else if (const auto* commit = std::get_if<Commit>(&payload)) {
        on_commit(*commit);
    } else if (const auto* status = std::get_if<Status>(&payload)) {
        on_status(message.from(), *status);
    } else if (const auto* found = std::get_if<Certificates>(&payload)) {
        on_certificates(*found);
    } else if (const auto* bodies = std::get_if<Bodies>(&payload)) {
        bool asked_for = message.from().role != Endpoint::Role::client;
        for (const Body& each : bodies->bodies) asked_for ? take_body(each) : on_request(each, now);
    } else {
        on_view_message(message, now);
    }
    advance(now);
}

void Replica::on_view_message(const Verified& message, Now now) {
    const Payload& payload = message.payload();
    if (const auto* checkpoint = std::get_if<Checkpoint>(&payload)) {
        on_checkpoint(*checkpoint);
    } else if (const auto* vouch = std::get_if<Vouch>(&payload)) {
        on_vouch(*vouch);
    } else if (const auto* request = std::get_if<RequestViewChange>(&payload)) {
        // From its sender only: nobody keeps another's old complaint alive.
        if (message.from() != Endpoint::replica(group_, request->position)) return;
        if (request->group != group_ || request->position.value >= asked_.size()) return;
        asked_[request->position.value] = Asked{*request, now.mono};
        trigger_if_quorum(now);
    } else if (const auto* trigger = std::get_if<TriggerCertificate>(&payload)) {
        const Endpoint& from = message.from();
        bool member = membership_.active(from.group, Position(from.index));
        if (member && may_trigger(*trigger)) on_trigger(*trigger, now);
    } else if (const auto* change = std::get_if<ViewChangePtr>(&payload)) {
        keep_change(*change);
    } else if (const auto* changes = std::get_if<ViewChanges>(&payload)) {
        for (const ViewChangePtr& each : changes->messages) keep_change(each);
    } else if (const auto* new_view = std::get_if<NewView>(&payload)) {
        ordering_[membership_.primary_of(new_view->view).value].stream.offer(*new_view);
    } else if (const auto* accepted = std::get_if<NewViewAccept>(&payload)) {
        if (accepted->group != group_ || accepted->position.value >= accepts_.size()) return;
        auto& newest = accepts_[accepted->position.value];
        if (!newest || newest->view <= accepted->view) newest = *accepted;
        certify_if_quorum(now);
    } else if (const auto* cert = std::get_if<ViewCertPtr>(&payload)) {
        adopt_cert(*cert, now);
    } else if (const auto* resign = std::get_if<Resign>(&payload)) {
        if (resign->primary == membership_.primary_of(resign->view) && resign->view >= view_)
            resigned_ = resign->view;
    } else if (const auto* headers = std::get_if<Headers>(&payload)) {
        on_headers(*headers);
    } else if (const auto* equivocation = std::get_if<EquivocationProof>(&payload)) {
        convict(*equivocation);
    } else if (const auto* asked = std::get_if<VoidRequest>(&payload)) {
        on_void_request(message.from(), *asked);
    } else if (const auto* promise = std::get_if<VoidPromise>(&payload)) {
        on_void_promise(*promise);
    } else if (const auto* proof = std::get_if<VoidCert>(&payload)) {
        on_void_cert(*proof);
    } else if (const auto* gone = std::get_if<Gone>(&payload)) {
        on_gone(message.from(), *gone);
    } else if (const auto* fetch = std::get_if<FetchState>(&payload)) {
        on_fetch_state(message.from(), *fetch, now);
    } else if (const auto* part = std::get_if<StatePartPtr>(&payload)) {
        on_state(message.from(), *part, now);
    } else if (const auto* asks = std::get_if<FetchConfig>(&payload)) {
        on_fetch_config(message.from(), *asks);
    } else if (const auto* barrier = std::get_if<BarrierCertPtr>(&payload)) {
        on_barrier(*barrier, now);
    }
}

bool Replica::delivered_before(const RequestId& rid) const {
    auto window = windows_.find({rid.home, rid.client});
    return window != windows_.end() && window->second.contains(rid.cseq);
}

bool Replica::finished(const RequestId& rid) const {
    auto window = windows_.find({rid.home, rid.client});
    return window != windows_.end() && rid.cseq < window->second.low();
}

// R1. The body is logged with its slot, before anything that counts on it: a crash loses requests
// that nobody has ordered, and their clients send them again.
void Replica::on_request(const Body& body, Now now) {
    if (missing_.contains(body->rd)) return take_body(body);
    if (!wants(*body)) return;
    if (delivered_before(body->id) || in_chain_.contains(body->id) || pending_.contains(body->id))
        return;
    auto count = pending_count_.find({body->id.home, body->id.client});
    if (count != pending_count_.end() && count->second >= options_.pending_per_client) {
        out_.events.push_back({Event::Kind::dropped,
                               Endpoint::of_client(body->id.client),
                               {},
                               count->second,
                               "too many requests of this client wait"});
        return;
    }
    wait_for_order(body, now, options_.forward_after);
}

void Replica::wait_for_order(const Body& body, Now now, Duration forward_after) {
    ++pending_count_[{body->id.home, body->id.client}];
    pending_[body->id] = {body->rd, now.mono + forward_after,
                          watch_.came(body->id.client, forward_after)};
    bodies_[body->rd] = body;
}

// Its client has finished with everything below `ack_low`, and no primary will order it any more:
// to wait for it would be to suspect one that is correct.
void Replica::drop_overtaken(const RequestId& rid, ClientSeq ack_low) {
    auto first = pending_.lower_bound({rid.client, rid.home, ClientSeq(0)});
    auto last = pending_.lower_bound({rid.client, rid.home, ack_low});
    if (first == last) return;
    auto count = pending_count_.find({rid.home, rid.client});
    for (auto it = first; it != last; it = pending_.erase(it)) {
        bodies_.erase(it->second.rd);
        watch_.gone(it->second.ticket);
        --count->second;
    }
    if (count->second == 0) pending_count_.erase(count);
}

void Replica::take_body(const Body& body) {
    if (missing_.erase(body->rd) == 0) return;
    bodies_[body->rd] = body;
    out_.persist.push_back({BodyRecord{body}, false});
}

void Replica::on_prepare(const Prepare& prepare) {
    ordering_[membership_.primary_of(prepare.view).value].stream.offer(prepare);
}

void Replica::on_commit(const Commit& commit) {
    if (commit.group != group_ || commit.position == position_) return;
    if (commit.position.value >= votes_.size()) return;
    // The sender holds the chain up to there, and so must serve it (R8).
    auto& stream = ordering_[membership_.primary_of(commit.view).value].stream;
    stream.heard_of(
        Counter(std::min(commit.prepare.ui.cv.value, stream.processed().value + options_.window)));
    votes_[commit.position.value].stream.offer(commit);
}

void Replica::on_certificates(const Certificates& found) {
    for (const VoidCert& each : found.voids) on_void_cert(each);
    for (const Prepare& each : found.prepares) on_prepare(each);
    for (const NewView& each : found.new_views)
        ordering_[membership_.primary_of(each.view).value].stream.offer(each);
    for (const Commit& each : found.commits) on_commit(each);
    for (const ViewChangePtr& each : found.view_changes) keep_change(each);
}

// What others have seen shows what we lack. A liar costs us one fetch in vain per T_rx.
void Replica::on_status(const Endpoint& from, const Status& status) {
    if (from.group != group_) return on_foreign_status(from, status);
    if (from == self()) return;
    auto bounded = [&](Counter seen, Counter processed) {
        return Counter(std::min(seen.value, processed.value + options_.window));
    };
    // Its word proves nothing: whoever lies about it is asked in vain, now and then, and nobody
    // else.
    if (!membership_.knows(status.view) && status.config > configs_.newest().version &&
        from.index < config_asked_at_.size() &&
        now_ - config_asked_at_[from.index] >= options_.retransmit) {
        config_asked_at_[from.index] = now_;
        out_.send.push_back({{from}, FetchConfig{configs_.newest().version}});
    }
    for (std::size_t p = 0; p < std::min(ordering_.size(), status.ordering_seen.size()); ++p) {
        auto& stream = ordering_[p].stream;
        stream.heard_of(bounded(status.ordering_seen[p], stream.processed()));
    }
    for (std::uint32_t j = 0; j < votes_.size(); ++j) {
        if (j == position_.value || j >= status.votes_seen.size()) continue;
        auto& stream = votes_[j].stream;
        stream.heard_of(bounded(status.votes_seen[j], stream.processed()));
    }
    // CK2, R15: whoever has not heard that a checkpoint is stable gets the CHECKPOINTs that make it
    // so. Who signed them may have restarted beyond that slot and not say so again.
    if (stable_ && status.low < stable_->slot) {
        for (const PositionSignature& s : stable_->signers)
            out_.send.push_back({{from}, stable_->of(s)});
    }
    if (BarrierCertPtr barrier = configs_.after(status.config))
        out_.send.push_back({{from}, std::move(barrier)});
    // ST3: our own log begins later. Who lets it begin there has vouched for us, and may be silent
    // by now: the one who lacks what was before gets that from us.
    Counter seen = position_.value < status.votes_seen.size() ? status.votes_seen[position_.value]
                                                              : Counter(0);
    if (seen.next() < vouched_.base)
        for (const Vouch& vouch : vouched_.vouches) out_.send.push_back({{from}, vouch});
    show_view(from, status);
}

// Everything that an input may have made possible, in dependency order.
void Replica::advance(Now now) {
    begin_if_due(now);
    for (std::uint32_t p = 0; p < ordering_.size(); ++p) drain_ordering(p, now);
    drain_votes();
    judge_candidates(now);
    activate_if_ready(now);
    append_waiting(now);
    view_change_if_due();
    commit_if_ready();
    deliver_committed();
    forget_delivered();
    config_checkpoint_if_due(false);
    barrier_if_complete(now);
    // Delivery moves the window: what waited behind it may go on.
    for (std::uint32_t p = 0; p < ordering_.size(); ++p) drain_ordering(p, now);
    append_waiting(now);
    commit_if_ready();
    check_invariants();
}

// --- the primaries' streams and the chain
// ---------------------------------------------------------

void Replica::drain_ordering(std::uint32_t p, Now now) {
    if (!begun_) return;
    Ordering& from = ordering_[p];
    while (const OrderingMessage* message = from.stream.peek()) {
        const auto* prepare = std::get_if<Prepare>(message);
        Step step = prepare != nullptr ? process(p, *prepare, now)
                                       : process(p, std::get<NewView>(*message));
        if (step != Step::done) return;  // or dead: then nothing is held any more
        from.track.processed = from.stream.pop();
    }
}

// R2, R3. Well-formed is decided by the primary's own stream: all correct replicas judge alike.
Replica::Step Replica::process(std::uint32_t p, const Prepare& prepare, Now now) {
    Ordering& from = ordering_[p];
    OrderingTrack& track = from.track;
    if (!track.leading || prepare.view != track.view) {
        kill_primary(p, prepare.slot, "a PREPARE of a view without NEW-VIEW");
        return Step::invalid;
    }
    bool rigid = prepare.ui.cv == track.base + (prepare.slot.value - track.base_slot.value) &&
                 prepare.ui.voids == 0;
    if (rules::rigid_counters && !rigid) {
        kill_primary(p, prepare.slot, "the counter does not fit the slot");
        return Step::invalid;
    }
    if (prepare.slot != track.tip.next() || prepare.header->previous != track.tip_digest) {
        kill_primary(p, prepare.slot, "a PREPARE that does not continue its chain");
        return Step::invalid;
    }
    bool ours = prepare.view == chain_view() && prepare.slot == chain_.tip().next() &&
                prepare.header->previous == chain_.tip_digest();
    bool behind_barrier = ours && unsettled_;
    if (behind_barrier) ours = false;
    if (ours && prepare.slot > chain_.low() + options_.window) {
        if (active_) return Step::wait;
        ours = false;  // the view is over: its counters must not hold up the next NEW-VIEW
    }
    bool later = prepare.view > chain_view() && prepare.view >= view_;
    // Of our view, but beyond our tip: PREPAREs were skipped, their headers are on the way (ST3).
    if (active_ && prepare.view == chain_view() && prepare.slot > chain_.tip().next()) later = true;
    if (active_ && behind_barrier) later = true;
    if (later && from.waiting.size() >= options_.window) return Step::wait;
    if (ours) {
        if (auto why = chain_.why_invalid(*prepare.header)) {
            condemn_primary(p, prepare.view, prepare.slot, *why);
            ours = false;
        }
    }
    track.tip = prepare.slot;
    track.tip_digest = prepare.hd;
    headers_.overhear(prepare.hd, prepare.header);
    out_.persist.push_back({PrepareRecord{prepare}, false});
    if (ours) {
        if (strikes(options_.quirks, Quirk::lost_body)) lose_bodies(*prepare.header);
        append(prepare, now);
    } else if (later)
        from.waiting.push_back(prepare);
    return Step::done;
}

// VC6: a correct primary's views increase, so its first NEW-VIEW of a view is the only one.
Replica::Step Replica::process(std::uint32_t p, const NewView& new_view) {
    Ordering& from = ordering_[p];
    OrderingTrack& track = from.track;
    if (rules::new_view_in_order && track.leading && new_view.view <= track.view) {
        kill_primary(p, new_view.slot, "a NEW-VIEW of a view that it has begun before");
        return Step::invalid;
    }
    track.leading = true;
    track.view = new_view.view;
    track.base = new_view.ui.cv;
    track.base_slot = track.tip = new_view.slot;
    track.tip_digest = new_view.hd;
    from.waiting.clear();
    from.candidate = new_view;
    from.candidate_nvd = new_view_digest(membership_.cluster, new_view);
    from.judged = false;
    from.ask_at = {};
    from.attempts = 0;
    judge_again_ = true;
    out_.persist.push_back({NewViewRecord{new_view}, false});
    return Step::done;
}

void Replica::kill_primary(std::uint32_t p, Slot slot, std::string why) {
    ordering_[p].stream.kill();
    ordering_[p].candidate.reset();
    out_.events.push_back({Event::Kind::sender_dead, Endpoint::primary(PrimaryId(p)), slot,
                           ordering_[p].track.processed.value, std::move(why)});
}

void Replica::condemn_primary(std::uint32_t p, View view, Slot slot, std::string why) {
    ordering_[p].condemned = view;
    ordering_[p].candidate.reset();
    out_.events.push_back({Event::Kind::sender_dead, Endpoint::primary(PrimaryId(p)), slot,
                           ordering_[p].track.processed.value, std::move(why)});
}

bool Replica::is_null(Slot slot, std::uint32_t index) const {
    if (!chain_cert_) return false;
    const auto& nullset = chain_cert_->new_view.nullset;
    return std::binary_search(nullset.begin(), nullset.end(), EntryRef{slot, index});
}

// Pooled bodies are a cache until a COMMIT relies on them: whoever ordered them serves them.
void Replica::lose_bodies(const Header& header) {
    for (const EntryHeader& entry : header.entries)
        if (pending_.contains(entry.rid)) bodies_.erase(entry.rd);
}

void Replica::append(Prepare prepare, Now now) {
    const Link& link = chain_.append(std::move(prepare));
    const Header& header = *link.prepare.header;
    if (!link.own.empty()) tell_when_idle_ = true;
    if (link.config || configs_.barrier_at(header.slot)) settle_or_stop(link);
    std::uint64_t missing = 0;
    std::vector<LeaderWatch::OwnEntry> shown;
    SlotBodiesRecord here{header.slot, link.prepare.hd, {}};
    for (const OwnEntry& own : link.own) {
        if (is_null(header.slot, own.index)) continue;
        const EntryHeader& entry = header.entries[own.index];
        in_chain_.insert(entry.rid);
        shown.push_back({entry.rid.client, std::nullopt, false});
        const bool skipped = fate(header.slot, entry) == Fate::skipped;
        // R3: any header for the rid ends its wait, whatever its digest.
        if (auto waiting = pending_.find(entry.rid); waiting != pending_.end()) {
            if (waiting->second.rd != entry.rd) bodies_.erase(waiting->second.rd);
            shown.back().ticket = waiting->second.ticket;
            auto count = pending_count_.find({entry.rid.home, entry.rid.client});
            if (--count->second == 0) pending_count_.erase(count);
            pending_.erase(waiting);
        }
        if (auto body = bodies_.find(entry.rd); body != bodies_.end()) {
            here.bodies.push_back(body->second);
            continue;
        }
        if (skipped || missing_.contains(entry.rd)) continue;
        missing_[entry.rd] = {now.mono + options_.retransmit / 4, header.slot, 0, link.config};
        ++missing;
    }
    if (link.config && link.own.empty() && unsettled_ == header.slot) {
        const Digest& rd = link.config_entry().rd;
        if (auto body = bodies_.find(rd); body != bodies_.end())
            here.bodies.push_back(body->second);
        else
            // Nobody sends it unasked, and everybody waits for us.
            missing_[rd] = {now.mono, header.slot, 0, true};
        check_at_ = {};
    }
    if (!here.bodies.empty()) out_.persist.push_back({std::move(here), false});
    show_slot(link, std::move(shown), now);
    out_.events.push_back(
        {Event::Kind::slot_appended, self(), header.slot, header.entries.size(), {}});
    if (missing > 0)
        out_.events.push_back({Event::Kind::body_missing, self(), header.slot, missing, {}});
}

// T6: what the primary of the active view did with the requests of this group. A slot that comes
// with the NEW-VIEW, or from the log, is not its doing.
void Replica::show_slot(const Link& link, std::vector<LeaderWatch::OwnEntry> own, Now now) {
    if (now.mono != TimePoint{}) let_time_pass(now);
    const Header& header = *link.prepare.header;
    LeaderWatch::SlotSeen seen;
    seen.entries = header.entries.size();
    seen.ts_ms = header.ts_ms;
    seen.newest = link.prepare.ui.cv >= ordering_[leader().value].stream.highest();
    std::size_t i = 0;
    for (const OwnEntry& each : link.own) {
        const EntryHeader& entry = header.entries[each.index];
        if (is_null(header.slot, each.index)) continue;
        if (auto body = bodies_.find(entry.rd); body != bodies_.end())
            seen.own_bytes += body->second->raw.size();
        std::uint64_t cseq = entry.rid.cseq.value;
        ClientSeq low(cseq < ClientWindow::size ? 0 : cseq - (ClientWindow::size - 1));
        // To order what will not be executed is the same as to order it twice.
        own[i++].repeated =
            watch_.running() &&
            (!in_view_[{entry.rid.home, entry.rid.client}].insert(entry.rid.cseq, low) ||
             fate(header.slot, entry) == Fate::skipped);
    }
    seen.spent = !own.empty() && backlog_ + in_chain_.size() >= options_.backlog_entries;
    seen.own = std::move(own);
    watch_.slot(seen, now.mono, now.wall_ms);
}

// R4, ValidBody: the signature was verified; here the body must be what its header says.
const Body* Replica::valid_body(const EntryHeader& entry) const {
    auto found = bodies_.find(entry.rd);
    if (found == bodies_.end()) return nullptr;
    const Request& request = *found->second;
    return request.id == entry.rid && request.parts == entry.parts ? &found->second : nullptr;
}

// CF12. A request names its key, so what it comes to follows from the order alone: from its header
// where its client is gone, from its content otherwise. Until the cluster's features allow to skip
// it, it has no valid body, and a view change nullifies it.
Replica::Fate Replica::fate(Slot slot, const EntryHeader& entry) const {
    const Configuration& config = rules::keys_by_slot ? configs_.at(slot) : configs_.newest();
    const bool judged = rules::client_keys && entry.kind == EntryKind::transaction;
    const bool skips = judged && config.features() >= features_skip;
    if (skips && config.removed(entry.rid.client)) return Fate::skipped;
    const Body* body = valid_body(entry);
    if (body == nullptr) return Fate::bodiless;
    if (!judged || config.in_force(entry.rid.client, (*body)->key)) return Fate::executed;
    return skips ? Fate::skipped : Fate::bodiless;
}

bool Replica::admits(const Request& request) const {
    return !rules::client_keys || request.id.home.value == 0 ||
           configs_.newest().in_force(request.id.client, request.key);
}

// CF2: a CONFIG entry needs its body, and one that continues what is in force, in every group.
bool Replica::has_bodies(const Link& link) const {
    if (link.config && unsettled_ == link.prepare.slot && !configuration_after(link)) return false;
    return std::all_of(link.own.begin(), link.own.end(), [&](const OwnEntry& own) {
        return is_null(link.prepare.slot, own.index) ||
               fate(link.prepare.slot, link.prepare.header->entries[own.index]) != Fate::bodiless;
    });
}

Replica::Report Replica::report() const {
    Report report;
    report.view = view_;
    report.tip = chain_.tip();
    report.committed = own().last.to;
    report.delivered = delivered_;
    report.pending = pending_.size();
    report.missing_bodies = missing_.size();
    for (std::uint32_t p = 0; p < ordering_.size(); ++p)
        if (ordering_[p].stream.dead() || ordering_[p].condemned == view_)
            report.dead.push_back(Endpoint::primary(PrimaryId(p)));
    for (std::uint32_t j = 0; j < votes_.size(); ++j)
        if (votes_[j].stream.dead()) report.dead.push_back(Endpoint::replica(group_, Position(j)));
    report.active = active_;
    report.halted = halted_;
    report.stable = stable_ ? stable_->slot : Slot(0);
    report.vote_log = own_log_.size();
    if (quest_) report.hole = quest_->cv();
    report.links = chain_.tip() - chain_.low();
    report.config = configs_.newest().version;
    report.unsettled = unsettled_;
    return report;
}

void Replica::check_invariants() const {
    invariant(delivered_ <= chain_.tip(), "nothing beyond the chain is delivered");
    invariant(chain_.low() <= delivered_, "the chain begins before what is not delivered");
    invariant(delivered_ <= ready_to_ && ready_to_ <= chain_.tip(),
              "what is ready lies in the chain");
    invariant(chain_view() <= view_, "we follow the chain of a view that we entered");
    invariant(!active_ || chain_view() == view_, "an active view has its chain");
    invariant(!unsettled_ || *unsettled_ == chain_.tip(),
              "nothing is appended beyond a configuration without its barrier");
    invariant(own_log_.empty() || own_log_.back().ui.cv == own().processed,
              "the own log ends with the newest certificate");
    const auto* commit = std::get_if<Commit>(&sealing_);
    invariant(commit == nullptr || own().last.before({commit->view, commit->to, {}, {}}),
              "COMMITs increase");
}

}  // namespace bft::consensus::minbft

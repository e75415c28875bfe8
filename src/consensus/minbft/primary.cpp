#include "consensus/minbft/primary.hpp"

#include "base/invariant.hpp"
#include "consensus/config_change.hpp"
#include "consensus/rules.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::consensus::minbft {

namespace {

constexpr std::size_t header_overhead_bytes = 128;
// Without databases: so many requests in a slot make the next one wait for T_batch, and at most
// five times that.
constexpr std::size_t crowd_of_interval = 64;
constexpr std::size_t crowd_of_longest_interval = 5 * crowd_of_interval;
// With databases: a crowd is complete when for this part of T_batch nobody else has come.
constexpr std::int64_t quiet_share = 5;

}  // namespace

Primary::Primary(const Membership& membership, PrimaryId self, PrimaryOptions options,
                 Signer& signer)
    : membership_(membership),
      self_(self),
      options_(options),
      signer_(signer),
      configs_(membership),
      chain_(membership_, std::nullopt, &configs_),
      pool_(options.client_pool),
      headers_(static_cast<std::size_t>(options.window) * 8),
      equivocation_(membership_) {
    membership_.clients.clear();  // whoever knows them has judged what they sent
    // View (0,0) begins with a virtual NEW-VIEW: N = 0, U = 0.
    if (membership.primary_of(view_) == self) phase_ = Phase::active;
    follow_members();
}

void Primary::follow_members() {
    if (configs_.changed()) follow(membership_, configs_.newest());
    // Rules that are not known here: others lead.
    if (const std::uint64_t level = configs_.newest().features();
        level > options_.features && !resigned_) {
        resigned_ = resign_due_ = true;
        out_.events.push_back({Event::Kind::halted, Endpoint::primary(self_), chain_.tip(), 0,
                               too_new(level, options_.features)});
    }
    for (const Group& group : membership_.groups) {
        if (group.removed()) {
            progress_.erase(group.id);
            continue;
        }
        Progress& progress = progress_[group.id];
        const Slot began = configs_.began(group.id);
        progress.executed.resize(group.members.size(), began);
        progress.low.resize(group.members.size(), began);
        progress.view.resize(group.members.size());
        progress.config_asked_at.resize(group.members.size());
        outstanding_entries_.try_emplace(group.id, 0);
    }
}

// --- restart (section 3.15)
// -------------------------------------------------------------------------

Result<void> Primary::replay(const Prepare& prepare) {
    if (!prepare.header || header_digest(*prepare.header) != prepare.hd)
        return error(Errc::io, "the log holds a PREPARE whose header does not fit");
    if (prepare.view != view_ || phase_ != Phase::active)
        return error(Errc::io, "the log holds a PREPARE of a view without NEW-VIEW");
    if (auto why = chain_.why_invalid(*prepare.header))
        return error(Errc::io, "the log holds an invalid header at slot " +
                                   std::to_string(prepare.slot.value) + ": " + *why);
    adopt(prepare);
    return {};
}

// Own certified messages in counter order, from the newest NEW-VIEW or standing on: what came
// before it has no say in what we certify next.
Result<void> Primary::replay_log(const Recovered& log, Counter& logged) {
    Counter begin{};
    for (const NewViewRecord& record : log.new_views) {
        if (record.new_view.ui.cv <= begin) continue;
        begin = record.new_view.ui.cv;
        view_ = record.new_view.view;
        lead(record.new_view, record.ts_ms);
    }
    if (log.standing && log.standing->view == view_ && log.standing->cv > begin) {
        const StandingRecord& standing = *log.standing;
        begin = standing.cv;
        base_ = standing.base;
        base_slot_ = standing.base_slot;
        chain_.restart_at(standing.slot, standing.hd, standing.ts_ms, chain_.next_seqs());
    }
    logged = begin;
    for (const Prepare& prepare : log.prepares) {
        if (log.standing && prepare.ui.cv == begin && prepare.view == view_) newest_ = prepare;
        if (prepare.ui.cv <= begin) continue;
        if (auto replayed = replay(prepare); !replayed) return replayed;
        logged = prepare.ui.cv;
    }
    return {};
}

// T1: certified, but the crash came before the log or the send.
bool Primary::resume_intent(const Recovered& log, const Digest& digest, const Ui& ui) {
    if (log.intent && log.intent->header) {
        Prepare prepare{log.intent->view, log.intent->header->slot,
                        header_digest(*log.intent->header), ui, log.intent->header};
        if (prepare_digest(membership_.cluster, prepare.view, prepare.slot, prepare.hd) == digest) {
            if (!replay(prepare)) return false;
            out_.persist.push_back({PrepareRecord{prepare}});
            resend_ = std::move(prepare);
            return true;
        }
    }
    if (log.new_view_intent &&
        new_view_digest(membership_.cluster, log.new_view_intent->new_view) == digest) {
        NewView new_view = log.new_view_intent->new_view;
        new_view.ui = ui;
        view_ = new_view.view;
        out_.persist.push_back({NewViewRecord{new_view, log.new_view_intent->ts_ms}});
        lead(new_view, log.new_view_intent->ts_ms);
        resend_ = std::move(new_view);
        return true;
    }
    return false;
}

Result<void> Primary::recover(Recovered log, const std::optional<std::pair<Digest, Ui>>& last) {
    std::sort(log.barriers.begin(), log.barriers.end(),
              [](const auto& a, const auto& b) { return a->slot < b->slot; });
    for (const BarrierCertPtr& barrier : log.barriers) configs_.skip_to(barrier);
    follow_members();
    if (configs_.newest().features() > options_.features)
        return error(Errc::refused, too_new(configs_.newest().features(), options_.features));
    Counter logged{};
    if (auto replayed = replay_log(log, logged); !replayed) return replayed;
    Counter certified = last ? last->second.cv : Counter(0);
    recover_voids(log, logged);
    for (const EquivocationProof& proof : log.equivocations) {
        if (equivocation_.take(proof) && proof.stream == StreamId::ordering(self_))
            resigned_ = resign_due_ = true;
    }
    if (certified == logged) return {};  // T0
    if (certified < logged)
        return error(Errc::refused,
                     "the TPM's counter is at " + std::to_string(certified.value) +
                         ", below the log's " + std::to_string(logged.value) +
                         ": the TPM's state was rolled back. Replace this host's identity.");
    Counter followed = logged;  // and by proven voids
    auto is_next = [&](const VoidCert& cert) { return cert.cv == followed.next(); };
    while (std::ranges::any_of(log.voids, is_next)) followed = followed.next();
    if (certified.value - followed.value - 1 <= last->second.voids &&
        resume_intent(log, last->first, last->second)) {
        // What is void lies before the NEW-VIEW that was certified.
        if (!log.hole) resign_due_ = resigned_;
        return {};
    }
    return error(Errc::refused,
                 "the TPM has certified up to " + std::to_string(certified.value) +
                     " but this host's log ends at " + std::to_string(logged.value) +
                     ": the log is old or lost. This primary must not go on; restore its data "
                     "directory or replace its identity.");
}

// A void in the ordering counter breaks the view's map of counters to slots: only a NEW-VIEW can
// follow it. We ask for the next view; ours comes round again.
void Primary::recover_voids(const Recovered& log, Counter logged) {
    bool proven = false;
    for (const VoidCert& cert : log.voids) {
        if (cert.cv > logged) resign_due_ = true;
        if (log.hole == cert.cv) proven = true;
    }
    if (!log.hole) return;
    resign_due_ = true;
    if (proven) {
        out_.voided = *log.hole;
        return;
    }
    out_.events.push_back({Event::Kind::hole, Endpoint::primary(self_), {}, log.hole->value, {}});
    quest_.emplace(membership_, StreamId::ordering(self_), *log.hole);
}

void Primary::on_void_promise(const VoidPromise& promise) {
    if (!quest_) return;
    quest_->take(promise);
    auto cert = quest_->complete();
    if (!cert) return;
    quest_.reset();
    VoidQuest::conclude(membership_, std::move(*cert), out_);
}

void Primary::ask_for_void(Now now) {
    if (!quest_ || now.mono < quest_at_) return;
    quest_at_ = now.mono + options_.retransmit;
    out_.send.push_back(quest_->request());
}

// --- inputs
// -----------------------------------------------------------------------------------------

void Primary::receive(const Verified& message, Now now) {
    const auto* bodies = std::get_if<Bodies>(&message.payload());
    if (const auto* body = std::get_if<Body>(&message.payload())) {
        on_request(*body, now);
        order_if_due(now);
    } else if (bodies != nullptr && message.from().role == Endpoint::Role::client) {
        for (const Body& each : bodies->bodies) on_request(each, now);
        order_if_due(now);
    } else if (const auto* status = std::get_if<Status>(&message.payload()))
        on_status(message.from(), *status, now);
    else if (const auto* change = std::get_if<ViewChangePtr>(&message.payload())) {
        if (membership_.knows((*change)->view))
            if (auto proof = equivocation_.inspect(message)) convict(*proof);
        on_view_change(*change, now);
    } else if (const auto* proof = std::get_if<EquivocationProof>(&message.payload()))
        convict(*proof);
    else if (const auto* trigger = std::get_if<TriggerCertificate>(&message.payload()))
        on_trigger(*trigger);
    else if (const auto* headers = std::get_if<Headers>(&message.payload()))
        on_headers(*headers);
    else if (bodies != nullptr)
        on_bodies(*bodies);
    else if (const auto* promise = std::get_if<VoidPromise>(&message.payload()))
        on_void_promise(*promise);
    else if (const auto* barrier = std::get_if<BarrierCertPtr>(&message.payload()))
        on_barrier(*barrier);
    else if (std::holds_alternative<FetchConfig>(message.payload()) &&
             message.from().role == Endpoint::Role::client)
        out_.send.push_back(
            {{message.from()}, FetchConfig{configs_.newest().version, options_.features}});
    new_view_if_ready(now);
}

// EQUIV-PROOF: VIEW-CHANGEs of a broken counter are not collected; with a broken counter of its own
// this node never leads again.
void Primary::convict(const EquivocationProof& proof) {
    if (!equivocation_.take(proof)) return;
    out_.persist.push_back({EquivocationRecord{proof}});
    out_.send.push_back({membership_.all_replicas(), proof});
    Endpoint owner = owner_of(proof.stream);
    out_.events.push_back(alarm(proof));
    if (owner != Endpoint::primary(self_)) return;
    resigned_ = resign_due_ = true;
}

// Kept although another is under way: it is judged again when its turn comes.
void Primary::on_config_request(const Body& body, Now now) {
    if (phase_ == Phase::idle) return;
    auto change = decode_change(body->op);
    if (!change || !apply(configs_.newest(), *change)) return;
    config_request_ = body;
    order_if_due(now);
}

bool Primary::config_due() const {
    if (!config_request_ || unsettled_) return false;
    auto change = decode_change(config_request_->op);
    return change && apply(configs_.newest(), *change);
}

// What lies between two barriers was executed long ago, or is for replicas to know.
void Primary::on_barrier(const BarrierCertPtr& barrier) {
    if (!configs_.skip_to(barrier)) return;
    follow_members();
    collect_at_ = {};
    out_.persist.push_back({BarrierRecord{barrier}});
    if (unsettled_ && *unsettled_ <= barrier->slot) unsettled_.reset();
    if (!config_due()) config_request_ = nullptr;
}

void Primary::ask_for_barrier(Now now) {
    if (!unsettled_ || now.mono < config_ask_at_) return;
    config_ask_at_ = now.mono + options_.retransmit;
    out_.send.push_back({membership_.all_replicas(), FetchConfig{configs_.newest().version}});
}

// CF12. What is ordered next belongs to the newest configuration: nothing goes beyond a CONFIG
// before its barrier is here.
bool Primary::admits(const Request& request) const {
    return !rules::client_keys || configs_.newest().in_force(request.id.client, request.key);
}

void Primary::on_request(const Body& body, Now now) {
    if (body->id.home.value == 0) return on_config_request(body, now);
    // Only a request that this node may order soon is kept: replicas forward it to each new
    // primary.
    auto group = configs_.newest().owner(body->id.home);
    if (!group || phase_ == Phase::idle || !admits(*body)) return;
    if (pool_.empty()) gather_since_ = now.mono;
    auto window = ordered_.find({body->id.home, body->id.client});
    if (window != ordered_.end() && window->second.contains(body->id.cseq)) return;
    switch (pool_.add(*group, body)) {
        case RequestPool::Added::yes:
            break;
        case RequestPool::Added::known:
            return;
        case RequestPool::Added::full:
            out_.events.push_back({Event::Kind::dropped,
                                   Endpoint::of_client(body->id.client),
                                   {},
                                   1,
                                   "the client has its share of the pool"});
            return;
    }
    last_request_at_ = now.mono;
    starved_ = false;
}

// Those who left and have not heard of it get nothing more of the order, a whole group perhaps:
// what they still have to give, new members come for, whom they do not know yet (CF7).
void Primary::show_change(const Endpoint& to, ConfigVersion known, Now now) {
    BarrierCertPtr barrier = configs_.after(known);
    if (!barrier) return;
    TimePoint& shown = shown_at_[to];
    if (shown != TimePoint{} && now.mono - shown < options_.retransmit) return;
    shown = now.mono;
    out_.send.push_back({{to}, std::move(barrier)});
}

void Primary::on_status(const Endpoint& from, const Status& status, Now now) {
    if (!membership_.active(from.group, Position(from.index)))
        show_change(from, status.config, now);
    auto found = progress_.find(from.group);
    if (found == progress_.end() || from.index >= found->second.view.size()) return;
    TimePoint& asked_at = found->second.config_asked_at[from.index];
    if (status.config > configs_.newest().version &&
        now.mono - asked_at >= options_.retransmit / 4) {
        asked_at = now.mono;
        out_.send.push_back({{from}, FetchConfig{configs_.newest().version}});
    }
    if (!membership_.active(from.group, Position(from.index))) return;
    Slot& executed = found->second.executed[from.index];
    Slot& low = found->second.low[from.index];
    executed = std::max(executed, status.executed);
    low = std::max(low, status.low);
    View& view = found->second.view[from.index];
    view = std::max(view, status.view);
    // f+1 of a group have left our view: one correct replica has seen a TC.
    std::vector<View> views = of_members(from.group, found->second.view);
    std::sort(views.begin(), views.end(), std::greater<>());
    leave_view(views[membership_.f]);
    bool was_busy = busy();
    release_credit();
    if (was_busy && !busy()) gather_since_ = now.mono;
    starved_ = false;
    order_if_due(now);
}

void Primary::tick(Now now) {
    if (resend_) {
        if (const auto* prepare = std::get_if<Prepare>(&*resend_))
            out_.send.push_back({membership_.all_replicas(), *prepare});
        else
            out_.send.push_back({membership_.all_replicas(), std::get<NewView>(*resend_)});
        resend_.reset();
    }
    if (std::exchange(resign_due_, false)) resign(now);
    ask_for_void(now);
    ask_for_barrier(now);
    new_view_if_ready(now);
    order_if_due(now);
    // A full window leaves no new slot that would show a gap to who missed the last ones: the tip
    // goes again in the place of heartbeats (R15).
    if (newest_ && phase_ == Phase::active && !resigned_ && !window_open() &&
        now.mono - newest_sent_at_ >= options_.heartbeat) {
        newest_sent_at_ = now.mono;
        out_.send.push_back({membership_.all_replicas(), *newest_});
    }
}

std::optional<TimePoint> Primary::next_deadline() const {
    if (resend_ || resign_due_) return TimePoint{};
    if (quest_) return quest_at_;
    if (!std::holds_alternative<std::monostate>(sealing_)) return std::nullopt;
    if (phase_ == Phase::collecting) return collect_at_;
    if (phase_ != Phase::active || resigned_) return std::nullopt;
    if (!window_open()) {
        std::optional<TimePoint> next;
        if (newest_) next = newest_sent_at_ + options_.heartbeat;
        if (unsettled_) next = next ? std::min(*next, config_ask_at_) : config_ask_at_;
        return next;
    }
    TimePoint heartbeat = last_slot_at_ + options_.heartbeat;
    if (config_due()) return std::min(heartbeat, last_slot_at_ + options_.batch_interval);
    if (pool_.empty() || starved_) return heartbeat;
    return std::min(heartbeat, batch_due_at());
}

Output Primary::take_output() {
    return std::exchange(out_, {});
}

Primary::Report Primary::report() const {
    return {view_, chain_.tip(), pool_.size(), ordered_count_, phase_};
}

// --- ordering
// ---------------------------------------------------------------------------------------

// The (f+1)-th largest: at least one correct replica is that far.
Slot Primary::quorum_value(GroupId group, const std::vector<Slot>& reported) const {
    std::vector<Slot> sorted = of_members(group, reported);
    std::sort(sorted.begin(), sorted.end(), std::greater<>());
    return sorted[membership_.f];
}

// A group that does not move holds up nobody who removes it.
bool Primary::window_open() const {
    if (unsettled_) return false;
    std::vector<GroupId> leaving;
    if (config_due()) leaving = decode_change(config_request_->op)->groups_removed;
    Slot low = chain_.tip();
    for (const auto& [group, progress] : progress_)
        if (!std::binary_search(leaving.begin(), leaving.end(), group))
            low = std::min(low, quorum_value(group, progress.low));
    return chain_.tip().next() <= low + options_.window;
}

// Returns the credit of slots that each group has executed, so that neither a slow group nor slow
// databases let a queue grow (P2).
void Primary::release_credit() {
    std::map<GroupId, Slot> executed;
    Slot lowest = chain_.tip();
    for (const auto& [group, progress] : progress_) {
        executed[group] = quorum_value(group, progress.executed);
        lowest = std::min(lowest, executed[group]);
    }
    for (Unexecuted& slot : unexecuted_) {
        for (auto& [group, entries] : slot.entries) {
            auto reached = executed.find(group);  // of a removed group nobody waits for more
            if (reached != executed.end() && slot.slot > reached->second) continue;
            outstanding_entries_[group] -= entries;
            entries = 0;
        }
    }
    while (!unexecuted_.empty() && unexecuted_.front().slot <= lowest) unexecuted_.pop_front();
}

bool Primary::busy() const {
    return std::any_of(outstanding_entries_.begin(), outstanding_entries_.end(),
                       [](const auto& group) { return group.second > 0; });
}

// A slot costs the same certificates however many requests share it. While databases still work on
// earlier ones nobody gains from a half-empty slot, so the pool fills for longer. When they are
// done, many clients have their answers at once and come back within moments: until as many as
// lately are here and no more come, they wait for each other, but not long. A lone client waits for
// nobody.
TimePoint Primary::batch_due_at() const {
    if (membership_.orders_only()) {
        // Nobody waits for a database: the more requests come, the fewer slots they need, and one
        // that comes alone goes alone.
        std::size_t crowd = std::min(crowd_, crowd_of_longest_interval);
        return last_slot_at_ + options_.batch_interval * static_cast<std::int64_t>(crowd) /
                                   static_cast<std::int64_t>(crowd_of_interval);
    }
    bool all_here = pool_.size() >= crowd_;
    if (busy()) {
        Duration usual = std::max(options_.batch_interval, options_.busy_batch_interval);
        return last_slot_at_ + (all_here ? usual : 2 * usual);
    }
    TimePoint due = last_slot_at_ + options_.batch_interval;
    if (crowd_ <= 1) return due;
    TimePoint gathered = gather_since_ + options_.gather_interval;
    if (all_here)
        gathered = std::min(gathered, last_request_at_ + options_.batch_interval / quiet_share);
    return std::max(due, gathered);
}

// P2, P4: a batch whenever the counter is idle and the last slot is T_batch ago or a slot is full,
// so that a lone request does not wait and a crowd shares slots; an empty slot as a heartbeat.
void Primary::order_if_due(Now now) {
    if (!std::holds_alternative<std::monostate>(sealing_) || resigned_) return;
    if (phase_ != Phase::active || !window_open() || quest_ || resign_due_) return;
    bool batch_due = !pool_.empty() && !starved_ &&
                     (now.mono >= batch_due_at() || pool_.size() >= options_.slot_entries);
    if (config_due()) batch_due = batch_due || now.mono >= last_slot_at_ + options_.batch_interval;
    bool heartbeat_due = now.mono - last_slot_at_ >= options_.heartbeat ||
                         strikes(options_.quirks, Quirk::early_heartbeat);
    if (!batch_due && !heartbeat_due) return;

    HeaderPtr header = next_header(now);
    if (header->entries.empty() && !heartbeat_due) {
        starved_ = true;
        return;
    }
    last_slot_at_ = now.mono;
    if (!header->entries.empty())
        crowd_ = std::max<std::size_t>(header->entries.size(), crowd_ * 7 / 8);
    sealing_ = SealingSlot{view_, header};
    out_.persist.push_back({PrepareIntent{view_, header}});
    out_.seal =
        Draft{prepare_digest(membership_.cluster, view_, header->slot, header_digest(*header))};
}

HeaderPtr Primary::next_header(Now now) {
    auto header = std::make_shared<Header>();
    SlotBodiesRecord bodies;
    header->slot = chain_.tip().next();
    header->previous = chain_.tip_digest();
    header->ts_ms = std::max(chain_.tip_ts_ms() + 1, now.wall_ms);
    if (config_due()) {
        const Request& request = *config_request_;
        header->entries.push_back({request.id, request.parts, EntryKind::config, request.rd});
        bodies.bodies.push_back(std::exchange(config_request_, nullptr));
        log_bodies(*header, std::move(bodies));
        return header;
    }
    std::size_t bytes = 0;
    std::map<GroupId, std::uint64_t> taken;
    auto credit = [&](GroupId group) {
        return outstanding_entries_[group] + taken[group] < options_.group_credit;
    };
    std::uint32_t most = strikes(options_.quirks, Quirk::small_batch) ? 1 : options_.slot_entries;
    while (header->entries.size() < most && bytes < options_.slot_bytes) {
        std::optional<Body> body = pool_.take(credit);
        if (!body) break;
        const Request& request = **body;
        // It waited here while its entry came with the NEW-VIEW.
        auto window = ordered_.find({request.id.home, request.id.client});
        if (window != ordered_.end() && window->second.contains(request.id.cseq)) continue;
        if (!admits(request)) continue;  // it waited here while its client left
        bytes += request.raw.size() + header_overhead_bytes;
        ++taken[*configs_.newest().owner(request.id.home)];
        header->entries.push_back({request.id, request.parts, EntryKind::transaction, request.rd});
        note_ordered(request.id);  // a copy that comes while the counter works is one already
        bodies.bodies.push_back(std::move(*body));
    }
    log_bodies(*header, std::move(bodies));
    return header;
}

// P5: whoever misses a body may ask us for it.
void Primary::log_bodies(const Header& header, SlotBodiesRecord bodies) {
    if (bodies.bodies.empty()) return;
    bodies.slot = header.slot;
    bodies.hd = header_digest(header);
    out_.persist.push_back({std::move(bodies), false});
}

void Primary::sealed(Ui ui, Now now) {
    invariant(!std::holds_alternative<std::monostate>(sealing_), "a certificate answers a draft");
    if (std::holds_alternative<SealingView>(sealing_)) return new_view_sealed(std::move(ui), now);
    SealingSlot slot = std::get<SealingSlot>(std::exchange(sealing_, std::monostate{}));
    Prepare prepare{slot.view, slot.header->slot, header_digest(*slot.header), std::move(ui),
                    slot.header};
    Counter expected = base_ + (prepare.slot - base_slot_);
    if (prepare.ui.cv != expected || prepare.ui.voids != 0) {
        // P7: the rigid map of counters to slots is broken; whatever we certify would be malformed.
        resigned_ = true;
        out_.events.push_back({Event::Kind::sender_dead, Endpoint::primary(self_), prepare.slot,
                               prepare.ui.cv.value, "own counter does not fit the slot"});
        resign(now);
        return;
    }
    // Not synced on its own: the USIG service keeps the newest certificate until the next intent
    // has made this record durable (T1).
    out_.persist.push_back({PrepareRecord{prepare}, false});
    out_.send.push_back({membership_.all_replicas(), prepare});
    newest_sent_at_ = now.mono;
    out_.events.push_back({Event::Kind::slot_prepared,
                           Endpoint::primary(self_),
                           prepare.slot,
                           prepare.header->entries.size(),
                           {}});
    ordered_count_ += prepare.header->entries.size();
    // A PREPARE of a view that we have left meanwhile closes our counter's sequence, no more.
    if (prepare.view == view_) {
        if (prepare.slot.value % options_.standing_every == 0)
            out_.persist.push_back({StandingRecord{view_, base_, base_slot_, prepare.ui.cv,
                                                   prepare.slot, prepare.hd, prepare.header->ts_ms},
                                    false});
        adopt(std::move(prepare));
    }
    new_view_if_ready(now);
    order_if_due(now);
}

void Primary::note_ordered(const RequestId& rid) {
    // A client's outstanding cseqs span less than a window (C4), so this ack_low is safe.
    std::uint64_t cseq = rid.cseq.value;
    ClientSeq low(cseq < ClientWindow::size ? 0 : cseq - (ClientWindow::size - 1));
    ordered_[{rid.home, rid.client}].insert(rid.cseq, low);
}

// The chain, the duplicates filter and the credits follow a certified slot.
void Primary::adopt(Prepare prepare) {
    adopt_entries(*prepare.header, {});
    Slot slot = prepare.slot;
    const auto& entries = prepare.header->entries;
    if (!entries.empty() && entries.front().kind == EntryKind::config && !configs_.barrier_at(slot))
        unsettled_ = slot;
    newest_ = prepare;
    chain_.append(std::move(prepare));
    chain_.forget_up_to(slot);
}

void Primary::adopt_entries(const Header& header, const std::vector<EntryRef>& nullset) {
    Unexecuted unexecuted{header.slot, {}};
    for (std::uint32_t i = 0; i < header.entries.size(); ++i) {
        if (std::binary_search(nullset.begin(), nullset.end(), EntryRef{header.slot, i})) continue;
        const EntryHeader& entry = header.entries[i];
        if (entry.kind != EntryKind::config) note_ordered(entry.rid);
        auto group = configs_.owner(header.slot, entry.rid.home);
        ++unexecuted.entries[*group];
        ++outstanding_entries_[*group];
    }
    if (!unexecuted.entries.empty()) unexecuted_.push_back(std::move(unexecuted));
}

}  // namespace bft::consensus::minbft

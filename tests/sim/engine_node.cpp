#include "engine_node.hpp"

#include <algorithm>

namespace bft::sim {

using namespace consensus;

minbft::PrimaryOptions primary_options(const Plan& plan) {
    minbft::PrimaryOptions options;
    options.window = plan.window;
    options.heartbeat = plan.timers.heartbeat;
    if (plan.retain > 0) options.standing_every = 8;
    options.slot_entries = plan.slot_entries;
    options.group_credit = plan.group_credit;
    return options;
}

minbft::ReplicaOptions replica_options(const Plan& plan) {
    minbft::ReplicaOptions options;
    options.window = plan.window;
    options.checkpoint_every = plan.checkpoint_every;
    options.order_patience = plan.timers.order;
    options.body_patience = plan.timers.body;
    options.silence_patience = plan.timers.silence;
    options.new_view_patience = plan.timers.new_view;
    options.patience_max = plan.timers.max;
    options.backlog_entries = plan.group_credit / 2;
    options.watch.slot_interval = plan.timers.slot_interval;
    options.watch.order_delay = plan.timers.order_delay;
    options.watch.overtaking = plan.overtaking;
    options.watch.slot_entries = plan.slot_entries;
    options.watch.view_min = plan.timers.silence;
    if (plan.retain > 0) {
        options.lag_patience = 1s;
        options.state_entries = 4;
    }
    return options;
}

minbft::ExecutorOptions executor_options(const Plan& plan) {
    minbft::ExecutorOptions options;
    options.slots_kept = plan.slots_kept;
    return options;
}

EngineNode::EngineNode(Cluster& cluster, Endpoint self)
    : cluster_(cluster),
      self_(self),
      usig_(*cluster.membership.usig_of(self)),
      correct_(cluster.correct(self)),
      disk_(cluster.time, cluster.membership, cluster.plan.disk_latency, cluster.split()),
      signer_(cluster.tokens, *cluster.membership.identity_key(self)),
      clock_(cluster.clock_of(self)) {
    cluster.nodes[self] = this;
    disk_.retain(cluster.plan.retain, self);
}

// --- life and death ---

// The USIG service works through its queue before it answers last().
void EngineNode::boot() {
    if (up() || refused_ || away_) return;
    if (!cluster_.tpm_of(self_).idle(usig_)) {
        cluster_.time.after(1ms, [this, incarnation = incarnation_] {
            if (incarnation == incarnation_) boot();
        });
        return;
    }
    if (!recover()) return;
    cluster_.log(self_, "boot");
    pump();
    if (!up()) return;
    engine_->tick(now());
    pump();
}

bool EngineNode::recover() {
    auto last = cluster_.tpm_of(self_).last(usig_);
    Result<void> recovered = error(Errc::refused, "the TPM has a new epoch");  // the host's check
    if (disk_.rotten())
        recovered = error(Errc::io, "a record of the log has a bad checksum");  // likewise
    else if (!cluster_.tpm_of(self_).was_reset())
        recovered =
            self_.role == Endpoint::Role::primary ? recover_primary(last) : recover_replica(last);
    if (recovered) {
        if (!correct_) return true;
        if (must_refuse_)
            cluster_.checker.fail("S-PERSIST", to_string(self_) + " came back without its past");
        if (replica_ != nullptr)
            cluster_.checker.recovered(self_, replica_->agreement().report());
        else
            cluster_.checker.recovered(self_, primary_->report());
        return true;
    }
    engine_.reset();
    replica_ = nullptr;
    primary_ = nullptr;
    refused_ = true;
    cluster_.log(self_, "refuses to start: " + recovered.error().what);
    if (must_refuse_)
        cluster_.reach("refuses to start without its past (T2, T3)");
    else if (correct_)
        cluster_.checker.fail(
            "S-PERSIST", to_string(self_) + " refused to come back: " + recovered.error().what);
    return false;
}

void EngineNode::note_restart(const std::optional<std::pair<Digest, Ui>>& last, Counter logged) {
    std::string who = self_.role == Endpoint::Role::primary ? "primary" : "replica";
    if (last && last->second.cv > logged)
        cluster_.reach(who + " restarts by last() (T1)");
    else if (last)
        cluster_.reach(who + " restarts from its log (T0)");
}

// Mutation: a restart takes its log's word for what was certified last.
std::optional<std::pair<Digest, Ui>> EngineNode::last_known(
    std::optional<std::pair<Digest, Ui>> last, Counter logged) const {
    if (cluster_.plan.mutation != Mutation::last_unused || !last) return last;
    if (logged.value == 0) return std::nullopt;
    last->second.cv = logged;
    return last;
}

Result<void> EngineNode::recover_primary(const std::optional<std::pair<Digest, Ui>>& last) {
    minbft::PrimaryOptions options = primary_options(cluster_.plan);
    options.quirks = &cluster_.quirks;
    auto engine = std::make_unique<minbft::Primary>(cluster_.genesis, PrimaryId(self_.index),
                                                    options, signer_);
    auto log = disk_.primary_log(PrimaryId(self_.index));
    log.hole = cluster_.tpm_of(self_).hole(usig_);
    Counter logged{};
    for (const Prepare& each : log.prepares) logged = std::max(logged, each.ui.cv);
    for (const NewViewRecord& each : log.new_views) logged = std::max(logged, each.new_view.ui.cv);
    note_restart(last, logged);
    Result<void> recovered = engine->recover(std::move(log), last_known(last, logged));
    primary_ = engine.get();
    engine_ = std::move(engine);
    return recovered;
}

Result<void> EngineNode::recover_replica(const std::optional<std::pair<Digest, Ui>>& last) {
    Position position(self_.index);
    minbft::ReplicaOptions options = replica_options(cluster_.plan);
    minbft::ExecutorOptions executor = executor_options(cluster_.plan);
    options.quirks = executor.quirks = &cluster_.quirks;
    auto engine = std::make_unique<minbft::GroupReplica>(cluster_.genesis, self_.group, position,
                                                         options, executor, signer_);
    auto log = disk_.replica_log(self_.group, position);
    log.hole = cluster_.tpm_of(self_).hole(usig_);
    Counter logged{};
    for (const Commit& each : log.own_commits) logged = std::max(logged, each.ui.cv);
    for (const ViewChangePtr& each : log.view_changes)
        if (each->group == self_.group && each->position == position)
            logged = std::max(logged, each->ui.cv);
    note_restart(last, logged);
    if (log.snapshot) cluster_.reach("replica restarts from a snapshot");
    Result<void> recovered = engine->recover(std::move(log), last_known(last, logged));
    replica_ = engine.get();
    engine_ = std::move(engine);
    return recovered;
}

void EngineNode::crash() {
    if (!up()) return;
    cluster_.log(self_, "crash");
    ++incarnation_;
    engine_.reset();
    replica_ = nullptr;
    primary_ = nullptr;
    outputs_.clear();
    paused_work_.clear();
    paused_ = false;
    timer_at_.reset();
    draining_ = false;
    disk_.crash(cluster_.plan.mutation == Mutation::disk_loses_tail ? 3 : 0);
    if (correct_ && !must_refuse_) cluster_.checker.crashed(self_, disk_);
}

void EngineNode::lose_disk() {
    crash();
    disk_.lose();
    if (cluster_.tpm_of(self_).last(usig_)) expect_refusal();
}

bool EngineNode::roll_back_disk() {
    crash();
    if (!disk_.roll_back(self_)) return false;
    expect_refusal();
    return true;
}

void EngineNode::rot_disk() {
    crash();
    disk_.rot();
    expect_refusal();
}

void EngineNode::fail_disk(Duration wait) {
    if (!up()) return;
    disk_.fail_next_sync([this, wait] {
        cluster_.reach("log write failed");
        crash();
        cluster_.time.after(wait, [this] { boot(); });
    });
}

void EngineNode::clone_disk(const EngineNode& other) {
    crash();
    disk_.clone(other.disk_);
}

void EngineNode::resign() {
    if (primary_ == nullptr || paused_) return;
    primary_->resign(now());
    pump();
}

void EngineNode::pause() {
    if (!up() || paused_) return;
    cluster_.log(self_, "pause");
    paused_ = true;
}

void EngineNode::resume() {
    if (!paused_) return;
    cluster_.log(self_, "resume");
    paused_ = false;
    std::vector<std::function<void()>> work = std::exchange(paused_work_, {});
    std::uint64_t incarnation = incarnation_;
    for (auto& each : work) {
        if (incarnation != incarnation_) return;
        each();
    }
}

// --- input and output ---

bool EngineNode::knows_enough(const Verified& message) {
    const ConfigHistory& configs =
        replica_ != nullptr ? replica_->agreement().configs() : primary_->configs();
    const Configuration& mine = configs.newest();
    const Configuration& all = cluster_.configs.newest();
    if (mine.groups == cluster_.membership.groups && mine.clients == all.clients &&
        mine.admins == all.admins && mine.reigns == cluster_.membership.reigns)
        return true;
    if (known_version_ != mine.version) {
        known_version_ = mine.version;
        known_ = cluster_.genesis;
        configs.follow(known_);
    }
    if (Verifier(known_, cluster_.tokens).verify(message.message())) return true;
    cluster_.reach("a message by somebody who is not known yet");
    return false;
}

void EngineNode::receive(const Network::Packet& packet) {
    constexpr std::size_t paused_max = 20'000;  // then the kernel's buffers are full
    if (!up() || (paused_ && paused_work_.size() >= paused_max)) return;
    if (paused_) return alive(incarnation_, [this, packet] { receive(packet); });
    if (cluster_.configs.changed() && !knows_enough(*packet)) return;
    FetchBounds bounds;
    const Payload& payload = packet->payload();
    bool of_many = std::holds_alternative<FetchCertificates>(payload) ||
                   std::holds_alternative<FetchBodies>(payload) ||
                   std::holds_alternative<FetchHeaders>(payload) ||
                   std::holds_alternative<FetchViewChanges>(payload);
    if (of_many && cluster_.quirks.strikes(Quirk::short_answer)) bounds.messages = 1;
    if (auto answer = answer_fetch(cluster_.membership, disk_, *packet, bounds)) {
        std::vector<Send> sends{std::move(*answer)};
        if (liar_) liar_->rewrite(sends);
        for (const Send& send : sends) {
            if (correct_) cluster_.checker.sending(self_, send);
            cluster_.network.send(self_, send);
        }
        return;
    }
    if (liar_) {
        liar_->saw(*packet);
        if (!liar_->hears(*packet)) return;
    }
    engine_->receive(*forgetful(packet), now());
    pump();
}

// Its engine then orders what no correct primary would. It leads no view that begins beyond the
// barrier, for others show the real one.
Network::Packet EngineNode::forgetful(const Network::Packet& packet) const {
    const auto* barrier = std::get_if<BarrierCertPtr>(&packet->payload());
    if (barrier == nullptr || primary_ == nullptr || correct_ || !cluster_.plan.forgets_clients)
        return packet;
    const auto& before = primary_->configs().newest().clients;
    auto config = std::make_shared<Configuration>(*(*barrier)->config);
    for (auto& [client, key] : config->clients)
        if (auto old = before.find(client); old != before.end() && !old->second.empty())
            key = old->second;
    auto forged = std::make_shared<BarrierCert>(**barrier);
    for (StableCert& cert : forged->groups) cert.config = configuration_digest(*config);
    forged->config = std::move(config);
    auto verified = Verifier(cluster_.membership, believe_all())
                        .verify({packet->from(), self_, BarrierCertPtr(std::move(forged))});
    if (!verified) return packet;
    cluster_.reach("a primary forgets that a client is gone");
    return std::make_shared<const Verified>(std::move(*verified));
}

void EngineNode::pump() {
    Output output = engine_->take_output();
    if (!output.empty()) {
        if (liar_) liar_->corrupt(output);
        observe(output);
        auto queued = std::make_shared<Queued>();
        bool must_wait = std::any_of(output.persist.begin(), output.persist.end(),
                                     [](const Persist& p) { return p.durable; });
        if (cluster_.plan.mutation == Mutation::send_before_sync) must_wait = false;
        std::vector<Persist> records = std::move(output.persist);
        output.persist.clear();
        queued->output = std::move(output);
        queued->durable = !must_wait;
        outputs_.push_back(queued);
        std::function<void()> durable;
        if (must_wait)
            durable = [this, queued, incarnation = incarnation_] {
                alive(incarnation, [this, queued] {
                    if (dies_at(Moment::durable)) return;
                    queued->durable = true;
                    drain();
                });
            };
        if (!records.empty()) {
            disk_.append(std::move(records), std::move(durable));
            if (dies_at(Moment::persist)) return;
        }
    }
    drain();
    if (up()) arm_timer();
}

// What checkers see of an engine's state: at once, whether or not the world ever learns of it.
void EngineNode::observe(const Output& output) {
    for (const Persist& persist : output.persist) observe(persist.record);
    for (const Event& event : output.events) {
        if (!correct_ || replica_ == nullptr) break;
        if (event.kind == Event::Kind::state_adopted) {
            cluster_.checker.adopted(self_, event.slot);
            cluster_.reach(replica_->agreement().report().active
                               ? "a state is adopted"
                               : "a state is adopted during a view change");
        } else if (event.kind == Event::Kind::counter_adopted) {
            cluster_.reach(event.peer.role == Endpoint::Role::primary
                               ? "a primary's counter is adopted"
                               : "a peer's counter is adopted");
        }
    }
    if (!correct_ || replica_ == nullptr || output.deliver.empty()) return;
    cluster_.checker.delivered(self_, replica_->agreement(), output.deliver);
    if (replica_->agreement().delivered().value % 4 == 0)
        cluster_.checker.windows(replica_->agreement(), self_.group);
}

void EngineNode::observe(const LogRecord& record) {
    Checker& checker = cluster_.checker;
    if (const auto* intent = std::get_if<CommitIntent>(&record)) {
        checker.certifying(intent->commit);
    } else if (const auto* prepare = std::get_if<PrepareRecord>(&record)) {
        checker.header(prepare->prepare.hd, prepare->prepare.header);
        if (correct_ && replica_ != nullptr) checker.processed(self_, prepare->prepare);
    } else if (const auto* header = std::get_if<HeaderRecord>(&record)) {
        checker.header(header->header);
    } else if (const auto* new_view = std::get_if<NewViewRecord>(&record)) {
        checker.new_view(new_view->new_view);
    } else if (const auto* barrier = std::get_if<BarrierRecord>(&record)) {
        cluster_.time.after(Duration{}, [this, shown = barrier->barrier] {
            if (cluster_.on_barrier) cluster_.on_barrier(shown);
        });
    } else if (correct_ && replica_ != nullptr) {
        if (const auto* commit = std::get_if<CommitRecord>(&record))
            checker.counted(self_, commit->commit);
        else if (const auto* change = std::get_if<ViewChangeRecord>(&record))
            checker.found_valid(self_, *change->change);
    }
}

void EngineNode::drain() {
    if (draining_) return;
    draining_ = true;
    std::uint64_t incarnation = incarnation_;
    while (incarnation == incarnation_ && !outputs_.empty() && outputs_.front()->durable) {
        auto next = std::move(outputs_.front());
        outputs_.pop_front();
        perform(std::move(next->output));
    }
    if (incarnation == incarnation_) draining_ = false;
}

void EngineNode::perform(Output output) {
    if (output.voided) cluster_.tpm_of(self_).forsake(usig_, *output.voided);
    if (output.seal) {
        if (dies_at(Moment::certify)) return;
        watch_counter();
        seal(output.seal->digest);
    }
    if (liar_) liar_->rewrite(output.send);
    for (Send& send : output.send) {
        if (dies_at(Moment::send)) return;
        if (correct_) cluster_.checker.sending(self_, send);
        cluster_.network.send(self_, std::move(send));
    }
    for (const Event& event : output.events) cluster_.event(self_, event);
}

void EngineNode::seal(const Digest& digest) {
    auto done = [this, incarnation = incarnation_](Ui ui) {
        alive(incarnation, [this, ui = std::move(ui)] {
            if (!dies_at(Moment::certified)) sealed(ui);
        });
    };
    auto failed = [this, digest, incarnation = incarnation_] {
        cluster_.reach("TPM error in the place of a certificate");
        cluster_.time.after(100ms, [this, digest, incarnation] {
            alive(incarnation, [this, digest] { ask_last(digest); });
        });
    };
    cluster_.tpm_of(self_).create(usig_, digest, std::move(done), std::move(failed));
}

// F3. No other draft has this digest: the last certificate tells whether it was made (T0, T1).
void EngineNode::ask_last(const Digest& digest) {
    auto last = cluster_.tpm_of(self_).last(usig_);
    if (!last || last->first != digest) return seal(digest);
    cluster_.reach("certificate found by last() at run time");
    sealed(last->second);
}

void EngineNode::sealed(Ui ui) {
    ++drafts_;
    engine_->sealed(std::move(ui), now());
    pump();
}

// P7, T5: who cannot certify cannot lead; others can.
void EngineNode::watch_counter() {
    Duration patience = cluster_.plan.counter_patience;
    if (primary_ == nullptr || patience == Duration{}) return;
    cluster_.time.after(patience, [this, draft = drafts_, incarnation = incarnation_] {
        alive(incarnation, [this, draft] {
            if (draft != drafts_ || primary_->report().phase == minbft::Primary::Phase::idle)
                return;
            cluster_.reach("primary resigns: no certificate in time");
            resign();
        });
    });
}

bool EngineNode::dies_at(Moment moment) {
    if (!cluster_.dies(self_, moment)) return false;
    cluster_.log(self_, std::string("dies at the moment of ") + to_string(moment));
    crash();
    cluster_.on_death(self_);
    return true;
}

void EngineNode::arm_timer() {
    auto deadline = engine_->next_deadline();
    if (!deadline || (timer_at_ && *timer_at_ <= *deadline)) return;
    TimePoint when = *deadline;
    timer_at_ = when;
    cluster_.time.at(clock_.global(when), [this, when, incarnation = incarnation_] {
        alive(incarnation, [this, when] {
            if (timer_at_ != when) return;
            timer_at_.reset();
            auto due = engine_->next_deadline();
            if (due && *due <= now().mono) engine_->tick(now());
            if (liar_) liar_->tick();
            pump();
        });
    });
}

}  // namespace bft::sim

#include "engine_node.hpp"

#include <algorithm>

namespace bft::sim {

using namespace consensus;

EngineNode::EngineNode(Cluster& cluster, Endpoint self)
    : cluster_(cluster),
      self_(self),
      usig_(*cluster.membership.usig_of(self)),
      correct_(cluster.correct(self)),
      disk_(cluster.time, cluster.plan.disk_latency, cluster.split()) {
    cluster.nodes[self] = this;
}

// The USIG service works through its queue before it answers last().
void EngineNode::boot() {
    if (up() || refused_) return;
    if (!cluster_.tpm_of(self_).idle(usig_)) {
        cluster_.time.after(1ms, [this, incarnation = incarnation_] {
            if (incarnation == incarnation_) boot();
        });
        return;
    }
    if (!recover()) return;
    cluster_.log(self_, "boot");
    pump();
    engine_->tick(cluster_.now());
    pump();
}

bool EngineNode::recover() {
    auto last = cluster_.tpm_of(self_).last(usig_);
    Result<void> recovered;
    const Membership& membership = cluster_.membership;
    if (self_.role == Endpoint::Role::primary) {
        minbft::PrimaryOptions options;
        options.window = cluster_.plan.window;
        auto engine =
            std::make_unique<minbft::Primary>(membership, PrimaryId(self_.index), options);
        auto log = disk_.primary_log();
        Counter logged = log.prepares.empty() ? Counter(0) : log.prepares.back().ui.cv;
        if (last && last->second.cv > logged) cluster_.reach("primary restarts by last() (T1)");
        recovered = engine->recover(std::move(log), last);
        primary_ = engine.get();
        engine_ = std::move(engine);
    } else {
        minbft::ReplicaOptions options;
        options.window = cluster_.plan.window;
        Position position(self_.index);
        auto engine = std::make_unique<minbft::GroupReplica>(membership, self_.group, position,
                                                             options, minbft::ExecutorOptions{});
        auto log = disk_.replica_log(self_.group, position);
        Counter logged = log.own_commits.empty() ? Counter(0) : log.own_commits.back().ui.cv;
        if (last && last->second.cv > logged)
            cluster_.reach("replica restarts by last() (T1)");
        else if (last)
            cluster_.reach("replica restarts from its log (T0)");
        recovered = engine->recover(std::move(log), last);
        replica_ = engine.get();
        engine_ = std::move(engine);
    }
    if (recovered) {
        if (!correct_) return true;
        if (replica_ != nullptr) {
            auto report = replica_->agreement().report();
            cluster_.checker.recovered(self_, report.tip, report.committed);
        } else {
            Slot tip = primary_->report().tip;
            cluster_.checker.recovered(self_, tip, Slot(0));
        }
        return true;
    }
    engine_.reset();
    replica_ = nullptr;
    primary_ = nullptr;
    refused_ = true;
    if (correct_)
        cluster_.checker.fail(
            "S-PERSIST", to_string(self_) + " refused to come back: " + recovered.error().what);
    return false;
}

void EngineNode::crash() {
    if (!up()) return;
    cluster_.log(self_, "crash");
    ++incarnation_;
    engine_.reset();
    replica_ = nullptr;
    primary_ = nullptr;
    outputs_.clear();
    timer_at_.reset();
    draining_ = false;
    disk_.crash();
    if (correct_) cluster_.checker.crashed(self_, disk_);
}

void EngineNode::receive(const Network::Packet& packet) {
    if (!up()) return;
    if (auto answer = answer_fetch(disk_, *packet)) {
        std::vector<Send> sends{std::move(*answer)};
        if (liar_) liar_->rewrite(sends);
        for (const Send& send : sends) {
            if (correct_) cluster_.checker.sending(self_, send);
            cluster_.network.send(self_, send);
        }
        return;
    }
    if (liar_) liar_->saw(*packet);
    engine_->receive(*packet, cluster_.now());
    pump();
}

void EngineNode::pump() {
    Output output = engine_->take_output();
    if (!output.empty()) {
        if (correct_ || replica_ != nullptr) observe(output);
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
                if (incarnation != incarnation_) return;
                queued->durable = true;
                drain();
            };
        if (!records.empty()) disk_.append(std::move(records), std::move(durable));
    }
    drain();
    arm_timer();
}

// What checkers see of an engine's state: at once, whether or not the world ever learns of it.
void EngineNode::observe(const Output& output) {
    for (const Persist& persist : output.persist) {
        if (const auto* intent = std::get_if<CommitIntent>(&persist.record))
            cluster_.checker.certifying(intent->commit);
        const auto* prepare = std::get_if<PrepareRecord>(&persist.record);
        if (correct_ && replica_ != nullptr && prepare != nullptr)
            cluster_.checker.appended(self_, prepare->prepare);
    }
    if (!correct_ || replica_ == nullptr || output.deliver.empty()) return;
    for (const Delivery& delivery : output.deliver) cluster_.checker.delivered(self_, delivery);
    if (replica_->agreement().delivered().value % 4 == 0)
        cluster_.checker.windows(replica_->agreement(), self_.group);
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
    if (output.seal)
        cluster_.tpm_of(self_).create(usig_, output.seal->digest,
                                      [this, incarnation = incarnation_](Ui ui) {
                                          if (incarnation != incarnation_) return;
                                          engine_->sealed(std::move(ui), cluster_.now());
                                          pump();
                                      });
    if (liar_) liar_->rewrite(output.send);
    for (const Send& send : output.send) {
        if (correct_) cluster_.checker.sending(self_, send);
        cluster_.network.send(self_, send);
    }
    for (const Event& event : output.events) cluster_.event(self_, event);
}

void EngineNode::arm_timer() {
    auto deadline = engine_->next_deadline();
    if (!deadline || (timer_at_ && *timer_at_ <= *deadline)) return;
    TimePoint when = std::max(*deadline, cluster_.time.now());
    timer_at_ = when;
    cluster_.time.at(when, [this, when, incarnation = incarnation_] {
        if (incarnation != incarnation_ || timer_at_ != when) return;
        timer_at_.reset();
        auto due = engine_->next_deadline();
        if (due && *due <= cluster_.time.now()) engine_->tick(cluster_.now());
        if (liar_) liar_->tick();
        pump();
    });
}

}  // namespace bft::sim

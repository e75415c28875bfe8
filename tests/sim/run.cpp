#include "run.hpp"

#include "client_node.hpp"
#include "cluster.hpp"
#include "engine_node.hpp"
#include "liars.hpp"
#include "voter_node.hpp"

#include <algorithm>
#include <memory>

namespace bft::sim {

using namespace consensus;

namespace {

constexpr Duration liveness_bound = 60s;
constexpr std::uint64_t instant_events_max = 200'000;
constexpr std::uint64_t bounds_every = 256;  // events between two looks at S-BOUND

class Run {
public:
    Run(const Plan& plan, bool log);
    RunResult go();

private:
    void build();
    void start();
    void nemesis();
    void disturb();
    void crash_machine(std::uint32_t machine);
    void boot_machine(std::uint32_t machine);
    void restart_later(std::uint32_t machine);
    void crash_role();
    bool advance(TimePoint limit, const std::function<bool()>& enough);
    void check_bounds();
    void heal();
    [[nodiscard]] bool gone(const Endpoint& node) const;
    [[nodiscard]] bool all_answered() const;
    [[nodiscard]] bool converged() const;
    void explain_stuck();

    const Plan& plan_;
    Cluster cluster_;
    Prng prng_;
    std::unique_ptr<EngineNode> primary_;
    std::unique_ptr<LyingPrimary> lying_primary_;
    std::vector<std::unique_ptr<EngineNode>> replicas_;
    std::vector<std::unique_ptr<VoterNode>> voters_;
    std::vector<std::unique_ptr<ClientNode>> clients_;
    std::unique_ptr<LyingClient> lying_client_;
    bool healed_ = false;
};

Run::Run(const Plan& plan, bool log) : plan_(plan), cluster_(plan, log), prng_(cluster_.split()) {
    build();
}

void Run::build() {
    if (plan_.primary_lies.any())
        lying_primary_ =
            std::make_unique<LyingPrimary>(cluster_, plan_.primary_lies, prng_.split());
    else
        primary_ = std::make_unique<EngineNode>(cluster_, Endpoint::primary(PrimaryId(0)));
    for (const Endpoint& self : cluster_.membership.all_replicas()) {
        auto node = std::make_unique<EngineNode>(cluster_, self);
        if (!cluster_.correct(self))
            node->set_liar(
                std::make_unique<LyingReplica>(cluster_, self, plan_.replica_lies, prng_.split()));
        replicas_.push_back(std::move(node));
    }
    for (std::uint32_t d = 0; d < plan_.replicas(); ++d)
        voters_.push_back(std::make_unique<VoterNode>(cluster_, VoterId(d), prng_.split()));
    for (std::uint32_t c = 0; c < plan_.clients; ++c)
        clients_.push_back(std::make_unique<ClientNode>(cluster_, ClientId(c), prng_.split()));
    if (plan_.byzantine_client)
        lying_client_ = std::make_unique<LyingClient>(cluster_, ClientId(plan_.clients),
                                                      plan_.client_lies, prng_.split());
}

void Run::start() {
    for (auto& replica : replicas_) replica->boot();
    for (auto& voter : voters_) voter->boot();
    if (primary_) primary_->boot();
    if (lying_primary_) lying_primary_->start();
    for (auto& client : clients_) client->start();
    if (lying_client_) lying_client_->start();
    for (std::uint32_t machine : plan_.gone)
        cluster_.time.after(Duration(prng_.below(static_cast<std::uint64_t>(plan_.chaos.count()))),
                            [this, machine] { crash_machine(machine); });
    nemesis();
}

bool Run::gone(const Endpoint& node) const {
    auto host = cluster_.membership.host_of(node);
    return host && plan_.gone.contains(host->value);
}

// --- faults ---

void Run::nemesis() {
    cluster_.time.after(Duration(prng_.between(5'000'000, 150'000'000)), [this] {
        if (healed_) return;
        disturb();
        nemesis();
    });
}

void Run::disturb() {
    std::vector<Endpoint> ends;
    for (const auto& [endpoint, node] : cluster_.nodes) ends.push_back(endpoint);
    auto anyone = [&] { return ends[prng_.below(ends.size())]; };
    TimePoint until = cluster_.time.now() + Duration(prng_.between(10'000'000, 800'000'000));
    if (plan_.network.clogs && prng_.chance(300)) cluster_.network.clog(anyone(), anyone(), until);
    if (plan_.network.cuts && prng_.chance(300)) {
        // One direction, for a node or between two.
        Endpoint from = anyone();
        bool isolated = prng_.chance(300);
        Endpoint to = anyone();
        for (const Endpoint& other : ends)
            if (isolated || other == to) cluster_.network.cut(from, other, until);
    }
    if (plan_.crashes && prng_.chance(150)) {
        std::uint32_t machine = static_cast<std::uint32_t>(prng_.below(plan_.replicas()));
        crash_machine(machine);
        restart_later(machine);
    }
    if (plan_.role_crashes && prng_.chance(200)) crash_role();
    if (plan_.primary_crashes && primary_ && prng_.chance(100)) {
        bool with_machine = prng_.chance(500);
        primary_->crash();
        if (with_machine) cluster_.tpms.back()->machine_crashed();
        cluster_.time.after(Duration(prng_.between(1'000'000, 500'000'000)),
                            [this] { primary_->boot(); });
    }
}

void Run::crash_role() {
    std::size_t which = prng_.below(replicas_.size() + voters_.size());
    Duration wait(prng_.between(1'000'000, 500'000'000));
    if (which < replicas_.size()) {
        EngineNode& node = *replicas_[which];
        if (!cluster_.correct(node.self())) return;
        node.crash();
        cluster_.time.after(wait, [this, &node] {
            if (!gone(node.self())) node.boot();
        });
        return;
    }
    VoterNode& node = *voters_[which - replicas_.size()];
    node.crash();
    cluster_.time.after(wait, [this, &node] {
        if (!gone(node.self())) node.boot();
    });
}

void Run::crash_machine(std::uint32_t machine) {
    for (auto& replica : replicas_)
        if (replica->self().index == machine && cluster_.correct(replica->self())) replica->crash();
    voters_[machine]->crash();
    bool liars = std::any_of(replicas_.begin(), replicas_.end(), [&](const auto& replica) {
        return replica->self().index == machine && !cluster_.correct(replica->self());
    });
    if (!liars) cluster_.tpms[machine]->machine_crashed();
}

void Run::boot_machine(std::uint32_t machine) {
    if (plan_.gone.contains(machine)) return;
    for (auto& replica : replicas_)
        if (replica->self().index == machine) replica->boot();
    voters_[machine]->boot();
}

void Run::restart_later(std::uint32_t machine) {
    cluster_.time.after(Duration(prng_.between(1'000'000, 700'000'000)),
                        [this, machine] { boot_machine(machine); });
}

// --- phases ---

bool Run::advance(TimePoint limit, const std::function<bool()>& enough) {
    TimePoint instant = cluster_.time.now();
    std::uint64_t at_instant = 0;
    while (cluster_.checker.violations().empty()) {
        if (cluster_.time.steps() % bounds_every == 0) {
            check_bounds();
            if (enough && enough()) return true;
        }
        if (!cluster_.time.step(limit)) return enough && enough();
        at_instant = cluster_.time.now() == instant ? at_instant + 1 : 0;
        instant = cluster_.time.now();
        if (at_instant > instant_events_max) {
            cluster_.checker.fail("L-TIME", "time stands still: a node is busy with nothing");
            return false;
        }
    }
    return false;
}

// S-BOUND: what engines hold, against what they are allowed to hold.
void Run::check_bounds() {
    auto check = [&](const Endpoint& node, const char* what, std::uint64_t is, std::uint64_t max) {
        if (is > max)
            cluster_.checker.fail("S-BOUND", to_string(node) + " holds " + std::to_string(is) +
                                                 " " + what + ", allowed " + std::to_string(max));
    };
    std::uint64_t clients = plan_.clients + 1;
    for (const auto& node : replicas_) {
        if (!node->up() || !cluster_.correct(node->self())) continue;
        auto agreement = node->replica()->agreement().report();
        check(node->self(), "pending requests", agreement.pending,
              clients * plan_.partitions * minbft::ReplicaOptions{}.pending_per_client);
        check(node->self(), "slots in the chain", agreement.tip - agreement.delivered,
              plan_.window);
        check(node->self(), "missing bodies", agreement.missing_bodies, plan_.window * 2000);
        check(node->self(), "outputs", node->waiting(), 100'000);
    }
    for (const auto& node : voters_) {
        if (!node->up()) continue;
        auto report = node->voter()->report();
        // The smallest charge for an item is 288 bytes.
        check(node->self(), "waiting items", report.waiting,
              replicas_.size() * (plan_.voter_sender_bytes / 288 + 1));
        check(node->self(), "items in flight", report.in_flight, 64);
    }
    if (primary_ && primary_->up())
        check(primary_->self(), "pooled requests", primary_->primary()->report().pooled,
              clients * plan_.groups * minbft::PrimaryOptions{}.client_pool);
}

void Run::heal() {
    healed_ = true;
    cluster_.network.heal();
    for (std::uint32_t machine = 0; machine < plan_.replicas(); ++machine) {
        if (plan_.gone.contains(machine))
            crash_machine(machine);
        else
            boot_machine(machine);
    }
    if (primary_) primary_->boot();
    for (auto& client : clients_) client->stop();
    if (lying_client_) lying_client_->stop();
}

bool Run::all_answered() const {
    return std::all_of(clients_.begin(), clients_.end(),
                       [](const auto& client) { return client->outstanding() == 0; });
}

// Everything that was ordered is executed everywhere among the correct ones that are up.
bool Run::converged() const {
    Slot tip = cluster_.checker.chain_tip();
    for (const auto& node : replicas_) {
        if (gone(node->self()) || !cluster_.correct(node->self())) continue;
        if (!node->up()) return false;
        auto report = node->replica()->agreement().report();
        // Heartbeats go on: the tip itself moves while everybody follows.
        if (report.delivered + 8 < tip || node->replica()->executor().executed() + 8 < tip)
            return false;
    }
    for (const auto& node : voters_) {
        if (gone(node->self()) || !cluster_.correct(node->self())) continue;
        if (!node->up()) return false;
        for (const auto& [partition, next] : cluster_.checker.reference().next()) {
            auto mine = node->database().next().find(partition);
            if (mine == node->database().next().end() || mine->second != next) return false;
        }
    }
    return true;
}

void Run::explain_stuck() {
    std::string text =
        "the cluster did not converge: tip " + std::to_string(cluster_.checker.chain_tip().value);
    std::size_t outstanding = 0;
    for (const auto& client : clients_) outstanding += client->outstanding();
    text += ", " + std::to_string(outstanding) + " calls without answer";
    for (const auto& node : replicas_) {
        text += "; " + to_string(node->self());
        if (!cluster_.correct(node->self())) text += " (byzantine)";
        if (!node->up()) {
            text += " down";
            continue;
        }
        auto report = node->replica()->agreement().report();
        text += " tip=" + std::to_string(report.tip.value) +
                " committed=" + std::to_string(report.committed.value) +
                " delivered=" + std::to_string(report.delivered.value) +
                " executed=" + std::to_string(node->replica()->executor().executed().value);
    }
    for (const auto& node : voters_) {
        text += "; " + to_string(node->self());
        if (!node->up()) {
            text += " down";
            continue;
        }
        auto report = node->voter()->report();
        text += " executed=" + std::to_string(report.executed) +
                " waiting=" + std::to_string(report.waiting) +
                " in_flight=" + std::to_string(report.in_flight);
    }
    cluster_.checker.fail("L-EXEC", text);
}

RunResult Run::go() {
    start();
    advance(TimePoint{} + plan_.chaos, nullptr);
    heal();
    TimePoint bound = cluster_.time.now() + liveness_bound;
    if (plan_.live()) {
        bool done = advance(bound, [&] { return all_answered() && converged(); });
        if (!done && cluster_.checker.violations().empty()) explain_stuck();
    } else {
        advance(cluster_.time.now() + 2s, nullptr);
    }
    for (const auto& node : voters_)
        if (cluster_.correct(node->self()))
            cluster_.checker.database(VoterId(node->self().index), node->database().next(),
                                      node->database().rows());
    cluster_.checker.finish();

    RunResult result;
    result.violations = cluster_.checker.violations();
    result.slots = cluster_.checker.chain_tip().value;
    result.answered = cluster_.checker.accepted_count();
    result.events = cluster_.time.steps();
    result.reached = cluster_.reached;
    if (cluster_.network.refused() > 0) result.reached["message refused by the Verifier"] = 1;
    result.hash = mix(cluster_.trace.hash(), cluster_.checker.digest());
    return result;
}

}  // namespace

RunResult run_seed(const Plan& plan, bool log) {
    return Run(plan, log).go();
}

}  // namespace bft::sim

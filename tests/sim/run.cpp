#include "run.hpp"

#include "nemesis.hpp"
#include "world.hpp"

#include <algorithm>
#include <memory>

namespace bft::sim {

using namespace consensus;

namespace {

constexpr Duration liveness_bound = 120s;

bool answer_everything(World& world) {
    if (world.advance(liveness_bound, [&] { return world.all_answered(); })) return true;
    if (world.cluster.checker.violations().empty())
        world.cluster.checker.fail("L-REPLY", "requests are not answered: " + world.state());
    return false;
}

bool converge(World& world) {
    world.silence_liars();
    if (world.advance(liveness_bound, [&] { return world.converged(); })) return true;
    if (world.cluster.checker.violations().empty())
        world.cluster.checker.fail("L-CATCHUP", "the core does not converge: " + world.state());
    return false;
}

// Once everything is well, it stays so: a correct primary whom nobody has reason to suspect leads
// on (L-VIEW, L-NOFALSE).
void stay_calm(World& world) {
    // What was measured in the chaos counts for a while (16 T_perf): one complaint and a liar's are
    // f+1 (W13).
    const Timers& timers = world.plan.timers;
    world.advance(std::max(timers.order_delay, timers.slot_interval) * 18 + timers.new_view);
    auto view = world.common_view();
    if (!view) return;
    auto& leader = world.primaries[world.cluster.membership.primary_of(*view).value];
    if (!leader || !leader->up() || !world.in_core(leader->self())) return;
    auto report = leader->primary()->report();
    if (report.view != *view || report.phase != minbft::Primary::Phase::active) return;
    std::uint64_t before = world.cluster.views_entered;
    world.advance(world.plan.timers.silence * 2 + world.plan.timers.new_view);
    world.well = true;
    world.check_bounds();
    // Hosts whose clocks differ by hours may each complain once (T6e).
    if (world.cluster.views_entered != before && !world.plan.early_timers &&
        !world.plan.wrong_clocks)
        world.cluster.checker.fail("L-VIEW", "a view with a correct primary ended without a fault");
}

void judge_the_end(World& world) {
    Checker& checker = world.cluster.checker;
    // Checkpoint items go on: an instant at which all databases stand at the same place.
    if (world.plan.live()) world.advance(20s, [&] { return world.all_executed(); });
    for (const auto& node : world.voters)
        if (world.cluster.correct(node->self()))
            checker.database(VoterId(node->self().index), node->database().next(),
                             node->database().rows());
    checker.finish();
}

// A7. Who died comes back soon, the process alone or its machine.
void arrange_death(World& world, const RunOptions& options) {
    Cluster& cluster = world.cluster;
    cluster.count_moments = true;
    cluster.death = options.death;
    cluster.on_death = [&world, options](const Endpoint& who) {
        std::uint32_t machine = world.cluster.membership.host_of(who)->value;
        if (options.with_machine) world.crash_machine(machine);
        world.cluster.time.after(30ms, [&world, machine] { world.boot_machine(machine); });
    };
    if (options.resigns_at > Duration{})
        cluster.time.after(options.resigns_at, [&world] {
            if (world.primaries[0] && world.primaries[0]->up()) world.primaries[0]->resign();
        });
}

}  // namespace

RunResult run_seed(const Plan& plan, const RunOptions& options) {
    World world(plan, options.log);
    world.cluster.nobody_to_blame = plan.calm() && options.resigns_at == Duration{};
    if (options.resigns_at > Duration{}) arrange_death(world, options);
    Nemesis nemesis(world);
    world.start();
    nemesis.start();
    world.advance(plan.chaos);
    auto seen = world.cluster.moments_seen;
    world.heal();
    world.stop_clients();
    if (plan.live()) {
        if (answer_everything(world) && converge(world)) stay_calm(world);
    } else {
        world.advance(2s);
    }
    judge_the_end(world);

    RunResult result;
    result.moments = std::move(seen);
    result.violations = world.cluster.checker.violations();
    result.slots = world.cluster.checker.chain_tip().value;
    result.answered = world.cluster.checker.accepted_count();
    result.views = world.cluster.checker.views();
    result.events = world.cluster.time.steps();
    result.virtual_time = world.cluster.time.now().time_since_epoch();
    result.reached.insert(world.cluster.reached.begin(), world.cluster.reached.end());
    if (world.cluster.network.refused() > 0) result.reached["message refused by the Verifier"] = 1;
    if (plan.real_crypto && result.answered > 0)
        result.reached["real signatures and certificates"] = 1;
    if (plan.calm()) result.reached["run in which nobody may be suspected"] = 1;
    result.hash = mix(world.cluster.trace.hash(), world.cluster.checker.digest());
    return result;
}

}  // namespace bft::sim

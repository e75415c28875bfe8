#include "reign.hpp"

#include "base/prng.hpp"
#include "fairness.hpp"
#include "world.hpp"

namespace bft::sim {

using namespace consensus;

namespace {

constexpr Duration reign_time = 20s;
constexpr Duration still = 1500ms;  // longer than T3

// Replicas stand still for a while, again and again: all of group 1, or position 0 of each.
void stand_still(World& world, Reign reign) {
    for (auto& node : world.replicas) {
        bool slow =
            reign == Reign::slow_group ? node->self().group == GroupId(1) : node->self().index == 0;
        if (slow) node->pause();
    }
    world.cluster.time.after(still, [&world, reign] {
        for (auto& node : world.replicas) node->resume();
        world.cluster.time.after(500ms, [&world, reign] {
            if (!world.healed) stand_still(world, reign);
        });
    });
}

void make_unfair(Plan& plan, Reign reign) {
    plan.byzantine.insert(Endpoint::primary(PrimaryId(0)));
    const Timers& t = plan.timers;
    switch (reign) {
        case Reign::late:
            plan.leader_lies.slow = t.order * 9 / 10;
            break;
        case Reign::rare:
            plan.leader_lies.rare = t.silence * 9 / 10;
            break;
        case Reign::unfair:
            plan.leader_lies.unfair = t.order * 9 / 10 + 400ms;
            break;
        case Reign::ahead:
            plan.leader_lies.ahead_ms = 60'000;
            break;
        case Reign::repeating:
            plan.primary_lies.floods = true;
            break;
        default:
            break;
    }
}

}  // namespace

const char* to_string(Reign reign) {
    static constexpr const char* names[] = {
        "overload", "slow_database", "slow_group", "slow_replicas", "slow_tpm",
        "late",     "rare",          "unfair",     "ahead",         "repeating"};
    return names[static_cast<std::size_t>(reign)];
}

Plan reign_plan(std::uint64_t seed, Reign reign) {
    Prng prng(seed ^ 0x4e164e164e16u);
    auto number = [&](std::uint64_t low, std::uint64_t high) {
        return static_cast<std::uint32_t>(prng.between(low, high));
    };
    Plan plan;
    plan.seed = seed * 2;  // LyingLeader's even ways
    plan.groups = number(reign == Reign::slow_group ? 2 : 1, 3);
    plan.partitions = plan.groups + number(0, 3);
    plan.clients = number(3, 8);
    plan.client_depth = number(2, 16);
    plan.think = std::chrono::milliseconds(number(0, 50));
    plan.tpm_latency = std::chrono::milliseconds(number(1, 8));
    plan.chaos = reign_time;
    plan.timers.order = 2s;
    plan.timers.silence = 2s;
    switch (reign) {
        case Reign::overload:
            plan.slot_entries = number(1, 4);
            plan.client_depth = number(24, 48);
            plan.think = {};
            plan.tpm_latency = std::chrono::milliseconds(number(10, 40));
            break;
        case Reign::slow_database:
            plan.database_latency = std::chrono::milliseconds(number(200, 900));
            plan.workers = 1;
            plan.group_credit = number(8, 32);
            plan.client_depth = number(16, 48);
            break;
        case Reign::slow_group:
        case Reign::slow_replicas:
            plan.timers.silence = 1200ms;
            plan.checkpoint_every = 4;
            plan.window = 4 * number(4, 8);
            break;
        case Reign::slow_tpm:
            plan.tpm_latency = std::chrono::milliseconds(number(50, 150));
            plan.tpm_jitter = plan.tpm_latency / 2;
            break;
        default:
            make_unfair(plan, reign);
            break;
    }
    return plan;
}

ReignResult run_reign(std::uint64_t seed, Reign reign, bool log) {
    Plan plan = reign_plan(seed, reign);
    World world(plan, log);
    ReignResult result;
    bool fair = reign < first_unfair;
    world.cluster.nobody_to_blame = fair;
    Fairness fairness(world.cluster.membership);
    Endpoint primary = Endpoint::primary(PrimaryId(0));
    world.cluster.network.on_send(
        [&](const Endpoint& from, const Endpoint& to, const Payload& payload) {
            TimePoint now = world.cluster.time.now();
            if (const auto* body = std::get_if<Body>(&payload); body != nullptr && to == primary)
                fairness.sent((*body)->id, now);
            else if (const auto* prepare = std::get_if<Prepare>(&payload);
                     prepare != nullptr && from == primary && prepare->view == View(0))
                fairness.ordered(*prepare->header, now);
            return true;
        });
    world.start();
    if (reign == Reign::slow_group || reign == Reign::slow_replicas) stand_still(world, reign);
    TimePoint began = world.cluster.time.now();
    auto over = [&] { return !fair && world.cluster.views_entered > 0; };
    result.ended = world.advance(plan.chaos, over) && !fair;
    result.lasted = world.cluster.time.now() - began;
    if (!fair) world.advance(5s);  // the next one reigns
    world.heal();
    world.stop_clients();
    world.advance(120s, [&] { return world.all_answered(); });
    if (!world.all_answered() && world.cluster.checker.violations().empty())
        world.cluster.checker.fail("L-REPLY", "requests are not answered: " + world.state());
    if (!fair && !result.ended)
        world.cluster.checker.fail("L-FAIR",
                                   std::string("a primary reigns on that is ") + to_string(reign));
    constexpr std::uint64_t turns_allowed = 2;
    if (fair && fairness.turns_max() > turns_allowed)
        world.cluster.checker.fail("L-FAIR", "another client had " +
                                                 std::to_string(fairness.turns_max()) +
                                                 " turns while one waited");
    world.cluster.checker.finish();
    result.violations = world.cluster.checker.violations();
    result.slots = world.cluster.checker.chain_tip().value;
    result.answered = world.cluster.checker.accepted_count();
    result.turns = fairness.turns_max();
    for (const auto& [what, times] : world.cluster.reached)
        if (what.starts_with("suspected: ")) result.reasons[what.substr(11)] += times;
    return result;
}

}  // namespace bft::sim

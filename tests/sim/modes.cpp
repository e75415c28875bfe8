#include "modes.hpp"

#include "world.hpp"

#include <chrono>
#include <cstdio>
#include <ctime>

namespace bft::sim {

using namespace consensus;

namespace {

Plan plain_plan() {
    Plan plan;
    plan.seed = 1;
    plan.groups = 3;
    plan.partitions = 6;
    plan.clients = 3;
    plan.client_depth = 2;
    plan.think = 200ms;
    plan.checkpoint_slots = 32;
    plan.scan_slots = 1024;
    return plan;
}

// Short, and with everything that leaves a mark on disk: a view change, checkpoints of both kinds.
Plan crash_plan() {
    Plan plan;
    plan.seed = 7;
    plan.groups = 2;
    plan.clients = 2;
    plan.client_depth = 2;
    plan.think = 30ms;
    plan.chaos = 600ms;
    plan.tpm_latency = 3ms;
    plan.holes = true;
    plan.checkpoint_every = 8;
    plan.window = 64;
    plan.checkpoint_slots = 4;
    plan.scan_slots = 8;
    plan.scan_time = 5ms;
    plan.timers.heartbeat = 50ms;
    plan.timers.order = 600ms;
    plan.timers.body = 400ms;
    plan.timers.silence = 400ms;
    plan.timers.new_view = 1s;
    return plan;
}

}  // namespace

double cpu_seconds() {
    timespec spent{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    return static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) * 1e-9;
}

static std::uint64_t finished(const World& world) {
    std::uint64_t all = 0;
    for (const auto& client : world.clients) all += client->finished();
    return all;
}

int run_plain(Duration virtual_time) {
    Plan plan = plain_plan();
    World world(plan, false);
    world.cluster.nobody_to_blame = true;
    world.start();
    world.advance(1s);
    double before = cpu_seconds();
    std::uint64_t slots = world.cluster.checker.chain_tip().value;
    std::uint64_t answers = finished(world);
    std::uint64_t events = world.cluster.time.steps();
    auto start = std::chrono::steady_clock::now();
    // As the product's retention does, and as checkers do in a run without end.
    for (Duration spent{}; spent < virtual_time; spent += 10s) {
        world.advance(std::min<Duration>(10s, virtual_time - spent));
        world.forget_old(512, 512);
    }
    double cpu = cpu_seconds() - before;
    double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    slots = world.cluster.checker.chain_tip().value - slots;
    answers = finished(world) - answers;
    events = world.cluster.time.steps() - events;
    auto per_slot = [&](std::uint64_t n) {
        return static_cast<double>(n) / static_cast<double>(std::max<std::uint64_t>(slots, 1));
    };
    std::printf(
        "%llu slots, %.1f answers and %.0f events per slot: %.1f us of CPU per slot, %.0f slots/s "
        "of CPU time, %.0f slots/s\n",
        static_cast<unsigned long long>(slots), per_slot(answers), per_slot(events),
        cpu * 1e6 / static_cast<double>(std::max<std::uint64_t>(slots, 1)),
        static_cast<double>(slots) / cpu, static_cast<double>(slots) / wall);
    for (const Violation& violation : world.cluster.checker.violations())
        std::printf("FAILED %s: %s\n", violation.property.c_str(), violation.text.c_str());
    return world.cluster.checker.violations().empty() ? 0 : 1;
}

int run_crash_points(std::uint64_t stride, bool log) {
    RunOptions options;
    options.resigns_at = 250ms;
    const Plan plan = crash_plan();
    auto places = run_seed(plan, options).moments;
    std::uint64_t runs = 0;
    std::uint64_t failed = 0;
    std::map<std::string, std::uint64_t> reached;
    double shown = cpu_seconds();
    for (const auto& [where, times] : places) {
        for (std::uint64_t k = 1; k <= times; k += stride) {
            options.death = {where.first, where.second, k};
            options.with_machine = k / stride % 2 == 1;
            RunResult result = run_seed(plan, options);
            ++runs;
            for (const auto& [what, count] : result.reached) reached[what] += count;
            if (!result.violations.empty()) {
                ++failed;
                std::printf("FAILED %s%s dies at %s %llu\n",
                            options.with_machine ? "the machine of " : "",
                            to_string(where.first).c_str(), to_string(where.second),
                            static_cast<unsigned long long>(k));
                for (const Violation& violation : result.violations)
                    std::printf("  %s: %s\n", violation.property.c_str(), violation.text.c_str());
                if (log && failed == 1) {
                    options.log = true;
                    run_seed(plan, options);
                    return 1;
                }
            }
            if (cpu_seconds() - shown < 5) continue;
            shown = cpu_seconds();
            std::printf("\r%llu runs, at %s %s %llu of %llu, %llu failed",
                        static_cast<unsigned long long>(runs), to_string(where.first).c_str(),
                        to_string(where.second), static_cast<unsigned long long>(k),
                        static_cast<unsigned long long>(times),
                        static_cast<unsigned long long>(failed));
            std::fflush(stdout);
        }
    }
    std::printf("\n%llu runs, one for each moment of a process in which it may die; %llu failed\n",
                static_cast<unsigned long long>(runs), static_cast<unsigned long long>(failed));
    for (const char* what :
         {"primary restarts by last() (T1)", "replica restarts by last() (T1)",
          "primary restarts from its log (T0)", "replica restarts from its log (T0)", "hole voided",
          "new_view_accepted", "replica restarts from a snapshot"}) {
        std::printf("%12llu  %s\n", static_cast<unsigned long long>(reached[what]), what);
        if (reached[what] == 0) {
            std::printf("NEVER REACHED: %s\n", what);
            ++failed;
        }
    }
    return failed == 0 ? 0 : 1;
}

}  // namespace bft::sim

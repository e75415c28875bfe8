// A run without end, or nearly: low load, faults on and off, and nothing may
// grow.
#include "modes.hpp"
#include "nemesis.hpp"
#include "world.hpp"

#include <chrono>
#include <cstdio>
#include <fstream>
#include <malloc.h>

/// Of jemalloc; absent in programs that are linked without it.
extern "C" int mallctl(const char* name, void* old, std::size_t* old_size, void* fresh,
                       std::size_t fresh_size) __attribute__((weak));

namespace bft::sim {

using namespace consensus;

namespace {

constexpr Duration faults_every = 30min;
constexpr Duration faults_for = 20s;
constexpr std::uint64_t retain = 2048;  // slots in a log beyond its snapshot
constexpr std::uint64_t kept = 4096;    // and for checkers

Plan steady_plan() {
    Plan plan;
    plan.seed = 24;
    plan.groups = 2;
    plan.partitions = 4;
    plan.primaries = 3;
    plan.clients = 3;
    plan.client_depth = 2;
    plan.think = 8s;
    plan.timers.heartbeat = 250ms;
    plan.tpm_latency = 5ms;
    plan.checkpoint_slots = 32;
    plan.scan_slots = 256;
    plan.exec_kept = 1024;
    plan.voter_answers = 512;
    plan.counter_patience = 1500ms;
    plan.network.loss_permille = 20;
    plan.network.duplicate_permille = 20;
    plan.network.reorder_permille = 50;
    plan.network.splits = plan.network.cuts = plan.network.clogs = true;
    plan.crashes = plan.role_crashes = plan.primary_crashes = plan.resigns = true;
    plan.holes = plan.log_failures = plan.tpm_outages = plan.pauses = true;
    plan.wrong_clocks = plan.database_full = true;
    plan.tampered = {1};
    return plan;
}

/// Of all sizes, what the largest was in the second and in the last quarter.
class Trend {
public:
    explicit Trend(Duration whole) : whole_(whole) {}
    void note(TimePoint now, const std::string& what, std::size_t size) {
        auto quarter = now.time_since_epoch() * 4 / whole_;
        if (quarter == 1) early_[what] = std::max(early_[what], size);
        if (quarter >= 3) late_[what] = std::max(late_[what], size);
    }
    /// Prints what grew.
    [[nodiscard]] bool flat() const {
        bool flat = true;
        for (const auto& [what, late] : late_) {
            bool bytes = what.ends_with("bytes");
            std::size_t slack = bytes ? std::size_t{8} << 20 : 512;
            auto found = early_.find(what);
            std::size_t early = found == early_.end() ? 0 : found->second;
            bool grew = late > early + early / 4 + slack;
            std::printf("%12zu then, %12zu at the end  %s%s\n", early, late, what.c_str(),
                        grew ? "  GREW" : "");
            flat = flat && !grew;
        }
        return flat;
    }

private:
    Duration whole_;
    std::map<std::string, std::size_t> early_, late_;
};

/// What the allocator that the program is linked with has given out: jemalloc or the C library's.
std::size_t heap_bytes() {
    if (mallctl == nullptr) return mallinfo2().uordblks;
    std::uint64_t epoch = 1;
    std::size_t size = sizeof epoch;
    mallctl("epoch", &epoch, &size, &epoch, size);
    std::size_t allocated = 0;
    size = sizeof allocated;
    mallctl("stats.allocated", &allocated, &size, nullptr, 0);
    return allocated;
}

std::size_t resident_bytes() {
    std::ifstream file("/proc/self/statm");
    std::size_t total = 0;
    std::size_t resident = 0;
    file >> total >> resident;
    return resident * 4096;
}

void measure(World& world, Trend& trend) {
    TimePoint now = world.cluster.time.now();
    for (const auto& [what, size] : world.sizes()) trend.note(now, what, size);
#ifndef __SANITIZE_ADDRESS__  // it keeps what was freed
    trend.note(now, "heap in use, bytes", heap_bytes());
    trend.note(now, "resident memory, bytes", resident_bytes());
#endif
}

void show(const World& world, double seconds) {
    auto minutes = std::chrono::duration_cast<std::chrono::minutes>(
        world.cluster.time.now().time_since_epoch());
    std::printf(
        "%5lld min: %llu slots, %llu views, %llu databases rebuilt, heap %zu KB, "
        "resident "
        "%zu KB, %.0f s\n",
        static_cast<long long>(minutes.count()),
        static_cast<unsigned long long>(world.cluster.checker.chain_tip().value),
        static_cast<unsigned long long>(world.cluster.views_entered),
        static_cast<unsigned long long>([&] {
            auto found = world.cluster.reached.find("database state transfer");
            return found == world.cluster.reached.end() ? 0 : found->second;
        }()),
        heap_bytes() >> 10, resident_bytes() >> 10, seconds);
    std::fflush(stdout);
}

/// Faults for a while; then all must come together again.
void trouble(World& world, Nemesis& nemesis) {
    world.disturb();
    nemesis.resume();
    world.advance(faults_for);
    world.heal();
    if (!world.advance(120s, [&] { return world.converged(); }) &&
        world.cluster.checker.violations().empty())
        world.cluster.checker.fail("L-CATCHUP", "the core does not converge: " + world.state());
}

}  // namespace

int run_steady(Duration virtual_time) {
    auto start = std::chrono::steady_clock::now();
    Plan plan = steady_plan();
    World world(plan, false);
    world.heal();
    world.start();
    Nemesis nemesis(world);
    Trend trend(virtual_time);
    TimePoint end = world.cluster.time.now() + virtual_time;
    TimePoint faults_at = world.cluster.time.now() + faults_every / 6;
    const auto& violations = world.cluster.checker.violations();
    for (int minute = 0; world.cluster.time.now() < end && violations.empty(); ++minute) {
        world.advance(1min);
        if (world.cluster.time.now() >= faults_at) {
            faults_at += faults_every;
            trouble(world, nemesis);
        }
        measure(world, trend);
        if (minute % 10 == 9) world.forget_old(kept, retain);
        if (minute % 30 == 0)
            show(world,
                 std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    for (const Violation& violation : violations)
        std::printf("FAILED %s: %s\n", violation.property.c_str(), violation.text.c_str());
    if (!violations.empty()) return 1;
    std::printf("%llu answers\n", static_cast<unsigned long long>([&] {
                    std::uint64_t all = 0;
                    for (const auto& client : world.clients) all += client->finished();
                    return all;
                }()));
    return trend.flat() ? 0 : 1;
}

}  // namespace bft::sim

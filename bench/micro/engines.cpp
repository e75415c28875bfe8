// Engines handling one slot with everything that belongs to it: the primary, the three replicas of
// a group together, three voters together; and what decoding, encoding and verifying cost beside.
// Times are of these parts only, inside a cluster in memory (bench/engine/rig.hpp).
#include "rig.hpp"

#include <benchmark/benchmark.h>

namespace {

using namespace bft::bench;

void slot(benchmark::State& state, std::chrono::nanoseconds Cost::*part, bool databases) {
    RigOptions options;
    options.databases = databases;
    Rig rig(options);
    auto crowd = static_cast<std::size_t>(state.range(0));
    std::chrono::nanoseconds before{};
    for (auto _ : state) {
        if (!rig.serve(crowd)) return state.SkipWithError("not every request was answered");
        std::chrono::nanoseconds after = rig.cost().*part;
        state.SetIterationTime(std::chrono::duration<double>(after - before).count());
        before = after;
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}

#define BFT_SLOT(name, part, databases)                   \
    BENCHMARK_CAPTURE(slot, name, &Cost::part, databases) \
        ->Arg(1)                                          \
        ->Arg(32)                                         \
        ->Arg(512)                                        \
        ->UseManualTime()                                 \
        ->Unit(benchmark::kMicrosecond)

BFT_SLOT(primary, primary, false);
BFT_SLOT(three_replicas, replicas, false);
BFT_SLOT(verify, verify, false);
BFT_SLOT(codec, codec, false);
BFT_SLOT(three_replicas_before_databases, replicas, true);
BFT_SLOT(three_voters, voters, true);

}  // namespace

BENCHMARK_MAIN();

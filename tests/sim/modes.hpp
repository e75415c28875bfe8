// What sim_run does besides campaigns of seeds.
#pragma once

#include "run.hpp"

#include <cstdint>

namespace bft::sim {

/// Of this process.
double cpu_seconds();

/// Three groups, f = 1, nothing goes wrong: what a slot costs (faults.md S9).
int run_plain(Duration virtual_time);

/// A7: in one short run with a view change, every process dies at each of its moments, one run
/// each; of every `stride`-th moment only. 0 when all of them went well.
int run_crash_points(std::uint64_t stride, bool log);

/// Steady load for so long, with faults of all kinds for a while in every half
/// hour: fails when anything grows.
int run_steady(Duration virtual_time);

}  // namespace bft::sim

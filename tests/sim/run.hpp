// One seed from beginning to end: chaos, healing with a bound on every answer, convergence.
#pragma once

#include "checker.hpp"
#include "plan.hpp"

#include <map>
#include <string>
#include <vector>

namespace bft::sim {

struct RunResult {
    std::vector<Violation> violations;
    std::uint64_t slots = 0;
    std::uint64_t answered = 0;
    std::uint64_t views = 0;  ///< NEW-VIEWs that correct replicas accepted
    Duration virtual_time{};
    std::uint64_t events = 0;
    std::map<std::string, std::uint64_t> reached;  ///< rare branches, how often
    std::uint64_t hash = 0;                        ///< equal for equal seeds (S-DET)
};

RunResult run_seed(const Plan& plan, bool log);

}  // namespace bft::sim

// One seed from beginning to end: chaos, healing with a bound on every answer, convergence.
#pragma once

#include "checker.hpp"
#include "cluster.hpp"
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
    /// A7: how often each node was at each moment in the chaos phase.
    std::map<std::pair<consensus::Endpoint, Moment>, std::uint64_t> moments;
};

struct RunOptions {
    bool log = false;
    /// A7: who dies when, and whether its whole machine does.
    Cluster::Death death;
    bool with_machine = false;
    /// Now and then the primary resigns, so that there is a view change to die in.
    Duration resigns_at{};
};

RunResult run_seed(const Plan& plan, const RunOptions& options);
inline RunResult run_seed(const Plan& plan, bool log) {
    RunOptions options;
    options.log = log;
    return run_seed(plan, options);
}

}  // namespace bft::sim

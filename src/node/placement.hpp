// Which machines carry what: each group of replicas on 2f+1 different hosts, away from the
// primaries where possible (thesis, section 3.5), spread over zones and by free processor time and
// memory.
//
// Packing several resources is a multi-dimensional knapsack. This is worst-fit decreasing by
// dominant share: what needs most comes first, and goes where it leaves the largest share of the
// scarcest resource. Deterministic: equal input, equal placement.
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace bft::node {

struct Resources {
    std::uint64_t cpu_milli = 0;  ///< thousandths of a processor
    std::uint64_t memory_mib = 0;
};

struct Machine {
    std::string name;
    std::string zone;  ///< what may fail as one: a rack, a data centre; empty: unknown
    Resources free;
    std::set<std::string> carries{};  ///< what the placed would rather not be beside: "primary"
};

/// Something that runs in several copies, each on a machine of its own.
struct Workload {
    std::string name;
    std::uint32_t copies = 1;
    Resources each;                    ///< of one copy
    std::set<std::string> avoids{};    ///< machines that carry one of these come last
    std::vector<std::size_t> fixed{};  ///< machines that it has already, by index
};

/// Of each workload, in their order: indices of machines; those of `fixed` come first.
using Placement = std::vector<std::vector<std::size_t>>;

/// Errors: refused, with the workload that finds no room and what is missing.
Result<Placement> place(const std::vector<Machine>& machines,
                        const std::vector<Workload>& workloads);

}  // namespace bft::node

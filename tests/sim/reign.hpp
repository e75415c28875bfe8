// One primary's reign, judged: a fair one is never suspected, whatever is slow around it
// (L-NOFALSE), and a slow, unfair or senseless one is replaced although it keeps below T1 to T3
// (L-FAIR, T6).
#pragma once

#include "checker.hpp"
#include "plan.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace bft::sim {

enum class Reign : std::uint8_t {
    // Fair.
    overload,       ///< far more requests than fit into its slots
    slow_database,  ///< and requests are held back for it
    slow_group,     ///< one group stands still now and then, and the window waits for it
    slow_replicas,  ///< one replica of each group does
    slow_tpm,       ///< certificates take long everywhere
    // Not.
    late,       ///< PREPAREs are sent just below T1 too late
    rare,       ///< and together, just below T3 apart
    unfair,     ///< one client waits, just below T1
    ahead,      ///< a clock one minute ahead
    repeating,  ///< orders the same requests again and again
};
inline constexpr Reign first_unfair = Reign::late;
const char* to_string(Reign reign);

Plan reign_plan(std::uint64_t seed, Reign reign);

struct ReignResult {
    std::vector<Violation> violations;
    std::uint64_t slots = 0;
    std::uint64_t answered = 0;
    std::uint64_t turns = 0;  ///< see Fairness
    Duration lasted{};        ///< until the first view ended, or all of the time
    bool ended = false;
    std::map<std::string, std::uint64_t> reasons;  ///< why, and how many replicas
};
ReignResult run_reign(std::uint64_t seed, Reign reign, bool log = false);

}  // namespace bft::sim

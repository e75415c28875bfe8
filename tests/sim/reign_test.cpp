// T6, L-NOFALSE and L-FAIR in whole clusters. BFT_REIGN_SEEDS=N runs more seeds of each kind.
#include "reign.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <set>

namespace bft::sim {
namespace {

std::uint64_t seeds() {
    const char* wanted = std::getenv("BFT_REIGN_SEEDS");
    return wanted == nullptr ? 4 : std::strtoull(wanted, nullptr, 10);
}

struct Case {
    Reign reign;
    std::set<std::string> reasons;  ///< of which one must have been given; none: nobody suspects
};

class Reigns : public testing::TestWithParam<Case> {};

TEST_P(Reigns, AreJudged) {
    const Case& c = GetParam();
    std::uint64_t answered = 0;
    std::uint64_t slots = 0;
    std::uint64_t turns = 0;
    std::int64_t longest_ms = 0;
    std::map<std::string, std::uint64_t> reasons;
    for (std::uint64_t seed = 1; seed <= seeds(); ++seed) {
        ReignResult result = run_reign(seed, c.reign);
        for (const Violation& violation : result.violations)
            ADD_FAILURE() << "seed " << seed << ": " << violation.property << " " << violation.text;
        bool one = c.reasons.empty();
        for (const auto& [reason, times] : result.reasons) {
            one = one || c.reasons.contains(reason);
            reasons[reason] += times;
        }
        EXPECT_TRUE(one) << "seed " << seed << ": not for the reason that was to be seen";
        answered += result.answered;
        slots += result.slots;
        turns = std::max(turns, result.turns);
        longest_ms = std::max<std::int64_t>(
            longest_ms,
            std::chrono::duration_cast<std::chrono::milliseconds>(result.lasted).count());
        if (HasFailure()) break;
    }
    EXPECT_GT(answered, 20 * seeds());
    if (c.reign == Reign::unfair) {
        EXPECT_GT(turns, 2u) << "L-FAIR sees no unfairness";
    }
    std::printf("%s: %llu slots, %llu answers, view 0 lasted at most %lld ms, turns %llu;",
                to_string(c.reign), static_cast<unsigned long long>(slots),
                static_cast<unsigned long long>(answered), static_cast<long long>(longest_ms),
                static_cast<unsigned long long>(turns));
    for (const auto& [reason, times] : reasons)
        std::printf(" %s x%llu", reason.c_str(), static_cast<unsigned long long>(times));
    std::printf("\n");
}

INSTANTIATE_TEST_SUITE_P(
    All, Reigns,
    testing::Values(Case{Reign::overload, {}}, Case{Reign::slow_database, {}},
                    Case{Reign::slow_group, {}}, Case{Reign::slow_replicas, {}},
                    Case{Reign::slow_tpm, {}}, Case{Reign::late, {"late_orders", "low_rate"}},
                    Case{Reign::rare, {"slow_slots", "late_orders", "low_rate"}},
                    Case{Reign::unfair, {"overtaken", "late_orders"}},
                    Case{Reign::ahead, {"clock_drift"}}, Case{Reign::repeating, {"duplicates"}}),
    [](const auto& of) { return std::string(to_string(of.param.reign)); });

}  // namespace
}  // namespace bft::sim

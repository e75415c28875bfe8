// Tests of the tests: with a rule broken on purpose, a checker must fire within some seeds.
#include "run.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace bft::sim {
namespace {

struct Case {
    Mutation mutation;
    std::set<std::string> properties;  ///< whichever fires first
    std::uint64_t seeds;
};

class Mutations : public testing::TestWithParam<Case> {};

TEST_P(Mutations, AreCaught) {
    const Case& c = GetParam();
    for (std::uint64_t seed = 1; seed <= c.seeds; ++seed) {
        RunResult result = run_seed(make_plan(seed, c.mutation), false);
        if (result.violations.empty()) continue;
        EXPECT_TRUE(c.properties.contains(result.violations.front().property))
            << "seed " << seed << ": " << result.violations.front().property << " "
            << result.violations.front().text;
        return;
    }
    ADD_FAILURE() << to_string(c.mutation) << " was not noticed in " << c.seeds << " seeds";
}

INSTANTIATE_TEST_SUITE_P(
    Rules, Mutations,
    testing::Values(
        Case{Mutation::verifier_accepts_all,
             {"S-CHAIN", "S-EVID", "S-COMMIT", "S-SEQ", "S-VIEW1"},
             100},
        Case{Mutation::voters_trust_f, {"S-VOTER-AUTH", "S-EVID"}, 100},
        Case{Mutation::database_ignores_order, {"S-VOTER-ORDER", "S-DB-EQ"}, 100},
        Case{Mutation::database_not_atomic, {"S-VOTER-ORDER", "S-EXACTLY-ONCE", "S-DB-EQ"}, 100},
        Case{Mutation::send_before_sync, {"S-PERSIST", "S-USIG"}, 100},
        Case{Mutation::disk_loses_tail, {"S-PERSIST", "S-USIG"}, 100},
        Case{
            Mutation::last_unused, {"S-VALID", "S-PERSIST", "S-EVID", "L-REPLY", "L-CATCHUP"}, 100},
        Case{Mutation::counter_rolls_back, {"S-USIG", "S-CHAIN"}, 300},
        Case{Mutation::client_trusts_one, {"S-REPLY"}, 100},
        Case{Mutation::reply_before_commit, {"S-PERSIST"}, 100},
        Case{Mutation::too_many_liars, {"S-REPLY", "S-EVID"}, 100}),
    [](const auto& of) { return std::string(to_string(of.param.mutation)); });

}  // namespace
}  // namespace bft::sim

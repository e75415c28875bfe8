#include "node/placement.hpp"

#include "base/prng.hpp"

#include <gmock/gmock.h>

#include <algorithm>

namespace bft::node {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

Machine machine(std::string name, std::uint64_t cpu, std::string zone = {}) {
    return {std::move(name), std::move(zone), {cpu, 8192}, {}};
}

Workload group(std::string name, std::uint32_t copies, std::uint64_t cpu) {
    return {std::move(name), copies, {cpu, 512}, {"primary"}, {}};
}

TEST(Placement, CopiesAreOnDifferentMachinesWithMostRoomFirst) {
    const std::vector<Machine> machines{machine("a", 1000), machine("b", 4000), machine("c", 2000),
                                        machine("d", 3000)};
    auto placed = place(machines, {group("group 1", 3, 500)});
    ASSERT_TRUE(placed) << placed.error().what;
    EXPECT_THAT(placed->front(), ElementsAre(1, 3, 2));
}

TEST(Placement, BesidePrimariesOnlyWhereThereAreTooFewOthers) {
    std::vector<Machine> machines{machine("p", 8000), machine("a", 1000), machine("b", 1000),
                                  machine("c", 1000)};
    machines[0].carries = {"primary"};
    auto placed = place(machines, {group("group 1", 3, 100)});
    ASSERT_TRUE(placed);
    EXPECT_THAT(placed->front(), UnorderedElementsAre(1, 2, 3));
    placed = place({machines.begin(), machines.begin() + 3}, {group("group 1", 3, 100)});
    ASSERT_TRUE(placed);
    EXPECT_THAT(placed->front(), UnorderedElementsAre(0, 1, 2));
}

TEST(Placement, ZonesComeBeforeRoom) {
    const std::vector<Machine> machines{machine("a", 4000, "north"), machine("b", 4000, "north"),
                                        machine("c", 1000, "south"), machine("d", 900, "west")};
    auto placed = place(machines, {group("group 1", 3, 100)});
    ASSERT_TRUE(placed);
    EXPECT_THAT(placed->front(), UnorderedElementsAre(0, 2, 3));
}

TEST(Placement, GroupsSpreadOverEqualMachines) {
    std::vector<Machine> machines;
    for (char name = 'a'; name < 'g'; ++name)
        machines.push_back(machine(std::string(1, name), 4000));
    std::vector<Workload> groups;
    for (int g = 1; g <= 4; ++g) groups.push_back(group("group " + std::to_string(g), 3, 1000));
    auto placed = place(machines, groups);
    ASSERT_TRUE(placed);
    std::vector<int> carried(machines.size());
    for (const auto& chosen : *placed)
        for (std::size_t m : chosen) ++carried[m];
    EXPECT_THAT(carried, ElementsAre(2, 2, 2, 2, 2, 2));
}

TEST(Placement, WhatIsThereStaysAndIsCounted) {
    const std::vector<Machine> machines{machine("a", 1000), machine("b", 1000), machine("c", 1000),
                                        machine("d", 1000)};
    Workload old = group("group 1", 3, 600);
    old.fixed = {0, 1};
    auto placed = place(machines, {group("group 2", 2, 400), old});
    ASSERT_TRUE(placed) << placed.error().what;
    EXPECT_THAT((*placed)[1], ElementsAre(0, 1, 2)) << "the larger one comes first";
    EXPECT_FALSE(place(machines, {group("group 2", 3, 500), old}));
}

TEST(Placement, SaysWhatFindsNoRoom) {
    const std::vector<Machine> machines{machine("a", 1000), machine("b", 1000)};
    auto placed = place(machines, {group("group 7", 3, 100)});
    ASSERT_FALSE(placed);
    EXPECT_EQ(placed.error().code, Errc::refused);
    EXPECT_THAT(placed.error().what, HasSubstr("group 7 needs 3 different machines"));
    EXPECT_FALSE(place(machines, {group("group 7", 2, 1001)}));
}

// No machine is ever filled beyond what it has, no copy is beside another one, and it is the same
// each time.
TEST(Placement, HoldsForAnyMachinesAndGroups) {
    std::size_t placed_ones = 0;
    for (std::uint64_t seed = 1; seed <= 500; ++seed) {
        Prng prng(seed);
        std::vector<Machine> machines;
        for (std::uint64_t m = 0, n = 1 + prng.below(8); m < n; ++m) {
            machines.push_back(
                machine("m" + std::to_string(m), 500 + prng.below(4000),
                        prng.chance(500) ? "z" + std::to_string(prng.below(3)) : ""));
            if (prng.chance(200)) machines.back().carries = {"primary"};
        }
        std::vector<Workload> groups;
        for (std::uint64_t g = 0, n = 1 + prng.below(6); g < n; ++g)
            groups.push_back(
                group("g" + std::to_string(g), prng.chance(800) ? 3 : 5, 100 + prng.below(900)));
        auto placed = place(machines, groups);
        auto again = place(machines, groups);
        ASSERT_EQ(static_cast<bool>(placed), static_cast<bool>(again));
        if (!placed) continue;
        ++placed_ones;
        EXPECT_EQ(*placed, *again);
        std::vector<std::uint64_t> cpu(machines.size());
        for (std::size_t g = 0; g < groups.size(); ++g) {
            auto chosen = (*placed)[g];
            EXPECT_EQ(chosen.size(), groups[g].copies);
            for (std::size_t m : chosen) cpu[m] += groups[g].each.cpu_milli;
            std::sort(chosen.begin(), chosen.end());
            EXPECT_EQ(std::adjacent_find(chosen.begin(), chosen.end()), chosen.end());
        }
        for (std::size_t m = 0; m < machines.size(); ++m)
            EXPECT_LE(cpu[m], machines[m].free.cpu_milli) << "seed " << seed;
    }
    EXPECT_GT(placed_ones, 100u);
}

}  // namespace
}  // namespace bft::node

#include "database/steps.hpp"

#include <gtest/gtest.h>

namespace bft::database {
namespace {

struct StepsTest : ::testing::Test {
    StepsTest() {
        auto parsed =
            catalog::Application::parse("", R"TOML([application]
name = "a"
version = 1
[tables.t]
partition_column = "w"
[procedures.order]
batch = "orders"
commutes_with = ["pay"]
params = [{name="w", type="int"}]
partitions = ["w"]
[procedures.pay]
batch = "pays"
batch_from = 3
params = [{name="w", type="int"}]
partitions = ["w"]
[procedures.close]
params = [{name="w", type="int"}]
partitions = ["w"]
[procedures.look]
read_only = true
params = [{name="w", type="int"}]
partitions = ["w"]
)TOML",
                                        "CREATE TABLE t (w INT PRIMARY KEY);",
                                        "CREATE PROCEDURE `order`(w INT) DELETE FROM t;"
                                        "CREATE PROCEDURE orders(c TEXT) DELETE FROM t;"
                                        "CREATE PROCEDURE pay(w INT) DELETE FROM t;"
                                        "CREATE PROCEDURE pays(c TEXT) DELETE FROM t;"
                                        "CREATE PROCEDURE close(w INT) DELETE FROM t;"
                                        "CREATE PROCEDURE look(w INT) SELECT COUNT(*) FROM t;");
        EXPECT_TRUE(parsed) << parsed.error().what;
        if (parsed) application = std::move(*parsed);
    }
    void call(const char* procedure, std::vector<std::uint32_t> partitions) {
        OrderedCall& call = calls.emplace_back(calls.size(), application.procedure(procedure));
        for (std::uint32_t partition : partitions) call.partitions.emplace_back(partition);
    }
    /// "orders 0,2; look 1": what runs together, and what alone.
    std::string plan() {
        std::string out;
        for (const Step& step : plan_steps(application, calls)) {
            if (!out.empty()) out += "; ";
            out += step.together != nullptr ? step.together->batch
                                            : calls[step.calls.front()].procedure->name;
            for (std::size_t number : step.calls) out += " " + std::to_string(number);
        }
        return out;
    }
    catalog::Application application;
    std::vector<OrderedCall> calls;
};

TEST_F(StepsTest, CallsThatMayChangePlacesGather) {
    call("order", {1});
    call("pay", {1});
    call("order", {1});
    call("pay", {2});
    EXPECT_EQ(plan(), "orders 0 2; pay 1; pay 3");
}

TEST_F(StepsTest, ARowThatIsTooShortRunsOneByOne) {
    for (std::uint32_t partition : {1u, 2u}) call("pay", {partition});
    EXPECT_EQ(plan(), "pay 0; pay 1");
    call("pay", {1});
    EXPECT_EQ(plan(), "pays 0 1 2");
}

TEST_F(StepsTest, WhatMayNotChangePlacesKeepsThem) {
    call("order", {1});
    call("close", {1});
    call("order", {1});
    call("pay", {1});
    call("order", {1});
    EXPECT_EQ(plan(), "order 0; close 1; orders 2 4; pay 3");
}

TEST_F(StepsTest, OtherPartitionsDoNotWait) {
    call("order", {1});
    call("close", {1});
    call("order", {2});
    call("order", {1, 2});
    call("order", {2});
    // The last one shares partition 2 with one that comes behind the close.
    EXPECT_EQ(plan(), "orders 0 2; close 1; orders 3 4");
}

TEST_F(StepsTest, BatchFormsMeetWhateverLiesBetweenThemElsewhere) {
    call("order", {1});
    call("close", {1});
    call("order", {1});
    call("close", {2});
    call("order", {2});
    EXPECT_EQ(plan(), "order 0; close 1; close 3; orders 2 4");
}

TEST_F(StepsTest, ReadersChangePlacesWithReadersOnly) {
    call("look", {1});
    call("look", {1});
    call("order", {1});
    call("look", {1});
    call("order", {1});
    EXPECT_EQ(plan(), "look 0; look 1; order 2; look 3; order 4");
}

TEST_F(StepsTest, WithoutBatchFormsTheSequenceStays) {
    for (std::uint32_t partition : {1u, 2u, 1u}) call("close", {partition});
    EXPECT_EQ(plan(), "close 0; close 1; close 2");
}

}  // namespace
}  // namespace bft::database

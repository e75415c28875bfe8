#include "roles/replica_stages.hpp"

#include <gtest/gtest.h>

namespace bft::roles {
namespace {

using consensus::RequestId;
using host::Stage;
using metrics::Latency;

TimePoint at(int ms) {
    return TimePoint(std::chrono::milliseconds(ms));
}

RequestId id(std::uint64_t cseq) {
    return {ClientId(3), PartitionId(1), ClientSeq(cseq)};
}

consensus::Delivery delivery(Slot slot, std::initializer_list<RequestId> requests) {
    consensus::Delivery made{slot, {}};
    for (const RequestId& each : requests) {
        auto request = std::make_shared<consensus::Request>();
        request->id = each;
        made.entries.push_back({{}, request});
    }
    made.entries.push_back({{}, nullptr});  // an entry that does nothing
    return made;
}

struct ReplicaStagesTest : ::testing::Test {
    std::uint64_t us(Stage stage) { return all.of(stage).sum_us(); }
    std::uint64_t count(Stage stage) { return all.of(stage).count(); }
    host::Stages all;
    ReplicaStages stages{all};
};

TEST_F(ReplicaStagesTest, FollowEachOther) {
    stages.requested(id(1), at(100));
    stages.requested(id(1), at(105));  // sent again
    stages.appended(Slot(7), at(110));
    stages.delivered(delivery(Slot(7), {id(1)}), at(130));
    stages.answered(id(1), at(170));
    stages.answered(id(1), at(999));  // an answer that is sent again
    EXPECT_EQ(us(Stage::order), 10'000u);
    EXPECT_EQ(us(Stage::commit), 20'000u);
    EXPECT_EQ(us(Stage::vote), 40'000u);
    for (Stage stage : {Stage::order, Stage::commit, Stage::vote}) EXPECT_EQ(count(stage), 1u);
}

TEST_F(ReplicaStagesTest, WhatIsNotKnownIsNotCounted) {
    stages.appended(Slot(7), at(110));
    stages.requested(id(1), at(120));                              // heard of after its slot
    stages.delivered(delivery(Slot(7), {id(1), id(2)}), at(130));  // and never
    EXPECT_EQ(count(Stage::order), 0u);
    EXPECT_EQ(count(Stage::commit), 2u);
    stages.delivered(delivery(Slot(9), {id(3)}), at(140));  // came with a NEW-VIEW
    EXPECT_EQ(count(Stage::commit), 2u);
    stages.answered(id(3), at(150));
    EXPECT_EQ(count(Stage::vote), 0u);
}

TEST_F(ReplicaStagesTest, RequestsThatAreNeverOrderedAreGivenUp) {
    for (std::uint64_t n = 1; n <= ReplicaStages::followed_max + 1; ++n)
        stages.requested(id(n), at(1));
    stages.appended(Slot(1), at(2));
    stages.delivered(delivery(Slot(1), {id(1), id(2)}), at(3));
    EXPECT_EQ(count(Stage::order), 1u);
}

TEST(Latencies, FallIntoBuckets) {
    Latency latency;
    for (int us : {0, 50, 51, 100, 3'000'000, 20'000'000})
        latency.add(std::chrono::microseconds(us));
    latency.add(Duration(-5));
    latency.add(Duration(50'001));  // more than 50 us
    EXPECT_EQ(latency.count(), 8u);
    EXPECT_EQ(latency.counts()[0], 3u);
    EXPECT_EQ(latency.counts()[1], 3u);
    EXPECT_EQ(latency.counts().back(), 1u);
    EXPECT_EQ(latency.sum_us(), 23'000'251u);
    EXPECT_EQ(latency.bound_of(500), 100u);
    EXPECT_EQ(latency.bound_of(1000), Latency::bounds_us.back());
    EXPECT_EQ(Latency().bound_of(500), 50u);
}

}  // namespace
}  // namespace bft::roles

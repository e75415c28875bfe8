#include "node/elastic.hpp"

#include "fixtures.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace bft::node {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// Five partitions, five groups, all with the first one.
ElasticSample sample(std::vector<double> rates = {100, 100, 100, 100, 100}) {
    ElasticSample made;
    for (std::uint32_t g = 1; g <= 5; ++g)
        made.now.groups.push_back({GroupId(g), {{HostId(0), UsigId(g)}}});
    made.now.owners[PartitionId(0)] = GroupId(1);
    for (std::uint32_t p = 1; p <= rates.size(); ++p) {
        made.now.owners[PartitionId(p)] = GroupId(1);
        made.rates[PartitionId(p)] = rates[p - 1];
    }
    return made;
}

void moved(ElasticSample& sample, const std::vector<consensus::MovePartition>& moves) {
    for (const auto& move : moves) sample.now.owners[move.partition] = move.to;
}

/// How many partitions each group has, most first.
std::vector<int> sizes(const ElasticSample& sample) {
    std::map<GroupId, int> count;
    for (const auto& [partition, owner] : sample.now.owners)
        if (partition.value != 0) ++count[owner];
    std::vector<int> all;
    for (const auto& [group, n] : count) all.push_back(n);
    std::sort(all.rbegin(), all.rend());
    return all;
}

TEST(Elastic, FivePartitionsOverOneToFiveGroupsAndBack) {
    ElasticSample s = sample();
    const std::vector<std::vector<int>> wanted = {
        {5}, {3, 2}, {2, 2, 1}, {2, 1, 1, 1}, {1, 1, 1, 1, 1}};
    for (std::uint32_t n : {1, 2, 3, 4, 5, 4, 3, 2, 1}) {
        moved(s, spread(s, n));
        EXPECT_EQ(sizes(s), wanted[n - 1]);
        EXPECT_EQ(s.now.owner(PartitionId(0)), GroupId(1)) << "partition 0 stays";
    }
}

TEST(Elastic, AsFewPartitionsMoveAsItTakes) {
    ElasticSample s = sample();
    EXPECT_EQ(spread(s, 2).size(), 2U);
    moved(s, spread(s, 2));
    EXPECT_EQ(spread(s, 2).size(), 0U) << "and then none";
    EXPECT_EQ(spread(s, 3).size(), 1U);
}

TEST(Elastic, LoadCountsAndNotNumbers) {
    ElasticSample s = sample({1000, 10, 10, 10, 10});
    moved(s, spread(s, 2));
    std::set<PartitionId> with_the_busy_one;
    for (const auto& [partition, owner] : s.now.owners)
        if (partition.value != 0 && owner == s.now.owner(PartitionId(1)))
            with_the_busy_one.insert(partition);
    EXPECT_THAT(with_the_busy_one, ElementsAre(PartitionId(1)));
}

TEST(Elastic, WithoutLoadPartitionsCountAlike) {
    ElasticSample s = sample({0, 0, 0, 0, 0});
    moved(s, spread(s, 5));
    EXPECT_EQ(sizes(s), (std::vector<int>{1, 1, 1, 1, 1}));
}

class Decide : public ::testing::Test {
protected:
    Decide() {
        policy.target_p95 = 100ms;
        policy.samples = 3;
        policy.cool_down = 10s;
        state.at = TimePoint(1000s);
    }
    ElasticDecision after(Duration pause, std::optional<Duration> p95) {
        state.at += pause;
        state.p95 = p95;
        ElasticDecision decision = decide(policy, state, memory);
        moved(state, decision.moves);
        return decision;
    }
    /// Samples, a second apart, until something is decided.
    int until_decided(std::optional<Duration> p95, int most = 100) {
        for (int n = 1; n <= most; ++n)
            if (!after(1s, p95).moves.empty()) return n;
        return 0;
    }

    ElasticPolicy policy;
    ElasticMemory memory;
    ElasticSample state = sample();
};

TEST_F(Decide, GrowsWhenItIsTooSlowForLongEnough) {
    EXPECT_TRUE(after(1s, 150ms).moves.empty());
    EXPECT_TRUE(after(1s, 150ms).moves.empty());
    EXPECT_TRUE(after(1s, 90ms).moves.empty()) << "not in a row";
    EXPECT_EQ(until_decided(150ms), 3);
    EXPECT_EQ(sizes(state), (std::vector<int>{3, 2}));
    EXPECT_EQ(until_decided(150ms), 10) << "cools down first";
    EXPECT_EQ(sizes(state), (std::vector<int>{2, 2, 1}));
}

TEST_F(Decide, GoesToAllGroupsAndBackToOne) {
    for (int n = 0; n < 4; ++n) EXPECT_GT(until_decided(500ms), 0);
    EXPECT_EQ(sizes(state).size(), 5U);
    EXPECT_EQ(until_decided(500ms), 0) << "there are no more";
    for (int n = 0; n < 4; ++n) EXPECT_GT(until_decided(20ms), 0);
    EXPECT_EQ(sizes(state), (std::vector<int>{5}));
    EXPECT_EQ(until_decided(std::nullopt), 0);
}

TEST_F(Decide, BetweenTheBoundsNothingHappens) {
    EXPECT_GT(until_decided(500ms), 0);
    EXPECT_EQ(until_decided(70ms), 0);
}

TEST_F(Decide, RestsAreGivenBack) {
    EXPECT_GT(until_decided(500ms), 0);
    EXPECT_GT(until_decided(std::nullopt), 0) << "nobody asks for anything";
    EXPECT_EQ(sizes(state), (std::vector<int>{5}));
}

TEST_F(Decide, KeepsTheBoundsOfThePolicy) {
    policy.min_groups = 2;
    policy.max_groups = 3;
    EXPECT_EQ(until_decided(70ms), 1) << "too few, at once";
    EXPECT_EQ(sizes(state).size(), 2U);
    EXPECT_GT(until_decided(500ms), 0);
    EXPECT_EQ(until_decided(500ms), 0);
    EXPECT_EQ(sizes(state).size(), 3U);
    EXPECT_GT(until_decided(1ms), 0);
    EXPECT_EQ(until_decided(1ms), 0);
    EXPECT_EQ(sizes(state).size(), 2U);
}

TEST_F(Decide, AddsGroupsWhereThereAreTooFew) {
    state.now.groups.resize(2);
    state.addable = 2;
    EXPECT_GT(until_decided(500ms), 0);
    EXPECT_EQ(sizes(state).size(), 2U) << "first those that are there";
    ElasticDecision decision;
    while (decision.add == 0) decision = after(1s, 500ms);
    EXPECT_EQ(decision.groups, 3U);
    EXPECT_TRUE(decision.moves.empty()) << "until it has come";
    EXPECT_THAT(decision.why, HasSubstr("2 -> 3 groups, 1 of them new"));
    state.now.groups.push_back({GroupId(9), {{HostId(0), UsigId(9)}}, {}, ConfigVersion(4)});
    state.addable = 1;
    EXPECT_EQ(moves_text(spread(state, decision.groups)), "moves 3->9");
    moved(state, spread(state, decision.groups));
    state.addable = 0;
    EXPECT_EQ(until_decided(500ms), 0) << "there are no counters left";
}

TEST_F(Decide, RemovesWhatWasAddedAndIsNoLongerNeeded) {
    for (consensus::Group& group : state.now.groups)
        if (group.id > GroupId(3)) group.added = ConfigVersion(group.id.value);
    EXPECT_TRUE(after(1s, 70ms).remove.empty()) << "all are kept unless the policy says otherwise";
    policy.spare_groups = 1;
    const ElasticDecision decision = after(1s, 70ms);
    EXPECT_THAT(decision.remove, ElementsAre(GroupId(4), GroupId(5)));
    EXPECT_THAT(decision.why, HasSubstr("group 5 owns nothing: it goes"));
    EXPECT_TRUE(after(1s, 70ms).remove.empty()) << "cools down first";
    for (consensus::Group& group : state.now.groups)
        if (group.id > GroupId(3)) group.retired = {Position(0)};
    EXPECT_TRUE(after(60s, 70ms).remove.empty()) << "they are gone, the others never came";
    EXPECT_GT(until_decided(500ms), 0);
    EXPECT_GT(until_decided(500ms), 0);
    EXPECT_EQ(until_decided(500ms), 0) << "three groups, of five that ever were";
}

TEST_F(Decide, SpreadsAnewWhenTheLoadHasShifted) {
    EXPECT_GT(until_decided(500ms), 0);
    for (auto& [partition, rate] : state.rates)
        rate = state.now.owner(partition) == GroupId(1) ? 300 : 10;
    EXPECT_GT(until_decided(70ms), 0);
    EXPECT_EQ(until_decided(70ms), 0);
    EXPECT_EQ(sizes(state).size(), 2U);
}

TEST_F(Decide, SaysWhyInOneLine) {
    after(1s, 150ms);
    after(1s, 150ms);
    const std::string why = after(1s, 150ms).why;
    EXPECT_THAT(why,
                HasSubstr("p95 150.0 ms, target 100.0 ms; too slow in 3 samples: 1 -> 2 groups"));
    EXPECT_EQ(why.find('\n'), std::string::npos);
}

TEST(ElasticPolicy, TheSampleIsRightAndShowsTheDefaults) {
    std::string text = read_file(BFT_SOURCE_DIR "/config/controller.toml");
    const auto defaults = parse_policy(text, "/p.toml");
    ASSERT_TRUE(defaults.value) << listing(defaults.errors);
    // Commented keys say what holds without them.
    std::string all;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        const std::string line = text.substr(at, end - at);
        if (line.starts_with("# ") && line.find(" = ") != std::string::npos)
            all += line.substr(2) + "\n";
        at = end + 1;
    }
    const auto said = parse_policy(all, "/p.toml");
    ASSERT_TRUE(said.value) << listing(said.errors);
    EXPECT_EQ(said.value->target_p95, defaults.value->target_p95);
    EXPECT_EQ(said.value->cool_down, defaults.value->cool_down);
    EXPECT_EQ(said.value->max_groups, defaults.value->max_groups);
    EXPECT_EQ(said.value->samples, defaults.value->samples);
    EXPECT_EQ(said.value->sample_every, defaults.value->sample_every);
    EXPECT_EQ(said.value->shrink_percent, defaults.value->shrink_percent);
    EXPECT_EQ(said.value->rebalance_percent, defaults.value->rebalance_percent);
}

TEST(ElasticPolicy, SaysWhatIsWrong) {
    EXPECT_THAT(listing(parse_policy("min_groups = 3\nmax_groups = 2", "/p.toml").errors),
                HasSubstr("less than min_groups"));
    EXPECT_THAT(listing(parse_policy("target_ms = 3", "/p.toml").errors), HasSubstr("target_ms"));
}

StatusDocument host_at(std::uint64_t done, std::uint64_t fast, std::uint64_t slow) {
    StatusDocument host;
    host.replicas.resize(2);
    host.replicas[0].latency_counts.assign(19, 0);
    host.replicas[1].latency_counts.assign(19, 0);
    host.replicas[0].latency_counts[8] = fast;   // 10 to 20 ms
    host.replicas[1].latency_counts[13] = slow;  // 100 to 250 ms
    host.voter.emplace();
    host.voter->next[1] = done;
    return host;
}

TEST(ElasticSample, MediansOverHostsCount) {
    ElasticView before{TimePoint(10s), {}}, after{TimePoint(12s), {}};
    for (const char* name : {"a", "b", "c"}) before.hosts[name] = host_at(100, 50, 50);
    after.hosts["a"] = host_at(300, 150, 50);
    after.hosts["b"] = host_at(302, 150, 50);
    after.hosts["c"] = host_at(900'000, 50, 5'000);  // lies
    after.hosts["d"] = host_at(7, 7, 7);             // was not there before
    ElasticSample s = sample_between(before, after, sample().now);
    EXPECT_NEAR(s.rates.at(PartitionId(1)), 101, 0.1);
    ASSERT_TRUE(s.p95);
    EXPECT_NEAR(std::chrono::duration<double>(*s.p95).count(), 0.0195, 0.0001);
    EXPECT_FALSE(sample_between(after, after, sample().now).p95) << "nothing was answered";
    // A host that has restarted counts from zero.
    before.hosts["a"] = host_at(100, 5000, 50);
    EXPECT_TRUE(sample_between(before, after, sample().now).p95);
}

}  // namespace
}  // namespace bft::node

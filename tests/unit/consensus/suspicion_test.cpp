// T6: what a replica measures of its primary, and what it holds against it.
#include "consensus/minbft/suspicion.hpp"

#include "consensus/minbft/request_pool.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <map>

namespace bft::consensus::minbft {
namespace {

constexpr UnixMillis noon = 1'700'000'000'000;

/// A watch, and a primary that orders as the test says.
class Suspicions : public testing::Test {
protected:
    Suspicions() { watch_.begin(now_); }

    void pass(Duration time, LeaderWatch::Excuse excuse = {}) {
        for (TimePoint end = now_ + time; now_ < end;) {
            now_ += std::min<Duration>(10ms, end - now_);
            watch_.pass(now_, excuse);
        }
    }
    LeaderWatch::Ticket request(std::uint32_t client = 1) {
        return watch_.came(ClientId(client), 500ms);
    }
    struct Entry {
        LeaderWatch::Ticket ticket = 0;
        std::uint32_t client = 1;
    };
    void slot(std::vector<Entry> entries, std::uint64_t all = 0) {
        LeaderWatch::SlotSeen seen;
        for (const Entry& each : entries)
            seen.own.push_back({ClientId(each.client), each.ticket, false});
        seen.entries = std::max<std::uint64_t>(all, entries.size());
        seen.ts_ms = noon;
        watch_.slot(seen, now_, noon);
    }
    std::optional<Suspicion> verdict(std::uint32_t doublings = 0) {
        auto found = watch_.verdict(now_, doublings, 5ms);
        if (!found) return std::nullopt;
        EXPECT_FALSE(found->second.empty());
        return found->first;
    }
    /// Requests come every `every` and are ordered `delay` later, in slots of their own.
    void pipeline(Duration every, Duration delay, int count, LeaderWatch::Excuse excuse = {},
                  std::uint64_t all = 0) {
        std::map<TimePoint, LeaderWatch::Ticket> due;
        for (int i = 0; i < count || !due.empty(); ++i) {
            if (i < count) due[now_ + delay] = request();
            for (TimePoint end = now_ + every; now_ < end;) {
                pass(10ms, excuse);
                while (!due.empty() && due.begin()->first <= now_) {
                    slot({{due.begin()->second}}, all);
                    due.erase(due.begin());
                }
            }
        }
    }

    TimePoint now_ = TimePoint{} + 1h;
    LeaderWatch watch_{WatchOptions{}, 2};
};

TEST_F(Suspicions, AQuickPrimaryIsNotSuspected) {
    for (int i = 0; i < 200; ++i) {
        pipeline(50ms, 200ms, 4);
        pass(300ms);
        EXPECT_EQ(verdict(), std::nullopt);
    }
    EXPECT_EQ(watch_.silence(), 200ms + 100ms);
}

TEST_F(Suspicions, TwoLateRequestsAreNoReason) {
    pass(3s);
    for (int i = 0; i < 2; ++i) pipeline(100ms, 1800ms, 1);
    EXPECT_EQ(verdict(), std::nullopt);
}

// C13: as many slots as ever, each request just below T1.
TEST_F(Suspicions, LateOrders) {
    pipeline(100ms, 1800ms, 20);
    EXPECT_EQ(verdict(), Suspicion::late_orders);
    EXPECT_EQ(verdict(1), std::nullopt);  // T5: patience has doubled
    pass(40s);
    EXPECT_EQ(verdict(), std::nullopt);  // long ago
}

TEST_F(Suspicions, OneInAHundredIsLate) {
    pipeline(10ms, 50ms, 250);
    auto late = [&](int count) {
        for (int i = 0; i < count; ++i) {
            auto ticket = request(2);
            pass(1100ms);
            slot({{ticket, 2}});
        }
    };
    late(3);
    EXPECT_EQ(verdict(), std::nullopt);
    late(2);
    EXPECT_EQ(verdict(), Suspicion::late_orders);
}

// L-NOFALSE: databases or another group are behind, so the primary may not order.
TEST_F(Suspicions, HeldBackIsNotLate) {
    pipeline(100ms, 1800ms, 20, {true, false});
    EXPECT_EQ(verdict(), std::nullopt);
    auto ticket = request();
    pass(1min, {true, true});
    EXPECT_EQ(watch_.waited(ticket), 0ms);
    EXPECT_LT(watch_.silence(), 1s);
    pass(2500ms);
    EXPECT_EQ(watch_.waited(ticket), 2s);  // after its grace
}

// L-NOFALSE, overload: slots are full, and whoever waits, waits for others.
TEST_F(Suspicions, FullSlotsAreNotLate) {
    pipeline(100ms, 1800ms, 20, {}, 2000);
    EXPECT_EQ(verdict(), std::nullopt);
}

// Likewise where each slot orders all that the databases' credit allows.
TEST_F(Suspicions, SpentCreditIsNotLate) {
    for (int i = 0; i < 20; ++i) {
        auto ticket = request();
        pass(1800ms);
        LeaderWatch::SlotSeen seen;
        seen.own.push_back({ClientId(1), ticket, false});
        seen.entries = 1;
        seen.spent = true;
        watch_.slot(seen, now_, 0);
        EXPECT_EQ(verdict(), std::nullopt);
    }
}

// A deployment whose every view is slow gets used to it; one good view ends that.
TEST_F(Suspicions, ComparedWithTheBestOfTheLastViews) {
    for (std::uint32_t p = 0; p < 2; ++p) {
        pipeline(100ms, 1200ms, 20);
        EXPECT_EQ(verdict(), Suspicion::late_orders);
        watch_.end();
        watch_.begin(now_);
    }
    pipeline(100ms, 1200ms, 20);
    EXPECT_EQ(verdict(), std::nullopt);
    watch_.end();
    watch_.begin(now_);
    pipeline(100ms, 100ms, 40);
    watch_.end();
    watch_.begin(now_);
    pipeline(100ms, 1200ms, 20);
    EXPECT_EQ(verdict(), Suspicion::late_orders);
}

TEST_F(Suspicions, SlowSlots) {
    WatchOptions options;
    options.order_delay = 10s;
    watch_ = LeaderWatch(options, 2);
    watch_.begin(now_);
    for (int i = 0; i < 10; ++i) {
        if (i < 8) {
            EXPECT_EQ(verdict(), std::nullopt);
        }
        auto ticket = request();
        pass(i < 2 ? 20ms : 1800ms);
        slot({{ticket}});
    }
    EXPECT_EQ(verdict(), Suspicion::slow_slots);
    EXPECT_EQ(watch_.verdict(now_, 0, 1s), std::nullopt);  // its certificates take that long
}

TEST_F(Suspicions, HeartbeatsAloneAreNoSlowSlots) {
    for (int i = 0; i < 40; ++i) {
        pass(1900ms);
        slot({});
    }
    EXPECT_EQ(verdict(), std::nullopt);
}

// C15: one client's requests wait while the others' are ordered.
TEST_F(Suspicions, Overtaken) {
    pass(3s);
    request(7);
    int ordered = 0;
    for (; ordered < 2000 && !verdict(); ++ordered) {
        auto other = request(1 + static_cast<std::uint32_t>(ordered % 3));
        pass(ordered % 3 == 0 ? 10ms : 0ms);
        slot({{other, 1 + static_cast<std::uint32_t>(ordered % 3)}});
    }
    EXPECT_EQ(verdict(), Suspicion::overtaken);
    EXPECT_GT(ordered, 256);
    EXPECT_LT(ordered, 600);
}

// A client with a deep queue of its own waits for itself: that is fair.
TEST_F(Suspicions, TurnsAreFair) {
    RequestPool pool(1024);
    std::map<RequestId, Entry> entries;
    std::uint64_t cseq = 0;
    auto ask = [&](std::uint32_t client) {
        auto body = std::make_shared<Request>();
        body->id = {ClientId(client), PartitionId(1), ClientSeq(++cseq)};
        entries[body->id] = {request(client), client};
        pool.add(GroupId(1), body);
    };
    pass(3s);
    for (int i = 0; i < 256; ++i) ask(100);
    for (int round = 0; round < 150; ++round) {
        for (std::uint32_t client = 1; client <= 50; ++client) ask(client);
        pass(10ms);
        std::vector<Entry> chosen;
        while (chosen.size() < 51)
            if (auto body = pool.take([](GroupId) { return true; }))
                chosen.push_back(entries.at((*body)->id));
            else
                break;
        slot(chosen);
        auto why = verdict();
        EXPECT_NE(why, Suspicion::overtaken) << round;
    }
}

// P2: nobody starves, however deep another one's queue is.
TEST(RequestPools, TakeGroupsAndClientsInTurn) {
    RequestPool pool(1024);
    auto add = [&](std::uint32_t group, std::uint32_t client, std::uint64_t cseq) {
        auto body = std::make_shared<Request>();
        body->id = {ClientId(client), PartitionId(group), ClientSeq(cseq)};
        return pool.add(GroupId(group), body);
    };
    for (std::uint64_t i = 1; i <= 1024; ++i) EXPECT_EQ(add(1, 9, i), RequestPool::Added::yes);
    EXPECT_EQ(add(1, 9, 1025), RequestPool::Added::full);
    for (std::uint64_t i = 1; i <= 3; ++i) {
        add(1, 1, i);
        add(2, 5, i);
    }
    std::map<std::uint64_t, int> served;  // by client, until the small ones are through
    for (int i = 0; i < 9; ++i)
        ++served[(*pool.take([](GroupId) { return true; }))->id.client.value];
    EXPECT_EQ(served[1] + served[9], 6);
    EXPECT_EQ(served[5], 3);
    EXPECT_EQ(served[1], 3);
    // A group without credit costs the others nothing.
    add(2, 5, 4);
    for (int i = 0; i < 5; ++i)
        EXPECT_EQ((*pool.take([](GroupId g) { return g != GroupId(2); }))->id.client, ClientId(9));
    EXPECT_EQ((*pool.take([](GroupId g) { return g == GroupId(2); }))->id.client, ClientId(5));
}

// Aardvark's floor: quick at first, then a trickle that stays below every other limit.
TEST_F(Suspicions, LowRate) {
    for (int i = 0; i < 300; ++i) {
        std::vector<Entry> crowd;
        for (int k = 0; k < 20; ++k) crowd.push_back({request()});
        pass(10ms);
        slot(crowd);
    }
    EXPECT_EQ(verdict(), std::nullopt);
    for (int i = 0; i < 60; ++i) {
        auto a = request();
        pass(900ms);
        slot({{a}});
    }
    EXPECT_EQ(verdict(), Suspicion::low_rate);
}

TEST_F(Suspicions, ClockDrift) {
    auto slots = [&](UnixMillis ts, bool newest, int count) {
        for (int i = 0; i < count; ++i) {
            pass(1s);
            LeaderWatch::SlotSeen seen;
            seen.ts_ms = ts;
            seen.newest = newest;
            watch_.slot(seen, now_, noon);
        }
    };
    slots(noon + 29'000, true, 10);
    EXPECT_EQ(verdict(), std::nullopt);
    slots(noon - 60'000, false, 10);  // we are behind, not the primary
    EXPECT_EQ(verdict(), std::nullopt);
    slots(noon + 60'000, true, 3);
    EXPECT_EQ(verdict(), std::nullopt);
    slots(noon + 60'000, true, 1);
    EXPECT_EQ(verdict(), Suspicion::clock_drift);
    // The next one, too? It may be our own clock.
    watch_.end();
    watch_.begin(now_);
    slots(noon + 60'000, true, 10);
    EXPECT_EQ(verdict(), std::nullopt);
    slots(noon, true, 1);
    slots(noon - 60'000, true, 4);
    EXPECT_EQ(verdict(), Suspicion::clock_drift);
}

// C12.
TEST_F(Suspicions, Duplicates) {
    auto entries = [&](int count, int repeated) {
        for (int i = 0; i < count; ++i) {
            LeaderWatch::SlotSeen seen;
            seen.own.push_back({ClientId(1), std::nullopt, i < repeated});
            seen.ts_ms = noon;
            watch_.slot(seen, now_, noon);
        }
    };
    pass(3s);
    entries(64, 32);
    EXPECT_EQ(verdict(), std::nullopt);
    entries(1, 1);  // one of the first 32 falls out
    EXPECT_EQ(verdict(), std::nullopt);
    entries(64, 33);
    EXPECT_EQ(verdict(), Suspicion::duplicates);
}

// T4: not before the view has had its time.
TEST_F(Suspicions, AViewHasItsTime) {
    for (int i = 0; i < 64; ++i) {
        LeaderWatch::SlotSeen seen;
        seen.own.push_back({ClientId(1), std::nullopt, true});
        watch_.slot(seen, now_, 0);
    }
    pass(1900ms);
    EXPECT_EQ(verdict(), std::nullopt);
    pass(200ms);
    EXPECT_EQ(verdict(), Suspicion::duplicates);
    EXPECT_EQ(verdict(1), std::nullopt);
}

}  // namespace
}  // namespace bft::consensus::minbft

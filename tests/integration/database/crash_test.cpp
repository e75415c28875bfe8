// The server dies in the middle of a load; every transaction takes effect exactly once.
#include "database/state_digest.hpp"
#include "proxy.hpp"
#include "rig.hpp"
#include "server.hpp"

#include <gtest/gtest.h>

namespace bft::database::testing {
namespace {

StateDigest digest_of(const ConnectOptions& connect) {
    auto session = Session::connect(connect).value();
    return state_digest(session).value();
}

StateDigest undisturbed(const std::vector<consensus::Execution>& load) {
    PrivateServer server;
    Rig rig(server.options());
    EXPECT_TRUE(rig.open());
    for (const auto& execution : load) rig.give(execution);
    EXPECT_TRUE(rig.run_until_executed(load.size()));
    return digest_of(server.options());
}

TEST(Crash, KilledServersExecuteExactlyOnce) {
    auto load = random_load(7, 900, 4);
    PrivateServer server;
    Rig rig(server.options());
    ASSERT_TRUE(rig.open());
    for (const auto& execution : load) rig.give(execution);
    for (std::size_t part : {100u, 400u, 700u}) {
        ASSERT_TRUE(rig.run_until_executed(part));
        server.crash();
        server.start();
    }
    ASSERT_TRUE(rig.run_until_executed(load.size()));
    EXPECT_GE(rig.executor().counters().reconnects, 3u);
    for (std::size_t i = 0; i < load.size(); ++i) EXPECT_EQ(rig.executed[i].slot, load[i].slot);
    EXPECT_TRUE(undisturbed(load).differences(digest_of(server.options())).empty());
}

TEST(Crash, ALostDatabaseIsNamedAndComesBack) {
    PrivateServer server;
    Rig rig(server.options());
    ASSERT_TRUE(rig.open());
    server.crash();
    Order order;
    rig.give(order.call({"echo", {std::int64_t{1}, std::string("x")}}, {1}));
    ASSERT_TRUE(rig.run_until([&] { return rig.alarmed(Alarm::Kind::database_lost); }));
    EXPECT_TRUE(rig.executed.empty());
    server.start();
    ASSERT_TRUE(rig.run_until_executed(1));
    ASSERT_TRUE(rig.run_until([&] { return rig.alarmed(Alarm::Kind::database_back); }));
}

// The voter's process dies instead: its successor goes on from next_seq.
TEST(Crash, ASuccessorGoesOnFromTheSequenceRows) {
    auto load = random_load(11, 400, 3);
    PrivateServer server;
    std::size_t done = 0;
    for (std::size_t stop : {50u, 130u, 400u}) {
        Rig rig(server.options());
        auto next = rig.open();
        ASSERT_TRUE(next) << next.error().what;
        // What the engine does with next_seq: items below it are not executed again.
        std::size_t expected = 0;
        for (const auto& execution : load) {
            auto at = next->next.find(execution.item.seqs[0].partition);
            if (at != next->next.end() && execution.item.seqs[0].seq < at->second) continue;
            rig.give(execution);
            ++expected;
        }
        if (stop == load.size()) {
            ASSERT_TRUE(rig.run_until_executed(expected));
            continue;
        }
        ASSERT_TRUE(rig.run_until_executed(stop - done));
        rig.executor().stop();
        done = stop;
    }
    EXPECT_TRUE(undisturbed(load).differences(digest_of(server.options())).empty());
}

// The answer to COMMIT, or COMMIT itself, is lost: only the tables can tell.
TEST(Crash, LostCommitsExecuteExactlyOnce) {
    auto load = random_load(17, 40, 3);
    auto expected = undisturbed(load);
    for (auto cut : {CuttingProxy::Cut::before, CuttingProxy::Cut::after}) {
        PrivateServer server;
        auto connect = server.options();
        connect.socket += ".cut";
        CuttingProxy proxy(connect.socket, server.options().socket, cut);
        Rig rig(connect);
        ASSERT_TRUE(rig.open());
        for (std::size_t i = 0; i < load.size(); ++i) {
            rig.give(load[i]);
            // Small batches: many commits.
            if (i % 2 == 1) {
                ASSERT_TRUE(rig.run_until_executed(i + 1));
            }
        }
        ASSERT_TRUE(rig.run_until_executed(load.size()));
        EXPECT_GE(proxy.cuts(), 5u);
        EXPECT_GE(rig.executor().counters().retries, proxy.cuts());
        EXPECT_EQ(rig.executed.size(), load.size());
        EXPECT_TRUE(expected.differences(digest_of(server.options())).empty());
    }
}

// A connection that is cut at any point: statements, bookkeeping, COMMIT.
TEST(Crash, CutConnectionsExecuteExactlyOnce) {
    auto load = random_load(13, 700, 4);
    PrivateServer server;
    Rig rig(server.options());
    ASSERT_TRUE(rig.open());
    for (const auto& execution : load) rig.give(execution);
    auto killer = Session::connect(server.options()).value();
    Prng prng(3);
    std::size_t kills = 0;
    while (rig.executed.size() < load.size() && kills < 300) {
        rig.run_until_executed(std::min(load.size(), rig.executed.size() + prng.below(40)));
        auto others = killer.query(
            "SELECT id FROM information_schema.processlist WHERE id<>CONNECTION_ID() AND "
            "db='bank'");
        ASSERT_TRUE(others);
        if (others->empty()) continue;
        (void)killer.run("KILL " + *(*others)[prng.below(others->size())][0]);
        ++kills;
    }
    ASSERT_TRUE(rig.run_until_executed(load.size()));
    EXPECT_GT(kills, 0u);
    EXPECT_FALSE(rig.alarmed(Alarm::Kind::wrong_sequence));
    EXPECT_TRUE(undisturbed(load).differences(digest_of(server.options())).empty());
}

}  // namespace
}  // namespace bft::database::testing

// Cuts, scans and rebuilding, on a real server.
#include "consensus/signed_bytes.hpp"
#include "database/rebuild.hpp"
#include "database/row_codec.hpp"
#include "database/setup.hpp"
#include "database/snapshot.hpp"
#include "rig.hpp"
#include "server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace bft::database::testing {
namespace {

using ::testing::HasSubstr;

constexpr std::uint32_t kBranches = 3;

/// A database with an executor and a snapshot keeper, as a voter has them.
struct Host {
    Host(PrivateServer& server, const std::string& name, std::uint32_t voter,
         std::uint32_t workers = 1)
        : connect(server.fresh_database(name)), rig(connect, workers, voter) {
        keeper.emplace(
            rig.io(), SnapshotOptions{connect, 0.0}, bank(),
            SnapshotHandlers{[this](consensus::Scan scan) { scans.push_back(scan); },
                             [this](std::string why) { damages.push_back(why); },
                             [this](consensus::ChunkExport asked, std::optional<Bytes> rows) {
                                 exports.emplace_back(asked, std::move(rows));
                             }});
        rig.cut = [this](Slot slot) { keeper->open(slot); };
    }
    void run(const std::vector<consensus::Execution>& load) {
        for (const auto& execution : load) rig.give(execution);
        total += load.size();
        ASSERT_TRUE(rig.run_until_executed(total));
    }
    void sql(const std::string& text) {
        auto session = Session::connect(connect).value();
        auto done = session.run(text);
        ASSERT_TRUE(done) << done.error().what;
    }
    /// By a session of its own, now.
    Result<DatabaseScan> scan_now() {
        auto session = Session::connect(connect).value();
        begin_snapshot(session).value();
        return scan(session, tables_of(bank()), [] { return true; });
    }
    Digest root_now() { return consensus::database_root(*scan_now().value().leaves); }
    consensus::DbLeavesPtr next_scan() {
        EXPECT_TRUE(rig.run_until([&] { return !scans.empty() || !damages.empty(); }));
        if (scans.empty()) return nullptr;
        auto leaves = scans.front().leaves;
        scans.erase(scans.begin());
        return leaves;
    }

    ConnectOptions connect;
    Rig rig;
    std::optional<SnapshotKeeper> keeper;
    std::vector<consensus::Scan> scans;
    std::vector<std::string> damages;
    std::vector<std::pair<consensus::ChunkExport, std::optional<Bytes>>> exports;
    std::size_t total = 0;
};

class Transfer : public ::testing::Test {
protected:
    static void SetUpTestSuite() { server = std::make_unique<PrivateServer>(); }
    static void TearDownTestSuite() { server.reset(); }

    /// A load, a cut, and more that comes after it.
    std::vector<consensus::Execution> load_with_cut(std::size_t before, std::size_t after) {
        auto load = random_load(7, before, kBranches, &order);
        load.push_back(order.checkpoint(kBranches, true));
        cut_slot = load.back().slot;
        for (auto& more : random_load(8, after, kBranches, &order)) load.push_back(more);
        return load;
    }

    static std::unique_ptr<PrivateServer> server;
    Order order;
    Slot cut_slot{};
};
std::unique_ptr<PrivateServer> Transfer::server;

TEST_F(Transfer, ACutShowsEveryDatabaseAtTheSamePointWhileExecutionGoesOn) {
    auto load = load_with_cut(300, 300);
    auto only_before = load;
    only_before.resize(301);
    Host one(*server, "one", 0, 1), two(*server, "two", 1, 3), still(*server, "still", 2);
    for (Host* host : {&one, &two, &still}) ASSERT_TRUE(host->rig.open());
    // With several workers the engine would hold back what follows; one queue has it in its order.
    one.run(load);
    still.run(only_before);
    for (auto& execution : load) execution.worker = 1;
    two.run(load);
    auto leaves = one.next_scan();
    ASSERT_TRUE(leaves);
    EXPECT_EQ(*leaves, *two.next_scan());
    EXPECT_EQ(consensus::database_root(*leaves), still.root_now()) << "nothing that came later";
    EXPECT_NE(one.root_now(), still.root_now());
    auto has = [&](const std::string& table, std::uint32_t partition) {
        return std::any_of(leaves->begin(), leaves->end(), [&](const consensus::DbLeaf& leaf) {
            return leaf.table == table && leaf.partition == PartitionId(partition);
        });
    };
    for (std::uint32_t branch = 1; branch <= kBranches; ++branch) {
        EXPECT_TRUE(has("account", branch));
        EXPECT_TRUE(has("cbft_win", branch));
    }
    EXPECT_TRUE(has("cbft_part", 0));
    EXPECT_TRUE(has("cbft_exec", 0));
    EXPECT_FALSE(has("cbft_meta", 0));
}

TEST_F(Transfer, ScansSeeWhatWasChangedByHand) {
    Host host(*server, "hand", 0);
    ASSERT_TRUE(host.rig.open());
    host.run(random_load(3, 200, kBranches, &order));
    auto before = *host.scan_now().value().leaves;
    host.sql("UPDATE account SET amount=amount+1 WHERE branch=2 LIMIT 1");
    auto after = *host.scan_now().value().leaves;
    ASSERT_EQ(before.size(), after.size());
    for (std::size_t i = 0; i < before.size(); ++i)
        EXPECT_EQ(before[i] == after[i],
                  !(before[i].table == "account" && before[i].partition == PartitionId(2)))
            << before[i].table;
    host.sql("UPDATE account SET amount=amount-1 WHERE branch=2 LIMIT 1");
    EXPECT_EQ(*host.scan_now().value().leaves, before);
    host.sql("UPDATE cbft_part SET next_seq=next_seq+1 WHERE part=1");
    EXPECT_NE(*host.scan_now().value().leaves, before);
    for (const char* change : {"DROP TABLE journal", "CREATE TABLE journal (branch INT, id INT)"}) {
        host.sql(change);
        auto scanned = host.scan_now();
        ASSERT_FALSE(scanned);
        EXPECT_EQ(scanned.error().code, Errc::not_found) << scanned.error().what;
        EXPECT_THAT(scanned.error().what, HasSubstr("journal"));
    }
}

TEST_F(Transfer, AMissingTableIsDamageAndABusyKeeperSkips) {
    Host host(*server, "damage", 0);
    ASSERT_TRUE(host.rig.open());
    host.run(random_load(3, 50, kBranches, &order));
    host.sql("DROP TABLE journal");
    host.run({order.checkpoint(kBranches, true)});
    EXPECT_EQ(host.next_scan(), nullptr);
    ASSERT_EQ(host.damages.size(), 1u);
    EXPECT_THAT(host.damages[0], HasSubstr("journal"));
    // What needs the table fails, and the executor says what is missing instead of trying for ever.
    host.rig.give(
        order.call({"open_account",
                    {std::int64_t{1}, std::int64_t{777}, std::string("1.00"), std::monostate{}}},
                   {1}));
    ASSERT_TRUE(host.rig.run_until([&] { return host.rig.alarmed(Alarm::Kind::damaged); }));
    EXPECT_THAT(host.rig.alarms.back().text, HasSubstr("table journal"));
}

TEST_F(Transfer, ALostDatabaseIsDamage) {
    Host host(*server, "lost", 0);
    ASSERT_TRUE(host.rig.open());
    host.run(random_load(3, 20, kBranches, &order));
    host.sql("DROP DATABASE lost");
    host.rig.give(order.checkpoint(kBranches, false));
    ASSERT_TRUE(host.rig.run_until([&] { return host.rig.alarmed(Alarm::Kind::damaged); }));
    EXPECT_EQ(examine(host.connect).value(), Condition::empty);
}

TEST_F(Transfer, ADatabaseIsRebuiltFromAnotherOnesCut) {
    auto load = load_with_cut(400, 0);
    Host source(*server, "source", 0), target(*server, "target", 1);
    ASSERT_TRUE(source.rig.open());
    ASSERT_TRUE(target.rig.open());
    for (Host* host : {&source, &target}) host->run(load);
    // Values of every kind that the order could have brought: several chunks, odd bytes.
    std::string odd =
        "INSERT INTO account VALUES (9,1,1.5,'q''uo\"te\\\\ \xe2\x82\xac'),(9,2,0,''),(9,3,2,NULL)";
    source.sql(odd);
    source.sql(
        "INSERT INTO cbft_exec SELECT 1000000+seq,0,NULL,NULL,NULL,1,0,REPEAT(x'00ff',16),"
        "REPEAT(x'00275c0aff',200) FROM seq_1_to_3000");
    target.sql("UPDATE account SET amount=0 WHERE branch=1");
    target.sql("DROP PROCEDURE transfer");
    for (Host* host : {&source, &target}) {
        ASSERT_TRUE(host->next_scan());
        host->keeper->close();
    }
    ASSERT_TRUE(source.rig.run_until([&] { return source.keeper->open(Slot(9999)); }));
    auto leaves = source.next_scan();
    ASSERT_TRUE(leaves);
    std::size_t chunks = 0;
    for (const auto& leaf : *leaves) chunks += leaf.chunks.size();
    EXPECT_GT(chunks, leaves->size()) << "some leaf has several chunks";

    int ready = 0, loaded = 0, done = 0;
    std::vector<std::string> failures;
    Rebuilder rebuilder(target.rig.io(), target.rig.options(), bank(),
                        RebuildHandlers{[&] { ++ready; }, [&] { ++loaded; }, [&] { ++done; },
                                        [&](std::string why) { failures.push_back(why); }});
    consensus::Rebuild what{Slot(9999), consensus::database_root(*leaves), leaves};
    rebuilder.begin(target.rig.take_executor(), what);
    ASSERT_TRUE(target.rig.run_until([&] { return ready == 1 || !failures.empty(); }));
    ASSERT_TRUE(failures.empty()) << failures[0];
    EXPECT_EQ(examine(target.connect).value(), Condition::half_built);
    int given = 0;
    // What the source writes meanwhile is not in its snapshot.
    source.sql("UPDATE account SET amount=77");
    for (std::uint32_t leaf = 0; leaf < leaves->size(); ++leaf)
        for (std::uint32_t chunk = 0; chunk < (*leaves)[leaf].chunks.size(); ++chunk) {
            source.exports.clear();
            source.keeper->read({{}, Slot(9999), leaf, chunk});
            ASSERT_TRUE(source.rig.run_until([&] { return !source.exports.empty(); }));
            ASSERT_TRUE(source.exports[0].second);
            EXPECT_EQ(consensus::chunk_digest(*source.exports[0].second),
                      (*leaves)[leaf].chunks[chunk]);
            rebuilder.load({leaf, chunk, *source.exports[0].second});
            ++given;
        }
    ASSERT_TRUE(target.rig.run_until([&] { return loaded == given || !failures.empty(); }));
    rebuilder.finish();
    ASSERT_TRUE(target.rig.run_until([&] { return done == 1 || !failures.empty(); }));
    ASSERT_TRUE(failures.empty()) << failures[0];
    EXPECT_EQ(target.root_now(), what.root);
    EXPECT_EQ(examine(target.connect).value(), Condition::installed);

    // A new executor goes on where the cut was.
    Rig again(target.connect, 1, 1);
    auto opened = again.open();
    ASSERT_TRUE(opened) << opened.error().what;
    EXPECT_EQ(opened->next.at(PartitionId(1)), load.back().item.seqs[1].seq.next());
    again.give(order.call(
        {"transfer", {std::int64_t{1}, std::int64_t{2}, std::int64_t{1}, std::string("1.00")}},
        {1, 2}));
    ASSERT_TRUE(again.run_until_executed(1));
    EXPECT_TRUE(again.alarms.empty());
}

TEST_F(Transfer, RowsThatAreNotThoseOfTheRootAreFoundOutAtTheEnd) {
    Host source(*server, "source", 0), target(*server, "target", 1);
    ASSERT_TRUE(source.rig.open());
    ASSERT_TRUE(target.rig.open());
    source.run(random_load(7, 50, kBranches, &order));
    auto scanned = source.scan_now().value();
    int ready = 0, done = 0;
    std::vector<std::string> failures;
    Rebuilder rebuilder(target.rig.io(), target.rig.options(), bank(),
                        RebuildHandlers{[&] { ++ready; }, [] {}, [&] { ++done; },
                                        [&](std::string why) { failures.push_back(why); }});
    rebuilder.begin(target.rig.take_executor(),
                    {Slot(1), consensus::database_root(*scanned.leaves), scanned.leaves});
    rebuilder.load({0, 0, {1, 0, 0}});  // no rows
    ASSERT_TRUE(target.rig.run_until([&] { return !failures.empty(); }));
    rebuilder.begin(nullptr, {Slot(1), consensus::database_root(*scanned.leaves), scanned.leaves});
    rebuilder.finish();  // nothing was loaded
    ASSERT_TRUE(target.rig.run_until([&] { return failures.size() == 2; }));
    EXPECT_THAT(failures[1], HasSubstr("another root"));
    EXPECT_EQ(done, 0);
    EXPECT_EQ(examine(target.connect).value(), Condition::half_built);
}

TEST_F(Transfer, OldAnswersAreForgottenAtCheckpoints) {
    Host host(*server, "forget", 0);
    ASSERT_TRUE(host.rig.open());
    host.run(random_load(3, 60, kBranches, &order));
    // As if the clients had said that they are done with these.
    host.sql("UPDATE cbft_win SET low=2");
    auto count = [&](const std::string& where) {
        auto session = Session::connect(host.connect).value();
        return std::stoi(session
                             .value("SELECT COUNT(*) FROM cbft_exec e LEFT JOIN cbft_win w"
                                    " USING (home,client) WHERE " +
                                    where)
                             .value()
                             .value_or("-1"));
    };
    int newer = count("slot>30"), wanted = count("slot<=30 AND cseq>=low");
    EXPECT_GT(count("slot<=30 AND cseq<low"), 0);
    EXPECT_GT(wanted, 0);
    auto late = order.checkpoint(kBranches, false);
    late.slot = Slot(16384 + 30);
    host.run({late});
    EXPECT_EQ(count("slot<=30 AND (cseq<low OR client IS NULL)"), 0);
    EXPECT_EQ(count("slot<=30"), wanted);
    EXPECT_EQ(count("slot>30"), newer);
}

TEST(RowCodec, RefusesWhatIsCutShort) {
    Bytes rows;
    put_value(rows, "abc");
    put_null(rows);
    put_value(rows, "");
    put_value(rows, std::string(300, 'x'));
    auto decoded = decode_rows(rows, 2);
    ASSERT_TRUE(decoded);
    ASSERT_EQ(decoded->size(), 2u);
    EXPECT_EQ((*decoded)[0], (RowView{"abc", std::nullopt}));
    EXPECT_EQ((*decoded)[1][1]->size(), 300u);
    EXPECT_FALSE(decode_rows(rows, 3));
    EXPECT_FALSE(decode_rows(rows, 0));
    for (std::size_t size = 1; size < rows.size(); ++size)
        EXPECT_EQ(decode_rows(ByteView(rows).first(size), 2).has_value(), size == 9) << size;
    EXPECT_FALSE(decode_rows(Bytes{2}, 1));
    EXPECT_FALSE(decode_rows(Bytes{1, 255, 255, 255, 255, 0}, 1));
}

}  // namespace
}  // namespace bft::database::testing

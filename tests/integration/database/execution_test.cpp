#include "consensus/signed_bytes.hpp"
#include "database/abort_code.hpp"
#include "database/setup.hpp"
#include "database/state_digest.hpp"
#include "rig.hpp"
#include "server.hpp"

#include <gtest/gtest.h>

#include <set>

namespace bft::database::testing {
namespace {

using consensus::Outcome;

class Execution : public ::testing::Test {
protected:
    static void SetUpTestSuite() { server = std::make_unique<PrivateServer>(); }
    static void TearDownTestSuite() { server.reset(); }

    void SetUp() override {
        connect = server->fresh_database("bank");
        rig = std::make_unique<Rig>(connect);
        auto opened = rig->open();
        ASSERT_TRUE(opened) << opened.error().what;
        EXPECT_TRUE(opened->next.empty());
        EXPECT_FALSE(opened->config);
    }
    const consensus::ItemResult& run(consensus::Execution execution) {
        rig->give(std::move(execution));
        return rig->only();
    }
    std::string sql(const std::string& text) {
        return Session::connect(connect).value().value(text).value().value_or("NULL");
    }
    static catalog::Call open_account(std::int64_t branch, std::int64_t id, const char* amount) {
        return {"open_account", {branch, id, std::string(amount), std::monostate{}}};
    }

    static std::unique_ptr<PrivateServer> server;
    ConnectOptions connect;
    std::unique_ptr<Rig> rig;
    Order order;
};
std::unique_ptr<PrivateServer> Execution::server;

TEST_F(Execution, ResultsAreCanonicalAndBookedWithTheirEffects) {
    auto call = order.call({"echo", {std::int64_t{2}, std::string("'; \xe2\x82\xac \\ \n")}}, {2});
    auto seqs = call.item.seqs;
    const auto& result = run(call);
    EXPECT_EQ(result.outcome, Outcome::ok);
    EXPECT_EQ(result.rdig, consensus::result_digest(Outcome::ok, 0, result.result));
    auto rows = catalog::decode_result(result.result);
    ASSERT_TRUE(rows);
    ASSERT_EQ(rows->sets.size(), 1u);
    EXPECT_EQ(rows->sets[0].rows,
              (catalog::Rows{{std::string("'; \xe2\x82\xac \\ \n"), std::int64_t{2},
                              std::monostate{}, std::string("18446744073709551615"),
                              std::int64_t{-5}, std::string("2023-11-14 22:13:20.001")}}));
    EXPECT_EQ(rig->executed[0].seqs, seqs);
    EXPECT_EQ(sql("SELECT next_seq FROM cbft_part WHERE part=2"), "2");
    EXPECT_EQ(sql("SELECT CONCAT(home,' ',client,' ',cseq,' ',status,' ',code) FROM cbft_exec"),
              "2 1 1 1 0");
    EXPECT_EQ(sql("SELECT low FROM cbft_win WHERE home=2 AND client=1"), "1");
}

TEST_F(Execution, RowsArriveAsATable) {
    catalog::Rows rows{{std::int64_t{1}, std::string("1.50"), std::string("a\"b\\c")},
                       {std::int64_t{2}, std::string("0.00"), std::monostate{}}};
    const auto& result = run(order.call({"add_many", {std::int64_t{1}, rows}}, {1}));
    EXPECT_EQ(result.outcome, Outcome::ok) << describe_abort(result.code);
    EXPECT_EQ(catalog::decode_result(result.result)->sets[0].rows, rows);
}

TEST_F(Execution, FailuresByRuleAreRecordedWithoutEffect) {
    const std::pair<const char*, std::uint32_t> cases[] = {
        {"signal", application_code(1644)},
        {"signal_1213", application_code(1213)},
        {"unique", number(AbortCode::unique_violation)},
        {"null", number(AbortCode::null_violation)},
        {"check", number(AbortCode::check_violation)},
        {"division", number(AbortCode::division_by_zero)},
        {"range", number(AbortCode::numeric_out_of_range)},
        {"bigint", number(AbortCode::numeric_out_of_range)},
        {"long", number(AbortCode::data_too_long)},
        {"value", number(AbortCode::bad_value)},
        {"rows", number(AbortCode::cardinality)},
        {"nothing of this", number(AbortCode::case_not_found)},
        {"grouping", number(AbortCode::invalid_statement)},
        {"inexact", number(AbortCode::inexact_result)},
    };
    // All in one SQL transaction, with work that must stay before, between and behind them.
    std::size_t count = 0;
    for (const auto& [how, code] : cases) {
        rig->give(order.call(open_account(1, static_cast<std::int64_t>(++count), "1.00"), {1}));
        rig->give(order.call({"fail", {std::int64_t{1}, std::string(how)}}, {1}));
    }
    ASSERT_TRUE(rig->run_until_executed(2 * count));
    for (std::size_t i = 0; i < count; ++i) {
        EXPECT_EQ(rig->executed[2 * i].result.outcome, Outcome::ok) << i;
        const auto& failure = rig->executed[2 * i + 1].result;
        EXPECT_EQ(failure.outcome, Outcome::aborted) << cases[i].first;
        EXPECT_EQ(describe_abort(failure.code), describe_abort(cases[i].second)) << cases[i].first;
        EXPECT_TRUE(failure.result.empty());
    }
    EXPECT_EQ(sql("SELECT COUNT(*) FROM account WHERE id<900"), std::to_string(count));
    EXPECT_EQ(sql("SELECT COUNT(*) FROM account WHERE id>=900"), "0");
    EXPECT_EQ(sql("SELECT COUNT(*) FROM cbft_exec WHERE status=2"), std::to_string(count));
}

TEST_F(Execution, CallsAreJudgedBeforeTheyRun) {
    auto transfer = [](std::int64_t target) {
        return catalog::Call{"transfer",
                             {std::int64_t{1}, target, std::int64_t{1}, std::string("1.00")}};
    };
    EXPECT_EQ(run(order.call(transfer(2), {1})).code, number(AbortCode::partition_guard));
    EXPECT_EQ(run(order.call({"unknown", {}}, {1})).code, number(AbortCode::unknown_procedure));
    EXPECT_EQ(run(order.call({"transfer", {}}, {1})).code, number(AbortCode::bad_arguments));
    EXPECT_EQ(sql("SELECT next_seq FROM cbft_part WHERE part=1"), "4");
}

TEST_F(Execution, TooLargeResultsAreAbortsWithoutEffect) {
    const auto size = static_cast<std::int64_t>(catalog::kResultBytesMax);
    rig->give(order.call({"big", {std::int64_t{1}, size / 2}}, {1}));
    rig->give(order.call({"big", {std::int64_t{1}, size}}, {1}));
    rig->give(order.call(open_account(1, 1, "1.00"), {1}));
    ASSERT_TRUE(rig->run_until_executed(3));
    EXPECT_EQ(rig->executed[0].result.outcome, Outcome::ok);
    EXPECT_EQ(rig->executed[1].result.code, number(AbortCode::result_too_large));
    EXPECT_EQ(rig->executed[2].result.outcome, Outcome::ok);
    EXPECT_EQ(sql("SELECT COUNT(*) FROM account"), "2");
}

TEST_F(Execution, DuplicatesAndNopsOnlyMoveTheNumbers) {
    auto first = order.call(open_account(1, 1, "1.00"), {1});
    auto repeated = order.again(first);
    auto nop = order.nop({1});
    auto later = order.again(first);
    rig->give(first);
    rig->give(repeated);
    rig->give(nop);
    ASSERT_TRUE(rig->run_until_executed(3));
    EXPECT_EQ(rig->executed[0].result.outcome, Outcome::ok);
    EXPECT_EQ(rig->executed[1].result.outcome, Outcome::duplicate);
    EXPECT_EQ(rig->executed[2].result.outcome, Outcome::duplicate);
    // From the table, in another process.
    rig = std::make_unique<Rig>(connect);
    auto opened = rig->open();
    ASSERT_TRUE(opened) << opened.error().what;
    EXPECT_EQ(opened->next.at(PartitionId(1)), Seq(4));
    EXPECT_EQ(run(later).outcome, Outcome::duplicate);
    EXPECT_EQ(sql("SELECT COUNT(*) FROM journal"), "1");
    EXPECT_EQ(sql("SELECT COUNT(*) FROM cbft_exec"), "3");
}

TEST_F(Execution, AnswersAreFoundAgain) {
    auto call = order.call({"echo", {std::int64_t{1}, std::string("x")}}, {1});
    auto expected = run(call);
    auto missing = call.item;
    missing.index = 7;
    ASSERT_TRUE(rig->executor().lookup({GroupId(3), call.slot, {call.item, missing}, {}}));
    ASSERT_TRUE(rig->run_until([&] { return !rig->found.empty(); }));
    const auto& [lookup, results] = rig->found[0];
    EXPECT_EQ(lookup.group, GroupId(3));
    ASSERT_EQ(results.size(), 1u);
    EXPECT_TRUE(results[0].same_answer(expected));
    EXPECT_EQ(results[0].result, expected.result);
}

TEST_F(Execution, SequenceNumbersThatDoNotFitStopItForGood) {
    auto call = order.call({"echo", {std::int64_t{1}, std::string("x")}}, {1});
    call.item.seqs[0].seq = Seq(2);
    rig->give(call);
    ASSERT_TRUE(rig->run_until([&] { return rig->alarmed(Alarm::Kind::wrong_sequence); }));
    EXPECT_TRUE(rig->executed.empty());
    EXPECT_EQ(sql("SELECT COUNT(*) FROM cbft_exec"), "0");
}

TEST_F(Execution, LocksOfOthersDelayAndAreNeverRecorded) {
    ASSERT_EQ(run(order.call(open_account(1, 1, "10.00"), {1})).outcome, Outcome::ok);
    auto blocker = Session::connect(connect).value();
    blocker.run("START TRANSACTION; UPDATE account SET note='locked'").value();
    rig->executed.clear();
    rig->give(order.call(
        {"transfer", {std::int64_t{1}, std::int64_t{2}, std::int64_t{1}, std::string("1.00")}},
        {1, 2}));
    // Error 1205 after a second, again and again.
    ASSERT_TRUE(rig->run_until([&] { return rig->executor().counters().retries >= 1; }));
    EXPECT_TRUE(rig->executed.empty());
    blocker.run("ROLLBACK").value();
    ASSERT_TRUE(rig->run_until_executed(1));
    EXPECT_EQ(rig->executed[0].result.outcome, Outcome::ok);
    EXPECT_EQ(sql("SELECT COUNT(*) FROM cbft_exec"), "2");
}

TEST_F(Execution, OrderTimeAndSeedMakeEqualDatabases) {
    auto load = random_load(42, 400, 4);
    std::vector<StateDigest> digests;
    std::vector<std::vector<consensus::Executed>> answers;
    rig.reset();
    // Different batch sizes and moments; the same order.
    for (std::size_t chunk : {1u, 7u, 1000u}) {
        Rig one(server->fresh_database("bank"));
        ASSERT_TRUE(one.open());
        for (std::size_t at = 0; at < load.size(); ++at) {
            one.give(load[at]);
            if (at % chunk == chunk - 1) {
                ASSERT_TRUE(one.run_until_executed(at + 1));
            }
        }
        ASSERT_TRUE(one.run_until_executed(load.size()));
        auto session = Session::connect(connect).value();
        digests.push_back(state_digest(session).value());
        answers.push_back(std::move(one.executed));
    }
    for (std::size_t i = 1; i < digests.size(); ++i) {
        EXPECT_TRUE(digests[0].differences(digests[i]).empty())
            << digests[0].differences(digests[i])[0];
        for (std::size_t k = 0; k < load.size(); ++k)
            EXPECT_TRUE(answers[0][k].result.same_answer(answers[i][k].result)) << k;
    }
    EXPECT_GT(digests[0].tables.at("journal").rows, 50u);
    EXPECT_TRUE(digests[0].tables.contains("cbft_exec"));
    EXPECT_FALSE(digests[0].tables.contains("cbft_meta"));
}

TEST_F(Execution, AConfigurationIsKeptWithTheItemThatMadeIt) {
    auto config = std::make_shared<consensus::Configuration>();
    config->version = ConfigVersion(3);
    config->owners = {{PartitionId(0), GroupId(1)}, {PartitionId(2), GroupId(4)}};
    auto item = order.nop({0, 2});
    item.item.kind = consensus::ItemKind::config;
    item.config = config;
    EXPECT_EQ(run(item).outcome, Outcome::ok);
    EXPECT_EQ(sql("SELECT version FROM cbft_cfg"), "3");
    EXPECT_EQ(sql("SELECT COUNT(*) FROM cbft_exec"), "0") << "its answer follows from the item";

    auto later = std::make_shared<consensus::Configuration>(*config);
    later->version = ConfigVersion(4);
    later->owners[PartitionId(2)] = GroupId(1);
    item = order.nop({0, 2});
    item.item.kind = consensus::ItemKind::config;
    item.config = later;
    run(item);
    rig = nullptr;
    rig = std::make_unique<Rig>(connect);
    auto opened = rig->open();
    ASSERT_TRUE(opened) << opened.error().what;
    ASSERT_TRUE(opened->config) << "also after a restart";
    EXPECT_EQ(consensus::encode(*opened->config), consensus::encode(*later));
    EXPECT_EQ(opened->next.at(PartitionId(0)), Seq(3));
    EXPECT_EQ(sql("SELECT COUNT(*) FROM cbft_cfg"), "1");
}

TEST_F(Execution, WorkersOnDisjointPartitionsRunAtOnce) {
    rig = nullptr;
    rig = std::make_unique<Rig>(connect, 4);
    ASSERT_TRUE(rig->open());
    constexpr std::size_t kEach = 200;
    for (std::size_t i = 0; i < kEach; ++i)
        for (std::uint32_t branch = 1; branch <= 4; ++branch) {
            auto call = order.call(open_account(branch, static_cast<std::int64_t>(i), "1.00"),
                                   {branch}, branch);
            call.worker = branch - 1;
            rig->give(call);
        }
    ASSERT_TRUE(rig->run_until_executed(4 * kEach));
    std::map<PartitionId, Seq> next;
    for (const auto& executed : rig->executed) {
        EXPECT_EQ(executed.result.outcome, Outcome::ok);
        auto& expected = next.try_emplace(executed.seqs[0].partition, Seq(1)).first->second;
        EXPECT_EQ(executed.seqs[0].seq, expected);
        expected = expected.next();
    }
    EXPECT_EQ(sql("SELECT COUNT(*) FROM journal"), std::to_string(4 * kEach));
    EXPECT_LT(rig->executor().counters().batches, 4 * kEach);
}

}  // namespace
}  // namespace bft::database::testing

// Differential test: the same ordered calls through batch forms and one by one, on two databases.
// Every answer and every row must be equal, whatever the runs look like (docs/adr/0017).
#include "loader.hpp"
#include "rig.hpp"
#include "server.hpp"
#include "workload.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace bft::database::testing {
namespace {

std::string text_of(const std::filesystem::path& file) {
    std::ostringstream out;
    out << std::ifstream(file).rdbuf();
    return out.str();
}

std::string without_lines(const std::string& text, std::string_view beginning) {
    std::istringstream in(text);
    std::string out, line;
    while (std::getline(in, line))
        if (!line.starts_with(beginning)) out += line + "\n";
    return out;
}

catalog::Application tpcc(bool batch_forms) {
    const std::filesystem::path folder = TPCC_FOLDER;
    std::string toml = text_of(folder / "catalog.toml");
    // Also where they would not pay.
    toml = without_lines(toml, "batch_from = ");
    if (!batch_forms) toml = without_lines(toml, "batch = ");
    auto application = catalog::Application::parse("tpcc", toml, text_of(folder / "schema.sql"),
                                                   text_of(folder / "procedures.sql"));
    EXPECT_TRUE(application) << application.error().what;
    return *application;
}

catalog::Value plain(const bftnode::Value& value) {
    if (value.is_null()) return {};
    if (const auto* number = std::get_if<std::int64_t>(&value.data)) return *number;
    return value.text();
}

catalog::Call call_of(const tpcc::Request& request) {
    catalog::Call call{std::string(request.procedure()), {}};
    for (const bftnode::Value& arg : request.args) {
        if (const auto* list = std::get_if<bftnode::Rows>(&arg.data)) {
            catalog::Rows rows;
            for (const bftnode::Row& row : *list) {
                auto& out = rows.emplace_back();
                for (const bftnode::Value& value : row) out.push_back(plain(value));
            }
            call.arguments.emplace_back(std::move(rows));
        } else {
            std::visit([&](auto&& value) { call.arguments.emplace_back(value); }, plain(arg));
        }
    }
    return call;
}

struct Side {
    Side(const PrivateServer& server, const std::string& name, bool batch_forms)
        : application(tpcc(batch_forms)), connect(server.options()) {
        connect.database = name;
        tpcc::Login login{connect.socket, connect.user, connect.password, name};
        auto scale = tpcc::Scale::of(3, 0.01);
        auto loaded = tpcc::Loader(application, {login}, *scale, 5, false).run([](auto) {});
        EXPECT_TRUE(loaded) << loaded.error().what;
        rig = std::make_unique<Rig>(connect, 1, 0, Digest{}, application);
        auto opened = rig->open();
        EXPECT_TRUE(opened) << opened.error().what;
    }
    /// By table: a checksum of all its rows.
    std::map<std::string, std::string> checksums() {
        std::map<std::string, std::string> sums;
        auto session = Session::connect(connect).value();
        std::vector<std::string> tables = {"cbft_exec", "cbft_part", "cbft_win"};
        for (const auto& [table, column] : application.tables()) tables.push_back(table);
        for (const std::string& table : tables) {
            session.send("CHECKSUM TABLE " + quote_name(table) + " EXTENDED");
            EXPECT_EQ(session.next(), Session::Part::result_set);
            EXPECT_TRUE(session.read_rows([&](MYSQL_ROW row, const unsigned long*) {
                sums[table] = row[1] != nullptr ? row[1] : "NULL";
            }));
            EXPECT_EQ(session.next(), Session::Part::end);
        }
        return sums;
    }
    /// The results by slot.
    std::map<Slot, consensus::ItemResult> run(const std::vector<consensus::Execution>& load) {
        rig->executed.clear();
        for (const auto& execution : load) rig->give(execution);
        EXPECT_TRUE(rig->run_until_executed(load.size()));
        std::map<Slot, consensus::ItemResult> results;
        for (auto& executed : rig->executed) results[executed.slot] = executed.result;
        return results;
    }

    catalog::Application application;
    ConnectOptions connect;
    std::unique_ptr<Rig> rig;
};

std::vector<consensus::Execution> load_of(std::uint64_t seed, std::size_t count,
                                          const catalog::Application& application, Order& order) {
    const auto scale = tpcc::Scale::of(3, 0.01);
    std::vector<tpcc::Terminal> terminals;
    for (std::size_t i = 0; i < 6; ++i) terminals.emplace_back(*scale, seed, i);
    Prng prng(seed);
    std::vector<consensus::Execution> load;
    while (load.size() < count) {
        if (!load.empty() && load.back().body && prng.below(30) == 0) {
            load.push_back(order.again(load.back()));
            continue;
        }
        const std::size_t who = prng.below(terminals.size());
        catalog::Call call = call_of(terminals[who].next());
        // Now and then a customer that does not exist.
        if (prng.below(40) == 0 && call.procedure == "new_order")
            call.arguments[2] = std::int64_t{2000000};
        if (prng.below(40) == 0 && call.procedure == "payment") {
            call.arguments[4] = std::int64_t{0};
            call.arguments[5] = std::string("NOBODY");
        }
        std::vector<std::uint32_t> parts;
        for (PartitionId part : application.partitions_of(call)) parts.push_back(part.value);
        load.push_back(order.call(call, parts, who + 1));
    }
    return load;
}

std::string procedure_at(const std::vector<consensus::Execution>& load, Slot slot) {
    for (const auto& execution : load)
        if (execution.slot == slot)
            return std::to_string(slot.value) + " " +
                   catalog::decode_call(execution.body->op)->procedure;
    return "";
}

TEST(BatchForms, LeaveTheRowsAndAnswersOfTheCallsOneByOne) {
    PrivateServer server;
    Side together(server, "together", true), alone(server, "alone", false);
    ASSERT_EQ(together.checksums(), alone.checksums());
    Order order;
    std::set<std::uint32_t> codes;
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
        SCOPED_TRACE(seed);
        auto load = load_of(seed, 400, together.application, order);
        auto one = together.run(load), other = alone.run(load);
        ASSERT_EQ(one.size(), other.size());
        for (const auto& [slot, result] : one) {
            const auto& expected = other.at(slot);
            const std::string call = procedure_at(load, slot);
            ASSERT_EQ(result.outcome, expected.outcome) << call;
            ASSERT_EQ(result.code, expected.code) << call;
            ASSERT_EQ(result.result, expected.result) << call;
            codes.insert(result.code);
        }
        ASSERT_EQ(together.checksums(), alone.checksums());
    }
    EXPECT_GT(together.rig->executor().counters().together, 600u);
    EXPECT_EQ(alone.rig->executor().counters().together, 0u);
    EXPECT_GE(codes.size(), 3u) << "unused items and unknown customers were among them";
}

}  // namespace
}  // namespace bft::database::testing

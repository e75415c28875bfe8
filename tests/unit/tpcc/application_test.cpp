// config/apps/tpcc as voters see it: accepted by the registration rules, and what terminals send
// fits.
#include "catalog/application.hpp"

#include "population.hpp"
#include "workload.hpp"

#include <gtest/gtest.h>

namespace bft::tpcc {
namespace {

catalog::Value plain(const bftnode::Value& value) {
    if (value.is_null()) return {};
    if (const auto* number = std::get_if<std::int64_t>(&value.data)) return *number;
    return value.text();
}

catalog::Call call_of(const Request& request) {
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

TEST(TpccApplication, IsAcceptedAtRegistration) {
    auto application = catalog::Application::load(TPCC_FOLDER);
    ASSERT_TRUE(application) << application.error().what;
    for (Table table : all_tables) {
        auto entry = application->tables().find(std::string(info(table).name));
        ASSERT_NE(entry, application->tables().end()) << info(table).name;
        EXPECT_EQ(entry->second, info(table).partition_column);
    }
    EXPECT_TRUE(application->procedure("stock_level")->read_only);
    EXPECT_FALSE(application->procedure("delivery")->read_only);
}

TEST(TpccApplication, TerminalsSendWhatTheCatalogWants) {
    auto application = catalog::Application::load(TPCC_FOLDER);
    ASSERT_TRUE(application);
    Terminal terminal(*Scale::of(5, 1), 1, 0);
    for (int i = 0; i < 2000; ++i) {
        Request request = terminal.next();
        catalog::Call call = call_of(request);
        auto checked = application->check_call(call);
        ASSERT_TRUE(checked) << checked.error().what;
        auto partitions = application->partitions_of(call);
        EXPECT_EQ(partitions.size() > 1, request.multi_partition);
        EXPECT_TRUE(std::find(partitions.begin(), partitions.end(), PartitionId(1)) !=
                    partitions.end());
    }
}

}  // namespace
}  // namespace bft::tpcc

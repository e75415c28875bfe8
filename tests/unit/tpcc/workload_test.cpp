#include "workload.hpp"

#include "random.hpp"
#include "target.hpp"

#include <gtest/gtest.h>

#include <set>

namespace bft::tpcc {
namespace {

std::set<std::int64_t> warehouses_of(const Request& request) {
    std::set<std::int64_t> warehouses{request.args[0].integer()};
    if (request.transaction == Transaction::payment) warehouses.insert(request.args[2].integer());
    if (request.transaction == Transaction::new_order)
        for (const auto& line : request.args[3].rows()) warehouses.insert(line[1].integer());
    return warehouses;
}

TEST(Terminal, DealsTheDeckExactly) {
    Terminal terminal(*Scale::of(5, 1), 1, 0);
    std::array<int, transaction_count> seen{};
    for (int i = 0; i < 500; ++i) ++seen[place(terminal.next().transaction)];
    for (std::size_t i = 0; i < transaction_count; ++i) EXPECT_EQ(seen[i], 5 * cards[i]);
}

TEST(Terminal, RemoteAndAbortedSharesAreTheSpecifications) {
    int new_orders = 0;
    int remote_orders = 0;
    int aborted = 0;
    int payments = 0;
    int remote_payments = 0;
    Terminal terminal(*Scale::of(5, 1), 1, 3);
    for (int i = 0; i < 50000; ++i) {
        Request request = terminal.next();
        EXPECT_EQ(request.multi_partition, warehouses_of(request).size() > 1);
        if (request.transaction == Transaction::new_order) {
            ++new_orders;
            remote_orders += request.multi_partition ? 1 : 0;
            aborted += request.must_abort ? 1 : 0;
        } else if (request.transaction == Transaction::payment) {
            ++payments;
            remote_payments += request.multi_partition ? 1 : 0;
        } else {
            EXPECT_FALSE(request.multi_partition);
        }
    }
    EXPECT_NEAR(100.0 * remote_orders / new_orders, 9.5, 1);
    EXPECT_NEAR(100.0 * remote_payments / payments, 15, 1);
    EXPECT_NEAR(100.0 * aborted / new_orders, 1, 0.3);
}

TEST(Terminal, OnlyAbortedOrdersHaveAnUnusedItem) {
    Scale scale = *Scale::of(2, 0.01);
    Terminal terminal(scale, 1, 0);
    for (int i = 0; i < 20000; ++i) {
        Request request = terminal.next();
        if (request.transaction != Transaction::new_order) continue;
        const auto& lines = request.args[3].rows();
        ASSERT_GE(lines.size(), 5u);
        ASSERT_LE(lines.size(), 15u);
        for (std::size_t line = 0; line < lines.size(); ++line) {
            bool unused = lines[line][0].integer() > scale.items;
            EXPECT_EQ(unused, request.must_abort && line + 1 == lines.size());
        }
    }
}

TEST(Terminal, OneWarehouseHasNoRemoteWork) {
    Terminal terminal(*Scale::of(1, 1), 1, 0);
    for (int i = 0; i < 5000; ++i) EXPECT_FALSE(terminal.next().multi_partition);
}

TEST(Terminal, TerminalsDifferAndRepeat) {
    auto inputs = [](std::uint64_t seed, std::size_t number) {
        Terminal terminal(*Scale::of(5, 1), seed, number);
        std::string all;
        for (int i = 0; i < 50; ++i) {
            Request request = terminal.next();
            all += call_statement(request.procedure(), request.args,
                                  [](std::string_view text) { return std::string(text); });
        }
        return all;
    };
    EXPECT_EQ(inputs(1, 2), inputs(1, 2));
    EXPECT_NE(inputs(1, 2), inputs(1, 7));  // at home in the same warehouse
    EXPECT_NE(inputs(1, 2), inputs(2, 2));
}

TEST(Terminal, PausesAsLongAsTheSpecificationSays) {
    Terminal terminal(*Scale::of(5, 1), 1, 0);
    std::chrono::microseconds sum{0};
    constexpr int count = 10000;
    for (int i = 0; i < count; ++i) {
        terminal.next();
        sum += terminal.pause();
    }
    // 0.45 (18 + 12) + 0.43 (3 + 12) + 0.04 (2 + 10 + 2 + 5 + 2 + 5) seconds
    EXPECT_NEAR(static_cast<double>(sum.count()) / count / 1e6, 20.99, 0.5);
}

TEST(CallStatement, WritesRowsAsJson) {
    auto quote = [](std::string_view text) { return "<" + std::string(text) + ">"; };
    EXPECT_EQ(call_statement("p",
                             {1, "O\"NE", bftnode::Value(nullptr),
                              bftnode::Rows{{1, 2}, {3, "a\"b\n"}}, bftnode::Rows{}},
                             quote),
              "CALL p(1,<O\"NE>,NULL,<[[1,2],[3,\"a\\\"b\\u000a\"]]>,<[]>)");
}

}  // namespace
}  // namespace bft::tpcc

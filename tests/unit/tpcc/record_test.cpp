#include "record.hpp"

#include "profile.hpp"

#include <gtest/gtest.h>

namespace bft::tpcc {
namespace {

using bftnode::CallResult;
using bftnode::Row;
using bftnode::Rows;

CallResult answer(Rows rows) {
    CallResult result;
    result.result_sets = {std::move(rows)};
    return result;
}

Request new_order() {
    return {Transaction::new_order, {2, 3, 17, Rows{{5, 2, 1}, {6, 1, 4}}}, true, false};
}

TEST(Record, AnOrderIsNamedByItsNumber) {
    CallResult result = answer({Row{3001, "2026-01-01 00:00:00", 2}});
    EXPECT_EQ(record_line(new_order(), &result), "ok new_order 2 3 17 2 3001");
    EXPECT_EQ(record_line(new_order(), nullptr), "lost new_order 2 3 17 2");
}

TEST(Record, WhoPaidByNameIsNamedByTheAnswer) {
    Request payment{Transaction::payment, {1, 4, 2, 5, 0, "BARBARBAR", "12.30"}, true, false};
    Row row(19);
    row[11] = 42;
    CallResult result = answer({row});
    EXPECT_EQ(record_line(payment, &result), "ok payment 1 4 2 5 42 12.30");
    EXPECT_EQ(record_line(payment, nullptr), "lost payment 1 4 2 5 0 12.30");
}

TEST(Record, ADeliveryNamesItsOrders) {
    Request delivery{Transaction::delivery, {1, 7}, false, false};
    CallResult result = answer({Row{1, 2101}, Row{2, "2102"}});
    EXPECT_EQ(record_line(delivery, &result), "ok delivery 1 7 1:2101 2:2102");
    CallResult nothing = answer({});
    EXPECT_EQ(record_line(delivery, &nothing), "ok delivery 1 7");
}

TEST(Record, WhatLeavesNothingIsLeftOut) {
    Request reads{Transaction::stock_level, {1, 2, 15}, false, false};
    CallResult result = answer({Row{3}});
    EXPECT_EQ(record_line(reads, &result), "");
    Request unused = new_order();
    unused.must_abort = true;
    CallResult aborted;
    aborted.outcome = bftnode::Outcome::aborted;
    EXPECT_EQ(record_line(unused, &aborted), "");
    EXPECT_EQ(record_line(unused, nullptr), "");
}

TEST(Record, ACallWithoutOutcomeIsLost) {
    CallResult result;
    result.error = bftnode::Error{bftnode::ErrorCode::timeout, "no answer"};
    EXPECT_EQ(record_line(new_order(), &result), "lost new_order 2 3 17 2");
}

TEST(Profile, IsReadOrRefused) {
    auto steps = parse_profile("8x30,64x60,1x1");
    ASSERT_TRUE(steps) << steps.error().what;
    ASSERT_EQ(steps->size(), 3u);
    EXPECT_EQ((*steps)[1].clients, 64u);
    EXPECT_EQ((*steps)[1].length, std::chrono::seconds(60));
    for (const char* wrong :
         {"", "8", "8x", "x8", "0x5", "5x0", "8x30,", "8x30;1x1", "8x30 ", "-1x3"})
        EXPECT_FALSE(parse_profile(wrong)) << wrong;
}

}  // namespace
}  // namespace bft::tpcc

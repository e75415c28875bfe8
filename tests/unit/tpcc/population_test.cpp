#include "population.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>

namespace bft::tpcc {
namespace {

using Lines = std::vector<std::vector<std::string>>;

Lines rows_of(const Population& population, Table table) {
    std::string text;
    for (std::size_t n = 0; n < population.chunk_count(table); ++n)
        population.chunk(table, n, text);
    Lines rows;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        auto& row = rows.emplace_back();
        std::istringstream fields(line);
        for (std::string field; std::getline(fields, field, '\t');) row.push_back(field);
    }
    return rows;
}

std::size_t columns_of(Table table) {
    std::string_view columns = info(table).columns;
    return static_cast<std::size_t>(std::count(columns.begin(), columns.end(), ',')) + 1;
}

TEST(Scale, RefusesWhatMakesNoSense) {
    EXPECT_FALSE(Scale::of(0, 1));
    EXPECT_FALSE(Scale::of(1, 0));
    EXPECT_FALSE(Scale::of(1, 1.5));
    EXPECT_FALSE(Scale::of(1, std::numeric_limits<double>::quiet_NaN()));
}

TEST(Scale, IsTheSpecificationsAtOne) {
    Scale full = *Scale::of(5, 1);
    EXPECT_EQ(full.items, 100000);
    EXPECT_EQ(full.customers_per_district, 3000);
    EXPECT_EQ(full.new_orders_per_district, 900);
    EXPECT_EQ(full.delivered_per_district(), 2100);
    EXPECT_EQ(full.named_customers(), 1000);
    Population population(full, 1);
    EXPECT_EQ(population.row_count(Table::stock), 500000u);
    EXPECT_EQ(population.row_count(Table::customer), 150000u);
    EXPECT_EQ(population.row_count(Table::new_order), 45000u);
    EXPECT_NEAR(static_cast<double>(population.row_count(Table::order_line)), 1.5e6, 1e4);
}

TEST(Population, ChunksHaveTheRowsAndColumnsThatAreAnnounced) {
    Population population(*Scale::of(3, 0.01), 1);
    for (Table table : all_tables) {
        Lines rows = rows_of(population, table);
        EXPECT_EQ(rows.size(), population.row_count(table)) << info(table).name;
        for (const auto& row : rows) ASSERT_EQ(row.size(), columns_of(table)) << info(table).name;
    }
}

TEST(Population, IsAFunctionOfTheSeed) {
    Scale scale = *Scale::of(2, 0.01);
    for (Table table : {Table::customer, Table::stock, Table::orders, Table::order_line}) {
        std::string first;
        std::string again;
        std::string other;
        Population(scale, 1).chunk(table, 1, first);
        Population(scale, 1).chunk(table, 1, again);
        Population(scale, 2).chunk(table, 1, other);
        EXPECT_EQ(first, again);
        EXPECT_NE(first, other);
    }
}

TEST(Population, OrdersAgreeWithTheirLines) {
    Population population(*Scale::of(2, 0.01), 9);
    std::map<std::string, int> lines;
    for (const auto& row : rows_of(population, Table::order_line))
        ++lines[row[0] + "," + row[1] + "," + row[2]];
    std::set<std::string> waiting;
    for (const auto& row : rows_of(population, Table::new_order))
        waiting.insert(row[0] + "," + row[1] + "," + row[2]);
    Lines orders = rows_of(population, Table::orders);
    EXPECT_EQ(lines.size(), orders.size());
    std::set<std::string> customers;
    for (const auto& row : orders) {
        std::string key = row[0] + "," + row[1] + "," + row[2];
        EXPECT_EQ(lines[key], std::stoi(row[6]));
        EXPECT_EQ(waiting.contains(key), row[5] == "\\N");
        EXPECT_TRUE(customers.insert(row[0] + "," + row[1] + "," + row[3]).second);
    }
}

TEST(Population, EachNumberedLastNameExistsInEachDistrict) {
    Scale scale = *Scale::of(1, 0.01);
    std::map<std::string, std::set<std::string>> names;
    for (const auto& row : rows_of(Population(scale, 1), Table::customer))
        names[row[1]].insert(row[5]);
    EXPECT_EQ(names.size(), 10u);
    for (const auto& [district, of_district] : names)
        EXPECT_EQ(of_district.size(), static_cast<std::size_t>(scale.named_customers()));
}

}  // namespace
}  // namespace bft::tpcc

#include "histogram.hpp"

#include <gtest/gtest.h>

namespace bft::tpcc {
namespace {

TEST(Histogram, IsEmptyAtFirst) {
    Histogram histogram;
    EXPECT_EQ(histogram.count(), 0u);
    EXPECT_EQ(histogram.quantile(500), 0u);
    EXPECT_EQ(histogram.mean(), 0u);
}

TEST(Histogram, IsExactForSmallValues) {
    Histogram histogram;
    for (std::uint64_t value = 1; value <= 100; ++value) histogram.add(value);
    EXPECT_EQ(histogram.quantile(500), 50u);
    EXPECT_EQ(histogram.quantile(950), 95u);
    EXPECT_EQ(histogram.quantile(1000), 100u);
    EXPECT_EQ(histogram.max(), 100u);
    EXPECT_EQ(histogram.mean(), 50u);
}

TEST(Histogram, ErrsByLessThanTwoPercentUpwards) {
    for (std::uint64_t value = 1; value < (std::uint64_t{1} << 39); value = value * 5 / 4 + 1) {
        Histogram histogram;
        histogram.add(value);
        histogram.add(std::uint64_t{1} << 39);
        EXPECT_GE(histogram.quantile(500), value);
        EXPECT_LE(histogram.quantile(500), value + value / 60);
    }
}

TEST(Histogram, TakesValuesBeyondItsRange) {
    Histogram histogram;
    histogram.add(UINT64_MAX);
    EXPECT_EQ(histogram.count(), 1u);
    EXPECT_EQ(histogram.quantile(500), histogram.max());
}

TEST(Histogram, AddsAnother) {
    Histogram low;
    Histogram high;
    for (int i = 0; i < 90; ++i) low.add(10);
    for (int i = 0; i < 10; ++i) high.add(1000);
    low.add(high);
    EXPECT_EQ(low.count(), 100u);
    EXPECT_EQ(low.quantile(900), 10u);
    EXPECT_GE(low.quantile(910), 1000u);
    EXPECT_EQ(low.max(), 1000u);
}

}  // namespace
}  // namespace bft::tpcc

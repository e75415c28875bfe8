#include "random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

namespace bft::tpcc {
namespace {

TEST(LastName, IsMadeOfThreeSyllables) {
    EXPECT_EQ(last_name(0), "BARBARBAR");
    EXPECT_EQ(last_name(371), "PRICALLYOUGHT");
    EXPECT_EQ(last_name(999), "EINGEINGEING");
}

// Clause 2.1.6.1: the two constants for last names differ by 65 to 119, but not by 96 or 112.
TEST(NuRand, ConstantsObeyTheSpecification) {
    int delta = std::abs(c_last_run - c_last_load);
    EXPECT_GE(delta, 65);
    EXPECT_LE(delta, 119);
    EXPECT_NE(delta, 96);
    EXPECT_NE(delta, 112);
}

TEST(NuRand, StaysInRangeAndIsUneven) {
    Prng random(7);
    std::array<int, 3001> seen{};
    for (int i = 0; i < 300000; ++i) {
        int value = nurand(random, 1023, c_customer_id, 1, 3000);
        ASSERT_GE(value, 1);
        ASSERT_LE(value, 3000);
        ++seen[static_cast<std::size_t>(value)];
    }
    EXPECT_GT(*std::max_element(seen.begin(), seen.end()), 300);  // uniform: 100, a little more
}

TEST(Generator, EachNameIsAnIndependentAndRepeatableSequence) {
    EXPECT_EQ(generator(1, "stock", 2, 3).next(), generator(1, "stock", 2, 3).next());
    EXPECT_NE(generator(1, "stock", 2, 3).next(), generator(1, "stock", 3, 2).next());
    EXPECT_NE(generator(1, "stock").next(), generator(2, "stock").next());
    EXPECT_NE(generator(1, "stock").next(), generator(1, "item").next());
}

TEST(Text, HasTheWantedLengthAndNothingToEscape) {
    Prng random(3);
    for (int i = 0; i < 1000; ++i) {
        std::string text;
        append_text(random, 10, 20, text);
        ASSERT_GE(text.size(), 10u);
        ASSERT_LE(text.size(), 20u);
        ASSERT_EQ(text.find_first_of("\t\n\\'\" "), std::string::npos);
    }
}

TEST(Data, OneInTenIsOriginal) {
    Prng random(5);
    int original = 0;
    for (int i = 0; i < 10000; ++i) {
        std::string text;
        append_data(random, 26, 50, text);
        ASSERT_GE(text.size(), 26u);
        ASSERT_LE(text.size(), 50u);
        if (text.find("ORIGINAL") != std::string::npos) ++original;
    }
    EXPECT_NEAR(original, 1000, 150);
}

TEST(Permutation, HasEachNumberOnce) {
    Prng random(1);
    std::vector<int> values = permutation(random, 500);
    EXPECT_FALSE(std::is_sorted(values.begin(), values.end()));
    std::sort(values.begin(), values.end());
    for (int i = 0; i < 500; ++i) EXPECT_EQ(values[static_cast<std::size_t>(i)], i + 1);
}

}  // namespace
}  // namespace bft::tpcc

#include "catalog/value.hpp"

#include "base/prng.hpp"

#include <gtest/gtest.h>

namespace bft::catalog {
namespace {

Call sample_call() {
    return {"new_order",
            {std::int64_t{5}, std::string("BARBAR"), std::monostate{}, std::int64_t{INT64_MIN},
             Rows{{std::int64_t{1}, std::string("x")}, {std::monostate{}, std::string()}}, Rows{}}};
}

CallResult sample_result() {
    return {{{2, {{std::int64_t{-1}, std::string("a\0b", 3)}, {std::monostate{}, std::string()}}},
             {1, {}}}};
}

TEST(Value, CallsAndResultsComeBackEqual) {
    auto call = decode_call(encode_call(sample_call()));
    ASSERT_TRUE(call);
    EXPECT_EQ(*call, sample_call());
    auto result = decode_result(encode_result(sample_result()));
    ASSERT_TRUE(result);
    EXPECT_EQ(*result, sample_result());
    EXPECT_TRUE(decode_result(encode_result({})));
}

TEST(Value, EncoderMakesWhatEncodeResultMakes) {
    ResultEncoder encoder;
    encoder.begin_set(2);
    encoder.integer(-1);
    encoder.text(std::string_view("a\0b", 3));
    encoder.end_row();
    encoder.null();
    encoder.text("");
    encoder.end_row();
    encoder.begin_set(1);
    ASSERT_TRUE(encoder.fits());
    EXPECT_EQ(encoder.finish(), encode_result(sample_result()));
}

TEST(Value, EncoderStopsAtItsBounds) {
    ResultEncoder large;
    large.begin_set(1);
    large.text(std::string(kResultBytesMax, 'x'));
    EXPECT_FALSE(large.fits());
    ResultEncoder rows;
    rows.begin_set(1);
    for (std::size_t i = 0; i <= kRowsMax; ++i) {
        rows.null();
        rows.end_row();
    }
    EXPECT_FALSE(rows.fits());
    ResultEncoder sets;
    for (std::size_t i = 0; i <= kSetsMax; ++i) sets.begin_set(1);
    EXPECT_FALSE(sets.fits());
}

TEST(Value, EveryTruncationAndExtensionIsRefused) {
    Bytes call = encode_call(sample_call());
    Bytes result = encode_result(sample_result());
    for (std::size_t size = 0; size < call.size(); ++size)
        EXPECT_FALSE(decode_call(ByteView(call).first(size)));
    for (std::size_t size = 0; size < result.size(); ++size)
        EXPECT_FALSE(decode_result(ByteView(result).first(size)));
    call.push_back(0);
    result.push_back(0);
    EXPECT_FALSE(decode_call(call));
    EXPECT_FALSE(decode_result(result));
}

// Whatever the decoder accepts, it accepts in one form only.
TEST(Value, RandomBytesAreRefusedOrCanonical) {
    Prng prng(1);
    for (int i = 0; i < 20000; ++i) {
        Bytes call = encode_call(sample_call());
        Bytes result = encode_result(sample_result());
        for (int k = 0; k < 3; ++k) {
            call[prng.below(call.size())] = static_cast<std::uint8_t>(prng.below(6));
            result[prng.below(result.size())] = static_cast<std::uint8_t>(prng.below(6));
        }
        if (auto decoded = decode_call(call)) {
            EXPECT_EQ(encode_call(*decoded), call);
        }
        if (auto decoded = decode_result(result)) {
            EXPECT_EQ(encode_result(*decoded), result);
        }
    }
}

TEST(Value, HugeCountsAllocateNothing) {
    Bytes call{1, 0, 0, 0, 1, 'p', 0, 1, 3, 0, 1, 0, 0, 0xff, 0xff};
    EXPECT_FALSE(decode_call(call));
    Bytes result{1, 0xff, 0xff, 0xff, 0xff};
    EXPECT_FALSE(decode_result(result));
}

TEST(Value, RowsAsJson) {
    EXPECT_EQ(to_json({}), "[]");
    EXPECT_EQ(to_json({{std::int64_t{1}, std::monostate{}},
                       {std::string("a\"\\\n\x01z"), std::string("1.50")}}),
              "[[1,null],[\"a\\\"\\\\\\u000a\\u0001z\",\"1.50\"]]");
}

TEST(Value, CanonicalDecimals) {
    auto canonical = [](const char* text, std::uint32_t precision, std::uint32_t scale) {
        auto result = canonical_decimal(text, precision, scale);
        return result ? *result : std::string("refused");
    };
    EXPECT_EQ(canonical("10", 12, 2), "10.00");
    EXPECT_EQ(canonical("-007.5", 12, 2), "-7.50");
    EXPECT_EQ(canonical("-0", 12, 2), "0.00");
    EXPECT_EQ(canonical("0.5", 2, 2), "0.50");
    EXPECT_EQ(canonical("5", 1, 0), "5");
    EXPECT_EQ(canonical("1.500", 12, 2), "1.50");
    for (const char* bad :
         {"", "-", ".5", "5.", "1e3", "1.234", "1234567890123", "+1", " 1", "1,5"})
        EXPECT_EQ(canonical(bad, 12, 2), "refused") << bad;
}

}  // namespace
}  // namespace bft::catalog

#include "usig/public_identity.hpp"

#include "golden.hpp"

#include <gtest/gtest.h>

namespace bft::usig::test {
namespace {

TEST(PublicIdentity, RoundTripsInOneLine) {
    const auto identity = decode_public_identity(golden_identity).value();
    EXPECT_EQ(identity.scheme, Scheme::tpm2_a4s);
    EXPECT_EQ(identity.first_value, 1u);
    EXPECT_EQ(identity.nv_index(), 0x01800b50u);
    EXPECT_EQ(encode(identity), golden_identity);
    EXPECT_EQ(identity.key_name().size(), 34u);
    EXPECT_EQ(identity.counter_name().size(), 34u);
}

TEST(PublicIdentity, EpochIsOfTheKeyTheCounterAndTheFirstValue) {
    const auto identity = decode_public_identity(golden_identity).value();
    auto other = identity;
    other.first_value = 2;
    EXPECT_NE(identity.epoch(), other.epoch());
    other = identity;
    other.key.back() ^= 1;
    EXPECT_NE(identity.epoch(), other.epoch());
    other = identity;
    other.counter[20] ^= 1;
    EXPECT_NE(identity.epoch(), other.epoch());
}

TEST(PublicIdentity, RefusesEveryOtherTemplate) {
    const auto identity = decode_public_identity(golden_identity).value();
    for (std::size_t bit = 0; bit < 20 * 8; ++bit) {
        auto bad = identity;
        bad.key[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
        EXPECT_FALSE(bad.check().has_value()) << bit;
    }
    for (std::size_t bit = 32; bit < 12 * 8; ++bit) {  // nameAlg, attributes, policy size
        auto bad = identity;
        bad.counter[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
        EXPECT_FALSE(bad.check().has_value()) << bit;
    }
}

TEST(PublicIdentity, RefusesBadLines) {
    const std::string good = golden_identity;
    for (const std::string& bad :
         {std::string(), std::string(":::"), good + ":", good + "x", "x" + good, good.substr(2),
          good.substr(0, good.rfind(':')), good.substr(0, good.rfind(':') + 1),
          good + "99999999999999999999", std::string(5000, 'a'), "software" + good.substr(8),
          std::string("software:00:00:0"), std::string("tpm2-a4s:zz:00:0")})
        EXPECT_FALSE(decode_public_identity(bad).has_value()) << bad;
}

}  // namespace
}  // namespace bft::usig::test

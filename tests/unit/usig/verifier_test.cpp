#include "usig/verifier.hpp"

#include "fakes.hpp"
#include "golden.hpp"
#include "usig/a4s.hpp"
#include "usig/software_usig.hpp"

#include <gtest/gtest.h>

namespace bft::usig::test {
namespace {

const PublicIdentity identity = decode_public_identity(golden_identity).value();
const consensus::Ui good{Counter(3), 1, from_hex(golden_certificate).value()};

TEST(Verifier, AcceptsTheGoldenCertificate) {
    EXPECT_TRUE(verify(identity, good, message("golden")));
    EXPECT_FALSE(verify(identity, good, message("gilded")));
}

TEST(Verifier, CertificateRoundTrips) {
    const auto certificate = a4s::Certificate::decode(good.certificate).value();
    EXPECT_EQ(certificate.value, 4u);
    EXPECT_EQ(certificate.increments, 2u);
    EXPECT_EQ(certificate.encode(), good.certificate);
    EXPECT_FALSE(a4s::Certificate::decode(Bytes(149)).has_value());
    EXPECT_FALSE(a4s::Certificate::decode(Bytes(151)).has_value());
}

TEST(Verifier, RefusesOtherCountersAndFirstValues) {
    auto other = identity;
    other.first_value = 2;
    EXPECT_FALSE(verify(other, good, message("golden")));
    other = identity;
    other.counter[20] ^= 1;
    EXPECT_FALSE(verify(other, good, message("golden")));
}

TEST(Verifier, RefusesExtremeValues) {
    for (const std::uint64_t cv : {std::uint64_t{0}, UINT64_MAX, UINT64_MAX - 1})
        for (const std::uint32_t voids : {0u, 1u, 65534u, 65535u, UINT32_MAX}) {
            auto parts = a4s::Certificate::decode(good.certificate).value();
            parts.value = identity.first_value + cv;
            parts.increments = static_cast<std::uint16_t>(voids + 1);
            EXPECT_FALSE(verify(identity, {Counter(cv), voids, parts.encode()}, message("golden")));
        }
    // A signature of zeros, and of values beyond the group's order.
    for (const std::uint8_t fill : {std::uint8_t{0x00}, std::uint8_t{0xff}}) {
        auto parts = a4s::Certificate::decode(good.certificate).value();
        parts.r.fill(fill);
        parts.s.fill(fill);
        EXPECT_FALSE(verify(identity, {good.cv, good.voids, parts.encode()}, message("golden")));
    }
}

TEST(Verifier, RefusesKeysThatAreNoPoints) {
    auto bad = identity;
    bad.key.back() ^= 1;
    EXPECT_EQ(PreparedIdentity::prepare(bad).error().code, Errc::malformed);
}

TEST(Verifier, KnowsIdentitiesByPlace) {
    const auto verifier = Verifier::make({identity}).value();
    EXPECT_TRUE(verifier.verify(UsigId(0), good, message("golden")));
    EXPECT_FALSE(verifier.verify(UsigId(1), good, message("golden")));
    EXPECT_EQ(Verifier::make({identity, identity}).error().code, Errc::refused);
    auto later = identity;
    later.first_value = 7;  // the same counter under another name
    EXPECT_FALSE(Verifier::make({identity, later}).has_value());
}

TEST(Verifier, TakesMembersThatComeLater) {
    auto verifier = Verifier::make({}).value();
    EXPECT_FALSE(verifier.verify(UsigId(900), good, message("golden")));
    ASSERT_TRUE(verifier.add(UsigId(900), identity));
    EXPECT_TRUE(verifier.verify(UsigId(900), good, message("golden")));
    EXPECT_TRUE(verifier.add(UsigId(900), identity)) << "told twice";
    EXPECT_EQ(verifier.add(UsigId(901), identity).error().code, Errc::refused);
    const auto software = SoftwareUsig::ephemeral({UsigId(0)});
    EXPECT_FALSE(verifier.add(UsigId(902), software->identity(UsigId(0))));
    EXPECT_FALSE(verifier.verify(UsigId(901), good, message("golden")));
}

TEST(Verifier, TakesSoftwareOnlyWhenTold) {
    const auto software = SoftwareUsig::ephemeral({UsigId(0)});
    const auto pinned = software->identity(UsigId(0));
    EXPECT_EQ(Verifier::make({pinned}).error().code, Errc::refused);
    EXPECT_TRUE(Verifier::make({pinned}, AllowSoftware::yes).has_value());
    EXPECT_EQ(decode_public_identity(encode(pinned)).value(), pinned);
}

}  // namespace
}  // namespace bft::usig::test

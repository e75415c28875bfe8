#include "usig/software_usig.hpp"

#include "fakes.hpp"
#include "usig/verifier.hpp"

#include <gtest/gtest.h>

namespace bft::usig::test {
namespace {

const Progress no_progress = [](ByteView) { return Result<void>{}; };

TEST(SoftwareUsig, CountsAndVerifiesOnlyWhereAllowed) {
    const auto usig = SoftwareUsig::ephemeral({UsigId(0), UsigId(3)});
    for (std::uint64_t n = 1; n <= 3; ++n) {
        const auto ui = usig->create(UsigId(3), message("m"), no_progress).value();
        EXPECT_EQ(ui.cv, Counter(n));
        const auto& identity = usig->identity(UsigId(3));
        EXPECT_TRUE(verify(identity, ui, message("m"), AllowSoftware::yes));
        EXPECT_FALSE(verify(identity, ui, message("m")));
        EXPECT_FALSE(verify(identity, ui, message("x"), AllowSoftware::yes));
        EXPECT_FALSE(verify(usig->identity(UsigId(0)), ui, message("m"), AllowSoftware::yes));
    }
    EXPECT_EQ(*usig->value(UsigId(0)), Counter(0));
    EXPECT_EQ(usig->create(UsigId(1), message("m"), no_progress).error().code, Errc::not_found);
}

TEST(SoftwareUsig, KeepsItsCountersInAFile) {
    TempFolder folder;
    const auto file = folder.path() / "usig";
    const auto identities = SoftwareUsig::provision(file, 2).value();
    EXPECT_FALSE(SoftwareUsig::provision(file, 2).has_value());
    const std::map<UsigId, PublicIdentity> wanted{{UsigId(7), identities[1]}};
    for (std::uint64_t n = 1; n <= 3; ++n) {
        auto usig = SoftwareUsig::open(file, wanted).value();
        EXPECT_EQ(SoftwareUsig::open(file, wanted).error().code, Errc::unavailable);
        const auto ui = usig->create(UsigId(7), message("m"), no_progress).value();
        EXPECT_EQ(ui.cv, Counter(n));
        EXPECT_TRUE(verify(identities[1], ui, message("m"), AllowSoftware::yes));
    }
    auto other = wanted;
    other.at(UsigId(7)).counter[0] ^= 1;
    EXPECT_EQ(SoftwareUsig::open(file, other).error().code, Errc::not_found);
}

TEST(SoftwareUsig, EveryBitOfACertificateCounts) {
    const auto usig = SoftwareUsig::ephemeral({UsigId(0)});
    const auto ui = usig->create(UsigId(0), message("m"), no_progress).value();
    const auto prepared =
        PreparedIdentity::prepare(usig->identity(UsigId(0)), AllowSoftware::yes).value();
    ASSERT_TRUE(prepared.verify(ui, message("m")));
    for (std::size_t bit = 0; bit < ui.certificate.size() * 8; ++bit) {
        auto bad = ui;
        bad.certificate[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
        EXPECT_FALSE(prepared.verify(bad, message("m")));
    }
    auto bad = ui;
    bad.voids = 1;
    EXPECT_FALSE(prepared.verify(bad, message("m")));
    bad = ui;
    bad.cv = Counter(0);
    EXPECT_FALSE(prepared.verify(bad, message("m")));
}

}  // namespace
}  // namespace bft::usig::test

#include "base/base64url.hpp"

#include <gtest/gtest.h>

namespace bft {
namespace {

TEST(Base64Url, IsThatOfTheStandard) {
    EXPECT_EQ(base64url({}), "");
    EXPECT_EQ(base64url(as_bytes("f")), "Zg");
    EXPECT_EQ(base64url(as_bytes("fo")), "Zm8");
    EXPECT_EQ(base64url(as_bytes("foo")), "Zm9v");
    EXPECT_EQ(base64url(Bytes{0xfb, 0xff, 0xfe}), "-__-");
}

TEST(Base64Url, GoesThereAndBack) {
    for (std::size_t size = 0; size < 70; ++size) {
        Bytes bytes(size);
        for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 41 + size);
        EXPECT_EQ(from_base64url(base64url(bytes)), bytes) << size;
    }
}

TEST(Base64Url, OneTextForOneByteString) {
    for (const char* wrong :
         {"Z", "Zg=", "Zg==", "Zh", "Zm9", "+A", "/w", "Zg\n", " Zg", "Zg.", "Zm9vZ"})
        EXPECT_FALSE(from_base64url(wrong)) << wrong;
}

}  // namespace
}  // namespace bft

#include "net/address.hpp"

#include <gtest/gtest.h>

namespace bft::net {
namespace {

TEST(Address, HostAndPort) {
    auto v4 = parse_address("127.0.0.1:7000");
    ASSERT_TRUE(v4.has_value());
    EXPECT_EQ(v4->host, "127.0.0.1");
    EXPECT_EQ(v4->port, 7000);
    EXPECT_EQ(parse_address("db-1.example:1")->host, "db-1.example");
    EXPECT_EQ(parse_address("[::1]:65535")->host, "::1");
    EXPECT_EQ(parse_address("[::1]:0")->port, 0);
}

TEST(Address, EverythingElseIsRefused) {
    for (const char* text : {"", ":", "host", "host:", ":7000", "::1:7000", "host:65536", "host:-1",
                             "host:7000x", "host: 7000", "[]:7000", "[::1]7000"})
        EXPECT_FALSE(parse_address(text).has_value()) << text;
}

}  // namespace
}  // namespace bft::net

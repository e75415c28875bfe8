#include "http/message.hpp"

#include <gtest/gtest.h>

namespace bft::http {
namespace {

TEST(Target, IsTakenApart) {
    auto target = parse_target("/a%20b/c?x=1&y=%2F+z&empty=&bare");
    ASSERT_TRUE(target);
    EXPECT_EQ(target->path, "/a b/c");
    EXPECT_EQ(target->query.at("x"), "1");
    EXPECT_EQ(target->query.at("y"), "/ z");
    EXPECT_EQ(target->query.at("empty"), "");
    EXPECT_EQ(target->query.at("bare"), "");
}

TEST(Target, RefusesWhatHasTwoMeanings) {
    for (const char* wrong :
         {"", "x", "http://host/", "/%", "/%4", "/%zz", "/%00", "/?a=1&a=2", "/?a=%g0", "*"})
        EXPECT_FALSE(parse_target(wrong)) << wrong;
}

TEST(ErrorResponse, QuotesItsText) {
    EXPECT_EQ(error_response(400, "malformed", "a \"b\"\n").body,
              R"({"error":{"code":"malformed","text":"a \"b\"\n"}})");
}

}  // namespace
}  // namespace bft::http

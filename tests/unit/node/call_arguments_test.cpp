#include "node/call_arguments.hpp"

#include <gtest/gtest.h>

namespace bft::node {
namespace {

using bftnode::Row;
using bftnode::Rows;
using bftnode::Value;

Value parsed(std::string_view text) {
    Value value("before");
    const Result<void> done = parse_argument(text, value);
    EXPECT_TRUE(done) << text;
    return value;
}

bool refused(std::string_view text) {
    Value value;
    return !parse_argument(text, value);
}

TEST(CallArguments, AreWhatTheyLookLike) {
    EXPECT_EQ(parsed("42"), Value(42));
    EXPECT_EQ(parsed("-7"), Value(-7));
    EXPECT_EQ(parsed("NULL"), Value());
    EXPECT_EQ(parsed("12.50"), Value("12.50"));
    EXPECT_EQ(parsed("BARBAR"), Value("BARBAR"));
    EXPECT_EQ(parsed(""), Value(""));
    EXPECT_EQ(parsed("99999999999999999999"), Value("99999999999999999999"));
}

TEST(CallArguments, CanBeForcedToBeText) {
    EXPECT_EQ(parsed("text:42"), Value("42"));
    EXPECT_EQ(parsed("text:NULL"), Value("NULL"));
    EXPECT_EQ(parsed("text:[1]"), Value("[1]"));
    EXPECT_EQ(parsed("text:"), Value(""));
}

TEST(CallArguments, RowsAreJson) {
    EXPECT_EQ(parsed(R"([[1,"a"],[2,null]])"),
              Value(Rows{Row{Value(1), Value("a")}, Row{Value(2), Value()}}));
    EXPECT_EQ(parsed("[]"), Value(Rows{}));
    EXPECT_TRUE(refused("[1,2]"));
    EXPECT_TRUE(refused("[[1.5]]"));
    EXPECT_TRUE(refused("[[1,"));
}

}  // namespace
}  // namespace bft::node

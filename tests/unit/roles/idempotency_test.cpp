#include "roles/idempotency.hpp"

#include <gtest/gtest.h>

namespace bft::roles {
namespace {

using Asked = Idempotency::Asked;
using http::Response;

Digest call(std::uint8_t number) {
    Bytes bytes(32, number);
    return *Digest::from(bytes);
}

Response answer(const std::string& body, unsigned status = 200) {
    return {status, "application/json", body, {}};
}

TimePoint at(int seconds) {
    return TimePoint(std::chrono::seconds(seconds));
}

struct IdempotencyTest : ::testing::Test {
    Asked ask(const std::string& key, std::uint8_t number = 1, int until = 30) {
        return keys.ask(
            key, call(number), [this](const Response& response) { got.push_back(response); },
            at(until));
    }
    Idempotency keys{{4, 1000, 2}};
    std::vector<Response> got;
};

TEST_F(IdempotencyTest, OneCallForAKey) {
    EXPECT_EQ(ask("a"), Asked::fresh);
    EXPECT_EQ(ask("a"), Asked::joined);
    EXPECT_TRUE(got.empty());
    keys.finish("a", answer("paid"));
    ASSERT_EQ(got.size(), 2u) << "both callers have the one answer";
    EXPECT_EQ(got[1].body, "paid");
    EXPECT_TRUE(got[1].headers.empty());
    EXPECT_EQ(ask("a"), Asked::known);
    ASSERT_EQ(got.size(), 3u);
    EXPECT_EQ(got[2].body, "paid");
    EXPECT_EQ(got[2].headers.at(0).first, "Idempotency-Replayed");
    EXPECT_EQ(keys.repeated(), 2u);
}

TEST_F(IdempotencyTest, AKeyStandsForOneCall) {
    EXPECT_EQ(ask("a", 1), Asked::fresh);
    EXPECT_EQ(ask("a", 2), Asked::mismatch);
    keys.finish("a", answer("paid"));
    EXPECT_EQ(ask("a", 2), Asked::mismatch);
    EXPECT_EQ(got.size(), 1u);
}

TEST_F(IdempotencyTest, WhoWaitedTooLongFindsTheSameCallAgain) {
    EXPECT_EQ(ask("a", 1, 10), Asked::fresh);
    keys.give_up(at(9), answer("late", 504));
    EXPECT_TRUE(got.empty());
    keys.give_up(at(10), answer("late", 504));
    ASSERT_EQ(got.size(), 1u);
    EXPECT_EQ(got[0].status, 504u);
    EXPECT_EQ(ask("a", 1, 20), Asked::joined) << "another call would be executed, too";
    keys.finish("a", answer("paid"));
    ASSERT_EQ(got.size(), 2u);
    EXPECT_EQ(got[1].body, "paid");
}

TEST_F(IdempotencyTest, WhatWasNotSentMayBeTriedAgain) {
    EXPECT_EQ(ask("a"), Asked::fresh);
    keys.forget("a", answer("overloaded", 503));
    EXPECT_EQ(got.at(0).status, 503u);
    EXPECT_EQ(ask("a"), Asked::fresh);
}

TEST_F(IdempotencyTest, Bounds) {
    for (const char* key : {"a", "b", "c", "d"}) EXPECT_EQ(ask(key), Asked::fresh);
    EXPECT_EQ(ask("e"), Asked::full) << "calls under way are never dropped";
    EXPECT_EQ(ask("a"), Asked::joined);
    EXPECT_EQ(ask("a"), Asked::full) << "two wait already";
    for (const char* key : {"a", "b", "c", "d"}) keys.finish(key, answer("x"));
    EXPECT_EQ(ask("e"), Asked::fresh);
    keys.finish("e", answer("x"));
    EXPECT_EQ(keys.remembered(), 4u);
    EXPECT_EQ(ask("b"), Asked::known);
    EXPECT_EQ(ask("a"), Asked::fresh) << "the oldest was forgotten";
    keys.finish("a", answer(std::string(990, 'x')));
    keys.give_up(at(100), answer("late"));
    EXPECT_EQ(ask("d"), Asked::known);
    EXPECT_EQ(ask("f"), Asked::fresh);
    keys.finish("f", answer(std::string(20, 'x')));
    EXPECT_EQ(keys.remembered(), 1u) << "answers have a bound in bytes";
    EXPECT_EQ(ask("f"), Asked::known);
}

TEST(IdempotencyKeys, AreShortAndVisible) {
    EXPECT_TRUE(Idempotency::valid("8e03978e-40d5-43dd-bc93-6894a57f9324"));
    EXPECT_TRUE(Idempotency::valid(std::string(255, '~')));
    for (const std::string& bad : {std::string(), std::string(256, 'a'), std::string("a b"),
                                   std::string("a\n"), std::string("\xc3\xbc"), std::string(1, 0)})
        EXPECT_FALSE(Idempotency::valid(bad)) << bad;
}

}  // namespace
}  // namespace bft::roles

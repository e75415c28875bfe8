#include "node/readiness.hpp"

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>

namespace bft::node {
namespace {

using namespace std::chrono_literals;

const TimePoint start{1h};

std::string why(const Readiness& readiness, std::string_view document, TimePoint now = start) {
    std::string all;
    for (const std::string& reason :
         readiness.reasons(boost::json::parse({document.data(), document.size()}).as_object(), now))
        all += (all.empty() ? "" : "; ") + reason;
    return all;
}

TEST(Readiness, NothingIsWrong) {
    EXPECT_EQ(why({}, R"({"primary": {"phase": "idle"}})"), "");
    EXPECT_EQ(
        why({}, R"({"replicas": [{"group": 1, "active": true, "halted": false, "delivered": 900,
                                        "committed_by_others": 964,
                                        "unanswered_slots_by_voter": {"0": 600, "2": 3}}],
                          "voter": {"id": 2, "database_up": true, "quarantined": false}})"),
        "");
}

TEST(Readiness, Draining) {
    Readiness readiness;
    readiness.drain(true);
    EXPECT_NE(why(readiness, "{}").find("draining"), std::string::npos);
    readiness.drain(false);
    EXPECT_EQ(why(readiness, "{}"), "");
}

TEST(Readiness, ReplicaThatCannotServe) {
    EXPECT_NE(why({}, R"({"replicas": [{"group": 7, "active": true, "halted": true}]})")
                  .find("group 7 has halted"),
              std::string::npos);
    EXPECT_NE(why({}, R"({"replicas": [{"group": 7, "active": false, "view": 4}]})")
                  .find("waits for view 4"),
              std::string::npos);
    EXPECT_NE(why({}, R"({"replicas": [{"group": 7, "active": true, "hole": true}]})")
                  .find("certifies nothing"),
              std::string::npos);
    EXPECT_NE(why({}, R"({"replicas": [{"group": 7, "active": true, "delivered": 10,
                                        "committed_by_others": 75}]})")
                  .find("catches up: at slot 10, f+1 others at 75"),
              std::string::npos);
}

TEST(Readiness, DatabaseThatCannotServe) {
    EXPECT_NE(why({}, R"({"voter": {"quarantined": true}})").find("being rebuilt"),
              std::string::npos);
    EXPECT_EQ(why({}, R"({"voter": {"database_up": false, "trouble": "gone"}})"),
              "the database is away: gone");
    EXPECT_EQ(why({}, R"({"voter": {"halted": true, "database_up": false, "trouble": "torn"}})"),
              "the database was given up: torn");
    EXPECT_NE(why({}, R"({"replicas": [{"group": 1, "active": true,
                                        "unanswered_slots_by_voter": {"0": 513}}],
                          "voter": {"id": 0, "database_up": true}})")
                  .find("owes the answers of 513 slots"),
              std::string::npos);
}

TEST(Readiness, DatabaseThatHangs) {
    Readiness readiness;
    const char* document = R"({"voter": {"database_up": true}})";
    readiness.observe(5, 3, start);
    EXPECT_EQ(why(readiness, document, start + 4s), "");
    readiness.observe(5, 3, start + 4s);
    EXPECT_NE(why(readiness, document, start + 6s).find("finished nothing"), std::string::npos);
    readiness.observe(6, 3, start + 7s);
    EXPECT_EQ(why(readiness, document, start + 8s), "") << "it goes on";
    readiness.observe(6, 0, start + 20s);
    EXPECT_EQ(why(readiness, document, start + 60s), "") << "it has nothing to do";
    readiness.observe(6, 1, start + 60s);
    EXPECT_EQ(why(readiness, document, start + 61s), "") << "it has just begun";
}

}  // namespace
}  // namespace bft::node

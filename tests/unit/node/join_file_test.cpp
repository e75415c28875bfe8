#include "node/join_file.hpp"

#include "usig/software_usig.hpp"

#include <gtest/gtest.h>

namespace bft::node {
namespace {

JoinFile sample() {
    const auto counters = usig::SoftwareUsig::ephemeral({UsigId(0), UsigId(1)});
    JoinFile join;
    join.cluster.bytes[3] = 7;
    join.name = "host4";
    join.address = "127.0.0.1:7004";
    join.key = Bytes(32, 9);
    for (UsigId id : {UsigId(0), UsigId(1)}) {
        const usig::PublicIdentity identity = counters->identity(id);
        join.counters.push_back({late_id(identity), identity});
    }
    join.database = true;
    return join;
}

std::string changed(std::string text, const std::string& from, const std::string& to) {
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

TEST(JoinFile, IsReadAsItWasWritten) {
    const JoinFile join = sample();
    const auto read = parse_join_file(render(join));
    ASSERT_TRUE(read) << read.error().what;
    EXPECT_EQ(read->cluster, join.cluster);
    EXPECT_EQ(read->name, join.name);
    EXPECT_EQ(read->address, join.address);
    EXPECT_EQ(read->key, join.key);
    EXPECT_TRUE(read->database);
    EXPECT_FALSE(read->ordering);
    ASSERT_EQ(read->counters.size(), 2u);
    for (std::size_t i = 0; i < 2; ++i) {
        EXPECT_EQ(read->counters[i].id, join.counters[i].id);
        EXPECT_EQ(read->counters[i].usig, join.counters[i].usig);
    }
}

// A host that only orders requests needs one counter, and that is not for a seat.
TEST(JoinFile, AHostMayHaveACounterToOrderWith) {
    JoinFile join = sample();
    EXPECT_EQ(join.all().size(), 2u);
    join.ordering = join.counters[1];
    join.counters.clear();
    const auto read = parse_join_file(render(join));
    ASSERT_TRUE(read) << read.error().what;
    EXPECT_TRUE(read->counters.empty());
    ASSERT_TRUE(read->ordering);
    EXPECT_EQ(read->ordering->id, join.ordering->id);
    EXPECT_EQ(read->ordering->usig, join.ordering->usig);
    EXPECT_EQ(read->all().size(), 1u);
    join.ordering.reset();
    EXPECT_TRUE(parse_join_file(render(join))) << "it has a database";
    join.database = false;
    EXPECT_FALSE(parse_join_file(render(join))) << "nothing that it could do";
}

// Ids follow from the counters, and are never those that a cluster file counts from 0.
TEST(JoinFile, CountersNameThemselves) {
    const JoinFile join = sample();
    EXPECT_NE(join.counters[0].id, join.counters[1].id);
    for (const JoinFile::Counter& counter : join.counters) EXPECT_GE(counter.id.value, 1u << 31);
}

TEST(JoinFile, WhatIsWrongIsRefused) {
    const std::string good = render(sample());
    for (const std::string& bad :
         {std::string(), std::string("[1]"), good.substr(0, good.size() / 2),
          changed(good, "host4", ""), changed(good, "127.0.0.1:7004", "somewhere"),
          changed(good, "0909", "09"), changed(good, "software:", "hardware:"),
          changed(good, "\"counters\"", "\"none\""),
          changed(good, "\"cluster\":\"00", "\"cluster\":\"")})
        EXPECT_FALSE(parse_join_file(bad)) << bad;
    EXPECT_EQ(load_join_file("/nowhere/host4.join").error().code, Errc::not_found);
}

}  // namespace
}  // namespace bft::node

#include "client/config.hpp"

#include "client/sequence_file.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace bft::client {
namespace {

namespace fs = std::filesystem;

Config sample() {
    Config config;
    config.cluster.bytes[5] = 9;
    config.version = ConfigVersion(3);
    config.f = 1;
    config.id = ClientId(12);
    config.key_file = "client.key";
    config.application = "app";
    for (std::uint8_t h = 0; h < 4; ++h)
        config.hosts.push_back(
            {"host" + std::to_string(h), "127.0.0.1:" + std::to_string(4000 + h), Bytes(32, h)});
    config.primaries = {HostId(0)};
    config.groups[GroupId(1)] = {HostId(1), HostId(2), HostId(3)};
    config.groups[GroupId(2)] = {HostId(2), HostId(3), HostId(1)};
    config.owners = {
        {PartitionId(0), GroupId(1)}, {PartitionId(1), GroupId(1)}, {PartitionId(2), GroupId(2)}};
    return config;
}

TEST(ClientConfig, WhatIsWrittenIsRead) {
    Config config = sample();
    auto read = parse_config(to_toml(config), "/somewhere", "client.toml");
    ASSERT_TRUE(read) << read.error().what;
    EXPECT_EQ(read->cluster, config.cluster);
    EXPECT_EQ(read->version, config.version);
    EXPECT_EQ(read->id, config.id);
    EXPECT_EQ(read->key_file, "/somewhere/client.key");
    EXPECT_EQ(read->application, "/somewhere/app");
    EXPECT_EQ(read->primaries, config.primaries);
    EXPECT_EQ(read->groups, config.groups);
    EXPECT_EQ(read->owners, config.owners);
    ASSERT_EQ(read->hosts.size(), 4u);
    EXPECT_EQ(read->hosts[2].name, "host2");
    EXPECT_EQ(read->hosts[2].key, Bytes(32, 2));
    auto membership = membership_of(*read);
    EXPECT_EQ(membership.host_of(consensus::Endpoint::replica(GroupId(2), Position(2))), HostId(1));
}

TEST(ClientConfig, KnowsAdminsAndNumbersCountersAsTheClusterFileDoes) {
    Config config = sample();
    config.admins = {2, {Bytes(32, 7), Bytes(32, 8), Bytes(32, 9)}};
    auto read = parse_config(to_toml(config), "/somewhere", "client.toml");
    ASSERT_TRUE(read) << read.error().what;
    EXPECT_EQ(read->admins, config.admins);
    auto membership = membership_of(*read);
    EXPECT_EQ(membership.admins, config.admins);
    EXPECT_EQ(membership.primaries[0].usig, UsigId(0));
    EXPECT_EQ(membership.groups[1].members[2].usig, UsigId(6));
    EXPECT_EQ(membership.host_keys.at(HostId(3)), Bytes(32, 3));
    std::string text = to_toml(config);
    text.replace(text.find("0707"), 4, "07");
    EXPECT_FALSE(parse_config(text, "/somewhere", "client.toml"));
}

TEST(ClientConfig, ReportsEveryErrorWithItsLine) {
    std::string text = to_toml(sample());
    text.replace(text.find("f = 1"), 5, "f = 2");
    text.replace(text.find("client = 12"), 11, "client = \"x\"");
    auto read = parse_config(text, "/somewhere", "client.toml");
    ASSERT_FALSE(read);
    EXPECT_NE(read.error().what.find("'client' must be a number"), std::string::npos);
    EXPECT_NE(read.error().what.find("2f+1 members"), std::string::npos);
    EXPECT_NE(read.error().what.find("client.toml:"), std::string::npos);
}

TEST(ClientConfig, MissingFileSaysWhereItComesFrom) {
    auto read = load_config("/nowhere/at/all");
    ASSERT_FALSE(read);
    EXPECT_NE(read.error().what.find("bftctl init"), std::string::npos);
}

class SequenceFileTest : public ::testing::Test {
protected:
    void SetUp() override {
        std::string pattern = (fs::temp_directory_path() / "bft-sequence-XXXXXX").string();
        folder = ::mkdtemp(pattern.data());
        file = folder / "client.key.sequence";
    }
    void TearDown() override { fs::remove_all(folder); }

    fs::path folder, file;
};

TEST_F(SequenceFileTest, NeverGoesBackWithTheClock) {
    ClientSeq used;
    {
        auto sequence = SequenceFile::open(file, 5'000'000);
        ASSERT_TRUE(sequence) << sequence.error().what;
        EXPECT_EQ(sequence->first(), ClientSeq(5'000'000));
        used = sequence->first() + 100'000'000;
        ASSERT_TRUE(sequence->reserve(used));
    }
    auto again = SequenceFile::open(file, 1'000'000);
    ASSERT_TRUE(again) << again.error().what;
    EXPECT_GT(again->first(), used);
}

TEST_F(SequenceFileTest, OneProcessAtATime) {
    auto one = SequenceFile::open(file, 1);
    ASSERT_TRUE(one);
    auto two = SequenceFile::open(file, 1);
    ASSERT_FALSE(two);
    EXPECT_EQ(two.error().code, Errc::unavailable);
}

TEST_F(SequenceFileTest, DamageIsNotGuessedAway) {
    std::ofstream(file) << "12a";
    auto sequence = SequenceFile::open(file, 1);
    ASSERT_FALSE(sequence);
    EXPECT_EQ(sequence.error().code, Errc::io);
}

}  // namespace
}  // namespace bft::client

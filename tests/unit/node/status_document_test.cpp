#include "node/status_document.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <gtest/gtest.h>

#include <filesystem>
#include <sys/socket.h>
#include <vector>

namespace bft::node {
namespace {

TEST(StatusDocument, IsReadAsDocumented) {
    const auto status = parse_status(R"({
      "host": "host1", "cluster": "ab", "ready": true, "software_usig": false, "misbehaviour": "garbage",
      "roles": ["replica", "voter"], "links": {"primary1": true, "host3": false},
      "primary": {"view": 3, "tip": 812, "pooled": 4, "ordered": 10240, "phase": "active"},
      "replicas": [{"group": 1, "position": 2, "view": 3, "tip": 9, "committed": 8, "delivered": 7,
                    "executed": 6, "active": false, "halted": true}],
      "voter": {"next": {"0": 1, "12": 415}, "waiting": 5, "executed": 1200, "database_up": false},
      "disagreements": {"host3": 17}, "drops": {"bad signature": 2}})");
    ASSERT_TRUE(status);
    EXPECT_EQ(status->host, "host1");
    EXPECT_TRUE(status->ready);
    EXPECT_EQ(status->misbehaviour, "garbage");
    EXPECT_EQ(status->roles, (std::vector<std::string>{"replica", "voter"}));
    EXPECT_FALSE(status->links.at("host3"));
    EXPECT_EQ(status->primary->ordered, 10240U);
    EXPECT_EQ(status->primary->phase, "active");
    ASSERT_EQ(status->replicas.size(), 1U);
    EXPECT_FALSE(status->replicas[0].active);
    EXPECT_TRUE(status->replicas[0].halted);
    EXPECT_EQ(status->replicas[0].executed, 6U);
    EXPECT_EQ(status->voter->next.at(12), 415U);
    EXPECT_FALSE(status->voter->database_up);
    EXPECT_EQ(status->disagreements.at("host3"), 17U);
    EXPECT_EQ(status->drops.at("bad signature"), 2U);
}

TEST(StatusDocument, MissingAndOddFieldsHaveDefaults) {
    const auto status = parse_status(R"({"ready": 1, "links": [], "voter": 7, "replicas": {}})");
    ASSERT_TRUE(status);
    EXPECT_FALSE(status->ready);
    EXPECT_TRUE(status->links.empty());
    EXPECT_FALSE(parse_status("[]"));
    EXPECT_FALSE(parse_status("{"));
}

TEST(StatusDocument, NobodyListening) {
    EXPECT_EQ(read_status("/nowhere/status.sock").error().code, Errc::unavailable);
}

TEST(StatusDocument, ADaemonThatHangsHoldsNobodyUp) {
    std::string pattern = (std::filesystem::temp_directory_path() / "bft-status-XXXXXX").string();
    std::filesystem::path folder = ::mkdtemp(pattern.data());
    boost::asio::io_context io;
    boost::asio::local::stream_protocol::endpoint place((folder / "s").string());
    boost::asio::local::stream_protocol::acceptor hung(io);
    hung.open();
    hung.bind(place);
    hung.listen(0);
    // Nobody accepts: the queue is full after a few.
    std::vector<boost::asio::local::stream_protocol::socket> askers;
    bool full = false;
    for (int i = 0; i < 8 && !full; ++i) {
        auto& asker = askers.emplace_back(io);
        asker.open();
        asker.non_blocking(true);
        full = ::connect(asker.native_handle(), place.data(),
                         static_cast<socklen_t>(place.size())) != 0;
    }
    ASSERT_TRUE(full);
    EXPECT_EQ(read_status(folder / "s").error().code, Errc::unavailable);
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace bft::node

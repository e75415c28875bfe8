#include "roles/page_generator.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace bft::roles {
namespace {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

consensus::RequestId request(std::uint64_t number) {
    return {ClientId{1}, PartitionId{1}, ClientSeq{number}};
}

struct PageGeneratorTest : ::testing::Test {
    void make(PageGenerator& pages, std::uint64_t number) {
        pages.make(request(number), [this, number] {
            sent.push_back(number);
            after.push_back(Steady::now() - begin);
        });
    }
    boost::asio::io_context loop;
    Steady::time_point begin = Steady::now();
    std::vector<std::uint64_t> sent;
    std::vector<Steady::duration> after;
};

TEST_F(PageGeneratorTest, WithoutCostAnAnswerLeavesAtOnce) {
    PageGenerator pages(loop, {});
    make(pages, 1);
    make(pages, 1);
    EXPECT_EQ(sent, (std::vector<std::uint64_t>{1, 1}));
}

TEST_F(PageGeneratorTest, OnePageAfterTheOther) {
    PageGenerator pages(loop, {20ms, 1});
    for (std::uint64_t number : {1u, 2u, 3u}) make(pages, number);
    EXPECT_TRUE(sent.empty());
    loop.run();
    ASSERT_EQ(sent, (std::vector<std::uint64_t>{1, 2, 3}));
    for (std::size_t i = 0; i < after.size(); ++i) EXPECT_GE(after[i], (i + 1) * 20ms);
}

TEST_F(PageGeneratorTest, SeveralAtOnce) {
    PageGenerator pages(loop, {20ms, 2});
    for (std::uint64_t number : {1u, 2u, 3u}) make(pages, number);
    loop.run_one();
    loop.run_one();
    EXPECT_EQ(sent, (std::vector<std::uint64_t>{1, 2}));
    loop.run();
    ASSERT_EQ(sent.size(), 3u);
    EXPECT_GE(after[2], 40ms);
}

TEST_F(PageGeneratorTest, AnAnswerThatIsAskedForAgainIsMadeOnce) {
    PageGenerator pages(loop, {1ms, 1});
    make(pages, 1);
    make(pages, 2);
    make(pages, 2);
    loop.run();
    EXPECT_EQ(sent, (std::vector<std::uint64_t>{1, 2}));
    make(pages, 2);  // its page has left: this is another one
    loop.restart();
    loop.run();
    EXPECT_EQ(sent, (std::vector<std::uint64_t>{1, 2, 2}));
}

}  // namespace
}  // namespace bft::roles

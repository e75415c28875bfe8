#include "consensus/messages.hpp"
#include "consensus/minbft/certified_stream.hpp"

#include <gtest/gtest.h>

namespace bft::consensus::minbft {
namespace {

Commit at(std::uint64_t cv, std::uint32_t voids = 0) {
    Commit commit;
    commit.ui.cv = Counter(cv);
    commit.ui.voids = voids;
    return commit;
}

TEST(CertifiedStream, WaitsForAGap) {
    CertifiedStream<Commit> stream;
    EXPECT_TRUE(stream.offer(at(2)));
    EXPECT_TRUE(stream.offer(at(3)));
    EXPECT_FALSE(stream.offer(at(3)));
    EXPECT_FALSE(stream.next());
    EXPECT_EQ(stream.missing(), std::pair(Counter(1), Counter(1)));
    EXPECT_TRUE(stream.offer(at(1)));
    for (std::uint64_t cv = 1; cv <= 3; ++cv) EXPECT_EQ(stream.next()->ui.cv, Counter(cv));
    EXPECT_FALSE(stream.missing());
    EXPECT_FALSE(stream.offer(at(2)));
}

TEST(CertifiedStream, AProvenVoidCountsAsProcessed) {
    CertifiedStream<Commit> stream;
    stream.offer(at(1));
    EXPECT_TRUE(stream.next());
    stream.offer(at(4, 1));  // proves 3 void, not 2
    EXPECT_FALSE(stream.next());
    stream.offer(at(2));
    EXPECT_EQ(stream.next()->ui.cv, Counter(2));
    EXPECT_EQ(stream.next()->ui.cv, Counter(4));
}

TEST(CertifiedStream, HearsOfWhatItHasNotSeen) {
    CertifiedStream<Commit> stream;
    stream.heard_of(Counter(5));
    EXPECT_EQ(stream.missing(), std::pair(Counter(1), Counter(5)));
}

TEST(CertifiedStream, ADeadSenderStaysDead) {
    CertifiedStream<Commit> stream;
    stream.offer(at(2));
    stream.kill();
    EXPECT_FALSE(stream.offer(at(1)));
    EXPECT_FALSE(stream.next());
    EXPECT_FALSE(stream.missing());
}

TEST(CertifiedStream, BoundsWhatWaitsAndPrefersTheNear) {
    CertifiedStream<Commit> stream(2);
    EXPECT_TRUE(stream.offer(at(10)));
    EXPECT_TRUE(stream.offer(at(11)));
    EXPECT_FALSE(stream.offer(at(12)));
    EXPECT_TRUE(stream.offer(at(1)));
    EXPECT_EQ(stream.held(), 2u);
    EXPECT_EQ(stream.next()->ui.cv, Counter(1));
}

}  // namespace
}  // namespace bft::consensus::minbft

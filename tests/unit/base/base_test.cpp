#include "base/bytes.hpp"
#include "base/log.hpp"
#include "base/merkle.hpp"
#include "base/prng.hpp"
#include "base/sha256.hpp"

#include <gtest/gtest.h>

#include <set>

namespace bft {
namespace {

TEST(Bytes, HexRoundTrip) {
    Bytes bytes{0x00, 0x7f, 0xff, 0x10};
    EXPECT_EQ(hex(bytes), "007fff10");
    EXPECT_EQ(from_hex("007FFf10"), bytes);
    EXPECT_FALSE(from_hex("0"));
    EXPECT_FALSE(from_hex("zz"));
}

TEST(Digester, LongStructuresAreHashedAsShortOnes) {
    for (std::size_t size : {0u, 1u, 200u, 239u, 240u, 241u, 255u, 256u, 257u, 5000u}) {
        const std::string text(size, 'x');
        std::string whole;
        auto put = [&](std::uint64_t value, int bytes) {
            for (int i = bytes - 1; i >= 0; --i)
                whole += static_cast<char>(value >> (8 * i) & 0xff);
        };
        put(3, 8);
        whole += "tag";
        put(size, 8);
        whole += text;
        put(7, 4);
        EXPECT_EQ(Digester("tag").text(text).u32(7).finish(), sha256(as_bytes(whole))) << size;
    }
}

// FIPS 180-4, the example of three letters.
TEST(Sha256, KnownValue) {
    EXPECT_EQ(hex(sha256(as_bytes("abc"))),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

// RFC 4231, test case 2.
TEST(Sha256, HmacKnownValue) {
    EXPECT_EQ(hex(hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"))),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(Digester, FieldsDoNotRunTogether) {
    auto one = Digester("t").text("ab").text("c").finish();
    auto other = Digester("t").text("a").text("bc").finish();
    EXPECT_NE(one, other);
    EXPECT_NE(Digester("t").u32(1).finish(), Digester("u").u32(1).finish());
}

std::vector<Digest> some_leaves(std::size_t count) {
    std::vector<Digest> leaves;
    for (std::size_t i = 0; i < count; ++i) leaves.push_back(Digester("leaf").u64(i).finish());
    return leaves;
}

TEST(Merkle, EveryLeafFoldsToTheRoot) {
    for (std::size_t count = 1; count <= 33; ++count) {
        auto leaves = some_leaves(count);
        Digest root = merkle_root(leaves);
        for (std::size_t i = 0; i < count; ++i) {
            auto path = merkle_path(leaves, i);
            EXPECT_EQ(MerkleTree(leaves).path(i), path);
            EXPECT_EQ(MerkleTree(leaves).root(), root);
            EXPECT_EQ(merkle_fold(leaves[i], i, count, path), root) << count << " " << i;
        }
    }
}

TEST(Merkle, AnotherPlaceCountOrLeafIsRefused) {
    auto leaves = some_leaves(6);
    Digest root = merkle_root(leaves);
    auto path = merkle_path(leaves, 2);
    EXPECT_NE(merkle_fold(leaves[2], 3, 6, path), root);
    EXPECT_NE(merkle_fold(leaves[2], 2, 7, path), root);
    EXPECT_NE(merkle_fold(leaves[3], 2, 6, path), root);
    EXPECT_FALSE(merkle_fold(leaves[2], 6, 6, path));
    path.push_back(root);
    EXPECT_FALSE(merkle_fold(leaves[2], 2, 6, path));
    path.clear();
    EXPECT_FALSE(merkle_fold(leaves[2], 2, 6, path));
}

TEST(Prng, SameSeedSameSequence) {
    Prng a(7);
    Prng b(7);
    std::set<std::uint64_t> seen;
    for (int i = 0; i < 100; ++i) {
        std::uint64_t value = a.next();
        EXPECT_EQ(value, b.next());
        seen.insert(value);
        EXPECT_LT(a.below(10), 10u);
        b.below(10);
    }
    EXPECT_EQ(seen.size(), 100u);
}

TEST(RateLimit, CountsWhatItHoldsBack) {
    log::RateLimit limit(2, 1s);
    TimePoint now{};
    now += 10s;
    EXPECT_TRUE(limit.allow(now));
    EXPECT_TRUE(limit.allow(now));
    EXPECT_FALSE(limit.allow(now));
    EXPECT_FALSE(limit.allow(now));
    std::uint64_t suppressed = 0;
    EXPECT_TRUE(limit.allow(now + 1s, &suppressed));
    EXPECT_EQ(suppressed, 2u);
}

}  // namespace
}  // namespace bft

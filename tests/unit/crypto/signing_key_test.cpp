#include "crypto/signing_key.hpp"

#include "base/sha256.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <vector>

namespace bft::crypto {
namespace {

namespace fs = std::filesystem;

class SigningKeyTest : public testing::Test {
protected:
    void SetUp() override {
        std::string name = (fs::temp_directory_path() / "bft-key-XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        folder_ = name;
    }
    void TearDown() override { fs::remove_all(folder_); }

    fs::path write(const std::string& name, const std::string& text) {
        fs::path file = folder_ / name;
        std::ofstream(file) << text;
        fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
        return file;
    }

    fs::path folder_;
    Digest digest_ = sha256(as_bytes("message"));
};

TEST_F(SigningKeyTest, SignsAndVerifies) {
    SigningKey key = SigningKey::generate();
    Bytes signature = key.sign(digest_);
    EXPECT_EQ(key.public_key().size(), public_key_bytes);
    EXPECT_EQ(signature.size(), signature_bytes);
    EXPECT_TRUE(verify(key.public_key(), digest_, signature));
    EXPECT_FALSE(verify(key.public_key(), sha256(as_bytes("other")), signature));
    EXPECT_FALSE(verify(SigningKey::generate().public_key(), digest_, signature));
}

TEST_F(SigningKeyTest, EveryChangedBitOfASignatureIsNoticed) {
    SigningKey key = SigningKey::generate();
    Bytes signature = key.sign(digest_);
    for (std::size_t bit = 0; bit < signature.size() * 8; bit += 5) {
        Bytes changed = signature;
        changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ (1u << (bit % 8)));
        EXPECT_FALSE(verify(key.public_key(), digest_, changed)) << "bit " << bit;
    }
}

TEST_F(SigningKeyTest, MalformedInputVerifiesNothing) {
    SigningKey key = SigningKey::generate();
    Bytes signature = key.sign(digest_);
    EXPECT_FALSE(verify({}, digest_, signature));
    EXPECT_FALSE(verify(Bytes(31, 1), digest_, signature));
    EXPECT_FALSE(verify(Bytes(32, 0xff), digest_, signature));
    EXPECT_FALSE(verify(key.public_key(), digest_, {}));
    EXPECT_FALSE(verify(key.public_key(), digest_, ByteView(signature).first(63)));
    EXPECT_FALSE(verify(key.public_key(), digest_, Bytes(65, 0)));
}

TEST_F(SigningKeyTest, AKeyOfSmallOrderIsNoKey) {
    // With the neutral point as key and as R, and S = 0, the equation holds for every message.
    Bytes neutral(public_key_bytes), signature(signature_bytes);
    neutral[0] = signature[0] = 1;
    EXPECT_FALSE(verify(neutral, digest_, signature));
}

TEST_F(SigningKeyTest, FileHoldsTheKeyAndIsPrivate) {
    SigningKey key = SigningKey::generate();
    fs::path file = folder_ / "node.key";
    ASSERT_TRUE(key.save(file).has_value());
    struct stat info {};
    ASSERT_EQ(::stat(file.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
    auto loaded = SigningKey::load(file);
    ASSERT_TRUE(loaded.has_value()) << loaded.error().what;
    EXPECT_EQ(loaded->public_key(), key.public_key());
    EXPECT_TRUE(verify(key.public_key(), digest_, loaded->sign(digest_)));
}

TEST_F(SigningKeyTest, SavingNeverOverwrites) {
    SigningKey key = SigningKey::generate();
    fs::path file = folder_ / "node.key";
    ASSERT_TRUE(key.save(file).has_value());
    auto again = SigningKey::generate().save(file);
    ASSERT_FALSE(again.has_value());
    EXPECT_EQ(again.error().code, Errc::refused);
    EXPECT_EQ(SigningKey::load(file)->public_key(), key.public_key());
}

TEST_F(SigningKeyTest, ErrorsSayWhatToDo) {
    auto missing = SigningKey::load(folder_ / "none.key");
    ASSERT_FALSE(missing.has_value());
    EXPECT_EQ(missing.error().code, Errc::not_found);
    EXPECT_NE(missing.error().what.find("bftctl init"), std::string::npos);

    auto garbage = SigningKey::load(write("garbage.key", "not a key\n"));
    ASSERT_FALSE(garbage.has_value());
    EXPECT_EQ(garbage.error().code, Errc::malformed);

    auto empty = SigningKey::load(write("empty.key", ""));
    ASSERT_FALSE(empty.has_value());
    EXPECT_EQ(empty.error().code, Errc::malformed);

    fs::path open = folder_ / "open.key";
    ASSERT_TRUE(SigningKey::generate().save(open).has_value());
    fs::permissions(open, fs::perms::group_read, fs::perm_options::add);
    auto readable = SigningKey::load(open);
    ASSERT_FALSE(readable.has_value());
    EXPECT_EQ(readable.error().code, Errc::refused);
    EXPECT_NE(readable.error().what.find("chmod 600"), std::string::npos);
}

TEST_F(SigningKeyTest, AnotherKindOfKeyIsRefused) {
    // openssl genpkey -algorithm X25519
    auto other =
        SigningKey::load(write("x25519.key",
                               "-----BEGIN PRIVATE KEY-----\n"
                               "MC4CAQAwBQYDK2VuBCIEIHDWzI4nMbDqvMTUJZ0dTB5BqfDhbUBrvBmfCH2vw1Vt\n"
                               "-----END PRIVATE KEY-----\n"));
    ASSERT_FALSE(other.has_value());
    EXPECT_EQ(other.error().code, Errc::malformed);
    EXPECT_NE(other.error().what.find("Ed25519"), std::string::npos) << other.error().what;
}

TEST_F(SigningKeyTest, PrivateBytesGiveThePublicKeyOfRfc8032) {
    // RFC 8032 7.1, TEST 1: secret 9d61b19d...7f60 as PKCS#8.
    auto key =
        SigningKey::load(write("rfc.key",
                               "-----BEGIN PRIVATE KEY-----\n"
                               "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
                               "-----END PRIVATE KEY-----\n"));
    ASSERT_TRUE(key.has_value()) << key.error().what;
    EXPECT_EQ(hex(key->public_key()),
              "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
}

TEST_F(SigningKeyTest, ManyThreadsShareAKey) {
    SigningKey key = SigningKey::generate();
    std::atomic<int> good = 0;
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 20; ++i)
                good += verify(key.public_key(), digest_, key.sign(digest_));
        });
    threads.clear();
    EXPECT_EQ(good, 80);
}

}  // namespace
}  // namespace bft::crypto

#include "crypto/web_key.hpp"

#include "base/sha256.hpp"
#include "crypto/signing_key.hpp"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace bft::crypto {
namespace {

const Digest digest = sha256(as_bytes("message"));

TEST(WebKey, SignsWhatVerifyAccepts) {
    WebKey key = WebKey::generate();
    Bytes signature = key.sign(digest);
    EXPECT_EQ(signature.size(), 64u);
    EXPECT_TRUE(verify_web(key.public_key(), digest, signature));
    EXPECT_TRUE(verify(key.public_key(), digest, signature)) << "the key's length says its kind";
    EXPECT_FALSE(verify_web(WebKey::generate().public_key(), digest, signature));
    EXPECT_FALSE(verify_web(key.public_key(), sha256(as_bytes("other")), signature));
}

TEST(WebKey, EveryBitOfASignatureCounts) {
    WebKey key = WebKey::generate();
    Bytes signature = key.sign(digest);
    for (std::size_t i = 0; i < signature.size(); ++i) {
        Bytes changed = signature;
        changed[i] ^= 1;
        EXPECT_FALSE(verify_web(key.public_key(), digest, changed)) << i;
    }
    for (std::size_t size : {0u, 63u, 65u, 72u}) {
        Bytes changed = signature;
        changed.resize(size);
        EXPECT_FALSE(verify_web(key.public_key(), digest, changed)) << size;
    }
    EXPECT_FALSE(verify_web(key.public_key(), digest, Bytes(64, 0)));
    EXPECT_FALSE(verify_web(key.public_key(), digest, Bytes(64, 0xff)));
}

TEST(WebKey, OnlyPointsOfTheCurveAreKeys) {
    Bytes key = WebKey::generate().public_key();
    EXPECT_TRUE(is_web_public_key(key));
    Bytes off = key;
    off[40] ^= 1;
    EXPECT_FALSE(is_web_public_key(off));
    EXPECT_FALSE(is_web_public_key(Bytes(65, 0)));
    EXPECT_FALSE(is_web_public_key(Bytes(65, 4)));
    EXPECT_FALSE(is_web_public_key(ByteView(key).first(64)));
    EXPECT_FALSE(verify_web(off, digest, Bytes(64, 1)));
}

TEST(WebKey, FilesAreOfTheRightKind) {
    std::string name = (std::filesystem::temp_directory_path() / "bft-web-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    std::filesystem::path folder = name;
    WebKey key = WebKey::generate();
    ASSERT_TRUE(key.save(folder / "web.key"));
    EXPECT_FALSE(key.save(folder / "web.key")) << "no key is ever overwritten";
    auto loaded = WebKey::load(folder / "web.key");
    ASSERT_TRUE(loaded) << loaded.error().what;
    EXPECT_EQ(loaded->public_key(), key.public_key());
    EXPECT_FALSE(SigningKey::load(folder / "web.key")) << "this is no Ed25519 key";
    ASSERT_TRUE(SigningKey::generate().save(folder / "identity.key"));
    EXPECT_FALSE(WebKey::load(folder / "identity.key"));
    std::filesystem::remove_all(folder);
}

X509* certificate_from(const std::string& pem) {
    BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
    X509* certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
    BIO_free(bio);
    return certificate;
}

TEST(WebAuthority, SignsForNamesAndAddresses) {
    WebAuthority authority("test"), other("test");
    WebKey key = WebKey::generate();
    auto issued = authority.issue(key, {"127.0.0.1", "host1.example"});
    ASSERT_TRUE(issued) << issued.error().what;
    X509* certificate = certificate_from(*issued);
    ASSERT_NE(certificate, nullptr);
    EXPECT_EQ(X509_check_ip_asc(certificate, "127.0.0.1", 0), 1);
    EXPECT_EQ(X509_check_host(certificate, "host1.example", 0, 0, nullptr), 1);
    EXPECT_NE(X509_check_host(certificate, "host2.example", 0, 0, nullptr), 1);
    auto verifies = [&](const WebAuthority& by) {
        X509_STORE* store = X509_STORE_new();
        X509* root = certificate_from(*by.certificate());
        X509_STORE_add_cert(store, root);
        X509_STORE_CTX* context = X509_STORE_CTX_new();
        X509_STORE_CTX_init(context, store, certificate, nullptr);
        X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER);
        bool good = X509_verify_cert(context) == 1;
        X509_STORE_CTX_free(context);
        X509_STORE_free(store);
        X509_free(root);
        return good;
    };
    EXPECT_TRUE(verifies(authority));
    EXPECT_FALSE(verifies(other));
    X509_free(certificate);
}

}  // namespace
}  // namespace bft::crypto

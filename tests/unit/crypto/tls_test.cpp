#include "crypto/tls.hpp"

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace bft::crypto {
namespace {

TEST(Tls, CertificateCarriesTheKeyAndSignsItself) {
    SigningKey key = SigningKey::generate();
    auto context = make_tls_context(key);
    ASSERT_TRUE(context.has_value()) << context.error().what;
    X509* certificate = SSL_CTX_get0_certificate((*context)->native_handle());
    ASSERT_NE(certificate, nullptr);
    EXPECT_EQ(X509_verify(certificate, key.native()), 1);
    Bytes carried(public_key_bytes);
    std::size_t size = carried.size();
    ASSERT_EQ(EVP_PKEY_get_raw_public_key(X509_get0_pubkey(certificate), carried.data(), &size), 1);
    EXPECT_EQ(carried, key.public_key());
}

TEST(Tls, CertificateDoesNotExpire) {
    auto context = make_tls_context(SigningKey::generate());
    X509* certificate = SSL_CTX_get0_certificate((*context)->native_handle());
    EXPECT_LT(X509_cmp_current_time(X509_get0_notBefore(certificate)), 0);
    std::time_t in_30_years = std::time(nullptr) + 30L * 365 * 24 * 3600;
    EXPECT_GT(X509_cmp_time(X509_get0_notAfter(certificate), &in_30_years), 0);
}

// Without net::Links's decision a context trusts nobody.
TEST(Tls, ContextDemandsACertificateAndTls13) {
    auto context = make_tls_context(SigningKey::generate());
    SSL_CTX* native = (*context)->native_handle();
    EXPECT_EQ(SSL_CTX_get_verify_mode(native), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT);
    EXPECT_EQ(SSL_CTX_get_min_proto_version(native), TLS1_3_VERSION);
    EXPECT_EQ(SSL_CTX_get_max_proto_version(native), TLS1_3_VERSION);
    EXPECT_EQ(SSL_CTX_get_num_tickets(native), 0u);
    EXPECT_EQ(SSL_CTX_get_session_cache_mode(native), SSL_SESS_CACHE_OFF);
}

}  // namespace
}  // namespace bft::crypto

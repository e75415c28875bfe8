#include "crypto/tls.hpp"

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <string>

namespace bft::crypto {

namespace {

namespace ssl = boost::asio::ssl;

struct CertificateFree {
    void operator()(X509* certificate) const { X509_free(certificate); }
};
using Certificate = std::unique_ptr<X509, CertificateFree>;

Error openssl_failed(const std::string& what) {
    char text[256] = "no reason given";
    if (unsigned long code = ERR_get_error(); code != 0)
        ERR_error_string_n(code, text, sizeof text);
    ERR_clear_error();
    return error(Errc::internal, what + ": " + text);
}

bool set_random_serial(X509* certificate) {
    std::int64_t serial = 0;
    if (RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) != 1) return false;
    serial &= 0x7fffffffffffffff;
    return ASN1_INTEGER_set_int64(X509_get_serialNumber(certificate), serial) == 1;
}

// The pin is the key, and the cluster file is its revocation list: the dates say "always".
Certificate self_signed(const SigningKey& key) {
    Certificate certificate(X509_new());
    if (certificate == nullptr) return nullptr;
    X509* x = certificate.get();
    std::string name = "bftnode-" + hex(ByteView(key.public_key()).first(8));
    X509_NAME* subject = X509_get_subject_name(x);
    bool ok = X509_set_version(x, X509_VERSION_3) == 1 && set_random_serial(x) &&
              ASN1_TIME_set_string_X509(X509_getm_notBefore(x), "20200101000000Z") == 1 &&
              ASN1_TIME_set_string_X509(X509_getm_notAfter(x), "99991231235959Z") == 1 &&
              X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                         reinterpret_cast<const unsigned char*>(name.c_str()), -1,
                                         -1, 0) == 1 &&
              X509_set_issuer_name(x, subject) == 1 && X509_set_pubkey(x, key.native()) == 1 &&
              X509_sign(x, key.native(), nullptr) > 0;
    return ok ? std::move(certificate) : nullptr;
}

bool restrict_to_our_profile(SSL_CTX* ctx) {
    // A resumed session skips the certificate, and with it the check of the key.
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    return SSL_CTX_set_num_tickets(ctx, 0) == 1 &&
           SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_max_early_data(ctx, 0) == 1 &&
           SSL_CTX_set1_sigalgs_list(ctx, "ed25519") == 1 &&
           SSL_CTX_set1_groups_list(ctx, "X25519") == 1 &&
           SSL_CTX_set_ciphersuites(ctx,
                                    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                                    "TLS_CHACHA20_POLY1305_SHA256") == 1;
}

}  // namespace

Result<std::unique_ptr<ssl::context>> make_tls_context(const SigningKey& key) {
    boost::system::error_code code;
    auto context = std::make_unique<ssl::context>(ssl::context::tls);
    SSL_CTX* native = context->native_handle();
    if (!restrict_to_our_profile(native)) return openssl_failed("cannot set up TLS 1.3");
    Certificate certificate = self_signed(key);
    if (certificate == nullptr) return openssl_failed("cannot make the TLS certificate");
    if (SSL_CTX_use_certificate(native, certificate.get()) != 1 ||
        SSL_CTX_use_PrivateKey(native, key.native()) != 1)
        return openssl_failed("cannot use the TLS certificate");
    context->set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert, code);
    if (code) return error(Errc::internal, "cannot demand TLS certificates: " + code.message());
    return context;
}

}  // namespace bft::crypto

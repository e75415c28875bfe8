#include "crypto/web_tls.hpp"

#include "crypto/key_file.hpp"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

namespace bft::crypto {

namespace ssl = boost::asio::ssl;

namespace {

// Only http/1.1 is spoken here; a client that insists on something else is told so.
int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* offered, unsigned offered_size, void*) {
    static constexpr unsigned char ours[] = "\x08http/1.1";
    unsigned char* chosen = nullptr;
    if (SSL_select_next_proto(&chosen, out_size, ours, sizeof ours - 1, offered, offered_size) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

}  // namespace

Result<std::unique_ptr<ssl::context>> make_web_tls_context(const std::filesystem::path& certificate,
                                                           const std::filesystem::path& key) {
    auto key_text = read_private_file(key);
    if (!key_text) return key_text.error();
    auto context = std::make_unique<ssl::context>(ssl::context::tls_server);
    SSL_CTX* native = context->native_handle();
    boost::system::error_code code;
    context->use_certificate_chain_file(certificate.string(), code);
    if (code)
        return error(Errc::malformed,
                     "cannot use the certificate " + certificate.string() + ": " + code.message());
    context->use_private_key(boost::asio::buffer(*key_text), ssl::context::pem, code);
    OPENSSL_cleanse(key_text->data(), key_text->size());
    if (code || SSL_CTX_check_private_key(native) != 1) {
        ERR_clear_error();
        return error(
            Errc::malformed,
            "the key " + key.string() + " is not that of the certificate " + certificate.string());
    }
    SSL_CTX_set_options(native, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
    // Thousands of idle connections: buffers are given back between records.
    SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_select_cb(native, choose_protocol, nullptr);
    if (SSL_CTX_set_min_proto_version(native, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_max_early_data(native, 0) != 1)
        return error(Errc::internal, "cannot set up TLS 1.3");
    return context;
}

}  // namespace bft::crypto

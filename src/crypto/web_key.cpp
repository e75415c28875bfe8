#include "crypto/web_key.hpp"

#include "base/freed.hpp"
#include "base/invariant.hpp"
#include "crypto/key_file.hpp"

#include <boost/asio/ip/address.hpp>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

namespace bft::crypto {

namespace {

using KeyPtr = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>>;
using HashContext = std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>>;
using BioPtr = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using SignaturePtr = std::unique_ptr<ECDSA_SIG, Freed<ECDSA_SIG_free>>;
using CertificatePtr = std::unique_ptr<X509, Freed<X509_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION_free>>;

constexpr int coordinate_bytes = 32;
constexpr long ten_years_s = 10L * 365 * 24 * 60 * 60;

int no_passphrase(char*, int, int, void*) {
    return -1;
}

// Null when the bytes are no point of the curve.
KeyPtr public_key_from(ByteView key) {
    if (key.size() != web_public_key_bytes || key[0] != 4) return nullptr;
    KeyContext ctx(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
    std::string group = "P-256";
    Bytes point = to_bytes(key);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group.data(), 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()),
        OSSL_PARAM_construct_end()};
    EVP_PKEY* made = nullptr;
    if (ctx == nullptr || EVP_PKEY_fromdata_init(ctx.get()) != 1 ||
        EVP_PKEY_fromdata(ctx.get(), &made, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
        made = nullptr;
    return KeyPtr(made);
}

Bytes point_of(const EVP_PKEY* key) {
    Bytes point(web_public_key_bytes);
    std::size_t size = 0;
    bool ok = EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                              point.size(), &size) == 1;
    invariant(ok && size == web_public_key_bytes && point[0] == 4,
              "OpenSSL gives the uncompressed point of a P-256 key");
    return point;
}

bool is_p256(const EVP_PKEY* key) {
    char group[64] = {};
    std::size_t size = 0;
    return EVP_PKEY_is_a(key, "EC") == 1 &&
           EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group,
                                          &size) == 1 &&
           std::string_view(group, size) == "prime256v1";
}

Error openssl_failed(const std::string& what) {
    char text[256] = "no reason given";
    if (unsigned long code = ERR_get_error(); code != 0)
        ERR_error_string_n(code, text, sizeof text);
    ERR_clear_error();
    return error(Errc::internal, what + ": " + text);
}

bool add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, certificate, nullptr, nullptr, 0);
    ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &ctx, nid, value.c_str()));
    return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool set_name(X509_NAME* name, const std::string& common_name) {
    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(common_name.c_str()),
                                      -1, -1, 0) == 1;
}

// Everything but names and extensions. An hour into the past, for clocks that differ.
CertificatePtr blank_certificate(EVP_PKEY* key) {
    CertificatePtr certificate(X509_new());
    if (certificate == nullptr) return nullptr;
    X509* x = certificate.get();
    std::int64_t serial = 0;
    bool ok = RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) == 1 &&
              X509_set_version(x, X509_VERSION_3) == 1 &&
              ASN1_INTEGER_set_int64(X509_get_serialNumber(x), serial & 0x7fffffffffffffff) == 1 &&
              X509_gmtime_adj(X509_getm_notBefore(x), -3600) != nullptr &&
              X509_gmtime_adj(X509_getm_notAfter(x), ten_years_s) != nullptr &&
              X509_set_pubkey(x, key) == 1;
    return ok ? std::move(certificate) : nullptr;
}

Result<std::string> to_pem(X509* certificate) {
    BioPtr bio(BIO_new(BIO_s_mem()));
    if (bio == nullptr || PEM_write_bio_X509(bio.get(), certificate) != 1)
        return openssl_failed("cannot write a certificate");
    char* data = nullptr;
    long size = BIO_get_mem_data(bio.get(), &data);
    return std::string(data, static_cast<std::size_t>(size));
}

CertificatePtr authority_certificate(const WebKey& key, const std::string& cluster) {
    CertificatePtr certificate = blank_certificate(key.native());
    if (certificate == nullptr) return nullptr;
    X509* x = certificate.get();
    bool ok = set_name(X509_get_subject_name(x), "bftnode cluster " + cluster) &&
              X509_set_issuer_name(x, X509_get_subject_name(x)) == 1 &&
              add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
              add_extension(x, x, NID_key_usage, "critical,keyCertSign") &&
              add_extension(x, x, NID_subject_key_identifier, "hash") &&
              X509_sign(x, key.native(), EVP_sha256()) > 0;
    return ok ? std::move(certificate) : nullptr;
}

std::string alternative_names(const std::vector<std::string>& names) {
    std::string list;
    for (const std::string& name : names) {
        boost::system::error_code no_address;
        boost::asio::ip::make_address(name, no_address);
        list += (list.empty() ? "" : ",") + std::string(no_address ? "DNS:" : "IP:") + name;
    }
    return list;
}

}  // namespace

void WebKey::Free::operator()(EVP_PKEY* key) const {
    EVP_PKEY_free(key);
}

WebKey::WebKey(EVP_PKEY* key) : key_(key), public_key_(point_of(key)) {}

WebKey WebKey::generate() {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    invariant(key != nullptr, "OpenSSL generates P-256 keys");
    return WebKey(key);
}

Result<WebKey> WebKey::load(const std::filesystem::path& file) {
    Result<std::string> text = read_private_file(file);
    if (!text) return text.error();
    BioPtr bio(BIO_new_mem_buf(text->data(), static_cast<int>(text->size())));
    invariant(bio != nullptr, "memory for reading a key file");
    KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
    OPENSSL_cleanse(text->data(), text->size());
    ERR_clear_error();
    if (key == nullptr || !is_p256(key.get()))
        return error(Errc::malformed,
                     "key file " + file.string() +
                         " holds no unencrypted P-256 private key in PEM (PKCS#8)");
    return WebKey(key.release());
}

Result<void> WebKey::save(const std::filesystem::path& file) const {
    BioPtr bio(BIO_new(BIO_s_secmem()));
    bool encoded =
        bio != nullptr && PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0,
                                                        nullptr, nullptr) == 1;
    invariant(encoded, "OpenSSL encodes a P-256 key");
    char* data = nullptr;
    long size = BIO_get_mem_data(bio.get(), &data);
    return write_private_file(file, {data, static_cast<std::size_t>(size)});
}

Bytes WebKey::sign(const Digest& digest) const {
    HashContext ctx(EVP_MD_CTX_new());
    Bytes der(128);
    std::size_t size = der.size();
    bool ok =
        ctx != nullptr &&
        EVP_DigestSignInit(ctx.get(), nullptr, EVP_sha256(), nullptr, key_.get()) == 1 &&
        EVP_DigestSign(ctx.get(), der.data(), &size, digest.bytes.data(), digest.bytes.size()) == 1;
    const unsigned char* at = der.data();
    SignaturePtr pair(ok ? d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(size)) : nullptr);
    Bytes signature(2 * coordinate_bytes);
    ok = pair != nullptr &&
         BN_bn2binpad(ECDSA_SIG_get0_r(pair.get()), signature.data(), coordinate_bytes) ==
             coordinate_bytes &&
         BN_bn2binpad(ECDSA_SIG_get0_s(pair.get()), signature.data() + coordinate_bytes,
                      coordinate_bytes) == coordinate_bytes;
    invariant(ok, "OpenSSL signs with P-256");
    return signature;
}

bool is_web_public_key(ByteView key) {
    bool good = public_key_from(key) != nullptr;
    if (!good) ERR_clear_error();
    return good;
}

bool verify_web(ByteView public_key, const Digest& digest, ByteView signature) {
    if (signature.size() != 2 * coordinate_bytes) return false;
    KeyPtr key = public_key_from(public_key);
    SignaturePtr pair(ECDSA_SIG_new());
    BIGNUM* r = BN_bin2bn(signature.data(), coordinate_bytes, nullptr);
    BIGNUM* s = BN_bin2bn(signature.data() + coordinate_bytes, coordinate_bytes, nullptr);
    if (pair == nullptr || r == nullptr || s == nullptr || ECDSA_SIG_set0(pair.get(), r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return false;
    }
    unsigned char* der = nullptr;
    int size = i2d_ECDSA_SIG(pair.get(), &der);
    HashContext ctx(EVP_MD_CTX_new());
    bool good = size > 0 && key != nullptr && ctx != nullptr &&
                EVP_DigestVerifyInit(ctx.get(), nullptr, EVP_sha256(), nullptr, key.get()) == 1 &&
                EVP_DigestVerify(ctx.get(), der, static_cast<std::size_t>(size),
                                 digest.bytes.data(), digest.bytes.size()) == 1;
    OPENSSL_free(der);
    if (!good) ERR_clear_error();
    return good;
}

WebAuthority::WebAuthority(const std::string& cluster)
    : key_(WebKey::generate()), certificate_(authority_certificate(key_, cluster).release()) {}

WebAuthority::~WebAuthority() {
    X509_free(certificate_);
}

Result<std::string> WebAuthority::certificate() const {
    if (certificate_ == nullptr) return openssl_failed("cannot make the authority's certificate");
    return to_pem(certificate_);
}

Result<std::string> WebAuthority::issue(const WebKey& key,
                                        const std::vector<std::string>& names) const {
    CertificatePtr certificate = blank_certificate(key.native());
    if (certificate_ == nullptr || certificate == nullptr || names.empty())
        return openssl_failed("cannot make a certificate");
    X509* x = certificate.get();
    bool ok = set_name(X509_get_subject_name(x), names.front()) &&
              X509_set_issuer_name(x, X509_get_subject_name(certificate_)) == 1 &&
              add_extension(x, certificate_, NID_basic_constraints, "critical,CA:FALSE") &&
              add_extension(x, certificate_, NID_key_usage, "critical,digitalSignature") &&
              add_extension(x, certificate_, NID_ext_key_usage, "serverAuth") &&
              add_extension(x, certificate_, NID_authority_key_identifier, "keyid") &&
              add_extension(x, certificate_, NID_subject_alt_name, alternative_names(names)) &&
              X509_sign(x, key_.native(), EVP_sha256()) > 0;
    if (!ok) return openssl_failed("cannot make the certificate of " + names.front());
    return to_pem(x);
}

}  // namespace bft::crypto

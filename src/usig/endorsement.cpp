// The verifier's half: certificates by OpenSSL, MakeCredential in software.
#include "usig/endorsement.hpp"

#include "base/freed.hpp"
#include "base/sha256.hpp"
#include "usig/byte_writer.hpp"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <memory>

namespace bft::usig {

namespace {

constexpr std::size_t seed_bytes = 32;  // of the template's nameAlg
constexpr std::size_t symmetric_key_bytes = 16;
constexpr std::size_t modulus_bytes = 256;
constexpr std::size_t coordinate_bytes = 32;
constexpr std::size_t anchors_max = 1024;
// id-tcg-kp-EKCertificate
constexpr const char* endorsement_usage = "2.23.133.8.1";

using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>>;
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, Freed<EVP_CIPHER_CTX_free>>;
using Number = std::unique_ptr<BIGNUM, Freed<BN_free>>;
using Store = std::unique_ptr<X509_STORE, Freed<X509_STORE_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, Freed<X509_STORE_CTX_free>>;

Error internal(const char* what) {
    return error(Errc::internal, std::string("OpenSSL cannot ") + what);
}
Error refused(std::string what) {
    return error(Errc::refused, "the endorsement certificate " + std::move(what));
}

Certificate parse(ByteView der) {
    const unsigned char* at = der.data();
    // What follows the certificate is padding: the NV index may be larger.
    return Certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
}

Bytes number_of(EVP_PKEY* key, const char* name, std::size_t size) {
    BIGNUM* raw = nullptr;
    Bytes bytes(size);
    const bool good =
        EVP_PKEY_get_bn_param(key, name, &raw) == 1 &&
        BN_bn2binpad(raw, bytes.data(), static_cast<int>(size)) == static_cast<int>(size);
    BN_free(raw);
    return good ? bytes : Bytes();
}

Result<EndorsementKey> key_of(EVP_PKEY* key) {
    EndorsementKey out;
    if (EVP_PKEY_is_a(key, "RSA") == 1) {
        out.kind = EndorsementKind::rsa_2048;
        out.point = number_of(key, OSSL_PKEY_PARAM_RSA_N, modulus_bytes);
        const Bytes exponent = number_of(key, OSSL_PKEY_PARAM_RSA_E, 4);
        const bool usual = exponent == Bytes{0, 1, 0, 1} && EVP_PKEY_get_bits(key) == 2048;
        if (!out.point.empty() && usual) return out;
    } else if (EVP_PKEY_is_a(key, "EC") == 1 && EVP_PKEY_get_bits(key) == 256) {
        char group[64] = "";
        std::size_t length = 0;
        EVP_PKEY_get_group_name(key, group, sizeof group, &length);
        out.kind = EndorsementKind::ecc_p256;
        out.point = number_of(key, OSSL_PKEY_PARAM_EC_PUB_X, coordinate_bytes);
        const Bytes y = number_of(key, OSSL_PKEY_PARAM_EC_PUB_Y, coordinate_bytes);
        out.point.insert(out.point.end(), y.begin(), y.end());
        const bool usual = OBJ_sn2nid(group) == NID_X9_62_prime256v1;
        if (out.point.size() == 2 * coordinate_bytes && usual) return out;
    }
    return refused("is for a key of another kind than RSA 2048 or P-256");
}

Result<Key> key_from(OSSL_PARAM_BLD* builder, const char* kind) {
    OSSL_PARAM* parameters = OSSL_PARAM_BLD_to_param(builder);
    KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, kind, nullptr));
    EVP_PKEY* raw = nullptr;
    const bool made = parameters != nullptr && context &&
                      EVP_PKEY_fromdata_init(context.get()) == 1 &&
                      EVP_PKEY_fromdata(context.get(), &raw, EVP_PKEY_PUBLIC_KEY, parameters) == 1;
    OSSL_PARAM_free(parameters);
    if (!made) return error(Errc::malformed, "the endorsement key is none");
    return Key(raw);
}

Result<Key> to_openssl(const EndorsementKey& key) {
    std::unique_ptr<OSSL_PARAM_BLD, Freed<OSSL_PARAM_BLD_free>> builder(OSSL_PARAM_BLD_new());
    if (!builder) return internal("allocate");
    if (key.kind == EndorsementKind::rsa_2048) {
        Number n(BN_bin2bn(key.point.data(), static_cast<int>(key.point.size()), nullptr));
        Number e(BN_new());
        if (!n || !e || BN_set_word(e.get(), 65537) != 1 ||
            OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
            OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1)
            return internal("take a key");
        return key_from(builder.get(), "RSA");
    }
    Bytes point{4};  // uncompressed
    point.insert(point.end(), key.point.begin(), key.point.end());
    if (OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) !=
            1 ||
        OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                         point.size()) != 1)
        return internal("take a key");
    return key_from(builder.get(), "EC");
}

/// KDFa of Part 1, 11.4.10.2, for at most one block.
Bytes kdf_a(ByteView key, std::string_view label, ByteView context, std::uint32_t bits) {
    const Bytes input = ByteWriter()
                            .put(std::uint32_t{1})
                            .raw(as_bytes(label))
                            .put(std::uint8_t{0})
                            .raw(context)
                            .put(bits)
                            .take();
    const Digest block = hmac_sha256(key, input);
    return to_bytes(block.view().first(bits / 8));
}

struct Seed {
    Bytes seed;
    Bytes wrapped;  ///< TPM2B_ENCRYPTED_SECRET
};

Result<Seed> wrap_rsa(EVP_PKEY* key) {
    Seed out{Bytes(seed_bytes), Bytes(modulus_bytes)};
    if (RAND_bytes(out.seed.data(), static_cast<int>(out.seed.size())) != 1)
        return internal("make random bytes");
    constexpr std::string_view label("IDENTITY\0", 9);  // the zero byte is part of it
    void* copy = OPENSSL_memdup(label.data(), label.size());
    KeyContext context(EVP_PKEY_CTX_new(key, nullptr));
    std::size_t size = out.wrapped.size();
    const bool ready =
        context && copy != nullptr && EVP_PKEY_encrypt_init(context.get()) == 1 &&
        EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) == 1 &&
        EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), EVP_sha256()) == 1 &&
        EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), EVP_sha256()) == 1 &&
        EVP_PKEY_CTX_set0_rsa_oaep_label(context.get(), copy, static_cast<int>(label.size())) == 1;
    if (!ready) {
        OPENSSL_free(copy);
        return internal("wrap a secret");
    }
    if (EVP_PKEY_encrypt(context.get(), out.wrapped.data(), &size, out.seed.data(),
                         out.seed.size()) != 1 ||
        size != out.wrapped.size())
        return internal("wrap a secret");
    return out;
}

/// One-pass Diffie-Hellman, and KDFe of Part 1, 11.4.10.3.
Result<Seed> wrap_ecc(EVP_PKEY* key, ByteView key_x) {
    Key own(EVP_EC_gen("P-256"));
    KeyContext context(own ? EVP_PKEY_CTX_new(own.get(), nullptr) : nullptr);
    Bytes shared(coordinate_bytes);
    std::size_t size = shared.size();
    if (!context || EVP_PKEY_derive_init(context.get()) != 1 ||
        EVP_PKEY_derive_set_peer(context.get(), key) != 1 ||
        EVP_PKEY_derive(context.get(), shared.data(), &size) != 1 || size != shared.size())
        return internal("wrap a secret");
    const Bytes x = number_of(own.get(), OSSL_PKEY_PARAM_EC_PUB_X, coordinate_bytes);
    const Bytes y = number_of(own.get(), OSSL_PKEY_PARAM_EC_PUB_Y, coordinate_bytes);
    const Bytes input = ByteWriter()
                            .put(std::uint32_t{1})
                            .raw(shared)
                            .raw(as_bytes("IDENTITY"))
                            .put(std::uint8_t{0})
                            .raw(x)
                            .raw(key_x)
                            .take();
    return Seed{to_bytes(sha256(input).view()), ByteWriter().sized(x).sized(y).take()};
}

Result<Bytes> encrypt(ByteView key, ByteView plain) {
    CipherContext context(EVP_CIPHER_CTX_new());
    const std::array<std::uint8_t, 16> iv{};
    Bytes out(plain.size());
    int size = 0;
    if (!context ||
        EVP_EncryptInit_ex(context.get(), EVP_aes_128_cfb128(), nullptr, key.data(), iv.data()) !=
            1 ||
        EVP_EncryptUpdate(context.get(), out.data(), &size, plain.data(),
                          static_cast<int>(plain.size())) != 1 ||
        static_cast<std::size_t>(size) != out.size())
        return internal("encrypt");
    return out;
}

/// Where the extension is, it must be for endorsement keys: the same authorities certify others.
bool is_for_endorsement(X509* certificate) {
    std::unique_ptr<EXTENDED_KEY_USAGE, Freed<EXTENDED_KEY_USAGE_free>> usages(
        static_cast<EXTENDED_KEY_USAGE*>(
            X509_get_ext_d2i(certificate, NID_ext_key_usage, nullptr, nullptr)));
    if (!usages) return X509_get_ext_by_NID(certificate, NID_ext_key_usage, -1) < 0;
    for (int i = 0; i < sk_ASN1_OBJECT_num(usages.get()); ++i) {
        char text[64] = "";
        OBJ_obj2txt(text, sizeof text, sk_ASN1_OBJECT_value(usages.get(), i), 1);
        if (std::string_view(text) == endorsement_usage) return true;
    }
    return false;
}

std::string name_of(const X509_NAME* name) {
    std::unique_ptr<BIO, Freed<BIO_free_all>> out(BIO_new(BIO_s_mem()));
    if (!out || X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB) < 0)
        return {};
    char* text = nullptr;
    const long size = BIO_get_mem_data(out.get(), &text);
    return {text, static_cast<std::size_t>(std::max(size, 0L))};
}

std::string describe(X509* certificate) {
    std::string subject = name_of(X509_get_subject_name(certificate));
    if (!subject.empty()) return subject;
    Number serial(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
    char* number = serial ? BN_bn2hex(serial.get()) : nullptr;
    std::string text = "number " + std::string(number == nullptr ? "?" : number) + " of " +
                       name_of(X509_get_issuer_name(certificate));
    OPENSSL_free(number);
    return text;
}

}  // namespace

Digest EndorsementKey::fingerprint() const {
    return Digester("endorsement-key").u8(static_cast<std::uint8_t>(kind)).bytes(point).finish();
}

Result<EndorsementAuthorities> EndorsementAuthorities::load(
    const std::vector<std::filesystem::path>& files) {
    EndorsementAuthorities out;
    for (const std::filesystem::path& file : files) {
        std::unique_ptr<BIO, Freed<BIO_free_all>> in(BIO_new_file(file.c_str(), "r"));
        if (!in) return error(Errc::not_found, "cannot read " + file.string());
        const std::size_t before = out.anchors_.size();
        while (out.anchors_.size() < anchors_max) {
            Certificate one(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
            if (!one) break;
            unsigned char* der = nullptr;
            const int size = i2d_X509(one.get(), &der);
            if (size > 0) out.anchors_.emplace_back(der, der + size);
            OPENSSL_free(der);
        }
        if (out.anchors_.size() == before)
            return error(Errc::malformed, file.string() + " has no certificate (PEM)");
    }
    return out;
}

Result<EndorsementAuthorities::Certified> EndorsementAuthorities::check(
    ByteView certificate) const {
    const Certificate leaf = parse(certificate);
    if (!leaf) return refused("cannot be read");
    if (X509_check_ca(leaf.get()) != 0) return refused("is one of an authority");
    if (!is_for_endorsement(leaf.get())) return refused("is for another purpose");
    auto key = key_of(X509_get0_pubkey(leaf.get()));
    if (!key) return key.error();
    Store store(X509_STORE_new());
    StoreContext context(X509_STORE_CTX_new());
    if (!store || !context) return internal("allocate");
    for (const Bytes& anchor : anchors_)
        if (const Certificate one = parse(anchor); one) X509_STORE_add_cert(store.get(), one.get());
    X509_STORE_set_flags(store.get(), X509_V_FLAG_PARTIAL_CHAIN);
    if (X509_STORE_CTX_init(context.get(), store.get(), leaf.get(), nullptr) != 1)
        return internal("check a certificate");
    if (X509_verify_cert(context.get()) != 1)
        return refused(
            "is vouched for by none of the given authorities: " +
            std::string(X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()))));
    return Certified{*key, describe(leaf.get())};
}

Result<Challenge> make_challenge(const EndorsementKey& key, ByteView key_name) {
    auto native = to_openssl(key);
    if (!native) return native.error();
    auto seed = key.kind == EndorsementKind::rsa_2048
                    ? wrap_rsa(native->get())
                    : wrap_ecc(native->get(), ByteView(key.point).first(coordinate_bytes));
    if (!seed) return seed.error();
    Challenge out;
    out.secret = std::move(seed->wrapped);
    if (RAND_bytes(out.answer.bytes.data(), static_cast<int>(out.answer.bytes.size())) != 1)
        return internal("make random bytes");
    auto identity = encrypt(kdf_a(seed->seed, "STORAGE", key_name, 8 * symmetric_key_bytes),
                            ByteWriter().sized(out.answer.view()).take());
    if (!identity) return identity.error();
    const Digest integrity = hmac_sha256(kdf_a(seed->seed, "INTEGRITY", {}, 256),
                                         ByteWriter().raw(*identity).raw(key_name).take());
    out.blob = ByteWriter().sized(integrity.view()).raw(*identity).take();
    return out;
}

}  // namespace bft::usig

#include "crypto/signing_key.hpp"

#include "base/invariant.hpp"
#include "crypto/key_file.hpp"
#include "crypto/web_key.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <array>
#include <sodium.h>
#include <string>

namespace bft::crypto {

namespace {

static_assert(public_key_bytes == crypto_sign_PUBLICKEYBYTES &&
              signature_bytes == crypto_sign_BYTES);

struct BioFree {
    void operator()(BIO* bio) const { BIO_free_all(bio); }
};
using BioPtr = std::unique_ptr<BIO, BioFree>;

// A key that asks for a passphrase must not stop a daemon at a prompt.
int no_passphrase(char*, int, int, void*) {
    return -1;
}

}  // namespace

struct SigningKey::Secret {
    std::array<std::uint8_t, crypto_sign_SECRETKEYBYTES> bytes{};
    Secret() = default;
    Secret(const Secret&) = delete;
    Secret& operator=(const Secret&) = delete;
    ~Secret() { sodium_memzero(bytes.data(), bytes.size()); }
};

void SigningKey::Free::operator()(EVP_PKEY* key) const {
    EVP_PKEY_free(key);
}

SigningKey::SigningKey(EVP_PKEY* key)
    : key_(key), secret_(std::make_unique<Secret>()), public_key_(public_key_bytes) {
    invariant(sodium_init() >= 0, "libsodium finds a source of random bytes");
    // libsodium's form of a key: the private bytes, then the public ones.
    std::size_t size = crypto_sign_SEEDBYTES;
    const bool ok = EVP_PKEY_get_raw_private_key(key, secret_->bytes.data(), &size) == 1 &&
                    size == crypto_sign_SEEDBYTES;
    Secret derived;
    invariant(ok && crypto_sign_seed_keypair(public_key_.data(), derived.bytes.data(),
                                             secret_->bytes.data()) == 0,
              "an Ed25519 key has 32 private bytes, and they give its public ones");
    secret_->bytes = derived.bytes;
}

SigningKey::SigningKey(SigningKey&&) noexcept = default;
SigningKey& SigningKey::operator=(SigningKey&&) noexcept = default;
SigningKey::~SigningKey() = default;

SigningKey SigningKey::generate() {
    EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
    invariant(key != nullptr, "OpenSSL generates Ed25519 keys");
    return SigningKey(key);
}

Result<SigningKey> SigningKey::from_private(ByteView bytes) {
    EVP_PKEY* key =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes.data(), bytes.size());
    if (key != nullptr) return SigningKey(key);
    ERR_clear_error();
    return error(Errc::malformed, "an Ed25519 key has 32 private bytes");
}

Result<SigningKey> SigningKey::load(const std::filesystem::path& file) {
    Result<std::string> text = read_private_file(file);
    if (!text) return text.error();
    BioPtr bio(BIO_new_mem_buf(text->data(), static_cast<int>(text->size())));
    invariant(bio != nullptr, "memory for reading a key file");
    EVP_PKEY* key = PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr);
    OPENSSL_cleanse(text->data(), text->size());
    ERR_clear_error();
    if (key == nullptr)
        return error(Errc::malformed,
                     "key file " + file.string() +
                         " holds no unencrypted private key in PEM (PKCS#8): it is "
                         "damaged, or not a key");
    if (EVP_PKEY_is_a(key, "ED25519") != 1) {
        EVP_PKEY_free(key);
        return error(Errc::malformed,
                     "key file " + file.string() + " holds a key of another kind than Ed25519");
    }
    return SigningKey(key);
}

Result<void> SigningKey::save(const std::filesystem::path& file) const {
    BioPtr bio(BIO_new(BIO_s_secmem()));
    bool encoded =
        bio != nullptr && PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0,
                                                        nullptr, nullptr) == 1;
    invariant(encoded, "OpenSSL encodes an Ed25519 key");
    char* data = nullptr;
    long size = BIO_get_mem_data(bio.get(), &data);

    return write_private_file(file, {data, static_cast<std::size_t>(size)});
}

Bytes SigningKey::sign(const Digest& digest) const {
    Bytes signature(signature_bytes);
    const bool ok = crypto_sign_detached(signature.data(), nullptr, digest.bytes.data(),
                                         digest.bytes.size(), secret_->bytes.data()) == 0;
    invariant(ok, "libsodium signs with Ed25519");
    return signature;
}

bool verify(ByteView public_key, const Digest& digest, ByteView signature) {
    if (public_key.size() == web_public_key_bytes) return verify_web(public_key, digest, signature);
    return public_key.size() == public_key_bytes && signature.size() == signature_bytes &&
           crypto_sign_verify_detached(signature.data(), digest.bytes.data(), digest.bytes.size(),
                                       public_key.data()) == 0;
}

}  // namespace bft::crypto

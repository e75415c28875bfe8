#include "crypto/signing_key.hpp"

#include "base/invariant.hpp"
#include "crypto/key_file.hpp"
#include "crypto/web_key.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <map>
#include <string>

namespace bft::crypto {

namespace {

constexpr std::size_t known_keys_max = 256;

struct ContextFree {
    void operator()(EVP_MD_CTX* ctx) const { EVP_MD_CTX_free(ctx); }
};
using Context = std::unique_ptr<EVP_MD_CTX, ContextFree>;

struct BioFree {
    void operator()(BIO* bio) const { BIO_free_all(bio); }
};
using BioPtr = std::unique_ptr<BIO, BioFree>;

// A key that asks for a passphrase must not stop a daemon at a prompt.
int no_passphrase(char*, int, int, void*) {
    return -1;
}

}  // namespace

void SigningKey::Free::operator()(EVP_PKEY* key) const {
    EVP_PKEY_free(key);
}

SigningKey::SigningKey(EVP_PKEY* key) : key_(key), public_key_(public_key_bytes) {
    std::size_t size = public_key_.size();
    bool ok = EVP_PKEY_get_raw_public_key(key, public_key_.data(), &size) == 1;
    invariant(ok && size == public_key_bytes, "an Ed25519 key has a public key of 32 bytes");
}

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
    Context ctx(EVP_MD_CTX_new());
    Bytes signature(signature_bytes);
    std::size_t size = signature.size();
    bool ok = ctx != nullptr &&
              EVP_DigestSignInit(ctx.get(), nullptr, nullptr, nullptr, key_.get()) == 1 &&
              EVP_DigestSign(ctx.get(), signature.data(), &size, digest.bytes.data(),
                             digest.bytes.size()) == 1;
    invariant(ok && size == signature_bytes, "OpenSSL signs with Ed25519");
    return signature;
}

namespace {

// To make OpenSSL's object of a key costs a quarter of a verification, and few keys sign nearly
// all: each thread keeps those that it saw last.
class KnownKeys {
public:
    /// nullptr where OpenSSL takes it for no key.
    EVP_PKEY* find(ByteView public_key) {
        auto known = keys_.find(as_text(public_key));
        if (known != keys_.end()) return known->second.get();
        Key key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, public_key.data(),
                                            public_key.size()),
                &EVP_PKEY_free);
        if (key == nullptr) return nullptr;
        if (keys_.size() >= known_keys_max) keys_.clear();
        return keys_.emplace(as_text(public_key), std::move(key)).first->second.get();
    }

private:
    using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
    std::map<std::string, Key, std::less<>> keys_;
};

}  // namespace

bool verify(ByteView public_key, const Digest& digest, ByteView signature) {
    if (public_key.size() == web_public_key_bytes) return verify_web(public_key, digest, signature);
    if (public_key.size() != public_key_bytes || signature.size() != signature_bytes) return false;
    static thread_local KnownKeys keys;
    EVP_PKEY* key = keys.find(public_key);
    Context ctx(EVP_MD_CTX_new());
    bool good = key != nullptr && ctx != nullptr &&
                EVP_DigestVerifyInit(ctx.get(), nullptr, nullptr, nullptr, key) == 1 &&
                EVP_DigestVerify(ctx.get(), signature.data(), signature.size(), digest.bytes.data(),
                                 digest.bytes.size()) == 1;
    // OpenSSL queues its reasons per thread; nobody asks for them here.
    if (!good) ERR_clear_error();
    return good;
}

}  // namespace bft::crypto

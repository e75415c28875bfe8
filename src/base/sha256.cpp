#include "base/sha256.hpp"

#include "base/invariant.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace bft {

namespace {

// Fetching an algorithm takes longer than hashing a short string does; each thread fetches once.
EVP_MD_CTX* thread_context() {
    struct Context {
        EVP_MD* md = EVP_MD_fetch(nullptr, "SHA256", nullptr);
        EVP_MD_CTX* ctx = EVP_MD_CTX_new();
        Context() { EVP_DigestInit_ex(ctx, md, nullptr); }
        ~Context() {
            EVP_MD_CTX_free(ctx);
            EVP_MD_free(md);
        }
    };
    static thread_local Context context;
    return context.ctx;
}

}  // namespace

Digest sha256(ByteView bytes) {
    EVP_MD_CTX* ctx = thread_context();
    Digest digest;
    bool ok = EVP_DigestInit_ex(ctx, nullptr, nullptr) == 1 &&
              EVP_DigestUpdate(ctx, bytes.data(), bytes.size()) == 1 &&
              EVP_DigestFinal_ex(ctx, digest.bytes.data(), nullptr) == 1;
    invariant(ok, "OpenSSL computes SHA-256");
    return digest;
}

Digest hmac_sha256(ByteView key, ByteView bytes) {
    Digest digest;
    unsigned length = 0;
    const auto* result = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes.data(),
                              bytes.size(), digest.bytes.data(), &length);
    invariant(result != nullptr && length == 32, "OpenSSL computes HMAC-SHA-256");
    return digest;
}

Digester::Digester(std::string_view tag) {
    buffer_.reserve(192);
    text(tag);
}

Digester& Digester::u8(std::uint8_t value) {
    buffer_.push_back(value);
    return *this;
}

Digester& Digester::u32(std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8)
        buffer_.push_back(static_cast<std::uint8_t>(value >> shift));
    return *this;
}

Digester& Digester::u64(std::uint64_t value) {
    for (int shift = 56; shift >= 0; shift -= 8)
        buffer_.push_back(static_cast<std::uint8_t>(value >> shift));
    return *this;
}

Digester& Digester::digest(const Digest& value) {
    buffer_.insert(buffer_.end(), value.bytes.begin(), value.bytes.end());
    return *this;
}

Digester& Digester::bytes(ByteView value) {
    u64(value.size());
    buffer_.insert(buffer_.end(), value.begin(), value.end());
    return *this;
}

Digest Digester::finish() const {
    return sha256(buffer_);
}

}  // namespace bft

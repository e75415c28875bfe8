#include "base/sha256.hpp"

#include "base/invariant.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>

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

namespace {

template <class T>
void store(std::uint8_t* to, T value) {
    for (std::size_t i = sizeof value; i-- > 0; value = static_cast<T>(value >> 8))
        to[i] = static_cast<std::uint8_t>(value);
}

}  // namespace

Digester::Digester(std::string_view tag) {
    text(tag);
}

std::uint8_t* Digester::extend(std::size_t size) {
    std::size_t at = size_;
    size_ += size;
    if (spilled_.empty() && size_ <= inline_.size()) return inline_.data() + at;
    if (spilled_.empty())
        spilled_.assign(inline_.begin(), inline_.begin() + static_cast<std::ptrdiff_t>(at));
    spilled_.resize(size_);
    return spilled_.data() + at;
}

Digester& Digester::u8(std::uint8_t value) {
    *extend(1) = value;
    return *this;
}

Digester& Digester::u32(std::uint32_t value) {
    store(extend(sizeof value), value);
    return *this;
}

Digester& Digester::u64(std::uint64_t value) {
    store(extend(sizeof value), value);
    return *this;
}

Digester& Digester::digest(const Digest& value) {
    std::copy(value.bytes.begin(), value.bytes.end(), extend(value.bytes.size()));
    return *this;
}

Digester& Digester::bytes(ByteView value) {
    u64(value.size());
    std::copy(value.begin(), value.end(), extend(value.size()));
    return *this;
}

Digest Digester::finish() const {
    return sha256(spilled_.empty() ? ByteView(inline_.data(), size_) : ByteView(spilled_));
}

}  // namespace bft

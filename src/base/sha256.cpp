// OpenSSL deprecates the functions below EVP.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "base/sha256.hpp"

#include "base/invariant.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <cstring>

namespace bft {

// The functions below EVP take a third of its time for the short strings that are hashed here, and
// use the processor's SHA instructions as it does.
Digest sha256(ByteView bytes) {
    SHA256_CTX context;
    Digest digest;
    bool ok = SHA256_Init(&context) == 1 &&
              SHA256_Update(&context, bytes.data(), bytes.size()) == 1 &&
              SHA256_Final(digest.bytes.data(), &context) == 1;
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

void Digester::append(const std::uint8_t* data, std::size_t size) {
    if (large_.empty() && size_ + size <= small_.size()) {
        if (size > 0) std::memcpy(small_.data() + size_, data, size);
        size_ += size;
        return;
    }
    if (large_.empty()) {
        large_.reserve(2 * (size_ + size));
        large_.assign(small_.begin(), small_.begin() + static_cast<std::ptrdiff_t>(size_));
    }
    large_.insert(large_.end(), data, data + size);
}

Digester& Digester::u8(std::uint8_t value) {
    append(&value, 1);
    return *this;
}

Digester& Digester::u32(std::uint32_t value) {
    std::array<std::uint8_t, 4> bytes;
    for (unsigned i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
    append(bytes.data(), bytes.size());
    return *this;
}

Digester& Digester::u64(std::uint64_t value) {
    std::array<std::uint8_t, 8> bytes;
    for (unsigned i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<std::uint8_t>(value >> (56 - 8 * i));
    append(bytes.data(), bytes.size());
    return *this;
}

Digester& Digester::digest(const Digest& value) {
    append(value.bytes.data(), value.bytes.size());
    return *this;
}

Digester& Digester::bytes(ByteView value) {
    u64(value.size());
    append(value.data(), value.size());
    return *this;
}

Digest Digester::finish() const {
    return sha256(large_.empty() ? ByteView(small_.data(), size_) : ByteView(large_));
}

}  // namespace bft

// Ed25519 keys of nodes and clients. Public keys are their 32 raw bytes everywhere; private keys
// live in PEM files (PKCS#8) that only their owner may read.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

#include <openssl/types.h>

#include <filesystem>
#include <memory>

namespace bft::crypto {

inline constexpr std::size_t public_key_bytes = 32;
inline constexpr std::size_t signature_bytes = 64;

class SigningKey {
public:
    [[nodiscard]] static SigningKey generate();
    /// From its 32 private bytes.
    [[nodiscard]] static Result<SigningKey> from_private(ByteView bytes);
    /// Errors say what to do: missing file, readable by others, not an Ed25519 key.
    [[nodiscard]] static Result<SigningKey> load(const std::filesystem::path& file);

    /// Creates `file` with mode 0600 and syncs it. An existing file is an error: a key that is
    /// overwritten is an identity lost.
    [[nodiscard]] Result<void> save(const std::filesystem::path& file) const;

    /// 32 bytes.
    [[nodiscard]] const Bytes& public_key() const { return public_key_; }
    /// 64 bytes. Safe to call from several threads at once.
    [[nodiscard]] Bytes sign(const Digest& digest) const;

    /// For TLS; valid while this key is.
    [[nodiscard]] EVP_PKEY* native() const { return key_.get(); }

    SigningKey(SigningKey&&) noexcept;
    SigningKey& operator=(SigningKey&&) noexcept;
    ~SigningKey();

private:
    struct Free {
        void operator()(EVP_PKEY* key) const;
    };
    struct Secret;
    explicit SigningKey(EVP_PKEY* key);

    std::unique_ptr<EVP_PKEY, Free> key_;
    std::unique_ptr<Secret> secret_;  ///< the same key, for libsodium
    Bytes public_key_;
};

/// Did the holder of `public_key` sign `digest`? A key of 65 bytes is a P-256 one (web_key.hpp).
/// False for anything malformed. Thread-safe.
[[nodiscard]] bool verify(ByteView public_key, const Digest& digest, ByteView signature);

}  // namespace bft::crypto

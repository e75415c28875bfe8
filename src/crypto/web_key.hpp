// P-256 keys, for what browsers can do: TLS certificates, and signatures for and by clients whose
// WebCrypto lacks Ed25519. Public keys are the uncompressed point, 65 bytes; signatures are r and
// s, 64 bytes, over SHA-256 of a digest's 32 bytes (docs/http.md).
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

#include <openssl/types.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace bft::crypto {

inline constexpr std::size_t web_public_key_bytes = 65;

class WebKey {
public:
    [[nodiscard]] static WebKey generate();
    /// As SigningKey::load(): only the owner may be able to read the file.
    [[nodiscard]] static Result<WebKey> load(const std::filesystem::path& file);
    /// As SigningKey::save().
    [[nodiscard]] Result<void> save(const std::filesystem::path& file) const;

    [[nodiscard]] const Bytes& public_key() const { return public_key_; }
    /// 64 bytes.
    [[nodiscard]] Bytes sign(const Digest& digest) const;
    [[nodiscard]] EVP_PKEY* native() const { return key_.get(); }

private:
    struct Free {
        void operator()(EVP_PKEY* key) const;
    };
    explicit WebKey(EVP_PKEY* key);

    std::unique_ptr<EVP_PKEY, Free> key_;
    Bytes public_key_;
};

/// Is this a point of the curve, in the form that public_key() has?
[[nodiscard]] bool is_web_public_key(ByteView key);
[[nodiscard]] bool verify_web(ByteView public_key, const Digest& digest, ByteView signature);

/// Signs the certificates of one cluster's HTTP fronts, and is then forgotten: who trusts its
/// certificate trusts these hosts and nobody else.
class WebAuthority {
public:
    explicit WebAuthority(const std::string& cluster);
    ~WebAuthority();
    WebAuthority(const WebAuthority&) = delete;
    WebAuthority& operator=(const WebAuthority&) = delete;
    /// PEM.
    [[nodiscard]] Result<std::string> certificate() const;
    /// PEM, for `key`, valid for ten years for `names`: DNS names and IP addresses.
    [[nodiscard]] Result<std::string> issue(const WebKey& key,
                                            const std::vector<std::string>& names) const;

private:
    WebKey key_;
    X509* certificate_;  ///< null when OpenSSL failed
};

}  // namespace bft::crypto

// TLS 1.3 with mutual authentication by pinned keys: no authorities, no names, no expiry. A node's
// certificate is made in memory from its Ed25519 key and only carries that key.
#pragma once

#include "base/result.hpp"
#include "crypto/signing_key.hpp"

#include <boost/asio/ssl/context.hpp>

#include <memory>

namespace bft::crypto {

/// For listening and dialling. It demands a certificate from the other side and by itself trusts
/// none: net::Links decides per connection, by the key in the certificate. Sessions are never
/// resumed, so every connection proves its key.
[[nodiscard]] Result<std::unique_ptr<boost::asio::ssl::context>> make_tls_context(
    const SigningKey& key);

}  // namespace bft::crypto

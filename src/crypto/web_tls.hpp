// TLS 1.3 towards browsers and other HTTP clients: one side shows a certificate that came from an
// authority; who the client is, its signatures say.
#pragma once

#include "base/result.hpp"

#include <boost/asio/ssl/context.hpp>

#include <filesystem>
#include <memory>

namespace bft::crypto {

/// `certificate`: PEM, the server's own first, then its chain. `key`: PEM, closed to other users.
[[nodiscard]] Result<std::unique_ptr<boost::asio::ssl::context>> make_web_tls_context(
    const std::filesystem::path& certificate, const std::filesystem::path& key);

}  // namespace bft::crypto

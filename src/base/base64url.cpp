#include "base/base64url.hpp"

#include <openssl/evp.h>

#include <algorithm>

namespace bft {

std::string base64url(ByteView bytes) {
    std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
    int written = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(),
                                  static_cast<int>(bytes.size()));
    text.resize(static_cast<std::size_t>(written));
    while (!text.empty() && text.back() == '=') text.pop_back();
    std::replace(text.begin(), text.end(), '+', '-');
    std::replace(text.begin(), text.end(), '/', '_');
    return text;
}

std::optional<Bytes> from_base64url(std::string_view text) {
    constexpr std::string_view alphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    if (text.find_first_not_of(alphabet) != std::string_view::npos || text.size() % 4 == 1 ||
        text.size() > std::size_t{1} << 28)
        return std::nullopt;
    std::string padded(text);
    std::replace(padded.begin(), padded.end(), '-', '+');
    std::replace(padded.begin(), padded.end(), '_', '/');
    std::size_t padding = (4 - padded.size() % 4) % 4;
    padded.append(padding, '=');
    Bytes bytes(padded.size() / 4 * 3);
    int read = EVP_DecodeBlock(bytes.data(), reinterpret_cast<const unsigned char*>(padded.data()),
                               static_cast<int>(padded.size()));
    if (read < 0) return std::nullopt;
    bytes.resize(bytes.size() - padding);
    // Bits beyond the last byte must be zero: one text for one byte string.
    if (base64url(bytes) != text) return std::nullopt;
    return bytes;
}

}  // namespace bft

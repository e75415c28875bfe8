// Byte strings and digests.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bft {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

inline ByteView as_bytes(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline Bytes to_bytes(ByteView view) {
    return {view.begin(), view.end()};
}

/// A SHA-256 value.
struct Digest {
    std::array<std::uint8_t, 32> bytes{};

    auto operator<=>(const Digest&) const = default;
    [[nodiscard]] ByteView view() const { return bytes; }
    [[nodiscard]] bool is_zero() const { return *this == Digest{}; }
    /// nullopt unless `view` has exactly 32 bytes.
    static std::optional<Digest> from(ByteView view);
};

/// Hash for unordered containers that nobody iterates; the digest is uniform already.
struct DigestHash {
    std::size_t operator()(const Digest& digest) const {
        std::size_t value = 0;
        std::memcpy(&value, digest.bytes.data(), sizeof value);
        return value;
    }
};

std::string hex(ByteView bytes);
inline std::string hex(const Digest& digest) {
    return hex(digest.view());
}
/// The first four bytes, for logs.
std::string short_hex(const Digest& digest);
/// nullopt when `text` is not an even number of hexadecimal digits.
std::optional<Bytes> from_hex(std::string_view text);

}  // namespace bft

// SHA-256, and digests of structures: H("tag" . len(x1) . x1 . ...), protocol.md section 1.3.
#pragma once

#include "base/bytes.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

namespace bft {

Digest sha256(ByteView bytes);
/// HMAC-SHA-256.
Digest hmac_sha256(ByteView key, ByteView bytes);

/// Builds the one digest of a tagged structure. Every field is fixed-width big-endian or carries
/// its length, so two different structures never give the same input.
class Digester {
public:
    explicit Digester(std::string_view tag);

    Digester& u8(std::uint8_t value);
    Digester& u32(std::uint32_t value);
    Digester& u64(std::uint64_t value);
    Digester& digest(const Digest& value);
    /// Eight bytes of length, then the bytes.
    Digester& bytes(ByteView value);
    Digester& text(std::string_view value) { return bytes(as_bytes(value)); }
    [[nodiscard]] Digest finish() const;

private:
    void append(const std::uint8_t* data, std::size_t size);

    // Most structures fit; what does not moves over as a whole.
    std::array<std::uint8_t, 256> small_;
    std::size_t size_ = 0;
    Bytes large_;
};

}  // namespace bft

// Big-endian fields appended to a byte string, and read back with every length checked.
#pragma once

#include "base/bytes.hpp"

#include <concepts>
#include <cstdint>
#include <optional>

namespace bft::usig {

class ByteWriter {
public:
    template <std::unsigned_integral T>
    ByteWriter& put(T value) {
        for (int shift = static_cast<int>(sizeof(T)) * 8 - 8; shift >= 0; shift -= 8)
            bytes_.push_back(static_cast<std::uint8_t>(value >> shift));
        return *this;
    }
    ByteWriter& raw(ByteView view) {
        bytes_.insert(bytes_.end(), view.begin(), view.end());
        return *this;
    }
    /// TPM2B: two bytes of length, then the bytes. The caller keeps `view` below 64 KiB.
    ByteWriter& sized(ByteView view) {
        return put(static_cast<std::uint16_t>(view.size())).raw(view);
    }
    [[nodiscard]] const Bytes& bytes() const { return bytes_; }
    [[nodiscard]] Bytes take() { return std::move(bytes_); }

private:
    Bytes bytes_;
};

/// Reads of a byte string that somebody else wrote. After a read beyond the end, good() is false
/// and every value read is zero or empty.
class ByteReader {
public:
    explicit ByteReader(ByteView bytes) : bytes_(bytes) {}

    template <std::unsigned_integral T>
    T get() {
        T value = 0;
        for (std::uint8_t byte : raw(sizeof(T)))
            value = static_cast<T>((std::uint64_t{value} << 8) | byte);
        return value;
    }
    ByteView raw(std::size_t size) {
        if (!good_ || bytes_.size() < size) {
            good_ = false;
            return {};
        }
        ByteView head = bytes_.first(size);
        bytes_ = bytes_.subspan(size);
        return head;
    }
    ByteView sized() { return raw(get<std::uint16_t>()); }
    template <std::size_t N>
    void fill(std::array<std::uint8_t, N>& out) {
        ByteView view = raw(N);
        if (good_) std::copy(view.begin(), view.end(), out.begin());
    }
    [[nodiscard]] ByteView rest() const { return bytes_; }
    [[nodiscard]] bool good() const { return good_; }
    /// Everything was read and nothing was missing.
    [[nodiscard]] bool complete() const { return good_ && bytes_.empty(); }

private:
    ByteView bytes_;
    bool good_ = true;
};

}  // namespace bft::usig

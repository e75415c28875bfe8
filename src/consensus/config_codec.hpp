// The one encoding of configurations and their changes: big-endian numbers of fixed size, lists
// behind their lengths. Digests and signatures are over it.
#pragma once

#include "base/bytes.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace bft::consensus {

class ConfigWriter {
public:
    ConfigWriter& u32(std::uint64_t value) { return put(value, 4); }
    ConfigWriter& u64(std::uint64_t value) { return put(value, 8); }
    ConfigWriter& text(std::string_view value) {
        return bytes({reinterpret_cast<const std::uint8_t*>(value.data()), value.size()});
    }
    ConfigWriter& bytes(ByteView value) {
        u32(value.size());
        out_.insert(out_.end(), value.begin(), value.end());
        return *this;
    }
    [[nodiscard]] Bytes take() { return std::move(out_); }

private:
    ConfigWriter& put(std::uint64_t value, int size) {
        for (int i = size - 1; i >= 0; --i)
            out_.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
        return *this;
    }
    Bytes out_;
};

class ConfigReader {
public:
    explicit ConfigReader(ByteView bytes) : rest_(bytes) {}

    std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
    std::uint64_t u64() { return number(8); }
    /// Of a list whose elements take at least `element` bytes each.
    std::size_t count(std::size_t element) {
        std::size_t n = u32();
        if (n > list_max || n * element > rest_.size()) good_ = false;
        return good_ ? n : 0;
    }
    Bytes bytes() {
        std::size_t size = count(1);
        Bytes found = to_bytes(rest_.first(size));
        rest_ = rest_.subspan(size);
        return found;
    }
    std::string text() {
        Bytes found = bytes();
        return {found.begin(), found.end()};
    }
    [[nodiscard]] bool complete() const { return good_ && rest_.empty(); }

private:
    std::uint64_t number(std::size_t size) {
        if (rest_.size() < size) {
            good_ = false;
            rest_ = {};
            return 0;
        }
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < size; ++i) value = value << 8 | rest_[i];
        rest_ = rest_.subspan(size);
        return value;
    }
    static constexpr std::size_t list_max = 1 << 16;
    ByteView rest_;
    bool good_ = true;
};

}  // namespace bft::consensus

// Big-endian writing and bounded reading, for the encodings of this room.
#pragma once

#include "base/bytes.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace bft::catalog {

template <class T>
void put(Bytes& out, T value) {
    for (std::size_t i = sizeof(T); i-- > 0;)
        out.push_back(static_cast<std::uint8_t>(static_cast<std::uint64_t>(value) >> (8 * i)));
}

inline void put_text(Bytes& out, std::string_view text) {
    put(out, static_cast<std::uint32_t>(text.size()));
    out.insert(out.end(), text.begin(), text.end());
}

/// Reads from the front. After the first failure every read fails.
class Reader {
public:
    explicit Reader(ByteView bytes) : rest_(bytes) {}

    template <class T>
    T number() {
        if (!need(sizeof(T))) return 0;
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < sizeof(T); ++i) value = value << 8 | rest_[i];
        rest_ = rest_.subspan(sizeof(T));
        return static_cast<T>(value);
    }

    /// At most `max` bytes, preceded by their length.
    std::string text(std::size_t max) {
        auto size = number<std::uint32_t>();
        if (size > max || !need(size)) {
            ok_ = false;
            return {};
        }
        std::string text(as_text(rest_.first(size)));
        rest_ = rest_.subspan(size);
        return text;
    }

    /// A count of things of which each takes at least `bytes_each` bytes: never more than there is.
    std::size_t count(std::size_t value, std::size_t max, std::size_t bytes_each) {
        if (value > max || value * bytes_each > rest_.size()) {
            ok_ = false;
            return 0;
        }
        return value;
    }

    void fail() { ok_ = false; }
    [[nodiscard]] bool ok() const { return ok_; }
    [[nodiscard]] bool at_end() const { return ok_ && rest_.empty(); }

private:
    bool need(std::size_t bytes) {
        if (rest_.size() < bytes) ok_ = false;
        return ok_;
    }

    ByteView rest_;
    bool ok_ = true;
};

}  // namespace bft::catalog

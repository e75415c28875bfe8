// Seeded damage for bytes: what the unit tests feed to the fuzzers' entry functions.
#pragma once

#include "base/bytes.hpp"
#include "base/prng.hpp"

#include <algorithm>

namespace bft::fuzz {

class Mutator {
public:
    explicit Mutator(std::uint64_t seed) : prng_(seed) {}

    Bytes operator()(Bytes bytes) {
        for (std::uint64_t n = prng_.between(1, 4); n > 0 && !bytes.empty(); --n) change(bytes);
        return bytes;
    }

private:
    void change(Bytes& bytes) {
        auto at = [&] {
            return bytes.begin() + static_cast<std::ptrdiff_t>(prng_.below(bytes.size()));
        };
        switch (prng_.below(5)) {
            case 0:
                *at() = static_cast<std::uint8_t>(prng_.next());
                break;
            case 1: {
                auto it = at();
                *it = static_cast<std::uint8_t>(*it ^ (1u << prng_.below(8)));
                break;
            }
            case 2:
                bytes.erase(at());
                break;
            case 3:
                bytes.insert(at(), static_cast<std::uint8_t>(prng_.next()));
                break;
            default: {  // a piece of itself, elsewhere
                auto from = static_cast<std::size_t>(at() - bytes.begin());
                std::size_t length = std::min<std::size_t>(prng_.below(40), bytes.size() - from);
                Bytes piece(bytes.begin() + static_cast<std::ptrdiff_t>(from),
                            bytes.begin() + static_cast<std::ptrdiff_t>(from + length));
                bytes.insert(at(), piece.begin(), piece.end());
            }
        }
    }
    Prng prng_;
};

}  // namespace bft::fuzz

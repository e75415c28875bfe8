// What a simulated transaction does: it reads and writes rows of all its partitions, and its result
// depends on everything that was read, so that any other order shows.
#pragma once

#include "consensus/messages.hpp"

#include <array>
#include <functional>
#include <map>

namespace bft::sim {

/// A partition's rows.
using Rows = std::array<std::uint64_t, 4>;

inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
    std::uint64_t z = a * 0x9e3779b97f4a7c15u + b + 0x632be59bd9b4e019u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

struct Effect {
    consensus::Outcome outcome = consensus::Outcome::ok;
    std::uint32_t code = 0;
    std::uint64_t value = 0;  ///< the result
};

/// op = any bytes. Every fourth transaction aborts by rule, which leaves the rows alone.
inline Effect run(const consensus::Request& request, UnixMillis ts, std::uint64_t seed,
                  const std::function<Rows&(PartitionId)>& rows) {
    std::uint64_t seen = mix(ts, seed);
    for (std::uint8_t byte : request.op) seen = mix(seen, byte);
    seen = mix(seen, mix(request.id.client.value, request.id.cseq.value));
    for (PartitionId p : request.parts)
        for (std::uint64_t row : rows(p)) seen = mix(seen, row);
    if (seen % 4 == 0)
        return {consensus::Outcome::aborted, static_cast<std::uint32_t>(1 + seen / 4 % 5), 0};
    for (PartitionId p : request.parts) {
        std::uint64_t& row = rows(p)[(seen >> 8) % 4];
        row = mix(row, mix(seen, p.value));
    }
    return {consensus::Outcome::ok, 0, seen};
}

inline Bytes encode(std::uint64_t value) {
    Bytes bytes(8);
    for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<std::uint8_t>(value >> (8 * i));
    return bytes;
}

}  // namespace bft::sim

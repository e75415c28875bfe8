// Bounds that the decoder enforces before it allocates anything (protocol.md 3.19). They equal the
// defaults of consensus::MessageLimits: the Verifier may be configured to be stricter, never
// looser.
#pragma once

#include "consensus/verify.hpp"

#include <cstddef>
#include <cstdint>

namespace bft::wire {

inline constexpr consensus::MessageLimits message_limits{};

/// F_max: a frame's payload, without its four bytes of length.
inline constexpr std::size_t frame_bytes_max = 16 * 1024 * 1024;
/// A request's raw bytes: op, up to 64 partitions, and the numbers around them.
inline constexpr std::size_t raw_bytes_max = message_limits.op_bytes + 1024;
/// A certificate of the trusted component, whatever its construction (A4s needs less than 1.5 KiB).
inline constexpr std::size_t certificate_bytes_max = 8 * 1024;
/// An Ed25519 signature has 64; the Verifier refuses every other length.
inline constexpr std::size_t signature_bytes_max = 128;
/// Levels of a Merkle tree over `bundle_count` requests, and one to spare.
inline constexpr std::size_t path_length_max = 11;
/// Positions in one group (2f+1).
inline constexpr std::size_t group_size_max = 64;
/// Primary-capable nodes.
inline constexpr std::size_t primaries_max = 64;
/// Of a cluster; and a configuration that names them all.
inline constexpr std::size_t groups_max = 1024;
inline constexpr std::size_t configuration_bytes_max = 1024 * 1024;
/// VIEW-CHANGEs that a NEW-VIEW names: one of each replica of each group.
inline constexpr std::size_t view_changes_max = 4096;
/// A record of the own log; a snapshot holds a window for each client and home.
inline constexpr std::size_t record_bytes_max = 256 * 1024 * 1024;
inline constexpr std::size_t windows_max = 2 * 1024 * 1024;
/// Partitions that a voter's status may name.
inline constexpr std::size_t status_partitions_max = 65536;
/// A table's name.
inline constexpr std::size_t table_bytes_max = 64;
/// Bodies in one COMMIT-DB: every entry of a slot may have one.
inline constexpr std::size_t slot_bodies_max = message_limits.slot_entries;
/// Unsigned REPLYs in one frame.
inline constexpr std::size_t replies_max = 1024;
/// A request's raw bytes have at least so many: it names a client, a home, a number and a
/// partition.
inline constexpr std::size_t raw_bytes_min = 8;
/// The sentence in a REJECTED; longer ones are cut by the encoder and refused by the decoder.
inline constexpr std::size_t text_bytes_max = 512;

static_assert((std::size_t{1} << (path_length_max - 1)) >= message_limits.bundle_count);
static_assert(message_limits.result_bytes < frame_bytes_max);
static_assert(message_limits.chunk_bytes < frame_bytes_max);

}  // namespace bft::wire

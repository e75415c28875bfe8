// What the fuzzers and the unit test of the engines call with hostile bytes: one host of a small
// cluster is the attacker's, with its keys and its TPM, and so are the clients. Whatever it sends,
// the engines of another host must neither break an invariant nor give out what is not bounded.
#pragma once

#include "base/bytes.hpp"

namespace bft::fuzz {

/// The first byte chooses the attacker's host; then records: one byte below 200 and two of length
/// begin a frame to the engine, a byte from 200 on is time that passes. True when the engine took
/// a message.
bool engine_replica(ByteView bytes);
bool engine_primary(ByteView bytes);
bool engine_voter(ByteView bytes);
bool engine_guard(ByteView bytes);

}  // namespace bft::fuzz

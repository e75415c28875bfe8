// What the fuzzer of snapshot files calls: they come from backups, by whatever way.
#pragma once

#include "base/bytes.hpp"

namespace bft::fuzz {

/// Reads `bytes` as a whole snapshot; true when it is one.
bool snapshot_file(ByteView bytes);
/// A small snapshot.
Bytes small_snapshot();

}  // namespace bft::fuzz

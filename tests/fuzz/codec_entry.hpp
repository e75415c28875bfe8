// What the fuzzers and the unit test of the codec call with hostile bytes.
#pragma once

#include "base/bytes.hpp"

namespace bft::fuzz {

/// Each decodes `bytes`; what is accepted must survive encoding and decoding unchanged, or the
/// process aborts. True when the bytes were accepted.
bool frame(ByteView bytes);
bool record(ByteView bytes);
bool request(ByteView bytes);

}  // namespace bft::fuzz

// What the fuzzers and the unit test of the HTTP side call with hostile bytes. Each aborts when a
// rule is broken; true when the bytes were accepted.
#pragma once

#include "base/bytes.hpp"

namespace bft::fuzz {

/// A connection: the first byte says in pieces of which size it comes; in one piece the rest must
/// mean the same.
bool http_connection(ByteView bytes);
/// The body of /v1/transactions.
bool json_requests(ByteView bytes);
/// The body of /v1/call; the first byte chooses the procedure.
bool json_arguments(ByteView bytes);
bool json_receipt(ByteView bytes);

}  // namespace bft::fuzz

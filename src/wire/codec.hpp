// Bytes to plain structs and back (docs/protocol.md, "Messages on the wire"; schema in
// proto/bftnode/wire.proto). A frame's payload is what encode() gives; net/ puts the length before
// it.
//
// decode() takes hostile bytes: lists and byte strings are bounded before anything is allocated,
// and unknown fields, unknown enumerators and repeated single fields are errors. It says nothing
// about truth: digests, certificates, signatures and memberships are the Verifier's.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "consensus/engine.hpp"
#include "consensus/messages.hpp"
#include "wire/limits.hpp"

namespace bft::wire {

[[nodiscard]] Bytes encode(const consensus::Message& message);
/// The same message for each of `to`: what they share is encoded once.
[[nodiscard]] std::vector<Bytes> encode(const consensus::Endpoint& from,
                                        const std::vector<consensus::Endpoint>& to,
                                        const consensus::Payload& payload);
/// Errc::malformed, with the place, for everything that encode() would not have written.
[[nodiscard]] Result<consensus::Message> decode(ByteView frame);

/// One record of the durable log. Bodies come back with fields and rd computed from their raw
/// bytes.
[[nodiscard]] Bytes encode_record(const consensus::LogRecord& record);
[[nodiscard]] Result<consensus::LogRecord> decode_record(ByteView record);

/// What a client signs, and what travels verbatim from then on: id, ack_low, parts, read_only, op.
[[nodiscard]] Bytes encode_request(const consensus::Request& request);
/// The fields of `raw`, `raw` itself and rd; bundle and signature stay empty. Order and uniqueness
/// of the parts are the Verifier's to check.
[[nodiscard]] Result<consensus::Request> decode_request(ByteView raw);

}  // namespace bft::wire

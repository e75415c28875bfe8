// Every kind of payload, to and from its place in a Frame. To add one: a message and a oneof field
// in wire.proto, its shape in shapes.cpp, write_to() in payloads.cpp, and read() and its case in
// payloads_read.cpp.
#pragma once

#include "wire/parts.hpp"

namespace bft::wire {

void write_payload(const consensus::Payload& in, pb::Frame* out);
[[nodiscard]] Fault read_payload(const pb::Frame& in, consensus::Payload& out);

}  // namespace bft::wire

// Every kind of record of the durable log, to and from its place in a Record.
#pragma once

#include "consensus/engine.hpp"
#include "wire/parts.hpp"

namespace bft::wire {

void write_record(const consensus::LogRecord& in, pb::Record* out);
[[nodiscard]] Fault read_record(const pb::Record& in, consensus::LogRecord& out);

}  // namespace bft::wire

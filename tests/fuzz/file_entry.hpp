// What the fuzzers of files call: configuration, cluster file, topology and an application's
// catalog come from people and from other hosts' folders.
#pragma once

#include "base/bytes.hpp"

namespace bft::fuzz {

/// Each parses `bytes` as one kind of file; true when nothing is wrong with it.
bool file_node(ByteView bytes);
bool file_cluster(ByteView bytes);
bool file_topology(ByteView bytes);
/// An application's catalog.toml, schema.sql and procedures.sql, with a zero byte between them.
bool file_catalog(ByteView bytes);

}  // namespace bft::fuzz

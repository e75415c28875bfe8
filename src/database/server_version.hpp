// What is known to be wrong with versions of the database server.
#pragma once

#include <string>

namespace bft::database {

/// A sentence about how this server's answers may differ from those of another one that runs the
/// same calls, and what to do; empty: nothing is known. `version` as the server says it.
std::string determinism_hole(const std::string& version);

}  // namespace bft::database

// What an error of the server means: a rule of the application, the same on every database, or an
// accident of this one (protocol.md V6).
#pragma once

#include "database/abort_code.hpp"
#include "database/session.hpp"

namespace bft::database {

enum class Verdict : std::uint8_t {
    abort,      ///< deterministic: recorded, with a code of ours
    retry,      ///< an accident, or unknown: run the transaction again, never record it
    disk_full,  ///< the same; an operator has to make room
    lost,       ///< the same, with another connection
};

struct Meaning {
    Verdict verdict = Verdict::retry;
    AbortCode code = AbortCode::none;  ///< for abort; application(n) as a number
    [[nodiscard]] std::uint32_t number() const { return static_cast<std::uint32_t>(code); }
};

/// Of an error that a CALL of a registered procedure failed with. Whatever is not known to be
/// deterministic is taken for an accident.
Meaning classify(const SqlError& failure);

/// Something that must exist is missing or unreadable: a table, a procedure, the database.
[[nodiscard]] bool is_damage(const SqlError& failure);

}  // namespace bft::database

// A digest of everything that databases must have in common: used to compare them.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "database/session.hpp"

#include <map>
#include <string>

namespace bft::database {

struct TableDigest {
    std::uint64_t rows = 0;
    Digest digest;  ///< over the columns' names and all values in primary-key order

    bool operator==(const TableDigest&) const = default;
};

struct StateDigest {
    std::map<std::string, TableDigest> tables;

    bool operator==(const StateDigest&) const = default;
    /// One digest over all tables.
    [[nodiscard]] Digest root() const;
    /// The tables in which two databases differ.
    [[nodiscard]] std::vector<std::string> differences(const StateDigest& other) const;
};

/// Scans every table of the session's database in one consistent snapshot, except cbft_meta, which
/// says whose database it is. A session used for this must not be used for execution afterwards.
Result<StateDigest> state_digest(Session& session);

}  // namespace bft::database

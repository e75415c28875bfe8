// TPC-C's consistency conditions (clause 3.3.2) on one database, and the comparison of databases
// row by row.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "session.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace bft::tpcc {

struct Condition {
    int number;                   ///< of clause 3.3.2.N
    std::string_view states;      ///< what must hold
    std::string_view violations;  ///< SQL: one row, with the key first, for each violation
};
extern const std::array<Condition, 12> conditions;

struct ConditionResult {
    std::uint64_t violations = 0;
    std::string example;  ///< the first violation's row
};

/// All twelve, in order.
Result<std::vector<ConditionResult>> check_conditions(const Login& login);

/// A table's rows of one warehouse, or all rows of a table without warehouses.
struct Slice {
    std::string table;
    int warehouse = 0;  ///< 0: the whole table

    auto operator<=>(const Slice&) const = default;
};

struct SliceDigest {
    Digest digest;
    std::uint64_t rows = 0;

    bool operator==(const SliceDigest&) const = default;
};

/// Digests of all slices: TPC-C's tables by warehouse, `item`, and the executor's bookkeeping
/// (cbft_part, cbft_exec, cbft_win) where it exists. All of one snapshot.
Result<std::map<Slice, SliceDigest>> digest_slices(const Login& login);

/// Describes the first row in primary-key order that differs between two databases.
Result<std::string> first_difference(const Login& a, const Login& b, const Slice& slice);

/// The next sequence number of each partition; empty when nothing was executed by a cluster here.
Result<std::map<std::string, std::string>> executed_up_to(const Login& login);

}  // namespace bft::tpcc

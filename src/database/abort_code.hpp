// Why a transaction was aborted by rule: numbers of ours, never the engine's text, because the code
// is part of the answer on which databases must agree (protocol.md V6).
#pragma once

#include <cstdint>
#include <string>

namespace bft::database {

enum class AbortCode : std::uint32_t {
    none = 0,
    malformed_call = 1,     ///< the operation is no encoding of a call
    unknown_procedure = 2,  ///< the catalog has no procedure of that name
    bad_arguments = 3,      ///< the arguments do not fit the catalog's parameters
    partition_guard = 4,    ///< the call touches a partition that the request does not declare (V7)
    result_too_large = 5,   ///< more than catalog::kResultBytesMax, or another bound of results
    inexact_result = 6,     ///< a result column is FLOAT or DOUBLE
    not_read_only = 7,      ///< the request says read-only, the procedure writes
    unique_violation = 20,
    foreign_key_violation = 21,
    null_violation = 22,
    check_violation = 23,
    constraint_violation = 24,  ///< any other of SQLSTATE class 23
    division_by_zero = 30,
    numeric_out_of_range = 31,
    data_too_long = 32,
    bad_value = 33,    ///< any other of SQLSTATE class 22
    cardinality = 40,  ///< a subquery or SELECT INTO had more than one row
    no_data = 41,      ///< a cursor or SELECT INTO had no row, and nobody handled it
    case_not_found = 42,
    recursion_limit = 43,
    unhandled_condition = 44,  ///< SIGNAL of a state that is not 45000
    invalid_statement = 45,    ///< a statement of the procedure that the fixed sql_mode refuses

    /// A procedure's own: SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = n gives application + n;
    /// n is 1644 when the procedure does not set it.
    application = 100000,
};

constexpr std::uint32_t number(AbortCode code) {
    return static_cast<std::uint32_t>(code);
}
constexpr std::uint32_t application_code(std::uint32_t mysql_errno) {
    return number(AbortCode::application) + mysql_errno;
}

/// For people: "partition_guard", "application 1001".
std::string describe_abort(std::uint32_t code);

}  // namespace bft::database

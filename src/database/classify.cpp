#include "database/classify.hpp"

#include <algorithm>

namespace bft::database {
namespace {

struct Known {
    unsigned number;
    AbortCode code;
};

// Numbers that both servers use in the same sense.
constexpr Known kDeterministic[] = {
    {1062, AbortCode::unique_violation},       // ER_DUP_ENTRY
    {1586, AbortCode::unique_violation},       // ER_DUP_ENTRY_WITH_KEY_NAME
    {1022, AbortCode::unique_violation},       // ER_DUP_KEY
    {1216, AbortCode::foreign_key_violation},  // ER_NO_REFERENCED_ROW
    {1217, AbortCode::foreign_key_violation},  // ER_ROW_IS_REFERENCED
    {1451, AbortCode::foreign_key_violation},  // ER_ROW_IS_REFERENCED_2
    {1452, AbortCode::foreign_key_violation},  // ER_NO_REFERENCED_ROW_2
    {1048, AbortCode::null_violation},         // ER_BAD_NULL_ERROR
    {1364, AbortCode::null_violation},         // ER_NO_DEFAULT_FOR_FIELD
    {3819, AbortCode::check_violation},        // MySQL: ER_CHECK_CONSTRAINT_VIOLATED
    {4025, AbortCode::check_violation},        // MariaDB: ER_CONSTRAINT_FAILED
    {1365, AbortCode::division_by_zero},       // ER_DIVISION_BY_ZERO
    {1264, AbortCode::numeric_out_of_range},   // ER_WARN_DATA_OUT_OF_RANGE
    {1690, AbortCode::numeric_out_of_range},   // ER_DATA_OUT_OF_RANGE
    {1406, AbortCode::data_too_long},          // ER_DATA_TOO_LONG
    {1265, AbortCode::bad_value},              // WARN_DATA_TRUNCATED, an error in strict mode
    {1292, AbortCode::bad_value},              // ER_TRUNCATED_WRONG_VALUE
    {1366, AbortCode::bad_value},              // ER_TRUNCATED_WRONG_VALUE_FOR_FIELD
    {1367, AbortCode::bad_value},              // ER_ILLEGAL_VALUE_FOR_TYPE
    {1411, AbortCode::bad_value},              // ER_WRONG_VALUE_FOR_TYPE
    {1172, AbortCode::cardinality},            // ER_TOO_MANY_ROWS
    {1242, AbortCode::cardinality},            // ER_SUBQUERY_NO_1_ROW
    {1329, AbortCode::no_data},                // ER_SP_FETCH_NO_DATA
    {1339, AbortCode::case_not_found},         // ER_SP_CASE_NOT_FOUND
    {1456, AbortCode::recursion_limit},        // ER_SP_RECURSION_LIMIT
    {1055, AbortCode::invalid_statement},      // ER_WRONG_FIELD_WITH_GROUP
    {1140, AbortCode::invalid_statement},      // ER_MIX_OF_GROUP_FUNC_AND_FIELDS
    {1642, AbortCode::unhandled_condition},    // ER_SIGNAL_WARN
    {1643, AbortCode::unhandled_condition},    // ER_SIGNAL_NOT_FOUND
    {1644, AbortCode::unhandled_condition},    // ER_SIGNAL_EXCEPTION
};

// 1030 is "got error N from storage engine"; only its text says which.
bool is_disk_full(const SqlError& failure) {
    static constexpr unsigned kFull[] = {3, 20, 1021, 1026, 1114};
    if (std::find(std::begin(kFull), std::end(kFull), failure.number) != std::end(kFull))
        return true;
    return (failure.number == 1030 || failure.number == 1180) &&
           (failure.text.find(" 28 ") != std::string::npos ||
            failure.text.find("No space left") != std::string::npos);
}

}  // namespace

Meaning classify(const SqlError& failure) {
    if (failure.lost()) return {Verdict::lost};
    // A procedure's own decision. The server itself never uses this state.
    if (failure.state == "45000")
        return {Verdict::abort, static_cast<AbortCode>(application_code(failure.number))};
    if (is_disk_full(failure)) return {Verdict::disk_full};
    for (const auto& known : kDeterministic)
        if (known.number == failure.number) return {Verdict::abort, known.code};
    // MariaDB's JSON functions and JSON_TABLE complain about their input in the general state.
    if ((failure.number >= 4035 && failure.number <= 4045) ||
        (failure.number >= 4174 && failure.number <= 4179))
        return {Verdict::abort, AbortCode::bad_value};
    // By the standard's classes: 21 cardinality, 22 data exception, 23 constraint, 02 no data. All
    // other classes, and what is new to us, may be about this one server.
    std::string_view type = std::string_view(failure.state).substr(0, 2);
    if (type == "22") return {Verdict::abort, AbortCode::bad_value};
    if (type == "23") return {Verdict::abort, AbortCode::constraint_violation};
    if (type == "21") return {Verdict::abort, AbortCode::cardinality};
    if (type == "02") return {Verdict::abort, AbortCode::no_data};
    return {Verdict::retry};
}

bool is_damage(const SqlError& failure) {
    static constexpr unsigned kDamage[] = {
        126,  127,  134,  144, 145,  // of the engine: wrong index, record file, crashed table
        1033, 1034, 1035,            // ER_NOT_FORM_FILE, ER_NOT_KEYFILE, ER_OLD_KEYFILE
        1046, 1049,                  // ER_NO_DB_ERROR, ER_BAD_DB_ERROR
        1054, 1146,                  // ER_BAD_FIELD_ERROR, ER_NO_SUCH_TABLE
        1194, 1195,                  // ER_CRASHED_ON_USAGE, ER_CRASHED_ON_REPAIR
        1305,                        // ER_SP_DOES_NOT_EXIST
        1712,                        // ER_INDEX_CORRUPT
        1812, 1813, 1814,            // tablespaces
        1932,                        // MariaDB: ER_NO_SUCH_TABLE_IN_ENGINE
        1877,                        // ER_TABLE_CORRUPT
    };
    return std::find(std::begin(kDamage), std::end(kDamage), failure.number) != std::end(kDamage);
}

}  // namespace bft::database

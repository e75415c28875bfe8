#include "database/abort_code.hpp"

namespace bft::database {

std::string describe_abort(std::uint32_t code) {
    if (code >= number(AbortCode::application))
        return "application " + std::to_string(code - number(AbortCode::application));
    switch (static_cast<AbortCode>(code)) {
        case AbortCode::none:
            return "none";
        case AbortCode::malformed_call:
            return "malformed_call";
        case AbortCode::unknown_procedure:
            return "unknown_procedure";
        case AbortCode::bad_arguments:
            return "bad_arguments";
        case AbortCode::partition_guard:
            return "partition_guard";
        case AbortCode::result_too_large:
            return "result_too_large";
        case AbortCode::inexact_result:
            return "inexact_result";
        case AbortCode::not_read_only:
            return "not_read_only";
        case AbortCode::unique_violation:
            return "unique_violation";
        case AbortCode::foreign_key_violation:
            return "foreign_key_violation";
        case AbortCode::null_violation:
            return "null_violation";
        case AbortCode::check_violation:
            return "check_violation";
        case AbortCode::constraint_violation:
            return "constraint_violation";
        case AbortCode::division_by_zero:
            return "division_by_zero";
        case AbortCode::numeric_out_of_range:
            return "numeric_out_of_range";
        case AbortCode::data_too_long:
            return "data_too_long";
        case AbortCode::bad_value:
            return "bad_value";
        case AbortCode::cardinality:
            return "cardinality";
        case AbortCode::no_data:
            return "no_data";
        case AbortCode::case_not_found:
            return "case_not_found";
        case AbortCode::recursion_limit:
            return "recursion_limit";
        case AbortCode::unhandled_condition:
            return "unhandled_condition";
        case AbortCode::invalid_statement:
            return "invalid_statement";
        case AbortCode::application:
            break;
    }
    return "code " + std::to_string(code);
}

}  // namespace bft::database

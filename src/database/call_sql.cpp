#include "database/call_sql.hpp"

#include "base/invariant.hpp"
#include "base/prng.hpp"
#include "database/abort_code.hpp"

#include <fmt/chrono.h>

#include <algorithm>
#include <chrono>

namespace bft::database {
namespace {

std::string literal(const catalog::Parameter& parameter, const catalog::Argument& argument) {
    if (const auto* integer = std::get_if<std::int64_t>(&argument)) return std::to_string(*integer);
    if (const auto* rows = std::get_if<catalog::Rows>(&argument))
        return quote_text(catalog::to_json(*rows));
    const auto* text = std::get_if<std::string>(&argument);
    if (text == nullptr) return "NULL";
    // Canonical by check_call(): digits, one point, perhaps a sign.
    if (parameter.type == catalog::Type::decimal) return *text;
    return quote_text(*text);
}

// SET timestamp=0 means the server's clock, and what is beyond 2038 is an error: a primary that
// proposes such a time must neither choose the clock nor stop the databases.
constexpr UnixMillis kTimeMin = 1000;
constexpr UnixMillis kTimeMax = 2147483646999;

UnixMillis time_of(const consensus::DbItem& item) {
    return std::clamp(item.ts_ms, kTimeMin, kTimeMax);
}

std::string arguments_json(const catalog::Call& call) {
    std::string json = "[";
    for (const catalog::Argument& argument : call.arguments) {
        if (json.size() > 1) json += ',';
        if (const auto* rows = std::get_if<catalog::Rows>(&argument)) {
            json += catalog::to_json(*rows);
            continue;
        }
        catalog::Row row(1);
        if (const auto* integer = std::get_if<std::int64_t>(&argument)) row[0] = *integer;
        if (const auto* text = std::get_if<std::string>(&argument)) row[0] = *text;
        // [[value]] without the outer brackets.
        std::string value = catalog::to_json({std::move(row)});
        json.append(value, 2, value.size() - 4);
    }
    return json + ']';
}

}  // namespace

std::string time_text(const consensus::DbItem& item) {
    const std::chrono::sys_time<std::chrono::milliseconds> at{
        std::chrono::milliseconds(time_of(item))};
    return fmt::format("{:%Y-%m-%d %H:%M:%S}.{:03}", std::chrono::floor<std::chrono::seconds>(at),
                       time_of(item) % 1000);
}

std::string call_sql(const catalog::Application& application, const catalog::Call& call) {
    const catalog::Procedure* procedure = application.procedure(call.procedure);
    invariant(procedure != nullptr && procedure->parameters.size() == call.arguments.size(),
              "only checked calls are executed");
    std::string sql = "CALL " + quote_name(procedure->name) + "(";
    for (std::size_t i = 0; i < call.arguments.size(); ++i) {
        if (i > 0) sql += ',';
        sql += literal(procedure->parameters[i], call.arguments[i]);
    }
    return sql + ")";
}

std::string environment_sql(const consensus::DbItem& item) {
    UnixMillis time = time_of(item);
    std::string fraction = std::to_string(1000 + time % 1000).substr(1);
    // Entries of one slot share its seed; each gets a sequence of its own.
    std::uint64_t seed = Prng(item.seed + item.index).next();
    return "SET timestamp=" + std::to_string(time / 1000) + "." + fraction +
           ",rand_seed1=" + std::to_string(seed & 0x3fffffff) +
           ",rand_seed2=" + std::to_string(seed >> 32 & 0x3fffffff);
}

Prepared prepare(const catalog::Application& application, const consensus::Request& request) {
    auto fail = [](AbortCode code) { return Prepared{{}, number(code), nullptr, {}}; };
    auto call = catalog::decode_call(request.op);
    if (!call) return fail(AbortCode::malformed_call);
    auto checked = application.check_call(*call);
    if (!checked)
        return fail(checked.error().code == Errc::not_found ? AbortCode::unknown_procedure
                                                            : AbortCode::bad_arguments);
    auto touched = application.partitions_of(*call);
    if (!std::includes(request.parts.begin(), request.parts.end(), touched.begin(), touched.end()))
        return fail(AbortCode::partition_guard);
    if (request.read_only && !application.procedure(call->procedure)->read_only)
        return fail(AbortCode::not_read_only);
    const catalog::Procedure* procedure = application.procedure(call->procedure);
    return {call_sql(application, *call), 0, procedure,
            procedure->batch.empty() ? std::string() : arguments_json(*call)};
}

}  // namespace bft::database

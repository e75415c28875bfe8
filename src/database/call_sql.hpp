// The SQL texts of one ordered transaction.
#pragma once

#include "catalog/application.hpp"
#include "consensus/messages.hpp"
#include "database/session.hpp"

#include <string>

namespace bft::database {

/// "CALL `name`(...)" with every argument as a literal. Requires that the application's
/// check_call() accepts the call.
std::string call_sql(const catalog::Application& application, const catalog::Call& call);

/// The time that the order gives to this item, in UTC: "2026-11-21 14:03:00.250".
std::string time_text(const consensus::DbItem& item);

/// Sets the time and the random seed that the order gives to this item (V8).
std::string environment_sql(const consensus::DbItem& item);

/// What a request's operation is, judged before the database is asked: the same on every voter.
struct Prepared {
    std::string sql;                                ///< empty when `code` is set
    std::uint32_t code = 0;                         ///< an AbortCode
    const catalog::Procedure* procedure = nullptr;  ///< unless `code` is set
    std::string arguments;  ///< as JSON, for its batch form; empty when it has none
};
/// Decodes the call, checks it against the catalog and the partitions it touches against those that
/// the request declares (V7).
Prepared prepare(const catalog::Application& application, const consensus::Request& request);

}  // namespace bft::database

// TPC-C's five transactions as an application without stored procedures writes them: a statement a
// step, rows fetched and written in sets where SQL lets it, the logic in the application. The
// baseline of "the ordinary way"; the same calls leave the same rows as
// config/apps/tpcc/procedures.sql.
#pragma once

#include "session.hpp"

#include <bftnode/client.hpp>
#include <map>

namespace bft::tpcc {

using TextRows = std::vector<TextRow>;

class Statements {
public:
    /// Prepared once per connection and statement, or sent as text each time.
    Statements(Session& session, bool prepared) : session_(session), prepared_(prepared) {}

    /// BEGIN to COMMIT, and the answer's rows in the shape that the procedure of this name gives.
    /// On a failure nothing is rolled back, and failure() says why: with SQLSTATE 45000 and the
    /// procedure's code where the application itself aborts.
    Result<void> run(std::string_view procedure, const std::vector<bftnode::Value>& args,
                     std::vector<bftnode::Rows>& answer);
    [[nodiscard]] ServerError failure() const { return abort_ ? *abort_ : session_.last_error(); }

private:
    struct Line {
        std::int64_t item = 0, supply = 0, quantity = 0;
        std::int64_t amount_cents = 0, left = 0;
        TextRow item_row, stock_row;  ///< as read by items() and stock()
    };

    Error aborted(unsigned code);
    Result<TextRows> query(const std::string& sql, const std::vector<Param>& params);
    Result<void> execute(const std::string& sql, const std::vector<Param>& params);
    Result<TextRow> one(const std::string& sql, const std::vector<Param>& params);

    Result<void> new_order(const std::vector<bftnode::Value>& args,
                           std::vector<bftnode::Rows>& answer);
    Result<void> items(std::vector<Line>& lines);
    Result<void> stock(std::vector<Line>& lines, std::int64_t warehouse, std::int64_t district);
    Result<void> order_lines(const std::vector<Line>& lines, std::int64_t warehouse,
                             std::int64_t district, std::int64_t order);
    Result<void> payment(const std::vector<bftnode::Value>& args,
                         std::vector<bftnode::Rows>& answer);
    Result<void> order_status(const std::vector<bftnode::Value>& args,
                              std::vector<bftnode::Rows>& answer);
    Result<void> delivery(const std::vector<bftnode::Value>& args,
                          std::vector<bftnode::Rows>& answer);
    Result<void> stock_level(const std::vector<bftnode::Value>& args,
                             std::vector<bftnode::Rows>& answer);
    /// The customer with that id, or with id 0 the middle one of that name.
    Result<std::int64_t> customer(std::int64_t warehouse, std::int64_t district, std::int64_t id,
                                  const std::string& last);

    Session& session_;
    bool prepared_;
    std::optional<ServerError> abort_;
    std::map<std::string, Session::Prepared> ready_;
};

}  // namespace bft::tpcc

// One connection to a MariaDB or MySQL server by unix socket, for the loader, the checker and the
// baseline. Blocking; one thread at a time.
#pragma once

#include "base/result.hpp"

#include <mysql.h>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace bft::tpcc {

struct Login {
    std::string socket;
    std::string user = "root";
    std::string password;
    std::string database;  ///< empty: none chosen
};

/// A row while it is read: one view per column, nullopt for NULL. Valid in the callback only.
using RowView = std::span<const std::optional<std::string_view>>;
using TextRow = std::vector<std::optional<std::string>>;

/// What the server said about a failed statement.
struct ServerError {
    unsigned number = 0;
    std::string sqlstate;
    std::string text;
};

/// A value for one '?' of a statement.
using Param = std::variant<std::int64_t, std::string>;

class Session {
    struct CloseStatement {
        void operator()(MYSQL_STMT* handle) const { mysql_stmt_close(handle); }
    };

public:
    /// A statement that the server has parsed; belongs to its session.
    using Prepared = std::unique_ptr<MYSQL_STMT, CloseStatement>;

    static Result<Session> connect(const Login& login);

    /// Runs one statement and drops its results.
    Result<void> run(std::string_view sql);
    /// Runs one statement and calls `row` for each row of all of its result sets, as they arrive.
    /// `set_begins` (may be empty) gets the column types first.
    Result<void> read(std::string_view sql, const std::function<void(RowView)>& row,
                      const std::function<void(std::span<const MYSQL_FIELD>)>& set_begins = {});
    /// All rows in memory.
    Result<std::vector<TextRow>> rows(std::string_view sql);
    /// The one value that a statement returns; "" for NULL.
    Result<std::string> value(std::string_view sql);
    Result<Prepared> prepare(std::string_view sql);
    /// All rows, as texts of at most 1,000 bytes each.
    Result<std::vector<TextRow>> rows(Prepared& statement, std::span<const Param> params);
    /// LOAD DATA LOCAL INFILE 'x' ...; `next` refills its argument, and leaves it empty at the end.
    Result<void> load(std::string_view sql, const std::function<void(std::string&)>& next);

    [[nodiscard]] std::string quoted(std::string_view text) const;
    /// About the statement that failed last.
    [[nodiscard]] const ServerError& last_error() const { return last_error_; }

private:
    struct Close {
        void operator()(MYSQL* handle) const { mysql_close(handle); }
    };

    explicit Session(MYSQL* handle) : handle_(handle) {}
    Error failed(std::string_view sql);
    Error failed(const Prepared& statement);
    /// Reads the current result set, if there is one.
    bool read_set(const std::function<void(RowView)>& row,
                  const std::function<void(std::span<const MYSQL_FIELD>)>& set_begins);

    std::unique_ptr<MYSQL, Close> handle_;
    ServerError last_error_;
};

}  // namespace bft::tpcc

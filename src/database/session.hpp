// One connection to MariaDB or MySQL, with the settings on which determinism rests fixed and
// verified (database.md, "Determinism", in the session).
#pragma once

#include "base/result.hpp"

#include <mysql.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bft::database {

enum class Server : std::uint8_t { mariadb_10_11, mysql_8 };
const char* to_string(Server server);

struct ConnectOptions {
    std::string socket;  ///< path of the unix socket; empty: TCP
    std::string host = "127.0.0.1";
    std::uint16_t port = 3306;
    std::string user = "root";
    std::string password;
    std::string database;  ///< empty: none is selected
    Server server = Server::mariadb_10_11;
    std::chrono::seconds connect_timeout{5};
    /// No answer for so long means a lost connection. Longer than any transaction may take.
    std::chrono::seconds answer_timeout{60};
    std::chrono::seconds lock_wait{5};
    /// The server ends a session that is silent for so long, and with it the locks it may hold.
    std::chrono::seconds idle_timeout{28800};
};

/// What the server said, unchanged. Only classify() decides what it means.
struct SqlError {
    unsigned number = 0;
    std::string state;  ///< five characters
    std::string text;   ///< for logs only

    /// The connection is of no more use.
    [[nodiscard]] bool lost() const;
};

/// A row as the text protocol gives it; nullopt is NULL.
using TextRow = std::vector<std::optional<std::string>>;

class Session {
public:
    /// Connects, fixes the session's settings and verifies them, the server's version included.
    /// Errc::unavailable: nobody listens there, or it is not ready yet; Errc::refused: access
    /// denied, unknown database, or a version or setting that is not supported. The sentence says
    /// what to do.
    static Result<Session> connect(const ConnectOptions& options);

    Session(Session&&) noexcept = default;
    Session& operator=(Session&&) noexcept = default;

    /// Sends one or several statements in one round trip. Then next() until the answers are read; a
    /// failure to send is the first of them.
    void send(std::string_view sql);
    /// What of the answer to the last send() comes next.
    enum class Part : std::uint8_t { result_set, ok, end, failed };
    /// After result_set, the rows must have been read by read_rows() before the next call. `end`
    /// means that the batch is over; `failed` that the server stopped at this statement.
    Part next();
    /// Of the last `failed`.
    [[nodiscard]] const SqlError& last_error() const { return error_; }
    [[nodiscard]] unsigned columns() const;
    [[nodiscard]] enum_field_types column_type(unsigned column) const;
    /// Streams the rows of the current result set. False when the connection broke: last_error().
    bool read_rows(const std::function<void(MYSQL_ROW, const unsigned long* lengths)>& row);
    /// Whether the server says that a transaction is open.
    [[nodiscard]] bool in_transaction() const;

    /// Runs all statements, dropping what they return.
    [[nodiscard]] Result<void> run(std::string_view sql);
    /// Runs one statement and returns the rows of its first result set.
    [[nodiscard]] Result<std::vector<TextRow>> query(std::string_view sql);
    /// One value of one row; nullopt when there is no row or it is NULL.
    [[nodiscard]] Result<std::optional<std::string>> value(std::string_view sql);

    /// The server's number for this connection (KILL).
    [[nodiscard]] unsigned long id() const;
    [[nodiscard]] const std::string& version() const { return version_; }
    [[nodiscard]] const ConnectOptions& options() const { return options_; }

private:
    struct Close {
        void operator()(MYSQL* handle) const { mysql_close(handle); }
    };

    Session(std::unique_ptr<MYSQL, Close> handle, ConnectOptions options)
        : handle_(std::move(handle)), options_(std::move(options)) {}
    Result<void> fix_settings();
    Result<void> check_version();
    Result<void> verify_settings();
    void note_error();

    std::unique_ptr<MYSQL, Close> handle_;
    ConnectOptions options_;
    std::string version_;
    SqlError error_;
    enum class Sent : std::uint8_t { nothing, answered, failed };
    Sent sent_ = Sent::nothing;  ///< what mysql_real_query() said and next() has not looked at
    struct FreeResult {
        void operator()(MYSQL_RES* r) const { mysql_free_result(r); }
    };
    std::unique_ptr<MYSQL_RES, FreeResult> rows_;
};

/// "`name`", with backticks doubled.
std::string quote_name(std::string_view name);
/// A string literal: in quotes when it is harmless, in hexadecimal otherwise.
std::string quote_text(std::string_view text);
/// A binary literal, always in hexadecimal.
std::string quote_bytes(std::span<const std::uint8_t> bytes);

}  // namespace bft::database

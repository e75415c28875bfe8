#include "database/session.hpp"

#include "base/bytes.hpp"

#include <algorithm>
#include <errmsg.h>
#include <mutex>
#include <set>
#include <sstream>

namespace bft::database {
namespace {

// Strict, and the same for every session: a procedure keeps the sql_mode of the session that
// creates it. ONLY_FULL_GROUP_BY refuses values of a row that nobody chose.
constexpr const char* kSqlMode =
    "STRICT_ALL_TABLES,ONLY_FULL_GROUP_BY,NO_ZERO_IN_DATE,NO_ZERO_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION";

// What results may depend on. Both servers have these.
struct Setting {
    const char* name;
    const char* value;
};
constexpr Setting kSettings[] = {
    {"time_zone", "+00:00"},
    {"autocommit", "1"},
    {"div_precision_increment", "4"},
    {"group_concat_max_len", "1048576"},
    {"default_week_format", "0"},
    {"lc_time_names", "en_US"},
    {"max_sort_length", "1024"},
    {"max_sp_recursion_depth", "0"},
    {"sql_safe_updates", "0"},
    {"sql_big_selects", "1"},
    {"unique_checks", "1"},
    {"foreign_key_checks", "1"},
    {"auto_increment_increment", "1"},
    {"auto_increment_offset", "1"},
    {"character_set_client", "utf8mb4"},
    {"character_set_connection", "utf8mb4"},
    {"character_set_results", "utf8mb4"},
    {"collation_connection", "utf8mb4_bin"},
};
constexpr std::uint64_t kPacketBytesMin = 16 * 1024 * 1024;

std::string where(const ConnectOptions& options) {
    if (!options.socket.empty()) return options.socket;
    return options.host + ":" + std::to_string(options.port);
}

Error connect_error(const ConnectOptions& options, unsigned number, const std::string& text) {
    std::string at = "database at " + where(options) + ": ";
    switch (number) {
        case 1045:
        case 1698:
            return error(Errc::refused, at + "access denied for user '" + options.user +
                                            "': correct user and password in [database]");
        case 1044:
            return error(Errc::refused, at + "user '" + options.user + "' has no rights on '" +
                                            options.database + "': GRANT ALL on it");
        case 1049:
            return error(Errc::not_found, at + "there is no database '" + options.database +
                                              "': create it, or correct its name");
        case CR_CONNECTION_ERROR:
        case CR_CONN_HOST_ERROR:
        case CR_UNKNOWN_HOST:
            return error(Errc::unavailable, at + "nobody answers (" + text +
                                                "): start the server, or correct [database]");
        default:
            return error(Errc::unavailable, at + text);
    }
}

std::set<std::string> split_at_commas(const std::string& text) {
    std::set<std::string> parts;
    std::istringstream in(text);
    for (std::string part; std::getline(in, part, ',');) parts.insert(part);
    return parts;
}

}  // namespace

const char* to_string(Server server) {
    return server == Server::mariadb_10_11 ? "MariaDB 10.11" : "MySQL 8";
}

bool SqlError::lost() const {
    return (number >= CR_MIN_ERROR && number <= CR_MAX_ERROR) || number == 1927 || number == 4031;
}

Result<Session> Session::connect(const ConnectOptions& options) {
    static std::once_flag once;  // the library's own initialization is not safe from two threads
    std::call_once(once, [] { mysql_library_init(0, nullptr, nullptr); });
    std::unique_ptr<MYSQL, Close> handle(mysql_init(nullptr));
    if (!handle) return error(Errc::exhausted, "database: out of memory");
    auto seconds = [&](mysql_option option, std::chrono::seconds value) {
        auto number = static_cast<unsigned>(value.count());
        mysql_optionsv(handle.get(), option, &number);
    };
    seconds(MYSQL_OPT_CONNECT_TIMEOUT, options.connect_timeout);
    seconds(MYSQL_OPT_READ_TIMEOUT, options.answer_timeout);
    seconds(MYSQL_OPT_WRITE_TIMEOUT, options.answer_timeout);
    mysql_optionsv(handle.get(), MYSQL_SET_CHARSET_NAME, "utf8mb4");
    // A server must not be able to read files of this host.
    unsigned off = 0;
    mysql_optionsv(handle.get(), MYSQL_OPT_LOCAL_INFILE, &off);
    bool tcp = options.socket.empty();
    if (mysql_real_connect(handle.get(), tcp ? options.host.c_str() : nullptr, options.user.c_str(),
                           options.password.c_str(),
                           options.database.empty() ? nullptr : options.database.c_str(),
                           tcp ? options.port : 0u, tcp ? nullptr : options.socket.c_str(),
                           CLIENT_MULTI_STATEMENTS | CLIENT_MULTI_RESULTS) == nullptr)
        return connect_error(options, mysql_errno(handle.get()), mysql_error(handle.get()));
    Session session(std::move(handle), options);
    if (auto checked = session.check_version(); !checked) return checked.error();
    if (auto fixed = session.fix_settings(); !fixed) return fixed.error();
    return session;
}

Result<void> Session::check_version() {
    auto version = value("SELECT VERSION()");
    if (!version) return version.error();
    version_ = version->value_or("");
    bool mariadb = version_.find("MariaDB") != std::string::npos;
    bool fits = options_.server == Server::mariadb_10_11 ? mariadb && version_.starts_with("10.11.")
                                                         : !mariadb && version_.starts_with("8.");
    if (!fits)
        return error(Errc::refused,
                     "database at " + where(options_) + ": its version is " + version_ + ", but " +
                         to_string(options_.server) +
                         " is configured: databases of one cluster must be of one tested version");
    return {};
}

Result<void> Session::fix_settings() {
    std::string sql =
        "SET NAMES utf8mb4 COLLATE utf8mb4_bin;"
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;SET SESSION sql_mode='";
    sql += kSqlMode;
    sql += "',innodb_lock_wait_timeout=" + std::to_string(options_.lock_wait.count());
    sql += ",wait_timeout=" + std::to_string(options_.idle_timeout.count());
    for (const auto& setting : kSettings) {
        bool number = std::string_view(setting.value).find_first_not_of("0123456789") ==
                      std::string_view::npos;
        const char* quote = number ? "" : "'";
        sql += std::string(",") + setting.name + "=" + quote + setting.value + quote;
    }
    if (auto set = run(sql); !set) return set;
    return verify_settings();
}

Result<void> Session::verify_settings() {
    bool mariadb = options_.server == Server::mariadb_10_11;
    std::string sql = "SELECT @@sql_mode,@@max_allowed_packet,@@innodb_rollback_on_timeout,";
    sql += mariadb ? "@@tx_isolation" : "@@transaction_isolation";
    for (const auto& setting : kSettings) sql += std::string(",@@") + setting.name;
    auto rows = query(sql);
    if (!rows) return rows.error();
    const auto& row = rows->front();
    auto refuse = [&](const std::string& name, const std::string& is, const std::string& wanted) {
        return error(Errc::refused, "database at " + where(options_) + ": " + name + " is '" + is +
                                        "' and cannot be set to '" + wanted +
                                        "', on which equal results rest");
    };
    if (split_at_commas(row[0].value_or("")) != split_at_commas(kSqlMode))
        return refuse("sql_mode", row[0].value_or(""), kSqlMode);
    if (std::stoull(row[1].value_or("0")) < kPacketBytesMin)
        return refuse("max_allowed_packet", row[1].value_or(""), "16777216 or more");
    if (row[3] != "READ-COMMITTED")
        return refuse("the isolation level", row[3].value_or(""), "READ-COMMITTED");
    std::size_t column = 4;
    for (const auto& setting : kSettings) {
        const auto& is = row[column++];
        if (is != setting.value) return refuse(setting.name, is.value_or("NULL"), setting.value);
    }
    return {};
}

void Session::note_error() {
    error_.number = mysql_errno(handle_.get());
    error_.state = mysql_sqlstate(handle_.get());
    error_.text = mysql_error(handle_.get());
}

void Session::send(std::string_view sql) {
    rows_.reset();
    bool failed = mysql_real_query(handle_.get(), sql.data(), sql.size()) != 0;
    if (failed) note_error();
    sent_ = failed ? Sent::failed : Sent::answered;
}

Session::Part Session::next() {
    rows_.reset();
    if (sent_ == Sent::failed) {
        sent_ = Sent::nothing;
        return Part::failed;
    }
    if (sent_ == Sent::nothing) {
        int more = mysql_next_result(handle_.get());
        if (more < 0) return Part::end;
        if (more > 0) {
            note_error();
            return Part::failed;
        }
    }
    sent_ = Sent::nothing;
    if (mysql_field_count(handle_.get()) == 0) return Part::ok;
    rows_.reset(mysql_use_result(handle_.get()));
    if (rows_) return Part::result_set;
    note_error();
    return Part::failed;
}

unsigned Session::columns() const {
    return mysql_field_count(handle_.get());
}

enum_field_types Session::column_type(unsigned column) const {
    return mysql_fetch_field_direct(rows_.get(), column)->type;
}

bool Session::read_rows(const std::function<void(MYSQL_ROW, const unsigned long*)>& row) {
    while (MYSQL_ROW fields = mysql_fetch_row(rows_.get()))
        row(fields, mysql_fetch_lengths(rows_.get()));
    if (mysql_errno(handle_.get()) == 0) return true;
    note_error();
    return false;
}

bool Session::in_transaction() const {
    unsigned status = 0;
    mariadb_get_infov(handle_.get(), MARIADB_CONNECTION_SERVER_STATUS, &status);
    return (status & SERVER_STATUS_IN_TRANS) != 0;
}

unsigned long Session::id() const {
    return mysql_thread_id(handle_.get());
}

namespace {
Error sql_error(const SqlError& failure) {
    return error(failure.lost() ? Errc::unavailable : Errc::internal,
                 "database: error " + std::to_string(failure.number) + " (" + failure.state +
                     "): " + failure.text);
}
}  // namespace

Result<void> Session::run(std::string_view sql) {
    send(sql);
    while (true) {
        Part part = next();
        if (part == Part::end) return {};
        if (part == Part::result_set && !read_rows([](MYSQL_ROW, const unsigned long*) {}))
            part = Part::failed;
        if (part == Part::failed) return sql_error(error_);
    }
}

Result<std::vector<TextRow>> Session::query(std::string_view sql) {
    std::vector<TextRow> rows;
    bool first = true;
    send(sql);
    while (true) {
        Part part = next();
        if (part == Part::end) return rows;
        if (part == Part::result_set) {
            unsigned count = columns();
            bool complete = read_rows([&](MYSQL_ROW fields, const unsigned long* lengths) {
                if (!first) return;
                TextRow row;
                for (unsigned i = 0; i < count; ++i)
                    row.push_back(fields[i] == nullptr
                                      ? std::nullopt
                                      : std::optional(std::string(fields[i], lengths[i])));
                rows.push_back(std::move(row));
            });
            first = false;
            if (!complete) part = Part::failed;
        }
        if (part == Part::failed) return sql_error(error_);
    }
}

Result<std::optional<std::string>> Session::value(std::string_view sql) {
    auto rows = query(sql);
    if (!rows) return rows.error();
    if (rows->empty() || rows->front().empty()) return std::optional<std::string>();
    return rows->front().front();
}

std::string quote_name(std::string_view name) {
    std::string out = "`";
    for (char c : name) {
        if (c == '`') out += '`';
        out += c;
    }
    return out + '`';
}

std::string quote_bytes(std::span<const std::uint8_t> bytes) {
    return "x'" + hex(bytes) + "'";
}

std::string quote_text(std::string_view text) {
    bool harmless = std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view(" ,.[]-_").find(c) != std::string_view::npos;
    });
    if (harmless) return "'" + std::string(text) + "'";
    return "_utf8mb4 " + quote_bytes(as_bytes(text));
}

}  // namespace bft::database

#include "database/setup.hpp"

#include "base/sha256.hpp"

#include <charconv>

namespace bft::database {
namespace {

constexpr const char* kFormat = "1";

// protocol.md section 3.10. A duplicate's row in cbft_exec has no rid: the rid belongs to the row
// of the execution.
constexpr const char* kTables =
    "CREATE TABLE IF NOT EXISTS cbft_part (part INT UNSIGNED NOT NULL PRIMARY KEY,"
    " next_seq BIGINT UNSIGNED NOT NULL) ENGINE=InnoDB;"
    "CREATE TABLE IF NOT EXISTS cbft_exec (slot BIGINT UNSIGNED NOT NULL, idx INT UNSIGNED NOT "
    "NULL,"
    " home INT UNSIGNED NULL, client BIGINT UNSIGNED NULL, cseq BIGINT UNSIGNED NULL,"
    " status TINYINT UNSIGNED NOT NULL, code INT UNSIGNED NOT NULL, rdig BINARY(32) NOT NULL,"
    " result MEDIUMBLOB NOT NULL, PRIMARY KEY (slot,idx),"
    " UNIQUE KEY rid (home,client,cseq)) ENGINE=InnoDB;"
    "CREATE TABLE IF NOT EXISTS cbft_win (home INT UNSIGNED NOT NULL, client BIGINT UNSIGNED NOT "
    "NULL,"
    " low BIGINT UNSIGNED NOT NULL, bitmap BINARY(32) NOT NULL,"
    " PRIMARY KEY (home,client)) ENGINE=InnoDB;"
    "CREATE TABLE IF NOT EXISTS cbft_cfg (id TINYINT UNSIGNED NOT NULL PRIMARY KEY,"
    " version BIGINT UNSIGNED NOT NULL, config MEDIUMBLOB NOT NULL) ENGINE=InnoDB;"
    "CREATE TABLE IF NOT EXISTS cbft_meta (k VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT "
    "NULL"
    " PRIMARY KEY, v VARBINARY(1024) NOT NULL) ENGINE=InnoDB;";

Result<std::optional<std::string>> meta(Session& session, std::string_view key) {
    return session.value("SELECT v FROM cbft_meta WHERE k=" + quote_text(key));
}
Result<void> set_meta(Session& session, std::string_view key, std::string_view value) {
    return session.run("REPLACE INTO cbft_meta (k,v) VALUES (" + quote_text(key) + "," +
                       quote_bytes(as_bytes(value)) + ")");
}

/// Writes the value if there is none; says what is there.
Result<std::string> set_once(Session& session, std::string_view key, std::string_view value) {
    auto set = session.run("INSERT IGNORE INTO cbft_meta (k,v) VALUES (" + quote_text(key) + "," +
                           quote_bytes(as_bytes(value)) + ")");
    if (!set) return set.error();
    auto now = meta(session, key);
    if (!now) return now.error();
    return now->value_or("");
}

std::string where(const Session& session) {
    const auto& options = session.options();
    return "database '" + options.database + "' at " +
           (options.socket.empty() ? options.host + ":" + std::to_string(options.port)
                                   : options.socket);
}

std::uint64_t to_number(const std::optional<std::string>& text) {
    std::uint64_t number = 0;
    if (text) std::from_chars(text->data(), text->data() + text->size(), number);
    return number;
}

}  // namespace

Result<void> create_database(Session& session, std::string_view name) {
    return session.run("CREATE DATABASE IF NOT EXISTS " + quote_name(name) +
                       " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin");
}

Result<void> create_bookkeeping(Session& session) {
    auto collation = session.value("SELECT @@collation_database");
    if (!collation) return collation.error();
    if (!collation->value_or("").ends_with("_bin"))
        return error(Errc::refused,
                     where(session) + ": its collation is " + collation->value_or("unknown") +
                         "; create it with CHARACTER SET utf8mb4 COLLATE utf8mb4_bin");
    if (auto created = session.run(kTables); !created) return created;
    auto format = set_once(session, "format", kFormat);
    if (!format) return format.error();
    if (*format != kFormat)
        return error(Errc::refused, where(session) + ": its cbft_ tables have format " + *format +
                                        ", this program knows format " + kFormat);
    return {};
}

Result<void> bind(Session& session, const Digest& cluster, VoterId voter) {
    auto wanted_voter = std::to_string(voter.value);
    auto is_cluster = set_once(session, "cluster", hex(cluster));
    if (!is_cluster) return is_cluster.error();
    if (*is_cluster != hex(cluster))
        return error(Errc::refused,
                     where(session) +
                         " belongs to another cluster: correct [database], or give the "
                         "voter an empty database");
    auto is_voter = set_once(session, "voter", wanted_voter);
    if (!is_voter) return is_voter.error();
    if (*is_voter != wanted_voter)
        return error(Errc::refused, where(session) + " belongs to voter " + *is_voter +
                                        " of this cluster, not to voter " + wanted_voter +
                                        ": correct [database]");
    return {};
}

Result<void> install(Session& session, const catalog::Application& application) {
    auto wanted = hex(application.digest());
    auto installed = meta(session, "application");
    if (!installed) return installed.error();
    if (*installed) return check_installed(session, application);
    auto begun = meta(session, "installing");
    if (!begun) return begun.error();
    if (*begun) {
        // Nothing can be in these tables yet: they are used after "application" is set only.
        std::string drop = "SET foreign_key_checks=0;";
        for (const auto& [table, column] : application.tables())
            drop += "DROP TABLE IF EXISTS " + quote_name(table) + ";";
        auto routines = session.query(
            "SELECT routine_type,routine_name FROM information_schema.routines"
            " WHERE routine_schema=DATABASE()");
        if (!routines) return routines.error();
        for (const auto& row : *routines)
            drop += "DROP " + row[0].value_or("") + " IF EXISTS " +
                    quote_name(row[1].value_or("")) + ";";
        if (auto dropped = session.run(drop + "SET foreign_key_checks=1"); !dropped) return dropped;
    }
    if (auto set = set_meta(session, "installing", wanted); !set) return set;
    for (const auto* statements : {&application.schema(), &application.routines()})
        for (const auto& statement : *statements)
            if (auto created = session.run(statement.text); !created)
                return error(
                    created.error().code,
                    "application '" + application.name() + "': " +
                        (statements == &application.schema() ? "schema.sql" : "procedures.sql") +
                        ":" + std::to_string(statement.line) + ": " + created.error().what);
    auto done = set_meta(session, "application", wanted);
    if (!done) return done;
    return session.run("DELETE FROM cbft_meta WHERE k='installing'");
}

Result<void> check_installed(Session& session, const catalog::Application& application) {
    auto installed = meta(session, "application");
    if (!installed) return installed.error();
    if (!*installed)
        return error(Errc::not_found, where(session) + ": application '" + application.name() +
                                          "' is not installed there: install and load it first");
    if (**installed != hex(application.digest()))
        return error(Errc::refused, where(session) +
                                        ": another application, or another version of '" +
                                        application.name() + "', is installed there");
    return {};
}

Result<void> lock_database(Session& session) {
    return lock_database(session, session.options().database);
}

Result<void> lock_database(Session& session, const std::string& database) {
    // The server notices the end of a killed process's connection, but not at once.
    constexpr int kSeconds = 3;
    auto name = "cbft." + hex(sha256(as_bytes(database))).substr(0, 32);
    auto taken = session.value("SELECT GET_LOCK('" + name + "'," + std::to_string(kSeconds) + ")");
    if (!taken) return taken.error();
    if (*taken != "1")
        return error(Errc::refused, where(session) +
                                        " is in use by another voter process: stop it "
                                        "first, or correct [database]");
    return {};
}

Result<std::map<PartitionId, Seq>> next_sequences(Session& session) {
    auto rows = session.query("SELECT part,next_seq FROM cbft_part");
    if (!rows) return rows.error();
    std::map<PartitionId, Seq> next;
    for (const auto& row : *rows)
        next[PartitionId(static_cast<std::uint32_t>(to_number(row[0])))] = Seq(to_number(row[1]));
    return next;
}

Result<consensus::ConfigurationPtr> configuration(Session& session) {
    auto row = session.value("SELECT config FROM cbft_cfg");
    if (!row) return row.error();
    if (!*row) return consensus::ConfigurationPtr();
    auto decoded = consensus::decode_configuration(as_bytes(**row));
    if (!decoded)
        return error(Errc::refused, where(session) +
                                        ": cbft_cfg holds no configuration: somebody "
                                        "else wrote to this database");
    return std::make_shared<const consensus::Configuration>(std::move(*decoded));
}

Result<std::vector<consensus::ItemResult>> find_results(
    Session& session, Slot slot, const std::vector<consensus::DbItem>& items) {
    std::vector<consensus::ItemResult> found;
    if (items.empty()) return found;
    std::string sql = "SELECT idx,status,code,rdig,result FROM cbft_exec WHERE slot=" +
                      std::to_string(slot.value) + " AND idx IN (";
    for (const auto& item : items) sql += std::to_string(item.index) + ",";
    sql.back() = ')';
    auto rows = session.query(sql);
    if (!rows) return rows.error();
    for (const auto& item : items)
        for (const auto& row : *rows) {
            if (to_number(row[0]) != item.index) continue;
            consensus::ItemResult result;
            result.index = item.index;
            result.rid = item.rid;
            result.outcome = static_cast<consensus::Outcome>(to_number(row[1]));
            result.code = static_cast<std::uint32_t>(to_number(row[2]));
            result.rdig = Digest::from(as_bytes(row[3].value_or(""))).value_or(Digest());
            result.result = to_bytes(as_bytes(row[4].value_or("")));
            result.has_result = true;
            found.push_back(std::move(result));
        }
    return found;
}

}  // namespace bft::database

#include "loader.hpp"

#include "database/setup.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

namespace bft::tpcc {

namespace {

database::ConnectOptions options_of(const Login& login) {
    database::ConnectOptions options;
    options.socket = login.socket;
    options.user = login.user;
    options.password = login.password;
    return options;
}

/// Sends one table's rows to one server with one statement: into an empty table, with these checks
/// off, the server builds the pages in bulk and writes no undo log.
Result<void> load_table(const Login& server, const Population& population, Table table,
                        std::atomic<std::uint64_t>& rows_sent, const std::atomic<bool>& cancelled) {
    auto session = Session::connect(server);
    if (!session) return session.error();
    auto prepared = session->run("SET unique_checks = 0, foreign_key_checks = 0");
    if (!prepared) return prepared;
    std::size_t next_chunk = 0;
    auto next = [&](std::string& out) {
        if (cancelled || next_chunk == population.chunk_count(table)) return;
        population.chunk(table, next_chunk++, out);
        rows_sent += static_cast<std::uint64_t>(std::count(out.begin(), out.end(), '\n'));
    };
    return session->load(
        fmt::format("LOAD DATA LOCAL INFILE 'generated' INTO TABLE {} CHARACTER SET latin1 "
                    "FIELDS TERMINATED BY '\\t' ESCAPED BY '\\\\' LINES TERMINATED BY '\\n' ({})",
                    info(table).name, info(table).columns),
        next);
}

/// Jobs done by a few threads; the first error ends the others.
class Crew {
public:
    template <class Job>
    void start(Job job) {
        threads_.emplace_back([this, job = std::move(job)] {
            Result<void> done = job(cancelled_);
            std::lock_guard lock(mutex_);
            if (!done && !error_) {
                error_ = done.error();
                cancelled_ = true;
            }
            ++finished_;
            changed_.notify_all();
        });
    }

    /// Waits for all, calling `tick` about once a second.
    Result<void> wait(const std::function<void()>& tick) {
        std::unique_lock lock(mutex_);
        while (!changed_.wait_for(lock, std::chrono::seconds(1),
                                  [this] { return finished_ == threads_.size(); }))
            tick();
        lock.unlock();
        for (auto& thread : threads_) thread.join();
        if (error_) return *error_;
        return {};
    }

private:
    std::vector<std::thread> threads_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::size_t finished_ = 0;
    std::optional<Error> error_;
    std::atomic<bool> cancelled_ = false;
};

}  // namespace

Loader::Loader(const catalog::Application& application, std::vector<Login> servers, Scale scale,
               std::uint64_t seed, bool replace)
    : application_(application),
      servers_(std::move(servers)),
      population_(scale, seed),
      replace_(replace) {}

Result<void> Loader::prepare(const Login& server) {
    auto options = options_of(server);
    auto outside = database::Session::connect(options);
    if (!outside) return outside.error();
    std::string name = database::quote_name(server.database);
    if (replace_) {
        if (auto done = outside->run("DROP DATABASE IF EXISTS " + name); !done) return done;
    }
    if (auto done = database::create_database(*outside, server.database); !done) return done;
    options.database = server.database;
    auto session = database::Session::connect(options);
    if (!session) return session.error();
    if (auto done = database::create_bookkeeping(*session); !done) return done;
    if (auto done = database::install(*session, application_); !done) return done;
    std::string rows = "SELECT EXISTS (SELECT 1 FROM cbft_exec)";
    for (Table table : all_tables)
        rows += fmt::format(" OR EXISTS (SELECT 1 FROM {})", info(table).name);
    auto used = session->value(rows);
    if (!used) return used.error();
    if (*used != "0")
        return error(Errc::refused, "database " + name + " at " + server.socket +
                                        " has rows already; --replace removes it first");
    return {};
}

void Loader::empty(const Login& server) {
    auto session = Session::connect(server);
    if (!session) return;
    for (Table table : all_tables)
        if (!session->run(fmt::format("TRUNCATE TABLE {}", info(table).name))) return;
}

Result<void> Loader::load_rows(const std::function<void(LoadProgress)>& progress) {
    LoadProgress now;
    for (Table table : all_tables) now.rows_total += population_.row_count(table) * servers_.size();
    std::atomic<std::uint64_t> rows_sent = 0;
    Crew crew;
    for (const Login& server : servers_)
        for (Table table : all_tables)
            crew.start([&, table](const std::atomic<bool>& cancelled) {
                return load_table(server, population_, table, rows_sent, cancelled);
            });
    auto report = [&] {
        now.rows_sent = rows_sent;
        progress(now);
    };
    auto done = crew.wait(report);
    report();
    return done;
}

// The servers sample pages at random for their statistics. Different statistics are different
// plans, so the first server's go to all.
Result<void> Loader::share_statistics() {
    auto first = Session::connect(servers_.front());
    if (!first) return first.error();
    std::string tables;
    for (Table table : all_tables) {
        if (!tables.empty()) tables += ", ";
        tables += info(table).name;
    }
    if (auto done = first->run("ANALYZE LOCAL TABLE " + tables); !done) return done;
    for (const char* statistics : {"mysql.innodb_table_stats", "mysql.innodb_index_stats"}) {
        auto rows = first->rows(fmt::format("SELECT * FROM {} WHERE database_name = {}", statistics,
                                            first->quoted(servers_.front().database)));
        if (!rows) return rows.error();
        for (std::size_t i = 1; i < servers_.size(); ++i) {
            auto other = Session::connect(servers_[i]);
            if (!other) return other.error();
            for (const TextRow& row : *rows) {
                std::string values = other->quoted(servers_[i].database);
                for (std::size_t column = 1; column < row.size(); ++column)
                    values += ", " + (row[column] ? other->quoted(*row[column]) : "NULL");
                auto done =
                    other->run(fmt::format("REPLACE INTO {} VALUES ({})", statistics, values));
                if (!done) return done;
            }
        }
    }
    for (const Login& server : servers_) {
        auto session = Session::connect(server);
        if (!session) return session.error();
        // A table that is opened again reads the statistics again.
        if (auto done = session->run("FLUSH TABLES"); !done) return done;
    }
    return {};
}

Result<void> Loader::run(const std::function<void(LoadProgress)>& progress) {
    for (const Login& server : servers_)
        if (auto done = prepare(server); !done) return done;
    auto done = load_rows(progress);
    if (done) done = share_statistics();
    // Half of the rows would look like a loaded database to a voter.
    if (!done)
        for (const Login& server : servers_) empty(server);
    return done;
}

}  // namespace bft::tpcc

#include "statements.hpp"
#include "target.hpp"
#include "workload.hpp"

#include <fmt/format.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace bft::tpcc {

namespace {

// 2026-01-01 00:00:00 UTC, the population's time.
constexpr std::uint64_t genesis_unix_ms = 1767225600000;
constexpr unsigned deadlock = 1213;
constexpr unsigned lock_timeout = 1205;

void append_json(const bftnode::Value& value, std::string& out) {
    if (value.is_null()) {
        out += "null";
    } else if (const auto* number = std::get_if<std::int64_t>(&value.data)) {
        out += std::to_string(*number);
    } else if (const auto* text = std::get_if<std::string>(&value.data)) {
        out.push_back('"');
        for (char c : *text) {
            if (static_cast<unsigned char>(c) < 0x20) {
                out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
                continue;
            }
            if (c == '"' || c == '\\') out.push_back('\\');
            out.push_back(c);
        }
        out.push_back('"');
    } else {
        out.push_back('[');
        for (const bftnode::Row& row : value.rows()) {
            if (out.back() != '[') out.push_back(',');
            out.push_back('[');
            for (std::size_t i = 0; i < row.size(); ++i) {
                if (i > 0) out.push_back(',');
                append_json(row[i], out);
            }
            out.push_back(']');
        }
        out.push_back(']');
    }
}

bool is_integer(enum_field_types type) {
    return type == MYSQL_TYPE_TINY || type == MYSQL_TYPE_SHORT || type == MYSQL_TYPE_LONG ||
           type == MYSQL_TYPE_INT24 || type == MYSQL_TYPE_LONGLONG;
}

class Connection {
public:
    Connection(Session session, const DirectOptions& options, std::atomic<std::uint64_t>& calls)
        : session_(std::move(session)),
          counted_time_(options.counted_time),
          calls_(calls),
          page_cost_(options.page_cost) {
        if (options.way != Way::call) statements_.emplace(session_, options.way == Way::prepared);
        thread_ = std::thread([this] { work(); });
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() {
        {
            std::lock_guard lock(mutex_);
            stop_ = true;
        }
        changed_.notify_one();
        thread_.join();
    }

    void call(std::string_view procedure, std::vector<bftnode::Value> args,
              bftnode::Callback done) {
        {
            std::lock_guard lock(mutex_);
            jobs_.push_back({std::string(procedure), std::move(args), std::move(done)});
        }
        changed_.notify_one();
    }

private:
    struct Job {
        std::string procedure;
        std::vector<bftnode::Value> args;
        bftnode::Callback done;
        std::chrono::steady_clock::time_point asked = std::chrono::steady_clock::now();
    };

    void work() {
        while (true) {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
            if (jobs_.empty()) return;
            Job job = std::move(jobs_.front());
            jobs_.pop_front();
            lock.unlock();
            bftnode::CallResult result = execute(job);
            job.done(std::move(result));
        }
    }

    bftnode::CallResult execute(const Job& job) {
        std::string time;
        if (counted_time_) {
            std::uint64_t ms = genesis_unix_ms + ++calls_;
            time = fmt::format("SET TIMESTAMP={}.{:03};", ms / 1000, ms % 1000);
        }
        bftnode::CallResult result;
        do {
            ++result.attempts;
        } while (!attempt(job, time, result));
        if (page_cost_.count() > 0) std::this_thread::sleep_for(page_cost_);
        result.latency = std::chrono::steady_clock::now() - job.asked;
        return result;
    }

    /// False: rolled back because of other transactions, run it again.
    bool attempt(const Job& job, const std::string& time, bftnode::CallResult& result) {
        result.result_sets.clear();
        auto done = statements_ ? by_statements(job, time, result) : by_call(job, time, result);
        if (done) return true;
        ServerError failure = statements_ ? statements_->failure() : session_.last_error();
        result.result_sets.clear();
        if (!session_.run("ROLLBACK")) {
            result.error = {bftnode::ErrorCode::closed, done.error().what};
            return true;
        }
        if (failure.number == deadlock || failure.number == lock_timeout) return false;
        if (failure.sqlstate != "45000") {
            result.error = {bftnode::ErrorCode::rejected, done.error().what};
            return true;
        }
        result.outcome = bftnode::Outcome::aborted;
        result.code = code_application + failure.number;
        return true;
    }

    Result<void> by_statements(const Job& job, const std::string& time,
                               bftnode::CallResult& result) {
        if (!time.empty())
            if (auto done = session_.run(time); !done) return done;
        return statements_->run(job.procedure, job.args, result.result_sets);
    }

    Result<void> by_call(const Job& job, const std::string& time, bftnode::CallResult& result) {
        std::vector<bool> integer;
        auto set_begins = [&](std::span<const MYSQL_FIELD> fields) {
            result.result_sets.emplace_back();
            integer.clear();
            for (const MYSQL_FIELD& field : fields) integer.push_back(is_integer(field.type));
        };
        auto row = [&](RowView fields) {
            bftnode::Row& out = result.result_sets.back().emplace_back();
            for (std::size_t i = 0; i < fields.size(); ++i) {
                if (!fields[i])
                    out.emplace_back(nullptr);
                else if (integer[i])
                    out.emplace_back(
                        static_cast<std::int64_t>(std::stoll(std::string(*fields[i]))));
                else
                    out.emplace_back(*fields[i]);
            }
        };
        std::string sql =
            time + "BEGIN;" +
            call_statement(job.procedure, job.args,
                           [this](std::string_view text) { return session_.quoted(text); }) +
            ";COMMIT";
        return session_.read(sql, row, set_begins);
    }

    Session session_;
    std::optional<Statements> statements_;
    bool counted_time_;
    std::atomic<std::uint64_t>& calls_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Job> jobs_;
    std::chrono::milliseconds page_cost_;
    bool stop_ = false;
    std::thread thread_;
};

class DirectTarget final : public CallTarget {
public:
    Result<void> open(const DirectOptions& options) {
        servers_ = options.servers;
        warehouses_ = options.warehouses;
        const std::size_t count = options.servers > 0 ? options.servers : options.terminals;
        for (std::size_t i = 0; i < count; ++i) {
            auto session = Session::connect(options.login);
            if (!session) return session.error();
            for (const char* setting : {"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
                                        "SET SESSION time_zone = '+00:00'"})
                if (auto done = session->run(setting); !done) return done;
            connections_.push_back(
                std::make_unique<Connection>(std::move(*session), options, calls_));
        }
        return {};
    }
    void call(std::size_t terminal, std::string_view procedure, std::vector<bftnode::Value> args,
              bftnode::Callback done) override {
        // Terminal n is at home in warehouse n modulo their number: a server has whole warehouses.
        const std::size_t seat = servers_ > 0 ? terminal % warehouses_ % servers_ : terminal;
        connections_[seat]->call(procedure, std::move(args), std::move(done));
    }
    std::optional<bftnode::Statistics> statistics() const override { return std::nullopt; }

private:
    std::size_t servers_ = 0, warehouses_ = 1;
    std::atomic<std::uint64_t> calls_ = 0;
    std::vector<std::unique_ptr<Connection>> connections_;
};

}  // namespace

std::string call_statement(std::string_view procedure, const std::vector<bftnode::Value>& args,
                           const std::function<std::string(std::string_view)>& quote) {
    std::string sql = "CALL " + std::string(procedure) + "(";
    for (std::size_t i = 0; i < args.size(); ++i) {
        if (i > 0) sql.push_back(',');
        const bftnode::Value& value = args[i];
        if (value.is_null()) {
            sql += "NULL";
        } else if (const auto* number = std::get_if<std::int64_t>(&value.data)) {
            sql += std::to_string(*number);
        } else if (const auto* text = std::get_if<std::string>(&value.data)) {
            sql += quote(*text);
        } else {
            std::string json;
            append_json(value, json);
            sql += quote(json);
        }
    }
    return sql + ")";
}

Result<std::unique_ptr<CallTarget>> open_direct(const DirectOptions& options) {
    auto target = std::make_unique<DirectTarget>();
    if (auto done = target->open(options); !done) return done.error();
    return std::unique_ptr<CallTarget>(std::move(target));
}

}  // namespace bft::tpcc

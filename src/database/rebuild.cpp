#include "database/rebuild.hpp"

#include "base/log.hpp"
#include "consensus/signed_bytes.hpp"
#include "database/classify.hpp"
#include "database/row_codec.hpp"
#include "database/setup.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>

namespace bft::database {

namespace {

constexpr std::size_t insert_bytes = 512 * 1024;
constexpr std::chrono::milliseconds retry_every{1000};
constexpr const char* mark = "rebuilding";  // in cbft_meta: half built

Result<bool> has_meta(Session& session, const char* key) {
    auto found = session.value(std::string("SELECT COUNT(*) FROM cbft_meta WHERE k='") + key + "'");
    if (!found) return found.error();
    return found->value_or("0") != "0";
}

}  // namespace

Result<Condition> examine(const ConnectOptions& connect) {
    ConnectOptions server = connect;
    server.database.clear();
    auto session = Session::connect(server);
    if (!session) return session.error();
    auto tables =
        session->value("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema=" +
                       quote_text(connect.database) + " AND table_name='cbft_meta'");
    if (!tables) return tables.error();
    if (tables->value_or("0") == "0") return Condition::empty;
    if (auto used = session->run("USE " + quote_name(connect.database)); !used) return used.error();
    auto half = has_meta(*session, mark);
    auto whole = has_meta(*session, "application");
    // A table of bookkeeping that cannot be read is as good as none.
    if ((half && *half) || !half || !whole) return Condition::half_built;
    return *whole ? Condition::installed : Condition::empty;
}

Result<std::vector<std::string>> missing_parts(Session& session,
                                               const catalog::Application& application) {
    auto known = session.query(
        "SELECT 'table',table_name FROM information_schema.tables WHERE table_schema=DATABASE()"
        " UNION ALL SELECT 'procedure',routine_name FROM information_schema.routines"
        " WHERE routine_schema=DATABASE()");
    if (!known) return known.error();
    auto has = [&](const char* kind, const std::string& name) {
        return std::any_of(known->begin(), known->end(),
                           [&](const TextRow& row) { return row[0] == kind && row[1] == name; });
    };
    std::vector<std::string> missing;
    for (const auto& [table, column] : tables_of(application))
        if (!has("table", table)) missing.push_back("table " + table);
    for (const auto& [name, procedure] : application.procedures())
        if (!has("procedure", name)) missing.push_back("procedure " + name);
    return missing;
}

Rebuilder::Rebuilder(boost::asio::io_context& io, ExecutorOptions executor,
                     const catalog::Application& application, RebuildHandlers handlers)
    : io_(io),
      options_(std::move(executor)),
      application_(application),
      handlers_(std::make_shared<const RebuildHandlers>(std::move(handlers))),
      thread_([this] {
          run();
          session_.reset();
          mysql_thread_end();
      }) {}

Rebuilder::~Rebuilder() {
    {
        std::lock_guard lock(mutex_);
        stop_ = true;
        changed_.notify_all();
    }
    thread_.join();
}

bool Rebuilder::stopping() {
    std::lock_guard lock(mutex_);
    return stop_;
}

void Rebuilder::begin(std::unique_ptr<OrderedExecutor> old, consensus::Rebuild what) {
    {
        std::lock_guard lock(mutex_);
        // What was still to be done for an earlier rebuild; an executor in it is stopped first.
        std::erase_if(tasks_, [&](Task& task) {
            if (auto* begun = std::get_if<Begin>(&task); begun != nullptr && !old)
                old = std::move(begun->old);
            return true;
        });
    }
    give(Begin{std::move(old), std::move(what)});
}

void Rebuilder::load(consensus::ChunkLoad chunk) {
    give(std::move(chunk));
}

void Rebuilder::finish() {
    give(Finish{});
}

void Rebuilder::give(Task task) {
    std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    changed_.notify_all();
}

void Rebuilder::run() {
    while (true) {
        Task task;
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [&] { return stop_ || !tasks_.empty(); });
            if (stop_) return;
            task = std::move(tasks_.front());
            tasks_.pop_front();
        }
        perform(std::move(task));
    }
}

void Rebuilder::perform(Task task) {
    Result<void> done;
    std::function<void()> RebuildHandlers::*then = nullptr;
    if (auto* begun = std::get_if<Begin>(&task)) {
        begun->old.reset();
        what_ = std::move(begun->what);
        done = empty();
        then = &RebuildHandlers::ready;
    } else if (!session_) {
        return;  // what came before it has failed
    } else if (const auto* chunk = std::get_if<consensus::ChunkLoad>(&task)) {
        done = insert(*chunk);
        then = &RebuildHandlers::loaded;
    } else {
        done = check();
        session_.reset();
        then = &RebuildHandlers::done;
    }
    if (stopping()) return;
    if (done)
        return boost::asio::post(io_, [handlers = handlers_, then] { ((*handlers).*then)(); });
    session_.reset();
    boost::asio::post(io_,
                      [handlers = handlers_, why = done.error().what] { handlers->failed(why); });
}

// A server that is down is waited for: whoever lost a data directory first has to start another
// one. The database itself may be missing, too.
std::optional<Session> Rebuilder::connect_patiently() {
    ConnectOptions server = options_.connect;
    std::string name = std::exchange(server.database, {});
    server.idle_timeout = std::chrono::hours(8);
    for (bool said = false; !stopping(); said = true) {
        auto session = Session::connect(server);
        Result<void> used = session ? Result<void>() : Result<void>(session.error());
        if (session) {
            // Where our user may not create databases, it has to exist.
            (void)create_database(*session, name);
            used = session->run("USE " + quote_name(name));
        }
        if (used) return std::move(*session);
        if (!said) log::error("rebuild_waits what=\"{}\"", used.error().what);
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, retry_every, [&] { return stop_; });
    }
    return std::nullopt;
}

Result<void> Rebuilder::empty() {
    session_ = connect_patiently();
    if (!session_) return error(Errc::unavailable, "stopped");
    // Locks by the name of the database, which a session knows that has been connected to it.
    if (auto locked = lock_database(*session_, options_.connect.database); !locked) return locked;
    // Somebody's open transaction keeps tables from being dropped; it is not waited for long.
    if (auto set = session_->run("SET SESSION lock_wait_timeout=30"); !set) return set;
    if (auto wiped = wipe(*session_); !wiped) return wiped;
    std::map<std::string, TableShape> by_name;
    for (const auto& [table, column] : tables_of(application_)) {
        auto shape = describe(*session_, table, column);
        if (!shape) return shape.error();
        by_name.emplace(table, std::move(*shape));
    }
    shapes_.clear();
    for (const consensus::DbLeaf& leaf : *what_.leaves) {
        auto shape = by_name.find(leaf.table);
        if (shape == by_name.end())
            return error(Errc::refused,
                         "f_D+1 databases have a table that this application lacks: " + leaf.table);
        shapes_.push_back(shape->second);
    }
    return session_->run(
        "SET SESSION foreign_key_checks=0,unique_checks=0;"
        "SET SESSION sql_mode=CONCAT(@@sql_mode,',NO_AUTO_VALUE_ON_ZERO')");
}

Result<void> Rebuilder::wipe(Session& session) {
    // cbft_meta may be missing or unreadable: then whose database it was cannot be known either.
    if (!session.value("SELECT COUNT(*) FROM cbft_meta"))
        if (auto dropped = session.run("DROP TABLE IF EXISTS cbft_meta"); !dropped) return dropped;
    if (auto created = create_bookkeeping(session); !created) return created;
    if (auto bound = bind(session, options_.cluster, options_.self); !bound) return bound;
    // From here on, and until check() is through, a crash ends in another rebuild. install()
    // drops what an unfinished installation has left.
    auto wiped = session.run(std::string("REPLACE INTO cbft_meta (k,v) VALUES ('") + mark + "','" +
                             std::to_string(what_.slot.value) +
                             "'),('installing','again');"
                             "DELETE FROM cbft_meta WHERE k='application';"
                             "DROP TABLE IF EXISTS cbft_part,cbft_exec,cbft_win,cbft_cfg");
    if (!wiped) return wiped;
    if (auto created = create_bookkeeping(session); !created) return created;
    if (auto installed = install(session, application_); !installed) return installed;
    // The schema may bring rows of its own; the others have them, too, and send them.
    std::string clear = "SET SESSION foreign_key_checks=0;";
    for (const auto& [table, column] : application_.tables())
        clear += "DELETE FROM " + quote_name(table) + ";";
    return session.run(clear);
}

Result<void> Rebuilder::insert(const consensus::ChunkLoad& chunk) {
    const TableShape& shape = shapes_.at(chunk.leaf);
    auto rows = decode_rows(chunk.rows, shape.columns.size());
    if (!rows) return rows.error();
    std::string head = "INSERT INTO " + quote_name(shape.name) + " (";
    for (std::size_t i = 0; i < shape.columns.size(); ++i)
        head += (i == 0 ? "" : ",") + quote_name(shape.columns[i]);
    head += ") VALUES ";
    if (auto begun = session_->run("START TRANSACTION"); !begun) return begun;
    for (std::size_t at = 0; at < rows->size();) {
        std::string sql = head;
        for (; at < rows->size() && sql.size() < insert_bytes; ++at) {
            sql += sql.back() == ')' ? ",(" : "(";
            for (std::size_t i = 0; i < shape.columns.size(); ++i)
                sql += (i == 0 ? "" : ",") +
                       ((*rows)[at][i] ? literal(shape, i, *(*rows)[at][i]) : "NULL");
            sql += ")";
        }
        if (auto done = session_->run(sql); !done) return done;
    }
    return session_->run("COMMIT");
}

// The server's statistics are state: without them it may choose other plans than its peers. Then
// what is there is read again: what counts is what a scan sees, not what was sent.
Result<void> Rebuilder::check() {
    std::string analyze = "ANALYZE TABLE ";
    for (const auto& [table, column] : tables_of(application_))
        analyze += (analyze.back() == ' ' ? "" : ",") + quote_name(table);
    if (auto analyzed = session_->run(analyze); !analyzed) return analyzed;
    if (auto begun = begin_snapshot(*session_); !begun) return begun;
    auto scanned = scan(*session_, tables_of(application_), [this] { return !stopping(); });
    if (!scanned) return scanned.error();
    if (consensus::database_root(*scanned->leaves) != what_.root)
        return error(Errc::internal, "the rebuilt database has another root than f_D+1 signed");
    return session_->run(std::string("COMMIT;DELETE FROM cbft_meta WHERE k='") + mark + "'");
}

}  // namespace bft::database

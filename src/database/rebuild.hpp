// Empties a database and fills it with what f_D+1 others signed (protocol.md DBS4).
#pragma once

#include "catalog/application.hpp"
#include "consensus/database_guard.hpp"
#include "database/executor.hpp"
#include "database/scan.hpp"

#include <boost/asio/io_context.hpp>

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <variant>

namespace bft::database {

/// What a voter finds when it starts.
enum class Condition : std::uint8_t {
    installed,
    empty,       ///< no application, or no database at all
    half_built,  ///< a rebuild was interrupted
};
/// Errc::unavailable, Errc::refused: as Session::connect().
Result<Condition> examine(const ConnectOptions& connect);

/// What of the application's tables and procedures is not there; empty: nothing is missing.
Result<std::vector<std::string>> missing_parts(Session& session,
                                               const catalog::Application& application);

struct RebuildHandlers {
    std::function<void()> ready;   ///< it is empty, load() may begin
    std::function<void()> loaded;  ///< one more chunk is in
    /// It is what the root says, and bound and marked as sound.
    std::function<void()> done;
    std::function<void(std::string)> failed;
};

class Rebuilder {
public:
    /// `executor` says which database and whose. Handlers are called on the io_context.
    Rebuilder(boost::asio::io_context& io, ExecutorOptions executor,
              const catalog::Application& application, RebuildHandlers handlers);
    /// Stops, at the latest after the statement that is running.
    ~Rebuilder();
    Rebuilder(const Rebuilder&) = delete;
    Rebuilder& operator=(const Rebuilder&) = delete;

    /// Stops `old`, which may take a while, and empties the database. Replaces a rebuild that is
    /// under way.
    void begin(std::unique_ptr<OrderedExecutor> old, consensus::Rebuild what);
    void load(consensus::ChunkLoad chunk);
    void finish();

private:
    struct Begin {
        std::unique_ptr<OrderedExecutor> old;
        consensus::Rebuild what;
    };
    struct Finish {};
    using Task = std::variant<Begin, consensus::ChunkLoad, Finish>;

    void give(Task task);
    void run();
    void perform(Task task);
    [[nodiscard]] Result<void> empty();
    [[nodiscard]] Result<void> wipe(Session& session);
    [[nodiscard]] Result<void> insert(const consensus::ChunkLoad& chunk);
    [[nodiscard]] Result<void> check();
    [[nodiscard]] std::optional<Session> connect_patiently();
    [[nodiscard]] bool stopping();

    boost::asio::io_context& io_;
    ExecutorOptions options_;
    const catalog::Application& application_;
    std::shared_ptr<const RebuildHandlers> handlers_;

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Task> tasks_;
    bool stop_ = false;

    // Of the thread:
    consensus::Rebuild what_;
    std::optional<Session> session_;
    std::vector<TableShape> shapes_;  ///< by leaf
    std::thread thread_;
};

}  // namespace bft::database

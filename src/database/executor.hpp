// Runs ordered transactions on one database, exactly once (protocol.md V4, V6, V7): several to one
// SQL transaction, their bookkeeping rows in the same one.
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"
#include "catalog/application.hpp"
#include "consensus/voter.hpp"
#include "database/session.hpp"

#include <boost/asio/io_context.hpp>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace bft::database {

struct ExecutorOptions {
    ConnectOptions connect;
    Digest cluster;                    ///< the database belongs to this cluster ...
    VoterId self{};                    ///< ... and to this voter of it
    std::uint32_t workers = 1;         ///< sessions that execute in parallel
    std::uint32_t batch_max = 64;      ///< K: ordered transactions per SQL transaction
    std::uint32_t queue_max = 4096;    ///< waiting executions per worker
    std::uint32_t lookups_max = 4096;  ///< waiting lookups
    std::chrono::milliseconds retry_min{5};
    std::chrono::milliseconds retry_max{1000};
    std::chrono::milliseconds disk_full_retry{2000};
    bool install = false;  ///< create the application's tables when there are none
    /// The cluster begins with a snapshot: a database that has executed nothing yet must have this
    /// root, or is not opened.
    std::optional<Digest> genesis;
};

/// What an operator has to look at.
struct Alarm {
    enum class Kind : std::uint8_t {
        database_lost,   ///< no connection; it is being retried
        database_back,   ///< the end of database_lost, disk_full and stuck
        disk_full,       ///< the database's host has no room; nothing is answered until it has
        stuck,           ///< a transaction fails again and again, not by rule
        wrong_sequence,  ///< cbft_part is not what was expected: somebody else wrote. Final.
        second_voter,    ///< another process holds the database's lock. Final.
        damaged,         ///< a table, a procedure or the database itself is gone. Final.
    };
    Kind kind{};
    std::string text;  ///< one sentence: what happened and what to do

    [[nodiscard]] bool final() const {
        return kind == Kind::wrong_sequence || kind == Kind::second_voter || kind == Kind::damaged;
    }
};
const char* to_string(Alarm::Kind kind);

/// Counted since open(); read from any thread.
struct ExecutorCounters {
    std::atomic<std::uint64_t> executed{0};  ///< items, all kinds
    std::atomic<std::uint64_t> aborted{0};   ///< of them: by rule
    std::atomic<std::uint64_t> duplicates{0};
    std::atomic<std::uint64_t> batches{0};   ///< SQL transactions committed
    std::atomic<std::uint64_t> together{0};  ///< items that batch forms have run
    std::atomic<std::uint64_t> retries{0};   ///< SQL transactions run again
    std::atomic<std::uint64_t> reconnects{0};
    std::atomic<std::uint64_t> lookups{0};
    std::atomic<std::uint64_t> cpu_us{0};  ///< of the executor's threads
};

/// Called on the io_context. `executed` gets what one COMMIT made durable, in order.
struct ExecutorHandlers {
    std::function<void(std::vector<consensus::Executed>)> executed;
    std::function<void(consensus::Lookup, std::vector<consensus::ItemResult>)> found;
    std::function<void(const Alarm&)> alarm;
    /// On the worker's thread, before it or any other runs anything else: the database is exactly
    /// what the order says after this checkpoint item (Execution::cut).
    std::function<void(Slot)> cut;
};

/// What a database says of itself.
struct Standing {
    std::map<PartitionId, Seq> next;     ///< of each partition that ever executed something
    consensus::ConfigurationPtr config;  ///< null: the cluster's first one
};

class OrderedExecutor {
public:
    /// `application` must live as long as the executor.
    OrderedExecutor(boost::asio::io_context& io, ExecutorOptions options,
                    const catalog::Application& application, ExecutorHandlers handlers);
    /// Stops.
    ~OrderedExecutor();
    OrderedExecutor(const OrderedExecutor&) = delete;
    OrderedExecutor& operator=(const OrderedExecutor&) = delete;

    /// Blocks while it connects, creates and checks the bookkeeping tables, binds the database to
    /// the cluster and the voter, takes the database's lock and starts the workers. An
    /// error's sentence says what to do.
    Result<Standing> open();

    /// Executes after what the same worker was given before. False, and nothing done, when that
    /// worker's queue is full. Requires execution.worker < workers.
    [[nodiscard]] bool execute(consensus::Execution execution);
    /// False when too many lookups wait.
    [[nodiscard]] bool lookup(consensus::Lookup lookup);

    /// Finishes what is on its way to the database, drops what waits, and joins the threads. No
    /// handler is called for what was dropped: it is not durable.
    void stop();

    [[nodiscard]] const ExecutorCounters& counters() const;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace bft::database

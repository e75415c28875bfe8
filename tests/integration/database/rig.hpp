// An executor on a database, and what a test gives it and gets back.
#pragma once

#include "base/prng.hpp"
#include "catalog/application.hpp"
#include "database/executor.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <functional>
#include <map>
#include <memory>
#include <vector>

namespace bft::database::testing {

/// The test's application: accounts in partitions (branches), and procedures that fail in every
/// way.
const catalog::Application& bank();

/// Makes an agreed order: numbers items by slot, partition and client as the engines do.
class Order {
public:
    consensus::Execution call(const catalog::Call& call, std::vector<std::uint32_t> parts,
                              std::uint64_t client = 1);
    consensus::Execution nop(std::vector<std::uint32_t> parts);
    /// A checkpoint item over partitions 0 .. `branches`.
    consensus::Execution checkpoint(std::uint32_t branches, bool cut);
    /// The same request once more, at its own place in the order.
    consensus::Execution again(const consensus::Execution& first);

private:
    consensus::Execution place(std::vector<PartitionId> parts);

    std::uint64_t slot_ = 0;
    std::map<PartitionId, Seq> next_;
    std::map<std::pair<std::uint32_t, std::uint64_t>, std::uint64_t> cseq_;
};

class Rig {
public:
    Rig(const ConnectOptions& connect, std::uint32_t workers = 1, std::uint32_t voter = 0,
        Digest cluster = {}, const catalog::Application& application = bank());

    Result<Standing> open() { return executor_->open(); }
    void give(consensus::Execution execution);
    /// Runs the loop until `done`; false after half a minute.
    bool run_until(const std::function<bool()>& done);
    /// Until `count` results have come in all.
    bool run_until_executed(std::size_t count) {
        return run_until([&] { return executed.size() >= count; });
    }
    const consensus::ItemResult& only();
    [[nodiscard]] bool alarmed(Alarm::Kind kind) const;
    OrderedExecutor& executor() { return *executor_; }
    std::unique_ptr<OrderedExecutor> take_executor() { return std::move(executor_); }
    boost::asio::io_context& io() { return io_; }
    const ExecutorOptions& options() const { return options_; }

    std::function<void(Slot)> cut;  ///< on the worker's thread

    std::vector<consensus::Executed> executed;
    std::vector<std::pair<consensus::Lookup, std::vector<consensus::ItemResult>>> found;
    std::vector<Alarm> alarms;

private:
    boost::asio::io_context io_;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
    ExecutorOptions options_;
    std::unique_ptr<OrderedExecutor> executor_;
};

/// The transactions of a random load, in order.
std::vector<consensus::Execution> random_load(std::uint64_t seed, std::size_t count,
                                              std::uint32_t branches, Order* order = nullptr);

}  // namespace bft::database::testing

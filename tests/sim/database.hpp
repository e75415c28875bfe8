// A simulated database behind a voter: the tables of DatabaseState, changed by crash-atomic batches
// on several workers; snapshots at cuts; emptied and loaded again; spoiled behind the voter's back.
#pragma once

#include "base/prng.hpp"
#include "consensus/database_guard.hpp"
#include "consensus/voter.hpp"
#include "database_state.hpp"
#include "plan.hpp"
#include "timeline.hpp"

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <vector>

namespace bft::sim {

/// What a database tells the voter's process in front of it.
struct DatabaseHandlers {
    std::function<void(const std::vector<consensus::Executed>&)> committed;
    std::function<void(const std::string&)> damaged;  ///< it is not what it was
    std::function<void(Slot)> cut_skipped;
    std::function<void(consensus::Scan)> scanned;
    std::function<void(const consensus::ChunkExport&, std::optional<Bytes>)> exported;
    std::function<void()> ready;
    std::function<void()> loaded;
    std::function<void()> rebuilt;
    std::function<void(const std::string&)> rebuild_failed;
};

class SimDatabase {
public:
    /// Sees every committed item with its result, also those whose outcome the voter never learns.
    using Observer = std::function<void(const consensus::Execution&, const consensus::ItemResult&)>;
    using Condition = consensus::DatabaseGuard::Condition;

    SimDatabase(Timeline& time, const Plan& plan, Prng prng, Observer observer);

    /// A voter's process begins to use it, and installs the application where it is missing.
    /// Returns what it found.
    Condition attach(DatabaseHandlers handlers);
    void execute(consensus::Execution execution);
    [[nodiscard]] std::vector<consensus::ItemResult> lookup(const consensus::Lookup& lookup) const;
    /// The voter's process dies: what its sessions had begun commits or does not.
    void detach();

    // The snapshot of a cut.
    void close_snapshot();
    void read(const consensus::ChunkExport& asked);

    // The rebuilder: what is executed meanwhile is in vain.
    void begin_rebuild(consensus::Rebuild what);
    void load(consensus::ChunkLoad chunk);
    void finish_rebuild();

    // What happens behind the voter's back.
    enum class Tampering : std::uint8_t { row, sequence, answer, window, everything };
    void tamper(Tampering how);
    /// Its disk is full: nothing is committed until then (G9).
    void full_until(TimePoint when) { full_until_ = when; }

    [[nodiscard]] const DatabaseState& state() const { return state_; }
    [[nodiscard]] const std::map<PartitionId, Seq>& next() const { return state_.next; }
    [[nodiscard]] const std::map<PartitionId, Rows>& rows() const { return state_.rows; }
    /// Null: the cluster's first one.
    [[nodiscard]] consensus::ConfigurationPtr config() const;

private:
    struct Worker {
        std::deque<consensus::Execution> queue;
        std::vector<consensus::Execution> batch;
    };
    struct Snapshot {
        Slot slot{};
        std::vector<TableChunks> tables;
    };
    void start(std::size_t worker);
    void finish(std::size_t worker);
    void stop_workers();
    std::vector<consensus::Executed> commit(const std::vector<consensus::Execution>& batch);
    [[nodiscard]] consensus::ItemResult apply(const consensus::Execution& execution);
    [[nodiscard]] std::optional<PartitionId> out_of_order(
        const std::vector<consensus::Execution>& batch) const;
    void cut(Slot slot);
    void later(Duration wait, std::function<void()> what);

    Timeline& time_;
    const Plan& plan_;
    Prng prng_;
    Observer observer_;
    DatabaseHandlers handlers_;
    std::vector<Worker> workers_;
    std::uint64_t incarnation_ = 0;
    std::uint64_t service_ = 0;  ///< counts, also, the rebuilds: old executions are void
    TimePoint full_until_{};

    // What a crash does not touch.
    DatabaseState state_;
    bool installed_ = false;
    bool half_built_ = false;

    std::optional<Snapshot> snapshot_;
    std::uint64_t snapshots_ = 0;
    consensus::Rebuild rebuild_;
};

}  // namespace bft::sim

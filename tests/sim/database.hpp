// A simulated database behind a voter: rows per partition, an execution table and sequence numbers,
// changed by crash-atomic batches on several workers.
#pragma once

#include "base/prng.hpp"
#include "consensus/client_window.hpp"
#include "consensus/voter.hpp"
#include "operation.hpp"
#include "plan.hpp"
#include "timeline.hpp"

#include <deque>
#include <functional>
#include <map>
#include <vector>

namespace bft::sim {

class SimDatabase {
public:
    using Committed = std::function<void(const std::vector<consensus::Executed>&)>;
    /// Sees every committed item with its result, also those whose outcome the voter never learns.
    using Observer = std::function<void(const consensus::Execution&, const consensus::ItemResult&)>;

    SimDatabase(Timeline& time, const Plan& plan, Prng prng, Observer observer);

    /// A voter's process begins to use it.
    void attach(Committed committed) { committed_ = std::move(committed); }
    void execute(consensus::Execution execution);
    [[nodiscard]] std::vector<consensus::ItemResult> lookup(const consensus::Lookup& lookup) const;
    /// The voter's process dies: what its sessions had begun commits or does not.
    void detach();

    [[nodiscard]] const std::map<PartitionId, Seq>& next() const { return next_; }
    [[nodiscard]] const std::map<PartitionId, Rows>& rows() const { return rows_; }

private:
    struct Worker {
        std::deque<consensus::Execution> queue;
        std::vector<consensus::Execution> batch;
    };
    void start(std::size_t worker);
    void finish(std::size_t worker);
    std::vector<consensus::Executed> commit(const std::vector<consensus::Execution>& batch);
    [[nodiscard]] consensus::ItemResult apply(const consensus::Execution& execution);

    Timeline& time_;
    const Plan& plan_;
    Prng prng_;
    Observer observer_;
    Committed committed_;
    std::vector<Worker> workers_;
    std::uint64_t incarnation_ = 0;

    std::map<PartitionId, Rows> rows_;
    std::map<PartitionId, Seq> next_;
    std::map<std::pair<Slot, std::uint32_t>, consensus::ItemResult> executed_;
    std::map<std::pair<PartitionId, ClientId>, consensus::ClientWindow> windows_;
};

}  // namespace bft::sim

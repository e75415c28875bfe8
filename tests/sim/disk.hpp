// A node's durable log: records in order, group commit with latency; a crash keeps what was synced
// and any prefix of what was not.
#pragma once

#include "base/prng.hpp"
#include "consensus/fetch.hpp"
#include "consensus/minbft/primary.hpp"
#include "consensus/minbft/replica.hpp"
#include "timeline.hpp"

#include <functional>
#include <map>
#include <vector>

namespace bft::sim {

class SimDisk final : public consensus::LogReader {
public:
    SimDisk(Timeline& time, Duration sync_latency, Prng prng)
        : time_(time), sync_latency_(sync_latency), prng_(prng) {}

    void append(std::vector<consensus::Persist> records, std::function<void()> durable);
    void crash();
    /// Never fired for callbacks of before the last crash.
    [[nodiscard]] std::size_t records() const { return records_.size(); }

    [[nodiscard]] std::optional<consensus::Prepare> prepare(PrimaryId primary,
                                                            Counter cv) const override;
    [[nodiscard]] std::optional<consensus::Commit> vote(GroupId group, Position position,
                                                        Counter cv) const override;
    [[nodiscard]] consensus::Body body(const Digest& rd) const override;

    /// What recover() of the role that wrote this log gets.
    [[nodiscard]] consensus::minbft::Primary::Recovered primary_log() const;
    [[nodiscard]] consensus::minbft::Replica::Recovered replica_log(GroupId group,
                                                                    Position position) const;

    /// For checkers: what survives. The newest certificate's record may be lost (ADR 5), its intent
    /// never.
    [[nodiscard]] bool has_header(Slot slot) const {
        return by_slot_.contains(slot) ||
               (prepare_intent_ && prepare_intent_->header->slot == slot);
    }

private:
    void index(const consensus::LogRecord& record);
    void start_sync();

    Timeline& time_;
    Duration sync_latency_;
    Prng prng_;
    std::vector<consensus::LogRecord> records_;
    std::size_t synced_ = 0;
    bool syncing_ = false;
    std::uint64_t incarnation_ = 0;
    std::vector<std::pair<std::size_t, std::function<void()>>> waiting_;

    std::map<Counter, consensus::Prepare> prepares_;
    std::map<Slot, Digest> by_slot_;
    std::map<std::tuple<GroupId, Position, Counter>, consensus::Commit> votes_;
    std::map<Digest, consensus::Body> bodies_;
    std::optional<consensus::PrepareIntent> prepare_intent_;
    std::optional<consensus::CommitIntent> commit_intent_;
    Slot executed_{};
};

}  // namespace bft::sim

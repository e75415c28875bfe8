// One replica of one group: agreement (Replica) and what follows a decision (GroupExecutor), as one
// engine. This is what a host and the simulator run.
#pragma once

#include "consensus/minbft/group_executor.hpp"
#include "consensus/minbft/replica.hpp"

namespace bft::consensus::minbft {

class GroupReplica final : public Engine {
public:
    GroupReplica(const Membership& membership, GroupId group, Position position,
                 ReplicaOptions options, ExecutorOptions executor_options, Signer& signer);

    /// See Replica::recover().
    [[nodiscard]] Result<void> recover(Replica::Recovered log,
                                       const std::optional<std::pair<Digest, Ui>>& last);

    void receive(const Verified& message, Now now) override;
    void sealed(Ui ui, Now now) override;
    void tick(Now now) override;
    [[nodiscard]] std::optional<TimePoint> next_deadline() const override;
    /// `deliver` is filled for observers (tests, traces): the executor has had it already.
    [[nodiscard]] Output take_output() override;

    [[nodiscard]] const Replica& agreement() const { return agreement_; }
    [[nodiscard]] const GroupExecutor& executor() const { return executor_; }

private:
    void absorb(Output output, Now now);
    void answer_of_moved(const Request& request);
    void refuse(const Request& request);
    void show_barrier(const Endpoint& client);

    Replica agreement_;
    GroupExecutor executor_;
    Output out_;
};

}  // namespace bft::consensus::minbft

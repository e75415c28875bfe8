// The voter before this host's database: executes what f+1 replicas of a group ask for, in order.
#pragma once

#include "consensus/voter.hpp"
#include "database/executor.hpp"
#include "host/ticker.hpp"
#include "roles/role.hpp"

#include <deque>

namespace bft::roles {

class DatabaseVoterRole final : public Role {
public:
    /// Connects to the database; blocks while it does. Errors say what the operator does.
    static Result<std::unique_ptr<DatabaseVoterRole>> create(
        Environment& environment, VoterId self, consensus::VoterOptions options,
        database::ExecutorOptions executor_options, const catalog::Application& application);
    ~DatabaseVoterRole() override;

    void start() override;
    [[nodiscard]] bool congested() const override { return !waiting_.empty(); }
    [[nodiscard]] boost::json::object report() const override;
    void add_disagreements(std::map<HostId, std::uint64_t>& by_host) const override;

private:
    DatabaseVoterRole(Environment& environment, VoterId self,
                      database::ExecutorOptions executor_options,
                      const catalog::Application& application);

    void receive(const consensus::Verified& message);
    void executed(const std::vector<consensus::Executed>& results);
    void found(const consensus::Lookup& lookup, const std::vector<consensus::ItemResult>& results);
    void alarm(const database::Alarm& alarm);
    void pump();
    void give_to_executor();

    Environment& environment_;
    VoterId self_;
    std::optional<consensus::Voter> engine_;  ///< from open() on
    host::Ticker ticker_;
    std::deque<consensus::Execution> waiting_;  ///< did not fit the executor's queue
    std::deque<consensus::Lookup> lookups_;
    std::string trouble_;  ///< the last alarm that is not over
    bool halted_ = false;
    database::OrderedExecutor executor_;  // last: its threads post to what is above
};

}  // namespace bft::roles

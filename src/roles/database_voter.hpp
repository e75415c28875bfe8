// The voter before this host's database: executes what f+1 replicas of a group ask for, in order,
// and keeps watch over the database itself: what differs from f_D+1 others is rebuilt from them.
#pragma once

#include "consensus/database_guard.hpp"
#include "consensus/voter.hpp"
#include "database/executor.hpp"
#include "database/rebuild.hpp"
#include "database/snapshot.hpp"
#include "host/ticker.hpp"
#include "roles/role.hpp"

#include <deque>
#include <functional>
#include <optional>

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

    /// Out of service until it is what f_D+1 others have.
    [[nodiscard]] bool quarantined() const { return guard_ && guard_->quarantined(); }

    /// It has executed this configuration, or a later one, and is in service.
    [[nodiscard]] bool has_followed(ConfigVersion version) const {
        return engine_ && engine_->config().version >= version;
    }

    // For the operator, see `bftctl audit`. Errors say why not.
    Result<void> audit(Slot slot);
    Result<void> resync();

    // For the operator, see `bftctl snapshot save`: a copy of the database as it is at `slot`.
    Result<void> save(Slot slot);
    void end_save();
    /// Errc::unavailable: not yet; Errc::refused: never, begin again at a later slot.
    Result<consensus::DatabaseGuard::Saved> saved(Slot slot);
    /// `take` is called once: with the canonical rows, or nothing when they cannot be had.
    void read_saved(Slot slot, std::uint32_t leaf, std::uint32_t chunk,
                    std::function<void(std::optional<Bytes>)> take);

private:
    DatabaseVoterRole(Environment& environment, VoterId self, consensus::VoterOptions options,
                      database::ExecutorOptions executor_options,
                      const catalog::Application& application);

    Result<void> open_guarded();
    [[nodiscard]] Result<void> may_cut(Slot slot) const;
    Result<void> open_executor();
    void begin_service();
    void end_service();
    void on_deadline();
    void receive(const consensus::Verified& message);
    void alarm(const database::Alarm& alarm);
    void on_rebuilt();
    void on_exported(const consensus::ChunkExport& asked, std::optional<Bytes> rows);
    void pump();
    void pump_voter();
    void follow_config();
    void note_replaced();
    void answer_config(const consensus::Endpoint& from, const consensus::FetchConfig& fetch);
    void pump_guard();
    void give_to_executor();
    void asked(const consensus::Verified& message, TimePoint now);
    void measure(const std::vector<consensus::Executed>& results, TimePoint now);
    void transmit(std::vector<consensus::Send>& messages);
    void note(const std::vector<consensus::Event>& events);
    [[nodiscard]] boost::json::object guard_report() const;

    Environment& environment_;
    VoterId self_;
    ConfigVersion told_;               ///< to Environment::configured
    std::vector<HostId> voter_hosts_;  ///< whose databases the guard knows
    consensus::VoterOptions options_;
    database::ExecutorOptions executor_options_;
    const catalog::Application& application_;
    std::map<PartitionId, Seq> next_;         ///< of the database when it was opened
    consensus::ConfigurationPtr config_;      ///< likewise
    std::optional<consensus::Voter> engine_;  ///< while the database is in service
    std::optional<consensus::DatabaseGuard> guard_;
    host::Ticker ticker_;
    std::deque<consensus::Execution> waiting_;  ///< did not fit the executor's queue
    std::deque<consensus::Lookup> lookups_;
    /// When the executor was given an item; bounded as what is in flight.
    std::map<std::tuple<GroupId, Slot, std::uint32_t>, TimePoint> given_;
    /// When a slot's first COMMIT-DB came; at most `asked_max`, the oldest are given up.
    std::map<std::pair<Slot, GroupId>, TimePoint> asked_;
    static constexpr std::size_t asked_max = 1024;
    /// Who waits for chunks of save(), in the order in which they were asked for.
    std::deque<std::function<void(std::optional<Bytes>)>> readers_;
    std::string trouble_;  ///< the last alarm that is not over
    bool halted_ = false;
    /// Counts executors: what an earlier one still says is about a database that is no more.
    std::uint64_t generation_ = 0;
    // Last, and in this order: the executor's threads call the keeper, all of them post to this.
    std::unique_ptr<database::SnapshotKeeper> keeper_;
    std::unique_ptr<database::Rebuilder> rebuilder_;
    std::unique_ptr<database::OrderedExecutor> executor_;
};

}  // namespace bft::roles

// A voter's process in front of a simulated database, with the guard that compares it with the
// others' and has it rebuilt.
#pragma once

#include "cluster.hpp"
#include "consensus/database_guard.hpp"
#include "consensus/voter.hpp"
#include "database.hpp"

#include <memory>

namespace bft::sim {

/// The guards' patience, in proportion to a chaos phase of seconds.
[[nodiscard]] consensus::GuardOptions guard_options(const Plan& plan);

class VoterNode final : public Node {
public:
    VoterNode(Cluster& cluster, VoterId self, Prng prng);

    void boot();
    void crash();
    [[nodiscard]] bool up() const { return up_; }
    void receive(const Network::Packet& packet) override;

    [[nodiscard]] const consensus::Endpoint& self() const { return self_; }
    /// Null when down or out of service.
    [[nodiscard]] const consensus::Voter* voter() const { return voter_.get(); }
    /// Null when down, or without database checkpoints.
    [[nodiscard]] const consensus::DatabaseGuard* guard() const { return guard_.get(); }
    [[nodiscard]] const SimDatabase& database() const { return database_; }

    /// G5, G17: somebody writes to the database behind our back.
    void tamper(SimDatabase::Tampering how);
    /// Its place is given to another host with an empty database.
    void move_to(HostId host);
    /// It is one more, and empty.
    void join();
    void note_replaced(VoterId other) { guard_->joined(other); }
    /// G9.
    void full_until(TimePoint when) { database_.full_until(when); }

private:
    [[nodiscard]] DatabaseHandlers handlers();
    void begin_service();
    void end_service();
    void pump();
    void pump_guard();
    void pump_voter();
    void send(std::vector<consensus::Send>& sends);
    void note(const std::vector<consensus::Event>& events);
    void note_donor(const consensus::Send& send);
    void on_rebuilt();
    void arm_timer();
    void on_deadline();
    /// A7. True: it has just died.
    bool dies_at(Moment moment);
    /// A Byzantine voter's answers.
    [[nodiscard]] bool rewrite(consensus::Send& send);
    [[nodiscard]] bool rewrite(consensus::DbReply& reply);
    [[nodiscard]] consensus::Now now() const { return cluster_.now(clock_); }

    Cluster& cluster_;
    VoterId id_;
    consensus::Endpoint self_;
    bool correct_;
    Prng prng_;
    std::optional<TokenSigner> signer_;
    SimDatabase database_;
    std::unique_ptr<consensus::DatabaseGuard> guard_;
    std::unique_ptr<consensus::Voter> voter_;
    bool up_ = false;
    Slot rebuilding_{};
    std::optional<std::pair<Slot, consensus::Endpoint>> donor_;  ///< asked last, for which cut
    const HostClock& clock_;
    std::optional<TimePoint> timer_at_;
    std::uint64_t incarnation_ = 0;
    void note_barrier(const consensus::Execution& execution);
    std::map<Slot, TimePoint> barriers_;             ///< checkpoint items, when they came
    std::map<PartitionId, TimePoint> committed_at_;  ///< its newest item
};

}  // namespace bft::sim

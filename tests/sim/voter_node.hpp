// A voter's process in front of a simulated database.
#pragma once

#include "cluster.hpp"
#include "consensus/voter.hpp"
#include "database.hpp"

#include <memory>

namespace bft::sim {

class VoterNode final : public Node {
public:
    VoterNode(Cluster& cluster, VoterId self, Prng prng);

    void boot();
    void crash();
    [[nodiscard]] bool up() const { return voter_ != nullptr; }
    void receive(const Network::Packet& packet) override;

    [[nodiscard]] const consensus::Endpoint& self() const { return self_; }
    [[nodiscard]] const consensus::Voter* voter() const { return voter_.get(); }
    [[nodiscard]] const SimDatabase& database() const { return database_; }

private:
    void pump();
    void arm_timer();
    /// A Byzantine voter's answers.
    [[nodiscard]] bool rewrite(consensus::Send& send);

    Cluster& cluster_;
    VoterId id_;
    consensus::Endpoint self_;
    bool correct_;
    Prng prng_;
    SimDatabase database_;
    std::unique_ptr<consensus::Voter> voter_;
    std::optional<TimePoint> timer_at_;
    std::uint64_t incarnation_ = 0;
};

}  // namespace bft::sim

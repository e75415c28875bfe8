// A correct client: the product's client core, calling in a closed loop.
#pragma once

#include "client/core.hpp"
#include "cluster.hpp"

#include <map>

namespace bft::sim {

class ClientNode final : public Node {
public:
    ClientNode(Cluster& cluster, ClientId self, Prng prng);

    void start();
    /// One call, whatever the loop does.
    void submit(PartitionId home, std::vector<PartitionId> parts, Bytes op);
    /// No new calls; those outstanding go on.
    void stop() { stopped_ = true; }
    void receive(const Network::Packet& packet) override;

    [[nodiscard]] std::size_t outstanding() const { return invoked_.size(); }
    [[nodiscard]] std::uint64_t finished() const { return finished_; }

private:
    void call();
    void pump();
    void arm_timer();

    Cluster& cluster_;
    ClientId id_;
    consensus::Endpoint self_;
    Prng prng_;
    client::ClientCore core_;
    std::map<std::uint64_t, TimePoint> invoked_;  ///< by token
    /// Who answered an outstanding call, and whether in full.
    struct Heard {
        consensus::ItemResult answer;
        Slot slot{};
    };
    void note_acceptance(const client::Finished& done);
    std::map<consensus::RequestId, std::map<consensus::Endpoint, Heard>> heard_;
    std::uint64_t tokens_ = 0;
    std::uint64_t finished_ = 0;
    std::optional<TimePoint> timer_at_;
    bool stopped_ = false;
};

}  // namespace bft::sim

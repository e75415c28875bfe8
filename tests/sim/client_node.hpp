// A correct client: the product's client core, calling in a closed loop.
#pragma once

#include "client/core.hpp"
#include "cluster.hpp"

#include <map>
#include <memory>

namespace bft::sim {

class ClientNode final : public Node {
public:
    /// `key`: one that came later than the cluster file; none: that of the cluster file.
    ClientNode(Cluster& cluster, ClientId self, Prng prng, Bytes key = {});

    void start();
    /// One call, whatever the loop does.
    void submit(PartitionId home, std::vector<PartitionId> parts, Bytes op);
    /// No new calls; those outstanding go on.
    void stop() { stopped_ = true; }
    /// The client begins anew with another key. What it had asked for may have been done.
    void restart(Bytes key, bool quietly);
    /// It is no client any more, and goes on for a while nevertheless: it must be told so.
    void leave() { leaving_ = true; }
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
    Bytes key_;  ///< empty: the one in the cluster file
    std::unique_ptr<client::ClientCore> core_;
    consensus::Membership known_;  ///< by which it judges barriers
    bool leaving_ = false;
    std::uint32_t refused_ = 0;
    std::map<std::uint64_t, TimePoint> invoked_;  ///< by token
    /// Who answered an outstanding call, and whether in full.
    struct Heard {
        consensus::ItemResult answer;
        Slot slot{};
    };
    void note_acceptance(const client::Finished& done);
    void note_refusal(const client::Finished& done);
    void show(const Network::Packet& packet, const consensus::BarrierCertPtr& barrier);
    void begin(ClientSeq first);
    std::map<consensus::RequestId, std::map<consensus::Endpoint, Heard>> heard_;
    std::uint64_t tokens_ = 0;
    std::uint64_t finished_ = 0;
    std::optional<TimePoint> timer_at_;
    bool stopped_ = false;
};

}  // namespace bft::sim

// A process with one engine: the pump as the product's host has it (persist, then what rests on it,
// in order), its log, its counter, and its death.
#pragma once

#include "cluster.hpp"
#include "disk.hpp"

#include <deque>
#include <functional>
#include <memory>

namespace bft::sim {

/// Stands between a Byzantine node's engine and the world.
class Liar {
public:
    virtual ~Liar() = default;
    virtual void saw(const consensus::Verified& message) = 0;
    /// May change, drop or add.
    virtual void rewrite(std::vector<consensus::Send>& sends) = 0;
    virtual void tick() = 0;
};

class EngineNode : public Node {
public:
    EngineNode(Cluster& cluster, consensus::Endpoint self);

    void boot();
    /// The process dies. What its disk had not synced may be lost.
    void crash();
    [[nodiscard]] bool up() const { return engine_ != nullptr; }
    [[nodiscard]] bool down_for_good() const { return refused_; }
    void receive(const Network::Packet& packet) override;

    [[nodiscard]] const consensus::Endpoint& self() const { return self_; }
    [[nodiscard]] const SimDisk& disk() const { return disk_; }
    void set_liar(std::unique_ptr<Liar> liar) { liar_ = std::move(liar); }

    /// Null for a primary, or when down.
    [[nodiscard]] const consensus::minbft::GroupReplica* replica() const { return replica_; }
    [[nodiscard]] const consensus::minbft::Primary* primary() const { return primary_; }
    [[nodiscard]] std::size_t waiting() const { return outputs_.size(); }

private:
    struct Queued {
        consensus::Output output;
        bool durable = false;
    };
    [[nodiscard]] bool recover();
    void pump();
    void drain();
    void perform(consensus::Output output);
    void arm_timer();
    void observe(const consensus::Output& output);

    Cluster& cluster_;
    consensus::Endpoint self_;
    UsigId usig_;
    bool correct_;
    SimDisk disk_;
    std::unique_ptr<consensus::Engine> engine_;
    consensus::minbft::GroupReplica* replica_ = nullptr;
    consensus::minbft::Primary* primary_ = nullptr;
    std::unique_ptr<Liar> liar_;
    std::deque<std::shared_ptr<Queued>> outputs_;
    std::optional<TimePoint> timer_at_;
    std::uint64_t incarnation_ = 0;
    bool draining_ = false;
    bool refused_ = false;
};

}  // namespace bft::sim

// A process with one engine: the pump as the product's host has it (persist, then what rests on it,
// in order), its log, its counter, and its death.
#pragma once

#include "cluster.hpp"
#include "disk.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <vector>

namespace bft::sim {

/// Stands between a Byzantine node's engine and the world.
class Liar {
public:
    virtual ~Liar() = default;
    virtual void saw(const consensus::Verified& message) = 0;
    /// False: the engine never gets it.
    virtual bool hears(const consensus::Verified&) { return true; }
    /// May change what the engine puts out before anything of it is performed.
    virtual void corrupt(consensus::Output&) {}
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
    /// The process stops and later goes on where it was, with everything that came meanwhile.
    void pause();
    void resume();
    /// boot() does nothing while it is to stay away.
    void stay_away(bool away) { away_ = away; }
    /// T2: its disk is empty from now on. It must not come back.
    void lose_disk();
    /// F7: its disk is as it was before its last certificate. False: it has none; nothing is done.
    bool roll_back_disk();
    /// J3: it must not come back.
    void rot_disk();
    /// J1, J2: at the next sync it dies, and comes back after `wait`.
    void fail_disk(Duration wait);
    /// Its disk becomes what a crash of `other` would leave at this moment.
    void clone_disk(const EngineNode& other);
    /// P7: as an operator, or a host whose TPM does not answer, would have it.
    void resign();
    [[nodiscard]] bool up() const { return engine_ != nullptr; }
    [[nodiscard]] bool down_for_good() const { return refused_; }
    void receive(const Network::Packet& packet) override;

    [[nodiscard]] const consensus::Endpoint& self() const { return self_; }
    [[nodiscard]] const SimDisk& disk() const { return disk_; }
    /// Its wall clock is ahead.
    void set_clock_ahead(std::uint64_t milliseconds) { ahead_ms_ = milliseconds; }
    void set_liar(std::unique_ptr<Liar> liar) { liar_ = std::move(liar); }
    [[nodiscard]] SimDisk& mutable_disk() { return disk_; }
    /// Its identity is lost (T2, T3): to come back would be the violation.
    void expect_refusal() { must_refuse_ = true; }

    /// Null for a primary, or when down.
    [[nodiscard]] const consensus::minbft::GroupReplica* replica() const { return replica_; }
    [[nodiscard]] const consensus::minbft::Primary* primary() const { return primary_; }
    [[nodiscard]] std::size_t waiting() const { return outputs_.size(); }

private:
    struct Queued {
        consensus::Output output;
        bool durable = false;
    };
    [[nodiscard]] consensus::Now now() const {
        consensus::Now now = cluster_.now(clock_);
        now.wall_ms += ahead_ms_;
        return now;
    }
    /// Would its host's Verifier, which knows the members that this node knows, let it pass?
    [[nodiscard]] bool knows_enough(const consensus::Verified& message);
    /// Of a Byzantine primary: the barrier as it would be if no client went or changed its key.
    [[nodiscard]] Network::Packet forgetful(const Network::Packet& packet) const;
    [[nodiscard]] bool recover();
    [[nodiscard]] Result<void> recover_primary(
        const std::optional<std::pair<Digest, consensus::Ui>>&);
    [[nodiscard]] Result<void> recover_replica(
        const std::optional<std::pair<Digest, consensus::Ui>>&);
    [[nodiscard]] std::optional<std::pair<Digest, consensus::Ui>> last_known(
        std::optional<std::pair<Digest, consensus::Ui>> last, Counter logged) const;
    void note_restart(const std::optional<std::pair<Digest, consensus::Ui>>& last, Counter logged);
    void pump();
    void drain();
    void perform(consensus::Output output);
    void seal(const Digest& digest);
    void ask_last(const Digest& digest);
    void sealed(consensus::Ui ui);
    void watch_counter();
    /// A7. True: it has just died.
    bool dies_at(Moment moment);
    void arm_timer();
    void observe(const consensus::Output& output);
    void observe(const consensus::LogRecord& record);
    /// Runs `what` now, or after a pause; not at all when the process has died meanwhile.
    template <class What>
    void alive(std::uint64_t incarnation, What&& what) {
        if (incarnation != incarnation_) return;
        if (!paused_)
            what();
        else
            paused_work_.push_back(std::forward<What>(what));
    }

    Cluster& cluster_;
    consensus::Endpoint self_;
    UsigId usig_;
    bool correct_;
    std::uint64_t ahead_ms_ = 0;
    SimDisk disk_;
    consensus::Membership known_;  ///< as of `known_version_`
    ConfigVersion known_version_{};
    TokenSigner signer_;
    std::unique_ptr<consensus::Engine> engine_;
    consensus::minbft::GroupReplica* replica_ = nullptr;
    consensus::minbft::Primary* primary_ = nullptr;
    std::unique_ptr<Liar> liar_;
    std::deque<std::shared_ptr<Queued>> outputs_;
    std::vector<std::function<void()>> paused_work_;
    const HostClock& clock_;
    std::optional<TimePoint> timer_at_;
    std::uint64_t incarnation_ = 0;
    std::uint64_t drafts_ = 0;  ///< sealed so far
    bool draining_ = false;
    bool paused_ = false;
    bool away_ = false;
    bool refused_ = false;
    bool must_refuse_ = false;
};

/// The engines' options under a plan.
[[nodiscard]] consensus::minbft::PrimaryOptions primary_options(const Plan& plan);
[[nodiscard]] consensus::minbft::ReplicaOptions replica_options(const Plan& plan);
[[nodiscard]] consensus::minbft::ExecutorOptions executor_options(const Plan& plan);

}  // namespace bft::sim

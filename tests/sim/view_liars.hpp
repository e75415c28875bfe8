// Byzantine nodes in checkpoints and view changes (faults.md C and D): what a correct engine says
// is changed before it is certified, or certified besides what the engine knows.
#pragma once

#include "cluster.hpp"
#include "engine_node.hpp"
#include "plan.hpp"

#include <map>
#include <vector>

namespace bft::sim {

/// The part of a lying replica that is about views.
class LiesOfViews {
public:
    LiesOfViews(Cluster& cluster, const consensus::Endpoint& self, const ReplicaLies& lies,
                Prng prng)
        : cluster_(cluster), self_(self), lies_(lies), prng_(prng) {}

    void saw(const consensus::Verified& message);
    void corrupt(consensus::Output& output);
    void rewrite(std::vector<consensus::Send>& sends);
    void tick();

private:
    [[nodiscard]] bool hide(consensus::ViewChange& change);
    [[nodiscard]] consensus::ViewChangePtr substitute(const consensus::ViewChangePtr& change) const;
    void commit_again();
    void change_again(const consensus::ViewChange& change);
    void accept(const consensus::NewView& new_view);
    void complain();
    void sign_otherwise(consensus::Vouch& vouch);
    void sign_otherwise(consensus::Checkpoint& checkpoint);

    Cluster& cluster_;
    consensus::Endpoint self_;
    ReplicaLies lies_;
    Prng prng_;
    std::vector<consensus::Commit> commits_;     ///< own, certified
    std::vector<consensus::ViewChange> hidden_;  ///< what was certified in place of the engine's
};

/// A primary-capable node with a correct engine that lies as the plan says.
class LyingLeader final : public Liar {
public:
    LyingLeader(Cluster& cluster, EngineNode& node, const LeaderLies& lies, Prng prng);

    void saw(const consensus::Verified&) override {}
    bool hears(const consensus::Verified& message) override;
    void corrupt(consensus::Output& output) override;
    void rewrite(std::vector<consensus::Send>& sends) override;
    void tick() override {}

private:
    void corrupt(consensus::NewView& new_view);
    void substitute(consensus::NewView& new_view) const;
    void equivocate(const consensus::Prepare& prepare);
    void begin_again(const consensus::NewView& new_view);
    [[nodiscard]] std::vector<consensus::Endpoint> some_replicas();

    Cluster& cluster_;
    EngineNode& node_;
    bool letting_in_ = false;
    consensus::Endpoint self_;
    LeaderLies lies_;
    Prng prng_;
    std::map<View, consensus::NewView> lied_;  ///< what was certified in place of the engine's
    std::set<consensus::Endpoint> shunned_;
    View silent_in_{~std::uint64_t{0}};
};

}  // namespace bft::sim

// Liars that work together (faults.md B-SAFE): one mind behind f replicas of every group and all
// primaries but one. They share what they know, certify one lie, choose who sees what, and delay
// what correct nodes say to each other. The engine of such a replica only watches: its counter
// belongs to the mind, which keeps account of every value, so that its VIEW-CHANGEs are as well
// formed as their content allows.
#pragma once

#include "cluster.hpp"
#include "consensus/header_store.hpp"
#include "engine_node.hpp"
#include "plan.hpp"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

namespace bft::sim {

class DarkLeader;
class Puppet;

class Mind {
public:
    Mind(Cluster& cluster, Prng prng);
    ~Mind();

    std::unique_ptr<Liar> puppet(EngineNode& node);
    void lead(PrimaryId primary);
    void start();
    /// Its primaries fall silent for good.
    void silence();
    /// From now on the network belongs to nobody.
    void heal() { healed_ = true; }

    [[nodiscard]] const Plot& plot() const { return plot_; }
    [[nodiscard]] bool mine(const consensus::Endpoint& node) const {
        return !cluster_.correct(node) && node.role != consensus::Endpoint::Role::client;
    }
    [[nodiscard]] bool coin(std::uint32_t permille) { return prng_.chance(permille); }

    // --- what all of them know ---
    void learn(const consensus::Prepare& prepare);
    void learn(const consensus::HeaderPtr& header);
    [[nodiscard]] const consensus::HeaderStore& headers() const { return headers_; }

    /// A second PREPARE for a slot, which no correct node is shown.
    void equivocated(consensus::Prepare prepare) { second_ = std::move(prepare); }
    [[nodiscard]] const std::optional<consensus::Prepare>& second() const { return second_; }
    /// A NEW-VIEW that no correct replica accepts.
    void forged(consensus::NewView new_view) { forged_ = std::move(new_view); }
    [[nodiscard]] const std::optional<consensus::NewView>& forged() const { return forged_; }

    // --- who sees what ---
    /// One correct replica of each group: with the puppets it makes f+1.
    [[nodiscard]] bool favoured(const consensus::Endpoint& replica) const {
        return favoured_.contains(replica);
    }
    /// Of these, who is to see what a round keeps from the others.
    [[nodiscard]] std::vector<consensus::Endpoint> audience(std::vector<consensus::Endpoint> all);
    /// The puppets' signatures on what positions of `group` sign.
    [[nodiscard]] std::vector<Position> positions(GroupId group) const;

private:
    void round();
    void isolate(Duration how_long);

    Cluster& cluster_;
    Prng prng_;
    Plot plot_;
    consensus::HeaderStore headers_{16384};
    std::optional<consensus::Prepare> second_;
    std::optional<consensus::NewView> forged_;
    std::set<consensus::Endpoint> favoured_;
    std::vector<std::unique_ptr<DarkLeader>> leaders_;
    bool exclusive_ = false;  ///< only the favoured are shown things now
    bool healed_ = false;
};

}  // namespace bft::sim

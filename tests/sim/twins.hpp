// Two processes with one identity and, where it has one, one trusted counter (faults.md F9, J9: an
// operator starts a node twice, or a machine is cloned while it runs). Both are correct; who hears
// whom changes all the time. Whatever comes of it, the identity is at worst dead.
#pragma once

#include "cluster.hpp"
#include "engine_node.hpp"
#include "voter_node.hpp"

#include <array>
#include <map>
#include <memory>

namespace bft::sim {

/// One address with two nodes behind it.
class SharedAddress final : public Node {
public:
    /// Takes the address over from whoever has it.
    SharedAddress(Cluster& cluster, const consensus::Endpoint& self, Prng prng);
    void share(Node& first, Node& second) { nodes_ = {&first, &second}; }
    void start();
    void receive(const Network::Packet& packet) override;
    /// Does node 0 or 1 hear, and speak to, `other` now?
    [[nodiscard]] bool reaches(std::size_t which, const consensus::Endpoint& other);

private:
    void shuffle();

    Cluster& cluster_;
    Prng prng_;
    std::array<Node*, 2> nodes_{};
    std::map<consensus::Endpoint, unsigned> sides_;  ///< bit per node
};

/// The twin of an engine's process.
class EngineTwin {
public:
    EngineTwin(Cluster& cluster, EngineNode& first, Prng prng);
    void start();
    void stop();

private:
    /// Lets one of the two speak to its side only.
    class Voice;
    void disturb();
    EngineNode& first_;
    Cluster& cluster_;
    Prng prng_;
    EngineNode second_;
    SharedAddress address_;
    bool stopped_ = false;
};

/// The twin of a voter, with a database of its own.
class VoterTwin {
public:
    VoterTwin(Cluster& cluster, VoterNode& first, Prng prng);
    void start();

private:
    VoterNode second_;
    SharedAddress address_;
};

}  // namespace bft::sim

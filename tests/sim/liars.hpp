// Byzantine nodes: a correct engine whose words are changed on the way out, or scripts.
#pragma once

#include "cluster.hpp"
#include "engine_node.hpp"
#include "plan.hpp"
#include "view_liars.hpp"

#include <deque>
#include <map>
#include <memory>
#include <vector>

namespace bft::sim {

/// Position (g, j) lies as the plan says. It may use its own counter for anything.
class LyingReplica final : public Liar {
public:
    LyingReplica(Cluster& cluster, const consensus::Endpoint& self, const ReplicaLies& lies,
                 Prng prng);

    void saw(const consensus::Verified& message) override;
    void corrupt(consensus::Output& output) override;
    void rewrite(std::vector<consensus::Send>& sends) override;
    void tick() override;

private:
    void certify_commit(const consensus::Prepare& prepare, bool to_all);
    void forge_items(consensus::CommitDb& message);
    void forge_prepare();
    void send(std::vector<consensus::Endpoint> to, consensus::Payload payload);

    Cluster& cluster_;
    consensus::Endpoint self_;
    ReplicaLies lies_;
    Prng prng_;
    consensus::Endpoint shunned_;              ///< selective: never spoken to
    std::deque<consensus::Prepare> prepares_;  ///< lately seen
    std::deque<consensus::CommitDb> items_;    ///< lately sent
    LiesOfViews lies_of_views_;
};

/// Requests that break the client's rules, with valid signatures.
class LyingClient final : public Node {
public:
    LyingClient(Cluster& cluster, ClientId self, const ClientLies& lies, Prng prng);
    void start();
    void stop() { stopped_ = true; }
    void receive(const Network::Packet&) override {}

private:
    void act();
    void ask();
    consensus::Body make(PartitionId home, ClientSeq cseq, ClientSeq low,
                         std::vector<PartitionId> parts);

    Cluster& cluster_;
    ClientId self_;
    ClientLies lies_;
    Prng prng_;
    std::map<PartitionId, ClientSeq> next_;
    std::deque<consensus::Body> made_;
    bool stopped_ = false;
};

/// View 0's primary, scripted: orders honest requests mixed with what the plan says. In its later
/// views nothing comes from it.
class LyingPrimary final : public Node {
public:
    LyingPrimary(Cluster& cluster, const PrimaryLies& lies, Prng prng);
    void start();
    void stop() { stopped_ = true; }
    void receive(const Network::Packet& packet) override;

private:
    void order();
    consensus::Header next_header();
    void spoil(consensus::Header& header);
    void certify(consensus::HeaderPtr header, std::vector<consensus::Endpoint> to);
    void take(consensus::HeaderPtr header);

    Cluster& cluster_;
    consensus::Endpoint self_ = consensus::Endpoint::primary(PrimaryId(0));
    PrimaryLies lies_;
    Prng prng_;
    Slot tip_{};
    Digest tip_digest_;
    UnixMillis ts_ms_ = 0;
    std::deque<consensus::Body> pool_;
    std::map<Digest, consensus::Body> bodies_;
    std::vector<consensus::EntryHeader> ordered_;
    std::map<Counter, consensus::Prepare> certified_;
    bool stopped_ = false;
    bool spoiled_ = false;  ///< correct replicas stop listening: go on for noise only
};

}  // namespace bft::sim

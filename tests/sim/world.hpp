// All nodes of a simulated cluster, and what can be done to them.
#pragma once

#include "admin_node.hpp"
#include "client_node.hpp"
#include "cluster.hpp"
#include "engine_node.hpp"
#include "liars.hpp"
#include "mind.hpp"
#include "mutator.hpp"
#include "thief.hpp"
#include "twins.hpp"
#include "voter_node.hpp"

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace bft::sim {

class World {
public:
    World(const Plan& plan, bool log);

    /// Boots everybody and starts the clients.
    void start();
    void crash_machine(std::uint32_t machine);
    /// Its replicas stop and do not come back before heal().
    void send_away(std::uint32_t machine);
    void boot_machine(std::uint32_t machine);
    /// The machine's disks and TPM suffer what the plan says about machines that are gone.
    void lose_machine(std::uint32_t machine);
    void power_cut();
    /// Nodes that are gone, or lie, are not in the core.
    [[nodiscard]] bool gone(const consensus::Endpoint& node) const;
    [[nodiscard]] bool in_core(const consensus::Endpoint& node) const {
        return cluster.correct(node) && !gone(node) && cluster.member(node);
    }
    /// No faults from now on; who can comes back; clients make no new calls.
    void heal();
    void stop_clients();
    /// The faults come back.
    void disturb() {
        healed = well = false;
        cluster.network.disturb();
    }
    /// For a run without end: nobody needs what is `kept` slots old, neither checkers nor logs.
    void forget_old(std::uint64_t kept, std::uint64_t retain);
    /// How much everybody holds, by kind: the largest of all nodes.
    [[nodiscard]] std::map<std::string, std::size_t> sizes() const;
    /// Byzantine primaries could keep everybody busy for ever without breaking a rule.
    void silence_liars();

    /// Time passes until `limit` or until `enough` says so; false when it did not, or when a
    /// property broke.
    bool advance(TimePoint limit, const std::function<bool()>& enough = nullptr);
    bool advance(Duration time, const std::function<bool()>& enough = nullptr) {
        return advance(cluster.time.now() + time, enough);
    }

    [[nodiscard]] bool all_answered() const;
    /// The core is in one active view, and everything that was ordered is executed everywhere.
    [[nodiscard]] bool converged() const;
    /// The view of the core, if it is one.
    [[nodiscard]] std::optional<View> common_view() const;
    [[nodiscard]] std::string state() const;
    void check_bounds();
    /// The databases of the core stand where the reference does.
    [[nodiscard]] bool all_executed() const;

    /// Whoever joined has caught up with the change that brought it.
    [[nodiscard]] bool caught_up(const consensus::Endpoint& node) const;
    /// A member that is to be replaced dies first.
    void strike_dead(const consensus::Endpoint& node);
    /// Whoever leads gives up.
    void end_view();

    [[nodiscard]] EngineNode* replica(std::uint32_t group, std::uint32_t position);

    const Plan& plan;
    Cluster cluster;
    Prng prng;
    std::vector<std::unique_ptr<EngineNode>> primaries;  ///< null: a scripted one
    std::unique_ptr<LyingPrimary> scripted;
    std::unique_ptr<Mind> mind;  ///< of liars that work together
    std::vector<std::unique_ptr<EngineNode>> replicas;
    std::vector<std::unique_ptr<VoterNode>> voters;
    std::vector<std::unique_ptr<ClientNode>> clients;
    std::vector<std::unique_ptr<EngineTwin>> twins;
    std::vector<std::unique_ptr<VoterTwin>> voter_twins;
    std::unique_ptr<LyingClient> lying_client;
    std::map<ClientId, std::unique_ptr<ClientNode>> guests;  ///< came by the order
    std::vector<std::unique_ptr<Thief>> thieves;
    std::unique_ptr<AdminNode> admin;  ///< null: the configuration stays
    bool healed = false;
    bool well = false;  ///< nothing is wrong any more, and all have caught up

private:
    void choose_clocks();
    void build();
    void welcome(const consensus::BarrierCertPtr& barrier);
    void follow_client(ClientId client, const Bytes& before, const Bytes& key);
    void join(const consensus::Endpoint& member, std::vector<std::unique_ptr<EngineNode>>& nodes);
    [[nodiscard]] bool on_machine(const EngineNode& node, std::uint32_t machine) const;
    bool stopped_ = false;  ///< no client calls any more
    std::map<consensus::Endpoint, Slot> joined_;
    std::set<consensus::Endpoint> struck_;
    void note_bodies(const consensus::NewView& new_view);
};

}  // namespace bft::sim

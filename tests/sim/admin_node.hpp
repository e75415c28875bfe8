// Who changes the configuration: signs random moves of partitions with k of n admin keys and sees
// to it that they are ordered, or that another change was (protocol.md 3.16).
#pragma once

#include "cluster.hpp"
#include "consensus/config_change.hpp"

#include <functional>
#include <optional>
#include <set>

namespace bft::sim {

class AdminNode final : public Node {
public:
    AdminNode(Cluster& cluster, Prng prng);

    void start();
    /// No new changes; the last one goes on.
    void stop() { stopped_ = true; }
    void receive(const Network::Packet& packet) override;

    /// What happens to the members of the cluster is the world's business.
    std::function<bool(const consensus::Endpoint&)> caught_up;
    std::function<void(const consensus::Endpoint&)> strike_dead;
    /// Whoever leads gives up, in the middle of a change.
    std::function<void()> end_view;
    /// A client came, has another key (it had `before`), or went (no key).
    std::function<void(ClientId, const Bytes& before, const Bytes& key)> on_client;

    /// The last change is in force, or another one in its place (L-CFG).
    [[nodiscard]] bool idle() const { return !wanted_; }
    [[nodiscard]] ConfigVersion version() const { return history_.newest().version; }

private:
    void change_something();
    void ask();
    [[nodiscard]] consensus::Body sign(consensus::ConfigChange change);
    [[nodiscard]] consensus::ConfigChange some_change();
    void replace_someone(consensus::ConfigChange& change);
    void replace_member(const consensus::Group& group, consensus::ConfigChange& change);
    void replace_database(consensus::ConfigChange& change);
    void replace_primary(consensus::ConfigChange& change);
    void change_groups(consensus::ConfigChange& change);
    void add_group(consensus::ConfigChange& change);
    void remove_group(GroupId out, consensus::ConfigChange& change);
    void employ_group(GroupId group, consensus::ConfigChange& change);
    void empty_group(GroupId out, consensus::ConfigChange& change);
    void strike_new_member(const consensus::Group& group);
    /// In force, and not removed.
    [[nodiscard]] std::vector<consensus::Group> groups() const;
    void introduce(HostId host, consensus::ConfigChange& change);
    void change_clients(consensus::ConfigChange& change);
    void tell_clients(const consensus::Configuration& before);
    [[nodiscard]] bool faulty(const consensus::Endpoint& member) const;

    Cluster& cluster_;
    consensus::Endpoint self_;
    Prng prng_;
    consensus::ConfigHistory history_;
    std::optional<ConfigVersion> wanted_;
    consensus::Body request_;
    consensus::Body rival_;  ///< of another admin, for the same version (I14)
    bool stopped_ = false;
    std::uint32_t replaced_ = 0;
    std::uint32_t newest_usig_ = 10'000;
    std::uint32_t hosts_ = 0;  ///< new ones
    std::uint32_t client_changes_ = 0;
    std::uint32_t group_changes_ = 0;
    std::optional<GroupId> leaving_;  ///< the last that gave away what it had
    std::set<GroupId> employed_;      ///< that had partitions once
    std::uint32_t newest_group_ = first_new_group;
    std::uint64_t newest_key_ = 0;
    std::uint64_t newest_client_ = 500;
};

}  // namespace bft::sim

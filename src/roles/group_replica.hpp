// One replica of one group: agrees on the group's part of the order and brings the databases'
// answers to the clients.
#pragma once

#include "consensus/minbft/group_replica.hpp"
#include "host/durable_log.hpp"
#include "host/engine_host.hpp"
#include "host/fetch_server.hpp"
#include "roles/page_generator.hpp"
#include "roles/replica_stages.hpp"
#include "roles/role.hpp"

namespace bft::roles {

class GroupReplicaRole final : public Role {
public:
    /// See PrimaryRole::create().
    static Result<std::unique_ptr<GroupReplicaRole>> create(
        Environment& environment, GroupId group, Position position,
        consensus::minbft::ReplicaOptions options, usig::Certifier& certifier,
        host::DurableLog& log, const usig::Standing& standing);
    /// Nothing is kept in the log for it any more.
    ~GroupReplicaRole() override;

    void start() override;
    [[nodiscard]] bool congested() const override;
    [[nodiscard]] boost::json::object report() const override;
    /// The newest configuration that is in force here.
    [[nodiscard]] const consensus::Configuration& config() const { return configs().newest(); }
    [[nodiscard]] const consensus::ConfigHistory& configs() const {
        return engine_.agreement().configs();
    }
    [[nodiscard]] const consensus::Endpoint& self() const { return host_.self(); }
    [[nodiscard]] Slot delivered() const { return engine_.agreement().report().delivered; }
    [[nodiscard]] bool halted() const { return engine_.agreement().report().halted; }
    void add_disagreements(std::map<HostId, std::uint64_t>& by_host) const override;

private:
    GroupReplicaRole(Environment& environment, GroupId group, Position position,
                     consensus::minbft::ReplicaOptions options, usig::Certifier& certifier,
                     host::DurableLog& log);

    host::EngineHostHooks hooks();
    void measure_answers(host::EngineHostHooks& hooks);
    void follow_configs();
    void make_pages(host::EngineHostHooks& hooks);
    void receive(const consensus::Verified& message);
    [[nodiscard]] Slot committed_by_others() const;

    Environment& environment_;
    GroupId group_;
    Position position_;
    host::DurableLog& log_;
    std::vector<Slot> commits_;  ///< by position: the newest COMMIT that came from there
    ConfigVersion told_{};       ///< to Environment::configured
    ReplicaStages stages_;
    PageGenerator pages_;
    consensus::minbft::GroupReplica engine_;
    host::EngineHost host_;
    host::FetchServer fetches_;
};

}  // namespace bft::roles

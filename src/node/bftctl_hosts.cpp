#include "node/bftctl_hosts.hpp"

#include "consensus/reign.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace bft::node {

using consensus::Endpoint;

void add_cluster(CLI::App& command, HostsOptions& options) {
    command.add_option("--cluster", options.cluster, "cluster.toml, as init made it")
        ->required()
        ->check(CLI::ExistingFile);
}

std::map<HostId, consensus::JoinedHost> RunningCluster::hosts() const {
    std::map<HostId, consensus::JoinedHost> all = now.hosts;
    for (std::uint32_t h = 0; h < file.hosts.size(); ++h)
        all[HostId(h)] = {file.hosts[h].name, file.hosts[h].address, file.hosts[h].key};
    return all;
}

std::string RunningCluster::name_of(HostId host) const {
    auto all = hosts();
    auto found = all.find(host);
    return found == all.end() ? "host " + std::to_string(host.value) : found->second.name;
}

std::optional<HostId> RunningCluster::host(const std::string& name) const {
    for (const auto& [id, host] : hosts())
        if (host.name == name) return id;
    return std::nullopt;
}

HostId RunningCluster::next_host() const {
    std::uint32_t next = 0;
    for (const auto& [id, host] : hosts()) next = std::max(next, id.value + 1);
    return HostId(next);
}

Result<RunningCluster> look_at(const HostsOptions& options) {
    auto file = load_cluster_file(options.cluster);
    std::string wrong;
    for (const Diagnostic& each : file.errors)
        wrong += (wrong.empty() ? "" : "\n") + to_string(each);
    if (!file.value) return error(Errc::malformed, wrong);
    // Of the clients an admin needs to know nothing.
    consensus::Membership membership = file.value->membership();
    membership.clients.clear();
    auto running = look(options, std::move(membership));
    if (!running) return running.error();
    return RunningCluster{std::move(*running), std::move(*file.value)};
}

std::vector<Endpoint> seats_of(const consensus::Configuration& config, HostId host) {
    std::vector<Endpoint> seats;
    for (const consensus::Group& group : config.groups)
        for (std::uint32_t p = 0; p < group.members.size(); ++p)
            if (group.members[p].host == host && group.active(Position(p)))
                seats.push_back(Endpoint::replica(group.id, Position(p)));
    return seats;
}

std::optional<VoterId> voter_of(const consensus::Configuration& config, HostId host) {
    for (std::uint32_t d = 0; d < config.voters.size(); ++d)
        if (config.voters[d] == host) return VoterId(d);
    return std::nullopt;
}

std::optional<PrimaryId> primary_of(const consensus::Configuration& config, HostId host) {
    for (PrimaryId each : consensus::reign_of(config))
        if (config.primaries[each.value].host == host) return each;
    return std::nullopt;
}

Result<void> check_newcomer(const RunningCluster& cluster, const JoinFile& join) {
    if (join.cluster != cluster.config.cluster)
        return error(Errc::refused, join.name + " was prepared for another cluster");
    for (const auto& [id, host] : cluster.hosts())
        if (host.name == join.name || host.key == join.key)
            return error(Errc::refused,
                         join.name + " has the name or the key of " + host.name +
                             ", which is or was a member: a new host needs new ones");
    return {};
}

Bytes key_of(const usig::PublicIdentity& counter) {
    const std::string identity = usig::encode(counter);
    return Bytes(identity.begin(), identity.end());
}

Result<void> wait_for(const HostsOptions& options, RunningCluster& cluster,
                      const std::vector<Endpoint>& engines, const std::string& who,
                      boost::json::object& document) {
    const auto began = std::chrono::steady_clock::now();
    const bool all = cluster.admin->caught_up(engines, options.patience()).size() == engines.size();
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
                          std::chrono::steady_clock::now() - began)
                          .count();
    document["caught_up"] = all;
    document["caught_up_milliseconds"] = took;
    if (!all)
        return error(Errc::unavailable,
                     who + " has not caught up in time, and goes on: see `bftctl status` there");
    if (!options.json())
        std::printf("%s has caught up, after %lld ms more\n", who.c_str(),
                    static_cast<long long>(took));
    return {};
}

}  // namespace bft::node

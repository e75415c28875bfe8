#include "node/new_group.hpp"

#include "node/placement.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace bft::node {

using consensus::Endpoint;

namespace {

Error refused(std::string why) {
    return error(Errc::refused, std::move(why));
}

}  // namespace

std::vector<Candidate> candidates(const RunningCluster& cluster,
                                  const std::vector<JoinFile>& joins) {
    std::vector<Candidate> found;
    auto keep_unused = [&](Candidate candidate) {
        std::erase_if(candidate.counters, [&](const usig::PublicIdentity& counter) {
            return cluster.now.usigs.contains(late_id(counter));
        });
        if (!candidate.counters.empty()) found.push_back(std::move(candidate));
    };
    for (std::uint32_t h = 0; h < cluster.file.hosts.size(); ++h)
        keep_unused({cluster.file.hosts[h].name, HostId(h), cluster.file.hosts[h].spare_counters});
    for (const JoinFile& join : joins) {
        Candidate candidate{join.name, cluster.host(join.name), {}, join};
        for (const JoinFile::Counter& counter : join.counters)
            candidate.counters.push_back(counter.usig);
        keep_unused(std::move(candidate));
    }
    return found;
}

// As many as find 2f+1 hosts each.
std::uint32_t groups_for(std::uint32_t f, const std::vector<Candidate>& able) {
    for (std::uint32_t groups = 1;; ++groups) {
        std::size_t seats = 0;
        for (const Candidate& candidate : able)
            seats += std::min<std::size_t>(candidate.counters.size(), groups);
        if (seats < std::size_t{groups} * (2 * f + 1)) return groups - 1;
    }
}

std::vector<Candidate> running(const RunningCluster& cluster, const std::vector<Candidate>& members,
                               Duration patience, std::string& why) {
    std::vector<Endpoint> asked;
    std::vector<std::optional<Endpoint>> engine_of;
    for (const Candidate& member : members) {
        engine_of.emplace_back();
        if (!member.id) continue;
        std::vector<Endpoint> engines = seats_of(cluster.now, *member.id);
        if (auto primary = primary_of(cluster.now, *member.id))
            engines.push_back(Endpoint::primary(*primary));
        if (engines.empty()) continue;
        engine_of.back() = engines.front();
        asked.push_back(engines.front());
    }
    const std::set<Endpoint> good = cluster.admin->caught_up(asked, patience);
    std::vector<Candidate> found;
    for (std::size_t m = 0; m < members.size(); ++m) {
        if (!members[m].id || (engine_of[m] && good.contains(*engine_of[m]))) {
            found.push_back(members[m]);
            continue;
        }
        why += (why.empty() ? "" : "; ") + members[m].name +
               (engine_of[m] ? " is away, or has not caught up yet: take other hosts, or try again "
                               "when it has"
                             : " has neither a seat nor a turn to order, so its daemon does not "
                               "follow the order: only hosts that have, and new ones, can take "
                               "one on");
    }
    return found;
}

// As `bftctl init` places.
Result<std::vector<Candidate>> choose(const RunningCluster& cluster,
                                      const std::vector<Candidate>& able) {
    constexpr std::uint64_t cpu = 1000;
    constexpr std::uint64_t seats_max = 1024;
    std::vector<Machine> machines;
    std::map<HostId, std::size_t> places;
    for (const Candidate& candidate : able) {
        Machine machine{candidate.name, "", {cpu * seats_max, 0}, {}};
        if (candidate.id) {
            places[*candidate.id] = machines.size();
            if (primary_of(cluster.now, *candidate.id)) machine.carries.insert("primary");
        }
        machines.push_back(std::move(machine));
    }
    std::vector<Workload> workloads;
    for (const consensus::Group& group : cluster.now.groups) {
        Workload there{"group " + std::to_string(group.id.value), 0, {cpu, 0}, {}, {}};
        for (std::uint32_t p = 0; p < group.members.size(); ++p)
            if (auto place = places.find(group.members[p].host);
                group.active(Position(p)) && place != places.end())
                there.fixed.push_back(place->second);
        workloads.push_back(std::move(there));
    }
    workloads.push_back({"the new group", 2 * cluster.now.f + 1, {cpu, 0}, {"primary"}, {}});
    auto placed = place(machines, workloads);
    if (!placed)
        return refused("a group needs " + std::to_string(2 * cluster.now.f + 1) +
                       " hosts that have a counter to spare, and " + std::to_string(able.size()) +
                       " have: `bftctl member prepare` makes new hosts with counters");
    std::vector<Candidate> chosen;
    for (std::size_t machine : placed->back()) chosen.push_back(able[machine]);
    return chosen;
}

Result<consensus::ConfigChange> new_group(const RunningCluster& cluster,
                                          const std::vector<Candidate>& members,
                                          std::optional<GroupId> id) {
    consensus::ConfigChange change;
    consensus::AddGroup added;
    for (const consensus::Group& group : cluster.now.groups)
        added.group = std::max(added.group, group.id.next());
    added.group = id.value_or(added.group);
    std::uint32_t next = cluster.next_host().value;
    for (const Candidate& member : members) {
        HostId host = member.id.value_or(HostId(next));
        if (!member.id) {
            if (auto good = check_newcomer(cluster, *member.join); !good) return good.error();
            ++next;
            change.hosts.push_back(
                {host, {member.join->name, member.join->address, member.join->key}});
        }
        const usig::PublicIdentity& counter = member.counters.front();
        added.members.push_back({{host, late_id(counter)}, key_of(counter)});
    }
    change.groups_added.push_back(std::move(added));
    change.held = consensus::held_by(cluster.now, change);
    return change;
}

}  // namespace bft::node

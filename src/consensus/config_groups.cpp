// Groups that come and go (protocol.md 3.16, ADD-GROUP and REMOVE-GROUP; docs/adr/0026).
#include "consensus/config_rules.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace bft::consensus {

namespace {

constexpr std::size_t groups_max = 256;  // that ever were: a VIEW-CHANGE names them all

Error refused(std::string why) {
    return error(Errc::refused, std::move(why));
}

}  // namespace

void put_groups(ConfigWriter& out, const ConfigChange& change) {
    out.u32(change.groups_added.size());
    for (const AddGroup& each : change.groups_added) {
        out.u32(each.group.value).u32(each.members.size());
        for (const NewMember& m : each.members)
            out.u32(m.by.host.value).u32(m.by.usig.value).bytes(m.usig_key);
    }
    out.u32(change.groups_removed.size());
    for (GroupId each : change.groups_removed) out.u32(each.value);
}

void read_groups(ConfigReader& in, ConfigChange& change) {
    change.groups_added.resize(in.count(8));
    for (AddGroup& each : change.groups_added) {
        each.group = GroupId(in.u32());
        each.members.resize(in.count(12));
        for (NewMember& m : each.members) {
            m.by.host = HostId(in.u32());
            m.by.usig = UsigId(in.u32());
            m.usig_key = in.bytes();
        }
    }
    change.groups_removed.resize(in.count(4));
    for (GroupId& each : change.groups_removed) each = GroupId(in.u32());
}

// CF1. A name is given once, a counter too, and a host has one seat of a group.
Result<void> add_groups(Configuration& next, const ConfigChange& change) {
    for (const AddGroup& each : change.groups_added) {
        const std::string who = "group " + std::to_string(each.group.value);
        if (next.group(each.group) != nullptr) return refused(who + " was there before");
        if (next.groups.size() >= groups_max) return refused("too many groups so far");
        const std::uint32_t n = 2 * next.f + 1;
        if (each.members.size() != n)
            return refused(who + " needs " + std::to_string(n) + " members");
        Group group{each.group, {}, {}, next.version};
        std::set<HostId> hosts;
        std::set<UsigId> usigs;
        for (const NewMember& m : each.members) {
            const std::string host = "host " + std::to_string(m.by.host.value);
            if (m.by.host == nobody || !known_host(next, m.by.host))
                return refused(host + " is not known");
            if (!hosts.insert(m.by.host).second) return refused(host + " has two seats of " + who);
            if (used(next, m.by.usig) || !usigs.insert(m.by.usig).second)
                return refused("counter " + std::to_string(m.by.usig.value) + " was used before");
            group.members.push_back(m.by);
        }
        for (const NewMember& m : each.members) next.usigs[m.by.usig] = m.usig_key;
        auto after = std::find_if(next.groups.begin(), next.groups.end(),
                                  [&](const Group& other) { return other.id > each.group; });
        next.groups.insert(after, std::move(group));
    }
    return {};
}

// What it once owned others have taken over in an earlier configuration, so nothing that it decides
// under this one is anybody's, and the barrier does without it: it may be dead.
Result<void> remove_groups(const Configuration& current, Configuration& next,
                           const ConfigChange& change) {
    for (GroupId id : change.groups_removed) {
        const std::string who = "group " + std::to_string(id.value);
        const Group* before = current.group(id);
        if (before == nullptr) return refused(who + " does not exist");
        if (before->removed()) return refused(who + " was removed before");
        auto owns = [id](const Configuration& config) {
            return std::any_of(config.owners.begin(), config.owners.end(),
                               [id](const auto& each) { return each.second == id; });
        };
        if (owns(current) || owns(next))
            return refused(who + " owns partitions: move them to other groups first");
        auto group = std::find_if(next.groups.begin(), next.groups.end(),
                                  [id](const Group& each) { return each.id == id; });
        group->retired.clear();
        for (std::uint32_t p = 0; p < group->members.size(); ++p) group->retired.emplace_back(p);
    }
    return {};
}

}  // namespace bft::consensus

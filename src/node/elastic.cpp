#include "node/elastic.hpp"

#include "base/invariant.hpp"

#include <algorithm>
#include <cstdio>
#include <set>

namespace bft::node {

using consensus::Configuration;
using consensus::MovePartition;

namespace {

/// Partitions weigh what they are asked for. Those that rest count a little, so that they spread.
std::map<PartitionId, double> weights(const ElasticSample& sample) {
    std::map<PartitionId, double> all;
    double total = 0;
    for (const auto& [partition, owner] : sample.now.owners) {
        if (partition.value == 0) continue;
        auto rate = sample.rates.find(partition);
        double weight = rate != sample.rates.end() ? std::max(0.0, rate->second) : 0.0;
        total += weight;
        all[partition] = weight;
    }
    const double least = total > 0 ? 0.05 * total / static_cast<double>(all.size()) : 1.0;
    for (auto& [partition, weight] : all) weight = std::max(weight, least);
    return all;
}

/// Who owns what, and how much that is, while partitions are moved on paper.
class Plan {
public:
    explicit Plan(const ElasticSample& sample) : weights_(weights(sample)) {
        for (const auto& [partition, owner] : sample.now.owners)
            if (partition.value != 0) give(partition, owner);
    }

    [[nodiscard]] double load(GroupId group) const {
        auto found = loads_.find(group);
        return found != loads_.end() ? found->second : 0;
    }
    [[nodiscard]] double weight(PartitionId partition) const { return weights_.at(partition); }
    [[nodiscard]] std::vector<PartitionId> of(GroupId group) const {
        std::vector<PartitionId> owned;
        for (const auto& [partition, owner] : owners_)
            if (owner == group) owned.push_back(partition);
        return owned;
    }
    void give(PartitionId partition, GroupId to) {
        if (auto before = owners_.find(partition); before != owners_.end())
            loads_[before->second] -= weight(partition);
        owners_[partition] = to;
        loads_[to] += weight(partition);
    }
    [[nodiscard]] double largest() const {
        double most = 0;
        for (const auto& [group, load] : loads_) most = std::max(most, load);
        return most;
    }
    [[nodiscard]] double mean_weight() const {
        double total = 0;
        for (const auto& [partition, weight] : weights_) total += weight;
        return total / static_cast<double>(weights_.size());
    }
    [[nodiscard]] const std::map<PartitionId, GroupId>& owners() const { return owners_; }

private:
    std::map<PartitionId, double> weights_;
    std::map<PartitionId, GroupId> owners_;
    std::map<GroupId, double> loads_;
};

std::vector<GroupId> groups_of(const Configuration& now) {
    std::vector<GroupId> groups;
    for (const consensus::Group& group : now.groups)
        if (!group.removed()) groups.push_back(group.id);
    return groups;
}

/// The coordinators' group is at work anyway, then who has most to do, then the spare ones by id.
std::vector<GroupId> chosen(const ElasticSample& sample, const Plan& plan, std::uint32_t count) {
    const auto coordinators = sample.now.owner(PartitionId(0));
    std::vector<GroupId> groups = groups_of(sample.now);
    std::stable_sort(groups.begin(), groups.end(), [&](GroupId a, GroupId b) {
        if ((a == coordinators) != (b == coordinators)) return a == coordinators;
        return plan.load(a) > plan.load(b);
    });
    groups.resize(count);
    std::sort(groups.begin(), groups.end());
    return groups;
}

GroupId least_loaded(const Plan& plan, const std::vector<GroupId>& groups) {
    return *std::min_element(groups.begin(), groups.end(),
                             [&](GroupId a, GroupId b) { return plan.load(a) < plan.load(b); });
}

/// One partition from the busiest group to the least busy one, if that makes the busiest less busy
/// by more than noise.
bool improve(Plan& plan, const std::vector<GroupId>& groups) {
    const GroupId busiest =
        *std::max_element(groups.begin(), groups.end(),
                          [&](GroupId a, GroupId b) { return plan.load(a) < plan.load(b); });
    const GroupId idlest = least_loaded(plan, groups);
    const double before = plan.load(busiest), noise = 0.1 * plan.mean_weight();
    std::optional<PartitionId> best;
    double best_load = before - noise;
    const std::vector<PartitionId> owned = plan.of(busiest);
    if (owned.size() < 2) return false;
    for (PartitionId partition : owned) {
        const double weight = plan.weight(partition);
        const double after = std::max(before - weight, plan.load(idlest) + weight);
        // An empty group gets something, however little that helps.
        if (after < best_load || (!best && plan.of(idlest).empty())) {
            best = partition;
            best_load = after;
        }
    }
    if (best) plan.give(*best, idlest);
    return best.has_value();
}

Plan planned(const ElasticSample& sample, std::uint32_t count) {
    Plan plan(sample);
    const std::vector<GroupId> groups = chosen(sample, plan, count);
    std::vector<PartitionId> homeless;
    for (const auto& [partition, owner] : plan.owners())
        if (!std::binary_search(groups.begin(), groups.end(), owner)) homeless.push_back(partition);
    std::stable_sort(homeless.begin(), homeless.end(),
                     [&](PartitionId a, PartitionId b) { return plan.weight(a) > plan.weight(b); });
    for (PartitionId partition : homeless) plan.give(partition, least_loaded(plan, groups));
    // Each step makes the busiest group less busy: it ends. Bounded all the same.
    for (std::size_t step = 0; step < plan.owners().size() && improve(plan, groups);) ++step;
    return plan;
}

std::vector<MovePartition> moves_to(const Configuration& now, const Plan& plan) {
    std::vector<MovePartition> moves;
    for (const auto& [partition, owner] : plan.owners())
        if (now.owner(partition) != owner) moves.push_back({partition, owner});
    return moves;
}

std::string milliseconds(Duration duration) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f ms",
                  std::chrono::duration<double, std::milli>(duration).count());
    return text;
}

std::string said(const ElasticPolicy& policy, const ElasticSample& sample) {
    return (sample.p95 ? "p95 " + milliseconds(*sample.p95) : std::string("no load")) +
           ", target " + milliseconds(policy.target_p95);
}

void count_sample(const ElasticPolicy& policy, const ElasticSample& sample, ElasticMemory& memory) {
    const bool above = sample.p95 && *sample.p95 > policy.target_p95;
    const bool below = !sample.p95 || *sample.p95 * 100 < policy.target_p95 * policy.shrink_percent;
    memory.above = above ? memory.above + 1 : 0;
    memory.below = below ? memory.below + 1 : 0;
}

/// Would the busiest group lose enough by spreading anew?
bool uneven(const ElasticPolicy& policy, const ElasticSample& sample, std::uint32_t count) {
    const double before = Plan(sample).largest();
    const double after = planned(sample, count).largest();
    return after * 100 < before * (100 - std::min(policy.rebalance_percent, 100u));
}

// The latest first: the group of the coordinators, and those of the cluster file, stay.
std::vector<GroupId> superfluous(const ElasticPolicy& policy, const Configuration& now) {
    std::vector<GroupId> idle;
    for (GroupId group : groups_of(now))
        if (std::none_of(now.owners.begin(), now.owners.end(),
                         [&](const auto& owned) { return owned.second == group; }))
            idle.push_back(group);
    std::size_t excess = idle.size() > policy.spare_groups ? idle.size() - policy.spare_groups : 0;
    std::vector<GroupId> remove;
    for (auto group = idle.rbegin(); group != idle.rend() && remove.size() < excess; ++group)
        if (now.group(*group)->added.value > 0) remove.push_back(*group);
    std::sort(remove.begin(), remove.end());
    return remove;
}

}  // namespace

std::vector<GroupId> serving(const Configuration& now) {
    std::set<GroupId> groups;
    for (const auto& [partition, owner] : now.owners)
        if (partition.value != 0) groups.insert(owner);
    return {groups.begin(), groups.end()};
}

std::string moves_text(const std::vector<MovePartition>& moves) {
    std::string text = "moves";
    for (const MovePartition& move : moves)
        text += " " + std::to_string(move.partition.value) + "->" + std::to_string(move.to.value);
    return text;
}

std::vector<MovePartition> spread(const ElasticSample& sample, std::uint32_t count) {
    invariant(count >= 1 && count <= groups_of(sample.now).size(), "so many groups can serve");
    return moves_to(sample.now, planned(sample, count));
}

ElasticDecision decide(const ElasticPolicy& policy, const ElasticSample& sample,
                       ElasticMemory& memory) {
    const auto now = static_cast<std::uint32_t>(serving(sample.now).size());
    const std::size_t present = groups_of(sample.now).size();
    const auto most = static_cast<std::uint32_t>(std::min(
        {std::size_t{policy.max_groups}, present + sample.addable, sample.now.owners.size() - 1}));
    const std::uint32_t least = std::min(policy.min_groups, most);
    ElasticDecision decision{{}, 0, {}, now, said(policy, sample)};
    if (now == 0 || most == 0) return decision;
    count_sample(policy, sample, memory);
    const auto even =
        static_cast<std::uint32_t>(std::min<std::size_t>(std::clamp(now, least, most), present));
    memory.uneven = uneven(policy, sample, even) ? memory.uneven + 1 : 0;
    if (sample.at < memory.quiet_until) return decision;
    std::uint32_t count = std::clamp(now, least, most);
    std::string reason = count != now ? "outside of the bounds" : "";
    if (reason.empty() && memory.above >= policy.samples && now < most) {
        ++count;
        reason = "too slow in " + std::to_string(memory.above) + " samples";
    } else if (reason.empty() && memory.below >= policy.samples && now > least) {
        --count;
        reason = "far below the target in " + std::to_string(memory.below) + " samples";
    } else if (reason.empty() && memory.uneven >= policy.samples) {
        reason = "unevenly loaded in " + std::to_string(memory.uneven) + " samples";
    }
    if (reason.empty()) {
        decision.remove = superfluous(policy, sample.now);
        for (GroupId group : decision.remove)
            decision.why += "; group " + std::to_string(group.value) + " owns nothing: it goes";
        if (!decision.remove.empty()) memory.quiet_until = sample.at + policy.cool_down;
        return decision;
    }
    if (count > present)
        decision.add = count - static_cast<std::uint32_t>(present);
    else
        decision.moves = spread(sample, count);
    if (!decision.changes()) return decision;
    decision.groups = count;
    decision.why +=
        "; " + reason + ": " + std::to_string(now) + " -> " + std::to_string(count) + " groups";
    if (decision.add > 0) decision.why += ", " + std::to_string(decision.add) + " of them new";
    if (!decision.moves.empty()) decision.why += ", " + moves_text(decision.moves);
    memory = {0, 0, 0, sample.at + policy.cool_down};
    return decision;
}

}  // namespace bft::node

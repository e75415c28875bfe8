#include "database/steps.hpp"

#include <algorithm>
#include <map>

namespace bft::database {

namespace {

using catalog::Procedure;

/// By partition: the highest level of any call of each procedure so far. Calls that batch forms may
/// run have even levels, others odd ones: in one partition they alternate at other places than in
/// the next, and would else take different levels, so that fewer calls met.
using Levels = std::map<PartitionId, std::map<const Procedure*, std::size_t>>;

std::size_t level_of(const catalog::Application& application, const OrderedCall& call,
                     const Levels& levels) {
    std::size_t level = 0;
    for (PartitionId partition : call.partitions) {
        auto found = levels.find(partition);
        if (found == levels.end()) continue;
        for (const auto& [earlier, at] : found->second) {
            if (earlier == call.procedure && !earlier->batch.empty())
                level = std::max(level, at);  // its batch form keeps their order
            else if (!application.commute(*earlier, *call.procedure))
                level = std::max(level, at + 1);
        }
    }
    const bool odd = call.procedure->batch.empty();
    return level + ((level % 2 == 1) != odd ? 1 : 0);
}

}  // namespace

std::deque<Step> plan_steps(const catalog::Application& application,
                            std::span<const OrderedCall> calls) {
    Levels levels;
    // By level: calls by procedure that has a batch form, and those by themselves.
    std::map<std::size_t, std::map<std::string_view, Step>> together;
    std::map<std::size_t, std::vector<Step>> alone;
    for (const OrderedCall& call : calls) {
        const std::size_t level = level_of(application, call, levels);
        for (PartitionId partition : call.partitions) {
            auto& highest = levels[partition][call.procedure];
            highest = std::max(highest, level);
        }
        if (call.procedure->batch.empty()) {
            alone[level].push_back({level, nullptr, {call.number}});
            continue;
        }
        Step& step = together[level][call.procedure->name];
        step.level = level;
        step.together = call.procedure;
        step.calls.push_back(call.number);
    }
    std::deque<Step> steps;
    for (auto& [level, by_procedure] : together)
        for (auto& [name, step] : by_procedure) {
            if (step.calls.size() >= step.together->batch_from)
                steps.push_back(std::move(step));
            else
                for (std::size_t number : step.calls) steps.push_back({level, nullptr, {number}});
        }
    for (auto& [level, single] : alone)
        for (Step& step : single) steps.push_back(std::move(step));
    std::ranges::stable_sort(steps, {}, &Step::level);
    return steps;
}

}  // namespace bft::database

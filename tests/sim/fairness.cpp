#include "fairness.hpp"

#include <algorithm>

namespace bft::sim {

using namespace consensus;

namespace {

// What a message may take to the primary, with a certificate that was under way.
constexpr Duration surely_known = 600ms;

}  // namespace

void Fairness::sent(const RequestId& rid, TimePoint now) {
    if (!sent_.emplace(rid, now).second) return;
    queues_[{*membership_.owner(rid.home), rid.client}].waiting[now].insert(rid);
}

void Fairness::ordered(const Header& header, TimePoint now) {
    if (header.slot <= ordered_) return;
    ordered_ = header.slot;
    for (const EntryHeader& entry : header.entries) {
        auto sent = sent_.find(entry.rid);
        if (sent == sent_.end()) continue;
        GroupId group = *membership_.owner(entry.rid.home);
        for (auto& [key, queue] : queues_) {
            if (key.first != group || key.second == entry.rid.client || queue.waiting.empty())
                continue;
            TimePoint oldest = queue.waiting.begin()->first;
            if (now - oldest < surely_known || sent->second < oldest + surely_known) continue;
            turns_max_ = std::max(turns_max_, ++queue.turns[entry.rid.client]);
        }
        Queue& own = queues_[{group, entry.rid.client}];
        own.turns.clear();
        auto at = own.waiting.find(sent->second);
        if (at == own.waiting.end()) continue;
        at->second.erase(entry.rid);
        if (at->second.empty()) own.waiting.erase(at);
    }
}

}  // namespace bft::sim

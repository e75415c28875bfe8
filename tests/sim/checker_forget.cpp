// What a checker may forget in a run without end, so that its own memory does
// not hide that of the nodes.
#include "checker.hpp"

#include <algorithm>

namespace bft::sim {

using namespace consensus;

namespace {

constexpr std::size_t views_kept = 256;
constexpr std::uint64_t counters_kept = 4096;

template <class Map>
void keep_last(Map& map, std::size_t count) {
    while (map.size() > count) map.erase(map.begin());
}

}  // namespace

void Checker::forget(Slot below) {
    check_linear();
    std::erase_if(accepted_, [&](const auto& each) { return each.second.slot < below; });
    auto wrong = reference_.forget(below, [&](const Reference::Entry& entry) {
        bodies_.erase(entry.header.rd);
        for (auto& [voter, mine] : executed_) mine.effects.erase(entry.header.rid);
    });
    if (wrong) fail("S-DB-EQ", "the serial execution differs: " + *wrong);
    for (auto& [voter, mine] : executed_) {
        mine.base = std::max(mine.base, below);
        mine.places.erase(mine.places.begin(), mine.places.upper_bound({below, UINT32_MAX}));
    }
    std::erase_if(headers_, [&](const auto& each) { return each.second->slot < below; });
    std::erase_if(new_views_, [&](const auto& each) { return each.second.slot < below; });
    std::erase_if(drafts_, [&](const auto& each) { return each.second.to < below; });
    std::erase_if(prepared_, [&](const auto& each) { return each.first.second < below; });
    std::erase_if(windows_, [&](const auto& each) { return each.first.second < below; });
    for (auto& [identity, by_counter] : certificates_)
        std::erase_if(by_counter, [&, last = counters_[identity].value](const auto& each) {
            return each.first.value + counters_kept < last;
        });
    for (auto* by_member : {&counted_, &shown_last_})
        for (auto& [member, by_counter] : *by_member) keep_last(by_counter, counters_kept);
    for (auto& [group, by_view] : committing_) keep_last(by_view, views_kept);
    for (auto& [group, by_view] : kept_) keep_last(by_view, 16);
    keep_last(accepted_views_, views_kept);
    keep_last(complained_, views_kept);
    for (auto& [node, shown] : shown_) keep_last(shown.accepted, views_kept);
}

std::map<std::string, std::size_t> Checker::sizes() const {
    return {{"checker: slots", reference_.slots_kept()}, {"checker: requests", bodies_.size()},
            {"checker: headers", headers_.size()},       {"checker: drafts", drafts_.size()},
            {"checker: NEW-VIEWs", new_views_.size()},   {"checker: answers", accepted_.size()}};
}

}  // namespace bft::sim

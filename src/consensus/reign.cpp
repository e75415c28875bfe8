#include "consensus/reign.hpp"

namespace bft::consensus {
namespace {

template <class Members>
std::vector<PrimaryId> newest_reign(const Members& members) {
    if (!members.reigns.empty()) return members.reigns.back();
    std::vector<PrimaryId> all;
    for (std::uint32_t p = 0; p < members.primaries.size(); ++p) all.emplace_back(p);
    return all;
}

}  // namespace

std::vector<PrimaryId> reign_of(const Membership& membership) {
    return newest_reign(membership);
}

std::vector<PrimaryId> reign_of(const Configuration& configuration) {
    return newest_reign(configuration);
}

}  // namespace bft::consensus

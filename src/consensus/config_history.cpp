// Which configuration is in force where (CF4).
#include "consensus/configuration.hpp"

#include <algorithm>

namespace bft::consensus {

const StableCert* BarrierCert::of(GroupId group) const {
    for (const StableCert& cert : groups)
        if (cert.group == group) return &cert;
    return nullptr;
}

ConfigHistory::ConfigHistory(const Membership& genesis) {
    all_[Slot(0)] = {std::make_shared<const Configuration>(configuration_of(genesis)), nullptr,
                     Digest{}};
}

const Configuration& ConfigHistory::at(Slot slot) const {
    auto later = all_.lower_bound(slot);
    return later == all_.begin() ? *later->second.config : *std::prev(later)->second.config;
}

Slot ConfigHistory::began(GroupId group) const {
    for (const auto& [slot, era] : all_)
        if (era.config->group(group) != nullptr) return slot;
    return all_.rbegin()->first;
}

const Group* ConfigHistory::standing(GroupId id) const {
    for (auto era = all_.rbegin(); era != all_.rend(); ++era)
        if (const Group* group = era->second.config->group(id); group && !group->removed())
            return group;
    return nullptr;
}

Slot ConfigHistory::since(Slot slot) const {
    auto later = all_.lower_bound(slot);
    return later == all_.begin() ? later->first : std::prev(later)->first;
}

std::optional<Slot> ConfigHistory::until(Slot slot) const {
    auto later = all_.lower_bound(slot);
    if (later == all_.begin() && slot.value == 0) ++later;
    return later == all_.end() ? std::nullopt : std::optional(later->first);
}

BarrierCertPtr ConfigHistory::barrier_at(Slot slot) const {
    auto found = all_.find(slot);
    return found == all_.end() ? nullptr : found->second.barrier;
}

BarrierCertPtr ConfigHistory::after(ConfigVersion version) const {
    for (const auto& [slot, era] : all_)
        if (era.barrier && era.config->version > version) return era.barrier;
    return nullptr;
}

std::vector<BarrierCertPtr> ConfigHistory::barriers() const {
    std::vector<BarrierCertPtr> known;
    for (const auto& [slot, era] : all_)
        if (era.barrier) known.push_back(era.barrier);
    return known;
}

Digest ConfigHistory::digest_after(Slot slot) const {
    return std::prev(all_.upper_bound(slot))->second.digest;
}

void ConfigHistory::follow(Membership& membership) const {
    for (const auto& [slot, era] : all_)
        if (era.barrier) know_keys(membership, *era.config);
    if (changed()) consensus::follow(membership, newest());
}

bool ConfigHistory::append(const BarrierCertPtr& barrier) {
    if (barrier->slot <= all_.rbegin()->first) return false;
    all_[barrier->slot] = {barrier->config, barrier, configuration_digest(*barrier->config)};
    return true;
}

bool ConfigHistory::establish(const BarrierCertPtr& barrier) {
    return barrier->config->version == newest().version.next() && append(barrier);
}

bool ConfigHistory::continues(const BarrierCert& barrier) const {
    const Configuration& last = newest();
    if (barrier.config->version <= last.version) return false;
    return barrier.config->version == last.version.next() || barrier.config->groups == last.groups;
}

bool ConfigHistory::skip_to(const BarrierCertPtr& barrier) {
    return continues(*barrier) && append(barrier);
}

bool ConfigHistory::knows(const BarrierCert& barrier) const {
    if (barrier.config->version > newest().version) return false;
    auto found = all_.find(barrier.slot);
    if (found != all_.end())
        return found->second.barrier && found->second.config->version == barrier.config->version &&
               found->second.digest == configuration_digest(*barrier.config);
    // One that was skipped: members are those of its time.
    const Configuration& then = at(barrier.slot);
    return then.groups == barrier.config->groups && then.version < barrier.config->version;
}

}  // namespace bft::consensus

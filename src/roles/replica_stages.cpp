#include "roles/replica_stages.hpp"

namespace bft::roles {

using consensus::RequestId;
using host::Stage;

std::size_t ReplicaStages::Followed::Hash::operator()(const RequestId& id) const {
    // Sequence numbers of a client count up; the clients of a cluster are few.
    std::uint64_t mixed = id.cseq.value ^ (id.client.value << 48U) ^
                          (static_cast<std::uint64_t>(id.home.value) << 40U);
    return std::hash<std::uint64_t>()(mixed);
}

void ReplicaStages::Followed::begin(const RequestId& id, TimePoint now) {
    // The first word counts: a request is sent again, an answer, too.
    if (!since_.emplace(id, now).second) return;
    order_.push_back(id);
    if (order_.size() <= followed_max) return;
    since_.erase(order_.front());
    order_.pop_front();
}

std::optional<TimePoint> ReplicaStages::Followed::end(const RequestId& id) {
    auto found = since_.find(id);
    if (found == since_.end()) return std::nullopt;
    TimePoint since = found->second;
    since_.erase(found);
    return since;
}

void ReplicaStages::requested(const RequestId& id, TimePoint now) {
    requested_.begin(id, now);
}

void ReplicaStages::appended(Slot slot, TimePoint now) {
    appended_.emplace(slot, now);
    if (appended_.size() > followed_max) appended_.erase(appended_.begin());
}

void ReplicaStages::delivered(const consensus::Delivery& delivery, TimePoint now) {
    auto slot = appended_.find(delivery.slot);
    for (const consensus::DeliveredEntry& entry : delivery.entries) {
        if (!entry.body) continue;
        auto since = requested_.end(entry.body->id);
        if (since) unanswered_.begin(entry.body->id, *since);
        if (slot == appended_.end()) continue;  // it came with a NEW-VIEW
        // Whoever hears of a request only with its slot knows nothing of its wait.
        if (since && *since <= slot->second) stages_.add(Stage::order, slot->second - *since);
        stages_.add(Stage::commit, now - slot->second);
        delivered_.begin(entry.body->id, now);
    }
    appended_.erase(appended_.begin(), appended_.upper_bound(delivery.slot));
}

void ReplicaStages::answered(const RequestId& id, TimePoint now) {
    if (auto since = delivered_.end(id)) stages_.add(Stage::vote, now - *since);
    if (auto since = unanswered_.end(id)) whole_.add(now - *since);
}

}  // namespace bft::roles

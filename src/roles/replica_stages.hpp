// Follows transactions through a group replica, from the outside: what the engine is given and what
// it puts out.
#pragma once

#include "consensus/engine.hpp"
#include "host/stages.hpp"

#include <deque>
#include <map>
#include <unordered_map>

namespace bft::roles {

class ReplicaStages {
public:
    explicit ReplicaStages(host::Stages& stages) : stages_(stages) {}

    void requested(const consensus::RequestId& id, TimePoint now);
    void appended(Slot slot, TimePoint now);
    void delivered(const consensus::Delivery& delivery, TimePoint now);
    void answered(const consensus::RequestId& id, TimePoint now);

    /// From a request's being known here to its answer, for requests of this group.
    [[nodiscard]] const metrics::Latency& whole() const { return whole_; }

    /// Requests, slots and answers that are followed at one time; beyond, the oldest are given up.
    static constexpr std::size_t followed_max = 16384;

private:
    /// Since when, oldest first.
    class Followed {
    public:
        void begin(const consensus::RequestId& id, TimePoint now);
        std::optional<TimePoint> end(const consensus::RequestId& id);

    private:
        struct Hash {
            std::size_t operator()(const consensus::RequestId& id) const;
        };
        std::unordered_map<consensus::RequestId, TimePoint, Hash> since_;
        std::deque<consensus::RequestId> order_;  ///< entries outlive their requests
    };

    host::Stages& stages_;
    Followed requested_;
    Followed delivered_;
    Followed unanswered_;  ///< delivered, since they were requested
    metrics::Latency whole_;
    std::map<Slot, TimePoint> appended_;
};

}  // namespace bft::roles

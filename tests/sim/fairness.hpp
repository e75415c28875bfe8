// L-FAIR, in the god view: requests as they are sent to the primary against the order that it
// makes.
#pragma once

#include "base/time.hpp"
#include "consensus/membership.hpp"

#include <map>
#include <set>

namespace bft::sim {

/// A fair primary takes a group's clients in turn. So while a client's oldest request waits, every
/// other client has one turn with requests that came later; two, as messages may overtake each
/// other.
class Fairness {
public:
    explicit Fairness(const consensus::Membership& membership) : membership_(membership) {}

    void sent(const consensus::RequestId& rid, TimePoint now);
    void ordered(const consensus::Header& header, TimePoint now);
    /// The most turns that another client had while one waited.
    [[nodiscard]] std::uint64_t turns_max() const { return turns_max_; }

private:
    struct Queue {  ///< of one client at one group
        std::map<TimePoint, std::set<consensus::RequestId>> waiting;
        std::map<ClientId, std::uint64_t> turns;  ///< of others, since its last one
    };
    const consensus::Membership& membership_;
    std::map<consensus::RequestId, TimePoint> sent_;
    std::map<std::pair<GroupId, ClientId>, Queue> queues_;
    Slot ordered_{};
    std::uint64_t turns_max_ = 0;
};

}  // namespace bft::sim

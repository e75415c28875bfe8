// Whether this daemon can serve, and if not, why: what /readyz, the status document and systemd
// say.
#pragma once

#include "base/time.hpp"

#include <boost/json/object.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace bft::node {

class Readiness {
public:
    /// A replica that is so many slots behind f+1 members of its group catches up.
    static constexpr std::uint64_t slots_behind_max = 64;
    /// A database that owes answers for so many slots lags; so does one that works on something and
    /// finishes nothing for so long.
    static constexpr std::uint64_t slots_unanswered_max = 512;
    static constexpr Duration stall_max = std::chrono::seconds(5);

    /// An operator is about to take the host out.
    void drain(bool on) { draining_ = on; }
    [[nodiscard]] bool draining() const { return draining_; }

    /// Once a second or so: the `executed` and `in_flight` of the voter.
    void observe(std::uint64_t executed, std::uint64_t in_flight, TimePoint now);

    /// Sentences about the status document's "primary", "replicas" and "voter"; empty: it can
    /// serve.
    [[nodiscard]] std::vector<std::string> reasons(const boost::json::object& status,
                                                   TimePoint now) const;

private:
    bool draining_ = false;
    std::uint64_t executed_ = 0;
    bool working_ = false;
    TimePoint progress_at_{};
};

}  // namespace bft::node

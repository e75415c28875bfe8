// Monotonic time as engines see it: given to them, never read by them.
#pragma once

#include <chrono>
#include <cstdint>

namespace bft {

struct MonotonicClock {
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<MonotonicClock>;
    static constexpr bool is_steady = true;
};

using Duration = MonotonicClock::duration;
using TimePoint = MonotonicClock::time_point;

/// Milliseconds since the Unix epoch; a proposal of the primary's, agreed through the header chain.
using UnixMillis = std::uint64_t;

using namespace std::chrono_literals;

}  // namespace bft

// Logging: the event first, then fields. "view_changed view=7 primary=1 cause=request_timeout".
// error = an operator acts; warn = a peer misbehaves; info = state transitions; debug = per
// message.
#pragma once

#include "base/time.hpp"

#include <spdlog/spdlog.h>

#include <string>

namespace bft::log {

using spdlog::debug;
using spdlog::error;
using spdlog::info;
using spdlog::warn;

/// To standard error, in one line each: time, level, `who`, text.
void start(const std::string& who, const std::string& level);

/// Lets `per_window` lines through in each window and counts the rest, so that a hostile peer
/// cannot fill the disk with what we say about it.
class RateLimit {
public:
    explicit RateLimit(unsigned per_window = 5, Duration window = std::chrono::seconds(10))
        : per_window_(per_window), window_(window) {}

    /// True when a line may be written now. `*suppressed` (if given) gets the number of lines held
    /// back since the last that was let through.
    bool allow(TimePoint now, std::uint64_t* suppressed = nullptr);

private:
    unsigned per_window_;
    Duration window_;
    TimePoint window_start_{};
    unsigned used_ = 0;
    std::uint64_t suppressed_ = 0;
};

}  // namespace bft::log

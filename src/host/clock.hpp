// The only place where time is read for engines.
#pragma once

#include "consensus/engine.hpp"

#include <chrono>

namespace bft::host {

class Clock {
public:
    virtual ~Clock() = default;
    [[nodiscard]] virtual consensus::Now now() const = 0;
    /// now().mono alone, for measuring.
    [[nodiscard]] virtual TimePoint mono() const { return now().mono; }
};

class SystemClock final : public Clock {
public:
    [[nodiscard]] consensus::Now now() const override {
        auto wall = std::chrono::system_clock::now().time_since_epoch();
        return {mono(), static_cast<UnixMillis>(
                            std::chrono::duration_cast<std::chrono::milliseconds>(wall).count())};
    }
    [[nodiscard]] TimePoint mono() const override {
        auto since = std::chrono::steady_clock::now().time_since_epoch();
        return TimePoint(std::chrono::duration_cast<Duration>(since));
    }
};

}  // namespace bft::host

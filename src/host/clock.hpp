// The only place where time is read for engines.
#pragma once

#include "consensus/engine.hpp"

#include <chrono>

namespace bft::host {

class Clock {
public:
    virtual ~Clock() = default;
    [[nodiscard]] virtual consensus::Now now() const = 0;
};

class SystemClock final : public Clock {
public:
    [[nodiscard]] consensus::Now now() const override {
        auto mono = std::chrono::steady_clock::now().time_since_epoch();
        auto wall = std::chrono::system_clock::now().time_since_epoch();
        return {TimePoint(std::chrono::duration_cast<Duration>(mono)),
                static_cast<UnixMillis>(
                    std::chrono::duration_cast<std::chrono::milliseconds>(wall).count())};
    }
};

}  // namespace bft::host

// Engines do not log: their events become log lines and counters here.
#pragma once

#include "base/log.hpp"
#include "consensus/engine.hpp"
#include "host/clock.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <string>

namespace bft::roles {

inline constexpr std::size_t event_kinds =
    static_cast<std::size_t>(consensus::Event::Kind::partitions_taken) + 1;

class EventLog {
public:
    explicit EventLog(const host::Clock& clock) : clock_(clock) {}

    void note(const consensus::Endpoint& self, const consensus::Event& event);

    /// By Event::Kind.
    [[nodiscard]] const std::array<std::uint64_t, event_kinds>& counts() const { return counts_; }

    /// `suspected` by reason.
    [[nodiscard]] const std::map<std::string, std::uint64_t>& suspicions() const {
        return suspicions_;
    }

private:
    const host::Clock& clock_;
    std::array<std::uint64_t, event_kinds> counts_{};
    std::map<std::string, std::uint64_t> suspicions_;
    std::array<log::RateLimit, event_kinds> limits_;
};

}  // namespace bft::roles

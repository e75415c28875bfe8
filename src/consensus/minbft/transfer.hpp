// What a replica that was away for too long remembers while it catches up (protocol.md 3.13).
#pragma once

#include "base/time.hpp"
#include "consensus/engine.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

namespace bft::consensus::minbft {

struct Transfer {
    // ST1: is it needed?
    Slot delivered{};  ///< when we last looked
    TimePoint moved_at{};
    /// Who said that they no longer have what we lack of a stream, since it last moved.
    std::map<StreamId, std::set<Endpoint>> gone;

    // ST2: the state, part by part from one donor.
    std::optional<TimePoint> since;  ///< running
    std::uint32_t donors = 0;        ///< asked so far
    Endpoint donor;
    TimePoint ask_at{};
    TimePoint give_up_at{};  ///< on this donor
    std::vector<StatePartPtr> parts;
    std::optional<SnapshotRecord> complete;  ///< verified; waits until databases have executed it
    BarrierCertPtr barrier;                  ///< of its configuration

    void begin_with(const Endpoint& next, TimePoint until) {
        donor = next;
        ask_at = {};
        give_up_at = until;
        parts.clear();
        ++donors;
    }
    void end() {
        since.reset();
        parts.clear();
        complete.reset();
        donors = 0;
    }
};

/// A state that a peer is reading.
struct StateLease {
    SnapshotPtr state;
    TimePoint served{};
};

}  // namespace bft::consensus::minbft

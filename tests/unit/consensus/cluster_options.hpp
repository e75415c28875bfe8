#pragma once

#include "cluster.hpp"

namespace bft::consensus::test {

/// Timers small against the simulated network's delays, windows small enough to be met.
inline ClusterOptions quick(std::uint32_t groups, std::uint32_t primaries, std::uint64_t seed = 1) {
    ClusterOptions o;
    o.groups = groups;
    o.primaries = primaries;
    o.seed = seed;
    o.primary.batch_interval = 5ms;
    o.primary.heartbeat = 50ms;
    o.primary.window = 32;
    o.primary.standing_every = 8;
    o.primary.retransmit = 50ms;
    o.primary.search = 100ms;
    o.replica.window = 48;
    o.replica.checkpoint_every = 8;
    o.replica.forward_after = 100ms;
    o.replica.retransmit = 50ms;
    o.replica.status_interval = 50ms;
    o.replica.vouch_interval = 100ms;
    o.replica.order_patience = 400ms;
    o.replica.body_patience = 300ms;
    o.replica.silence_patience = 400ms;
    o.replica.new_view_patience = 600ms;
    o.replica.patience_max = 5s;
    o.replica.calm_slots = 8;
    o.replica.watch.slot_interval = 300ms;
    o.replica.watch.order_delay = 400ms;
    o.replica.watch.view_min = 500ms;
    o.executor.retransmit = 100ms;
    o.executor.retransmit_max = 400ms;
    return o;
}

}  // namespace bft::consensus::test

// Agreement in one replica of one group, normal case: the header chain, the in-order streams of
// certified messages, cumulative COMMITs, f+1 group commit (protocol.md 3.7, R1-R11, R14-R16).
// View change, checkpoints and reconfiguration join here: see docs/architecture.md.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "consensus/chain.hpp"
#include "consensus/client_window.hpp"
#include "consensus/engine.hpp"
#include "consensus/minbft/certified_stream.hpp"

namespace bft::consensus::minbft {

struct ReplicaOptions {
    std::uint64_t window = 512;             ///< W: slots beyond the low watermark
    std::uint32_t pending_per_client = 256; ///< W_c: bodies not yet ordered, per client and home
    Duration forward_after = 500ms;         ///< T_fwd
    Duration retransmit = 200ms;            ///< T_rx: patience before a FETCH, then between FETCHes
    Duration status_interval = 200ms;       ///< T_status
};

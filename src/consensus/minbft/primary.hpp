// The primary of a view: orders requests into slots and certifies a PREPARE for each with its
// ordering counter. It does not execute and has no vote (protocol.md D7, P1-P5, P8).
#pragma once

#include <deque>
#include <map>
#include <set>
#include <vector>

#include "consensus/engine.hpp"
#include "consensus/minbft/request_pool.hpp"

namespace bft::consensus::minbft {

struct PrimaryOptions {
    Duration batch_interval = 5ms;    ///< T_batch: a non-empty pool waits this long at most
    Duration heartbeat = 250ms;       ///< T_hb: an empty slot when there is nothing to order
    std::uint32_t slot_entries = 2000;             ///< B_max
    std::uint32_t slot_bytes = 4 * 1024 * 1024;    ///< B_bytes
    std::uint64_t window = 512;                    ///< W: slots beyond the low watermark
    std::uint32_t group_credit = 8192;             ///< undelivered entries per group
    std::uint32_t client_pool = 256;               ///< W_c: waiting requests per client and home
};

class Primary final : public Engine {
public:
    Primary(const Membership& membership, PrimaryId self, PrimaryOptions options);

    /// Takes up the log of an earlier incarnation; before any other input. `last` is what the USIG
    /// service says that it certified last for this identity, if anything.
    struct Recovered {
        std::vector<Prepare> prepares;  ///< own, by counter
        std::optional<PrepareIntent> intent;
    };
    [[nodiscard]] Result<void> recover(Recovered log, const std::optional<std::pair<Digest, Ui>>& last);

    void receive(const Verified& message, Now now) override;
    void sealed(Ui ui, Now now) override;
    void tick(Now now) override;
    [[nodiscard]] std::optional<TimePoint> next_deadline() const override;
    [[nodiscard]] Output take_output() override;

    struct Report {
        View view{};
        Slot tip{};
        std::size_t pooled = 0;
        std::uint64_t ordered = 0;  ///< entries, since the start of this process
    };
    [[nodiscard]] Report report() const;

// The primary of a view: orders requests into slots and certifies a PREPARE for each with its
// ordering counter. It does not execute and has no vote (protocol.md D7, P1-P5, P8).
#pragma once

#include "consensus/chain.hpp"
#include "consensus/client_window.hpp"
#include "consensus/engine.hpp"
#include "consensus/minbft/request_pool.hpp"

#include <deque>
#include <map>
#include <set>
#include <vector>

namespace bft::consensus::minbft {

struct PrimaryOptions {
    Duration batch_interval = 5ms;         ///< T_batch: least time between two slots, unless full
    Duration gather_interval = 25ms;       ///< how long a part of a crowd waits for the rest
    Duration busy_batch_interval = 100ms;  ///< the same while databases still work on earlier slots
    Duration heartbeat = 250ms;            ///< T_hb: an empty slot when there is nothing to order
    std::uint32_t slot_entries = 2000;     ///< B_max
    std::uint32_t slot_bytes = 4 * 1024 * 1024;  ///< B_bytes
    std::uint64_t window = 512;                  ///< W: slots beyond the low watermark
    std::uint32_t group_credit = 8192;           ///< ordered and not executed entries per group
    std::uint32_t client_pool = 1024;            ///< waiting requests per client and group
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
    [[nodiscard]] Result<void> recover(Recovered log,
                                       const std::optional<std::pair<Digest, Ui>>& last);

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

private:
    struct Progress {  ///< what a group's replicas reported, by position
        std::vector<Slot> executed;
        std::vector<Slot> low;
    };
    struct Unexecuted {  ///< entries per group of one slot, for credits
        Slot slot;
        std::map<GroupId, std::uint32_t> entries;
    };

    void on_request(const Body& body, Now now);
    void on_status(const Endpoint& from, const Status& status, Now now);
    void order_if_due(Now now);
    [[nodiscard]] bool window_open() const;
    [[nodiscard]] TimePoint batch_due_at() const;
    [[nodiscard]] bool busy() const;
    [[nodiscard]] HeaderPtr next_header(Now now);
    void adopt(Prepare prepare);
    void note_ordered(const RequestId& rid);
    [[nodiscard]] Slot quorum_value(const std::vector<Slot>& reported) const;
    void release_credit();
    [[nodiscard]] Result<void> replay(const Prepare& prepare);

    const Membership& membership_;
    PrimaryId self_;
    PrimaryOptions options_;
    View view_{};
    Chain chain_;
    RequestPool pool_;
    std::map<std::pair<PartitionId, ClientId>, ClientWindow> ordered_;
    std::map<GroupId, Progress> progress_;
    std::map<GroupId, std::uint64_t> outstanding_entries_;
    std::deque<Unexecuted> unexecuted_;
    TimePoint last_slot_at_{};
    TimePoint last_request_at_{};
    TimePoint gather_since_{};  ///< requests wait and databases do not work, since then
    std::size_t crowd_ = 0;     ///< entries of a slot lately: how many clients come back at once
    HeaderPtr sealing_;
    bool starved_ = false;   ///< no group with waiting requests has credit; a STATUS changes that
    bool resigned_ = false;  ///< the counter no longer fits the slots: never certifies again (P7)
    std::optional<Prepare> newest_;  ///< the tip's
    TimePoint newest_sent_at_{};
    std::optional<Prepare> resend_;  ///< certified before a crash, perhaps never sent (T1)
    std::uint64_t ordered_count_ = 0;
    Output out_;
};

}  // namespace bft::consensus::minbft

// What a replica measures of the primary that leads, and when that is too little (T6 of section
// 3.17; why each rule is as it is: docs/adr/0010). Judged is only what is the primary's own duty:
// time in which it may not order (databases or another group are behind) or can do no more (its
// slots are full) does not count.
#pragma once

#include "base/ids.hpp"
#include "base/time.hpp"
#include "consensus/messages.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace bft::consensus::minbft {

struct WatchOptions {
    Duration slot_interval = 1s;        ///< T_slot (a): slots on average, while requests wait
    Duration order_delay = 1s;          ///< T_perf (b): from a request's arrival here to its header
    std::uint32_t overtaking = 256;     ///< F_over (c)
    Duration clock_drift = 30s;         ///< epsilon (e)
    Duration view_min = 2s;             ///< T_minview (T4): no verdict before
    std::uint32_t slot_entries = 2000;  ///< a slot is full; as the primaries have it
    std::uint32_t slot_bytes = 4 * 1024 * 1024;  ///< likewise
    /// Between two calls of pass() at most; where it was longer, this process itself stood still.
    Duration step_max = 200ms;
};

class LeaderWatch {
public:
    /// `views`: figures of so many earlier views are remembered.
    LeaderWatch(WatchOptions options, std::size_t views) : options_(options), views_(views) {}

    /// Why the primary's reign may not be at fault for what does not happen.
    struct Excuse {
        bool requests = false;  ///< it may not order requests of this group
        bool slots = false;     ///< it may not make any slot
    };
    /// Time goes on. To be called often: an excuse counts for all the time since the last call.
    void pass(TimePoint now, Excuse excuse);

    /// The view is active here.
    void begin(TimePoint now);
    /// The view was left.
    void end();
    [[nodiscard]] bool running() const { return running_; }
    /// For how long this process has been at work.
    [[nodiscard]] Duration awake() const { return awake_; }

    // --- requests of the own group ---
    using Ticket = std::uint64_t;
    /// A request came that has no header; the primary knows it in `grace` at the latest.
    Ticket came(ClientId client, Duration grace);
    /// It is no longer waited for.
    void gone(Ticket ticket);
    /// For how long the primary could have ordered it, after its grace (T1).
    [[nodiscard]] Duration waited(Ticket ticket) const;

    // --- slots of this view, in order ---
    struct OwnEntry {  ///< of the own group
        ClientId client{};
        std::optional<Ticket> ticket;  ///< nullopt: it did not come here before its header
        bool repeated = false;         ///< its rid was in this view before
    };
    struct SlotSeen {
        std::vector<OwnEntry> own;
        std::uint64_t entries = 0;  ///< of all groups
        std::uint64_t own_bytes = 0;
        UnixMillis ts_ms = 0;
        bool spent = false;  ///< no more may be ordered after it until some is executed
        bool newest = true;  ///< nothing later is known of: its ts tells something
    };
    void slot(const SlotSeen& seen, TimePoint now, UnixMillis wall_ms);
    /// Since the last slot, without excused time (T3).
    [[nodiscard]] Duration silence() const { return silence_; }

    /// T6. `doublings`: of all limits (T5). `tpm`: what a certificate takes here.
    [[nodiscard]] std::optional<std::pair<Suspicion, std::string>> verdict(TimePoint now,
                                                                           std::uint32_t doublings,
                                                                           Duration tpm);

private:
    struct Waiting {
        ClientId client{};
        Duration came{};  ///< by clock_
        Duration due{};   ///< when the primary must know it
    };
    struct Queue {  ///< of one client
        std::set<Ticket> tickets;
        /// Requests that came from there on and are ordered before the client's oldest one.
        std::optional<Ticket> horizon;
        std::uint64_t overtaken = 0;
    };
    struct Sample {
        TimePoint at;
        Duration value{};
    };
    struct Past {  ///< of an earlier view
        Duration delay{};
        Duration interval{};
        std::uint64_t rate = 0;
    };
    void count_overtaking(const SlotSeen& seen);
    void count_rate(const SlotSeen& seen, Duration waited, TimePoint now);
    void compare_clocks(const SlotSeen& seen, UnixMillis wall_ms);
    [[nodiscard]] bool full(const SlotSeen& seen) const;
    void forget(TimePoint now);
    [[nodiscard]] Duration delay_limit() const { return limit(options_.order_delay, &Past::delay); }
    [[nodiscard]] Duration limit(Duration base, Duration Past::*of) const;
    [[nodiscard]] std::optional<std::string> slow_slots() const;
    [[nodiscard]] std::optional<std::string> late_orders() const;
    [[nodiscard]] std::optional<std::string> overtaken() const;
    [[nodiscard]] std::optional<std::string> low_rate(TimePoint now) const;
    [[nodiscard]] std::optional<std::string> repeated() const;

    WatchOptions options_;
    std::size_t views_;
    bool running_ = false;
    TimePoint began_{};
    std::optional<TimePoint> last_;
    Duration awake_{};
    Duration clock_{};       ///< time in which the primary could order requests of this group
    Duration slot_clock_{};  ///< clock_ at the last slot
    Duration silence_{};

    Ticket next_ticket_ = 1;
    std::map<Ticket, Waiting> waiting_;
    std::map<ClientId, Queue> queues_;
    std::set<ClientId> served_;  ///< in this view

    std::deque<Sample> delays_;
    std::deque<Sample> intervals_;
    std::deque<std::pair<TimePoint, bool>> repeats_;
    Duration busy_time_{};  ///< requests waited
    std::uint64_t busy_entries_ = 0;
    std::uint64_t view_rate_ = 0;  ///< best one of this view, entries per second
    Duration late_time_{};         ///< requests waited for long
    std::uint64_t late_entries_ = 0;
    struct Rate {
        TimePoint at;
        std::uint64_t second = 0;  ///< entries per second
    };
    std::optional<Rate> late_rate_;  ///< the newest
    std::uint32_t doublings_ = 0;
    Duration tpm_{};
    std::uint32_t drifting_ = 0;  ///< slots in a row
    Duration drift_{};
    /// A primary drifted, and nobody's slots have fitted since: it may be this host's clock.
    bool clock_doubted_ = false;
    std::deque<Past> past_;
};

}  // namespace bft::consensus::minbft

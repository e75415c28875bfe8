// The voter before one database: runs an item when f+1 replicas of the owner group ask for it and it
// is next on every partition that it touches (protocol.md 3.10, V1-V6 and V8-V10).
#pragma once

#include <deque>
#include <map>
#include <set>
#include <vector>

#include "consensus/engine.hpp"

namespace bft::consensus {

struct VoterOptions {
    std::uint32_t workers = 1;                     ///< database sessions that execute in parallel
    std::uint64_t window = 65536;                  ///< W_v: lookahead per partition
    std::uint64_t sender_bytes = 64 * 1024 * 1024; ///< of undecided items and bodies, per (g,j)
    std::uint32_t answers_kept = 8192;             ///< recent answers in memory, in slots
    std::uint32_t in_flight_max = 512;             ///< items given to workers and not yet committed
    Duration gap_timeout = 200ms;                  ///< T_gap
    Duration status_interval = 200ms;              ///< T_status
};

/// An item for a database worker. Items given to one worker are executed in this order; a worker may
/// put several of them into one SQL transaction.
struct Execution {
    std::uint32_t worker = 0;
    GroupId group{};
    Slot slot{};
    DbItem item;
    Body body;  ///< null for a NOP
};

/// An item that was executed before this process began: its answer is in cbft_exec.
struct Lookup {
    GroupId group{};
    Slot slot{};
    std::vector<DbItem> items;
};

/// What became durable in the database, in commit order.
struct Executed {
    GroupId group{};
    Slot slot{};
    ItemResult result;
    std::vector<PartitionSeq> seqs;
};

struct VoterOutput {
    std::vector<Execution> execute;
    std::vector<Lookup> lookup;
    std::vector<Send> send;
    std::vector<Event> events;
};

class Voter {
public:
    /// `next` is what cbft_part says (partitions that it lacks begin at 1).
    Voter(const Membership& membership, VoterId self, VoterOptions options,
          const std::map<PartitionId, Seq>& next);

    void receive(const Verified& message, Now now);
    /// The database committed these.
    void executed(const std::vector<Executed>& results, Now now);
    /// Answers to a Lookup; an item without a row is not among `results`.
    void found(const Lookup& lookup, const std::vector<ItemResult>& results, Now now);
    void tick(Now now);
    [[nodiscard]] std::optional<TimePoint> next_deadline() const;
    [[nodiscard]] VoterOutput take_output();

    struct Report {
        std::map<PartitionId, Seq> next;
        std::size_t waiting = 0;    ///< items known but not executed
        std::size_t in_flight = 0;
        std::uint64_t executed = 0;
        /// Votes that differed from what was decided, by sender (host-level evidence for status).
        std::map<Endpoint, std::uint64_t> disagreements;
    };
    [[nodiscard]] Report report() const;

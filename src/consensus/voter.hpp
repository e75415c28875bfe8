// The voter before one database: runs an item when f+1 replicas of the owner group ask for it and
// it is next on every partition that it touches (protocol.md 3.10, V1-V6 and V8-V10).
#pragma once

#include "consensus/answer_memory.hpp"
#include "consensus/configuration.hpp"
#include "consensus/engine.hpp"

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace bft::consensus {

struct VoterOptions {
    std::uint32_t workers = 1;                      ///< database sessions that execute in parallel
    std::uint64_t window = 65536;                   ///< W_v: lookahead per partition
    std::uint64_t sender_bytes = 64 * 1024 * 1024;  ///< of votes and bodies not executed, per (g,j)
    std::uint32_t answers_kept = 8192;              ///< recent answers in memory, in slots
    std::uint64_t answer_bytes = 128 * 1024 * 1024;  ///< and in bytes of results
    std::uint32_t lookups_max = 8;                   ///< unanswered Lookups on behalf of one (g,j)
    std::uint32_t in_flight_max = 512;  ///< items given to workers and not yet committed
    Duration gap_timeout = 200ms;       ///< T_gap
    Duration status_interval = 200ms;   ///< T_status
    Quirks* quirks = nullptr;           ///< none in a product
};

/// An item for a database worker. Items given to one worker are executed in this order; a worker
/// may put several of them into one SQL transaction.
struct Execution {
    std::uint32_t worker = 0;
    GroupId group{};
    Slot slot{};
    DbItem item;
    Body body;                  ///< null where nothing is called
    bool cut = false;           ///< a checkpoint item: open a snapshot when it is committed
    ConfigurationPtr config{};  ///< a configuration item: goes into cbft_cfg with it
};

/// Items that were executed and are no longer in memory: their answers are in cbft_exec.
struct Lookup {
    GroupId group{};
    Slot slot{};
    std::vector<DbItem> items;
    Endpoint asker;  ///< goes back with the answer
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
    /// `next` is what cbft_part says (partitions that it lacks begin at 1), `config` what cbft_cfg
    /// does (null: nothing, so the cluster's first configuration).
    Voter(const Membership& membership, VoterId self, VoterOptions options,
          const std::map<PartitionId, Seq>& next, ConfigurationPtr config = nullptr);

    void receive(const Verified& message, Now now);
    /// The database committed these.
    void executed(const std::vector<Executed>& results, Now now);
    /// Answers to a Lookup; an item without a row is not among `results`.
    void found(const Lookup& lookup, const std::vector<ItemResult>& results, Now now);
    /// Opens a snapshot at this checkpoint slot, too, if it is still to come (DBS4, audits).
    void want_cut(Slot slot);
    /// No snapshot could be opened at this slot: the scan before it takes longer than the schedule
    /// allows.
    void cut_skipped(Slot slot);
    void tick(Now now);
    [[nodiscard]] std::optional<TimePoint> next_deadline() const;
    [[nodiscard]] VoterOutput take_output();

    /// The newest checkpoint item that was executed.
    [[nodiscard]] Slot checkpoint() const { return checkpoint_; }
    [[nodiscard]] std::map<PartitionId, Seq> next() const;
    /// In force at what is dispatched next on partition 0.
    [[nodiscard]] const Configuration& config() const { return *config_; }
    /// By partition, the largest sequence number below next() that f+1 replicas of one group asked
    /// for and the database has no answer to: where the order stands if the database is ahead.
    [[nodiscard]] std::map<PartitionId, Seq> asked_again() const;

    struct Report {
        std::map<PartitionId, Seq> next;
        std::size_t waiting = 0;  ///< items known but not executed
        std::size_t in_flight = 0;
        std::uint64_t executed = 0;
        /// Votes that differed from what was decided, by sender (host-level evidence for status).
        std::map<Endpoint, std::uint64_t> disagreements;
    };
    [[nodiscard]] Report report() const;

private:
    /// An item's place. The group belongs to it: who may speak for a place is judged late (V3).
    struct Key {
        Slot slot{};
        std::uint32_t index = 0;
        GroupId group{};
        auto operator<=>(const Key&) const = default;
    };
    /// One version of an item, and who voted for it (bit = position).
    struct Candidate {
        Digest digest;
        DbItem item;
        Body body;
        Endpoint body_from;
        std::uint64_t voters = 0;
    };
    enum class Stage : std::uint8_t { voting, decided, running };
    struct Entry {
        std::vector<Candidate> candidates;  ///< after the decision: only the decided one
        Stage stage = Stage::voting;
        TimePoint since;            ///< of the stage
        TimePoint body_asked;       ///< last FETCH-BODY
        std::uint32_t charged = 0;  ///< how many senders pay for it
        [[nodiscard]] Candidate& chosen() { return candidates.front(); }
    };
    /// A partition's queue (V5).
    struct Lane {
        Seq next{1};                ///< committed in the database up to before this
        Seq dispatch{1};            ///< given to workers up to before this
        std::uint32_t running = 0;  ///< given and not committed: all of them sit on `worker`
        std::uint32_t worker = 0;
        bool halted = false;  ///< an order conflict was seen
        std::map<Seq, Key> decided;
        std::set<std::pair<Seq, Key>> known;  ///< every candidate's claim on a sequence number
        TimePoint quiet_since;                ///< last dispatch, or first claim after an empty time
        TimePoint asked;                      ///< last FETCH-DBITEM
        std::uint32_t asked_times = 0;        ///< since the last dispatch
    };
    /// What a replica's words cost us. An entry lives while somebody is charged for it, so memory
    /// is bounded by the quotas whatever is sent.
    struct Sender {
        std::uint64_t bytes = 0;
        std::map<Key, std::uint64_t> charges;
        std::uint32_t lookups = 0;
    };
    enum class Standing : std::uint8_t {
        malformed,
        beyond_window,
        past,   ///< executed on all its partitions
        taken,  ///< one of its sequence numbers was executed as something else
        open,
    };

    void on_commit_db(const Endpoint& from, const CommitDb& message, Now now);
    void on_bodies(const Endpoint& from, const Bodies& message);
    void on_open_item(const Endpoint& from, const Key& key, const DbItem& item, const Body& body,
                      Now now);
    void on_past_items(const Endpoint& from, const CommitDb& message,
                       const std::vector<const DbItem*>& items);
    [[nodiscard]] Standing standing(const DbItem& item) const;
    void note_past(const Endpoint& from, const DbItem& item);

    [[nodiscard]] bool make_room(const Endpoint& from, const Key& key, std::uint64_t bytes);
    void charge(const Endpoint& from, const Key& key, Entry& entry, std::uint64_t bytes);
    void withdraw(const Endpoint& from, const Key& key);
    void attach_body(const Endpoint& from, const Key& key, Entry& entry, Candidate& candidate,
                     const Body& body);

    void decide(const Key& key, Entry& entry, std::size_t winner, Now now);
    void index_claims(const Key& key, const Candidate& candidate, Now now);
    void drop_claims(const Key& key, const Entry& entry, const Candidate& candidate);
    void erase(const Key& key);
    void drop_passed_claims(PartitionId partition, Lane& lane);
    void release_charge(const Endpoint& from, const Key& key, Entry& entry);
    void release_charges(const Key& key, Entry& entry);
    void remove_candidate(const Key& key, Entry& entry, std::size_t index, const char* how);

    void schedule(Now now);
    [[nodiscard]] std::optional<std::uint32_t> worker_for(const DbItem& item) const;
    /// True when the head of the queue was given to a worker or thrown away.
    bool advance_lane(Lane& lane, Now now);
    void start(const Key& key, Entry& entry, std::uint32_t worker, Now now);

    [[nodiscard]] ConfigurationPtr configuration_of(Entry& entry) const;
    [[nodiscard]] bool in_rotation(Slot slot) const;
    /// Votes of members that are distinct by seat (CF4).
    [[nodiscard]] std::uint32_t votes_for(const Key& key, const Candidate& candidate) const;
    void follow_config();
    [[nodiscard]] std::uint32_t group_size(GroupId group) const {
        return static_cast<std::uint32_t>(membership_.group(group)->members.size());
    }
    [[nodiscard]] bool cuts_at(const Key& key, const DbItem& item);
    [[nodiscard]] bool scheduled(Slot slot) const;
    static ItemResult no_effect(const DbItem& item);
    static void drop_payload(ItemResult& result);
    void fetch_gaps(Now now);
    void fetch_bodies(Now now);
    void send_status();
    void answer(const Endpoint& to, GroupId group, Slot slot, std::vector<ItemResult> results);
    void disagree(const Endpoint& peer, const Key& key, const char* how);
    void note(Event::Kind kind, const Endpoint& peer, Slot slot, std::uint64_t count,
              const char* text);

    Membership membership_;  ///< as of the configuration in force, but for clients
    VoterId self_;
    VoterOptions options_;
    ConfigurationPtr config_;

    std::map<PartitionId, Lane> lanes_;  ///< of every partition in the membership
    std::map<Key, Entry> entries_;
    std::map<Digest, Key> bodies_wanted_;  ///< rd of decided items without body
    std::map<Endpoint, Sender> senders_;   ///< replicas of the membership only
    AnswerMemory answers_;
    /// The largest sequence numbers of past items without answer, by position.
    std::map<std::pair<PartitionId, GroupId>, std::vector<Seq>> asked_again_;
    std::set<std::pair<Endpoint, Slot>> lookups_;  ///< on the way to the database, by asker

    std::set<PartitionId> runnable_;  ///< lanes whose head may have become ready
    PartitionId turn_{};              ///< round robin over runnable_
    std::uint32_t in_flight_ = 0;
    std::uint64_t executed_ = 0;
    Slot checkpoint_{};
    std::set<Slot> cuts_;            ///< wanted, besides those of the schedule
    std::uint32_t scan_shift_ = 0;   ///< every 2^shift-th scheduled cut is taken
    std::uint32_t scans_taken_ = 0;  ///< since that changed
    std::map<Endpoint, std::uint64_t> disagreements_;

    TimePoint next_status_;
    std::optional<TimePoint> next_check_;  ///< set while entries wait
    VoterOutput out_;
};

}  // namespace bft::consensus

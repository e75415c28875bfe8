// Watches over one voter's database: compares its roots with those of the other voters, takes it
// out of service when it differs, and has it rebuilt from what f_D+1 of them signed (protocol.md
// 3.14, DBS1-DBS5; docs/adr/0007). Sans-IO like every engine: the role performs its output.
#pragma once

#include "consensus/engine.hpp"

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace bft::consensus {

struct GuardOptions {
    Duration check_interval = 500ms;
    Duration announce_interval = 2s;        ///< own newest DBCKPT, again
    Duration cut_interval = 30s;            ///< between two cuts for one voter, see on_cut()
    std::uint32_t cut_burst = 4;            ///< so many may come faster
    std::uint64_t cut_ahead_max = 1 << 16;  ///< slots
    Duration stuck_after = 30s;   ///< without a step while f_D+1 others are ahead; or empty
    Duration answer_within = 5s;  ///< patience with one donor
    Duration naming_within = 8s;  ///< patience with finding out where we differ
    Duration cut_within = 60s;    ///< patience with a cut; doubles up to the next
    Duration cut_within_max = 30min;
    Duration lease = 60s;     ///< a held snapshot that nobody reads is closed
    Duration lease_max = 2h;  ///< and one that somebody reads
    std::uint32_t differences_kept = 64;
    Quirks* quirks = nullptr;  ///< none in a product
};

/// What a scan of the own database gave.
struct Scan {
    Slot slot{};
    DbLeavesPtr leaves;  ///< null: the scan broke off, and the next one may succeed
};

/// A chunk of the held snapshot, for a voter that asked.
struct ChunkExport {
    Endpoint asker;
    Slot slot{};
    std::uint32_t leaf = 0;
    std::uint32_t chunk = 0;
};

struct ChunkLoad {
    std::uint32_t leaf = 0;
    std::uint32_t chunk = 0;
    Bytes rows;  ///< as the leaf's digest says
};

struct Rebuild {
    Slot slot{};
    Digest root;
    DbLeavesPtr leaves;
};

/// Performed top to bottom.
struct GuardOutput {
    bool stop = false;       ///< execute and answer nothing from now on
    bool begin = false;      ///< an empty database may begin: the cluster is new
    std::vector<Slot> cuts;  ///< for Voter::want_cut()
    bool release = false;    ///< close the snapshot
    std::vector<ChunkExport> exports;
    std::optional<Rebuild> rebuild;  ///< empty the database, then ready_to_load()
    std::vector<ChunkLoad> load;     ///< in order; then loaded() for each
    bool finish = false;             ///< all is loaded: check, then rebuilt() or rebuild_failed()
    std::vector<Send> send;
    std::vector<Event> events;
};

class DatabaseGuard {
public:
    enum class Condition : std::uint8_t {
        sound,
        empty,       ///< just created: is the cluster as new as it?
        half_built,  ///< a transfer was interrupted
        unseeded,    ///< empty, in a cluster that begins with a snapshot
    };
    DatabaseGuard(const Membership& membership, VoterId self, GuardOptions options, Signer& signer,
                  Condition condition);

    /// DBCKPT, DB-CUT, VoterStatus of other voters, and what belongs to a transfer.
    void receive(const Verified& message, Now now);
    /// Where the own voter stands. `busy`: the database has work, so if it stands still it is not
    /// for lack of items.
    void standing(const std::map<PartitionId, Seq>& next, Slot checkpoint, bool busy, Now now);
    /// What Voter::asked_again() says.
    void asked_again(std::map<PartitionId, Seq> largest) { asked_again_ = std::move(largest); }

    void scanned(Scan scan, Now now);
    /// A cut that was wanted could not be taken: another snapshot is in use.
    void cut_skipped(Slot slot);
    /// A chunk of the held snapshot; nullopt: it could not be read, the snapshot is closed.
    void exported(const ChunkExport& asked, std::optional<Bytes> rows, Now now);
    /// The server or the executor says that the database is not what it was.
    void damaged(const std::string& why, Now now);
    /// Another host's database answers as `voter` from now on, and what the old one said is
    /// nobody's; or it is one more.
    void joined(VoterId voter);

    void ready_to_load(Now now);
    void loaded(Now now);
    /// The database is what f_D+1 signed, and the voter begins anew with it.
    void rebuilt(Now now);
    void rebuild_failed(const std::string& why, Now now);

    /// Every voter is asked to scan at `slot`.
    void audit(Slot slot, Now now);
    /// Rebuild without being in doubt.
    void resync(Now now);

    /// Somebody on this host wants to copy the database as it is at `slot`: every voter is asked to
    /// scan there, and the own snapshot stays open until end_save(), or until it is not read for
    /// `lease`.
    void save(Slot slot, Now now);
    void end_save();
    struct Saved {
        Digest root;
        DbLeavesPtr leaves;
        std::vector<DbCheckpoint> votes;  ///< at least f_D+1 for `root`, by voter; own included
    };
    /// Nothing while `slot` is still to come, or f_D+1 have not signed the own root there yet.
    /// Renews the lease.
    [[nodiscard]] std::optional<Saved> saved(Slot slot, Now now);
    /// May saved() have something later? False: it was skipped, or let go.
    [[nodiscard]] bool saving(Slot slot) const;
    /// Is this chunk of the open snapshot there to be read? Renews the lease.
    [[nodiscard]] bool lend(Slot slot, std::uint32_t leaf, std::uint32_t chunk, Now now);

    void tick(Now now);
    [[nodiscard]] TimePoint next_deadline() const { return check_at_; }
    [[nodiscard]] GuardOutput take_output() { return std::exchange(out_, {}); }

    enum class State : std::uint8_t {
        sound,
        waiting,   ///< empty: who else is?
        naming,    ///< quarantined: where do we differ?
        cutting,   ///< quarantined: waiting for a cut that f_D+1 others sign and hold
        fetching,  ///< quarantined: for its leaves
        emptying,
        loading,
        checking,
    };
    [[nodiscard]] bool quarantined() const { return state_ != State::sound; }

    struct Report {
        State state{};
        std::string reason;  ///< of the last quarantine
        Slot stable{};       ///< newest DB-STABLE
        Digest stable_root;
        Slot scanned{};  ///< newest own root
        Digest root;
        std::map<Slot, std::map<VoterId, Digest>> roots;  ///< signed ones, own included
        std::vector<std::string> differences;  ///< of the last quarantine: table and partition
        std::uint64_t chunks_loaded = 0, chunks = 0;
        std::uint64_t quarantines = 0, transfers = 0;
        bool snapshot_held = false;
    };
    [[nodiscard]] Report report() const;

private:
    struct Peer {
        std::map<Slot, DbCheckpoint> checkpoints;  ///< the newest few
        std::map<PartitionId, Seq> next;
        Slot checkpoint{};
        bool heard = false;
        Duration cut_credit{};  ///< waited for cuts that it may still ask for
        TimePoint credit_at;
        Slot cut{};                 ///< the newest that it asked for
        std::uint32_t exports = 0;  ///< under way for it
    };
    struct Own {
        Slot slot{};
        Digest root;
        DbLeavesPtr leaves;
        DbCheckpoint message;
    };
    struct Held {  ///< the snapshot of own_[slot], open
        Slot slot{};
        std::set<VoterId> readers;
        TimePoint since;
        TimePoint until;
    };

    void on_checkpoint(const DbCheckpoint& message, Now now);
    void on_cut(const DbCut& cut, Now now);
    void on_status(const VoterStatus& status);
    void on_fetch_leaves(const FetchDbLeaves& fetch);
    void on_fetch_chunk(const Endpoint& from, const FetchDbChunk& fetch, Now now);
    void on_leaves(const DbLeaves& answer, Now now);
    void on_chunk(const DbChunk& answer, Now now);
    void on_gone(const DbGone& gone, Now now);
    void stop_reading(VoterId reader);

    [[nodiscard]] std::optional<Digest> stable_root(Slot slot) const;
    [[nodiscard]] std::vector<VoterId> signers(Slot slot, const Digest& root) const;
    void compare(Slot slot, Now now);
    void note_stable(Slot slot, const Digest& root);
    void name_differences(const std::vector<DbLeaf>& right);
    [[nodiscard]] Slot credible_checkpoint() const;
    [[nodiscard]] bool behind() const;
    [[nodiscard]] bool ahead(Now now);
    void check_progress(Now now);
    void judge_empty(Now now);

    void quarantine(const std::string& why, Now now);
    void choose_cut(Now now);
    void watch_cut(Now now);
    void begin_fetching(Slot slot, const Digest& root, Now now);
    void ask_leaves(Now now);
    void ask_chunk(Now now);
    void next_donor(const char* why, Now now);
    void start_over(const std::string& why, Now now);
    void announce(Now now);
    void hold_or_release(Slot slot, Now now);
    [[nodiscard]] std::vector<Endpoint> others() const;
    void note(Event::Kind kind, const Endpoint& peer, Slot slot, std::uint64_t count,
              std::string text);
    [[nodiscard]] Endpoint self() const { return Endpoint::voter(self_); }

    const Membership& membership_;
    VoterId self_;
    GuardOptions options_;
    Signer& signer_;

    State state_ = State::sound;
    std::string reason_;
    std::vector<std::string> differences_;
    std::map<Slot, Own> own_;  ///< the newest few scans
    std::map<VoterId, Peer> peers_;
    std::map<Slot, std::set<VoterId>> holds_;  ///< cuts still to be scanned: who is going to read
    std::optional<Held> held_;
    std::map<PartitionId, Seq> next_;
    Slot checkpoint_{};
    std::map<PartitionId, Seq> asked_again_;
    struct Ahead {
        Seq mine{};
        Seq order{};  ///< where it stood then
        TimePoint since;
    };
    std::map<PartitionId, Ahead> ahead_;      ///< partitions that stand beyond the order
    TimePoint moved_at_;                      ///< when next_ last changed
    std::optional<TimePoint> waiting_since_;  ///< empty, and nobody says what we are
    Slot stable_{};
    Digest stable_root_;
    std::set<std::pair<Slot, VoterId>> blamed_;

    // Of a quarantine.
    Slot cut_{};                  ///< naming: where we differed; cutting and later: of the transfer
    Digest root_;                 ///< f_D+1 signed it at cut_
    TimePoint give_up_at_;        ///< on the state's current step
    std::uint32_t attempts_ = 0;  ///< cuts since the quarantine began
    std::set<VoterId> unable_;    ///< who said that it cannot scan at cut_
    std::vector<VoterId> donors_;
    std::size_t donor_ = 0;
    std::size_t refusals_ = 0;  ///< donors in a row that did not help
    TimePoint ask_by_;          ///< when the donor's patience ends
    DbLeavesPtr leaves_;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> plan_;  ///< (leaf, chunk), in order
    std::size_t fetched_ = 0, loaded_ = 0;
    std::uint64_t quarantines_ = 0, transfers_ = 0;

    TimePoint check_at_;
    TimePoint announce_at_;
    GuardOutput out_;
};

const char* to_string(DatabaseGuard::State state);

}  // namespace bft::consensus

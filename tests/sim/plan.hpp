// What one seed means: the cluster's shape, speeds, and which kinds of faults it enables (swarm:
// each with probability 1/2, so that combinations vary).
#pragma once

#include "base/time.hpp"
#include "consensus/messages.hpp"
#include "consensus/quirks.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace bft::sim {

struct NetworkFaults {
    std::uint32_t loss_permille = 0;
    std::uint32_t duplicate_permille = 0;
    std::uint32_t reorder_permille = 0;
    std::uint32_t replay_permille = 0;
    bool clogs = false;       ///< single links stop for a while, then deliver all
    bool cuts = false;        ///< one direction between two machines is lost for a while
    bool slow_links = false;  ///< some links are 20 to 100 times slower
    bool splits = false;      ///< two sides that do not hear each other, for a while
    bool swizzles = false;    ///< nodes fall silent one by one and come back in another order
    /// The first copy of every view-change message on every link is lost (B11).
    bool first_view_messages_lost = false;
};

/// How a Byzantine replica lies; any combination.
struct ReplicaLies {
    bool wrong_commit = false;  ///< COMMITs that go back, skip a value or are withheld
    bool early_commit = false;  ///< COMMIT ahead of the bodies
    bool selective = false;     ///< silent to one peer
    bool forged_items = false;  ///< COMMIT-DB with other items
    bool wrong_replies = false;
    bool garbage_answers = false;  ///< to FETCH, and lying STATUS
    bool silent = false;

    // View change (faults.md D1-D9).
    bool hides_commits = false;  ///< VIEW-CHANGEs that end with an older COMMIT
    bool late_commits = false;   ///< an old COMMIT once more, with a new counter value
    bool two_changes = false;    ///< two VIEW-CHANGEs for one view
    bool false_vouches = false;  ///< far too high, or far too low
    bool wrong_checkpoints = false;
    bool accepts_anything = false;  ///< NV-ACCEPT for whatever comes
    bool complains = false;         ///< REQ-VC all the time, for any view
    bool hides_bodies = false;
};
struct VoterLies {
    bool wrong_results = false;
    bool wrong_digests = false;
    bool silent = false;
    bool wrong_chunks = false;  ///< rows and leaves for a database that is rebuilt
    bool wrong_roots = false;   ///< DBCKPTs
};
/// What a scripted primary does; any combination.
struct PrimaryLies {
    bool withholds = false;  ///< PREPARE not to all
    bool bogus_requests = false;
    bool duplicates = false;
    bool skips_counter = false;
    bool equivocates = false;
    bool invalid_headers = false;
    bool floods = false;  ///< orders the same requests again and again
    /// In view 0: a script plays the primary, and later views of its get nothing.
    [[nodiscard]] bool any() const {
        return withholds || bogus_requests || duplicates || skips_counter || equivocates ||
               invalid_headers || floods;
    }
};
/// What a primary-capable node with a correct engine makes of its words; any combination.
struct LeaderLies {
    bool bad_new_views = false;  ///< another N, nullset or set of VIEW-CHANGEs
    bool two_new_views = false;  ///< a second one, with the next counter value, to some
    bool equivocates = false;    ///< a second PREPARE for a slot, to some
    bool omits = false;          ///< NEW-VIEWs and PREPAREs not to all
    bool hides_bodies = false;   ///< answers no FETCH-BODY
    bool falls_silent = false;   ///< after some slots of each view
    bool delays = false;         ///< everything late, as late as it dares
    bool censors = false;        ///< never orders one client
    // Performance (C13, C15, C17): what no single rule of T1 to T3 forbids.
    Duration slow{};             ///< PREPAREs are sent so much later
    Duration rare{};             ///< and all of such a time together
    Duration unfair{};           ///< requests of client 0 are heard so much later
    std::uint64_t ahead_ms = 0;  ///< its clock
};
struct ClientLies {
    bool two_contents = false;  ///< different requests under one id
    bool replays = false;
    bool one_replica = false;  ///< sends to a single node only
    bool bad_partitions = false;
    bool bad_signatures = false;  ///< to some nodes, the same request (E3)
    bool far_numbers = false;     ///< 2^63, and back again (E5)
    bool false_lows = false;      ///< ack_low of what is not finished, or of nothing (E6)
    bool floods = false;          ///< ten times as many (E12)
};

/// What liars that work together do with their counters (mind.hpp): each is the counter-example to
/// the rule that forbids it.
struct Plot {
    enum class Kind : std::uint8_t {
        loyal,         ///< only the choice of what to show, and to whom, is theirs
        late,          ///< COMMIT of a view after the VIEW-CHANGE that left it
        back,          ///< a small COMMIT after a large one, and a VIEW-CHANGE that ends with it
        rebase,        ///< the same unseen, and a log that begins there, vouched for by themselves
        two_prepares,  ///< COMMIT on the second PREPARE of a slot
        forged_view,   ///< COMMIT on a NEW-VIEW that no correct replica accepts
    };
    Kind kind = Kind::loyal;
    bool lowest = true;       ///< views begin with the VIEW-CHANGEs that show least
    bool nullifies = true;    ///< and without all that may be nullified
    bool few_groups = false;  ///< and are kept from some groups
    bool isolates = true;     ///< correct replicas are cut off from correct nodes for a while
    bool resigns = true;      ///< views end when that suits
    bool unfair = false;      ///< the newest requests first (C15)
};
const char* to_string(Plot::Kind kind);

/// A rule broken on purpose, outside the engines, to see a checker fire.
enum class Mutation : std::uint8_t {
    none,
    verifier_accepts_all,    ///< certificates are not checked, and a replica forges
    voters_trust_f,          ///< voters decide on f votes
    database_ignores_order,  ///< a database takes items as they come
    database_not_atomic,     ///< a crash repeats a batch that was committed
    send_before_sync,        ///< a node performs its output before its log is durable
    counter_rolls_back,      ///< a primary's TPM certifies two slots with one value
    client_trusts_one,       ///< a client believes the first reply
    reply_before_commit,     ///< a voter answers before its database committed
    too_many_liars,          ///< f+1 lying databases
    disk_loses_tail,         ///< a crash takes synced records, too
    last_unused,             ///< a restart does not ask the TPM's service for last()
};
const char* to_string(Mutation mutation);

/// The replicas' patience; the rest of the timers are the engines' defaults.
struct Timers {
    Duration heartbeat = 250ms;
    Duration order = 2s;
    Duration body = 1s;
    Duration silence = 2s;
    Duration new_view = 4s;
    Duration max = 60s;
    Duration order_delay = 1s;    ///< T6b
    Duration slot_interval = 1s;  ///< T6a
};

constexpr std::uint32_t first_new_group = 100;  ///< those that come are named from here on

struct Plan {
    std::uint64_t seed = 0;
    Mutation mutation = Mutation::none;

    std::uint32_t f = 1;
    std::uint32_t primaries = 2;
    bool primaries_beside_replicas = false;  ///< all but the first share machines with replicas
    std::uint32_t groups = 2;
    std::uint32_t partitions = 4;
    std::uint32_t clients = 3;
    std::uint32_t client_depth = 4;      ///< calls outstanding
    std::uint32_t multi_permille = 200;  ///< calls that touch several partitions
    Duration think{};                    ///< between two calls of a client
    Duration moves_every{};              ///< between two configurations; zero: the first one stays
    std::set<std::uint32_t> databases_replaced;  ///< voters that other hosts become, or are new
    std::uint32_t client_changes = 0;            ///< of clients, admin keys and features, at most
    bool forgets_clients = false;     ///< Byzantine primaries order who is no client any more
    std::uint32_t replacements = 0;   ///< members that make room for others, at most
    std::uint32_t group_changes = 0;  ///< groups that come or go, at most
    std::uint32_t workers = 2;
    Duration chaos = 3s;

    Duration tpm_latency = 5ms;
    Duration tpm_jitter = 0ms;
    std::uint32_t tpm_void_permille = 0;
    Duration disk_latency = 500us;
    Duration database_latency = 1ms;
    std::uint32_t database_retry_permille = 0;
    std::uint64_t window = 512;
    std::uint64_t checkpoint_every = 64;
    /// The log goes back so many slots from the newest snapshot; 0: to the beginning.
    std::uint64_t retain = 0;
    std::uint32_t slot_entries = 2000;
    std::uint32_t group_credit = 8192;
    std::uint32_t overtaking = 64;
    Timers timers;
    /// Database checkpoints; 0: none, and no guard.
    std::uint64_t checkpoint_slots = 0;
    std::uint64_t scan_slots = 0;
    Duration scan_time = 20ms;
    std::uint64_t exec_kept = 16384;  ///< slots for which databases keep answers
    std::uint32_t slots_kept = 8192;  ///< of a lagging database's, by replicas
    std::uint32_t f_database = 0;     ///< 0: as f
    std::uint64_t voter_sender_bytes = 1 << 20;
    std::uint32_t voter_answers = 8192;

    NetworkFaults network;
    bool crashes = false;
    bool role_crashes = false;  ///< single processes die, the machine and its TPM service live on
    bool primary_crashes = false;
    bool power_cuts = false;   ///< everything at once
    bool pauses = false;       ///< processes stop for a while and go on (SIGSTOP)
    bool tpm_outages = false;  ///< a machine's TPM does not answer for a while
    bool resigns = false;
    /// The replicas of one machine are away for most of the time, then come back.
    bool long_away = false;
    bool chaotic_start = false;  ///< nodes start one after the other, in any order
    bool holes = false;          ///< power cuts take certificates of values that are spent (T1v)
    std::uint32_t tpm_error_permille = 0;
    bool tpm_slow = false;             ///< for a while an operation takes seconds
    Duration counter_patience{};       ///< of a primary with its TPM (T5); 0: endless
    bool log_failures = false;         ///< fsync errors and full disks: the process dies
    bool slow_disks = false;           ///< for a while a sync takes up to a second
    bool wrong_clocks = false;         ///< wall clocks hours off, and they jump, also back
    bool drift = false;                ///< monotonic clocks up to 5 % fast or slow
    bool early_timers = false;         ///< a tenth of the patience that would be right
    std::set<std::uint32_t> tampered;  ///< voters whose databases somebody writes to
    bool database_full = false;        ///< for a while a database commits nothing
    bool long_outage = false;          ///< f_D databases are away, longer than replicas wait
    /// What happens to machines that are gone.
    enum class Loss : std::uint8_t { crash, disk, tpm, rollback, rot };
    Loss loss = Loss::crash;
    std::set<std::uint32_t> gone;  ///< machines that stay down after a while

    std::set<consensus::Endpoint> byzantine;
    ReplicaLies replica_lies;
    VoterLies voter_lies;
    PrimaryLies primary_lies;  ///< any: view 0's primary is scripted
    LeaderLies leader_lies;    ///< of the other Byzantine primaries
    std::optional<Plot> plot;  ///< all Byzantine replicas and primaries work together
    bool mutates = false;      ///< Byzantine replicas and primaries say things like what is true
    bool twins = false;        ///< Byzantine nodes are correct ones that run twice (F9)
    bool real_crypto = false;  ///< signatures and certificates as in production
    bool byzantine_client = false;
    ClientLies client_lies;
    /// How often of a thousand times engines take each rare turn.
    std::array<std::uint32_t, consensus::quirk_kinds> quirks{};
    [[nodiscard]] bool quirky() const {
        return std::any_of(quirks.begin(), quirks.end(), [](auto each) { return each > 0; });
    }

    /// Everything pending must be answered once the faults end. Not outside the model.
    [[nodiscard]] bool live() const { return mutation != Mutation::counter_rolls_back; }
    /// Nobody has a reason to suspect a primary: no faults at all, or only such that a correct
    /// primary is not to blame for (L-NOFALSE).
    [[nodiscard]] bool calm() const;
    /// No process, machine or TPM stops, not even for a while.
    [[nodiscard]] bool nothing_stops() const;
    [[nodiscard]] bool scripted_primary() const { return primary_lies.any(); }
    [[nodiscard]] std::uint32_t replicas() const { return 2 * f + 1; }
    [[nodiscard]] std::uint32_t f_of_databases() const { return f_database == 0 ? f : f_database; }
    [[nodiscard]] std::uint32_t voters() const { return 2 * f_of_databases() + 1; }
    /// Machines 0 .. 2f carry position j of every group, machines 0 .. 2f_D voter d.
    [[nodiscard]] std::uint32_t primary_machine(std::uint32_t p) const {
        return p > 0 && primaries_beside_replicas ? (p - 1) % replicas() : replicas() + p;
    }
    [[nodiscard]] std::uint32_t machines() const { return replicas() + primaries; }
    [[nodiscard]] std::string text() const;
};

/// `plot`: the seed's liars work together on it, whatever the seed says.
Plan make_plan(std::uint64_t seed, Mutation mutation = Mutation::none,
               std::optional<Plot::Kind> plot = std::nullopt);
/// The same, with partitions that move between groups, two at least.
/// As make_plan(), and the configuration changes all the time: partitions move, members are
/// replaced.
Plan make_changing_plan(std::uint64_t seed, std::optional<Plot::Kind> plot = std::nullopt);
Plan make_moving_plan(std::uint64_t seed, std::optional<Plot::Kind> plot = std::nullopt);

}  // namespace bft::sim

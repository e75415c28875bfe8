// What one seed means: the cluster's shape, speeds, and which kinds of faults it enables (swarm:
// each with probability 1/2, so that combinations vary).
#pragma once

#include "base/time.hpp"
#include "consensus/messages.hpp"

#include <cstdint>
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
};
struct VoterLies {
    bool wrong_results = false;
    bool wrong_digests = false;
    bool silent = false;
};
/// What a scripted primary does; any combination.
struct PrimaryLies {
    bool withholds = false;  ///< PREPARE not to all
    bool bogus_requests = false;
    bool duplicates = false;
    bool skips_counter = false;
    bool equivocates = false;
    bool invalid_headers = false;
    [[nodiscard]] bool any() const {
        return withholds || bogus_requests || duplicates || skips_counter || equivocates ||
               invalid_headers;
    }
};
struct ClientLies {
    bool two_contents = false;  ///< different requests under one id
    bool replays = false;
    bool one_replica = false;  ///< sends to a single node only
    bool bad_partitions = false;
};

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
};
const char* to_string(Mutation mutation);

struct Plan {
    std::uint64_t seed = 0;
    Mutation mutation = Mutation::none;

    std::uint32_t f = 1;
    std::uint32_t groups = 2;
    std::uint32_t partitions = 4;
    std::uint32_t clients = 3;
    std::uint32_t client_depth = 4;      ///< calls outstanding
    std::uint32_t multi_permille = 200;  ///< calls that touch several partitions
    Duration think{};                    ///< between two calls of a client
    std::uint32_t workers = 2;
    Duration chaos = 3s;

    Duration tpm_latency = 5ms;
    Duration tpm_jitter = 0ms;
    std::uint32_t tpm_void_permille = 0;
    Duration disk_latency = 500us;
    Duration database_latency = 1ms;
    std::uint32_t database_retry_permille = 0;
    std::uint64_t window = 512;
    std::uint64_t voter_sender_bytes = 1 << 20;
    std::uint32_t voter_answers = 8192;

    NetworkFaults network;
    bool crashes = false;
    bool role_crashes = false;  ///< single processes die, the machine and its TPM service live on
    bool primary_crashes = false;
    std::set<std::uint32_t> gone;  ///< machines that stay down after a while

    std::set<consensus::Endpoint> byzantine;
    ReplicaLies replica_lies;
    VoterLies voter_lies;
    PrimaryLies primary_lies;  ///< any: view 0's primary is scripted
    bool byzantine_client = false;
    ClientLies client_lies;

    /// Everything pending must be answered once the network heals: not without a correct primary,
    /// since no view change replaces it.
    [[nodiscard]] bool live() const { return !primary_lies.any(); }
    [[nodiscard]] std::uint32_t replicas() const { return 2 * f + 1; }
    [[nodiscard]] std::string text() const;
};

Plan make_plan(std::uint64_t seed, Mutation mutation = Mutation::none);

}  // namespace bft::sim

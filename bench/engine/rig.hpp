// A whole cluster in memory, one request crowd at a time: real engines, Verifier, codec and client
// signatures; messages arrive at once and nothing is lost. It counts what a slot costs: frames and
// bytes between hosts, CPU time by role, certificates, syncs.
//
// Certificates of counters are hashes here, so that a TPM's price is not in the times: it is their
// numbers times what usig_bench measures.
#pragma once

#include "consensus/minbft/group_replica.hpp"
#include "consensus/minbft/primary.hpp"
#include "consensus/voter.hpp"
#include "crypto/signing_key.hpp"
#include "host/signature_cache.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <vector>

namespace bft::bench {

struct RigOptions {
    std::uint32_t groups = 1;
    std::uint32_t f = 1;
    bool databases = false;  ///< 2f+1 voters whose databases answer at once
    std::size_t op_bytes = 0;
    std::size_t result_bytes = 0;  ///< of each transaction, with databases
};

struct Cost {
    std::uint64_t requests = 0;
    std::uint64_t slots = 0;
    std::uint64_t frames = 0;  ///< from one host to another, clients included
    std::uint64_t bytes = 0;   ///< of their payloads
    std::uint64_t certificates = 0;
    std::uint64_t certificate_checks = 0;  ///< after the cache of each host
    std::uint64_t signature_checks = 0;
    std::uint64_t durable = 0;  ///< outputs that wait for a sync
    std::uint64_t log_bytes = 0;
    std::chrono::nanoseconds codec{}, verify{};                ///< all hosts
    std::chrono::nanoseconds primary{}, replicas{}, voters{};  ///< engines, all of that role
    std::chrono::nanoseconds leader_host{};  ///< everything that the primary's host does
};

class Rig {
public:
    explicit Rig(RigOptions options);
    ~Rig();

    /// `count` new requests, spread over the groups, one bundle to each: until nothing moves.
    /// False: not all were answered by f+1 replicas.
    bool serve(std::size_t count);
    [[nodiscard]] const Cost& cost() const { return cost_; }
    void reset() { cost_ = {}; }
    [[nodiscard]] const consensus::Membership& membership() const { return membership_; }

private:
    struct Host;
    struct Node;
    struct Frame {
        consensus::Endpoint from, to;
        consensus::Payload payload;
    };

    void make_membership();
    void make_nodes();
    [[nodiscard]] std::vector<consensus::Body> make_requests(GroupId group, std::size_t first,
                                                             std::size_t count);
    void perform(Node& node);
    void perform_voter(Node& node);
    void send(const consensus::Endpoint& from, const consensus::Send& send);
    void arrive(const Frame& frame);
    void count_reply(const consensus::Reply& reply);
    void settle();
    [[nodiscard]] consensus::Now now() const;

    RigOptions options_;
    consensus::Membership membership_;
    crypto::SigningKey client_key_;
    std::map<HostId, std::unique_ptr<Host>> hosts_;
    std::map<consensus::Endpoint, std::unique_ptr<Node>> nodes_;
    std::deque<Frame> network_;
    TimePoint now_ = TimePoint{} + std::chrono::hours(1);
    std::map<PartitionId, std::uint64_t> cseqs_;
    std::map<consensus::RequestId, std::uint32_t> waiting_;  ///< how many said the same
    std::uint64_t turn_ = 0;
    Cost cost_;
};

}  // namespace bft::bench

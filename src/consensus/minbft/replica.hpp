// Agreement in one replica of one group, normal case: the header chain, the in-order streams of
// certified messages, cumulative COMMITs, f+1 group commit (protocol.md 3.7, R1-R11, R14-R16).
// View change, checkpoints and reconfiguration join here: see docs/architecture.md.
#pragma once

#include "consensus/chain.hpp"
#include "consensus/client_window.hpp"
#include "consensus/engine.hpp"
#include "consensus/minbft/certified_stream.hpp"

#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

namespace bft::consensus::minbft {

struct ReplicaOptions {
    std::uint64_t window = 512;              ///< W: slots beyond the low watermark
    std::uint32_t pending_per_client = 256;  ///< W_c: bodies not yet ordered, per client and home
    Duration forward_after = 500ms;          ///< T_fwd
    Duration retransmit = 200ms;       ///< T_rx: patience before a FETCH, then between FETCHes
    Duration status_interval = 200ms;  ///< T_status
};

class Replica {
public:
    Replica(const Membership& membership, GroupId group, Position position, ReplicaOptions options);

    /// The log of an earlier incarnation.
    struct Recovered {
        std::vector<Prepare> prepares;       ///< of the current primary, by counter
        std::vector<Commit> own_commits;     ///< by counter
        std::optional<CommitIntent> intent;  ///< the newest one
        std::vector<Commit> peer_commits;    ///< any order
        Slot executed{};                     ///< the newest ExecutedRecord
        std::unordered_map<Digest, Body, DigestHash> bodies;
    };
    /// Before any other input. `last`: what the USIG service certified last for this identity.
    /// Fails when the node must not go on (T2, T6), saying what the operator does next.
    [[nodiscard]] Result<void> recover(Recovered log,
                                       const std::optional<std::pair<Digest, Ui>>& last);

    void receive(const Verified& message, Now now);
    void sealed(Ui ui, Now now);
    void tick(Now now);
    [[nodiscard]] std::optional<TimePoint> next_deadline() const;
    [[nodiscard]] Output take_output() { return std::exchange(out_, {}); }

    /// How far execution is (own entries with a result): STATUS tells the primary, whose credits
    /// follow it.
    void note_executed(Slot executed);

    /// Has the request been delivered (or fallen out of its client's window)?
    [[nodiscard]] bool delivered_before(const RequestId& rid) const;

    /// Has its client said (ack_low, C4) that it needs no answer any more?
    [[nodiscard]] bool finished(const RequestId& rid) const;

    struct Report {
        View view{};
        Slot tip{};
        Slot committed{};
        Slot delivered{};
        std::size_t pending = 0;
        std::size_t missing_bodies = 0;
        std::vector<Endpoint> dead;  ///< senders of provably invalid certified messages
    };
    [[nodiscard]] Report report() const;
    [[nodiscard]] const Chain& chain() const { return chain_; }
    [[nodiscard]] Slot delivered() const { return delivered_; }
    /// (home, client) -> window, for checkers and, later, checkpoints.
    [[nodiscard]] const std::map<std::pair<PartitionId, ClientId>, ClientWindow>& windows() const {
        return windows_;
    }

private:
    struct Pending {
        Digest rd;
        TimePoint forward_at;
    };
    struct Missing {
        TimePoint ask_at;
        std::uint32_t attempts = 0;
    };
    struct Gap {
        Counter processed{};  ///< when we last looked: progress restarts the clock
        TimePoint ask_at;
        std::uint32_t attempts = 0;
    };

    void on_request(const Body& body, Now now);
    void on_prepare(Prepare prepare);
    void on_commit(Commit commit);
    void on_status(const Endpoint& from, const Status& status);
    void take_body(const Body& body);

    void drain_ordering(Now now);
    void append(Prepare prepare, Now now);
    void drain_votes();
    [[nodiscard]] std::optional<std::string> why_invalid(const Commit& commit) const;
    void advance(Now now);
    void commit_if_ready();
    void adopt_own(Commit commit);
    void deliver_committed();
    void forget_delivered();
    [[nodiscard]] Delivery decide(const Link& link);
    [[nodiscard]] bool has_bodies(const Link& link) const;
    [[nodiscard]] const Body* valid_body(const EntryHeader& entry) const;
    [[nodiscard]] Slot group_commit() const;

    void fetch_missing(Now now);
    void fetch_gap(StreamId stream, std::optional<std::pair<Counter, Counter>> missing,
                   Counter processed, Now now);
    void fetch_bodies(Now now);
    void forward_pending(Now now);
    void send_status();
    [[nodiscard]] Status status() const;
    [[nodiscard]] Endpoint ask(std::uint32_t attempt, std::optional<Endpoint> first) const;
    [[nodiscard]] Endpoint self() const { return Endpoint::replica(group_, position_); }
    [[nodiscard]] Endpoint primary() const {
        return Endpoint::primary(membership_.primary_of(view_));
    }
    [[nodiscard]] std::optional<std::string> recover_votes(Recovered& log);
    void drop_finished(std::vector<Delivery>& deliveries, Slot executed) const;
    void check_invariants() const;

    const Membership& membership_;
    GroupId group_;
    Position position_;
    ReplicaOptions options_;

    View view_{};
    Chain chain_;
    CertifiedStream<Prepare> ordering_;
    std::vector<CertifiedStream<Commit>> votes_;  ///< by position; own: counter only
    std::vector<Slot> committed_to_;              ///< by position, in this view

    Slot ready_to_{};  ///< every own entry up to here has a valid body in the log
    Slot delivered_{};
    Slot executed_{};
    bool tell_when_idle_ = false;  ///< own entries came since the primary last heard "all executed"
    std::optional<Commit> sealing_;
    std::optional<Commit> resend_;  ///< certified before a crash, perhaps never sent (T1)

    std::unordered_map<Digest, Body, DigestHash> bodies_;  ///< of what is not delivered yet
    std::map<RequestId, Pending> pending_;                 ///< not in the chain yet
    std::map<std::pair<PartitionId, ClientId>, std::uint32_t> pending_count_;
    std::multiset<RequestId> in_chain_;  ///< own entries not delivered yet
    std::map<Digest, Missing> missing_;
    std::map<StreamId, Gap> gaps_;
    std::map<std::pair<PartitionId, ClientId>, ClientWindow> windows_;

    TimePoint status_at_{};
    TimePoint check_at_{};
    Output out_;
};

}  // namespace bft::consensus::minbft

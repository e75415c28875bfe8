// The client's side of the protocol without I/O (protocol.md 3.5, C1-C4): which request goes to
// whom, when it goes again, and when an answer is believed. Single-threaded; the shell (client.cpp)
// feeds it calls, answers and time, and performs its output.
#pragma once

#include "base/prng.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "consensus/configuration.hpp"
#include "consensus/membership.hpp"
#include "consensus/messages.hpp"

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace bft::client {

struct CoreOptions {
    Duration retry_after = 3s;  ///< T_c, then doubling
    Duration retry_max = 24s;
    Duration give_up_after{0};  ///< zero: never
    Duration bundle_interval = 1ms;
    std::uint32_t bundle_max = 256;
    std::uint32_t queue_max = 65536;
    /// key_name() of the key that signs; 0: it is the one in the cluster file.
    std::uint64_t key = 0;
    /// Did the replica's host sign this reply? Asked for calls that want a receipt.
    std::function<bool(const consensus::Reply&)> well_signed;
};

/// How a call ended.
struct Finished {
    enum class How : std::uint8_t { answered, rejected, timed_out };
    std::uint64_t token = 0;
    How how = How::answered;
    consensus::RequestId id;
    Slot slot{};
    consensus::ItemResult answer;          ///< when answered; with its result
    consensus::Rejected::Reason reason{};  ///< when rejected
    std::string text;                      ///< likewise
    std::uint32_t attempts = 0;
    std::vector<HostId> disagreeing;

    /// Of a call that wanted a receipt: what those who agreed signed.
    Bytes request;  ///< raw
    Digest rd;
    UnixMillis ts_ms = 0;
    GroupId group{};
    std::vector<std::pair<Position, consensus::ReplySignature>> signatures;
};

class ClientCore {
public:
    /// `first` is the first sequence number of this incarnation, for every home: above all that any
    /// earlier incarnation used, because a cseq must never stand for two contents (C3). ack_low
    /// starts there, too, which tells the servers that the earlier incarnation is finished.
    ClientCore(const consensus::Membership& membership, ClientId self, CoreOptions options,
               ClientSeq first, std::uint64_t seed);

    struct CallOptions {
        bool receipt = false;                   ///< only signed replies count
        std::optional<Duration> give_up_after;  ///< instead of CoreOptions::give_up_after
    };
    /// One call. `token` comes back in Finished. Requires sorted `parts` that contain `home`.
    /// Errc::exhausted: too many wait; Errc::not_found: nobody owns a partition.
    Result<void> submit(std::uint64_t token, PartitionId home, std::vector<PartitionId> parts,
                        bool read_only, Bytes op, TimePoint now, CallOptions call);
    Result<void> submit(std::uint64_t token, PartitionId home, std::vector<PartitionId> parts,
                        bool read_only, Bytes op, TimePoint now) {
        return submit(token, home, std::move(parts), read_only, std::move(op), now, CallOptions());
    }

    /// A REPLY that came over an authenticated channel from `peer`.
    void replied(HostId peer, const consensus::Reply& reply, TimePoint now);
    void rejected(HostId peer, const consensus::Endpoint& from, const consensus::Rejected& rejected,
                  TimePoint now);

    /// A verified barrier that `from` has shown: partitions may be with other groups from now on
    /// (C5, CF9). What is outstanding for them goes there, too.
    void configured(const consensus::Endpoint& from, const consensus::BarrierCertPtr& barrier,
                    TimePoint now);
    /// `from` follows this configuration, as it says on its own channel, and proves nothing.
    void heard_of(const consensus::Endpoint& from, ConfigVersion version);

    /// The channel to `host` is up: what is outstanding goes there again, since it may have been
    /// sent when there was no channel.
    void connected(HostId host);

    void tick(TimePoint now);
    [[nodiscard]] std::optional<TimePoint> next_deadline() const;

    /// The requests of one signature: sign `digest` and give the signature to bundle_signed().
    struct Bundle {
        Digest digest;
        std::vector<consensus::RequestId> requests;
        std::vector<Digest> rds;
    };
    struct Send {
        std::vector<consensus::Endpoint> to;
        consensus::Body body;
    };
    /// There may be a later configuration: f+1 replicas of a group speak of it, or nobody answers.
    struct AskConfig {
        std::vector<consensus::Endpoint> to;
        consensus::FetchConfig question;
    };
    struct Output {
        std::optional<Bundle> sign;
        std::vector<Send> send;
        std::vector<Finished> finished;
        std::optional<AskConfig> ask_config;
    };
    [[nodiscard]] Output take_output();
    void bundle_signed(const Bundle& bundle, const Bytes& signature, TimePoint now);

    /// Above every cseq used so far.
    [[nodiscard]] ClientSeq highest() const { return highest_; }
    [[nodiscard]] std::size_t outstanding() const { return outstanding_; }
    [[nodiscard]] std::size_t waiting() const { return waiting_; }
    [[nodiscard]] std::uint64_t sent_again() const { return sent_again_; }
    [[nodiscard]] View view() const { return view_; }
    /// That requests are addressed by.
    [[nodiscard]] ConfigVersion config() const { return configs_.newest().version; }
    /// Answers that differed from the accepted one, by host; late ones included.
    [[nodiscard]] const std::map<HostId, std::uint64_t>& disagreements() const {
        return disagreements_;
    }

private:
    struct Vote {
        Slot slot{};
        consensus::ItemResult answer;
        View view_hint{};
        bool lied = false;  ///< sent a result that does not fit its own digest
        Digest rd;
        UnixMillis ts_ms = 0;
        std::optional<consensus::ReplySignature> signature;

        /// The signed words are the same.
        [[nodiscard]] bool agrees(const Vote& o) const {
            return slot == o.slot && answer.same_answer(o.answer) && rd == o.rd && ts_ms == o.ts_ms;
        }
    };
    struct Outstanding {
        std::uint64_t token = 0;
        GroupId group{};
        bool moved = false;        ///< its home has changed hands since it was sent
        consensus::Request draft;  ///< until it is signed
        consensus::Body body;      ///< from then on
        std::map<Position, Vote> votes;
        /// Of other groups, once it has moved: whoever owned the home when it was ordered answers.
        std::map<GroupId, std::map<Position, Vote>> votes_elsewhere;
        std::map<Position, consensus::Rejected> rejections;
        std::uint32_t attempts = 0;
        Duration patience{};
        std::optional<TimePoint> give_up;
        TimePoint deadline{};
    };
    struct Waiting {
        std::uint64_t token = 0;
        std::vector<PartitionId> parts;
        bool read_only = false;
        Bytes op;
        TimePoint since{};
        CallOptions options;
    };
    struct Home {
        ClientSeq next{};
        std::map<ClientSeq, Outstanding> outstanding;
        std::deque<Waiting> waiting;

        [[nodiscard]] ClientSeq ack_low() const {
            return outstanding.empty() ? next : outstanding.begin()->first;
        }
    };
    /// What was accepted lately, to notice who says something else afterwards.
    struct Accepted {
        Slot slot{};
        GroupId group{};
        consensus::ItemResult answer;  ///< without the result
        std::set<Position> disagreed;
    };

    Bundle next_bundle();
    void start(PartitionId home_id, Home& home, Waiting call, TimePoint now);
    void send(Outstanding& request, TimePoint now);
    void set_deadline(const consensus::RequestId& id, Outstanding& request, TimePoint deadline);
    Outstanding* find(const consensus::RequestId& id);
    [[nodiscard]] bool speaks_for(HostId peer, GroupId group, Position position) const;
    void decide(const consensus::RequestId& id, Outstanding& request, TimePoint now);
    bool decide(const consensus::RequestId& id, Outstanding& request, GroupId group,
                const std::map<Position, Vote>& votes, TimePoint now);
    void ask_everybody(TimePoint now);
    void accept(const consensus::RequestId& id, Outstanding& request, GroupId group,
                const std::map<Position, Vote>& votes, const Vote& vote, TimePoint now);
    void finish(const consensus::RequestId& id, Finished how, TimePoint now);
    void late_reply(const consensus::Reply& reply);
    void disagreed(GroupId group, Position position);
    void learn_view(const Outstanding& request);

    consensus::Membership membership_;  ///< as of the newest configuration here
    consensus::ConfigHistory configs_;
    std::map<std::pair<GroupId, Position>, ConfigVersion> heard_;  ///< newer than ours
    TimePoint ask_everybody_at_{};
    ClientId self_;
    CoreOptions options_;
    ClientSeq first_;
    ClientSeq highest_;
    Prng prng_;
    std::map<PartitionId, Home> homes_;
    std::vector<consensus::RequestId> unsigned_;  ///< wait for the next bundle
    std::optional<TimePoint> bundle_due_;
    bool in_numbers_ = false;  ///< the last bundle had several requests
    TimePoint bundled_at_{};
    std::set<std::pair<TimePoint, consensus::RequestId>> deadlines_;
    std::map<consensus::RequestId, Accepted> accepted_;
    std::deque<consensus::RequestId> accepted_order_;
    std::map<HostId, std::uint64_t> disagreements_;
    std::size_t outstanding_ = 0;
    std::size_t waiting_ = 0;
    std::uint64_t sent_again_ = 0;
    View view_{};
    Output out_;
};

}  // namespace bft::client

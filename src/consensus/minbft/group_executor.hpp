// From a decision to the client's reply: COMMIT-DB to every voter until it answers, f_D+1 equal
// answers, REPLY (protocol.md 3.7, R12-R13).
#pragma once

#include "consensus/engine.hpp"

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <vector>

namespace bft::consensus::minbft {

struct ExecutorOptions {
    Duration retransmit = 400ms;  ///< first patience with a voter; doubles up to the next
    Duration retransmit_max = 5s;
    std::uint32_t resend_slots = 128;    ///< slots sent again to one voter at a time
    std::uint32_t slots_kept = 8192;     ///< answered by f_D+1, but not by every voter
    std::uint64_t slots_behind = 65536;  ///< likewise, and no further behind than this
    std::uint32_t replies_kept = 256;    ///< per (home, client)
    bool observed = false;               ///< fill Output::answered
    Quirks* quirks = nullptr;            ///< none in a product
};

class GroupExecutor {
public:
    GroupExecutor(const Membership& membership, GroupId group, Position position,
                  ExecutorOptions options);

    /// Takes over a decided slot. Consecutive calls have increasing slots.
    void deliver(Delivery delivery, Now now);
    /// Forgets what it waits for: a later state was adopted (ST2). Slots may begin anew.
    void restart();
    /// DbReply, VoterStatus, FetchDbItems.
    void receive(const Verified& message, Now now);
    /// Sends the reply of a delivered request again, if it is known. `finished`: its client said
    /// that it needs it no more.
    /// `receipt`: signed.
    void answer_again(const RequestId& rid, bool finished, bool receipt);
    void tick(Now now);
    [[nodiscard]] std::optional<TimePoint> next_deadline() const;
    [[nodiscard]] Output take_output() { return std::exchange(out_, {}); }

    /// Every own entry up to here has its result.
    [[nodiscard]] Slot executed() const {
        return undecided_.empty() ? last_delivered_ : Slot(undecided_.begin()->value - 1);
    }

    /// Every voter has answered everything up to here.
    [[nodiscard]] Slot answered() const { return answered_; }
    /// Replies tell clients who the primary is.
    void note_view(View view) { view_ = view; }
    /// And which configuration is in force. What a database said whose place another one has taken
    /// counts no more where nothing is decided yet.
    void note_config(ConfigVersion version, Now now);

    struct Report {
        Slot executed{};
        std::size_t waiting_slots = 0;
        std::map<VoterId, std::uint64_t>
            disagreements;                          ///< answers that differed from f_D+1 others
        std::map<VoterId, std::size_t> unanswered;  ///< slots, by voter
        std::uint64_t replied = 0;
        std::uint64_t nondeterministic = 0;
    };
    [[nodiscard]] Report report() const;

private:
    struct Item {
        DeliveredEntry entry;
        std::vector<std::optional<ItemResult>> answers;  ///< by voter; the first one of each counts
        bool decided = false;
        bool alarmed = false;         ///< all have answered, and no f_D+1 of them the same
        Digest accepted;              ///< rdig of the f_D+1
        std::set<VoterId> cleared{};  ///< who gave a digest, and has no result for it any more

        [[nodiscard]] bool settled() const { return decided || alarmed; }
    };
    struct SlotState {
        std::vector<Item> items;
        std::set<VoterId> unanswered;
        std::size_t undecided = 0;  ///< items that are not settled
    };
    struct VoterState {
        std::set<Slot> unanswered;
        TimePoint retry_at{};
        Duration patience{};
        std::uint64_t disagreements = 0;
    };
    using ClientKey = std::pair<PartitionId, ClientId>;
    /// Where a request stands in the order, by cseq modulo a client's window.
    struct Place {
        ClientSeq cseq{};
        Slot slot{};
        std::uint32_t index = 0;
        Digest rd;
        UnixMillis ts_ms = 0;
    };

    void on_reply(const DbReply& reply, Now now);
    [[nodiscard]] static bool has_answered(const SlotState& state, VoterId voter);
    void let_go(Slot slot, SlotState& state, VoterId voter);
    void on_status(const VoterStatus& status, Now now);
    void on_fetch(const FetchDbItems& fetch);
    void count(Slot slot, Item& item, SlotState& state, VoterId voter, const ItemResult& answer);
    void settle(Slot slot, const Item& item, SlotState& state);
    void decide(Slot slot, Item& item, SlotState& state, const ItemResult& accepted);
    void blame(Slot slot, VoterId voter);
    void answer_places(const Delivery& delivery);
    [[nodiscard]] Reply place_reply(const RequestId& rid, const Place& place) const;
    void reply(Slot slot, const DeliveredEntry& entry, ItemResult result);
    void forget(Slot slot);
    void advance_executed();
    [[nodiscard]] CommitDb commit_db(Slot slot, const SlotState& state, bool bodies) const;
    [[nodiscard]] bool brings_bodies(Slot slot, VoterId voter) const;
    [[nodiscard]] bool in_rotation(Slot slot) const;

    const Membership& membership_;
    GroupId group_;
    Position position_;
    ExecutorOptions options_;
    std::map<Slot, SlotState> slots_;  ///< until every voter has answered
    std::vector<VoterState> voters_;
    std::vector<HostId> voter_hosts_;                     ///< of the configuration that is in force
    std::map<PartitionId, std::map<Seq, Slot>> holders_;  ///< which kept slot has (p, s)
    std::map<ClientKey, std::map<ClientSeq, Reply>> replies_;
    std::map<ClientKey, std::vector<Place>> places_;  ///< without databases
    std::set<Slot> undecided_;
    Slot last_delivered_{};
    Slot answered_{};  ///< every voter has answered everything up to here
    Slot answered_logged_{};
    View view_{};
    ConfigVersion config_{};
    std::uint64_t replied_ = 0;
    std::uint64_t nondeterministic_ = 0;
    Output out_;
};

}  // namespace bft::consensus::minbft

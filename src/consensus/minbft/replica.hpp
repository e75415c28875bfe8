// Agreement in one replica of one group: the header chain, the in-order streams of certified
// messages, cumulative COMMITs, f+1 group commit, checkpoints, vouches and view change
// (protocol.md 3.7, 3.11, 3.12), and configurations that the order itself changes (3.16).
#pragma once

#include "consensus/chain.hpp"
#include "consensus/client_window.hpp"
#include "consensus/configuration.hpp"
#include "consensus/engine.hpp"
#include "consensus/header_store.hpp"
#include "consensus/minbft/certified_stream.hpp"
#include "consensus/minbft/equivocation.hpp"
#include "consensus/minbft/suspicion.hpp"
#include "consensus/minbft/transfer.hpp"
#include "consensus/minbft/void_quest.hpp"
#include "consensus/rules.hpp"
#include "consensus/select.hpp"

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace bft::consensus::minbft {

struct ReplicaOptions {
    std::uint64_t window = 512;              ///< W: slots beyond the low watermark
    std::uint64_t checkpoint_every = 64;     ///< K; W >= 2K
    std::uint32_t pending_per_client = 256;  ///< W_c: bodies not yet ordered, per client and home
    Duration forward_after = 500ms;          ///< T_fwd
    Duration retransmit = 200ms;       ///< T_rx: patience before a FETCH, then between FETCHes
    Duration status_interval = 200ms;  ///< T_status
    Duration vouch_interval = 500ms;   ///< T_vouch
    Duration order_patience = 2s;      ///< T1, of a request until a header has it
    Duration body_patience = 1s;       ///< T2, of an own entry until its body is here
    Duration silence_patience = 2s;    ///< T3, between two slots
    Duration new_view_patience = 4s;   ///< T_nv
    Duration patience_max = 60s;       ///< cap of all four after doubling (T5)
    /// N_ok: so much progress ends a series of failed views. Few: a crowd shares a slot (ADR 5).
    std::uint64_t calm_slots = 4;
    /// T_lag: behind the group's stable checkpoint and not moving, before the state is asked for.
    Duration lag_patience = 3s;
    std::uint32_t state_entries = 1 << 13;  ///< windows and items in one message of a state
    /// Own entries ordered and not executed: the primary may order no more (L-NOFALSE). At most
    /// half of its group_credit.
    std::uint64_t backlog_entries = 4096;
    std::uint64_t features = features_max;  ///< the highest level that it may meet
    WatchOptions watch;                     ///< T6
    Quirks* quirks = nullptr;               ///< none in a product
};

class Replica {
public:
    Replica(const Membership& membership, GroupId group, Position position, ReplicaOptions options,
            Signer& signer);

    /// The log of an earlier incarnation; what a SnapshotRecord covers may be absent.
    struct Recovered {
        std::vector<Prepare> prepares;  ///< of every primary, any order
        std::vector<NewView> new_views;
        std::vector<Commit> own_commits;
        std::vector<Commit> peer_commits;
        std::vector<ViewChangePtr> view_changes;  ///< of the own group; others are ignored
        std::vector<HeaderPtr> headers;           ///< of HeaderRecords
        std::vector<ViewCertPtr> view_certs;
        std::optional<CommitIntent> intent;  ///< the newest intent is one of these two
        std::optional<ViewChangeIntent> view_change_intent;
        std::optional<ViewRecord> view;
        std::optional<VouchRecord> vouches;
        std::optional<StableCert> stable;
        SnapshotPtr snapshot;
        Slot executed{};  ///< the newest ExecutedRecord
        std::unordered_map<Digest, Body, DigestHash> bodies;
        std::vector<VoidCert> voids;                   ///< of every stream
        std::vector<VoidPromiseRecord> void_promises;  ///< mine
        /// A value that the own counter spent without a certificate, as the USIG service says.
        std::optional<Counter> hole;
        std::vector<EquivocationProof> equivocations;
        std::optional<StableCert> fork;
        std::vector<BarrierCertPtr> barriers;  ///< by slot
        std::vector<HandoverRecord> handovers;
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

    /// How far execution is. `executed`: own entries have a result; STATUS tells the primary, whose
    /// credits follow it. `answered`: every voter has answered; a restart need not go back further.
    void note_executed(Slot executed, Slot answered);

    /// V10. Where a database stands: what f_D+1 have executed needs no vote of ours.
    void note_voter(const VoterStatus& status);
    /// Once after a state was adopted: everything up to this slot is executed, and what follows of
    /// it for clients is delivered again.
    [[nodiscard]] std::optional<Slot> take_adopted() { return std::exchange(adopted_, {}); }

    /// Has the request been delivered (or fallen out of its client's window)?
    [[nodiscard]] bool delivered_before(const RequestId& rid) const;

    /// Has its client said (ack_low, C4) that it needs no answer any more?
    [[nodiscard]] bool finished(const RequestId& rid) const;

    /// The newest configuration whose barrier is here.
    [[nodiscard]] const ConfigHistory& configs() const { return configs_; }
    /// Everybody whom that configuration knows, but no clients.
    [[nodiscard]] const Membership& membership() const { return membership_; }
    /// May its client speak with that key, as far as is known here?
    [[nodiscard]] bool admits(const Request& request) const;
    /// It was not executed, and never will be, for its client or its key is gone.
    [[nodiscard]] bool refuses(const Request& request) const {
        return !admits(request) && !delivered_before(request.id) && configs_.changed() &&
               delivered_ >= configs_.barrier()->slot;
    }
    /// Does this group answer for the home of `rid` from now on?
    [[nodiscard]] bool owns(PartitionId home) const {
        return configs_.newest().owner(home) == group_;
    }
    /// A delivered request whose client may still ask, perhaps of a partition that is gone.
    [[nodiscard]] bool owes_answer(const RequestId& rid) const { return unfinished_.contains(rid); }

    struct Report {
        View view{};
        Slot tip{};
        Slot committed{};
        Slot delivered{};
        std::size_t pending = 0;
        std::size_t missing_bodies = 0;
        std::vector<Endpoint> dead;  ///< senders of provably invalid certified messages
        bool active = true;          ///< the view's chain is known and certified
        bool halted = false;         ///< own state contradicts f+1 others: votes no more (CK7)
        Slot stable{};
        std::size_t vote_log = 0;       ///< own certified messages that a VIEW-CHANGE would show
        std::optional<Counter> hole;    ///< certifies nothing until it is proven void (T1v)
        std::size_t links = 0;          ///< headers of the own chain in memory
        ConfigVersion config{};         ///< in force
        std::optional<Slot> unsettled;  ///< a CONFIG entry whose barrier is not here
    };
    [[nodiscard]] Report report() const;
    [[nodiscard]] const Chain& chain() const { return chain_; }
    [[nodiscard]] Slot delivered() const { return delivered_; }
    [[nodiscard]] View view() const { return view_; }
    /// (home, client) -> window, for checkers.
    [[nodiscard]] const std::map<std::pair<PartitionId, ClientId>, ClientWindow>& windows() const {
        return windows_;
    }

private:
    using OrderingMessage = std::variant<Prepare, NewView>;
    using VoteMessage = std::variant<Commit, ViewChangePtr>;
    enum class Step : std::uint8_t { done, wait, invalid };

    struct Pending {
        Digest rd;
        TimePoint forward_at;
        LeaderWatch::Ticket ticket = 0;
    };
    struct Missing {
        TimePoint ask_at;
        Slot slot{};
        std::uint32_t attempts = 0;
        bool config = false;  ///< every group needs it, and one group is sure to have it
    };
    struct Gap {
        Counter processed{};  ///< when we last looked: progress restarts the clock
        TimePoint ask_at;
        std::uint32_t attempts = 0;
    };
    struct Wanted {  ///< a header or ViewCert that something waits for
        Slot to{};
        Endpoint from;  ///< who must have it
        TimePoint ask_at;
        std::uint32_t attempts = 0;
    };
    struct Ordering {  ///< a primary's certified stream
        explicit Ordering(std::size_t held_max) : stream(held_max) {}
        CertifiedStream<OrderingMessage> stream;
        OrderingTrack track;
        /// Of track.view, until that view is active here and the chain reaches to them.
        std::deque<Prepare> waiting;
        std::optional<NewView> candidate;  ///< its newest NEW-VIEW
        Digest candidate_nvd;
        bool judged = false;  ///< and accepted
        /// In which view it certified something well-formed but invalid. Not everyone judges every
        /// view, so its counter is followed all the same: others may certify a later view of it.
        std::optional<View> condemned;
        std::string why_invalid;
        TimePoint ask_at;
        std::uint32_t attempts = 0;
    };
    struct Votes {  ///< a member's certified stream
        explicit Votes(std::size_t held_max) : stream(held_max) {}
        CertifiedStream<VoteMessage> stream;
        VoteTrack track;
    };
    struct Asked {
        RequestViewChange request;
        TimePoint at;
    };

    // replica.cpp: inputs, the primaries' streams, the chain
    void on_request(const Body& body, Now now);
    void on_prepare(const Prepare& prepare);
    void on_commit(const Commit& commit);
    void on_certificates(const Certificates& found);
    void on_view_message(const Verified& message, Now now);
    void on_status(const Endpoint& from, const Status& status);
    void take_body(const Body& body);
    void advance(Now now);
    void drain_ordering(std::uint32_t p, Now now);
    [[nodiscard]] Step process(std::uint32_t p, const Prepare& prepare, Now now);
    [[nodiscard]] Step process(std::uint32_t p, const NewView& new_view);
    void kill_primary(std::uint32_t p, Slot slot, std::string why);
    void condemn_primary(std::uint32_t p, View view, Slot slot, std::string why);
    void append(Prepare prepare, Now now);
    void lose_bodies(const Header& header);
    void drop_overtaken(const RequestId& rid, ClientSeq ack_low);
    void show_slot(const Link& link, std::vector<LeaderWatch::OwnEntry> own, Now now);
    void wait_for_order(const Body& body, Now now, Duration forward_after);
    [[nodiscard]] bool is_null(Slot slot, std::uint32_t index) const;
    [[nodiscard]] bool has_bodies(const Link& link) const;
    [[nodiscard]] const Body* valid_body(const EntryHeader& entry) const;
    /// What a kept own entry comes to.
    enum class Fate : std::uint8_t { executed, skipped, bodiless };
    [[nodiscard]] Fate fate(Slot slot, const EntryHeader& entry) const;

    // replica_votes.cpp: COMMIT, the members' streams, delivery
    void drain_votes();
    [[nodiscard]] Step process(std::uint32_t j, const Commit& commit);
    [[nodiscard]] Step process(std::uint32_t j, const ViewChangePtr& change);
    [[nodiscard]] std::optional<std::string> why_invalid(const VoteTrack& track,
                                                         const Commit& commit) const;
    void commit_if_ready();
    void seal(Digest digest);
    void adopt_own(const VoteMessage& message);
    void deliver_committed();
    void forget_delivered();
    [[nodiscard]] bool still_wanted(const RequestId& id, const Digest& rd) const;
    [[nodiscard]] Delivery decide(const Link& link);
    [[nodiscard]] Slot group_commit() const;

    // replica_views.cpp: suspicion, REQ-VC, TC, VIEW-CHANGE
    using Reason = std::pair<Suspicion, std::string>;
    [[nodiscard]] std::optional<Reason> why_suspect(Now now);
    void suspect_if_due(Now now);
    void trigger_if_quorum(Now now);
    void on_trigger(const TriggerCertificate& trigger, Now now);
    void enter_view(View view, std::optional<TriggerCertificate> trigger, Now now);
    void view_change_if_due();
    [[nodiscard]] ViewChange make_view_change() const;
    void keep_change(const ViewChangePtr& change);
    void resend_view_messages(Now now);
    [[nodiscard]] Duration patience(Duration base) const;
    void persist_view(bool durable);

    // replica_evidence.cpp: what convicts a counter or a whole order; what excuses a primary
    void inspect(const Verified& message);
    void convict(const EquivocationProof& proof);
    void apply_proof(const EquivocationProof& proof);
    void repeat_proofs();
    void on_foreign_checkpoint(const Checkpoint& checkpoint);
    void find_fork();
    void tell_others_stable();
    void let_time_pass(Now now);
    [[nodiscard]] Slot low_of_all() const;
    void recover_evidence(const Recovered& log);

    // replica_new_view.cpp: NEW-VIEW, NV-ACCEPT, ViewCert, the new chain
    void judge_candidates(Now now);
    [[nodiscard]] Step judge(Ordering& from, const NewView& new_view, Now now);
    [[nodiscard]] std::optional<std::vector<ViewChangePtr>> collect(const NewView& new_view,
                                                                    Ordering& from, Now now);
    void accept(const NewView& new_view, const std::vector<ViewChangePtr>& changes, Now now);
    void certify_if_quorum(Now now);
    void adopt_cert(const ViewCertPtr& cert, Now now);
    void activate_if_ready(Now now);
    void follow(const ViewCertPtr& cert, const HeaderStore::Segment& segment, Now now);
    [[nodiscard]] const ViewCertPtr* known_cert(const Digest& nvd) const;
    void halt(Slot slot, std::string why);

    // replica_checkpoint.cpp
    void checkpoint_if_due();
    void on_checkpoint(const Checkpoint& checkpoint);
    [[nodiscard]] std::optional<StableCert> certificate_at(Slot slot) const;
    void stabilise();
    void slide();
    void snapshot_if_due();
    void send_vouch();
    void on_vouch(const Vouch& vouch);
    void rebase_log(std::uint64_t turn = 0);

    // replica_fetch.cpp
    void fetch_missing(Now now);
    void fetch_gap(StreamId stream, std::optional<std::pair<Counter, Counter>> missing,
                   Counter processed, Now now);
    void fetch_bodies(Now now);
    void fetch_wanted(Now now);
    void want_header(const HeaderStore::Missing& missing, const Endpoint& from);
    void want_cert(const Digest& nvd, const Endpoint& from);
    void on_headers(const Headers& found);
    void forward_pending(Now now);
    void send_status();
    [[nodiscard]] Status status() const;
    [[nodiscard]] Endpoint ask(std::uint32_t attempt, std::optional<Endpoint> first) const;

    // replica_transfer.cpp
    void on_gone(const Endpoint& from, const Gone& gone);
    void on_fetch_state(const Endpoint& from, const FetchState& fetch, Now now);
    void on_state(const Endpoint& from, const StatePartPtr& part, Now now);
    [[nodiscard]] std::shared_ptr<StatePart> make_part(const DerivedState& source,
                                                       std::uint32_t index) const;
    [[nodiscard]] bool asked_in_vain(const StreamId& stream, const Gap& gap) const;
    [[nodiscard]] bool needs_state(Now now) const;
    [[nodiscard]] bool catching_up(Now now) const;
    void transfer_if_due(Now now);
    void next_donor(Now now);
    [[nodiscard]] bool executed_by_databases(const DerivedState& state) const;
    void install_if_executed(Now now);
    void install(SnapshotRecord state, Now now);
    void reindex(std::vector<Body> displaced, Now now);
    void persist_tracks();
    [[nodiscard]] Counter vouched_for(const StreamId& stream) const;
    bool adopt_vouched(const StreamId& stream, const Gap& gap,
                       std::pair<Counter, Counter>& missing);
    bool adopt_ordering(std::uint32_t p, std::pair<Counter, Counter> between);
    bool adopt_votes(std::uint32_t j, std::pair<Counter, Counter> between);
    void note_adopted(const StreamId& stream, Counter at);
    void append_waiting(Now now);
    [[nodiscard]] bool bridge_to(const Prepare& next, Now now);

    // replica_members.cpp: who counts where (CF4)
    void follow_members();
    [[nodiscard]] bool knows_primaries_of(const Payload& payload, Now now);
    [[nodiscard]] bool known(GroupId group, Position position) const {
        return membership_.usig_of(Endpoint::replica(group, position)).has_value();
    }
    /// A member of the own group now.
    [[nodiscard]] bool active(Position position) const {
        return membership_.active(group_, position) || !rules::members_by_slot;
    }
    [[nodiscard]] bool counts(GroupId group, Position position, Slot slot) const;
    [[nodiscard]] bool may_trigger(const TriggerCertificate& trigger);
    [[nodiscard]] bool still_matters(Position position) const;
    [[nodiscard]] bool takes_part() const { return membership_.active(group_, position_); }
    [[nodiscard]] const Configuration* coming() const;
    [[nodiscard]] Slot committed_by(const std::vector<Slot>& tos) const;
    [[nodiscard]] Step check_configs(const std::vector<ViewChangePtr>& changes);
    [[nodiscard]] Coming coming_of(const EntryHeader& entry, const Configuration& base) const;

    // replica_config.cpp
    void settle_or_stop(const Link& link);
    [[nodiscard]] bool settled(Slot slot, const Digest& hd) const;
    [[nodiscard]] std::optional<Slot> blocks(const ViewCert& cert,
                                             const HeaderStore::Segment& segment) const;
    [[nodiscard]] std::optional<Configuration> configuration_after(const Link& link) const;
    void on_barrier(const BarrierCertPtr& barrier, Now now);
    void put_in_force(const BarrierCertPtr& barrier, Now now);
    [[nodiscard]] bool wants(const Request& request) const;
    void let_requests_go();
    void config_checkpoint_if_due(bool leaving);
    void make_checkpoint(const Digest& config, bool of_config);
    [[nodiscard]] std::optional<StableCert> foreign_certificate(GroupId group, Slot slot,
                                                                const Digest& config) const;
    void barrier_if_complete(Now now);
    [[nodiscard]] bool leave_config_slot(Now now);
    [[nodiscard]] bool take_partitions(const BarrierCertPtr& barrier, Now now);
    void ask_for_barrier(Now now);
    void on_fetch_config(const Endpoint& from, const FetchConfig& fetch);
    void serve_handover(const Endpoint& from, const FetchState& fetch, Now now);
    void on_handover(const Endpoint& from, const StatePartPtr& part, Now now);
    void recover_configs(const Recovered& log);

    // replica_groups.cpp: a group that the order added
    /// Nothing of its group is stable yet: only the coordinators can tell it what was before.
    [[nodiscard]] bool young() const { return added() && !stable_; }
    [[nodiscard]] bool added() const {
        const Group* group = membership_.group(group_);
        return group != nullptr && group->added.value > 0;
    }
    /// While its group has nothing of its own, and while a view changes: the views that were made
    /// before their makers knew of the group may have passed all its members by.
    [[nodiscard]] bool needs_elders() const {
        return added() && (!stable_ || own().last.none() || !active_);
    }
    [[nodiscard]] GroupId coordinators() const { return *configs_.newest().owner(PartitionId(0)); }
    [[nodiscard]] std::vector<Endpoint> donors(Slot slot, GroupId group) const;
    void ask_for_beginning(Now now);
    void begin_if_due(Now now);
    [[nodiscard]] bool may_commit() const;
    [[nodiscard]] bool growing_up(Now now) const;
    void on_foreign_status(const Endpoint& from, const Status& status);
    void tell_new_groups(Slot before);
    void show_view(const Endpoint& to, const Status& status);
    void on_elder_vouch(const Vouch& vouch);

    // replica_voids.cpp
    void on_void_request(const Endpoint& from, const VoidRequest& request);
    void on_void_promise(const VoidPromise& promise);
    void on_void_cert(const VoidCert& cert);
    void ask_for_void();
    void promise_void(const StreamId& stream, Counter cv);
    template <class Act>
    bool with_stream(const StreamId& id, Act act);
    void recover_voids(const Recovered& log);
    void recover_hole(const Recovered& log);

    // replica_recovery.cpp
    [[nodiscard]] std::optional<std::string> recover_streams(Recovered& log);
    [[nodiscard]] std::optional<std::string> recover_votes(Recovered& log);
    [[nodiscard]] std::optional<std::string> recover_chain(const Recovered& log);
    [[nodiscard]] std::optional<VoteMessage> certified_intent(const Recovered& log, const Digest&,
                                                              const Ui& ui) const;
    void drop_finished(std::vector<Delivery>& deliveries, Slot executed) const;
    void deliver_unfinished(const SnapshotRecord& snapshot);

    [[nodiscard]] Endpoint self() const { return Endpoint::replica(group_, position_); }
    [[nodiscard]] PrimaryId leader() const { return membership_.primary_of(view_); }
    [[nodiscard]] Endpoint primary() const { return Endpoint::primary(leader()); }
    /// The view whose chain we follow; view_ when active.
    [[nodiscard]] View chain_view() const {
        return chain_cert_ ? chain_cert_->new_view.view : View(0);
    }
    [[nodiscard]] VoteTrack& own() { return votes_[position_.value].track; }
    [[nodiscard]] const VoteTrack& own() const { return votes_[position_.value].track; }
    void check_invariants() const;

    Membership membership_;  ///< as of the newest configuration here, but for clients
    GroupId group_;
    Position position_;
    ReplicaOptions options_;
    Signer& signer_;
    ConfigHistory configs_;

    // Where we stand.
    View view_{};
    bool active_ = true;
    bool halted_ = false;
    bool corrupt_ = false;    ///< halted, until a state is here that f+1 others signed (CK7)
    ViewCertPtr chain_cert_;  ///< null in view (0,0)
    Chain chain_;             ///< links from the low watermark on
    std::vector<Ordering> ordering_;             ///< by primary
    std::vector<Votes> votes_;                   ///< by position; own: track only
    std::map<View, std::vector<Slot>> commits_;  ///< `to` by position
    Slot ready_to_{};  ///< every own entry up to here has a valid body in the log
    std::optional<Duration>
        stuck_since_;  ///< by watch_.awake(): the slot after ready_to_ lacks a valid body
    Slot delivered_{};
    Slot executed_{};
    Slot answered_{};
    bool tell_when_idle_ = false;  ///< own entries came since the primary last heard "all executed"
    std::variant<std::monostate, Commit, ViewChange> sealing_;
    std::optional<VoidQuest> quest_;     ///< a hole in the own counter: nothing is certified
    std::vector<VoidCert> own_voids_;    ///< in the own log
    std::optional<VoteMessage> resend_;  ///< certified before a crash, perhaps never sent (T1)

    // Requests and bodies.
    std::unordered_map<Digest, Body, DigestHash> bodies_;  ///< of what is not delivered yet
    std::map<RequestId, Pending> pending_;                 ///< not in the chain yet
    std::map<std::pair<PartitionId, ClientId>, std::uint32_t> pending_count_;
    std::multiset<RequestId> in_chain_;  ///< own entries, not null, not delivered yet
    std::map<Digest, Missing> missing_;
    std::map<std::pair<PartitionId, ClientId>, ClientWindow> windows_;
    std::map<RequestId, std::pair<Slot, DbItem>> unfinished_;  ///< delivered, see SnapshotRecord
    std::deque<std::pair<Slot, std::size_t>> unexecuted_;      ///< own entries by slot
    std::size_t backlog_ = 0;                                  ///< their sum

    // Checkpoints and vouches.
    struct OwnCheckpoint {
        Checkpoint message;
        SnapshotPtr state;
    };
    std::optional<StableCert> stable_;
    std::map<Slot, StableCert> stable_certs_;    ///< recent ones
    SnapshotPtr snapshot_;                       ///< the newest; others may ask for it
    std::map<Slot, OwnCheckpoint> checkpoints_;  ///< not yet snapshots
    std::vector<std::map<Slot, Checkpoint>> checkpoint_votes_;  ///< by position
    std::optional<Checkpoint> newest_checkpoint_;
    Digest null_digest_;
    std::vector<std::optional<Vouch>> vouches_;  ///< by position, own included
    VouchRecord vouched_;                        ///< what own_log_ begins with
    std::deque<VoteEntry> own_log_;
    Commit last_proof_;            ///< the own COMMIT that own().last speaks of
    ViewCertPtr last_proof_cert_;  ///< of its view

    // View change.
    std::optional<TriggerCertificate> trigger_;  ///< that brought us into view_
    bool view_change_due_ = false;
    ViewChangePtr own_change_;  ///< for view_
    Digest accepted_;           ///< NV-ACCEPTed in view_
    Counter accepted_cv_{};
    std::optional<NewViewAccept> own_accept_;
    std::vector<std::optional<NewViewAccept>> accepts_;  ///< by position, the newest
    ViewCertPtr activating_;                             ///< waits for headers
    std::map<Digest, ViewCertPtr> certs_;                ///< by nvd, recent ones
    std::map<std::pair<GroupId, Position>, std::vector<ViewChangePtr>> changes_;
    std::vector<std::optional<Asked>> asked_;  ///< REQ-VC by position
    std::optional<Suspicion> suspicion_;
    std::optional<View> resigned_;
    bool judge_again_ = false;    ///< something came that a candidate may have waited for
    std::uint32_t failures_ = 0;  ///< consecutive views without progress
    Slot view_began_{};           ///< delivered when the view became active
    LeaderWatch watch_;
    /// What was ordered in this view, as its primary remembers it.
    std::map<std::pair<PartitionId, ClientId>, ClientWindow> in_view_;
    Duration tpm_{};  ///< what a certificate took lately
    TimePoint sealing_since_{};
    Slot window_low_{};  ///< of all groups, as far as known here
    TimePoint held_since_{};
    TimePoint new_view_by_{};
    TimePoint request_at_{};
    TimePoint resend_at_{};

    // Fetching.
    HeaderStore headers_;
    std::map<StreamId, Gap> gaps_;
    std::map<Digest, Wanted> wanted_headers_;
    std::map<Digest, Wanted> wanted_certs_;

    // State transfer.
    Transfer transfer_;
    std::vector<StateLease> leases_;  ///< by position
    std::optional<Slot> adopted_;
    std::vector<std::map<PartitionId, Seq>> voters_next_;  ///< by voter, as each said last

    // Configurations.
    std::optional<Slot> unsettled_;  ///< the chain's tip: a kept CONFIG without its barrier
    struct Announced {
        Digest hd;
        Configuration config;
        Digest digest;
    };
    mutable std::optional<Announced> announced_;  ///< what coming() found last
    bool config_wanted_ = false;                  ///< somebody speaks of one that is not known here
    Slot config_checkpoint_{};                    ///< the last CONFIG slot that was signed
    std::optional<Checkpoint> barrier_word_;      ///< what was signed there, until the barrier
    /// Own states at barriers that gave partitions away, and others' that gave some to us.
    std::map<Slot, std::shared_ptr<const DerivedState>> given_;
    std::map<std::pair<Slot, GroupId>, std::shared_ptr<const DerivedState>> taken_;
    struct Taking {
        Slot slot{};
        GroupId group{};
        std::vector<StatePartPtr> parts;
        Endpoint donor;
        std::uint32_t donors = 0;
        TimePoint ask_at{};
        TimePoint give_up_at{};
    };
    std::optional<Taking> taking_;
    std::map<Endpoint, TimePoint> handed_at_;
    TimePoint config_ask_at_{};
    std::vector<TimePoint> config_asked_at_;  ///< by position: because of its STATUS
    ConfigVersion last_word_{};               ///< whose predecessors have ended a view since

    // A group that the order added.
    bool begun_ = true;  ///< the state at the slot that made the group is here
    TimePoint grown_at_{};
    struct Elder {
        std::optional<View> beyond;  ///< in it, or before, it delivered what is beyond that slot
        std::optional<Vouch> vouch;
    };
    std::vector<Elder> elders_;  ///< the coordinators, by position
    std::map<Endpoint, TimePoint> told_at_;

    // Evidence.
    EquivocationWatch equivocation_;
    std::uint32_t proofs_told_ = 0;
    std::uint32_t told_stable_ = 0;
    /// CHECKPOINTs of other groups: by group and position, the newest few.
    std::map<GroupId, std::vector<std::map<Slot, Checkpoint>>> foreign_;
    std::map<Slot, Digest> own_digests_;  ///< of the last own checkpoints

    TimePoint now_{};  ///< of the newest input
    TimePoint status_at_{};
    TimePoint check_at_{};
    TimePoint vouch_at_{};
    Output out_;
};

}  // namespace bft::consensus::minbft

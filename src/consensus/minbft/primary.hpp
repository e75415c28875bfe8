// A primary-capable node. In its views it orders requests into slots and certifies a PREPARE for
// each with its ordering counter; at their beginning it collects VIEW-CHANGEs and certifies the
// NEW-VIEW. It does not execute and has no vote (protocol.md D7, P1-P8, VC4-VC5).
#pragma once

#include "consensus/chain.hpp"
#include "consensus/client_window.hpp"
#include "consensus/configuration.hpp"
#include "consensus/engine.hpp"
#include "consensus/header_store.hpp"
#include "consensus/minbft/equivocation.hpp"
#include "consensus/minbft/request_pool.hpp"
#include "consensus/minbft/void_quest.hpp"
#include "consensus/select.hpp"

#include <deque>
#include <map>
#include <set>
#include <variant>
#include <vector>

namespace bft::consensus::minbft {

struct PrimaryOptions {
    Duration batch_interval = 5ms;         ///< T_batch: least time between two slots, unless full
    Duration gather_interval = 25ms;       ///< how long a part of a crowd waits for the rest
    Duration busy_batch_interval = 100ms;  ///< the same while databases still work on earlier slots
    Duration heartbeat = 250ms;            ///< T_hb: an empty slot when there is nothing to order
    std::uint32_t slot_entries = 2000;     ///< B_max
    std::uint32_t slot_bytes = 4 * 1024 * 1024;  ///< B_bytes
    std::uint64_t window = 512;                  ///< W: slots beyond the low watermark
    std::uint32_t group_credit = 8192;           ///< ordered and not executed entries per group
    std::uint32_t client_pool = 1024;            ///< waiting requests per client and group
    std::uint64_t standing_every = 1024;  ///< slots between two records that a restart begins with
    Duration retransmit = 200ms;          ///< T_rx: between two FETCHes
    Duration search = 500ms;  ///< for the body of an entry that could be nullified (VC5)
    std::uint64_t features = features_max;  ///< the highest level that it may meet
    Quirks* quirks = nullptr;               ///< none in a product
};

class Primary final : public Engine {
public:
    Primary(const Membership& membership, PrimaryId self, PrimaryOptions options, Signer& signer);

    /// Takes up the log of an earlier incarnation; before any other input. `last` is what the USIG
    /// service says that it certified last for this identity, if anything.
    struct Recovered {
        std::vector<Prepare> prepares;         ///< own, by counter
        std::optional<PrepareIntent> intent;   ///< the newest intent is one of these two
        std::vector<NewViewRecord> new_views;  ///< own
        std::optional<NewViewIntent> new_view_intent;
        std::optional<StandingRecord> standing;
        std::vector<VoidCert> voids;  ///< of the own counter
        /// A value that it spent without a certificate, as the USIG service says.
        std::optional<Counter> hole;
        std::vector<EquivocationProof> equivocations;
        std::vector<BarrierCertPtr> barriers;  ///< by slot
    };
    [[nodiscard]] Result<void> recover(Recovered log,
                                       const std::optional<std::pair<Digest, Ui>>& last);

    void receive(const Verified& message, Now now) override;
    void sealed(Ui ui, Now now) override;
    void tick(Now now) override;
    [[nodiscard]] std::optional<TimePoint> next_deadline() const override;
    [[nodiscard]] Output take_output() override;

    /// P7: this node cannot lead (its TPM is away): asks the replicas for the next view.
    void resign(Now now);

    /// What it does in its view.
    enum class Phase : std::uint8_t {
        idle,        ///< the view is another's, or ours and given up
        collecting,  ///< VIEW-CHANGEs, then bodies of what is undecided
        active,      ///< orders requests
    };
    struct Report {
        View view{};
        Slot tip{};
        std::size_t pooled = 0;
        std::uint64_t ordered = 0;  ///< entries, since the start of this process
        Phase phase = Phase::idle;
    };
    [[nodiscard]] Report report() const;
    [[nodiscard]] const ConfigHistory& configs() const { return configs_; }

private:
    struct Progress {  ///< what a group's replicas reported, by position
        std::vector<Slot> executed;
        std::vector<Slot> low;
        std::vector<View> view;
        std::vector<TimePoint> config_asked_at;  ///< because of its STATUS
    };
    struct Search {  ///< for a header or body
        TimePoint ask_at;
        std::uint32_t attempts = 0;
    };
    struct Unexecuted {  ///< entries per group of one slot, for credits
        Slot slot;
        std::map<GroupId, std::uint32_t> entries;
    };

    void on_request(const Body& body, Now now);
    void on_config_request(const Body& body, Now now);
    void on_barrier(const BarrierCertPtr& barrier);
    [[nodiscard]] bool config_due() const;
    [[nodiscard]] bool admits(const Request& request) const;
    void log_bodies(const Header& header, SlotBodiesRecord bodies);
    void ask_for_barrier(Now now);
    void show_change(const Endpoint& to, ConfigVersion known, Now now);
    void on_status(const Endpoint& from, const Status& status, Now now);
    void order_if_due(Now now);
    [[nodiscard]] bool window_open() const;
    [[nodiscard]] TimePoint batch_due_at() const;
    [[nodiscard]] bool busy() const;
    [[nodiscard]] HeaderPtr next_header(Now now);
    void adopt(Prepare prepare);
    void note_ordered(const RequestId& rid);
    [[nodiscard]] Slot quorum_value(GroupId group, const std::vector<Slot>& reported) const;
    void follow_members();
    /// What the members say, of what is kept by position.
    template <class T>
    [[nodiscard]] std::vector<T> of_members(GroupId group, const std::vector<T>& all) const {
        std::vector<T> members;
        for (std::uint32_t j = 0; j < all.size(); ++j)
            if (membership_.active(group, Position(j))) members.push_back(all[j]);
        return members;
    }
    void release_credit();
    [[nodiscard]] Result<void> replay(const Prepare& prepare);
    [[nodiscard]] Result<void> replay_log(const Recovered& log, Counter& logged);
    [[nodiscard]] bool resume_intent(const Recovered& log, const Digest& digest, const Ui& ui);

    void recover_voids(const Recovered& log, Counter logged);
    void on_void_promise(const VoidPromise& promise);
    void ask_for_void(Now now);

    void convict(const EquivocationProof& proof);

    // primary_views.cpp
    void on_view_change(const ViewChangePtr& change, Now now);
    void on_bodies(const Bodies& found);
    void on_headers(const Headers& found);
    void on_trigger(const TriggerCertificate& trigger);
    void leave_view(View view);
    void new_view_if_ready(Now now);
    [[nodiscard]] std::vector<ViewChangePtr> valid_changes(Now now);
    [[nodiscard]] std::optional<std::vector<EntryRef>> settle(const Selected& selected, Now now);
    [[nodiscard]] bool settle_config(const Selected& selected, const std::vector<EntryRef>& nullset,
                                     Now now);
    void ask_for_config(Now now);
    [[nodiscard]] bool continues(const Selected& selected, const EntryHeader& entry,
                                 const Request& body) const;
    [[nodiscard]] bool needs_no_body(const Selected& selected, const EntryHeader& entry) const;
    [[nodiscard]] bool ends_unsettled(const NewView& new_view, const Selected& selected,
                                      const std::vector<ViewChangePtr>& changes) const;
    void fetch_header(const HeaderStore::Missing& missing, const Endpoint& from, Now now);
    void new_view_sealed(Ui ui, Now now);
    void lead(const NewView& new_view, UnixMillis ts_ms);
    void give_up();
    [[nodiscard]] std::vector<Endpoint> members(GroupId group) const;
    void adopt_entries(const Header& header, const std::vector<EntryRef>& nullset);

    Membership membership_;  ///< as of the newest configuration here, but for clients
    PrimaryId self_;
    PrimaryOptions options_;
    Signer& signer_;
    ConfigHistory configs_;
    /// P6: a CONFIG entry of our chain whose barrier is not here; nothing is ordered after it.
    std::optional<Slot> unsettled_;
    Body config_request_;  ///< to be ordered when it continues what is in force
    TimePoint config_ask_at_{};
    View view_{};
    Phase phase_ = Phase::idle;
    Counter base_{};    ///< U: counter of the view's NEW-VIEW
    Slot base_slot_{};  ///< N
    Chain chain_;
    RequestPool pool_;
    std::map<std::pair<PartitionId, ClientId>, ClientWindow> ordered_;
    std::map<GroupId, Progress> progress_;
    std::map<GroupId, std::uint64_t> outstanding_entries_;
    std::deque<Unexecuted> unexecuted_;
    TimePoint last_slot_at_{};
    TimePoint last_request_at_{};
    TimePoint gather_since_{};  ///< requests wait and databases do not work, since then
    std::size_t crowd_ = 0;     ///< entries of a slot lately: how many clients come back at once
    struct SealingSlot {
        View view{};
        HeaderPtr header;
    };
    struct SealingView {
        NewView new_view;
        Selected selected;
        std::vector<ViewChangePtr> changes;
    };
    std::variant<std::monostate, SealingSlot, SealingView> sealing_;
    bool starved_ = false;   ///< no group with waiting requests has credit; a STATUS changes that
    bool resigned_ = false;  ///< the counter no longer fits the slots: never certifies again (P7)
    /// Certified before a crash, perhaps never sent (T1).
    std::optional<std::variant<Prepare, NewView>> resend_;
    std::optional<VoidQuest> quest_;  ///< a hole in the own counter: nothing is certified (T1v)
    TimePoint quest_at_{};
    bool resign_due_ = false;        ///< the view's counters lost their map to slots (P7)
    std::optional<Prepare> newest_;  ///< the tip's, when this view made it
    TimePoint newest_sent_at_{};

    // View change.
    std::map<std::pair<GroupId, Position>, ViewChangePtr> changes_;  ///< the newest of each
    std::optional<NewView> new_view_;                                ///< of view_, when it is ours
    std::vector<ViewChangePtr> new_view_changes_;                    ///< what it names
    std::map<std::pair<GroupId, Position>, TimePoint> answered_;  ///< when NEW-VIEW was sent again
    std::map<Endpoint, TimePoint> shown_at_;                      ///< to who left: when it was told
    HeaderStore headers_;
    std::map<Digest, Search> header_search_;
    std::map<Digest, Search> body_search_;  ///< open entries, by rd
    std::map<Digest, Body> found_bodies_;
    TimePoint settling_since_{};
    TimePoint collect_at_{};  ///< when collecting goes on without an input
    EquivocationWatch equivocation_;
    std::uint64_t ordered_count_ = 0;
    Output out_;
};

}  // namespace bft::consensus::minbft

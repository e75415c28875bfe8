// The god view: what must hold in every run (the S-* properties), judged from what nodes show to
// the outside, apart from the code that it checks.
#pragma once

#include "consensus/engine.hpp"
#include "consensus/minbft/group_replica.hpp"
#include "consensus/minbft/primary.hpp"
#include "consensus/voter.hpp"
#include "reference.hpp"

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace bft::sim {

class SimDisk;

/// One broken property. The first ones are kept; later ones usually follow from them.
struct Violation {
    std::string property;  ///< "S-CHAIN"
    std::string text;
};

class Checker {
public:
    Checker(const consensus::Membership& membership, std::set<consensus::Endpoint> byzantine,
            std::uint64_t exec_kept)
        : membership_(membership),
          byzantine_(std::move(byzantine)),
          reference_(membership, exec_kept) {}

    [[nodiscard]] bool correct(const consensus::Endpoint& node) const {
        return !byzantine_.contains(node);
    }
    [[nodiscard]] const std::vector<Violation>& violations() const { return violations_; }
    void fail(const std::string& property, const std::string& text);
    /// A rare state was seen (faults.md 3.5).
    void on_reach(std::function<void(const std::string&)> reach) { reach_ = std::move(reach); }
    /// The first correct replica accepts this NEW-VIEW.
    void on_view(std::function<void(const consensus::NewView&)> seen) {
        on_view_ = std::move(seen);
    }

    // --- what ports and nodes show ---
    /// Every request that any client signed.
    void requested(const consensus::Body& body) { bodies_.emplace(body->rd, body); }
    /// S-USIG. Every certificate of every trusted counter.
    void certified(UsigId identity, const consensus::Ui& ui, const Digest& digest);
    /// T1v: a value that was spent and proven void; nobody may ever count it.
    void voided(UsigId identity, Counter cv);
    /// F6: this counter is broken on purpose.
    void expect_two_certificates(UsigId identity) { broken_.insert(identity); }
    /// A COMMIT draft on its way to the TPM, whoever's.
    void certifying(const consensus::Commit& commit);
    /// Every header that anybody logged.
    void header(const Digest& hd, const consensus::HeaderPtr& header) { headers_[hd] = header; }
    void header(const consensus::HeaderPtr& header);
    /// Every NEW-VIEW that anybody logged.
    void new_view(const consensus::NewView& new_view);
    /// S-VIEW1: a correct replica processed this PREPARE in its primary's stream.
    void processed(const consensus::Endpoint& replica, const consensus::Prepare& prepare);
    /// S-HIDE: a correct replica counted a peer's COMMIT, or found a VIEW-CHANGE valid.
    void counted(const consensus::Endpoint& replica, const consensus::Commit& commit);
    void found_valid(const consensus::Endpoint& replica, const consensus::ViewChange& change);
    /// S-CHAIN, S-COMMIT, S-COMMIT-KEEP, S-DEC, S-SEQ: a correct replica delivered these slots.
    void delivered(const consensus::Endpoint& replica, const consensus::minbft::Replica& agreement,
                   const std::vector<consensus::Delivery>& deliveries);
    /// A correct replica goes on from a state at `slot`: what it delivers up to there again is for
    /// clients only. What it was is checked by what follows from it (S-WINDOW, S-SEQ).
    void adopted(const consensus::Endpoint& replica, Slot slot);
    /// S-WINDOW, after a correct replica delivered.
    void windows(const consensus::minbft::Replica& replica, GroupId group);
    /// S-SEQ, S-PERSIST, S-REPLY, S-CONF: a correct node sends.
    void sending(const consensus::Endpoint& from, const consensus::Send& send);
    /// S-EVID and alarms: an event of a correct node.
    void event(const consensus::Endpoint& node, const consensus::Event& event);
    /// A message of a correct node did not pass the Verifier.
    void refused(const consensus::Endpoint& from, const std::string& why);
    /// S-VOTER-AUTH, S-VOTER-ORDER, S-EXACTLY-ONCE, S-DB-EQ: a correct database committed an item.
    void executed(VoterId voter, const consensus::Execution& execution,
                  const consensus::ItemResult& result);
    /// Somebody changed this correct voter's database behind its back: what it says is not held
    /// against it until it is restored.
    void tampered(VoterId voter);
    /// S-CKPT: its guard says that f_D+1 databases signed `root`.
    void database_stable(VoterId voter, Slot slot, const Digest& root);
    void scan_wanted(Slot slot) { reference_.want_root(slot); }
    /// Its database is now that of checkpoint `slot`, as others had it.
    void restored(VoterId voter, Slot slot, const std::map<PartitionId, Seq>& next);
    [[nodiscard]] bool sound(VoterId voter) const { return !tampered_.contains(voter); }
    /// S-REPLY, S-LIN: a correct client accepted an answer.
    void accepted(const consensus::RequestId& rid, Slot slot, const consensus::ItemResult& answer,
                  TimePoint invoked, TimePoint now);
    /// S-PERSIST: what a crash left of a correct node's log, against what it had shown.
    void crashed(const consensus::Endpoint& node, const SimDisk& disk);
    void recovered(const consensus::Endpoint& node,
                   const consensus::minbft::Replica::Report& report);
    void recovered(const consensus::Endpoint& node,
                   const consensus::minbft::Primary::Report& report);

    // --- at the end ---
    /// S-DB-EQ, S-VOTER-ORDER: rows and sequence numbers of a correct database.
    void database(VoterId voter, const std::map<PartitionId, Seq>& next,
                  const std::map<PartitionId, Rows>& rows);
    /// The serial execution of the whole chain gives the same as what was accepted step by step.
    void finish();

    // --- in a run without end ---
    /// Nobody asks any more for what lies `below`.
    void forget(Slot below);
    [[nodiscard]] std::map<std::string, std::size_t> sizes() const;

    /// The last slot that a correct replica delivered.
    [[nodiscard]] Slot chain_tip() const { return reference_.tip(); }
    [[nodiscard]] std::uint64_t views() const { return accepted_views_.size(); }
    [[nodiscard]] const Reference& reference() const { return reference_; }
    [[nodiscard]] std::uint64_t accepted_count() const { return accepted_.size(); }
    [[nodiscard]] std::uint64_t digest() const;

private:
    struct Shown {  ///< by a correct node, over all its incarnations
        std::map<Counter, Digest> certified;
        std::pair<View, Slot> prepared{};
        consensus::LastCommit committed;
        Counter committed_cv{};
        View promised{};  ///< of its newest VIEW-CHANGE
        std::map<View, std::pair<Digest, Counter>> accepted;
        Slot delivered{};
    };
    void certified(const consensus::Commit& commit);
    void check_linear();
    void configured(const consensus::Endpoint& node, const consensus::Event& event);
    void tally(const consensus::Commit& commit);
    void check_view_messages(const consensus::Endpoint& from, const consensus::Send& send);
    void accepted_view(const consensus::Endpoint& from, const consensus::NewViewAccept& accept);
    void check_delivery(const consensus::Endpoint& replica, const consensus::Delivery& delivery,
                        const Digest& hd);
    [[nodiscard]] std::map<Slot, Digest> digests(const consensus::minbft::Replica& agreement,
                                                 Slot from, Slot to);
    [[nodiscard]] std::uint32_t certifiers(GroupId group, const std::vector<Slot>& tos,
                                           Slot slot) const;
    void committed_by(const consensus::Endpoint& replica, View in_view, Slot slot);
    void note_view(const consensus::NewView& new_view);
    void check_kept(GroupId group, View view, Slot slot, const consensus::NewView& new_view);
    void check_commit_db(const consensus::Endpoint& from, const consensus::CommitDb& message);
    void check_db_reply(const consensus::Endpoint& from, const consensus::DbReply& reply);
    void check_reply(const consensus::Endpoint& from, const consensus::Reply& reply);
    void check_certified(const consensus::Endpoint& from, Counter cv, const Digest& digest);
    void check_bodies(const consensus::Endpoint& from, const consensus::Send& send);
    [[nodiscard]] bool blameless(const consensus::Endpoint& node) const;
    std::string name(const consensus::Endpoint& node) const { return consensus::to_string(node); }

    const consensus::Membership& membership_;
    std::set<consensus::Endpoint> byzantine_;
    std::vector<Violation> violations_;
    std::function<void(const std::string&)> reach_ = [](const std::string&) {};
    std::function<void(const consensus::NewView&)> on_view_ = [](const consensus::NewView&) {};
    std::map<Digest, consensus::Body> bodies_;
    Reference reference_;

    std::map<UsigId, std::map<Counter, Digest>> certificates_;
    std::map<UsigId, Counter> counters_;
    std::set<UsigId> broken_;
    using Member = std::pair<GroupId, std::uint32_t>;
    std::unordered_map<Digest, consensus::HeaderPtr, DigestHash> headers_;
    std::map<Digest, consensus::NewView> new_views_;                    ///< by nvd
    std::unordered_map<Digest, consensus::Commit, DigestHash> drafts_;  ///< not certified yet
    std::map<GroupId, std::map<View, std::vector<Slot>>> committing_;   ///< largest that count
    std::map<GroupId, std::map<View, Slot>> kept_;                      ///< delivered on COMMITs of
    std::map<std::pair<View, Slot>, Digest> prepared_;                  ///< S-VIEW1
    std::map<View, std::pair<Digest, Counter>> accepted_views_;         ///< nvd and its counter
    std::map<View, std::set<GroupId>> complained_;                      ///< whose TCs there were
    std::map<Member, std::map<Counter, consensus::LastCommit>> counted_;
    std::map<Member, std::map<Counter, consensus::LastCommit>> shown_last_;  ///< by VIEW-CHANGEs
    std::map<consensus::Endpoint, Shown> shown_;
    std::map<std::pair<GroupId, Slot>, std::uint64_t> windows_;
    struct Executed {
        Slot base{};  ///< of the checkpoint that was loaded: all up to there is executed
        std::set<std::pair<Slot, std::uint32_t>> places;
        std::set<consensus::RequestId> effects;
        std::map<PartitionId, Seq> next;
    };
    std::map<VoterId, Executed> executed_;
    std::set<VoterId> tampered_;             ///< now
    std::set<consensus::EntryRef> skipped_;  ///< entries of who was no client any more
    std::set<VoterId> once_tampered_;        ///< ever: old answers come back late
    struct Accepted {
        Slot slot{};
        std::uint32_t index = 0;
        TimePoint invoked{};
        TimePoint accepted{};
    };
    std::map<consensus::RequestId, Accepted> accepted_;
};

}  // namespace bft::sim

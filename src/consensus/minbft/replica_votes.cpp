// COMMIT, the members' certified streams, group commit and delivery (R5, R7, R9-R11).
#include "base/invariant.hpp"
#include "base/sha256.hpp"
#include "consensus/minbft/replica.hpp"
#include "consensus/rules.hpp"
#include "consensus/select.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::consensus::minbft {

// --- COMMIT
// -----------------------------------------------------------------------------------------

// R5: cumulative, one certificate outstanding, so the pipeline clocks itself to the TPM. The first
// COMMIT of a view reaches to where its NEW-VIEW ends, at least.
void Replica::commit_if_ready() {
    Slot before = ready_to_;
    const Link* next = chain_.at(ready_to_.next());
    while (next != nullptr && has_bodies(*next)) {
        ready_to_ = ready_to_.next();
        next = chain_.at(ready_to_.next());
    }
    if (next == nullptr)
        stuck_since_.reset();
    else if (!stuck_since_ || ready_to_ != before)
        stuck_since_ = watch_.awake();

    if (!active_ || halted_ || !std::holds_alternative<std::monostate>(sealing_)) return;
    if (view_change_due_ || quest_) return;
    // CF4: who is no member for that slot has no word there.
    if (rules::members_by_slot && !configs_.at(ready_to_).active(group_, position_)) return;
    if (!may_commit()) return;
    Commit commit;
    commit.group = group_;
    commit.position = position_;
    commit.view = view_;
    commit.to = ready_to_;
    if (chain_cert_) commit.nvd = new_view_digest(membership_.cluster, chain_cert_->new_view);
    Slot begins = chain_cert_ ? chain_cert_->new_view.slot : Slot(0);
    if (ready_to_ < begins || (!chain_cert_ && ready_to_ == begins)) return;
    if (!own().last.before({commit.view, commit.to, {}, {}})) return;
    if (strikes(options_.quirks, Quirk::late_commit)) return;
    if (chain_cert_ && ready_to_ == begins) {
        if (chain_.digest_at(begins) != chain_cert_->new_view.hd)
            return;  // adopted, of a later view
        commit.hd = chain_cert_->new_view.hd;
        commit.from_new_view = true;
        commit.prepare = {view_, begins, commit.hd, chain_cert_->new_view.ui, nullptr};
    } else {
        const Link* link = chain_.at(ready_to_);
        // Below the low watermark on the votes of others, or known by its header only.
        if (link == nullptr || link->prepare.ui.cv.value == 0) return;
        commit.hd = link->prepare.hd;
        commit.prepare = link->prepare;
        commit.prepare.header = nullptr;
    }
    out_.persist.push_back({CommitIntent{commit}});
    seal(commit_digest(membership_.cluster, commit));
    sealing_ = std::move(commit);
}

void Replica::seal(Digest digest) {
    invariant(!out_.seal, "one draft at a time");
    out_.seal = Draft{digest};
    sealing_since_ = now_;
}

void Replica::sealed(Ui ui, Now now) {
    now_ = now.mono;
    Duration took = now.mono - sealing_since_;
    tpm_ = tpm_ == Duration{} ? took : (tpm_ * 7 + took) / 8;
    auto draft = std::exchange(sealing_, std::monostate{});
    invariant(!std::holds_alternative<std::monostate>(draft), "a certificate answers a draft");
    if (auto* commit = std::get_if<Commit>(&draft)) {
        commit->ui = std::move(ui);
        // Not synced on its own: the USIG service keeps the newest certificate until the next
        // intent has made this record durable (T1).
        out_.persist.push_back({CommitRecord{*commit}, false});
        out_.send.push_back({membership_.replicas(group_, position_), *commit});
        out_.events.push_back(
            {Event::Kind::committed, self(), commit->to, commit->ui.cv.value, {}});
        adopt_own(std::move(*commit));
    } else {
        auto& change = std::get<ViewChange>(draft);
        change.ui = std::move(ui);
        auto sealed = std::make_shared<const ViewChange>(std::move(change));
        out_.persist.push_back({ViewChangeRecord{sealed}});
        adopt_own(sealed);
        resend_at_ = {};
        resend_view_messages(now);
    }
    advance(now);
}

// What was certified joins the own log, which a later VIEW-CHANGE shows (D5).
void Replica::adopt_own(const VoteMessage& message) {
    VoteTrack& track = own();
    track.processed = ui_of(message).cv;
    if (const auto* commit = std::get_if<Commit>(&message)) {
        track.last = {commit->view, commit->to, commit->hd, commit->nvd};
        own_log_.push_back({false, {}, track.last, {}, commit->ui});
        auto& tos = commits_[commit->view];
        tos.resize(votes_.size());
        tos[position_.value] = commit->to;
        last_proof_ = *commit;
        last_proof_cert_ = nullptr;
        if (const ViewCertPtr* cert = known_cert(commit->nvd)) last_proof_cert_ = *cert;
        return;
    }
    const auto& change = std::get<ViewChangePtr>(message);
    track.promised = change->view;
    track.last = change->last;
    last_proof_.prepare = change->proof;
    last_proof_.from_new_view = change->from_new_view;
    last_proof_cert_ = change->view_cert;
    own_log_.push_back({true, change->view, change->last, view_change_rest(*change), change->ui});
    if (change->view == view_) own_change_ = change;
}

// --- the members' streams
// -------------------------------------------------------------------------

void Replica::drain_votes() {
    for (std::uint32_t j = 0; j < votes_.size(); ++j) {
        Votes& from = votes_[j];
        while (const VoteMessage* message = from.stream.peek()) {
            const auto* commit = std::get_if<Commit>(message);
            Step step = commit != nullptr ? process(j, *commit)
                                          : process(j, std::get<ViewChangePtr>(*message));
            if (step == Step::wait) break;
            if (step == Step::invalid) {
                from.stream.kill();
                break;
            }
            from.track.processed = from.stream.pop();
        }
    }
}

// R7. What is decided here depends on the content and on the sender's earlier messages only, so all
// correct replicas judge alike. A proof that is not here yet is waited for.
Replica::Step Replica::process(std::uint32_t j, const Commit& commit) {
    Endpoint sender = Endpoint::replica(group_, Position(j));
    if (commit.view.value > 0 && known_cert(commit.nvd) == nullptr) {
        want_cert(commit.nvd, sender);
        return Step::wait;
    }
    VoteTrack& track = votes_[j].track;
    if (auto why = why_invalid(track, commit)) {
        out_.events.push_back(
            {Event::Kind::sender_dead, sender, commit.to, commit.ui.cv.value, *why});
        return Step::invalid;
    }
    track.last = {commit.view, commit.to, commit.hd, commit.nvd};
    out_.persist.push_back({CommitRecord{commit}, false});
    auto ours = chain_.digest_at(commit.to);
    if (commit.view == chain_view() && ours && *ours != commit.hd) {
        // Two certificates for one value of an ordering counter: outside the model (3.15).
        out_.events.push_back({Event::Kind::order_conflict,
                               Endpoint::primary(membership_.primary_of(commit.view)), commit.to, 0,
                               "two PREPAREs with one counter value"});
        return Step::done;
    }
    auto& tos = commits_[commit.view];
    tos.resize(votes_.size());
    tos[j] = std::max(tos[j], commit.to);
    return Step::done;
}

std::optional<std::string> Replica::why_invalid(const VoteTrack& track,
                                                const Commit& commit) const {
    if (rules::promises && commit.view < track.promised)
        return "a COMMIT of a view that its sender has left";
    LastCommit next{commit.view, commit.to, commit.hd, commit.nvd};
    if (rules::monotone && !track.last.before(next)) return "COMMITs must increase";
    Counter expected(commit.to.value);
    if (commit.view.value > 0) {
        const NewView& new_view = (*known_cert(commit.nvd))->new_view;
        if (new_view.view != commit.view) return "a NEW-VIEW of another view";
        bool at_base = commit.to == new_view.slot;
        if (commit.from_new_view != at_base || commit.to < new_view.slot ||
            (at_base && commit.hd != new_view.hd))
            return "a COMMIT that does not continue its NEW-VIEW";
        expected = new_view.ui.cv + (commit.to - new_view.slot);
    }
    bool fits =
        commit.prepare.ui.cv == expected && (commit.from_new_view || commit.prepare.ui.voids == 0);
    if (rules::rigid_counters && !fits)
        return "its prepare certificate's counter does not fit the slot";
    return std::nullopt;
}

Replica::Step Replica::process(std::uint32_t j, const ViewChangePtr& change) {
    Endpoint sender = Endpoint::replica(group_, Position(j));
    VoteTrack& track = votes_[j].track;
    std::optional<std::string> why;
    if (change->view <= track.promised)
        why = "views of VIEW-CHANGEs must increase";
    else if (rules::vote_log && change->last != track.last)
        why = "a VIEW-CHANGE that hides a COMMIT";
    if (!why) {
        headers_.reserve(headers_needed({change}, options_.window));
        Judgement judged = judge_headers(membership_, *change, headers_);
        if (judged.missing) {
            want_header(*judged.missing, sender);
            return Step::wait;
        }
        why = judged.invalid;
    }
    if (why) {
        out_.events.push_back(
            {Event::Kind::sender_dead, sender, change->last.to, change->ui.cv.value, *why});
        return Step::invalid;
    }
    track.promised = change->view;
    out_.persist.push_back({ViewChangeRecord{change}, false});
    return Step::done;
}

// R10: the (f+1)-th largest of a view, of distinct seats (committed_by()). A quorum that is
// completed after its view is a commit, too (R9): every later chain holds it (Lemma 3).
Slot Replica::group_commit() const {
    Slot goal{};
    for (const auto& [view, tos] : commits_) {
        if (view > chain_view()) break;
        goal = std::max(goal, committed_by(tos));
    }
    if (!rules::commit_before_delivery && chain_cert_)
        goal = std::max(goal, chain_cert_->new_view.slot);
    return goal;
}

// --- delivery
// ---------------------------------------------------------------------------------------

// R11: slots in order. A kept entry needs its body even where others committed it: the client's
// window moves by what the body says.
void Replica::deliver_committed() {
    if (halted_) return;
    Slot goal = std::min(group_commit(), chain_.tip());
    Slot before = delivered_;
    while (delivered_ < goal) {
        const Link* link = chain_.at(delivered_.next());
        invariant(link != nullptr, "undelivered slots are in the chain");
        if (!has_bodies(*link) || !leave_config_slot({now_, 0})) break;
        Delivery delivery = decide(*link);
        delivered_ = delivered_.next();
        if (!link->own.empty()) {
            unexecuted_.emplace_back(delivered_, link->own.size());
            backlog_ += link->own.size();
        }
        out_.deliver.push_back(std::move(delivery));
        checkpoint_if_due();
    }
    if (delivered_ == before) return;
    out_.events.push_back(
        {Event::Kind::group_committed, self(), delivered_, delivered_ - before, {}});
    if (ready_to_ < delivered_) {
        ready_to_ = delivered_;
        stuck_since_.reset();
    }
    if (delivered_ >= view_began_ + options_.calm_slots) failures_ = 0;
    stabilise();
    slide();
    tell_new_groups(before);
    // Older views whose quorums are behind us have nothing to add.
    while (commits_.size() > 1 && commits_.begin()->first < chain_view()) {
        const auto& tos = commits_.begin()->second;
        if (*std::max_element(tos.begin(), tos.end()) > delivered_) break;
        commits_.erase(commits_.begin());
    }
}

// Not while the log is replayed: a later slot may hold the same request again, and its body is in
// memory only.
void Replica::forget_delivered() {
    for (const Delivery& delivery : out_.deliver)
        for (const DeliveredEntry& entry : delivery.entries) {
            auto found = bodies_.find(entry.item.rd);
            if (found == bodies_.end() || entry.item.kind == ItemKind::config) continue;
            const RequestId& id = found->second->id;
            // One that was nullified waits for its order again.
            bool plain = id == entry.item.rid && !in_chain_.contains(id) && !pending_.contains(id);
            if (plain || !still_wanted(id, entry.item.rd)) bodies_.erase(found);
        }
}

// A Byzantine primary may name one request's bytes under several numbers, and several under one.
bool Replica::still_wanted(const RequestId& id, const Digest& rd) const {
    if (auto waiting = pending_.find(id); waiting != pending_.end() && waiting->second.rd == rd)
        return true;
    for (Slot slot = delivered_.next(); slot <= chain_.tip(); slot = slot.next()) {
        const Link& link = *chain_.at(slot);
        for (const OwnEntry& own : link.own)
            if (link.prepare.header->entries[own.index].rd == rd) return true;
    }
    return false;
}

Delivery Replica::decide(const Link& link) {
    const Header& header = *link.prepare.header;
    Delivery delivery{header.slot, {}};
    std::uint64_t seed = slot_seed(header.previous);
    for (const OwnEntry& own : link.own) {
        const EntryHeader& entry = header.entries[own.index];
        DbItem item;
        item.index = own.index;
        item.kind = ItemKind::nop;
        item.rid = entry.rid;
        item.rd = entry.rd;
        item.ts_ms = header.ts_ms;
        item.seed = seed + own.index;
        item.seqs = own.seqs;
        Event event{Event::Kind::nullified,
                    Endpoint::of_client(entry.rid.client),
                    header.slot,
                    own.index,
                    {}};
        Body body;
        if (link.config && !is_null(header.slot, own.index)) {
            body = *valid_body(entry);
            item.kind = ItemKind::config;
        } else if (is_null(header.slot, own.index)) {
            if (!rules::null_is_no_delivery)
                windows_[{entry.rid.home, entry.rid.client}].insert(entry.rid.cseq, ClientSeq(0));
            null_digest_ = Digester("null")
                               .digest(null_digest_)
                               .u64(header.slot.value)
                               .u32(own.index)
                               .finish();
            out_.events.push_back(std::move(event));
        } else if (fate(header.slot, entry) == Fate::skipped) {
            // Its client's window stays: nothing of what it says counts.
            event.kind = Event::Kind::skipped;
            out_.events.push_back(std::move(event));
        } else {
            body = *valid_body(entry);
            auto& window = windows_[{entry.rid.home, entry.rid.client}];
            drop_overtaken(entry.rid, body->ack_low);
            if (window.insert(entry.rid.cseq, body->ack_low)) {
                item.kind = ItemKind::transaction;
                unfinished_.erase(
                    unfinished_.lower_bound({entry.rid.client, entry.rid.home, ClientSeq(0)}),
                    unfinished_.lower_bound({entry.rid.client, entry.rid.home, window.low()}));
                unfinished_[entry.rid] = {header.slot, item};
            } else {
                event.kind = Event::Kind::duplicate_ordered;
                out_.events.push_back(std::move(event));
            }
        }
        delivery.entries.push_back({std::move(item), std::move(body)});
    }
    if (!link.checkpoint.empty()) {
        // No client's: the slot names it, and it comes after the header's entries.
        DbItem item;
        item.index = static_cast<std::uint32_t>(header.entries.size());
        item.kind = ItemKind::checkpoint;
        item.rid = {ClientId(0), PartitionId(0), ClientSeq(header.slot.value)};
        item.ts_ms = header.ts_ms;
        item.seed = seed + item.index;
        item.seqs = link.checkpoint;
        delivery.entries.push_back({std::move(item), nullptr});
    }
    for (const OwnEntry& own : link.own) {
        if (is_null(header.slot, own.index)) continue;
        const EntryHeader& entry = header.entries[own.index];
        in_chain_.erase(in_chain_.find(entry.rid));
    }
    return delivery;
}

}  // namespace bft::consensus::minbft

// How a primary-capable node comes to lead a view, and how it stops (VC4, VC5, P7).
#include "base/invariant.hpp"
#include "consensus/config_change.hpp"
#include "consensus/minbft/primary.hpp"
#include "consensus/rules.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::consensus::minbft {

namespace {

constexpr std::size_t searches_max = 256;
constexpr std::size_t fetch_bodies_max = 128;

}  // namespace

void Primary::resign(Now) {
    if (phase_ == Phase::idle) return;
    give_up();
    Resign resign{self_, view_, signer_.sign(resign_digest(membership_.cluster, self_, view_))};
    out_.send.push_back({membership_.all_replicas(), std::move(resign)});
}

// C22: an old primary that goes on harms nobody, but nobody listens either.
void Primary::leave_view(View view) {
    if (view <= view_) return;
    if (!membership_.knows(view)) return;  // a STATUS shows where its configuration is
    give_up();
    view_ = view;
    new_view_.reset();
    new_view_changes_.clear();
    if (membership_.primary_of(view) == self_ && !resigned_) phase_ = Phase::collecting;
    collect_at_ = {};
}

// CF4: those who left may all be broken, or have slept since and not know that they left.
void Primary::on_trigger(const TriggerCertificate& trigger) {
    bool members = std::all_of(
        trigger.requests.begin(), trigger.requests.end(),
        [&](const RequestViewChange& r) { return membership_.active(r.group, r.position); });
    if (members || !rules::members_by_slot) leave_view(trigger.view);
}

void Primary::give_up() {
    phase_ = Phase::idle;
    pool_.clear();
    unsettled_.reset();
    config_request_ = nullptr;
    ordered_.clear();
    unexecuted_.clear();
    for (auto& [group, entries] : outstanding_entries_) entries = 0;
    headers_.release();
    header_search_.clear();
    body_search_.clear();
    found_bodies_.clear();
    settling_since_ = {};
}

// --- collecting (VC5)
// -----------------------------------------------------------------------------

void Primary::on_view_change(const ViewChangePtr& change, Now now) {
    if (!membership_.knows(change->view) && change->barrier) on_barrier(change->barrier);
    if (!membership_.knows(change->view) || membership_.primary_of(change->view) != self_) return;
    std::pair member{change->group, change->position};
    if (change->view == view_ && new_view_) {
        // It lacks the NEW-VIEW (VC9).
        TimePoint& answered = answered_[member];
        if (now.mono - answered < options_.retransmit && answered != TimePoint{}) return;
        answered = now.mono;
        Endpoint to = Endpoint::replica(change->group, change->position);
        out_.send.push_back({{to}, *new_view_});
        if (!new_view_changes_.empty()) out_.send.push_back({{to}, ViewChanges{new_view_changes_}});
        return;
    }
    if (change->view < view_) return;
    if (change->barrier) on_barrier(change->barrier);
    if (!membership_.usig_of(Endpoint::replica(change->group, change->position))) return;
    ViewChangePtr& kept = changes_[member];
    if (kept && kept->view >= change->view) return;
    kept = change;
    collect_at_ = {};
    // f+1 of a group want this view or a later one: one correct replica has seen a TC.
    std::vector<View> views;
    for (const auto& [sender, each] : changes_)
        if (sender.first == change->group && membership_.active(sender.first, sender.second))
            views.push_back(each->view);
    std::sort(views.begin(), views.end(), std::greater<>());
    if (views.size() > membership_.f) leave_view(views[membership_.f]);
}

// Those of this view whose chains are here and valid. One bad VIEW-CHANGE spoils nothing but
// itself.
std::vector<ViewChangePtr> Primary::valid_changes(Now now) {
    std::vector<ViewChangePtr> valid;
    std::vector<ViewChangePtr> all;
    for (const auto& [sender, change] : changes_)
        if (change->view == view_) all.push_back(change);
    headers_.reserve(headers_needed(all, options_.window));
    for (auto it = changes_.begin(); it != changes_.end();) {
        const ViewChangePtr& change = it->second;
        Judgement judged;
        if (equivocation_.proven(StreamId::vote(change->group, change->position))) {
            it = changes_.erase(it);
            continue;
        }
        if (change->view == view_) judged = judge_headers(membership_, *change, headers_);
        if (judged.invalid) {
            it = changes_.erase(it);
            continue;
        }
        if (judged.missing)
            fetch_header(*judged.missing, Endpoint::replica(change->group, change->position), now);
        else if (change->view == view_ && (!change->barrier || configs_.knows(*change->barrier)))
            valid.push_back(change);
        else if (change->view == view_)
            ask_for_config(now);
        ++it;
    }
    return valid;
}

void Primary::new_view_if_ready(Now now) {
    if (phase_ != Phase::collecting || !std::holds_alternative<std::monostate>(sealing_)) return;
    if (quest_) return;
    if (now.mono < collect_at_) return;
    collect_at_ = now.mono + options_.retransmit / 4;
    std::vector<ViewChangePtr> changes = valid_changes(now);
    auto coming_from = [this](const EntryHeader& entry, const Configuration& base) -> Coming {
        auto body = found_bodies_.find(entry.rd);
        if (body == found_bodies_.end()) return {};
        bool fits = body->second->id == entry.rid && body->second->parts == entry.parts;
        auto change = decode_change(body->second->op);
        auto next = change ? apply(base, *change) : Result<Configuration>(change.error());
        return {true, fits && next ? std::optional(std::move(*next)) : std::nullopt};
    };
    Selection selection = select(membership_, configs_, changes, headers_, coming_from);
    if (selection.barrier_missing) return ask_for_config(now);
    if (selection.judgement.missing) {
        const ViewChangePtr& any = changes.front();
        fetch_header(*selection.judgement.missing, Endpoint::replica(any->group, any->position),
                     now);
    }
    if (!selection.selected) return;
    auto nullset = settle(*selection.selected, now);
    if (!nullset) return;

    NewView new_view;
    new_view.view = view_;
    new_view.slot = selection.selected->slot;
    new_view.hd = selection.selected->hd;
    new_view.nullset = std::move(*nullset);
    for (const ViewChangePtr& change : changes)  // in the order of members
        new_view.view_changes.push_back({change->group, change->position, change->ui.cv,
                                         view_change_digest(membership_.cluster, *change)});
    for (const ViewChangePtr& change : changes)
        out_.persist.push_back({ViewChangeRecord{change}, false});
    out_.persist.push_back({NewViewIntent{new_view, selection.selected->ts_ms}});
    invariant(!out_.seal, "one draft at a time");
    out_.seal = Draft{new_view_digest(membership_.cluster, new_view)};
    sealing_ = SealingView{std::move(new_view), std::move(*selection.selected), std::move(changes)};
}

// Does the view begin behind a kept CONFIG entry whose barrier nobody has shown? It is the last
// slot then: its header says so, or checkpoints there that name another configuration.
bool Primary::ends_unsettled(const NewView& new_view, const Selected& selected,
                             const std::vector<ViewChangePtr>& changes) const {
    if (configs_.barrier_at(new_view.slot)) return false;
    if (!selected.chain.headers.empty()) {
        const auto& entries = selected.chain.headers.back()->entries;
        return !entries.empty() && entries.front().kind == EntryKind::config &&
               !std::binary_search(new_view.nullset.begin(), new_view.nullset.end(),
                                   EntryRef{new_view.slot, 0});
    }
    return std::any_of(changes.begin(), changes.end(), [&](const ViewChangePtr& change) {
        return change->stable && change->stable->slot == new_view.slot &&
               change->stable->config != configs_.digest_after(new_view.slot);
    });
}

// R4, CF1: a CONFIG that does not continue the configuration before it has no valid body.
bool Primary::continues(const Selected& selected, const EntryHeader& entry,
                        const Request& body) const {
    if (entry.kind != EntryKind::config) {
        const Configuration& config = selected.base ? *selected.base->config : configs_.at(Slot(0));
        return !rules::client_keys || config.features() >= features_skip ||
               config.in_force(entry.rid.client, body.key);
    }
    auto change = decode_change(body.op);
    if (!change) return false;
    return selected.base ? apply(*selected.base->config, *change).has_value()
                         : apply(configuration_of(membership_), *change).has_value();
}

// CF12: a client that is gone has nothing executed, whatever it wanted.
bool Primary::needs_no_body(const Selected& selected, const EntryHeader& entry) const {
    const Configuration& config = selected.base ? *selected.base->config : configs_.at(Slot(0));
    return rules::client_keys && entry.kind == EntryKind::transaction &&
           config.features() >= features_skip && config.removed(entry.rid.client);
}

// The nullset, once everything open has a body or may go without: a body that is found is kept, and
// what may be nullified is searched for a while first. Nullopt: not yet.
std::optional<std::vector<EntryRef>> Primary::settle(const Selected& selected, Now now) {
    if (settling_since_ == TimePoint{}) settling_since_ = now.mono;
    bool searched = now.mono - settling_since_ >= options_.search;
    std::vector<EntryRef> nullset = selected.null;
    std::map<GroupId, FetchBodies> fetch;
    bool settled = true;
    for (const OpenEntry& open : selected.open) {
        const Header& header = *selected.chain.headers[open.at.slot - selected.low - 1];
        const EntryHeader& entry = header.entries[open.at.index];
        if (needs_no_body(selected, entry)) continue;
        auto body = found_bodies_.find(open.rd);
        bool found = body != found_bodies_.end();
        if (found && body->second->id == entry.rid && body->second->parts == entry.parts &&
            continues(selected, entry, *body->second))
            continue;
        // What the digest names is another request: nobody has a body for this entry (R4), and to
        // ask again would bring the same one, from each member, for ever.
        if (open.nullable && (found || searched)) {
            nullset.push_back(open.at);
            continue;
        }
        settled = false;
        if (found) continue;
        if (body_search_.size() >= searches_max && !body_search_.contains(open.rd)) continue;
        Search& search = body_search_[open.rd];
        if (now.mono < search.ask_at) continue;
        FetchBodies& wanted = fetch[open.owner];
        if (wanted.rds.size() >= fetch_bodies_max) continue;
        wanted.rds.push_back(open.rd);
        wanted.slots.push_back(open.at.slot);
        search.ask_at = now.mono + options_.retransmit;
    }
    for (auto& [group, wanted] : fetch)
        if (!wanted.rds.empty()) out_.send.push_back({members(group), std::move(wanted)});
    if (!settled) return std::nullopt;
    std::sort(nullset.begin(), nullset.end());
    if (!settle_config(selected, nullset, now)) return std::nullopt;
    return nullset;
}

// CF6: a CONFIG entry that is kept, and that nobody has shown the barrier of, needs its members'
// VIEW-CHANGEs, too; who they are its body says.
bool Primary::settle_config(const Selected& selected, const std::vector<EntryRef>& nullset,
                            Now now) {
    if (!selected.config || std::binary_search(nullset.begin(), nullset.end(), *selected.config))
        return true;
    if (selected.config_body) return selected.joint_quorum;
    Search& search = body_search_[selected.config_rd];
    if (now.mono < search.ask_at) return false;
    search.ask_at = now.mono + options_.retransmit;
    out_.send.push_back(
        {membership_.all_replicas(), FetchBodies{{selected.config_rd}, {selected.config->slot}}});
    return false;
}

void Primary::ask_for_config(Now now) {
    if (now.mono < config_ask_at_) return;
    config_ask_at_ = now.mono + options_.retransmit;
    out_.send.push_back({membership_.all_replicas(), FetchConfig{configs_.newest().version}});
}

std::vector<Endpoint> Primary::members(GroupId group) const {
    return membership_.replicas(group);
}

// P5: whoever misses the body later may ask us for it.
void Primary::on_bodies(const Bodies& found) {
    for (const Body& body : found.bodies) {
        if (body_search_.erase(body->rd) == 0) continue;
        found_bodies_[body->rd] = body;
        out_.persist.push_back({BodyRecord{body}, false});
        collect_at_ = {};
    }
}

void Primary::fetch_header(const HeaderStore::Missing& missing, const Endpoint& from, Now now) {
    if (header_search_.size() >= searches_max && !header_search_.contains(missing.hd)) return;
    Search& search = header_search_[missing.hd];
    if (now.mono < search.ask_at) return;
    search.ask_at = now.mono + options_.retransmit;
    std::vector<Endpoint> all = membership_.all_replicas();
    Endpoint target = search.attempts == 0 ? from : all[search.attempts % all.size()];
    ++search.attempts;
    std::uint64_t span = std::min(options_.window, missing.to.value) - 1;
    out_.send.push_back(
        {{target}, FetchHeaders{Slot(missing.to.value - span), missing.to, missing.hd}});
}

void Primary::on_headers(const Headers& found) {
    if (found.headers.empty()) return;
    Digest expected = header_digest(*found.headers.back());
    if (header_search_.erase(expected) == 0) return;
    for (auto it = found.headers.rbegin(); it != found.headers.rend(); ++it) {
        if (header_digest(**it) != expected) break;
        headers_.keep(expected, *it);
        out_.persist.push_back({HeaderRecord{*it}, false});
        expected = (*it)->previous;
    }
    collect_at_ = {};
}

// --- leading
// --------------------------------------------------------------------------------------

void Primary::new_view_sealed(Ui ui, Now now) {
    SealingView sealed = std::get<SealingView>(std::exchange(sealing_, std::monostate{}));
    sealed.new_view.ui = std::move(ui);
    out_.persist.push_back({NewViewRecord{sealed.new_view, sealed.selected.ts_ms}});
    out_.send.push_back({membership_.all_replicas(), sealed.new_view});
    out_.send.push_back({membership_.all_replicas(), ViewChanges{sealed.changes}});
    if (sealed.new_view.view != view_ || phase_ != Phase::collecting) return;  // left meanwhile
    out_.events.push_back({Event::Kind::new_view_sent, Endpoint::primary(self_),
                           sealed.new_view.slot, view_.value,
                           std::to_string(sealed.new_view.nullset.size()) + " nullified"});
    if (sealed.selected.base) on_barrier(sealed.selected.base);
    lead(sealed.new_view, sealed.selected.ts_ms);
    if (ends_unsettled(sealed.new_view, sealed.selected, sealed.changes))
        unsettled_ = sealed.new_view.slot;
    new_view_changes_ = std::move(sealed.changes);
    for (const HeaderPtr& header : sealed.selected.chain.headers)
        adopt_entries(*header, sealed.new_view.nullset);
    release_credit();
    last_slot_at_ = now.mono;
    starved_ = false;
    order_if_due(now);
}

void Primary::lead(const NewView& new_view, UnixMillis ts_ms) {
    phase_ = Phase::active;
    new_view_ = new_view;
    answered_.clear();
    base_ = new_view.ui.cv;
    base_slot_ = new_view.slot;
    newest_.reset();
    chain_.restart_at(new_view.slot, new_view.hd, ts_ms, chain_.next_seqs());
    std::erase_if(changes_, [&](const auto& each) { return each.second->view <= view_; });
}

}  // namespace bft::consensus::minbft

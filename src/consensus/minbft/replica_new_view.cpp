// Entering a view: NEW-VIEW, NV-ACCEPT, ViewCert, the view's chain (VC6-VC8, ST4).
#include "base/invariant.hpp"
#include "consensus/minbft/replica.hpp"
#include "consensus/select.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::consensus::minbft {

namespace {

constexpr std::size_t fetch_changes_max = 64;
constexpr std::size_t certs_kept = 16;

}  // namespace

// VC6. Judged again whenever a VIEW-CHANGE or header came that may have been missing.
void Replica::judge_candidates(Now now) {
    for (std::uint32_t p = 0; p < ordering_.size(); ++p) {
        Ordering& from = ordering_[p];
        if (!from.candidate || from.judged) continue;
        if (!judge_again_ && now.mono < from.ask_at) continue;
        const NewView& new_view = *from.candidate;
        if (new_view.view <= chain_view() || new_view.view < view_) {
            from.candidate.reset();
            continue;
        }
        if (new_view.view == view_ && !accepted_.is_zero()) continue;
        if (judge(from, new_view, now) == Step::invalid)
            condemn_primary(p, new_view.view, new_view.slot, from.why_invalid);
    }
    judge_again_ = false;
    certify_if_quorum(now);
}

Replica::Step Replica::judge(Ordering& from, const NewView& new_view, Now now) {
    auto changes = collect(new_view, from, now);
    if (!changes) return Step::wait;
    auto unfit = [&](std::string why) {
        from.why_invalid = std::move(why);
        return Step::invalid;
    };
    if (Step known = check_configs(*changes); known != Step::done) {
        if (known == Step::invalid) return unfit("a VIEW-CHANGE with another configuration");
        return known;
    }
    headers_.reserve(headers_needed(*changes, options_.window));
    Endpoint sender = Endpoint::primary(membership_.primary_of(new_view.view));
    for (const ViewChangePtr& change : *changes) {
        if (change->view != new_view.view) return unfit("it names a VIEW-CHANGE of another view");
        Judgement judged = judge_headers(membership_, *change, headers_);
        if (judged.missing) {
            want_header(*judged.missing, Endpoint::replica(change->group, change->position));
            return Step::wait;
        }
        if (judged.invalid) return unfit("a VIEW-CHANGE with an invalid chain");
    }
    auto coming_from = [this](const EntryHeader& entry, const Configuration& base) {
        return coming_of(entry, base);
    };
    Selection selection = select(membership_, configs_, *changes, headers_, coming_from);
    if (selection.barrier_missing) {
        config_wanted_ = true;
        return Step::wait;
    }
    if (!selection.enough) return unfit("fewer than f+1 VIEW-CHANGEs of a group");
    if (selection.judgement.missing) {
        want_header(*selection.judgement.missing, sender);
        return Step::wait;
    }
    if (selection.judgement.invalid) return unfit(*selection.judgement.invalid);
    if (auto why = consensus::why_invalid(new_view, *selection.selected)) return unfit(*why);
    const Selected& selected = *selection.selected;
    if (selected.config &&
        !std::binary_search(new_view.nullset.begin(), new_view.nullset.end(), *selected.config)) {
        if (!selected.config_body) {
            missing_.try_emplace(selected.config_rd,
                                 Missing{now.mono, selected.config->slot, 0, true});
            return Step::wait;
        }
        if (!selected.joint_quorum)
            return unfit("fewer than f+1 VIEW-CHANGEs of a group behind its last configuration");
    }
    accept(new_view, *changes, now);
    return Step::done;
}

// The VIEW-CHANGEs that `new_view` names; nullopt while some are missing (they are asked for).
std::optional<std::vector<ViewChangePtr>> Replica::collect(const NewView& new_view, Ordering& from,
                                                           Now now) {
    std::vector<ViewChangePtr> changes;
    FetchViewChanges fetch;
    for (const ViewChangeRef& ref : new_view.view_changes) {
        auto kept = changes_.find({ref.group, ref.position});
        ViewChangePtr found;
        if (kept != changes_.end())
            for (const ViewChangePtr& each : kept->second)
                if (each->ui.cv == ref.cv &&
                    view_change_digest(membership_.cluster, *each) == ref.digest)
                    found = each;
        if (found)
            changes.push_back(std::move(found));
        else if (fetch.wanted.size() < fetch_changes_max)
            fetch.wanted.push_back(ref);
    }
    if (fetch.wanted.empty()) return changes;
    if (now.mono >= from.ask_at) {
        // They come along with the NEW-VIEW: the first question waits a little.
        bool first = from.ask_at == TimePoint{};
        from.ask_at = now.mono + options_.retransmit / (first ? 4 : 1);
        if (!first) {
            Endpoint sender = Endpoint::primary(membership_.primary_of(new_view.view));
            out_.send.push_back({{ask(from.attempts++, sender)}, std::move(fetch)});
        }
    }
    return std::nullopt;
}

// R16: at most one NV-ACCEPT per view, ever; what others may ask us for is durable before it.
void Replica::accept(const NewView& new_view, const std::vector<ViewChangePtr>& changes, Now now) {
    Ordering& from = ordering_[membership_.primary_of(new_view.view).value];
    if (new_view.view > view_) enter_view(new_view.view, std::nullopt, now);
    from.judged = true;
    accepted_ = from.candidate_nvd;
    accepted_cv_ = new_view.ui.cv;
    for (const ViewChangePtr& change : changes)
        out_.persist.push_back({ViewChangeRecord{change}, false});
    persist_view(true);
    NewViewAccept mine{group_, position_, view_, accepted_, accepted_cv_, {}};
    mine.signature = signer_.sign(accept_digest(membership_.cluster, mine));
    out_.send.push_back({membership_.replicas(group_, position_), mine});
    out_.events.push_back(
        {Event::Kind::new_view_accepted, primary(), new_view.slot, view_.value, {}});
    accepts_[position_.value] = mine;
    own_accept_ = std::move(mine);
}

// VC7: f+1 NV-ACCEPTs of the own group, one of them of a correct replica.
void Replica::certify_if_quorum(Now now) {
    for (const auto& sample : accepts_) {
        if (!sample || sample->view <= chain_view() || sample->view < view_) continue;
        if (!active(sample->position)) continue;
        const Ordering& from = ordering_[membership_.primary_of(sample->view).value];
        if (!from.candidate || from.candidate->view != sample->view ||
            from.candidate_nvd != sample->nvd || from.candidate->ui.cv != sample->cv)
            continue;
        ViewCert cert{*from.candidate, group_, {}};
        for (const auto& each : accepts_) {
            if (!each || each->view != sample->view || each->nvd != sample->nvd) continue;
            if (!active(each->position)) continue;
            if (each->cv != sample->cv || cert.signers.size() == membership_.quorum()) continue;
            cert.signers.push_back({each->position, each->signature});
        }
        if (cert.signers.size() < membership_.quorum()) continue;
        return adopt_cert(std::make_shared<const ViewCert>(std::move(cert)), now);
    }
}

const ViewCertPtr* Replica::known_cert(const Digest& nvd) const {
    auto found = certs_.find(nvd);
    return found == certs_.end() ? nullptr : &found->second;
}

// ST4: a ViewCert moves us, however it came.
void Replica::adopt_cert(const ViewCertPtr& cert, Now now) {
    const NewView& new_view = cert->new_view;
    Digest nvd = new_view_digest(membership_.cluster, new_view);
    wanted_certs_.erase(nvd);
    if (certs_.emplace(nvd, cert).second) {
        out_.persist.push_back({ViewCertRecord{cert}, false});
        while (certs_.size() > certs_kept) {
            auto oldest = std::min_element(certs_.begin(), certs_.end(), [](auto& a, auto& b) {
                return a.second->new_view.view < b.second->new_view.view;
            });
            certs_.erase(oldest);
        }
    }
    // The primary's stream leads there.
    auto& stream = ordering_[membership_.primary_of(new_view.view).value].stream;
    stream.heard_of(
        Counter(std::min(new_view.ui.cv.value, stream.processed().value + options_.window)));
    if (new_view.view <= chain_view() || new_view.view < view_) return;
    if (activating_ && activating_->new_view.view >= new_view.view) return;
    if (new_view.view > view_) enter_view(new_view.view, std::nullopt, now);
    activating_ = cert;
    activate_if_ready(now);
}

void Replica::activate_if_ready(Now now) {
    if (!activating_ || halted_ || !begun_) return;
    ViewCertPtr cert = activating_;
    const NewView& new_view = cert->new_view;
    if (new_view.view < view_) return activating_.reset();
    // What was delivered lies in this view already: it came as a state (ST4). Its primary's
    // PREPAREs go on from there.
    if (new_view.slot < delivered_) {
        activating_.reset();
        return follow(cert, {}, now);
    }
    // Further behind, decisions are missing from the nullset: a state comes first (ST2).
    if (delivered_ + null_retention < new_view.slot) return;
    headers_.reserve(static_cast<std::size_t>(new_view.slot - delivered_ + options_.window));
    auto found = headers_.segment(delivered_, new_view.slot, new_view.hd);
    if (found.missing)
        return want_header(*found.missing,
                           Endpoint::primary(membership_.primary_of(new_view.view)));
    if (found.broken || found.segment->below != chain_.digest_at(delivered_))
        return halt(delivered_, "a certified view contradicts what was delivered");
    if (blocks(*cert, *found.segment)) return ask_for_barrier(now);
    activating_.reset();
    headers_.release();
    follow(cert, *found.segment, now);
}

// VC7: what was delivered stays; the rest is replaced by the view's chain. Requests whose entries
// are gone, or null, wait again.
void Replica::follow(const ViewCertPtr& cert, const HeaderStore::Segment& segment, Now now) {
    std::map<RequestId, Body> displaced;
    for (Slot slot = delivered_.next(); slot <= chain_.tip(); slot = slot.next()) {
        const Link& link = *chain_.at(slot);
        for (const OwnEntry& own : link.own)
            if (const Body* body = valid_body(link.prepare.header->entries[own.index]))
                displaced[(*body)->id] = *body;
    }
    chain_.truncate_to(delivered_);
    in_chain_.clear();
    missing_.clear();
    stuck_since_.reset();
    ready_to_ = delivered_;
    chain_cert_ = cert;
    unsettled_.reset();
    if (const Link* link = chain_.at(delivered_); link != nullptr && link->config)
        settle_or_stop(*link);
    view_began_ = delivered_;
    active_ = cert->new_view.view == view_;
    invariant(active_, "only the view that we are in becomes active");
    trigger_.reset();
    view_change_due_ = false;
    own_accept_.reset();
    persist_view(true);
    for (std::size_t i = 0; i < segment.headers.size(); ++i) {
        const HeaderPtr& header = segment.headers[i];
        if (auto why = chain_.why_invalid(*header))
            return halt(header->slot, "a certified view holds an invalid header: " + *why);
        append({cert->new_view.view, header->slot, segment.digests[i], {}, header}, now);
    }
    out_.events.push_back(
        {Event::Kind::view_active, primary(), cert->new_view.slot, view_.value, {}});

    ordering_[leader().value].candidate.reset();
    append_waiting(now);
    for (auto& [rid, waits] : pending_) waits.forward_at = now.mono;
    for (const auto& [rid, body] : displaced)
        if (!in_chain_.contains(rid) && !pending_.contains(rid) && !delivered_before(rid) &&
            wants(*body))
            wait_for_order(body, now, Duration{});
    in_view_.clear();
    watch_.begin(now.mono);
    check_at_ = {};
}

// Own state or the model is broken: go silent rather than spread it.
void Replica::halt(Slot slot, std::string why) {
    if (halted_) return;
    halted_ = true;
    activating_.reset();
    out_.events.push_back({Event::Kind::halted, self(), slot, 0, std::move(why)});
}

}  // namespace bft::consensus::minbft

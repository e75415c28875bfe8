// A replica's restart: the log of the earlier incarnation against what the TPM certified (3.15).
#include "consensus/minbft/replica.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::consensus::minbft {

namespace {

// Does `ui` follow `processed` without a gap?
bool follows(Counter processed, const Ui& ui) {
    return ui.cv > processed && ui.cv.value - processed.value - 1 <= ui.voids;
}

std::set<Counter> voids_of(const Replica::Recovered& log, const StreamId& stream) {
    std::set<Counter> voids;
    for (const VoidCert& cert : log.voids)
        if (cert.stream == stream) voids.insert(cert.cv);
    return voids;
}

Counter after_voids(Counter at, const std::set<Counter>& voids) {
    while (voids.contains(at.next())) at = at.next();
    return at;
}

template <class M>
void sort_by_counter(std::vector<M>& messages) {
    std::stable_sort(messages.begin(), messages.end(),
                     [](const M& a, const M& b) { return ui_of(a).cv < ui_of(b).cv; });
}

}  // namespace

Result<void> Replica::recover(Recovered log, const std::optional<std::pair<Digest, Ui>>& last) {
    recover_configs(log);
    if (halted_)
        return error(Errc::refused, too_new(configs_.newest().features(), options_.features));
    begun_ = !added() || log.snapshot != nullptr;
    if (log.snapshot) {
        const SnapshotRecord& s = *log.snapshot;
        if (s.votes.size() > votes_.size() || s.ordering.size() > ordering_.size())
            return error(Errc::io, "the log's snapshot is of another membership");
        chain_.restart_at(s.slot, s.hd, s.ts_ms, s.next_seq);
        delivered_ = ready_to_ = s.slot;
        windows_ = s.windows;
        for (const auto& [at, item] : s.unfinished) unfinished_[item.rid] = {at, item};
        null_digest_ = s.null_digest;
        for (std::size_t j = 0; j < s.votes.size(); ++j) votes_[j].track = s.votes[j];
        for (std::size_t p = 0; p < s.ordering.size(); ++p) ordering_[p].track = s.ordering[p];
        snapshot_ = log.snapshot;
    }
    stable_ = log.stable;
    answered_ = log.executed;
    for (const ViewCertPtr& cert : log.view_certs)
        certs_[new_view_digest(membership_.cluster, cert->new_view)] = cert;
    if (log.view) {
        view_ = log.view->view;
        accepted_ = log.view->accepted;
        accepted_cv_ = log.view->accepted_cv;
        chain_cert_ = log.view->chain;
        trigger_ = log.view->trigger;
        if (chain_cert_)
            certs_[new_view_digest(membership_.cluster, chain_cert_->new_view)] = chain_cert_;
    }
    active_ = chain_view() == view_;
    bodies_ = std::move(log.bodies);

    recover_voids(log);
    if (auto problem = recover_streams(log)) return error(Errc::io, *problem);
    if (auto problem = recover_votes(log)) return error(Errc::refused, *problem);

    Counter logged = after_voids(own().processed, voids_of(log, StreamId::vote(group_, position_)));
    Counter certified = last ? last->second.cv : Counter(0);
    if (certified < own().processed)
        return error(Errc::refused,
                     "the TPM's counter is at " + std::to_string(certified.value) +
                         ", below the log's " + std::to_string(logged.value) +
                         ": the TPM's state was rolled back. Replace this replica's identity.");
    if (certified > logged) {
        auto message = certified_intent(log, last->first, last->second);
        if (!message || !follows(logged, last->second))
            return error(Errc::refused,
                         "the TPM has certified up to " + std::to_string(certified.value) +
                             " but this host's log ends at " + std::to_string(logged.value) +
                             ": the log is old or lost. This replica must not certify anything; "
                             "restore its data directory or replace its identity.");
        // T1: certified, but the crash came before the log or the send.
        if (const auto* commit = std::get_if<Commit>(&*message))
            out_.persist.push_back({CommitRecord{*commit}});
        else
            out_.persist.push_back({ViewChangeRecord{std::get<ViewChangePtr>(*message)}});
        adopt_own(*message);
        resend_ = std::move(message);
    }
    if (log.hole) recover_hole(log);
    Output kept = std::exchange(out_, {});
    if (auto problem = recover_chain(log)) return error(Errc::io, *problem);
    drop_finished(out_.deliver, log.executed);
    if (log.snapshot) deliver_unfinished(*log.snapshot);
    std::stable_sort(out_.deliver.begin(), out_.deliver.end(),
                     [](const Delivery& a, const Delivery& b) { return a.slot < b.slot; });
    kept.deliver = std::move(out_.deliver);
    for (Persist& each : out_.persist)
        if (std::holds_alternative<SnapshotPtr>(each.record) ||
            std::holds_alternative<HandoverRecord>(each.record))
            kept.persist.push_back(std::move(each));
    out_ = std::move(kept);

    // A view that was left, and nothing accepted in it yet: the VIEW-CHANGE is still due.
    view_change_due_ = !active_ && accepted_.is_zero() && !own_change_;
    if (!accepted_.is_zero() && !active_) {
        own_accept_ = NewViewAccept{group_, position_, view_, accepted_, accepted_cv_, {}};
        own_accept_->signature = signer_.sign(accept_digest(membership_.cluster, *own_accept_));
        accepts_[position_.value] = own_accept_;
    }
    recover_evidence(log);
    check_invariants();
    return {};
}

std::optional<Replica::VoteMessage> Replica::certified_intent(const Recovered& log,
                                                              const Digest& digest,
                                                              const Ui& ui) const {
    if (log.intent && commit_digest(membership_.cluster, log.intent->commit) == digest) {
        Commit commit = log.intent->commit;
        commit.ui = ui;
        return commit;
    }
    if (log.view_change_intent &&
        view_change_digest(membership_.cluster, *log.view_change_intent->change) == digest) {
        ViewChange change = *log.view_change_intent->change;
        change.ui = ui;
        return std::make_shared<const ViewChange>(std::move(change));
    }
    return std::nullopt;
}

// What this process logged, it judged before: only the tracking is repeated.
std::optional<std::string> Replica::recover_streams(Recovered& log) {
    std::vector<std::vector<OrderingMessage>> streams(ordering_.size());
    for (const Prepare& each : log.prepares)
        streams[membership_.primary_of(each.view).value].push_back(each);
    for (const NewView& each : log.new_views)
        streams[membership_.primary_of(each.view).value].push_back(each);
    for (std::size_t p = 0; p < streams.size(); ++p) {
        Ordering& from = ordering_[p];
        OrderingTrack& track = from.track;
        sort_by_counter(streams[p]);
        const std::set<Counter> voids =
            voids_of(log, StreamId::ordering(PrimaryId(static_cast<std::uint32_t>(p))));
        track.processed = after_voids(track.processed, voids);
        for (const OrderingMessage& message : streams[p]) {
            const Ui& ui = ui_of(message);
            if (ui.cv <= track.processed || from.stream.promised(ui.cv)) continue;
            if (!follows(track.processed, ui)) break;  // logged for others: we fetch the rest
            track.processed = after_voids(ui.cv, voids);
            if (const auto* prepare = std::get_if<Prepare>(&message)) {
                if (!prepare->header || header_digest(*prepare->header) != prepare->hd)
                    return "the log holds a PREPARE whose header does not fit";
                track.tip = prepare->slot;
                track.tip_digest = prepare->hd;
                continue;
            }
            const auto& new_view = std::get<NewView>(message);
            track.leading = true;
            track.view = new_view.view;
            track.base = new_view.ui.cv;
            track.base_slot = track.tip = new_view.slot;
            track.tip_digest = new_view.hd;
        }
        from.stream.resume_after(track.processed);
        if (!track.leading || track.view <= chain_view()) continue;
        // A view that was not active yet, also where the snapshot covers its beginning.
        for (const OrderingMessage& message : streams[p]) {
            if (const auto* prepare = std::get_if<Prepare>(&message)) {
                if (prepare->view == track.view && prepare->ui.cv <= track.processed)
                    from.waiting.push_back(*prepare);
            } else if (ui_of(message).cv == track.base) {
                from.candidate = std::get<NewView>(message);
                from.candidate_nvd = new_view_digest(membership_.cluster, *from.candidate);
                from.judged = from.candidate->view == view_ && from.candidate_nvd == accepted_;
            }
        }
    }
    judge_again_ = true;
    return std::nullopt;
}

// Own certified messages must be whole: without gaps other than proven voids. Peers' are as far as
// they are whole.
std::optional<std::string> Replica::recover_votes(Recovered& log) {
    std::vector<std::vector<VoteMessage>> streams(votes_.size());
    for (const Commit& each : log.own_commits) streams[position_.value].push_back(each);
    for (const Commit& each : log.peer_commits)
        if (each.position != position_ && each.position.value < streams.size())
            streams[each.position.value].push_back(each);
    for (const ViewChangePtr& each : log.view_changes) {
        if (each->view == view_) changes_[{each->group, each->position}] = {each};
        if (each->group == group_ && each->position.value < streams.size())
            streams[each->position.value].push_back(each);
    }
    if (log.vouches) vouched_ = *log.vouches;
    for (std::uint32_t j = 0; j < streams.size(); ++j) {
        bool own_stream = j == position_.value;
        VoteTrack& track = votes_[j].track;
        // The own log goes back to where the vouches begin, further than the snapshot.
        Counter at = own_stream ? Counter(std::max<std::uint64_t>(vouched_.base.value, 1) - 1)
                                : track.processed;
        const std::set<Counter> voids = voids_of(log, StreamId::vote(group_, Position(j)));
        sort_by_counter(streams[j]);
        if (!own_stream) track.processed = at = after_voids(at, voids);
        for (const VoteMessage& message : streams[j]) {
            const Ui& ui = ui_of(message);
            if (ui.cv <= at || votes_[j].stream.promised(ui.cv)) continue;
            at = after_voids(at, voids);
            if (!follows(at, ui)) {
                if (!own_stream) break;
                return "the log lacks own certified messages after counter " +
                       std::to_string(at.value) +
                       ": restore this replica's data directory or replace its identity";
            }
            at = ui.cv;
            if (own_stream) {
                adopt_own(message);
            } else if (const auto* commit = std::get_if<Commit>(&message)) {
                track.last = {commit->view, commit->to, commit->hd, commit->nvd};
            } else {
                track.promised = std::get<ViewChangePtr>(message)->view;
            }
            track.processed = own_stream ? at : after_voids(at, voids);
        }
        if (!own_stream) votes_[j].stream.resume_after(track.processed);
        auto& tos = commits_[track.last.view];
        tos.resize(votes_.size());
        tos[j] = track.last.to;
    }
    if (vouched_.base.value > 0 && (own_log_.empty() || own_log_.front().ui.cv != vouched_.base))
        return "the log lacks the message that its vouches begin with: restore this replica's "
               "data directory or replace its identity";
    return std::nullopt;
}

// The chain of the newest certified view, from the snapshot on.
std::optional<std::string> Replica::recover_chain(const Recovered& log) {
    HeaderStore all(log.prepares.size() + log.headers.size() + 1);
    for (const Prepare& each : log.prepares) all.keep(each.hd, each.header);
    for (const HeaderPtr& each : log.headers) all.keep(header_digest(*each), each);
    for (const Prepare& each : log.prepares) headers_.keep(each.hd, each.header);

    auto extend = [&](Prepare prepare) -> bool {
        if (unsettled_ || chain_.why_invalid(*prepare.header)) return false;
        append(std::move(prepare), Now{});
        deliver_committed();
        return true;
    };
    if (chain_cert_ && chain_cert_->new_view.slot > chain_.tip()) {
        const NewView& new_view = chain_cert_->new_view;
        auto found = all.segment(chain_.tip(), new_view.slot, new_view.hd);
        if (!found.segment)
            return "the log lacks headers of its view: the data directory is damaged";
        for (std::size_t i = 0; i < found.segment->headers.size(); ++i) {
            const HeaderPtr& header = found.segment->headers[i];
            headers_.keep(found.segment->digests[i], header);
            if (!extend({new_view.view, header->slot, found.segment->digests[i], {}, header}))
                return "the log holds an invalid header: the data directory is damaged";
        }
    }
    std::map<Slot, const Prepare*> prepares;
    for (const Prepare& each : log.prepares)
        if (each.view == chain_view()) prepares[each.slot] = &each;
    bool whole = true;
    for (const auto& [slot, prepare] : prepares) {
        if (slot <= chain_.tip()) continue;
        // Where PREPAREs were skipped (ST3), headers lead to the next one.
        if (whole && slot != chain_.tip().next()) {
            auto found = all.segment(chain_.tip(), Slot(slot.value - 1), prepare->header->previous);
            whole = found.segment && found.segment->below == chain_.tip_digest();
            for (std::size_t i = 0; whole && i < found.segment->headers.size(); ++i) {
                const HeaderPtr& header = found.segment->headers[i];
                whole = extend({chain_view(), header->slot, found.segment->digests[i], {}, header});
            }
        }
        whole = whole && extend(*prepare);
        Ordering& from = ordering_[leader().value];
        if (!whole && active_ && from.track.view == view_ && prepare->ui.cv <= from.track.processed)
            from.waiting.push_back(*prepare);
    }
    // Bodies of what is not delivered stay; those of requests that were only pending come again
    // from their clients.
    std::unordered_map<Digest, Body, DigestHash> undelivered;
    for (Slot slot = delivered_.next(); slot <= chain_.tip(); slot = slot.next()) {
        const Link& link = *chain_.at(slot);
        for (const OwnEntry& own : link.own) {
            const Digest& rd = link.prepare.header->entries[own.index].rd;
            if (auto body = bodies_.find(rd); body != bodies_.end()) undelivered.insert(*body);
        }
    }
    // A delivered CONFIG may wait for its barrier still.
    if (unsettled_) {
        const Link* link = chain_.at(*unsettled_);
        if (link != nullptr && link->config)
            if (auto body = bodies_.find(link->config_entry().rd); body != bodies_.end())
                undelivered.insert(*body);
    }
    bodies_ = std::move(undelivered);
    const Link* next = chain_.at(ready_to_.next());
    while (next != nullptr && has_bodies(*next)) {
        ready_to_ = ready_to_.next();
        next = chain_.at(ready_to_.next());
    }
    return std::nullopt;
}

// What every voter has answered need not go to them again, except where a client may still ask for
// the answer: the voters give it back from their execution tables (R1).
void Replica::drop_finished(std::vector<Delivery>& deliveries, Slot executed) const {
    for (Delivery& delivery : deliveries) {
        if (delivery.slot > executed) return;
        std::erase_if(delivery.entries, [&](const DeliveredEntry& entry) {
            return entry.item.kind != ItemKind::transaction || finished(entry.item.rid);
        });
    }
}

void Replica::deliver_unfinished(const SnapshotRecord& snapshot) {
    std::map<Slot, Delivery> again;
    for (const auto& [slot, item] : snapshot.unfinished) {
        if (finished(item.rid)) continue;
        Delivery& delivery = again[slot];
        delivery.slot = slot;
        delivery.entries.push_back({item, {}});
    }
    for (auto& [slot, delivery] : again) out_.deliver.push_back(std::move(delivery));
}

}  // namespace bft::consensus::minbft

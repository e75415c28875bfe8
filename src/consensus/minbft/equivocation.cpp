#include "consensus/minbft/equivocation.hpp"

#include "consensus/signed_bytes.hpp"

namespace bft::consensus::minbft {

namespace {

// Enough for what is under way and for a VIEW-CHANGE's log; some hundred bytes each.
constexpr std::size_t values_kept = 128;

}  // namespace

Event alarm(const EquivocationProof& proof) {
    Endpoint owner = owner_of(proof.stream);
    return {
        Event::Kind::equivocation,
        owner,
        {},
        proof.cv.value,
        "two certificates with one counter value: its TPM was cloned or rolled back; replace the "
        "identity of " +
            to_string(owner)};
}

std::optional<EquivocationProof> EquivocationWatch::saw(const StreamId& stream, const Ui& ui,
                                                        const Digest& digest) {
    auto& values = seen_[stream];
    auto place = values.find(ui.cv);
    if (place == values.end()) {
        if (values.size() < values_kept) {
            values.emplace(ui.cv, Seen{digest, ui});
        } else if (values.begin()->first < ui.cv) {
            // The oldest makes room: its memory holds the new one.
            auto oldest = values.extract(values.begin());
            oldest.key() = ui.cv;
            oldest.mapped().digest = digest;
            oldest.mapped().ui = ui;
            values.insert(values.end(), std::move(oldest));
        }
        return std::nullopt;
    }
    const Seen& seen = place->second;
    if (seen.digest == digest || proven(stream)) return std::nullopt;
    if (digest < seen.digest)
        return EquivocationProof{stream, ui.cv, digest, ui, seen.digest, seen.ui};
    return EquivocationProof{stream, ui.cv, seen.digest, seen.ui, digest, ui};
}

bool EquivocationWatch::take(const EquivocationProof& proof) {
    return proofs_.emplace(proof.stream, proof).second;
}

void EquivocationWatch::note(const StreamId& stream, const Ui& ui, const Digest& digest) {
    auto proof = saw(stream, ui, digest);
    if (proof && !found_) found_ = std::move(proof);
}

std::optional<EquivocationProof> EquivocationWatch::inspect(const Payload& payload) {
    found_.reset();
    if (const auto* prepare = std::get_if<Prepare>(&payload)) {
        inspect_prepare(*prepare);
    } else if (const auto* commit = std::get_if<Commit>(&payload)) {
        inspect_commit(*commit);
    } else if (const auto* new_view = std::get_if<NewView>(&payload)) {
        inspect_new_view(*new_view);
    } else if (const auto* change = std::get_if<ViewChangePtr>(&payload)) {
        inspect_change(**change);
    } else if (const auto* changes = std::get_if<ViewChanges>(&payload)) {
        for (const ViewChangePtr& each : changes->messages) inspect_change(*each);
    } else if (const auto* cert = std::get_if<ViewCertPtr>(&payload)) {
        inspect_new_view((*cert)->new_view);
    } else if (const auto* found = std::get_if<Certificates>(&payload)) {
        for (const Prepare& each : found->prepares) inspect_prepare(each);
        for (const NewView& each : found->new_views) inspect_new_view(each);
        for (const Commit& each : found->commits) inspect_commit(each);
        for (const ViewChangePtr& each : found->view_changes) inspect_change(*each);
    }
    return std::exchange(found_, std::nullopt);
}

void EquivocationWatch::inspect_prepare(const Prepare& prepare) {
    note(ordering(prepare.view), prepare.ui,
         prepare_digest(membership_.cluster, prepare.view, prepare.slot, prepare.hd));
}

void EquivocationWatch::inspect_new_view(const NewView& new_view) {
    note(ordering(new_view.view), new_view.ui, new_view_digest(membership_.cluster, new_view));
}

// Its prepare certificate tells what the primary said to its sender.
void EquivocationWatch::inspect_commit(const Commit& commit) {
    note(StreamId::vote(commit.group, commit.position), commit.ui,
         commit_digest(membership_.cluster, commit));
    if (commit.from_new_view)
        note(ordering(commit.view), commit.prepare.ui, commit.nvd);
    else
        inspect_prepare(commit.prepare);
}

void EquivocationWatch::inspect_change(const ViewChange& change) {
    StreamId stream = StreamId::vote(change.group, change.position);
    for (const VoteEntry& entry : change.log)
        note(stream, entry.ui,
             vote_entry_digest(membership_.cluster, change.group, change.position, entry));
    note(stream, change.ui, view_change_digest(membership_.cluster, change));
    if (change.view_cert) inspect_new_view(change.view_cert->new_view);
    if (change.last.none()) return;
    if (change.from_new_view)
        note(ordering(change.last.view), change.proof.ui, change.last.nvd);
    else
        note(ordering(change.last.view), change.proof.ui,
             prepare_digest(membership_.cluster, change.last.view, change.last.to, change.last.hd));
}

}  // namespace bft::consensus::minbft

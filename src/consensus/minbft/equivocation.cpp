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
    if (ui.cv.value == 0) return std::nullopt;  // no TPM says so
    std::vector<Seen>& values = seen_[stream];
    if (values.empty()) values.resize(values_kept);
    Seen& seen = values[ui.cv.value % values_kept];
    if (seen.ui.cv < ui.cv) {
        seen.digest = digest;
        seen.ui = ui;
        return std::nullopt;
    }
    if (seen.ui.cv > ui.cv || seen.digest == digest || proven(stream)) return std::nullopt;
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

std::optional<EquivocationProof> EquivocationWatch::inspect(const Verified& message) {
    found_.reset();
    const Payload& payload = message.payload();
    if (const auto* prepare = std::get_if<Prepare>(&payload)) {
        inspect_prepare(*prepare, message.digests().message);
    } else if (const auto* commit = std::get_if<Commit>(&payload)) {
        inspect_commit(*commit, message.digests());
    } else if (const auto* new_view = std::get_if<NewView>(&payload)) {
        inspect_new_view(*new_view);
    } else if (const auto* change = std::get_if<ViewChangePtr>(&payload)) {
        inspect_change(**change);
    } else if (const auto* changes = std::get_if<ViewChanges>(&payload)) {
        for (const ViewChangePtr& each : changes->messages) inspect_change(*each);
    } else if (const auto* cert = std::get_if<ViewCertPtr>(&payload)) {
        inspect_new_view((*cert)->new_view);
    } else if (const auto* found = std::get_if<Certificates>(&payload)) {
        inspect_fetched(*found);
    }
    return std::exchange(found_, std::nullopt);
}

void EquivocationWatch::inspect_fetched(const Certificates& found) {
    auto digest = [&](const Prepare& prepare) {
        return prepare_digest(membership_.cluster, prepare.view, prepare.slot, prepare.hd);
    };
    for (const Prepare& each : found.prepares) inspect_prepare(each, digest(each));
    for (const NewView& each : found.new_views) inspect_new_view(each);
    for (const Commit& each : found.commits)
        inspect_commit(each, {commit_digest(membership_.cluster, each),
                              each.from_new_view ? each.nvd : digest(each.prepare)});
    for (const ViewChangePtr& each : found.view_changes) inspect_change(*each);
}

void EquivocationWatch::inspect_prepare(const Prepare& prepare, const Digest& digest) {
    note(ordering(prepare.view), prepare.ui, digest);
}

void EquivocationWatch::inspect_new_view(const NewView& new_view) {
    note(ordering(new_view.view), new_view.ui, new_view_digest(membership_.cluster, new_view));
}

// Its prepare certificate tells what the primary said to its sender.
void EquivocationWatch::inspect_commit(const Commit& commit, const CertifiedDigests& digests) {
    note(StreamId::vote(commit.group, commit.position), commit.ui, digests.message);
    note(ordering(commit.view), commit.prepare.ui, digests.prepare);
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

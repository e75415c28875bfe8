#include "puppet.hpp"

#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::sim {

using namespace consensus;

namespace {

// What a puppet's certified words do not need.
ReplicaLies only_words(ReplicaLies lies) {
    lies.wrong_commit = lies.early_commit = lies.silent = false;
    lies.hides_commits = lies.late_commits = lies.two_changes = false;
    return lies;
}

}  // namespace

Puppet::Puppet(Mind& mind, Cluster& cluster, EngineNode& node, Prng prng)
    : mind_(mind),
      cluster_(cluster),
      node_(node),
      self_(node.self()),
      prng_(prng),
      other_lies_(cluster, self_, only_words(cluster.plan.replica_lies), prng_.split()) {}

std::vector<Endpoint> Puppet::peers() const {
    return cluster_.peers(self_);
}

// --- watching ---

void Puppet::saw(const Verified& message) {
    other_lies_.saw(message);
    const Payload& payload = message.payload();
    if (const auto* prepare = std::get_if<Prepare>(&payload)) {
        mind_.learn(*prepare);
    } else if (const auto* headers = std::get_if<Headers>(&payload)) {
        for (const HeaderPtr& header : headers->headers) mind_.learn(header);
    } else if (const auto* vouch = std::get_if<Vouch>(&payload)) {
        if (vouch->group == self_.group) vouches_[vouch->position.value] = *vouch;
    } else if (const auto* request = std::get_if<RequestViewChange>(&payload)) {
        // One correct complaint is enough.
        if (request->group == self_.group && cluster_.correct(message.from()) &&
            request->view > node_.replica()->agreement().view())
            complain(request->view);
    }
}

void Puppet::corrupt(Output& output) {
    for (const Persist& persist : output.persist) {
        if (const auto* prepare = std::get_if<PrepareRecord>(&persist.record))
            mind_.learn(prepare->prepare);
        else if (const auto* header = std::get_if<HeaderRecord>(&persist.record))
            mind_.learn(header->header);
        else if (const auto* stable = std::get_if<StableRecord>(&persist.record))
            stable_ = stable->cert;
        else if (const auto* view = std::get_if<ViewRecord>(&persist.record))
            chain_cert_ = view->chain;
    }
    // The engine waits for a certificate that never comes.
    output.seal.reset();
}

void Puppet::rewrite(std::vector<Send>& sends) {
    other_lies_.rewrite(sends);
    act();
}

void Puppet::tick() {
    other_lies_.tick();
    act();
}

// --- speaking ---

void Puppet::act() {
    if (busy_ || !node_.up()) return;
    const auto& agreement = node_.replica()->agreement();
    View view = agreement.view();
    Plot::Kind plot = mind_.plot().kind;
    if (!agreement.report().active && view > promised_) {
        if (lied_for_ < view && prepare_the_lie(view)) return;
        return change(view);
    }
    if (left_behind_) {
        // A COMMIT of a view that was left (R7).
        Claim claim = *std::exchange(left_behind_, std::nullopt);
        if (last_.last.before(claim.last)) return commit(claim, Show::peers);
    }
    if (const auto& second = mind_.second();
        second && second->view >= promised_ && plot == Plot::Kind::two_prepares) {
        Claim claim{{second->view, second->slot, second->hd, {}}, *second, false, nullptr};
        claim.proof.header = nullptr;
        if (second->view.value > 0) {
            if (!chain_cert_ || chain_cert_->new_view.view != second->view) return;
            claim.cert = chain_cert_;
            claim.last.nvd = new_view_digest(cluster_.membership.cluster, chain_cert_->new_view);
        }
        if (last_.last.before(claim.last)) {
            node_.mutable_disk().append({{HeaderRecord{second->header}, false}}, nullptr);
            return commit(claim, Show::peers);
        }
    }
    if (plot == Plot::Kind::late) return;
    auto claim = at(agreement.chain().tip());
    if (claim && claim->last.view >= promised_ && last_.last.before(claim->last))
        commit(*claim, Show::peers);
}

// What must be certified before the VIEW-CHANGE for `view`; false: nothing (more).
bool Puppet::prepare_the_lie(View view) {
    lied_for_ = view;
    std::optional<Claim> claim;
    switch (mind_.plot().kind) {
        case Plot::Kind::late:
            left_behind_ = at(node_.replica()->agreement().chain().tip());
            return false;
        case Plot::Kind::back:
            claim = lower();
            if (claim) commit(*claim, Show::peers);
            return claim.has_value();
        case Plot::Kind::rebase:
            claim = lower();
            if (claim) commit(*claim, Show::nobody);
            return claim.has_value();
        case Plot::Kind::forged_view: {
            const auto& forged = mind_.forged();
            if (!forged || forged->view >= view || forged->view < promised_) return false;
            Digest nvd = new_view_digest(cluster_.membership.cluster, *forged);
            auto cert = std::make_shared<ViewCert>(ViewCert{*forged, self_.group, {}});
            for (Position j : mind_.positions(self_.group)) {
                NewViewAccept accept{self_.group, j, forged->view, nvd, forged->ui.cv, {}};
                cert->signers.push_back(
                    {j, cluster_.sign(Endpoint::replica(self_.group, j),
                                      accept_digest(cluster_.membership.cluster, accept))});
            }
            claim = Claim{{forged->view, forged->slot, forged->hd, nvd},
                          {forged->view, forged->slot, forged->hd, forged->ui, nullptr},
                          true,
                          cert};
            if (!last_.last.before(claim->last)) return false;
            commit(*claim, Show::nobody);
            return true;
        }
        default:
            return false;
    }
}

// The chain that the engine follows, up to `slot`.
std::optional<Puppet::Claim> Puppet::at(Slot slot) const {
    const Chain& chain = node_.replica()->agreement().chain();
    Claim claim;
    Slot begins{};
    if (chain_cert_) {
        const NewView& new_view = chain_cert_->new_view;
        begins = new_view.slot;
        claim.cert = chain_cert_;
        claim.last = {new_view.view, slot, new_view.hd,
                      new_view_digest(cluster_.membership.cluster, new_view)};
        claim.from_new_view = slot == begins;
        claim.proof = {new_view.view, slot, new_view.hd, new_view.ui, nullptr};
    }
    if (slot < begins || slot.value == 0) return std::nullopt;
    if (claim.from_new_view) return claim;
    const Link* link = chain.at(slot);
    if (link == nullptr || link->prepare.ui.cv.value == 0) return std::nullopt;
    claim.proof = link->prepare;
    claim.proof.header = nullptr;
    claim.last.view = link->prepare.view;
    claim.last.to = slot;
    claim.last.hd = link->prepare.hd;
    return claim;
}

// Less than what was certified last, in the same view.
std::optional<Puppet::Claim> Puppet::lower() const {
    const LastCommit& last = last_.last;
    Slot begins = chain_cert_ ? chain_cert_->new_view.slot : Slot(0);
    View view = chain_cert_ ? chain_cert_->new_view.view : View(0);
    if (last.view != view || last.to <= begins.next()) return std::nullopt;
    Slot low = std::max(begins, node_.replica()->agreement().chain().low());
    for (std::uint64_t back = 8; back > 0; --back)
        if (last.to.value > low.value + back)
            if (auto claim = at(Slot(last.to.value - back))) return claim;
    return std::nullopt;
}

void Puppet::commit(const Claim& claim, Show show) {
    Commit commit;
    commit.group = self_.group;
    commit.position = Position(self_.index);
    commit.view = claim.last.view;
    commit.to = claim.last.to;
    commit.hd = claim.last.hd;
    commit.nvd = claim.last.nvd;
    commit.prepare = claim.proof;
    commit.from_new_view = claim.from_new_view;
    cluster_.checker.certifying(commit);
    busy_ = true;
    cluster_.tpm_of(self_).create(
        *cluster_.membership.usig_of(self_), commit_digest(cluster_.membership.cluster, commit),
        [this, commit, claim, show](const Ui& ui) mutable {
            busy_ = false;
            commit.ui = ui;
            last_ = claim;
            ledger_.push_back({false, {}, claim.last, {}, ui});
            if (show == Show::nobody) return act();
            auto to = mind_.audience(peers());
            node_.mutable_disk().append({{CommitRecord{commit}, false}}, nullptr);
            cluster_.network.send(self_, {std::move(to), commit});
            act();
        });
}

// --- VIEW-CHANGE ---

void Puppet::change(View view) {
    ViewChange change;
    change.group = self_.group;
    change.position = Position(self_.index);
    change.view = view;
    change.last = last_.last;
    change.proof = last_.proof;
    change.from_new_view = last_.from_new_view;
    change.view_cert = last_.cert;
    // A checkpoint beyond the lie would give it away.
    if (stable_ && stable_->slot <= last_.last.to) change.stable = stable_;
    choose_base(change);
    busy_ = true;
    promised_ = view;
    cluster_.tpm_of(self_).create(
        *cluster_.membership.usig_of(self_),
        view_change_digest(cluster_.membership.cluster, change), [this, change](Ui ui) mutable {
            busy_ = false;
            change.ui = std::move(ui);
            ledger_.push_back(
                {true, change.view, change.last, view_change_rest(change), change.ui});
            auto shared = std::make_shared<const ViewChange>(std::move(change));
            node_.mutable_disk().append({{ViewChangeRecord{shared}, false}}, nullptr);
            std::vector<Endpoint> to = peers();
            to.push_back(Endpoint::primary(cluster_.membership.primary_of(shared->view)));
            cluster_.network.send(self_, {to, shared});
            // It may be lost; the engine would repeat it.
            for (int again = 1; again <= 3; ++again)
                cluster_.time.after(200ms * again, [this, to, shared] {
                    if (promised_ == shared->view) cluster_.network.send(self_, {to, shared});
                });
            act();
        });
}

Vouch Puppet::forged_vouch(Position voucher, Counter cv) const {
    Vouch vouch{self_.group, voucher, {}, {}, {}};
    vouch.votes.assign(cluster_.membership.replicas_per_group(), cv);
    vouch.ordering.assign(cluster_.membership.primaries.size(), Counter(std::uint64_t{1} << 40));
    vouch.signature = cluster_.sign(Endpoint::replica(self_.group, voucher),
                                    vouch_digest(cluster_.membership.cluster, vouch));
    return vouch;
}

// The log begins as late as vouches allow, or later: with those of the puppets alone.
void Puppet::choose_base(ViewChange& change) {
    std::vector<Vouch> vouches;
    Counter most{};
    if (mind_.plot().kind == Plot::Kind::rebase && !ledger_.empty()) {
        change.base = ledger_.back().ui.cv;
        if (prng_.chance(700))
            for (Position j : mind_.positions(self_.group))
                vouches.push_back(forged_vouch(j, change.base));
    } else {
        const Vouch* best = nullptr;
        for (const auto& [position, vouch] : vouches_) {
            if (mind_.mine(Endpoint::replica(self_.group, Position(position)))) continue;
            if (best == nullptr || vouch.votes[self_.index] > best->votes[self_.index])
                best = &vouch;
        }
        if (best != nullptr)
            for (const VoteEntry& entry : ledger_)
                if (entry.ui.cv <= best->votes[self_.index]) most = entry.ui.cv;
        if (most.value > 0) {
            change.base = most;
            vouches.push_back(*best);
            for (Position j : mind_.positions(self_.group))
                vouches.push_back(forged_vouch(j, most));
        }
    }
    std::sort(vouches.begin(), vouches.end(),
              [](const Vouch& a, const Vouch& b) { return a.position < b.position; });
    change.vouches = std::move(vouches);
    for (const VoteEntry& entry : ledger_)
        if (entry.ui.cv >= change.base) change.log.push_back(entry);
}

void Puppet::complain(View view) {
    RequestViewChange request{self_.group, Position(self_.index), view, Suspicion::silent, {}};
    request.signature =
        cluster_.sign(self_, request_view_change_digest(cluster_.membership.cluster, request));
    cluster_.network.send(self_, {peers(), std::move(request)});
}

}  // namespace bft::sim

#include "view_liars.hpp"

#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::sim {

using namespace consensus;

namespace {

constexpr std::size_t commits_kept = 64;

Digest random_digest(Prng& prng) {
    Digest digest;
    for (auto& byte : digest.bytes) byte = static_cast<std::uint8_t>(prng.next());
    return digest;
}

}  // namespace

// --- replicas ---

void LiesOfViews::saw(const Verified& message) {
    if (!lies_.accepts_anything) return;
    if (const auto* new_view = std::get_if<NewView>(&message.payload())) accept(*new_view);
}

// D1, D2: a VIEW-CHANGE that ends with an older COMMIT, or with none, and a log that fits it.
bool LiesOfViews::hide(ViewChange& lie) {
    Commit older;
    if (!commits_.empty() && prng_.chance(800)) older = commits_[prng_.below(commits_.size())];
    if (older.view.value > 0 && older.view != lie.last.view) return false;
    lie.last = {older.view, older.to, older.hd, older.nvd};
    lie.proof = older.prepare;
    lie.from_new_view = older.from_new_view;
    if (older.view.value == 0) lie.view_cert = nullptr;
    if (prng_.chance(500)) lie.stable.reset();
    while (!lie.log.empty() && lie.log.back().last != lie.last) lie.log.pop_back();
    if (lie.log.empty() || prng_.chance(300)) {
        lie.log.clear();
        lie.base = {};
        lie.vouches.clear();
    }
    return true;
}

ViewChangePtr LiesOfViews::substitute(const ViewChangePtr& change) const {
    if (change->group != self_.group || change->position.value != self_.index) return change;
    for (const ViewChange& each : hidden_) {
        if (each.view != change->view) continue;
        ViewChange lie = each;
        lie.ui = change->ui;
        return std::make_shared<const ViewChange>(std::move(lie));
    }
    return change;
}

void LiesOfViews::corrupt(Output& output) {
    for (Persist& persist : output.persist) {
        if (auto* intent = std::get_if<ViewChangeIntent>(&persist.record)) {
            ViewChange lie = *intent->change;
            if (!lies_.hides_commits || prng_.chance(400) || !hide(lie)) continue;
            output.seal = Draft{view_change_digest(cluster_.membership.cluster, lie)};
            intent->change = std::make_shared<const ViewChange>(lie);
            hidden_.push_back(std::move(lie));
            cluster_.reach("a replica certifies a VIEW-CHANGE that hides a COMMIT");
        } else if (auto* record = std::get_if<ViewChangeRecord>(&persist.record)) {
            record->change = substitute(record->change);
        } else if (const auto* commit = std::get_if<CommitRecord>(&persist.record)) {
            if (commit->commit.position.value != self_.index) continue;
            commits_.push_back(commit->commit);
            if (commits_.size() > commits_kept) commits_.erase(commits_.begin());
        }
    }
}

void LiesOfViews::rewrite(std::vector<Send>& sends) {
    for (Send& send : sends) {
        if (auto* change = std::get_if<ViewChangePtr>(&send.payload)) {
            *change = substitute(*change);
            if (lies_.two_changes && prng_.chance(100)) change_again(**change);
        } else if (auto* vouch = std::get_if<Vouch>(&send.payload)) {
            if (lies_.false_vouches) sign_otherwise(*vouch);
        } else if (auto* checkpoint = std::get_if<Checkpoint>(&send.payload)) {
            if (lies_.wrong_checkpoints && prng_.chance(500)) sign_otherwise(*checkpoint);
        }
    }
    if (lies_.hides_bodies)
        std::erase_if(sends,
                      [](const Send& s) { return std::holds_alternative<Bodies>(s.payload); });
}

void LiesOfViews::tick() {
    if (lies_.late_commits && prng_.chance(20)) commit_again();
    if (lies_.complains && prng_.chance(200)) complain();
}

// D2, D3: an old COMMIT once more, with a new counter value: to the group and, perhaps, after the
// VIEW-CHANGE that denied it.
void LiesOfViews::commit_again() {
    if (commits_.empty()) return;
    Commit again = commits_[prng_.below(commits_.size())];
    cluster_.tpm_of(self_).create(
        *cluster_.membership.usig_of(self_), commit_digest(cluster_.membership.cluster, again),
        [this, again](Ui ui) mutable {
            again.ui = std::move(ui);
            auto peers = cluster_.peers(self_);
            cluster_.network.send(self_, {std::move(peers), std::move(again)});
        });
}

// D4: a second VIEW-CHANGE for one view, with another content.
void LiesOfViews::change_again(const ViewChange& change) {
    ViewChange other = change;
    if (!hide(other)) return;
    cluster_.tpm_of(self_).create(
        *cluster_.membership.usig_of(self_), view_change_digest(cluster_.membership.cluster, other),
        [this, other](Ui ui) mutable {
            other.ui = std::move(ui);
            auto to = cluster_.peers(self_);
            to.push_back(Endpoint::primary(cluster_.membership.primary_of(other.view)));
            auto shared = std::make_shared<const ViewChange>(std::move(other));
            cluster_.network.send(self_, {std::move(to), std::move(shared)});
        });
}

// D8.
void LiesOfViews::accept(const NewView& new_view) {
    NewViewAccept mine{self_.group,    Position(self_.index),
                       new_view.view,  new_view_digest(cluster_.membership.cluster, new_view),
                       new_view.ui.cv, {}};
    mine.signature = cluster_.sign(self_, accept_digest(cluster_.membership.cluster, mine));
    auto peers = cluster_.peers(self_);
    cluster_.network.send(self_, {std::move(peers), std::move(mine)});
}

// D9.
void LiesOfViews::complain() {
    RequestViewChange request{
        self_.group, Position(self_.index), View(1 + prng_.below(8)), Suspicion::silent, {}};
    if (prng_.chance(200)) request.view = View(~std::uint64_t{0} >> 1);
    request.signature =
        cluster_.sign(self_, request_view_change_digest(cluster_.membership.cluster, request));
    auto peers = cluster_.peers(self_);
    cluster_.network.send(self_, {std::move(peers), std::move(request)});
}

// D6.
void LiesOfViews::sign_otherwise(Vouch& vouch) {
    std::uint64_t far = prng_.chance(500) ? 0 : ~std::uint64_t{0} >> 1;
    for (Counter& cv : vouch.votes) {
        if (prng_.chance(300)) cv = Counter(far);
        if (prng_.chance(300)) cv = Counter(cv.value + prng_.below(8));
    }
    for (Counter& cv : vouch.ordering) {
        if (prng_.chance(300)) cv = Counter(far);
        if (prng_.chance(300)) cv = Counter(cv.value + prng_.below(8));
    }
    vouch.signature = cluster_.sign(self_, vouch_digest(cluster_.membership.cluster, vouch));
}

// D7.
void LiesOfViews::sign_otherwise(Checkpoint& checkpoint) {
    if (checkpoint.position.value != self_.index) return;
    checkpoint.state = random_digest(prng_);
    checkpoint.signature =
        cluster_.sign(self_, checkpoint_digest(cluster_.membership.cluster, checkpoint));
}

// --- leaders ---

LyingLeader::LyingLeader(Cluster& cluster, EngineNode& node, const LeaderLies& lies, Prng prng)
    : cluster_(cluster), node_(node), self_(node.self()), lies_(lies), prng_(prng) {
    node.set_clock_ahead(lies_.ahead_ms);
    // As late as it dares, for T3 or for T1.
    const Timers& timers = cluster.plan.timers;
    Duration dares = 500ms + timers.order * 9 / 10;
    bool other = cluster.plan.seed % 2 == 1;
    if (lies_.delays) lies_.slow = other ? dares : timers.silence / 2;
    if (lies_.censors && other) {
        lies_.censors = false;
        lies_.unfair = dares;
    }
    if (lies_.hides_bodies) node.mutable_disk().hide_bodies();
    for (const Endpoint& each : cluster.membership.all_replicas())
        if (prng_.chance(300)) shunned_.insert(each);
}

std::vector<Endpoint> LyingLeader::some_replicas() {
    std::vector<Endpoint> some = cluster_.membership.all_replicas();
    std::erase_if(some, [&](const Endpoint&) { return prng_.chance(500); });
    return some;
}

void LyingLeader::corrupt(Output& output) {
    for (Persist& persist : output.persist) {
        if (auto* intent = std::get_if<NewViewIntent>(&persist.record)) {
            if (!lies_.bad_new_views || prng_.chance(400)) continue;
            NewView lie = intent->new_view;
            corrupt(lie);
            lied_[lie.view] = lie;
            output.seal = Draft{new_view_digest(cluster_.membership.cluster, lie)};
            intent->new_view = std::move(lie);
            cluster_.reach("a primary certifies an invalid NEW-VIEW");
        } else if (auto* record = std::get_if<NewViewRecord>(&persist.record)) {
            substitute(record->new_view);
        }
    }
}

// C14: one client's requests never reach the pool.
bool LyingLeader::hears(const Verified& message) {
    const auto* body = std::get_if<Body>(&message.payload());
    if (body == nullptr || (*body)->id.client.value != 0 || letting_in_) return true;
    if (lies_.unfair == Duration{}) return !lies_.censors;
    // C15: a client's requests wait, and everybody else's go first.
    auto late = std::make_shared<const Verified>(message);
    cluster_.time.after(lies_.unfair, [this, late] {
        letting_in_ = true;
        node_.receive(late);
        letting_in_ = false;
    });
    return false;
}

// C4, C5: another N, nullset, or set of VIEW-CHANGEs.
void LyingLeader::corrupt(NewView& v) {
    switch (prng_.below(5)) {
        case 0:
            if (v.slot.value > 0) --v.slot.value;
            break;
        case 1:
            v.nullset.push_back({v.slot + 1, 0});
            break;
        case 2:
            if (!v.nullset.empty()) v.nullset.erase(v.nullset.begin());
            break;
        case 3: {
            EntryRef extra{Slot(v.slot.value - std::min(prng_.below(6), v.slot.value)), 0};
            if (std::find(v.nullset.begin(), v.nullset.end(), extra) == v.nullset.end())
                v.nullset.push_back(extra);
            std::sort(v.nullset.begin(), v.nullset.end());
            break;
        }
        default:
            if (!v.view_changes.empty())
                v.view_changes.erase(
                    v.view_changes.begin() +
                    static_cast<std::ptrdiff_t>(prng_.below(v.view_changes.size())));
            break;
    }
}

void LyingLeader::substitute(NewView& new_view) const {
    auto found = lied_.find(new_view.view);
    if (found == lied_.end()) return;
    Ui ui = new_view.ui;
    new_view = found->second;
    new_view.ui = ui;
}

// C1: a second PREPARE of one slot. The counter gives it the next value, wherever it goes.
void LyingLeader::equivocate(const Prepare& prepare) {
    auto header = std::make_shared<Header>(*prepare.header);
    ++header->ts_ms;
    Prepare other{prepare.view, prepare.slot, header_digest(*header), {}, header};
    cluster_.tpm_of(self_).create(
        *cluster_.membership.usig_of(self_),
        prepare_digest(cluster_.membership.cluster, other.view, other.slot, other.hd),
        [this, other](Ui ui) mutable {
            other.ui = std::move(ui);
            cluster_.network.send(self_, {some_replicas(), std::move(other)});
        });
}

// C3: another NEW-VIEW for the view, with the next value.
void LyingLeader::begin_again(const NewView& new_view) {
    NewView other = new_view;
    if (prng_.chance(700)) corrupt(other);
    cluster_.tpm_of(self_).create(*cluster_.membership.usig_of(self_),
                                  new_view_digest(cluster_.membership.cluster, other),
                                  [this, other](Ui ui) mutable {
                                      other.ui = std::move(ui);
                                      cluster_.checker.new_view(other);
                                      cluster_.network.send(self_, {some_replicas(), other});
                                  });
}

void LyingLeader::rewrite(std::vector<Send>& sends) {
    std::vector<Send> changed;
    for (Send& send : sends) {
        if (auto* new_view = std::get_if<NewView>(&send.payload)) {
            substitute(*new_view);
            if (lies_.two_new_views && prng_.chance(300)) begin_again(*new_view);
            if (lies_.falls_silent && prng_.chance(300)) silent_in_ = new_view->view;
        }
        if (const auto* prepare = std::get_if<Prepare>(&send.payload)) {
            if (prepare->view == silent_in_) continue;
            if (lies_.equivocates && prng_.chance(10)) equivocate(*prepare);
            if (lies_.falls_silent && prng_.chance(10)) silent_in_ = prepare->view;
            if (lies_.omits && prng_.chance(50)) shunned_.clear();
        }
        if (lies_.omits && !std::holds_alternative<Certificates>(send.payload))
            std::erase_if(send.to, [&](const Endpoint& e) { return shunned_.contains(e); });
        if (send.to.empty()) continue;
        if (lies_.slow + lies_.rare > Duration{} && std::holds_alternative<Prepare>(send.payload)) {
            // C13.
            Duration wait = lies_.slow;
            if (lies_.rare > Duration{})
                wait += lies_.rare - cluster_.time.now().time_since_epoch() % lies_.rare;
            cluster_.time.after(wait, [this, send] { cluster_.network.send(self_, send); });
            continue;
        }
        changed.push_back(std::move(send));
    }
    sends = std::move(changed);
}

}  // namespace bft::sim

#include "dark_leader.hpp"

#include "consensus/select.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::sim {

using namespace consensus;

namespace {

constexpr std::size_t pool_max = 1000;
constexpr std::size_t views_kept = 4;
constexpr std::size_t answer_max = 128;
constexpr std::size_t slot_entries = 16;

}  // namespace

DarkLeader::DarkLeader(Mind& mind, Cluster& cluster, PrimaryId self, Prng prng)
    : mind_(mind),
      cluster_(cluster),
      id_(self),
      self_(Endpoint::primary(self)),
      prng_(prng),
      leading_(cluster.membership.primary_of(View(0)) == self),
      tip_digest_(genesis_header_digest(cluster.membership.cluster)) {
    cluster.nodes[self_] = this;
}

void DarkLeader::start() {
    cluster_.time.after(cluster_.plan.tpm_latency + Duration(prng_.below(8'000'000)), [this] {
        if (stopped_) return;
        turn();
        start();
    });
}

void DarkLeader::turn() {
    begin_if_ready();
    if (!leading_ || busy_) return;
    bool heartbeat = cluster_.time.now() - last_slot_at_ >= cluster_.plan.timers.heartbeat;
    if (!pool_.empty() || heartbeat) order();
}

void DarkLeader::certify(const Digest& digest, std::function<void(Ui)> done) {
    busy_ = true;
    cluster_.tpm_of(self_).create(*cluster_.membership.usig_of(self_), digest,
                                  [this, done = std::move(done)](Ui ui) {
                                      busy_ = false;
                                      done(std::move(ui));
                                  });
}

std::vector<Endpoint> DarkLeader::everyone() {
    std::vector<Endpoint> all = mind_.audience(cluster_.membership.all_replicas());
    std::erase_if(all, [&](const Endpoint& e) { return shunned_.contains(e.group); });
    return all;
}

// --- what others say ---

void DarkLeader::receive(const Network::Packet& packet) {
    if (stopped_) return;
    const Payload& payload = packet->payload();
    if (const auto* body = std::get_if<Body>(&payload)) {
        bodies_.emplace((*body)->rd, *body);
        if (!ordered_.contains((*body)->id) && pool_.size() < pool_max) pool_.push_back(*body);
    } else if (const auto* change = std::get_if<ViewChangePtr>(&payload)) {
        on_change(*change);
    } else if (const auto* trigger = std::get_if<TriggerCertificate>(&payload)) {
        // C22: now and then it goes on in a view that is over.
        if (trigger->view > view_ && prng_.chance(900)) leading_ = false;
    } else if (const auto* headers = std::get_if<Headers>(&payload)) {
        for (const HeaderPtr& header : headers->headers) mind_.learn(header);
    } else {
        answer(packet->from(), payload);
    }
}

void DarkLeader::on_change(const ViewChangePtr& change) {
    if (cluster_.membership.primary_of(change->view) != id_) return;
    if (change->view <= view_) {
        // It lacks the NEW-VIEW.
        if (new_views_.empty() || new_views_.rbegin()->second.view != change->view) return;
        if (shunned_.contains(change->group)) return;
        Endpoint to = Endpoint::replica(change->group, change->position);
        cluster_.network.send(self_, {{to}, new_views_.rbegin()->second});
        return;
    }
    auto& of_view = changes_[change->view];
    ViewChangePtr& kept = of_view[{change->group, change->position}];
    kept = change;
    while (changes_.size() > views_kept) changes_.erase(changes_.begin());
    for (const Group& group : cluster_.membership.groups) {
        if (group.removed()) continue;
        auto members = std::count_if(of_view.begin(), of_view.end(),
                                     [&](const auto& e) { return e.first.first == group.id; });
        if (static_cast<std::uint32_t>(members) < cluster_.membership.quorum()) return;
    }
    if (!begin_at_) begin_at_ = cluster_.time.now() + Duration(prng_.below(60'000'000));
}

// C23: what it certified, to those who are to see it.
void DarkLeader::answer(const Endpoint& from, const Payload& fetch) {
    if (from.role == Endpoint::Role::replica && shunned_.contains(from.group)) return;
    if (mind_.audience({from}).empty()) return;
    if (const auto* wanted = std::get_if<FetchCertificates>(&fetch)) {
        if (wanted->stream != StreamId::ordering(id_)) return;
        Certificates found;
        found.stream = wanted->stream;
        for (Counter cv = wanted->from; cv <= wanted->to; cv = cv.next()) {
            if (found.prepares.size() + found.new_views.size() >= answer_max) break;
            if (auto prepare = prepares_.find(cv); prepare != prepares_.end())
                found.prepares.push_back(prepare->second);
            else if (auto begun = new_views_.find(cv); begun != new_views_.end())
                found.new_views.push_back(begun->second);
            else
                break;
        }
        if (!found.prepares.empty() || !found.new_views.empty())
            cluster_.network.send(self_, {{from}, std::move(found)});
    } else if (const auto* bodies = std::get_if<FetchBodies>(&fetch)) {
        Bodies found;
        for (const Digest& rd : bodies->rds)
            if (auto known = bodies_.find(rd);
                known != bodies_.end() && found.bodies.size() < answer_max)
                found.bodies.push_back(known->second);
        if (!found.bodies.empty()) cluster_.network.send(self_, {{from}, std::move(found)});
    } else if (const auto* headers = std::get_if<FetchHeaders>(&fetch)) {
        Headers found;
        Digest hd = headers->hd;
        for (Slot slot = headers->to; slot >= headers->from && found.headers.size() < answer_max;
             slot = Slot(slot.value - 1)) {
            const HeaderPtr* header = mind_.headers().find(hd);
            if (header == nullptr || (*header)->slot != slot) break;
            hd = (*header)->previous;
            found.headers.insert(found.headers.begin(), *header);
        }
        if (!found.headers.empty()) cluster_.network.send(self_, {{from}, std::move(found)});
    } else if (const auto* changes = std::get_if<FetchViewChanges>(&fetch)) {
        ViewChanges found;
        for (const ViewChangeRef& ref : changes->wanted)
            if (auto known = shown_changes_.find(ref.digest);
                known != shown_changes_.end() && found.messages.size() < answer_max)
                found.messages.push_back(known->second);
        if (!found.messages.empty()) cluster_.network.send(self_, {{from}, std::move(found)});
    }
}

// --- a view begins ---

// f+1 of each group: the puppets', then those of the correct replicas that know least.
std::vector<ViewChangePtr> DarkLeader::choose_changes() {
    std::vector<ViewChangePtr> chosen;
    const auto& all = changes_.rbegin()->second;
    for (const Group& group : cluster_.membership.groups) {
        if (group.removed()) continue;
        std::vector<ViewChangePtr> of_group;
        for (const auto& [member, change] : all)
            if (member.first == group.id) of_group.push_back(change);
        auto rank = [&](const ViewChangePtr& c) {
            bool ours = mind_.mine(Endpoint::replica(c->group, c->position));
            return std::tuple(!ours, c->last.view, c->last.to);
        };
        if (mind_.plot().lowest)
            std::sort(of_group.begin(), of_group.end(),
                      [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
        std::size_t enough = cluster_.membership.quorum();
        if (of_group.size() > enough && mind_.plot().lowest) of_group.resize(enough);
        chosen.insert(chosen.end(), of_group.begin(), of_group.end());
    }
    std::sort(chosen.begin(), chosen.end(), [](const auto& a, const auto& b) {
        return std::pair(a->group, a->position) < std::pair(b->group, b->position);
    });
    return chosen;
}

void DarkLeader::begin_if_ready() {
    if (!begin_at_ || cluster_.time.now() < *begin_at_ || busy_) return;
    if (changes_.empty() || changes_.rbegin()->first <= view_) return begin_at_.reset();
    begin_at_ = cluster_.time.now() + 50ms;
    std::vector<ViewChangePtr> changes = choose_changes();
    Selection selection;
    auto wanted = [&](const ViewChangePtr& change, const Judgement& judged) {
        if (!judged.missing) return false;
        std::uint64_t span = std::min<std::uint64_t>(answer_max, judged.missing->to.value) - 1;
        Slot from(judged.missing->to.value - span);
        cluster_.network.send(self_, {{Endpoint::replica(change->group, change->position)},
                                      FetchHeaders{from, judged.missing->to, judged.missing->hd}});
        return true;
    };
    for (const ViewChangePtr& change : changes) {
        Judgement judged = judge_headers(cluster_.membership, *change, mind_.headers());
        if (wanted(change, judged) || judged.invalid) return;
    }
    selection = select(cluster_.membership, cluster_.configs, changes, mind_.headers(),
                       [](const EntryHeader&, const Configuration&) { return Coming{}; });
    if (!selection.enough) return;
    if (!changes.empty() && wanted(changes.front(), selection.judgement)) return;
    if (!selection.selected) return begin_at_.reset();
    begin_at_.reset();
    const Selected& selected = *selection.selected;

    NewView new_view;
    new_view.view = changes_.rbegin()->first;
    new_view.slot = selected.slot;
    new_view.hd = selected.hd;
    new_view.nullset = selected.null;
    for (const OpenEntry& open : selected.open)
        if (open.nullable && mind_.plot().nullifies) new_view.nullset.push_back(open.at);
    std::sort(new_view.nullset.begin(), new_view.nullset.end());
    for (const ViewChangePtr& change : changes)
        new_view.view_changes.push_back({change->group, change->position, change->ui.cv,
                                         view_change_digest(cluster_.membership.cluster, *change)});
    bool valid = true;
    if (mind_.plot().kind == Plot::Kind::forged_view && mind_.coin(600)) {
        forge(new_view, changes);
        valid = false;
    }
    begin(std::move(new_view), std::move(changes), selected.ts_ms, valid);
}

// It ends where the shortest of the chains does.
void DarkLeader::forge(NewView& new_view, const std::vector<ViewChangePtr>& changes) {
    for (const ViewChangePtr& change : changes) {
        if (change->last.none() || change->last.to >= new_view.slot) continue;
        new_view.slot = change->last.to;
        new_view.hd = change->last.hd;
    }
    std::erase_if(new_view.nullset, [&](const EntryRef& e) { return e.slot > new_view.slot; });
    if (new_view.slot.value < 2) return;
    for (std::uint64_t back = prng_.below(6); back > 0; --back) {
        const HeaderPtr* header = mind_.headers().find(new_view.hd);
        if (header == nullptr || (*header)->slot.value < 2) return;
        new_view.slot = Slot((*header)->slot.value - 1);
        new_view.hd = (*header)->previous;
    }
    std::erase_if(new_view.nullset, [&](const EntryRef& e) { return e.slot > new_view.slot; });
}

void DarkLeader::begin(NewView new_view, std::vector<ViewChangePtr> changes, UnixMillis ts_ms,
                       bool valid) {
    view_ = new_view.view;
    leading_ = false;
    shunned_.clear();
    if (mind_.plot().few_groups)
        for (const Group& group : cluster_.membership.groups)
            if (prng_.chance(500)) shunned_.insert(group.id);
    for (const ViewChangePtr& change : changes)
        shown_changes_[view_change_digest(cluster_.membership.cluster, *change)] = change;
    certify(new_view_digest(cluster_.membership.cluster, new_view),
            [this, new_view, changes = std::move(changes), ts_ms, valid](Ui ui) mutable {
                new_view.ui = std::move(ui);
                new_views_[new_view.ui.cv] = new_view;
                cluster_.checker.new_view(new_view);
                if (!valid) mind_.forged(new_view);
                bool again = mind_.plot().kind == Plot::Kind::two_prepares && mind_.coin(500);
                std::vector<Endpoint> others = everyone();
                std::vector<Endpoint> some = again ? split(others) : others;
                cluster_.network.send(self_, {std::move(some), new_view});
                cluster_.network.send(self_, {everyone(), ViewChanges{std::move(changes)}});
                cluster_.reach("colluders begin a view");
                if (again) return begin_again(new_view, std::move(others));
                if (valid && new_view.view == view_) lead(new_view, ts_ms);
            });
}

// C3. The second one has the next value: whoever processes both in order takes the first.
void DarkLeader::begin_again(NewView new_view, std::vector<Endpoint> to) {
    certify(new_view_digest(cluster_.membership.cluster, new_view),
            [this, new_view, to = std::move(to)](Ui ui) mutable {
                new_view.ui = std::move(ui);
                new_views_[new_view.ui.cv] = new_view;
                cluster_.reach("colluders begin a view twice");
                cluster_.network.send(self_, {std::move(to), std::move(new_view)});
            });
}

// About half of them; the rest stays.
std::vector<Endpoint> DarkLeader::split(std::vector<Endpoint>& all) {
    std::vector<Endpoint> half;
    for (auto it = all.begin(); it != all.end();) {
        bool taken = prng_.chance(500);
        if (taken) half.push_back(*it);
        it = taken ? all.erase(it) : std::next(it);
    }
    return half;
}

void DarkLeader::lead(const NewView& new_view, UnixMillis ts_ms) {
    leading_ = true;
    tip_ = new_view.slot;
    tip_digest_ = new_view.hd;
    ts_ms_ = ts_ms;
    last_slot_at_ = cluster_.time.now();
    ordered_.clear();
}

// C21: nobody has to believe that it could not go on.
void DarkLeader::resign() {
    if (!leading_ || stopped_) return;
    Resign resign{id_, view_,
                  cluster_.sign(self_, resign_digest(cluster_.membership.cluster, id_, view_))};
    cluster_.network.send(self_, {cluster_.membership.all_replicas(), std::move(resign)});
    leading_ = false;
}

// --- ordering ---

Header DarkLeader::next_header() {
    Header header;
    header.slot = tip_.next();
    header.previous = tip_digest_;
    header.ts_ms = std::max(ts_ms_ + 1, cluster_.now().wall_ms);
    bool backwards = mind_.plot().unfair;  // C15
    while (!pool_.empty() && header.entries.size() < slot_entries) {
        Body body = backwards ? pool_.back() : pool_.front();
        backwards ? pool_.pop_back() : pool_.pop_front();
        if (!ordered_.insert(body->id).second) continue;
        header.entries.push_back({body->id, body->parts, EntryKind::transaction, body->rd});
    }
    return header;
}

void DarkLeader::order() {
    Header header = next_header();
    last_slot_at_ = cluster_.time.now();
    tip_ = header.slot;
    ts_ms_ = header.ts_ms;
    Prepare prepare{
        view_, header.slot, header_digest(header), {}, std::make_shared<const Header>(header)};
    tip_digest_ = prepare.hd;
    mind_.learn(prepare);
    certify(prepare_digest(cluster_.membership.cluster, prepare.view, prepare.slot, prepare.hd),
            [this, prepare, header](Ui ui) mutable {
                prepare.ui = std::move(ui);
                prepares_[prepare.ui.cv] = prepare;
                cluster_.network.send(self_, {everyone(), prepare});
                if (mind_.plot().kind == Plot::Kind::two_prepares && mind_.coin(50))
                    equivocate(header);
            });
}

// C1. The second one has the next value, and only the puppets learn of it.
void DarkLeader::equivocate(const Header& header) {
    Header other = header;
    ++other.ts_ms;
    Prepare prepare{
        view_, other.slot, header_digest(other), {}, std::make_shared<const Header>(other)};
    mind_.learn(prepare);
    certify(prepare_digest(cluster_.membership.cluster, prepare.view, prepare.slot, prepare.hd),
            [this, prepare](Ui ui) mutable {
                prepare.ui = std::move(ui);
                mind_.equivocated(std::move(prepare));
                cluster_.reach("colluders hold a second PREPARE of a slot");
            });
}

}  // namespace bft::sim

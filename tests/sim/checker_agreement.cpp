// The god view of agreement: what replicas and primaries certify, count, accept and deliver, over
// all views and incarnations.
#include "checker.hpp"
#include "consensus/select.hpp"
#include "consensus/signed_bytes.hpp"
#include "disk.hpp"

#include <algorithm>

namespace bft::sim {

using namespace consensus;

namespace {

constexpr std::size_t certificates_compared = 4096;  // per node, the newest ones

std::string at(Slot slot) {
    return " at slot " + std::to_string(slot.value);
}

std::string in(View view) {
    return " in view " + std::to_string(view.value);
}

std::string text(const LastCommit& last) {
    return "(" + std::to_string(last.view.value) + ", " + std::to_string(last.to.value) + ")";
}

}  // namespace

void Checker::header(const HeaderPtr& header) {
    headers_[header_digest(*header)] = header;
}

void Checker::new_view(const NewView& new_view) {
    new_views_.emplace(new_view_digest(membership_.cluster, new_view), new_view);
}

// --- what is certified and counted ---

void Checker::certifying(const Commit& commit) {
    drafts_.insert_or_assign(commit_digest(membership_.cluster, commit), commit);
    Endpoint self = Endpoint::replica(commit.group, commit.position);
    if (correct(self) && commit.view < shown_[self].promised)
        fail("S-VC-ONCE", name(self) + " commits" + in(commit.view) + ", which it has left");
}

// A correct node's COMMIT counts wherever it is; a liar's once a correct replica has counted it: no
// other makes a commit, whatever was certified.
void Checker::certified(const Commit& commit) {
    if (correct(Endpoint::replica(commit.group, commit.position))) tally(commit);
}

void Checker::tally(const Commit& commit) {
    auto& tos = committing_[commit.group][commit.view];
    tos.resize(std::max<std::size_t>(tos.size(), commit.position.value + 1));
    Slot& to = tos[commit.position.value];
    to = std::max(to, commit.to);
}

void Checker::processed(const Endpoint& replica, const Prepare& prepare) {
    auto [known, fresh] = prepared_.emplace(std::pair(prepare.view, prepare.slot), prepare.hd);
    if (!fresh && known->second != prepare.hd)
        fail("S-VIEW1",
             name(replica) + " holds another header" + at(prepare.slot) + in(prepare.view));
}

// A COMMIT that a correct replica counted is in every later VIEW-CHANGE that anyone finds valid.
void Checker::counted(const Endpoint& replica, const Commit& commit) {
    if (commit.group == replica.group && commit.position.value == replica.index) return;
    Member sender{commit.group, commit.position.value};
    LastCommit last{commit.view, commit.to, commit.hd, commit.nvd};
    if (!correct(Endpoint::replica(commit.group, commit.position))) tally(commit);
    auto& counted = counted_[sender];
    std::size_t known = counted.size();
    counted.emplace_hint(counted.end(), commit.ui.cv, last);
    if (counted.size() == known) return;
    auto& shown = shown_last_[sender];
    for (auto later = shown.upper_bound(commit.ui.cv); later != shown.end(); ++later)
        if (later->second.before(last))
            fail("S-HIDE", "a valid VIEW-CHANGE of " +
                               name(Endpoint::replica(commit.group, commit.position)) +
                               " ends with " + text(later->second) + " although " + name(replica) +
                               " counted its COMMIT " + text(last));
}

void Checker::found_valid(const Endpoint& replica, const ViewChange& change) {
    if (change.base.value > 0 && change.log.front().view_change)
        reach_("a VIEW-CHANGE whose log begins with a VIEW-CHANGE");
    if (change.base.value > 0) reach_("a VIEW-CHANGE with vouches");
    Member sender{change.group, change.position.value};
    if (!shown_last_[sender].emplace(change.ui.cv, change.last).second) return;
    auto& counted = counted_[sender];
    for (auto earlier = counted.begin(); earlier != counted.end() && earlier->first < change.ui.cv;
         ++earlier)
        if (change.last.before(earlier->second))
            return fail("S-HIDE", name(replica) + " takes a VIEW-CHANGE of " +
                                      name(Endpoint::replica(change.group, change.position)) +
                                      " that ends with " + text(change.last) +
                                      " although its COMMIT " + text(earlier->second) +
                                      " was counted");
}

// --- what correct nodes say ---

void Checker::check_certified(const Endpoint& from, Counter cv, const Digest& digest) {
    auto& certified = shown_[from].certified;
    std::size_t known = certified.size();
    auto place = certified.emplace_hint(certified.end(), cv, digest);
    if (certified.size() == known && place->second != digest)
        fail("S-PERSIST", name(from) + " says two things with one certificate");
    if (certified.size() > certificates_compared) certified.erase(certified.begin());
}

void Checker::check_view_messages(const Endpoint& from, const Send& send) {
    const Payload& payload = send.payload;
    bool of_views =
        std::holds_alternative<Prepare>(payload) || std::holds_alternative<NewView>(payload) ||
        std::holds_alternative<Commit>(payload) || std::holds_alternative<ViewChangePtr>(payload) ||
        std::holds_alternative<TriggerCertificate>(payload) ||
        std::holds_alternative<NewViewAccept>(payload);
    if (!of_views) return;
    Shown& shown = shown_[from];
    if (const auto* prepare = std::get_if<Prepare>(&send.payload)) {
        if (from.role != Endpoint::Role::primary) return;
        check_certified(from, prepare->ui.cv, prepare->hd);
        if (shown.prepared == std::pair(prepare->view, prepare->slot) && send.to.size() > 1)
            reach_("window full at a primary");
        shown.prepared = std::max(shown.prepared, {prepare->view, prepare->slot});
    } else if (const auto* new_view = std::get_if<NewView>(&send.payload)) {
        if (from.role != Endpoint::Role::primary) return;
        check_certified(from, new_view->ui.cv, new_view_digest(membership_.cluster, *new_view));
        shown.prepared = std::max(shown.prepared, {new_view->view, new_view->slot});
    } else if (const auto* commit = std::get_if<Commit>(&send.payload)) {
        if (from != Endpoint::replica(commit->group, commit->position)) return;
        check_certified(from, commit->ui.cv, commit_digest(membership_.cluster, *commit));
        if (commit->view < shown.promised)
            fail("S-VC-ONCE", name(from) + " commits" + in(commit->view) + ", which it has left");
        if (commit->ui.cv <= shown.committed_cv) return;
        shown.committed = {commit->view, commit->to, commit->hd, commit->nvd};
        shown.committed_cv = commit->ui.cv;
    } else if (const auto* change = std::get_if<ViewChangePtr>(&send.payload)) {
        if (from != Endpoint::replica((*change)->group, (*change)->position)) return;
        check_certified(from, (*change)->ui.cv, view_change_digest(membership_.cluster, **change));
        shown.promised = std::max(shown.promised, (*change)->view);
    } else if (const auto* trigger = std::get_if<TriggerCertificate>(&send.payload)) {
        complained_[trigger->view].insert(trigger->requests.front().group);
    } else if (const auto* accept = std::get_if<NewViewAccept>(&send.payload)) {
        if (from == Endpoint::replica(accept->group, accept->position))
            accepted_view(from, *accept);
    }
}

// S-VC-ONCE of one replica, S-VIEW1 of all; what was committed before must be in it.
void Checker::accepted_view(const Endpoint& from, const NewViewAccept& accept) {
    std::pair said{accept.nvd, accept.cv};
    if (shown_[from].accepted.emplace(accept.view, said).first->second != said)
        fail("S-VC-ONCE", name(from) + " accepts two NEW-VIEWs" + in(accept.view));
    auto [known, fresh] = accepted_views_.emplace(accept.view, said);
    if (known->second != said)
        fail("S-VIEW1", name(from) + " accepts another NEW-VIEW" + in(accept.view));
    auto content = new_views_.find(accept.nvd);
    if (content == new_views_.end())
        return fail("S-PERSIST", name(from) + " accepts a NEW-VIEW that it has not logged");
    if (!fresh) return;
    note_view(content->second);
    for (const auto& [group, by_view] : kept_)
        for (const auto& [view, slot] : by_view)
            if (view < accept.view) check_kept(group, view, slot, content->second);
}

// The states of a view change that a campaign must have seen.
void Checker::note_view(const NewView& new_view) {
    on_view_(new_view);
    auto before = accepted_views_.find(new_view.view);
    if (before == accepted_views_.begin() ? new_view.view.value > 2
                                          : std::prev(before)->first + 2 < new_view.view)
        reach_("two failed views in a row");
    if (!new_view.nullset.empty()) reach_("NEW-VIEW with a nullset");
    if (auto tip = headers_.find(new_view.hd); tip != headers_.end())
        if (const auto& entries = tip->second->entries;
            !entries.empty() && entries.front().kind == EntryKind::config)
            reach_("a view begins at a CONFIG");
    LastCommit tip;
    std::set<GroupId> holders;
    for (const ViewChangeRef& ref : new_view.view_changes) {
        auto& shown = shown_last_[{ref.group, ref.position.value}];
        auto last = shown.find(ref.cv);
        if (last == shown.end() || last->second.before(tip)) continue;
        if (tip.before(last->second)) holders.clear();
        tip = last->second;
        holders.insert(ref.group);
    }
    for (GroupId complainer : complained_[new_view.view])
        if (!tip.none() && !holders.contains(complainer))
            reach_("the longest chain is of a group that did not complain");
}

// S-COMMIT-KEEP.
void Checker::check_kept(GroupId group, View view, Slot slot, const NewView& new_view) {
    std::string what = "the NEW-VIEW of view " + std::to_string(new_view.view.value) +
                       " against what group " + std::to_string(group.value) + " committed" +
                       in(view);
    if (new_view.slot < slot)
        return fail("S-COMMIT-KEEP", what + " ends" + at(new_view.slot) + " before" + at(slot));
    Digest hd = new_view.hd;
    for (Slot s = new_view.slot; s > slot; s = Slot(s.value - 1)) {
        const auto* known = reference_.slot(s);
        if (known != nullptr && known->hd == hd) break;  // one digest stands for the whole prefix
        auto found = headers_.find(hd);
        if (found == headers_.end()) return fail("S-COMMIT-KEEP", what + " has no headers" + at(s));
        hd = found->second->previous;
        if (s == slot.next() && hd != reference_.slot(slot)->hd)
            return fail("S-COMMIT-KEEP", what + " has another header" + at(slot));
    }
    if (new_view.slot == slot && hd != reference_.slot(slot)->hd)
        return fail("S-COMMIT-KEEP", what + " has another header" + at(slot));
    Slot low(new_view.slot.value - std::min(new_view.slot.value, null_retention));
    for (Slot s = low.next(); s <= slot; s = s.next()) {
        const auto* known = reference_.slot(s);
        if (known == nullptr) continue;  // forgotten
        for (const auto& entry : known->entries) {
            if (entry.owner != group || !entry.decided) continue;
            // Kept, and a no-op all the same (ADR 24): no nullset names it.
            if (skipped_.contains({s, entry.item.index})) continue;
            bool null = std::binary_search(new_view.nullset.begin(), new_view.nullset.end(),
                                           EntryRef{s, entry.item.index});
            if (null != entry.null)
                return fail("S-COMMIT-KEEP",
                            what + (null ? " nullifies" : " revives") + " an entry" + at(s));
        }
    }
}

// --- deliveries ---

// Digests of the delivered slots; those that the chain has dropped already follow from its lowest.
std::map<Slot, Digest> Checker::digests(const minbft::Replica& agreement, Slot from, Slot to) {
    std::map<Slot, Digest> found;
    const Chain& chain = agreement.chain();
    Slot begin = std::max(from, chain.low());
    for (Slot s = begin; s <= to; s = s.next())
        if (auto hd = chain.digest_at(s)) found[s] = *hd;
    Slot s = std::min(chain.low(), to);
    if (s != chain.low() || s < from) return found;
    for (Digest hd = *chain.digest_at(s); s >= from; s = Slot(s.value - 1)) {
        found[s] = hd;
        auto header = headers_.find(hd);
        if (header == headers_.end()) break;
        hd = header->second->previous;
    }
    return found;
}

void Checker::delivered(const Endpoint& replica, const minbft::Replica& agreement,
                        const std::vector<Delivery>& deliveries) {
    auto hds = digests(agreement, deliveries.front().slot, deliveries.back().slot);
    for (const Delivery& delivery : deliveries) {
        auto hd = hds.find(delivery.slot);
        if (hd == hds.end()) {
            // Below what its chain still holds: equal digests above stand for it.
            if (delivery.slot > reference_.tip())
                fail("S-CHAIN", name(replica) + " delivered an unknown header" + at(delivery.slot));
            else
                check_delivery(replica, delivery, reference_.slot(delivery.slot)->hd);
            continue;
        }
        if (delivery.slot == reference_.tip().next()) {
            Digest previous = reference_.tip().value == 0
                                  ? genesis_header_digest(membership_.cluster)
                                  : reference_.slot(reference_.tip())->hd;
            auto header = headers_.find(hd->second);
            if (header == headers_.end() || header->second->previous != previous ||
                header_digest(*header->second) != hd->second)
                return fail("S-CHAIN", name(replica) + " delivered a header that does not fit" +
                                           at(delivery.slot));
            if (auto wrong = reference_.append(header->second, hd->second))
                return fail("S-CFG", name(replica) + ": " + *wrong);
        }
        check_delivery(replica, delivery, hd->second);
        if (!violations_.empty()) return;
    }
    committed_by(replica, agreement.view(), deliveries.back().slot);
}

void Checker::check_delivery(const Endpoint& replica, const Delivery& delivery, const Digest& hd) {
    GroupId group = replica.group;
    const auto* expected = reference_.slot(delivery.slot);
    if (expected == nullptr)
        return fail("S-CHAIN", name(replica) + " has a gap before" + at(delivery.slot));
    if (expected->hd != hd)
        return fail("S-CHAIN", name(replica) + " delivered another header" + at(delivery.slot));
    if (delivery.slot > reference_.decided(group)) {
        std::set<std::uint32_t> null;
        for (const DeliveredEntry& entry : delivery.entries)
            if (entry.item.kind == ItemKind::nop && !entry.body) null.insert(entry.item.index);
        if (auto wrong = reference_.decide(group, delivery.slot, null, bodies_))
            return fail("S-DEC", name(replica) + ": " + *wrong);
        const auto* decided = reference_.slot(delivery.slot);
        if (!decided->entries.empty() && decided->entries[0].owner == group &&
            decided->entries[0].header.kind == EntryKind::config)
            reach_(decided->entries[0].null ? "CONFIG nullified" : "CONFIG kept");
    }
    std::size_t own = 0;
    for (const auto& entry : expected->entries) own += entry.owner == group ? 1 : 0;
    // Once more after a restart: perhaps only what a client may still ask for.
    bool again = delivery.slot <= shown_[replica].delivered;
    if (own != delivery.entries.size() && !again)
        return fail("S-DEC",
                    name(replica) + " delivered another number of entries" + at(delivery.slot));
    for (const DeliveredEntry& entry : delivery.entries) {
        const auto* known = reference_.entry(delivery.slot, entry.item.index);
        if (known == nullptr || known->owner != group || known->item != entry.item)
            fail("S-SEQ", name(replica) + " delivered another item" + at(delivery.slot));
        else if (known->null != (entry.item.kind == ItemKind::nop && !entry.body))
            fail("S-DEC", name(replica) + " decided otherwise" + at(delivery.slot));
        else if (entry.item.kind == ItemKind::transaction && !entry.body && !again)
            fail("S-DEC", name(replica) + " delivered without the body" + at(delivery.slot));
        else if (entry.body && entry.body->rd != known->header.rd)
            fail("S-DEC", name(replica) + " delivered another body" + at(delivery.slot));
    }
    Slot& before = shown_[replica].delivered;
    before = std::max(before, delivery.slot);
}

// S-COMMIT, S-CFG: members of one configuration, distinct by seat, have certified COMMITs that
// reach to `slot` and into where that configuration is in force. Nobody whom `slot` replaces is
// one; of a group that it removes all leave, and the other groups' barrier decides it.
std::uint32_t Checker::certifiers(GroupId group, const std::vector<Slot>& tos, Slot slot) const {
    std::uint32_t most = 0;
    const Configuration* made = reference_.made_at(slot);
    if (made != nullptr && made->group(group) != nullptr && made->group(group)->removed())
        made = nullptr;
    for (auto era = std::prev(reference_.configs().lower_bound(slot));
         era != reference_.configs().end(); ++era) {
        const auto& [since, config] = *era;
        std::uint32_t count = 0;
        for (std::uint32_t j = 0; j < tos.size(); ++j) {
            bool reaches = tos[j] >= slot && tos[j] > since;
            bool leaves = since < slot && made != nullptr && !made->active(group, Position(j));
            if (reaches && !leaves && config.active(group, Position(j))) ++count;
        }
        most = std::max(most, count);
    }
    return most;
}

// S-COMMIT: f+1 positions certified COMMITs of one view that reach there. From then on every later
// view has it.
void Checker::committed_by(const Endpoint& replica, View in_view, Slot slot) {
    GroupId group = replica.group;
    for (const auto& [view, tos] : committing_[group]) {
        if (certifiers(group, tos, slot) < membership_.quorum()) continue;
        Slot& kept = kept_[group][view];
        if (slot <= kept) return;
        kept = slot;
        if (view < in_view) reach_("quorum completed for an old view");
        for (auto later = accepted_views_.upper_bound(view); later != accepted_views_.end();
             ++later)
            if (auto content = new_views_.find(later->second.first); content != new_views_.end())
                check_kept(group, view, slot, content->second);
        return;
    }
    fail("S-COMMIT", name(replica) + " delivered without f+1 COMMITs of one view" + at(slot));
}

// --- restarts ---

// Whatever a correct node has said rests on its log: the chain under its newest COMMIT, and a body
// for each own entry in it that is not null.
void Checker::crashed(const Endpoint& node, const SimDisk& disk) {
    auto found = shown_.find(node);
    if (found == shown_.end() || node.role != Endpoint::Role::replica) return;
    const LastCommit& committed = found->second.committed;
    if (committed.none()) return;
    std::vector<EntryRef> nullset;
    if (committed.view.value > 0) {
        ViewCertPtr cert = disk.view_cert(committed.nvd);
        if (!cert) return fail("S-PERSIST", name(node) + " lost the ViewCert of its COMMIT");
        nullset = cert->new_view.nullset;
    }
    struct Link {
        Slot slot;
        HeaderPtr header;
    };
    std::vector<Link> chain;
    Digest hd = committed.hd;
    for (Slot s = committed.to; s > disk.snapshot_slot(); s = Slot(s.value - 1)) {
        HeaderPtr header = disk.header(hd);
        if (!header)
            return fail("S-PERSIST", name(node) + " lost the header" + at(s) + " after COMMIT");
        // Something else is decided here: of what lies beyond nobody needs a body, and whose it is
        // this chain's own configurations say.
        const auto* decided = reference_.slot(s);
        if (decided != nullptr && decided->hd != hd)
            chain.clear();
        else
            chain.push_back({s, header});
        hd = header->previous;
    }
    for (const auto& [slot, header] : chain) {
        for (std::uint32_t i = 0; i < header->entries.size(); ++i) {
            const EntryHeader& entry = header->entries[i];
            if (reference_.owner(slot, entry.rid.home) != node.group) continue;
            if (std::binary_search(nullset.begin(), nullset.end(), EntryRef{slot, i})) continue;
            // CF12: of a client that is gone the header says enough.
            const Configuration& then = reference_.config(slot);
            if (then.features() >= features_skip && then.removed(entry.rid.client)) continue;
            if (!disk.has_body(entry.rd))
                return fail("S-PERSIST", name(node) + " lost a body" + at(slot) + " after COMMIT");
        }
    }
}

void Checker::recovered(const Endpoint& node, const minbft::Replica::Report& report) {
    const Shown& shown = shown_[node];
    View entered = std::max(shown.promised, shown.committed.view);
    if (!shown.accepted.empty()) entered = std::max(entered, shown.accepted.rbegin()->first);
    // Of an older view's COMMIT only the newest one counts, and it may reach less far.
    if (report.view < entered ||
        (report.view == shown.committed.view && report.committed < shown.committed.to))
        fail("S-PERSIST", name(node) + " came back behind what it had said");
}

void Checker::recovered(const Endpoint& node, const minbft::Primary::Report& report) {
    if (std::pair(report.view, report.tip) < shown_[node].prepared)
        fail("S-PERSIST", name(node) + " came back behind what it had said");
}

}  // namespace bft::sim

#include "consensus/select.hpp"

#include "consensus/configuration.hpp"
#include "consensus/rules.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>
#include <set>

namespace bft::consensus {

namespace {

Judgement invalid(const char* why) {
    return {why, std::nullopt};
}

bool contains(const std::vector<EntryRef>& sorted, const EntryRef& entry) {
    return std::binary_search(sorted.begin(), sorted.end(), entry);
}

const std::vector<EntryRef>& nullset_of(const ViewChange& change) {
    static const std::vector<EntryRef> none;
    return change.view_cert ? change.view_cert->new_view.nullset : none;
}

// CF4: a member under `config`, with vouches of members: of those who left all may be broken.
bool counts(const ViewChange& change, const Configuration& config) {
    if (!rules::members_by_slot) return true;
    return config.active(change.group, change.position) &&
           std::all_of(change.vouches.begin(), change.vouches.end(), [&](const Vouch& vouch) {
               return config.active(vouch.group, vouch.position);
           });
}

std::vector<ViewChangePtr> members_of(const Configuration& config,
                                      const std::vector<ViewChangePtr>& set) {
    std::vector<ViewChangePtr> members;
    for (const ViewChangePtr& change : set)
        if (counts(*change, config)) members.push_back(change);
    return members;
}

// Where what it shows begins: its checkpoint, or the barrier beyond that. Each proves itself, and a
// group that was added has no other beginning.
Slot begins(const ViewChange& change) {
    Slot slot = change.stable_slot();
    return change.barrier ? std::max(slot, change.barrier->slot) : slot;
}

bool at_barrier(const ViewChange& change) {
    return change.barrier && change.barrier->slot > change.stable_slot();
}

// f+1 of every group: whatever a group has committed is known to one of them (D4).
bool enough(const Membership& membership, const Configuration& config,
            const std::vector<ViewChangePtr>& set) {
    std::map<GroupId, std::set<std::uint32_t>> seats;
    for (const ViewChangePtr& change : set)
        seats[change->group].insert(membership.seat(change->position));
    auto quorate = [&](const Group& group) {
        return seats[group.id].size() >= rules::view_change_quorum(membership);
    };
    std::vector<Group> groups = config.groups;
    if (rules::removed_groups_go)
        std::erase_if(groups, [](const Group& group) { return group.removed(); });
    return rules::every_group ? std::all_of(groups.begin(), groups.end(), quorate)
                              : std::any_of(groups.begin(), groups.end(), quorate);
}

struct Anchor {
    Slot slot{};
    Digest hd;
};

// Where the chosen chain shares its prefix with the chain of one VIEW-CHANGE.
struct Claims {
    Slot shared{};
    bool counts = true;
    const std::vector<EntryRef>* nullset = nullptr;

    [[nodiscard]] bool claims(const EntryRef& entry) const {
        return counts && entry.slot <= shared && !contains(*nullset, entry);
    }
};

// Equal digests mean equal prefixes, so the highest equal slot says it all. Slots up to the
// sender's own checkpoint are decided for its group: nobody asks about them.
Judgement find_shared(const ViewChange& change, const Selected& selected,
                      const HeaderStore& headers, Claims& claims) {
    claims.nullset = &nullset_of(change);
    claims.counts = rules::claims_of_all_views || change.last.view == selected.tip->last.view;
    const Slot from = begins(change);
    if (change.last.to <= from) return {};
    auto found = headers.segment(from, change.last.to, change.last.hd);
    if (found.broken) return invalid("a broken chain");
    if (found.missing) return {std::nullopt, found.missing};
    const auto& digests = found.segment->digests;
    for (std::size_t i = digests.size(); i > 0; --i) {
        Slot slot = from + i;
        if (slot > selected.slot || slot <= selected.low) continue;
        if (digests[i - 1] == selected.chain.digests[slot - selected.low - 1]) {
            claims.shared = slot;
            break;
        }
    }
    return {};
}

// CF6: the newest configuration that the set itself proves. What lies up to its slot is decided in
// every group, so nobody asks who owned it.
BarrierCertPtr newest_barrier(const std::vector<ViewChangePtr>& set) {
    BarrierCertPtr newest;
    for (const ViewChangePtr& change : set)
        if (change->barrier && (!newest || newest->slot < change->barrier->slot))
            newest = change->barrier;
    return newest;
}

Judgement decide(const Membership& membership, const std::vector<ViewChangePtr>& set,
                 const HeaderStore& headers, const std::map<GroupId, Anchor>& stable,
                 Selected& selected) {
    const auto& owners = selected.base && rules::base_from_barriers ? selected.base->config->owners
                                                                    : membership.owners;
    std::map<GroupId, std::vector<Claims>> claims;
    for (const ViewChangePtr& change : set) {
        Claims& mine = claims[change->group].emplace_back();
        if (auto judged = find_shared(*change, selected, headers, mine); !judged.good())
            return judged;
    }
    const auto& earlier = nullset_of(*selected.tip);
    if (rules::sticky_null)
        for (const EntryRef& entry : earlier)
            if (entry.slot + null_retention > selected.slot) selected.null.push_back(entry);

    for (const HeaderPtr& header : selected.chain.headers) {
        for (std::uint32_t i = 0; i < header->entries.size(); ++i) {
            auto found = owners.find(header->entries[i].rid.home);
            if (found == owners.end()) return invalid("an entry of nobody");
            std::optional<GroupId> owner = found->second;
            EntryRef entry{header->slot, i};
            auto anchor = stable.find(*owner);
            if (anchor != stable.end() && entry.slot <= anchor->second.slot) continue;
            if (rules::sticky_null && contains(earlier, entry)) continue;
            const auto& of_owner = claims[*owner];
            auto claimed = static_cast<std::size_t>(
                std::count_if(of_owner.begin(), of_owner.end(),
                              [&](const Claims& c) { return c.claims(entry); }));
            if (claimed >= membership.quorum()) continue;  // a correct one has the body
            bool nullable = of_owner.size() - claimed >= membership.quorum();
            selected.open.push_back(
                {entry, *owner, header->entries[i].rd, nullable || !rules::nullify_by_claims});
        }
    }
    return {};
}

// The checkpoints of all groups lie on the chosen chain: f+1 members delivered them. Anything else
// is outside the fault model, and nothing is built on it.
bool on_chain(const Selected& selected, const Digest& genesis,
              const std::map<GroupId, Anchor>& stable) {
    if (selected.low.value == 0 && selected.chain.below != genesis) return false;
    return std::all_of(stable.begin(), stable.end(), [&](const auto& entry) {
        const Anchor& anchor = entry.second;
        if (anchor.slot == selected.low) return anchor.hd == selected.chain.below;
        return anchor.slot < selected.low ||
               selected.chain.digests[anchor.slot - selected.low - 1] == anchor.hd;
    });
}

}  // namespace

std::size_t headers_needed(const std::vector<ViewChangePtr>& changes, std::size_t fetched_at_once) {
    constexpr std::uint64_t headers_max = 4 * null_retention;
    Slot low(~std::uint64_t{0}), high{};
    std::map<Digest, std::uint64_t> longest;
    for (const ViewChangePtr& change : changes) {
        low = std::min(low, begins(*change));
        high = std::max(high, change->last.to);
        if (change->last.to <= begins(*change)) continue;
        std::uint64_t& length = longest[change->last.hd];
        length = std::max(length, change->last.to - begins(*change));
    }
    std::uint64_t total = high <= low ? 0 : std::min(high - low, headers_max);
    for (const auto& [hd, length] : longest) total += std::min(length, headers_max);
    total += fetched_at_once * (longest.size() + 1);
    return static_cast<std::size_t>(std::min(total, headers_max));
}

Judgement judge_headers(const Membership& membership, const ViewChange& change,
                        const HeaderStore& headers) {
    const Slot from = begins(change);
    if (change.last.to <= from) return {};
    auto found = headers.segment(from, change.last.to, change.last.hd);
    if (found.broken) return invalid("a broken chain");
    if (found.missing) return {std::nullopt, found.missing};
    Digest hd = change.stable ? change.stable->hd : genesis_header_digest(membership.cluster);
    UnixMillis ts_ms = change.stable ? change.stable->ts_ms : 0;
    if (at_barrier(change)) {
        hd = change.barrier->groups.front().hd;
        ts_ms = change.barrier->groups.front().ts_ms;
    }
    // A chain that leaves the stable one was given up: its sender has followed a later view, on the
    // votes of others. Whoever committed the checkpoint did so in a later view than `last`, so this
    // chain is never chosen, and what it would claim is decided. Its headers do not matter.
    if (from.value > 0 && found.segment->below != hd) return {};
    if (auto why = why_invalid(membership, from, hd, ts_ms, *found.segment)) return {why, {}};
    // VC3 g: a kept CONFIG is the last slot of whoever does not prove its barrier.
    for (const HeaderPtr& header : found.segment->headers) {
        bool config = !header->entries.empty() && header->entries.front().kind == EntryKind::config;
        bool proven = change.barrier && change.barrier->slot >= header->slot;
        if (!rules::barrier_shown || !config || proven || header->slot == change.last.to) continue;
        if (!contains(nullset_of(change), {header->slot, 0}))
            return invalid("a COMMIT beyond a configuration without its barrier");
    }
    return {};
}

namespace {

// CF6. A CONFIG entry behind everything that the set proves is the chain's last one: nobody commits
// beyond it without its barrier. Whoever may have, unseen, is a member of what it makes.
void join(const Membership& membership, const ConfigHistory& configs, const Configuration& base,
          const std::vector<ViewChangePtr>& set, const ComingOf& coming_of, Selection& selection,
          Selected& chosen) {
    if (!rules::joint_quorum || (chosen.base && chosen.base->slot >= chosen.slot)) return;
    std::optional<Configuration> next;
    BarrierCertPtr barrier = configs.barrier_at(chosen.slot);
    if (barrier && barrier->groups.front().hd == chosen.hd) {
        next = *barrier->config;
    } else if (chosen.chain.headers.empty()) {
        // Stable in every group, with a configuration that nobody shows.
        Digest known = chosen.base ? configuration_digest(*chosen.base->config) : Digest{};
        selection.barrier_missing =
            std::any_of(set.begin(), set.end(), [&](const ViewChangePtr& change) {
                return change->stable && change->stable->slot == chosen.slot &&
                       change->stable->config != known;
            });
        return;
    }
    const Header* header =
        chosen.chain.headers.empty() ? nullptr : chosen.chain.headers.back().get();
    if (header != nullptr) {
        if (header->entries.empty() || header->entries.front().kind != EntryKind::config) return;
        chosen.config = EntryRef{chosen.slot, 0};
        chosen.config_rd = header->entries.front().rd;
        if (contains(nullset_of(*chosen.tip), *chosen.config)) return chosen.config.reset();
        if (!next) {
            Coming coming = coming_of(header->entries.front(), base);
            chosen.config_body = coming.here;
            next = std::move(coming.config);
        }
    } else {
        chosen.config = EntryRef{chosen.slot, 0};
    }
    // Without a valid body it is nobody's configuration: no correct replica commits it (R4).
    if (!next) return;
    // A group that it adds has committed nothing yet, or the set would show the barrier: its
    // members wait for the coordinators (docs/adr/0026).
    std::erase_if(next->groups, [&](const Group& each) { return base.group(each.id) == nullptr; });
    chosen.joint_quorum = enough(membership, *next, members_of(*next, set));
}

}  // namespace

Selection select(const Membership& membership, const ConfigHistory& configs,
                 const std::vector<ViewChangePtr>& all, const HeaderStore& headers,
                 const ComingOf& coming_of) {
    Selection selection;
    Selected chosen;
    chosen.base = newest_barrier(all);
    const Configuration& base = chosen.base ? *chosen.base->config : configs.at(Slot(0));
    const std::vector<ViewChangePtr> set = members_of(base, all);
    selection.enough = enough(membership, base, set);
    if (!selection.enough) return selection;

    std::map<GroupId, Anchor> stable;
    for (const ViewChangePtr& change : set) {
        if (!chosen.tip || chosen.tip->last.before(change->last)) chosen.tip = change;
        if (!change->stable) continue;
        Anchor& anchor = stable[change->group];
        if (anchor.slot < change->stable->slot) anchor = {change->stable->slot, change->stable->hd};
    }
    if (chosen.base) {
        // What lies before it is decided in every group; who came by it has nothing there.
        for (const Group& group : base.groups) {
            Anchor& anchor = stable[group.id];
            if (anchor.slot < chosen.base->slot)
                anchor = {chosen.base->slot, chosen.base->groups.front().hd};
        }
    }
    Digest genesis = genesis_header_digest(membership.cluster);
    chosen.slot = chosen.tip->last.to;
    chosen.hd = chosen.tip->last.none() ? genesis : chosen.tip->last.hd;
    chosen.low = chosen.slot;
    for (const Group& group : base.groups) {
        if (group.removed()) continue;
        auto anchor = stable.find(group.id);
        Slot slot = anchor == stable.end() ? Slot(0) : anchor->second.slot;
        if (slot > chosen.slot) {
            selection.judgement = invalid("a checkpoint beyond every COMMIT");
            return selection;
        }
        chosen.low = std::min(chosen.low, slot);
    }
    auto chain = headers.segment(chosen.low, chosen.slot, chosen.hd);
    if (chain.broken || chain.missing) {
        selection.judgement =
            chain.broken ? invalid("a broken chain") : Judgement{std::nullopt, chain.missing};
        return selection;
    }
    chosen.chain = std::move(*chain.segment);
    if (!on_chain(chosen, genesis, stable)) {
        selection.judgement = invalid("a checkpoint that is not on the chain");
        return selection;
    }
    if (!chosen.chain.headers.empty()) chosen.ts_ms = chosen.chain.headers.back()->ts_ms;
    for (const ViewChangePtr& change : set)
        if (change->stable && change->stable->slot == chosen.slot)
            chosen.ts_ms = change->stable->ts_ms;
    if (chosen.base && chosen.base->slot == chosen.slot)
        chosen.ts_ms = chosen.base->groups.front().ts_ms;
    selection.judgement = decide(membership, set, headers, stable, chosen);
    if (selection.judgement.good())
        join(membership, configs, base, all, coming_of, selection, chosen);
    if (selection.judgement.good()) selection.selected = std::move(chosen);
    return selection;
}

std::optional<std::string> why_invalid(const NewView& new_view, const Selected& selected) {
    if (new_view.slot != selected.slot || new_view.hd != selected.hd)
        return "it does not begin where the VIEW-CHANGEs end";
    for (const EntryRef& entry : selected.null)
        if (!contains(new_view.nullset, entry)) return "it revives a nullified entry";
    for (const EntryRef& entry : new_view.nullset) {
        if (entry.slot > new_view.slot) return "it nullifies beyond its own chain";
        if (contains(selected.null, entry)) continue;
        auto open = std::lower_bound(
            selected.open.begin(), selected.open.end(), entry,
            [](const OpenEntry& e, const EntryRef& wanted) { return e.at < wanted; });
        if (open == selected.open.end() || open->at != entry || !open->nullable)
            return "it nullifies an entry that may have been committed";
    }
    return std::nullopt;
}

}  // namespace bft::consensus

// What makes the messages of checkpoints and view change valid, as far as their own content decides
// (VC3: a VIEW-CHANGE is judged as a unit; its headers are checked where the chain is known).
#include "consensus/configuration.hpp"
#include "consensus/rules.hpp"
#include "consensus/signed_bytes.hpp"
#include "consensus/verify.hpp"

#include <algorithm>

namespace bft::consensus {

namespace {

Error malformed(const char* what) {
    return error(Errc::malformed, what);
}

template <class T, class Less>
bool increasing(const std::vector<T>& items, Less less) {
    return std::adjacent_find(items.begin(), items.end(),
                              [&](const T& a, const T& b) { return !less(a, b); }) == items.end();
}

constexpr std::size_t positions_max = 64;

// Old and new identity of one seat never count together (CF4).
template <class T>
bool distinct_seats(const Membership& membership, const std::vector<T>& items) {
    std::uint64_t seats = 0;
    Position before{};
    for (const T& item : items) {
        std::uint64_t bit = std::uint64_t{1} << membership.seat(item.position);
        if ((&item != items.data() && item.position <= before) || (seats & bit) != 0) return false;
        seats |= bit;
        before = item.position;
    }
    return true;
}

// `after` may come later than `before`: groups and positions keep their identities, and who left
// stays away.
bool extends(const std::vector<Group>& before, const std::vector<Group>& after) {
    for (const Group& old : before) {
        auto same = std::find_if(after.begin(), after.end(),
                                 [&](const Group& group) { return group.id == old.id; });
        if (same == after.end() || same->added != old.added) return false;
        const Group& next = *same;
        if (old.members.size() > next.members.size()) return false;
        for (std::size_t p = 0; p < old.members.size(); ++p) {
            Position position(static_cast<std::uint32_t>(p));
            bool hole = old.members[p].host == nobody;
            if (!hole && old.members[p] != next.members[p]) return false;
            if (!hole && !old.active(position) && next.active(position)) return false;
        }
    }
    return true;
}

}  // namespace

Result<void> Verifier::check_signature(const Endpoint& signer, const Digest& digest,
                                       ByteView signature) const {
    const Bytes* key = membership_.identity_key(signer);
    if (key == nullptr) return error(Errc::refused, "the signer is not a member");
    if (!checker_.signed_by(*key, digest, signature))
        return error(Errc::refused, "the signature of " + to_string(signer) + " does not verify");
    return {};
}

Result<void> Verifier::check_checkpoint(const Checkpoint& m) const {
    return check_signature(Endpoint::replica(m.group, m.position),
                           checkpoint_digest(membership_.cluster, m), m.signature);
}

Result<void> Verifier::check_vouch(const Vouch& m) const {
    if (m.votes.size() < membership_.replicas_per_group() || m.votes.size() > positions_max ||
        m.ordering.size() > positions_max)
        return malformed("vouched counters");
    return check_signature(Endpoint::replica(m.group, m.position),
                           vouch_digest(membership_.cluster, m), m.signature);
}

Result<void> Verifier::check_request_vc(const RequestViewChange& m) const {
    if (m.view.value == 0) return malformed("nobody asks for view (0,0)");
    return check_signature(Endpoint::replica(m.group, m.position),
                           request_view_change_digest(membership_.cluster, m), m.signature);
}

Result<void> Verifier::check_trigger(const TriggerCertificate& m) const {
    if (m.requests.size() != membership_.quorum()) return malformed("number of REQ-VCs");
    if (!distinct_seats(membership_, m.requests)) return malformed("REQ-VCs not of distinct seats");
    for (const RequestViewChange& request : m.requests) {
        if (request.group != m.requests.front().group) return malformed("REQ-VCs of two groups");
        if (request.view < m.view) return malformed("a REQ-VC for an earlier view");
        if (auto checked = check_request_vc(request); !checked) return checked;
    }
    return m.view.value == 0 ? Result<void>(malformed("view (0,0)")) : Result<void>();
}

Result<void> Verifier::check_new_view(const NewView& m) const {
    if (m.view.value == 0 || m.ui.cv.value == 0) return malformed("view or counter 0");
    if (m.nullset.size() > limits_.nullset) return malformed("nullset too large");
    if (!increasing(m.nullset, std::less<>())) return malformed("nullset not sorted");
    std::size_t members = 0;
    for (const Group& group : membership_.groups) members += group.members.size();
    if (m.view_changes.size() > members) return malformed("too many VIEW-CHANGEs");
    auto by_member = [](const ViewChangeRef& a, const ViewChangeRef& b) {
        return std::pair(a.group, a.position) < std::pair(b.group, b.position);
    };
    if (!increasing(m.view_changes, by_member)) return malformed("VIEW-CHANGEs not distinct");
    auto usig = orderer(m.view);
    if (!usig) return usig.error();
    if (!checker_.certified(*usig, m.ui, new_view_digest(membership_.cluster, m)))
        return error(Errc::refused, "the NEW-VIEW's certificate does not verify");
    return {};
}

Result<void> Verifier::check_accept(const NewViewAccept& m) const {
    if (m.view.value == 0) return malformed("view (0,0) needs no NV-ACCEPT");
    return check_signature(Endpoint::replica(m.group, m.position),
                           accept_digest(membership_.cluster, m), m.signature);
}

Result<void> Verifier::check_signers(GroupId group,
                                     const std::vector<PositionSignature>& signers) const {
    if (membership_.group(group) == nullptr) return malformed("no such group");
    if (signers.size() != membership_.quorum()) return malformed("number of signatures");
    if (!distinct_seats(membership_, signers)) return malformed("signers not distinct");
    return {};
}

Result<void> Verifier::check_view_cert(const ViewCert& m) const {
    if (auto checked = check_new_view(m.new_view); !checked) return checked;
    if (auto checked = check_signers(m.group, m.signers); !checked) return checked;
    NewViewAccept accept{m.group,          {},
                         m.new_view.view,  new_view_digest(membership_.cluster, m.new_view),
                         m.new_view.ui.cv, {}};
    for (const PositionSignature& s : m.signers) {
        accept.position = s.position;
        accept.signature = s.signature;
        if (auto checked = check_accept(accept); !checked) return checked;
    }
    return {};
}

Result<void> Verifier::check_stable(const StableCert& m) const {
    if (m.slot.value == 0) return malformed("slot 0 needs no checkpoint");
    if (auto checked = check_signers(m.group, m.signers); !checked) return checked;
    for (const PositionSignature& s : m.signers) {
        if (auto checked = check_checkpoint(m.of(s)); !checked) return checked;
    }
    return {};
}

// CF3: every group delivered the slot, with one configuration after it. Who signs is a member
// before it, as far as is known here, and after it: nobody whom it replaces. What is older than
// what is known here, the engines compare with what they know.
Result<void> Verifier::check_barrier(const BarrierCert& m) const {
    if (!m.config) return malformed("a barrier without configuration");
    if (m.config->version <= membership_.version) return malformed("the first configuration");
    const bool newer = extends(membership_.groups, m.config->groups);
    if (!newer && !extends(m.config->groups, membership_.groups))
        return malformed("a configuration of other groups");
    const auto signing = static_cast<std::size_t>(
        std::count_if(m.config->groups.begin(), m.config->groups.end(),
                      [&](const Group& group) { return m.config->signs_barrier(group); }));
    if (m.groups.empty() || (rules::barrier_waited_for && m.groups.size() != signing))
        return malformed("a barrier of some groups");
    if (!increasing(m.groups, [](const auto& a, const auto& b) { return a.group < b.group; }))
        return malformed("groups not distinct");
    Digest digest = configuration_digest(*m.config);
    for (const StableCert& cert : m.groups) {
        if (cert.slot != m.slot || cert.hd != m.groups.front().hd ||
            cert.ts_ms != m.groups.front().ts_ms || cert.config != digest)
            return malformed("groups that did not deliver the same configuration");
        const Group* group = m.config->group(cert.group);
        if (group == nullptr || !m.config->signs_barrier(*group))
            return malformed("a barrier signed by a group that is not there around it");
        for (const PositionSignature& s : cert.signers)
            if (rules::replaced_excluded &&
                (!m.config->active(cert.group, s.position) ||
                 (newer && !membership_.active(cert.group, s.position))))
                return malformed("a barrier signed by somebody who is not a member around it");
        if (auto checked = check_stable(cert); !checked) return checked;
    }
    return {};
}

// Whether the parts are what f+1 signed, only the engine knows: it has them all.
Result<void> Verifier::check_state(const StatePart& m) const {
    if (m.parts == 0 || m.parts > limits_.state_parts || m.part >= m.parts)
        return malformed("number of parts");
    if (m.state.windows.size() + m.state.unfinished.size() > limits_.state_entries)
        return malformed("part too large");
    for (const auto& [slot, item] : m.state.unfinished)
        if (item.seqs.size() > limits_.parts_per_request) return malformed("number of partitions");
    if (m.state.next_seq.size() > membership_.owners.size()) return malformed("partitions");
    if (m.state.slot != m.cert.slot || m.state.hd != m.cert.hd || m.state.ts_ms != m.cert.ts_ms)
        return malformed("a state of another slot");
    if (m.vouches.size() > membership_.replicas_per_group()) return malformed("number of vouches");
    for (const Vouch& vouch : m.vouches) {
        if (vouch.group != m.cert.group) return malformed("vouch of another group");
        if (auto checked = check_vouch(vouch); !checked) return checked;
    }
    // Its content is named by what f+1 signed; so is the configuration.
    if (m.state.config != m.cert.config) return malformed("a state with another configuration");
    if (m.cert.config.is_zero() != (m.barrier == nullptr))
        return malformed("a state without its configuration");
    if (m.barrier) {
        if (m.barrier->slot > m.cert.slot || !m.barrier->config ||
            configuration_digest(*m.barrier->config) != m.cert.config)
            return malformed("a state with another configuration");
        if (auto checked = check_barrier(*m.barrier); !checked) return checked;
    }
    return check_stable(m.cert);
}

// VC3 a, b, f (without headers).
Result<void> Verifier::check_view_change(const ViewChange& m) const {
    auto usig = membership_.usig_of(Endpoint::replica(m.group, m.position));
    if (!usig) return error(Errc::refused, "VIEW-CHANGE of somebody who is not a member");
    if (m.ui.cv.value == 0 || m.view <= m.last.view)
        return malformed("VIEW-CHANGE for an old view");
    if (!checker_.certified(*usig, m.ui, view_change_digest(membership_.cluster, m)))
        return error(Errc::refused, "the VIEW-CHANGE's certificate does not verify");
    if (m.stable) {
        if (m.stable->group != m.group) return malformed("checkpoint of another group");
        if (auto checked = check_stable(*m.stable); !checked) return checked;
    }
    if (m.barrier)
        if (auto checked = check_barrier(*m.barrier); !checked) return checked;
    if (auto checked = check_configured(m); !checked) return checked;
    // CF11: a later epoch begins with its configuration.
    const std::uint64_t epoch = Membership::epoch(m.view);
    if (epoch > 0 && (!m.barrier || m.barrier->config->reigns.size() <= epoch))
        return malformed("a view of an epoch whose configuration it does not show");
    std::size_t vouches = m.base.value == 0 ? 0 : rules::vouch_quorum(membership_);
    if (rules::vouched_base && m.vouches.size() != vouches) return malformed("number of vouches");
    if (!distinct_seats(membership_, m.vouches)) return malformed("vouches not of distinct seats");
    for (const Vouch& vouch : m.vouches) {
        if (vouch.group != m.group) return malformed("vouch of another group");
        if (auto checked = check_vouch(vouch); !checked) return checked;
        if (m.position.value >= vouch.votes.size() || vouch.votes[m.position.value] < m.base)
            return malformed("vouched too little");
    }
    if (auto checked = check_vote_log(m); !checked) return checked;
    return check_last(m);
}

// VC3 g, CF5: nothing beyond a configuration is certified without its barrier. A checkpoint that
// names a configuration without barrier lies at, or beyond, what its sender committed. (What its
// chain holds, judge_headers() sees.)
Result<void> Verifier::check_configured(const ViewChange& m) const {
    if (!rules::barrier_shown || !m.stable || m.last.to <= m.stable->slot) return {};
    if (m.barrier && m.stable->slot < m.barrier->slot) return {};
    Digest shown = m.barrier ? configuration_digest(*m.barrier->config) : Digest{};
    if (m.stable->config != shown) return malformed("a COMMIT beyond a configuration");
    return {};
}

// VC3 e: the view and the slot of `last` are proven.
Result<void> Verifier::check_last(const ViewChange& m) const {
    const LastCommit& last = m.last;
    if (last.none()) {
        if (m.view_cert || m.from_new_view) return malformed("proof of nothing");
        return {};
    }
    Counter expected(last.to.value);
    auto usig = orderer(last.view);
    if (!usig) return usig.error();
    if (last.view.value == 0) {
        if (m.view_cert || m.from_new_view || !last.nvd.is_zero())
            return malformed("view (0,0) has no NEW-VIEW");
        if (last.to.value == 0) return malformed("slot 0");
    } else {
        if (!m.view_cert) return malformed("no ViewCert");
        const NewView& new_view = m.view_cert->new_view;
        auto certified =
            rules::view_certs ? check_view_cert(*m.view_cert) : check_new_view(new_view);
        if (!certified) return certified;
        if (new_view.view != last.view ||
            new_view_digest(membership_.cluster, new_view) != last.nvd)
            return malformed("ViewCert of another view");
        if (m.from_new_view) {
            if (last.to != new_view.slot || last.hd != new_view.hd ||
                m.proof.ui.cv != new_view.ui.cv)
                return malformed("not where the NEW-VIEW ends");
            if (!checker_.certified(*usig, m.proof.ui, last.nvd))
                return error(Errc::refused, "the certificate of the NEW-VIEW does not verify");
            return {};
        }
        if (last.to <= new_view.slot) return malformed("before the NEW-VIEW ends");
        expected = new_view.ui.cv + (last.to - new_view.slot);
    }
    // P7 of section 2.3: the rigid map of counters to slots.
    bool fits = m.proof.ui.cv == expected && m.proof.ui.voids == 0;
    if (rules::rigid_counters && !fits) return malformed("prepare certificate");
    Digest digest = prepare_digest(membership_.cluster, last.view, last.to, last.hd);
    if (!checker_.certified(*usig, m.proof.ui, digest))
        return error(Errc::refused, "the prepare certificate does not verify");
    return {};
}

Result<void> Verifier::check_void_promise(const VoidPromise& m) const {
    if (m.cv.value == 0) return malformed("counter value 0");
    return check_signature(Endpoint::replica(m.group, m.position),
                           void_promise_digest(membership_.cluster, m), m.signature);
}

// Needs nothing but the two certificates: whoever shows it, it is true.
Result<void> Verifier::check_equivocation(const EquivocationProof& m) const {
    auto usig = membership_.usig_of(owner_of(m.stream));
    if (!usig) return malformed("a stream that does not exist");
    if (m.cv.value == 0 || m.first_ui.cv != m.cv || m.second_ui.cv != m.cv)
        return malformed("not two certificates with one counter value");
    if (m.second <= m.first) return malformed("not two digests in order");
    if (!checker_.certified(*usig, m.first_ui, m.first) ||
        !checker_.certified(*usig, m.second_ui, m.second))
        return error(Errc::refused, "a certificate of the proof does not verify");
    return {};
}

// T1v: unanimous, so no correct processor ever counts the value.
Result<void> Verifier::check_void_cert(const VoidCert& m) const {
    if (!membership_.usig_of(owner_of(m.stream))) return malformed("a stream that does not exist");
    std::vector<Endpoint> processors = membership_.processors(m.stream);
    if (m.promises.size() != processors.size()) return malformed("a void that is not unanimous");
    for (std::size_t i = 0; i < processors.size(); ++i) {
        const VoidPromise& promise = m.promises[i];
        if (promise.stream != m.stream || promise.cv != m.cv)
            return malformed("a promise about another value");
        if (Endpoint::replica(promise.group, promise.position) != processors[i])
            return malformed("promises not of all processors in order");
        if (auto checked = check_void_promise(promise); !checked) return checked;
    }
    return {};
}

// VC3 c, d: nothing that was certified since `base` is left out, and it implies `last`.
Result<void> Verifier::check_vote_log(const ViewChange& m) const {
    if (m.log.size() > limits_.vote_log) return malformed("log too long");
    UsigId usig = *membership_.usig_of(Endpoint::replica(m.group, m.position));
    if (m.base.value > 0 && (m.log.empty() || m.log.front().ui.cv != m.base))
        return malformed("the log does not begin at its base");
    LastCommit last;
    View promised{};
    bool first = m.base.value > 0;  // verified by a correct voucher
    Counter at(m.base.value > 0 ? m.base.value - 1 : 0);
    auto follows = [&](const Ui& ui) {
        return ui.cv > at && ui.cv.value - at.value - 1 <= ui.voids;
    };
    StreamId own = StreamId::vote(m.group, m.position);
    if (m.voids.size() > limits_.voids) return malformed("too many voids");
    for (const VoidCert& cert : m.voids) {
        if (cert.stream != own) return malformed("a void of another counter");
        if (auto checked = check_void_cert(cert); !checked) return checked;
    }
    auto skip_voids = [&] {
        for (const VoidCert& cert : m.voids)
            if (cert.cv == at.next()) at = cert.cv;
    };
    for (const VoteEntry& entry : m.log) {
        skip_voids();
        if (!follows(entry.ui)) return malformed("a gap in the log");
        Digest digest = vote_entry_digest(membership_.cluster, m.group, m.position, entry);
        if (!checker_.certified(usig, entry.ui, digest))
            return error(Errc::refused, "a certificate in the log does not verify");
        if (entry.view_change) {
            if (!first && (entry.target <= promised || entry.last != last))
                return malformed("a VIEW-CHANGE in the log contradicts what is before it");
            promised = entry.target;
        } else {
            bool increases = !rules::monotone || last.before(entry.last);
            bool allowed = !rules::promises || entry.last.view >= promised;
            if (!first && !(increases && allowed))
                return malformed("COMMITs in the log do not increase");
            promised = std::max(promised, entry.last.view);
        }
        last = entry.last;
        at = entry.ui.cv;
        first = false;
    }
    if (!rules::vote_log) return {};
    skip_voids();
    if (!follows(m.ui)) return malformed("a gap before the VIEW-CHANGE");
    if (m.view <= promised) return malformed("views do not increase");
    if (last != m.last) return malformed("`last` is not what the log implies");
    return {};
}

}  // namespace bft::consensus

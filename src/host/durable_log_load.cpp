// What an engine of an earlier incarnation has left: not all of the log, which is also kept for
// peers, but what its recovery begins with.
#include "consensus/configuration.hpp"
#include "consensus/signed_bytes.hpp"
#include "host/durable_log_read.hpp"
#include "host/log_keys.hpp"

#include <algorithm>

namespace bft::host {

using consensus::Endpoint;
using consensus::minbft::Primary;
using consensus::minbft::Replica;
using keys::Kind;

namespace {

// More than the ViewCerts that COMMITs since a snapshot may refer to.
constexpr std::size_t view_certs_loaded = 64;

Bytes of_primary(Kind kind, PrimaryId primary) {
    return keys::Builder(kind).u32(primary.value).finish();
}

// Where the PREPAREs begin that lead from `snapshot` on: in one view, slots and counters go up
// together. What was certified in earlier views is looked through from the beginning.
Counter first_needed(const consensus::OrderingTrack& track, Slot snapshot) {
    if (!track.leading || snapshot < track.base_slot) return Counter(0);
    return std::min(track.processed, track.base + (snapshot - track.base_slot)).next();
}

}  // namespace

Result<Primary::Recovered> DurableLog::load_primary(PrimaryId primary) {
    Primary::Recovered log;
    Counter begin{};
    auto views = scan<consensus::NewViewRecord>(of_primary(Kind::own_new_view, primary), {},
                                                [&](consensus::NewViewRecord&& r) {
                                                    begin = r.new_view.ui.cv;
                                                    log.new_views = {std::move(r)};
                                                });
    if (!views) return views.error();
    const Counter newest_view = begin;
    log.standing =
        read<consensus::StandingRecord>(keys::newest(Kind::standing, Endpoint::primary(primary)));
    if (log.standing) begin = std::max(begin, log.standing->cv);
    auto prepares = scan<consensus::PrepareRecord>(
        of_primary(Kind::prepare, primary), keys::ordering(Kind::prepare, primary, begin),
        [&](consensus::PrepareRecord&& r) { log.prepares.push_back(std::move(r.prepare)); });
    if (!prepares) return prepares.error();
    if (auto voids = load_voids(log.voids); !voids) return voids.error();
    std::erase_if(log.voids, [&](const consensus::VoidCert& cert) {
        return cert.stream != consensus::StreamId::ordering(primary);
    });
    if (auto done = load_equivocations(log.equivocations); !done) return done.error();
    if (auto done = load_barriers(log.barriers); !done) return done.error();
    const Endpoint self = Endpoint::primary(primary);
    Bytes intent = keys::newest(Kind::counter_intent, self);
    log.intent = read<consensus::PrepareIntent>(intent);
    log.new_view_intent = read<consensus::NewViewIntent>(intent);
    Slot newest = log.prepares.empty() ? Slot(0) : log.prepares.back().slot;
    std::lock_guard lock(retention_mutex_);
    retention_.expect(self, begin, newest, newest_view);
    return log;
}

Result<Replica::Recovered> DurableLog::load_replica(GroupId group, Position position) {
    Replica::Recovered log;
    const Endpoint self = Endpoint::replica(group, position);
    if (auto snapshot = read<consensus::SnapshotPtr>(keys::newest(Kind::snapshot, self)))
        log.snapshot = std::move(*snapshot);
    log.vouches = read<consensus::VouchRecord>(keys::newest(Kind::vouched, self));
    log.view = read<consensus::ViewRecord>(keys::newest(Kind::view, self));
    if (auto stable = read<consensus::StableRecord>(keys::newest(Kind::stable, self)))
        log.stable = std::move(stable->cert);
    if (auto executed = read<consensus::ExecutedRecord>(keys::newest(Kind::executed, self)))
        log.executed = executed->slot;
    Bytes intent = keys::newest(Kind::vote_intent, self);
    log.intent = read<consensus::CommitIntent>(intent);
    log.view_change_intent = read<consensus::ViewChangeIntent>(intent);
    auto promises = scan<consensus::VoidPromiseRecord>(
        keys::Builder(Kind::void_promise).bytes(keys::newest(Kind::void_promise, self)).finish(),
        {}, [&](consensus::VoidPromiseRecord&& r) { log.void_promises.push_back(r); });
    if (!promises) return promises.error();
    if (auto done = load_voids(log.voids); !done) return done.error();
    if (auto done = load_equivocations(log.equivocations); !done) return done.error();
    if (auto fork = read<consensus::ForkRecord>(keys::newest(Kind::fork, self)))
        log.fork = std::move(fork->other);
    if (auto done = load_barriers(log.barriers); !done) return done.error();
    auto handovers = scan<consensus::HandoverRecord>(
        keys::Builder(Kind::handover).bytes(keys::newest(Kind::handover, self)).finish(), {},
        [&](consensus::HandoverRecord&& r) { log.handovers.push_back(std::move(r)); });
    if (!handovers) return handovers.error();
    // A group that the order added knows nothing of what was before the state that it begins with,
    // whatever others of this host have logged.
    const bool begun = log.snapshot || genesis_.group(group) != nullptr;
    if (begun)
        if (auto done = load_ordering(log); !done) return done.error();
    if (auto done = load_votes(log, group, position); !done) return done.error();
    if (auto done = load_views(log, group, position); !done) return done.error();
    if (begun)
        load_bodies(log, group);
    else
        std::erase_if(log.view_changes, [&](const auto& each) { return each->group != group; });
    std::lock_guard lock(retention_mutex_);
    retention_.expect(self, log.vouches ? log.vouches->base : Counter(0),
                      log.snapshot ? log.snapshot->slot : Slot(0));
    return log;
}

Result<void> DurableLog::load_ordering(Replica::Recovered& log) const {
    Slot begin = log.snapshot ? log.snapshot->slot : Slot(0);
    for (std::uint32_t p = 0; p < membership_.primaries.size(); ++p) {
        consensus::OrderingTrack track;
        if (log.snapshot && p < log.snapshot->ordering.size()) track = log.snapshot->ordering[p];
        Counter from = first_needed(track, begin);
        auto prepares = scan<consensus::PrepareRecord>(
            of_primary(Kind::prepare, PrimaryId(p)),
            keys::ordering(Kind::prepare, PrimaryId(p), from), [&](consensus::PrepareRecord&& r) {
                if (r.prepare.ui.cv > track.processed || r.prepare.slot > begin)
                    log.prepares.push_back(std::move(r.prepare));
            });
        if (!prepares) return prepares;
        for (Kind kind : {Kind::new_view, Kind::own_new_view}) {
            auto views = scan<consensus::NewViewRecord>(
                of_primary(kind, PrimaryId(p)), keys::ordering(kind, PrimaryId(p), track.base),
                [&](consensus::NewViewRecord&& r) {
                    log.new_views.push_back(std::move(r.new_view));
                });
            if (!views) return views;
        }
    }
    return scan<consensus::HeaderRecord>(keys::Builder(Kind::header).finish(), {},
                                         [&](consensus::HeaderRecord&& r) {
                                             if (r.header->slot > begin)
                                                 log.headers.push_back(std::move(r.header));
                                         });
}

// Own certified messages go back to where the vouches begin, peers' to what the snapshot covers.
Result<void> DurableLog::load_votes(Replica::Recovered& log, GroupId group,
                                    Position position) const {
    std::size_t members = membership_.replicas_per_group();
    for (const consensus::BarrierCertPtr& barrier : log.barriers)
        if (const consensus::Group* found = barrier->config->group(group))
            members = std::max(members, found->members.size());
    for (std::uint32_t j = 0; j < members; ++j) {
        bool own = Position(j) == position;
        Counter from(0);
        if (own && log.vouches) from = log.vouches->base;
        if (!own && log.snapshot && j < log.snapshot->votes.size())
            from = log.snapshot->votes[j].processed.next();
        Bytes prefix = keys::Builder(Kind::commit).u32(group.value).u32(j).finish();
        auto& commits = own ? log.own_commits : log.peer_commits;
        auto done = scan<consensus::CommitRecord>(
            prefix, keys::vote(Kind::commit, group, Position(j), from),
            [&](consensus::CommitRecord&& r) { commits.push_back(std::move(r.commit)); });
        if (!done) return done;
    }
    return {};
}

// VIEW-CHANGEs and ViewCerts are few.
Result<void> DurableLog::load_views(Replica::Recovered& log, GroupId group, Position position) {
    View current = log.view ? log.view->view : View(0);
    auto changes = scan<consensus::ViewChangeRecord>(
        keys::Builder(Kind::view_change).finish(), {}, [&](consensus::ViewChangeRecord&& r) {
            const consensus::ViewChange& change = *r.change;
            Counter covered{};
            if (change.group == group && change.position != position && log.snapshot &&
                change.position.value < log.snapshot->votes.size())
                covered = log.snapshot->votes[change.position.value].processed;
            bool ours = change.group == group && change.ui.cv > covered;
            if (ours || change.view >= current) log.view_changes.push_back(std::move(r.change));
        });
    if (!changes) return changes;
    auto certs = scan<consensus::ViewCertRecord>(
        keys::Builder(Kind::view_cert).finish(), {},
        [&](consensus::ViewCertRecord&& r) { log.view_certs.push_back(std::move(r.cert)); });
    if (!certs) return certs;
    std::stable_sort(
        log.view_certs.begin(), log.view_certs.end(),
        [](const auto& a, const auto& b) { return a->new_view.view > b->new_view.view; });
    if (!log.view_certs.empty()) {
        const consensus::NewView& newest = log.view_certs.front()->new_view;
        std::lock_guard lock(retention_mutex_);
        retention_.expect_cert(
            newest.view,
            keys::named(Kind::view_cert, consensus::new_view_digest(membership_.cluster, newest)));
    }
    if (log.view_certs.size() > view_certs_loaded) log.view_certs.resize(view_certs_loaded);
    return {};
}

Result<void> DurableLog::scan_barriers(std::vector<consensus::BarrierCertPtr>& barriers) const {
    return scan<consensus::BarrierRecord>(
        keys::Builder(Kind::barrier).finish(), {},
        [&](consensus::BarrierRecord&& r) { barriers.push_back(std::move(r.barrier)); });
}

Result<void> DurableLog::load_barriers(std::vector<consensus::BarrierCertPtr>& barriers) {
    auto done = scan_barriers(barriers);
    for (const consensus::BarrierCertPtr& barrier : barriers) follow(*barrier->config);
    return done;
}

Result<void> DurableLog::load_voids(std::vector<consensus::VoidCert>& voids) const {
    return scan<consensus::VoidRecord>(
        keys::Builder(Kind::void_cert).finish(), {},
        [&](consensus::VoidRecord&& r) { voids.push_back(std::move(r.cert)); });
}

Result<void> DurableLog::load_equivocations(
    std::vector<consensus::EquivocationProof>& proofs) const {
    return scan<consensus::EquivocationRecord>(
        keys::Builder(Kind::equivocation).finish(), {},
        [&](consensus::EquivocationRecord&& r) { proofs.push_back(std::move(r.proof)); });
}

// Those of the slots since the snapshot; all others were delivered before it.
void DurableLog::load_bodies(Replica::Recovered& log, GroupId group) const {
    consensus::ConfigHistory configs(genesis_);
    for (const consensus::BarrierCertPtr& barrier : log.barriers) configs.skip_to(barrier);
    auto load = [&](const consensus::Header& header) {
        // Configurations are on partition 0 and for every group.
        for (consensus::Body& each : bodies_of(header.slot)) {
            PartitionId home = each->id.home;
            if (home.value == 0 || configs.owner(header.slot, home) == group)
                log.bodies.emplace(each->rd, each);
        }
        for (const consensus::EntryHeader& entry : header.entries) {
            bool ours = configs.owner(header.slot, entry.rid.home) == group ||
                        entry.kind == consensus::EntryKind::config;
            if (!ours || log.bodies.contains(entry.rd)) continue;
            if (consensus::Body found = body(entry.rd)) log.bodies.emplace(entry.rd, found);
        }
    };
    for (const consensus::Prepare& prepare : log.prepares) load(*prepare.header);
    for (const consensus::HeaderPtr& header : log.headers) load(*header);
}

}  // namespace bft::host

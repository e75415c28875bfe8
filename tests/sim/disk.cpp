#include "disk.hpp"

#include "consensus/signed_bytes.hpp"

#include <algorithm>
#include <set>
#include <type_traits>

namespace bft::sim {

using namespace consensus;

namespace {

template <class M, class K>
std::optional<typename M::mapped_type> find(const M& map, const K& key) {
    auto found = map.find(key);
    if (found == map.end()) return std::nullopt;
    return found->second;
}

}  // namespace

void SimDisk::append(std::vector<Persist> records, std::function<void()> durable) {
    for (Persist& persist : records) {
        records_.push_back(std::move(persist.record));
        note_snapshot(records_.back());
        generations_.push_back(marks_.empty() ? Slot(0) : marks_.back().slot);
    }
    if (!durable) return;
    waiting_.emplace_back(records_.size(), std::move(durable));
    start_sync();
}

void SimDisk::start_sync() {
    if (syncing_ || waiting_.empty()) return;
    syncing_ = true;
    std::size_t upto = records_.size();
    auto jitter = static_cast<std::uint64_t>(sync_latency_.count());
    Duration wait = sync_latency_ / 2 + Duration(prng_.below(jitter + 1));
    if (slow_until_ > time_.now()) wait += slow_;
    time_.after(wait, [this, upto, incarnation = incarnation_] {
        if (incarnation == incarnation_) finish_sync(upto);
    });
}

void SimDisk::finish_sync(std::size_t upto) {
    // Never retried: what of it is on the disk, nobody knows.
    if (failed_) return std::exchange(failed_, nullptr)();
    std::uint64_t incarnation = incarnation_;
    syncing_ = false;
    synced_ = upto;
    std::vector<std::function<void()>> done;
    while (!waiting_.empty() && waiting_.front().first <= upto) {
        done.push_back(std::move(waiting_.front().second));
        waiting_.pop_front();
    }
    for (auto& callback : done) {
        if (incarnation != incarnation_) return;
        callback();
    }
    if (incarnation == incarnation_) start_sync();
}

void SimDisk::crash(std::size_t tail) {
    ++incarnation_;
    syncing_ = false;
    failed_ = nullptr;
    waiting_.clear();
    std::size_t kept = synced_ + prng_.below(records_.size() - synced_ + 1);
    records_.resize(tail > 0 ? synced_ - std::min(synced_, tail) : kept);
    synced_ = records_.size();
    generations_.resize(synced_);
    read_again();
}

void SimDisk::lose() {
    crash();
    records_.clear();
    generations_.clear();
    synced_ = 0;
    read_again();
}

// To before the intent of the last own certificate: what was certified since is nowhere in it.
bool SimDisk::roll_back(const Endpoint& self) {
    auto own_certificate = [&](const LogRecord& record) {
        if (const auto* commit = std::get_if<CommitRecord>(&record))
            return Endpoint::replica(commit->commit.group, commit->commit.position) == self;
        if (const auto* change = std::get_if<ViewChangeRecord>(&record))
            return Endpoint::replica(change->change->group, change->change->position) == self;
        if (const auto* prepare = std::get_if<PrepareRecord>(&record))
            return Endpoint::primary(membership_.primary_of(prepare->prepare.view)) == self;
        return false;
    };
    auto intent = [](const LogRecord& record) {
        return std::holds_alternative<PrepareIntent>(record) ||
               std::holds_alternative<NewViewIntent>(record) ||
               std::holds_alternative<CommitIntent>(record) ||
               std::holds_alternative<ViewChangeIntent>(record);
    };
    auto last = std::find_if(records_.rbegin(), records_.rend(), own_certificate);
    auto before = std::find_if(last, records_.rend(), intent);
    if (before == records_.rend()) return false;
    records_.resize(prng_.below(static_cast<std::uint64_t>(records_.rend() - before)));
    synced_ = records_.size();
    generations_.resize(synced_);
    read_again();
    return true;
}

void SimDisk::clone(const SimDisk& other) {
    records_ = other.records_;
    generations_ = other.generations_;
    marks_ = other.marks_;
    synced_ = other.synced_;
    crash();
}

void SimDisk::apply(const LogRecord& record) const {
    struct Visitor {
        const Membership& membership;
        State& state;
        void operator()(const BodyRecord& r) const { state.bodies[r.body->rd] = r.body; }
        void operator()(const SlotBodiesRecord& r) const {
            for (const Body& body : r.bodies) state.bodies[body->rd] = body;
        }
        void operator()(const PrepareRecord& r) const {
            state.prepares[{membership.primary_of(r.prepare.view), r.prepare.ui.cv}] = &r.prepare;
            state.by_digest[r.prepare.hd] = r.prepare.header;
        }
        void operator()(const PrepareIntent& r) const {
            state.prepare_intent = r;
            state.new_view_intent.reset();
        }
        void operator()(const NewViewIntent& r) const {
            state.new_view_intent = r;
            state.prepare_intent.reset();
        }
        void operator()(const CommitIntent& r) const {
            state.commit_intent = r;
            state.change_intent.reset();
        }
        void operator()(const ViewChangeIntent& r) const {
            state.change_intent = r;
            state.commit_intent.reset();
        }
        void operator()(const CommitRecord& r) const {
            state.commits[{r.commit.group, r.commit.position, r.commit.ui.cv}] = &r.commit;
        }
        void operator()(const ViewChangeRecord& r) const {
            state.changes[{r.change->group, r.change->position, r.change->ui.cv}] = r.change;
        }
        void operator()(const NewViewRecord& r) const {
            state.new_views[{membership.primary_of(r.new_view.view), r.new_view.ui.cv}] = &r;
        }
        void operator()(const HeaderRecord& r) const {
            Digest hd = header_digest(*r.header);
            state.headers[hd] = r.header;
            state.by_digest[hd] = r.header;
        }
        void operator()(const ViewCertRecord& r) const {
            state.certs[new_view_digest(membership.cluster, r.cert->new_view)] = r.cert;
        }
        void operator()(const ViewRecord& r) const { state.view = r; }
        void operator()(const VouchRecord& r) const { state.vouches = r; }
        void operator()(const StableRecord& r) const { state.stable = r.cert; }
        void operator()(const SnapshotPtr& r) const { state.snapshot = r; }
        void operator()(const VoidPromiseRecord& r) const { state.promises.push_back(r); }
        void operator()(const VoidRecord& r) const {
            state.voids[{r.cert.stream, r.cert.cv}] = r.cert;
        }
        void operator()(const EquivocationRecord& r) const {
            state.equivocations[r.proof.stream] = r.proof;
        }
        void operator()(const ForkRecord& r) const { state.fork = r.other; }
        void operator()(const BarrierRecord& r) const {
            state.barriers[r.barrier->slot] = r.barrier;
        }
        void operator()(const HandoverRecord& r) const {
            state.handovers[{r.state->slot, r.group}] = r;
        }
        void operator()(const ExecutedRecord& r) const { state.executed = r.slot; }
        void operator()(const StandingRecord& r) const { state.standing = r; }
    };
    std::visit(Visitor{membership_, state_}, record);
    if (retain_ == 0) return;
    if (const auto* prepare = std::get_if<PrepareRecord>(&record))
        state_.newest_prepared = std::max(state_.newest_prepared, prepare->prepare.slot);
    else if (const auto* standing = std::get_if<StandingRecord>(&record))
        std::erase_if(state_.prepares, [&](const auto& each) {
            return each.first.second < standing->cv && each.second->slot + retain_ < standing->slot;
        });
    else if (const auto* taken = std::get_if<SnapshotPtr>(&record))
        cut(**taken);
}

void SimDisk::cut(const SnapshotRecord& record) const {
    auto& marks = state_.marks;
    State::Mark mark{record.slot, {}, {}};
    for (const VoteTrack& track : record.votes) mark.votes.push_back(track.processed);
    for (std::size_t p = 0; p < record.ordering.size(); ++p) {
        const OrderingTrack& track = record.ordering[p];
        Counter reached = marks.empty() ? Counter(0) : counter_at(marks.back().ordering, p);
        if (track.leading && record.slot >= track.base_slot)
            reached = std::max(
                reached, std::min(track.processed, track.base + (record.slot - track.base_slot)));
        mark.ordering.push_back(reached);
    }
    marks.push_back(std::move(mark));
    while (marks.size() > 1 && marks[1].slot + retain_ <= record.slot) marks.pop_front();
    const State::Mark& line = marks.front();
    if (line.slot + retain_ > record.slot) return;
    std::set<Digest> done;  // bodies whose slots are behind everybody
    auto drop = [&](const HeaderPtr& header) {
        for (const EntryHeader& entry : header->entries) done.insert(entry.rd);
    };
    std::erase_if(state_.prepares, [&](const auto& each) {
        if (each.first.second >= counter_at(line.ordering, each.first.first.value)) return false;
        if (!state_.headers.contains(each.second->hd)) state_.by_digest.erase(each.second->hd);
        drop(each.second->header);
        return true;
    });
    std::erase_if(state_.new_views, [&](const auto& each) {
        return each.first.second < counter_at(line.ordering, each.first.first.value);
    });
    auto voted_below = [&](const auto& each) {
        const auto& [group, position, cv] = each.first;
        if (group != owner_.group) return false;
        Counter limit = counter_at(line.votes, position.value);
        if (position.value == owner_.index)
            limit = std::min(limit, state_.vouches ? state_.vouches->base : Counter(0));
        return cv < limit;
    };
    std::erase_if(state_.commits, voted_below);
    std::erase_if(state_.changes, voted_below);
    std::erase_if(state_.headers, [&](const auto& each) {
        if (each.second->slot >= line.slot) return false;
        drop(each.second);
        state_.by_digest.erase(each.first);
        return true;
    });
    for (const auto& [hd, header] : state_.by_digest)
        for (const EntryHeader& entry : header->entries) done.erase(entry.rd);
    for (const Digest& rd : done) state_.bodies.erase(rd);
}

std::optional<Prepare> SimDisk::prepare(PrimaryId primary, Counter cv) const {
    auto found = state().prepares.find(std::pair(primary, cv));
    if (found == state().prepares.end() || !served(*found->second)) return std::nullopt;
    return *found->second;
}

bool SimDisk::served(const Prepare& prepare) const {
    return retain_ == 0 || owner_.role != Endpoint::Role::primary ||
           prepare.slot + 2 * retain_ > state().newest_prepared;
}

std::optional<Commit> SimDisk::vote(GroupId group, Position position, Counter cv) const {
    auto found = state().commits.find(std::tuple(group, position, cv));
    if (found == state().commits.end()) return std::nullopt;
    return *found->second;
}

std::optional<NewView> SimDisk::new_view(PrimaryId primary, Counter cv) const {
    auto found = state().new_views.find({primary, cv});
    if (found == state().new_views.end()) return std::nullopt;
    return found->second->new_view;
}

ViewChangePtr SimDisk::view_change(GroupId group, Position position, Counter cv) const {
    return find(state().changes, std::tuple(group, position, cv)).value_or(nullptr);
}

HeaderPtr SimDisk::header(const Digest& hd) const {
    return find(state().by_digest, hd).value_or(nullptr);
}

ViewCertPtr SimDisk::view_cert(const Digest& nvd) const {
    return find(state().certs, nvd).value_or(nullptr);
}

std::optional<VoidCert> SimDisk::void_cert(const StreamId& stream, Counter cv) const {
    return find(state().voids, std::pair(stream, cv));
}

Body SimDisk::body(const Digest& rd) const {
    if (hide_bodies_) return nullptr;
    return find(state().bodies, rd).value_or(nullptr);
}

std::optional<Counter> SimDisk::next_from(const StreamId& stream, Counter from) const {
    std::optional<Counter> next;
    auto look = [&](const auto& messages, auto key, auto same_stream) {
        auto found = messages.lower_bound(key);
        if constexpr (std::is_same_v<std::decay_t<decltype(messages)>, decltype(state_.prepares)>)
            while (found != messages.end() && !served(*found->second)) ++found;
        if (found == messages.end() || !same_stream(found->first)) return;
        Counter cv = std::get<Counter>(found->first);
        if (!next || cv < *next) next = cv;
    };
    if (stream.kind == StreamId::Kind::ordering) {
        auto same = [&](const auto& key) { return key.first == stream.primary; };
        look(state().prepares, std::pair(stream.primary, from), same);
        look(state().new_views, std::pair(stream.primary, from), same);
        return next;
    }
    auto same = [&](const auto& key) {
        return std::get<0>(key) == stream.group && std::get<1>(key) == stream.position;
    };
    look(state().commits, std::tuple(stream.group, stream.position, from), same);
    look(state().changes, std::tuple(stream.group, stream.position, from), same);
    return next;
}

minbft::Primary::Recovered SimDisk::primary_log(PrimaryId self) const {
    minbft::Primary::Recovered log;
    for (const auto& [key, prepare] : state().prepares)
        if (key.first == self) log.prepares.push_back(*prepare);
    for (const auto& [key, record] : state().new_views)
        if (key.first == self) log.new_views.push_back(*record);
    log.intent = state().prepare_intent;
    log.new_view_intent = state().new_view_intent;
    log.standing = state().standing;
    for (const auto& [key, cert] : state().voids)
        if (key.first == StreamId::ordering(self)) log.voids.push_back(cert);
    for (const auto& [stream, proof] : state().equivocations) log.equivocations.push_back(proof);
    for (const auto& [slot, barrier] : state().barriers) log.barriers.push_back(barrier);
    return log;
}

minbft::Replica::Recovered SimDisk::replica_log(GroupId group, Position position) const {
    minbft::Replica::Recovered log;
    for (const auto& [key, prepare] : state().prepares) log.prepares.push_back(*prepare);
    for (const auto& [key, record] : state().new_views) log.new_views.push_back(record->new_view);
    for (const auto& [key, commit] : state().commits) {
        if (std::get<0>(key) != group) continue;
        (std::get<1>(key) == position ? log.own_commits : log.peer_commits).push_back(*commit);
    }
    for (const auto& [key, change] : state().changes) log.view_changes.push_back(change);
    for (const auto& [hd, header] : state().headers) log.headers.push_back(header);
    for (const auto& [nvd, cert] : state().certs) log.view_certs.push_back(cert);
    log.intent = state().commit_intent;
    log.view_change_intent = state().change_intent;
    log.view = state().view;
    log.vouches = state().vouches;
    log.stable = state().stable;
    log.snapshot = state().snapshot;
    log.executed = state().executed;
    log.void_promises = state().promises;
    for (const auto& [key, cert] : state().voids) log.voids.push_back(cert);
    for (const auto& [stream, proof] : state().equivocations) log.equivocations.push_back(proof);
    log.fork = state().fork;
    for (const auto& [slot, barrier] : state().barriers) log.barriers.push_back(barrier);
    for (const auto& [place, record] : state().handovers) log.handovers.push_back(record);
    for (const auto& [rd, body] : state().bodies) log.bodies.emplace(rd, body);
    return log;
}

}  // namespace bft::sim

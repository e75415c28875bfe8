#include "disk.hpp"

#include "consensus/signed_bytes.hpp"

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
        apply(persist.record);
        records_.push_back(std::move(persist.record));
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
    time_.after(sync_latency_ / 2 + Duration(prng_.below(jitter + 1)),
                [this, upto, incarnation = incarnation_] {
                    if (incarnation != incarnation_) return;
                    syncing_ = false;
                    synced_ = upto;
                    std::vector<std::function<void()>> done;
                    while (!waiting_.empty() && waiting_.front().first <= upto) {
                        done.push_back(std::move(waiting_.front().second));
                        waiting_.erase(waiting_.begin());
                    }
                    for (auto& callback : done) {
                        if (incarnation != incarnation_) return;
                        callback();
                    }
                    if (incarnation == incarnation_) start_sync();
                });
}

void SimDisk::crash(std::size_t tail) {
    ++incarnation_;
    syncing_ = false;
    waiting_.clear();
    std::size_t kept = synced_ + prng_.below(records_.size() - synced_ + 1);
    records_.resize(tail > 0 ? synced_ - std::min(synced_, tail) : kept);
    synced_ = records_.size();
    state_ = {};
    for (const LogRecord& record : records_) apply(record);
}

void SimDisk::lose() {
    crash();
    records_.clear();
    synced_ = 0;
    state_ = {};
}

void SimDisk::clone(const SimDisk& other) {
    records_ = other.records_;
    synced_ = other.synced_;
    crash();
}

void SimDisk::apply(const LogRecord& record) {
    struct Visitor {
        const Membership& membership;
        State& state;
        void operator()(const BodyRecord& r) const { state.bodies[r.body->rd] = r.body; }
        void operator()(const PrepareRecord& r) const {
            state.prepares[{membership.primary_of(r.prepare.view), r.prepare.ui.cv}] = r.prepare;
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
            state.commits[{r.commit.group, r.commit.position, r.commit.ui.cv}] = r.commit;
        }
        void operator()(const ViewChangeRecord& r) const {
            state.changes[{r.change->group, r.change->position, r.change->ui.cv}] = r.change;
        }
        void operator()(const NewViewRecord& r) const {
            state.new_views[{membership.primary_of(r.new_view.view), r.new_view.ui.cv}] = r;
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
        void operator()(const SnapshotRecord& r) const { state.snapshot = r; }
        void operator()(const VoidPromiseRecord& r) const { state.promises.push_back(r); }
        void operator()(const VoidRecord& r) const {
            state.voids[{r.cert.stream, r.cert.cv}] = r.cert;
        }
        void operator()(const ExecutedRecord& r) const { state.executed = r.slot; }
    };
    std::visit(Visitor{membership_, state_}, record);
}

std::optional<Prepare> SimDisk::prepare(PrimaryId primary, Counter cv) const {
    return find(state_.prepares, std::pair(primary, cv));
}

std::optional<Commit> SimDisk::vote(GroupId group, Position position, Counter cv) const {
    return find(state_.commits, std::tuple(group, position, cv));
}

std::optional<NewView> SimDisk::new_view(PrimaryId primary, Counter cv) const {
    auto found = state_.new_views.find({primary, cv});
    if (found == state_.new_views.end()) return std::nullopt;
    return found->second.new_view;
}

ViewChangePtr SimDisk::view_change(GroupId group, Position position, Counter cv) const {
    return find(state_.changes, std::tuple(group, position, cv)).value_or(nullptr);
}

HeaderPtr SimDisk::header(const Digest& hd) const {
    return find(state_.by_digest, hd).value_or(nullptr);
}

ViewCertPtr SimDisk::view_cert(const Digest& nvd) const {
    return find(state_.certs, nvd).value_or(nullptr);
}

std::optional<VoidCert> SimDisk::void_cert(const StreamId& stream, Counter cv) const {
    return find(state_.voids, std::pair(stream, cv));
}

Body SimDisk::body(const Digest& rd) const {
    if (hide_bodies_) return nullptr;
    return find(state_.bodies, rd).value_or(nullptr);
}

minbft::Primary::Recovered SimDisk::primary_log(PrimaryId self) const {
    minbft::Primary::Recovered log;
    for (const auto& [key, prepare] : state_.prepares)
        if (key.first == self) log.prepares.push_back(prepare);
    for (const auto& [key, record] : state_.new_views)
        if (key.first == self) log.new_views.push_back(record);
    log.intent = state_.prepare_intent;
    log.new_view_intent = state_.new_view_intent;
    for (const auto& [key, cert] : state_.voids)
        if (key.first == StreamId::ordering(self)) log.voids.push_back(cert);
    return log;
}

minbft::Replica::Recovered SimDisk::replica_log(GroupId group, Position position) const {
    minbft::Replica::Recovered log;
    for (const auto& [key, prepare] : state_.prepares) log.prepares.push_back(prepare);
    for (const auto& [key, record] : state_.new_views) log.new_views.push_back(record.new_view);
    for (const auto& [key, commit] : state_.commits) {
        if (std::get<0>(key) != group) continue;
        (std::get<1>(key) == position ? log.own_commits : log.peer_commits).push_back(commit);
    }
    for (const auto& [key, change] : state_.changes) log.view_changes.push_back(change);
    for (const auto& [hd, header] : state_.headers) log.headers.push_back(header);
    for (const auto& [nvd, cert] : state_.certs) log.view_certs.push_back(cert);
    log.intent = state_.commit_intent;
    log.view_change_intent = state_.change_intent;
    log.view = state_.view;
    log.vouches = state_.vouches;
    log.stable = state_.stable;
    log.snapshot = state_.snapshot;
    log.executed = state_.executed;
    log.void_promises = state_.promises;
    for (const auto& [key, cert] : state_.voids) log.voids.push_back(cert);
    for (const auto& [rd, body] : state_.bodies) log.bodies.emplace(rd, body);
    return log;
}

}  // namespace bft::sim

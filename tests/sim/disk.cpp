#include "disk.hpp"

namespace bft::sim {

using namespace consensus;

void SimDisk::append(std::vector<Persist> records, std::function<void()> durable) {
    for (Persist& persist : records) {
        index(persist.record);
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

void SimDisk::crash() {
    ++incarnation_;
    syncing_ = false;
    waiting_.clear();
    std::size_t kept = synced_ + prng_.below(records_.size() - synced_ + 1);
    records_.resize(kept);
    synced_ = kept;
    prepares_.clear();
    by_slot_.clear();
    votes_.clear();
    bodies_.clear();
    prepare_intent_.reset();
    commit_intent_.reset();
    executed_ = {};
    for (const LogRecord& record : records_) index(record);
}

void SimDisk::index(const LogRecord& record) {
    struct Visitor {
        SimDisk& disk;
        void operator()(const BodyRecord& r) const { disk.bodies_[r.body->rd] = r.body; }
        void operator()(const PrepareRecord& r) const {
            disk.prepares_[r.prepare.ui.cv] = r.prepare;
            disk.by_slot_[r.prepare.slot] = r.prepare.hd;
        }
        void operator()(const PrepareIntent& r) const { disk.prepare_intent_ = r; }
        void operator()(const CommitIntent& r) const { disk.commit_intent_ = r; }
        void operator()(const CommitRecord& r) const {
            disk.votes_[{r.commit.group, r.commit.position, r.commit.ui.cv}] = r.commit;
        }
        void operator()(const ExecutedRecord& r) const { disk.executed_ = r.slot; }
    };
    std::visit(Visitor{*this}, record);
}

std::optional<Prepare> SimDisk::prepare(PrimaryId primary, Counter cv) const {
    auto found = prepares_.find(cv);
    if (found == prepares_.end() || primary.value != 0) return std::nullopt;
    return found->second;
}

std::optional<Commit> SimDisk::vote(GroupId group, Position position, Counter cv) const {
    auto found = votes_.find({group, position, cv});
    if (found == votes_.end()) return std::nullopt;
    return found->second;
}

Body SimDisk::body(const Digest& rd) const {
    auto found = bodies_.find(rd);
    return found == bodies_.end() ? nullptr : found->second;
}

minbft::Primary::Recovered SimDisk::primary_log() const {
    minbft::Primary::Recovered log;
    for (const auto& [cv, prepare] : prepares_) log.prepares.push_back(prepare);
    log.intent = prepare_intent_;
    return log;
}

minbft::Replica::Recovered SimDisk::replica_log(GroupId group, Position position) const {
    minbft::Replica::Recovered log;
    for (const auto& [cv, prepare] : prepares_) log.prepares.push_back(prepare);
    for (const auto& [id, commit] : votes_) {
        if (std::get<0>(id) != group) continue;
        (std::get<1>(id) == position ? log.own_commits : log.peer_commits).push_back(commit);
    }
    log.intent = commit_intent_;
    log.executed = executed_;
    for (const auto& [rd, body] : bodies_) log.bodies.emplace(rd, body);
    return log;
}

}  // namespace bft::sim

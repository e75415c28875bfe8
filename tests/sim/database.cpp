#include "database.hpp"

#include "consensus/configuration.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::sim {

using namespace consensus;

namespace {

constexpr std::size_t batch_max = 8;

ItemResult spoiled(ItemResult row, std::uint64_t value) {
    row.outcome = Outcome::ok;
    row.code = 0;
    row.result = encode(value);
    row.rdig = result_digest(row.outcome, row.code, row.result);
    return row;
}

}  // namespace

SimDatabase::SimDatabase(Timeline& time, const Plan& plan, Prng prng, Observer observer)
    : time_(time),
      plan_(plan),
      prng_(prng),
      observer_(std::move(observer)),
      workers_(plan.workers) {}

SimDatabase::Condition SimDatabase::attach(DatabaseHandlers handlers) {
    handlers_ = std::move(handlers);
    if (half_built_) return Condition::half_built;
    return std::exchange(installed_, true) ? Condition::sound : Condition::empty;
}

void SimDatabase::later(Duration wait, std::function<void()> what) {
    time_.after(wait, [this, what = std::move(what), incarnation = incarnation_] {
        if (incarnation == incarnation_) what();
    });
}

// --- execution ---

void SimDatabase::execute(Execution execution) {
    std::size_t worker = execution.worker;
    workers_[worker].queue.push_back(std::move(execution));
    start(worker);
}

void SimDatabase::start(std::size_t index) {
    Worker& worker = workers_[index];
    if (!worker.batch.empty() || worker.queue.empty()) return;
    std::size_t size = std::min<std::size_t>(worker.queue.size(), prng_.between(1, batch_max));
    for (std::size_t i = 0; i < size; ++i) {
        worker.batch.push_back(std::move(worker.queue.front()));
        worker.queue.pop_front();
        if (worker.batch.back().cut) break;  // its snapshot is of exactly this point
    }
    // Deadlocks and lock timeouts: tried again, never recorded (V6).
    Duration wait = plan_.database_latency;
    while (prng_.chance(plan_.database_retry_permille)) wait += plan_.database_latency * 2;
    wait += Duration(prng_.below(static_cast<std::uint64_t>(wait.count()) + 1));
    if (full_until_ > time_.now()) wait += full_until_ - time_.now();
    if (plan_.mutation == Mutation::reply_before_commit) {
        std::vector<Executed> early;
        for (const Execution& e : worker.batch)
            early.push_back({e.group, e.slot, apply(e), e.item.seqs});
        later(wait / 2, [this, early, service = service_] {
            if (service == service_) handlers_.committed(early);
        });
    }
    later(wait, [this, index, service = service_] {
        if (service == service_) finish(index);
    });
}

void SimDatabase::finish(std::size_t index) {
    std::vector<Execution> batch = std::exchange(workers_[index].batch, {});
    if (auto partition = out_of_order(batch)) {
        stop_workers();
        return handlers_.damaged("cbft_part of partition " + std::to_string(partition->value) +
                                 " is not what was left there");
    }
    std::vector<Executed> results = commit(batch);
    if (batch.back().cut) cut(batch.back().slot);
    start(index);
    if (plan_.mutation != Mutation::reply_before_commit) handlers_.committed(results);
}

/// The partition on which the batch does not go on from what the database says.
std::optional<PartitionId> SimDatabase::out_of_order(const std::vector<Execution>& batch) const {
    if (plan_.mutation != Mutation::none) return std::nullopt;
    std::map<PartitionId, Seq> next;
    for (const Execution& execution : batch) {
        for (const PartitionSeq& s : execution.item.seqs) {
            auto stored = state_.next.find(s.partition);
            Seq first = stored == state_.next.end() ? Seq(1) : stored->second;
            Seq& expected = next.try_emplace(s.partition, first).first->second;
            if (s.seq != expected) return s.partition;
            expected = s.seq.next();
        }
    }
    return std::nullopt;
}

std::vector<Executed> SimDatabase::commit(const std::vector<Execution>& batch) {
    std::vector<Executed> results(batch.size());
    for (std::size_t i = 0; i < batch.size(); ++i) {
        bool backwards = plan_.mutation == Mutation::database_ignores_order;
        std::size_t which = backwards ? batch.size() - 1 - i : i;
        const Execution& execution = batch[which];
        ItemResult result = apply(execution);
        for (const PartitionSeq& s : execution.item.seqs) state_.next[s.partition] = s.seq.next();
        if (execution.item.kind == ItemKind::transaction)
            state_.executed.emplace(std::pair(execution.slot, execution.item.index), result);
        if (execution.item.kind == ItemKind::checkpoint)
            state_.forget_executed(execution.slot, plan_.exec_kept);
        if (execution.config) state_.config = encode(*execution.config);
        observer_(execution, result);
        results[which] = {execution.group, execution.slot, std::move(result), execution.item.seqs};
    }
    return results;
}

ItemResult SimDatabase::apply(const Execution& execution) {
    ItemResult result;
    result.index = execution.item.index;
    result.rid = execution.item.rid;
    result.has_result = true;
    if (execution.item.kind == ItemKind::checkpoint || execution.item.kind == ItemKind::config) {
        result.outcome = Outcome::ok;
        result.rdig = result_digest(result.outcome, 0, {});
        return result;
    }
    bool fresh = execution.item.kind == ItemKind::transaction &&
                 state_.windows[{result.rid.home, result.rid.client}].insert(
                     result.rid.cseq, execution.body->ack_low);
    if (!fresh) {
        result.outcome = Outcome::duplicate;
    } else {
        Effect effect = run(*execution.body, execution.item.ts_ms, execution.item.seed,
                            [&](PartitionId p) -> Rows& { return state_.rows[p]; });
        result.outcome = effect.outcome;
        result.code = effect.code;
        if (effect.outcome == Outcome::ok) result.result = encode(effect.value);
    }
    result.rdig = result_digest(result.outcome, result.code, result.result);
    return result;
}

ConfigurationPtr SimDatabase::config() const {
    if (state_.config.empty()) return nullptr;
    auto config = decode_configuration(state_.config);
    return config ? std::make_shared<const Configuration>(std::move(*config)) : nullptr;
}

std::vector<ItemResult> SimDatabase::lookup(const Lookup& lookup) const {
    std::vector<ItemResult> found;
    for (const DbItem& item : lookup.items)
        if (auto row = state_.executed.find({lookup.slot, item.index});
            row != state_.executed.end())
            found.push_back(row->second);
    return found;
}

void SimDatabase::stop_workers() {
    ++service_;
    for (Worker& worker : workers_) {
        worker.queue.clear();
        std::vector<Execution> batch = std::exchange(worker.batch, {});
        if (batch.empty() || out_of_order(batch) || prng_.chance(500)) continue;
        std::map<PartitionId, Seq> before = state_.next;
        commit(batch);
        if (plan_.mutation == Mutation::database_not_atomic) {
            state_.next = std::move(before);
            state_.windows.clear();
        }
    }
}

void SimDatabase::detach() {
    ++incarnation_;
    handlers_ = {};
    stop_workers();
    snapshot_.reset();
}

// --- snapshots ---

void SimDatabase::cut(Slot slot) {
    if (snapshot_) return later({}, [this, slot] { handlers_.cut_skipped(slot); });
    snapshot_ = Snapshot{slot, chunks_of(state_)};
    later(plan_.scan_time, [this, slot, which = ++snapshots_] {
        if (!snapshot_ || which != snapshots_) return;
        // Now and then the connection breaks.
        bool broke = plan_.database_retry_permille > 0 && prng_.chance(20);
        handlers_.scanned({slot, broke ? nullptr : leaves_of(snapshot_->tables)});
    });
}

void SimDatabase::close_snapshot() {
    snapshot_.reset();
}

void SimDatabase::read(const ChunkExport& asked) {
    later(plan_.database_latency, [this, asked] {
        bool there = snapshot_ && snapshot_->slot == asked.slot &&
                     asked.leaf < snapshot_->tables.size() &&
                     asked.chunk < snapshot_->tables[asked.leaf].chunks.size();
        std::optional<Bytes> rows;
        if (there) rows = snapshot_->tables[asked.leaf].chunks[asked.chunk];
        handlers_.exported(asked, std::move(rows));
    });
}

// --- rebuilding ---

void SimDatabase::begin_rebuild(Rebuild what) {
    stop_workers();
    half_built_ = true;
    state_ = {};
    rebuild_ = std::move(what);
    later(plan_.database_latency * 4, [this] { handlers_.ready(); });
}

void SimDatabase::load(ChunkLoad chunk) {
    later(plan_.database_latency, [this, chunk = std::move(chunk)] {
        if (!load_chunk(state_, rebuild_.leaves->at(chunk.leaf), chunk.rows))
            return handlers_.rebuild_failed("rows that do not fit their table");
        handlers_.loaded();
    });
}

void SimDatabase::finish_rebuild() {
    later(plan_.scan_time, [this] {
        if (database_root(*leaves_of(chunks_of(state_))) != rebuild_.root)
            return handlers_.rebuild_failed("the loaded rows have another root");
        half_built_ = false;
        handlers_.rebuilt();
    });
}

// --- behind the voter's back ---

void SimDatabase::tamper(Tampering how) {
    auto any = [&](auto& map) {
        return std::next(map.begin(), static_cast<std::ptrdiff_t>(prng_.below(map.size())));
    };
    switch (how) {
        case Tampering::row:
            if (!state_.rows.empty()) any(state_.rows)->second[prng_.below(4)] ^= 1;
            return;
        case Tampering::sequence:
            if (state_.next.empty()) return;
            if (Seq& seq = any(state_.next)->second; seq.value > 1 && prng_.chance(500))
                seq = Seq(prng_.between(1, seq.value - 1));
            else
                seq =
                    seq + (prng_.chance(400) ? prng_.between(1000, 100'000) : prng_.between(1, 3));
            return;
        case Tampering::answer:
            if (state_.executed.empty()) return;
            if (auto row = any(state_.executed); prng_.chance(500))
                state_.executed.erase(row);
            else
                row->second = spoiled(row->second, prng_.next());
            return;
        case Tampering::window:
            if (!state_.windows.empty()) any(state_.windows)->second = {};
            return;
        case Tampering::everything:
            state_ = {};
            installed_ = half_built_ = false;
            return;
    }
}

}  // namespace bft::sim

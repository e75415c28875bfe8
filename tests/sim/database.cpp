#include "database.hpp"

#include "consensus/signed_bytes.hpp"

namespace bft::sim {

using namespace consensus;

namespace {

constexpr std::size_t batch_max = 8;

}  // namespace

SimDatabase::SimDatabase(Timeline& time, const Plan& plan, Prng prng, Observer observer)
    : time_(time),
      plan_(plan),
      prng_(prng),
      observer_(std::move(observer)),
      workers_(plan.workers) {}

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
    }
    // Deadlocks and lock timeouts: tried again, never recorded (V6).
    Duration wait = plan_.database_latency;
    while (prng_.chance(plan_.database_retry_permille)) wait += plan_.database_latency * 2;
    wait += Duration(prng_.below(static_cast<std::uint64_t>(wait.count()) + 1));
    if (plan_.mutation == Mutation::reply_before_commit) {
        std::vector<Executed> early;
        for (const Execution& e : worker.batch)
            early.push_back({e.group, e.slot, apply(e), e.item.seqs});
        time_.after(wait / 2, [this, early, incarnation = incarnation_] {
            if (incarnation == incarnation_) committed_(early);
        });
    }
    time_.after(wait, [this, index, incarnation = incarnation_] {
        if (incarnation == incarnation_) finish(index);
    });
}

void SimDatabase::finish(std::size_t index) {
    std::vector<Execution> batch = std::exchange(workers_[index].batch, {});
    std::vector<Executed> results = commit(batch);
    start(index);
    if (plan_.mutation != Mutation::reply_before_commit) committed_(results);
}

std::vector<Executed> SimDatabase::commit(const std::vector<Execution>& batch) {
    std::vector<Executed> results(batch.size());
    for (std::size_t i = 0; i < batch.size(); ++i) {
        bool backwards = plan_.mutation == Mutation::database_ignores_order;
        std::size_t which = backwards ? batch.size() - 1 - i : i;
        const Execution& execution = batch[which];
        ItemResult result = apply(execution);
        for (const PartitionSeq& s : execution.item.seqs) next_[s.partition] = s.seq.next();
        if (execution.item.kind == ItemKind::transaction)
            executed_.emplace(std::pair(execution.slot, execution.item.index), result);
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
    bool fresh = execution.item.kind == ItemKind::transaction &&
                 windows_[{result.rid.home, result.rid.client}].insert(result.rid.cseq,
                                                                       execution.body->ack_low);
    if (!fresh) {
        result.outcome = Outcome::duplicate;
    } else {
        Effect effect = run(*execution.body, execution.item.ts_ms, execution.item.seed,
                            [&](PartitionId p) -> Rows& { return rows_[p]; });
        result.outcome = effect.outcome;
        result.code = effect.code;
        if (effect.outcome == Outcome::ok) result.result = encode(effect.value);
    }
    result.rdig = result_digest(result.outcome, result.code, result.result);
    return result;
}

std::vector<ItemResult> SimDatabase::lookup(const Lookup& lookup) const {
    std::vector<ItemResult> found;
    for (const DbItem& item : lookup.items)
        if (auto row = executed_.find({lookup.slot, item.index}); row != executed_.end())
            found.push_back(row->second);
    return found;
}

void SimDatabase::detach() {
    ++incarnation_;
    committed_ = nullptr;
    for (Worker& worker : workers_) {
        worker.queue.clear();
        std::vector<Execution> batch = std::exchange(worker.batch, {});
        if (batch.empty() || prng_.chance(500)) continue;
        std::map<PartitionId, Seq> before = next_;
        commit(batch);
        if (plan_.mutation == Mutation::database_not_atomic) {
            next_ = std::move(before);
            windows_.clear();
        }
    }
}

}  // namespace bft::sim

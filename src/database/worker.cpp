#include "database/worker.hpp"

#include "database/rebuild.hpp"
#include "database/setup.hpp"

#include <boost/asio/post.hpp>

#include <ctime>

namespace bft::database {
namespace {

// Well below ExecutorOptions' idle timeout (see executor.cpp), so that quiet sessions stay alive.
constexpr std::chrono::seconds kQuiet{30};
constexpr std::chrono::seconds kWatch{1};
constexpr std::chrono::seconds kComplainAgain{10};
constexpr unsigned kFailuresToDivide = 3;
constexpr unsigned kFailuresToComplain = 6;

}  // namespace

void ExecutorShared::raise(Alarm::Kind kind, std::string text) {
    boost::asio::post(io, [handlers = handlers, alarm = Alarm{kind, std::move(text)}] {
        if (handlers->alarm) handlers->alarm(alarm);
    });
}

void SessionThread::start(Session session) {
    session_ = std::move(session);
    thread_ = std::thread([this] {
        run();
        session_.reset();
        mysql_thread_end();
    });
}

void SessionThread::wake() {
    std::lock_guard lock(mutex_);
    changed_.notify_all();
}

void SessionThread::join() {
    if (thread_.joinable()) thread_.join();
}

void SessionThread::pause(std::chrono::milliseconds length) {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, std::chrono::steady_clock::now() + length,
                        [&] { return shared_.stopping(); });
}

std::chrono::milliseconds SessionThread::back_off(unsigned failures) {
    auto longest = static_cast<std::uint64_t>(shared_.options.retry_max.count());
    auto length = static_cast<std::uint64_t>(shared_.options.retry_min.count())
                  << std::min(failures, 20u);
    length = std::min(length, longest);
    return std::chrono::milliseconds(prng_.between(length / 2, length));
}

void SessionThread::complain(Alarm::Kind kind, const std::string& text) {
    auto now = std::chrono::steady_clock::now();
    if (complained_ && now - *complained_ < kComplainAgain) return;
    complained_ = now;
    shared_.raise(kind, text);
}

void SessionThread::recovered() {
    if (!complained_) return;
    complained_.reset();
    shared_.raise(Alarm::Kind::database_back, "the database executes again");
}

void SessionThread::stop_for_good(Alarm::Kind kind, const std::string& text) {
    shared_.stop = true;
    shared_.raise(kind, text);
}

void SessionThread::count_cpu() {
    timespec used{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    auto now = static_cast<std::uint64_t>(used.tv_sec) * 1'000'000 +
               static_cast<std::uint64_t>(used.tv_nsec) / 1000;
    shared_.counters.cpu_us += now - cpu_seen_us_;
    cpu_seen_us_ = now;
}

Session* SessionThread::session() {
    for (unsigned failures = 0; !shared_.stopping(); ++failures) {
        if (session_) return &*session_;
        auto next = Session::connect(shared_.options.connect);
        if (next && connected(*next)) {
            session_ = std::move(*next);
            ++shared_.counters.reconnects;
            recovered();
        } else {
            if (!next && next.error().code == Errc::not_found) {
                stop_for_good(Alarm::Kind::damaged, next.error().what);
                return nullptr;
            }
            if (!next) complain(Alarm::Kind::database_lost, next.error().what);
            pause(back_off(failures));
        }
    }
    return nullptr;
}

// --- Worker
// ----------------------------------------------------------------------------------------

bool Worker::push(consensus::Execution execution) {
    std::lock_guard lock(mutex_);
    if (queue_.size() >= shared_.options.queue_max) return false;
    queue_.push_back(std::move(execution));
    changed_.notify_one();
    return true;
}

std::vector<consensus::Execution> Worker::take() {
    std::unique_lock lock(mutex_);
    auto ready = [&] { return shared_.stopping() || !queue_.empty(); };
    while (!changed_.wait_until(lock, std::chrono::steady_clock::now() + kQuiet, ready)) {
        lock.unlock();
        if (auto* quiet = session(); quiet != nullptr && !quiet->run("DO 0")) drop_session();
        lock.lock();
    }
    std::vector<consensus::Execution> executions;
    if (shared_.stopping()) return executions;
    std::size_t count = std::min<std::size_t>(queue_.size(), shared_.options.batch_max);
    executions.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        executions.push_back(std::move(queue_.front()));
        queue_.pop_front();
        // A cut shows the database before anything that follows, and what is forgotten there must
        // not depend on what follows either.
        if (executions.back().item.kind == consensus::ItemKind::checkpoint) break;
    }
    return executions;
}

void Worker::run() {
    while (!shared_.stopping()) {
        auto executions = take();
        if (executions.empty() || !run_batch(std::move(executions))) return;
        count_cpu();
    }
}

bool Worker::run_batch(std::vector<consensus::Execution> executions) {
    Batch batch(shared_.application, std::move(executions));
    for (unsigned failures = 0; Session* current = session();) {
        Attempt attempt = batch.attempt(*current, shared_.windows);
        switch (attempt.end) {
            case Attempt::End::committed:
                committed(batch);
                return true;
            case Attempt::End::again:
                continue;
            case Attempt::End::wrong_sequence:
            case Attempt::End::broken:
                stop_for_good(Alarm::Kind::wrong_sequence, attempt.why);
                return false;
            case Attempt::End::unknown:
            case Attempt::End::retry:
                break;
        }
        ++shared_.counters.retries;
        if (!after_failure(batch, attempt, ++failures)) continue;
        auto all = batch.take_executions();
        auto middle = all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2);
        std::vector<consensus::Execution> rest(std::make_move_iterator(middle),
                                               std::make_move_iterator(all.end()));
        all.erase(middle, all.end());
        return run_batch(std::move(all)) && run_batch(std::move(rest));
    }
    return false;
}

bool Worker::after_failure(const Batch& batch, const Attempt& attempt, unsigned failures) {
    if (attempt.verdict == Verdict::lost || attempt.end == Attempt::End::unknown) {
        drop_session();
        return false;  // session() waits as long as nobody answers
    }
    if (attempt.damage && is_damaged(attempt.why)) return false;
    if (attempt.verdict == Verdict::disk_full) {
        complain(Alarm::Kind::disk_full,
                 "the database's host has no room (" + attempt.why +
                     "): make room; nothing is executed until then, nothing is lost");
        pause(shared_.options.disk_full_retry);
        return false;
    }
    if (failures >= kFailuresToComplain)
        complain(Alarm::Kind::stuck, "a transaction fails again and again, not by rule (" +
                                         attempt.why +
                                         "): it is retried and nothing behind it is executed");
    pause(back_off(failures));
    return failures >= kFailuresToDivide && batch.divisible();
}

// A procedure that names a table which no database has fails with the same errors: only what the
// application has and this database has not is damage.
bool Worker::is_damaged(const std::string& why) {
    Session* current = session();
    if (current == nullptr) return false;
    auto missing = missing_parts(*current, shared_.application);
    if (!missing || missing->empty()) return false;
    std::string all;
    for (const auto& part : *missing) all += (all.empty() ? "" : ", ") + part;
    stop_for_good(Alarm::Kind::damaged, "missing: " + all + " (" + why + ")");
    return true;
}

void Worker::committed(const Batch& batch) {
    if (auto slot = batch.cut(); slot && shared_.handlers->cut) shared_.handlers->cut(*slot);
    shared_.windows.store(batch.windows());
    recovered();
    auto results = batch.results();
    auto& counters = shared_.counters;
    ++counters.batches;
    counters.together += batch.ran_together();
    counters.executed += results.size();
    for (const auto& executed : results) {
        if (executed.result.outcome == consensus::Outcome::aborted) ++counters.aborted;
        if (executed.result.outcome == consensus::Outcome::duplicate) ++counters.duplicates;
    }
    boost::asio::post(shared_.io,
                      [handlers = shared_.handlers, results = std::move(results)]() mutable {
                          if (handlers->executed) handlers->executed(std::move(results));
                      });
}

// --- Control
// ---------------------------------------------------------------------------------------

bool Control::push(consensus::Lookup lookup) {
    std::lock_guard lock(mutex_);
    if (queue_.size() >= shared_.options.lookups_max) return false;
    queue_.push_back(std::move(lookup));
    changed_.notify_one();
    return true;
}

bool Control::connected(Session& session) {
    auto locked = lock_database(session);
    if (locked) return true;
    if (locked.error().code == Errc::refused)
        stop_for_good(Alarm::Kind::second_voter, locked.error().what);
    return false;
}

void Control::run() {
    while (!shared_.stopping()) {
        std::optional<consensus::Lookup> lookup;
        {
            std::unique_lock lock(mutex_);
            auto ready = [&] { return shared_.stopping() || !queue_.empty(); };
            changed_.wait_until(lock, std::chrono::steady_clock::now() + kWatch, ready);
            if (!queue_.empty()) {
                lookup = std::move(queue_.front());
                queue_.pop_front();
            }
        }
        if (lookup) {
            answer(std::move(*lookup));
        } else if (auto* current = session(); current != nullptr && !current->run("DO 0")) {
            // The lock went with the connection: take it again at once.
            drop_session();
        }
        count_cpu();
    }
}

void Control::answer(consensus::Lookup lookup) {
    for (unsigned failures = 0; Session* current = session();) {
        auto found = find_results(*current, lookup.slot, lookup.items);
        if (found) {
            ++shared_.counters.lookups;
            boost::asio::post(shared_.io, [handlers = shared_.handlers, lookup = std::move(lookup),
                                           results = std::move(*found)]() mutable {
                if (handlers->found) handlers->found(std::move(lookup), std::move(results));
            });
            return;
        }
        drop_session();
        pause(back_off(++failures));
    }
}

}  // namespace bft::database

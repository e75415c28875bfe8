#include "usig/tpm_worker.hpp"

#include <boost/asio/post.hpp>

namespace bft::usig {

TpmWorker::TpmWorker(Ledger& ledger, boost::asio::any_io_executor executor, Options options,
                     std::function<void(const Error&)> on_fatal)
    : ledger_(ledger),
      executor_(std::move(executor)),
      options_(options),
      on_fatal_(std::move(on_fatal)),
      thread_([this] { run(); }) {}

TpmWorker::~TpmWorker() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
}

bool TpmWorker::submit(Job job) {
    {
        const std::lock_guard lock(mutex_);
        auto& queue = queues_[job.identity];
        if (queue.size() >= options_.queue_max) return false;
        queue.push_back(std::move(job));
    }
    wake_.notify_all();
    return true;
}

void TpmWorker::run() {
    for (;;) {
        auto round = take(ready_.empty());
        if (round.empty() && ready_.empty()) return;  // stopping
        // One sync makes the last round's certificates and this round's intents durable.
        record(round);
        publish();
        for (auto& job : round) {
            perform(std::move(job));
            if (std::chrono::steady_clock::now() - published_ > options_.answer_within) publish();
        }
    }
}

/// One job of each counter that has one, beginning behind the counter that was served last.
std::vector<TpmWorker::Job> TpmWorker::take(bool wait) {
    std::unique_lock lock(mutex_);
    std::vector<Job> round;
    const auto collect = [&](auto from, auto to) {
        for (; from != to && round.size() < options_.round_max; ++from) {
            auto& [identity, queue] = *from;
            if (queue.empty()) continue;
            round.push_back(std::move(queue.front()));
            queue.pop_front();
        }
    };
    for (;;) {
        if (stopping_) return {};
        const auto middle = queues_.upper_bound(served_);
        collect(middle, queues_.end());
        collect(queues_.begin(), middle);
        if (!round.empty()) served_ = round.back().identity;
        if (!round.empty() || !wait) return round;
        wake_.wait(lock);
    }
}

void TpmWorker::record(std::vector<Job>& round) {
    std::erase_if(round, [&](Job& job) {
        const auto* create = std::get_if<Job::Create>(&job.what);
        if (create == nullptr) return false;
        auto ok = ledger_.intend(job.identity, create->digest);
        if (ok) return false;
        ready_.push_back({std::move(job), ok.error()});
        return true;
    });
}

void TpmWorker::perform(Job job) {
    const auto* create = std::get_if<Job::Create>(&job.what);
    if (create == nullptr) {
        const auto* forsake = std::get_if<Job::Forsake>(&job.what);
        auto standing = forsake != nullptr ? ledger_.forsake(job.identity, forsake->cv)
                                           : ledger_.standing(job.identity);
        ready_.push_back({std::move(job), std::move(standing)});
        return;
    }
    wait_delay();
    const auto digest = create->digest;
    auto ui = ledger_.create(job.identity);
    if (ui)
        ready_.push_back({std::move(job), Standing{Certified{digest, std::move(*ui)}, {}}});
    else
        ready_.push_back({std::move(job), ui.error()});
}

void TpmWorker::publish() {
    published_ = std::chrono::steady_clock::now();
    const auto synced = ledger_.sync();
    for (auto& one : ready_) {
        if (ledger_.fatal())
            one.result = error(Errc::unavailable, "USIG service stopped: " + ledger_.fatal()->what);
        else if (!synced)
            one.result = synced.error();
        boost::asio::post(executor_, [done = std::move(one.job.done),
                                      result = std::move(one.result)] { done(result); });
    }
    ready_.clear();
    if (ledger_.fatal() && !fatal_told_) {
        fatal_told_ = true;
        boost::asio::post(executor_, [told = on_fatal_, problem = *ledger_.fatal()] {
            if (told) told(problem);
        });
    }
}

void TpmWorker::wait_delay() {
    if (options_.delay <= Duration{}) return;
    std::unique_lock lock(mutex_);
    wake_.wait_until(lock, std::chrono::steady_clock::now() + options_.delay,
                     [&] { return stopping_; });
}

}  // namespace bft::usig

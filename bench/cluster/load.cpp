#include "load.hpp"

#include "bftnode/client.hpp"
#include "cpu_account.hpp"

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <sys/resource.h>
#include <thread>

namespace bft::ordering {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::duration_cast;
using std::chrono::microseconds;

constexpr std::chrono::seconds connect_patience(20);
constexpr std::chrono::seconds drain_patience(30);
constexpr std::chrono::milliseconds step(20);

microseconds own_cpu_time() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    auto us = [](const timeval& t) {
        return std::chrono::seconds(t.tv_sec) + microseconds(t.tv_usec);
    };
    return us(usage.ru_utime) + us(usage.ru_stime);
}

enum class Phase : std::uint8_t { warmup, measured, over };

/// One client identity. Its callbacks run on its client's thread; the counts are read when that
/// has nothing to do any more, or under the lock.
class Session {
public:
    Session(const LoadOptions& options, const std::string& config, std::atomic<Phase>& phase)
        : options_(options), phase_(phase), operation_(options.bytes, 'x') {
        bftnode::Options client;
        client_ = bftnode::Client::open(config, client);
    }

    bool wait_connected() { return client_->wait_connected(connect_patience); }

    /// `intended`: when the request was to be sent.
    void issue(Clock::time_point intended) {
        std::int64_t partition = 1 + static_cast<std::int64_t>(issued_++ % options_.partitions);
        under_way_.fetch_add(1, std::memory_order_relaxed);
        client_->call(
            "order", {partition, operation_},
            [this, intended](const bftnode::CallResult& result) { answered(intended, result); });
    }

    void begin_measuring() {
        std::lock_guard lock(mutex_);
        before_ = client_->statistics();
    }
    [[nodiscard]] std::uint64_t under_way() const { return under_way_; }

    void add_to(LoadResult& total) {
        bftnode::Statistics now = client_->statistics();
        std::lock_guard lock(mutex_);
        total.answered += latency_.count();
        total.latency_us.add(latency_);
        total.failed += failed_;
        if (total.failure.empty()) total.failure = failure_;
        total.sent_again += now.sent_again - before_.sent_again;
        total.signatures += now.signatures - before_.signatures;
    }

    /// No callback comes from then on.
    void close() { client_.reset(); }

private:
    void answered(Clock::time_point intended, const bftnode::CallResult& result) {
        Clock::time_point now = Clock::now();
        Phase phase = phase_;
        {
            std::lock_guard lock(mutex_);
            if (!result.ok()) {
                ++failed_;
                if (failure_.empty())
                    failure_ = result.error ? result.error->what : "not taken as ordered";
            } else if (phase == Phase::measured) {
                latency_.add(static_cast<std::uint64_t>(
                    duration_cast<microseconds>(now - intended).count()));
            }
        }
        under_way_.fetch_sub(1, std::memory_order_relaxed);
        // A cluster that refuses everything must not be asked in an endless loop.
        if (options_.rate == 0 && phase != Phase::over && result.ok()) issue(now);
    }

    const LoadOptions& options_;
    std::atomic<Phase>& phase_;
    std::string operation_;
    std::atomic<std::uint64_t> issued_{0};
    std::atomic<std::uint64_t> under_way_{0};
    std::mutex mutex_;
    tpcc::Histogram latency_;
    std::uint64_t failed_ = 0;
    std::string failure_;
    bftnode::Statistics before_;
    std::unique_ptr<bftnode::Client> client_;
};

class Load {
public:
    Load(const LoadOptions& options, const std::atomic<bool>& stop)
        : options_(options), stop_(stop), cpu_(options.pids_file) {}

    Result<LoadResult> run() {
        for (const std::string& config : options_.clients) {
            sessions_.push_back(std::make_unique<Session>(options_, config, phase_));
            if (!sessions_.back()->wait_connected())
                return error(Errc::unavailable,
                             config + ": fewer than f+1 hosts answer: is the cluster running?");
        }
        started_ = Clock::now();
        if (options_.rate == 0)
            for (auto& session : sessions_)
                for (std::uint32_t i = 0; i < options_.outstanding; ++i) session->issue(started_);
        drive_until(started_ + options_.warmup);
        LoadResult result;
        if (auto counted = cpu_.begin(); !counted) return counted.error();
        microseconds own = own_cpu_time();
        for (auto& session : sessions_) session->begin_measuring();
        Clock::time_point begun = Clock::now();
        phase_ = Phase::measured;
        drive_until(begun + options_.seconds);
        phase_ = Phase::over;
        result.elapsed = Clock::now() - begun;
        result.own_cpu = own_cpu_time() - own;
        if (auto counted = cpu_.sample(); !counted) return counted.error();
        result.cpu = cpu_.by_role();
        for (auto& session : sessions_) session->add_to(result);
        drain();
        for (auto& session : sessions_) session->close();
        return result;
    }

private:
    // With a rate, requests are due at times that do not depend on any answer.
    void drive_until(Clock::time_point end) {
        while (!stop_ && Clock::now() < end) {
            if (options_.rate == 0) {
                std::this_thread::sleep_for(std::min<Clock::duration>(step, end - Clock::now()));
                continue;
            }
            auto due = started_ + std::chrono::nanoseconds(1'000'000'000 * made_ / options_.rate);
            if (due > Clock::now()) std::this_thread::sleep_until(due);
            sessions_[made_++ % sessions_.size()]->issue(due);
        }
    }

    void drain() {
        Clock::time_point give_up = Clock::now() + drain_patience;
        auto busy = [](const auto& session) { return session->under_way() > 0; };
        while (!stop_ && Clock::now() < give_up &&
               std::any_of(sessions_.begin(), sessions_.end(), busy))
            std::this_thread::sleep_for(step);
    }

    const LoadOptions& options_;
    const std::atomic<bool>& stop_;
    tpcc::CpuAccount cpu_;
    std::atomic<Phase> phase_{Phase::warmup};
    std::vector<std::unique_ptr<Session>> sessions_;
    Clock::time_point started_;
    std::uint64_t made_ = 0;
};

}  // namespace

Result<LoadResult> run_load(const LoadOptions& options, const std::atomic<bool>& stop) {
    try {
        return Load(options, stop).run();
    } catch (const bftnode::OpenError& failure) {
        return error(Errc::refused, failure.what());
    }
}

}  // namespace bft::ordering

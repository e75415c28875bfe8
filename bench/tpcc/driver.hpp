// Runs the terminals against a target and counts what comes back.
#pragma once

#include "cpu_account.hpp"
#include "histogram.hpp"
#include "profile.hpp"
#include "record.hpp"
#include "target.hpp"
#include "workload.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace bft::tpcc {

struct DriveOptions {
    Scale scale;
    std::size_t clients = 10;
    std::uint64_t seed = 1;
    std::chrono::seconds warmup{0};    ///< before the measured run
    std::chrono::seconds seconds{60};  ///< of the measured run
    std::uint64_t transactions = 0;    ///< end after so many; 0: by time only
    std::vector<ProfileStep> profile;  ///< of the measured run; empty: all clients all the time
    double think = 0;                  ///< share of the specification's keying and think times
    /// Calls per minute of all terminals together, due at times that depend on no answer; latency
    /// counts from when a call was due (no coordinated omission). 0: each answer makes the next.
    double per_minute = 0;
    std::chrono::seconds drain{60};  ///< for the answers that are missing at the end
    std::string pids_file;
    std::string record_file;    ///< what was acknowledged (record.hpp); empty: is not kept
    std::string timeline_file;  ///< when each call was over; empty: is not kept
};

struct TypeCount {
    std::uint64_t committed = 0;
    std::uint64_t aborted = 0;  ///< as TPC-C wants it
    Histogram latency;          ///< of both
};

/// What happened in a stretch of time.
struct Tally {
    std::array<TypeCount, transaction_count> types;
    std::uint64_t multi_partition = 0;
    std::uint64_t repeated = 0;         ///< needed more than one attempt
    std::uint64_t disagreed = 0;        ///< some replica said something else than what was accepted
    std::uint64_t failed = 0;           ///< no outcome, or another one than TPC-C's
    std::vector<std::string> failures;  ///< the first few, in words

    [[nodiscard]] std::uint64_t finished() const;
    [[nodiscard]] std::uint64_t committed() const;
    [[nodiscard]] std::uint64_t aborted() const;
    [[nodiscard]] Histogram latency() const;
};

struct Progress {
    std::chrono::duration<double>
        elapsed{};      ///< since the measured run began; negative: warming up
    double rate = 0;    ///< transactions per second in the last stretch
    Histogram latency;  ///< of the last stretch
    std::uint64_t finished = 0;
    std::uint64_t failed = 0;
    std::uint64_t outstanding = 0;
    std::optional<bftnode::Statistics> client;
};

struct DriveResult {
    Tally tally;
    std::chrono::duration<double> elapsed{};
    std::map<std::string, std::chrono::microseconds> cpu;  ///< empty without a process list
    std::chrono::microseconds own_cpu{};
    std::optional<bftnode::Statistics> client;
};

class Driver {
public:
    /// `stop` ends the measured run early when it becomes true (Ctrl-C).
    Driver(CallTarget& target, const DriveOptions& options, const std::atomic<bool>& stop);

    /// Blocks until every answer is there, or `drain` has passed: what is missing then has failed.
    Result<DriveResult> run(const std::function<void(const Progress&)>& progress);

private:
    using Clock = std::chrono::steady_clock;

    struct Seat {
        Terminal terminal;
        std::optional<Clock::time_point> due;  ///< waits for its next request until then
        Clock::time_point intended;            ///< with a rate: when the request was, or is, due
        std::optional<Request> outstanding;    ///< only with a record
    };

    void issue(std::size_t seat);
    [[nodiscard]] Clock::duration interval() const;
    void answered(std::size_t seat, const Request& request, Clock::time_point sent,
                  const bftnode::CallResult& result);
    void count(Tally& tally, const Request& request, std::uint64_t latency_us,
               const bftnode::CallResult& result);
    [[nodiscard]] bool may_issue() const;
    /// Terminals that are at work now, by the profile.
    [[nodiscard]] std::size_t at_work(Clock::time_point now) const;
    /// Issues what is due; returns when the next one will be.
    Clock::time_point issue_due(std::unique_lock<std::mutex>& lock);
    void report(const std::function<void(const Progress&)>& progress, Clock::time_point now);
    Result<void> run_until(Clock::time_point end,
                           const std::function<void(const Progress&)>& progress);
    void drain_outstanding();
    Result<void> finish_record();

    CallTarget& target_;
    DriveOptions options_;
    const std::atomic<bool>& stop_;
    CpuAccount cpu_;
    Record record_;
    Timeline timeline_;

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Seat> seats_;
    std::uint64_t issued_ = 0;
    std::uint64_t outstanding_ = 0;
    bool closing_ = false;    ///< no more requests
    bool measuring_ = false;  ///< answers count
    Tally tally_;
    Tally late_;  ///< answers outside of the measured run: only failures matter
    Histogram stretch_;
    Clock::time_point stretch_begin_;
    Clock::time_point measured_from_;
};

/// A sentence when the result is not what the request must have; empty when all is well.
std::string verdict(const Request& request, const bftnode::CallResult& result);

}  // namespace bft::tpcc

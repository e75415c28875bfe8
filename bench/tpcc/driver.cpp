#include "driver.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <sys/resource.h>

namespace bft::tpcc {

namespace {

constexpr std::size_t failures_kept = 10;

std::chrono::microseconds own_cpu_time() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    auto micros = [](const timeval& time) {
        return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
    };
    return micros(usage.ru_utime) + micros(usage.ru_stime);
}

}  // namespace

std::uint64_t Tally::committed() const {
    std::uint64_t sum = 0;
    for (const TypeCount& type : types) sum += type.committed;
    return sum;
}

std::uint64_t Tally::aborted() const {
    std::uint64_t sum = 0;
    for (const TypeCount& type : types) sum += type.aborted;
    return sum;
}

std::uint64_t Tally::finished() const {
    return committed() + aborted();
}

Histogram Tally::latency() const {
    Histogram all;
    for (const TypeCount& type : types) all.add(type.latency);
    return all;
}

std::string verdict(const Request& request, const bftnode::CallResult& result) {
    using bftnode::Outcome;
    if (result.error)
        return fmt::format("{} failed: {}: {}", request.procedure(),
                           bftnode::to_string(result.error->code), result.error->what);
    if (request.must_abort) {
        if (result.outcome == Outcome::aborted && result.code == code_unused_item) return {};
        return fmt::format("{} with an unused item was not aborted by code {}: {} {}",
                           request.procedure(), code_unused_item,
                           bftnode::to_string(result.outcome), result.code);
    }
    if (result.outcome != Outcome::ok)
        return fmt::format("{} ended with {} {}", request.procedure(),
                           bftnode::to_string(result.outcome), result.code);
    bool two_sets = request.transaction == Transaction::new_order ||
                    request.transaction == Transaction::order_status;
    if (result.result_sets.size() != (two_sets ? 2u : 1u))
        return fmt::format("{} gave {} result sets", request.procedure(),
                           result.result_sets.size());
    // A New-Order answers with the order, and then with each of its lines.
    if (request.transaction == Transaction::new_order &&
        result.result_sets[1].size() != request.args[3].rows().size())
        return fmt::format("new_order of {} lines gave {}", request.args[3].rows().size(),
                           result.result_sets[1].size());
    if (request.transaction != Transaction::delivery && result.result_sets[0].size() != 1)
        return fmt::format("{} gave {} rows", request.procedure(), result.result_sets[0].size());
    return {};
}

Driver::Driver(CallTarget& target, const DriveOptions& options, const std::atomic<bool>& stop)
    : target_(target), options_(options), stop_(stop), cpu_(options.pids_file) {
    for (std::size_t i = 0; i < options_.clients; ++i)
        seats_.push_back({Terminal(options_.scale, options_.seed, i), {}, {}, {}});
}

bool Driver::may_issue() const {
    return !closing_ && !stop_ && (options_.transactions == 0 || issued_ < options_.transactions);
}

// Between two calls of one terminal that has a rate.
Driver::Clock::duration Driver::interval() const {
    double seconds = 60 * static_cast<double>(seats_.size()) / options_.per_minute;
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

std::size_t Driver::at_work(Clock::time_point now) const {
    auto begin = measured_from_;
    for (const ProfileStep& step : options_.profile) {
        begin += step.length;
        if (now < begin) return step.clients;
    }
    return options_.profile.empty() ? seats_.size() : options_.profile.back().clients;
}

void Driver::issue(std::size_t seat) {
    Request request;
    Clock::time_point sent = Clock::now();
    {
        std::lock_guard lock(mutex_);
        if (!may_issue()) return;
        if (auto now = Clock::now(); seat >= at_work(now)) {
            seats_[seat].due = now + std::chrono::milliseconds(100);
            return;
        }
        ++issued_;
        ++outstanding_;
        if (options_.per_minute > 0) sent = seats_[seat].intended;
        request = seats_[seat].terminal.next();
        if (record_.is_open()) seats_[seat].outstanding = request;
    }
    auto args = request.args;
    auto procedure = request.procedure();
    target_.call(seat, procedure, std::move(args),
                 [this, seat, sent, request = std::move(request)](
                     const bftnode::CallResult& result) { answered(seat, request, sent, result); });
}

void Driver::count(Tally& tally, const Request& request, std::uint64_t latency_us,
                   const bftnode::CallResult& result) {
    if (result.attempts > 1) ++tally.repeated;
    if (!result.disagreeing.empty()) ++tally.disagreed;
    if (std::string wrong = verdict(request, result); !wrong.empty()) {
        ++tally.failed;
        if (tally.failures.size() < failures_kept) tally.failures.push_back(std::move(wrong));
        return;
    }
    TypeCount& type = tally.types[place(request.transaction)];
    ++(request.must_abort ? type.aborted : type.committed);
    type.latency.add(latency_us);
    if (request.multi_partition) ++tally.multi_partition;
}

void Driver::answered(std::size_t seat, const Request& request, Clock::time_point sent,
                      const bftnode::CallResult& result) {
    auto now = Clock::now();
    auto latency = std::chrono::duration_cast<std::chrono::microseconds>(now - sent);
    auto latency_us = static_cast<std::uint64_t>(latency.count());
    bool at_once = false;
    {
        std::lock_guard lock(mutex_);
        --outstanding_;
        seats_[seat].outstanding.reset();
        record_.answered(request, result);
        timeline_.answered(request, latency_us);
        count(measuring_ ? tally_ : late_, request, latency_us, result);
        stretch_.add(latency_us);
        if (options_.per_minute > 0 && may_issue()) {
            // A late answer makes the next call late, and that counts as its latency.
            seats_[seat].intended += interval();
            seats_[seat].due = seats_[seat].intended;
            changed_.notify_all();
            return;
        }
        at_once = may_issue() && options_.think == 0 && !result.error;
        if (!at_once && may_issue()) {
            // A call without an outcome is not repeated at full speed.
            auto pause =
                result.error ? std::chrono::microseconds(100000) : std::chrono::microseconds(0);
            if (options_.think > 0)
                pause += std::chrono::duration_cast<std::chrono::microseconds>(
                    seats_[seat].terminal.pause() * options_.think);
            seats_[seat].due = now + pause;
        }
        if (!at_once) changed_.notify_all();
    }
    if (at_once) issue(seat);
}

Driver::Clock::time_point Driver::issue_due(std::unique_lock<std::mutex>& lock) {
    auto now = Clock::now();
    auto next = Clock::time_point::max();
    std::vector<std::size_t> due;
    for (std::size_t i = 0; i < seats_.size(); ++i) {
        if (!seats_[i].due) continue;
        if (*seats_[i].due <= now) {
            seats_[i].due.reset();
            due.push_back(i);
        } else {
            next = std::min(next, *seats_[i].due);
        }
    }
    lock.unlock();
    for (std::size_t seat : due) issue(seat);
    lock.lock();
    return next;
}

void Driver::report(const std::function<void(const Progress&)>& progress, Clock::time_point now) {
    Progress current;
    {
        std::lock_guard lock(mutex_);
        current.elapsed = now - measured_from_;
        current.latency = stretch_;
        current.rate = static_cast<double>(stretch_.count()) /
                       std::chrono::duration<double>(now - stretch_begin_).count();
        current.finished = tally_.finished();
        current.failed = tally_.failed + late_.failed;
        current.outstanding = outstanding_;
        stretch_ = {};
        stretch_begin_ = now;
    }
    current.client = target_.statistics();
    progress(current);
}

Result<void> Driver::run_until(Clock::time_point end,
                               const std::function<void(const Progress&)>& progress) {
    auto next_report = Clock::now() + std::chrono::seconds(1);
    std::unique_lock lock(mutex_);
    while (Clock::now() < end && !stop_) {
        bool all_issued = options_.transactions > 0 && issued_ >= options_.transactions;
        if (all_issued && outstanding_ == 0) break;
        auto next_due = issue_due(lock);
        // Ctrl-C sets a flag and nothing else: look at it often enough.
        auto wake =
            std::min({end, next_report, next_due, Clock::now() + std::chrono::milliseconds(100)});
        changed_.wait_until(lock, wake);
        if (Clock::now() < next_report) continue;
        next_report += std::chrono::seconds(1);
        lock.unlock();
        if (auto sampled = cpu_.sample(); !sampled) return sampled;
        report(progress, Clock::now());
        lock.lock();
    }
    return {};
}

void Driver::drain_outstanding() {
    std::unique_lock lock(mutex_);
    closing_ = true;
    changed_.wait_until(lock, Clock::now() + options_.drain, [this] { return outstanding_ == 0; });
}

Result<void> Driver::finish_record() {
    for (const Seat& seat : seats_)
        if (seat.outstanding) record_.lost(*seat.outstanding);
    if (auto written = timeline_.close(); !written) return written;
    return record_.close();
}

Result<DriveResult> Driver::run(const std::function<void(const Progress&)>& progress) {
    if (!options_.timeline_file.empty())
        if (auto opened = timeline_.open(options_.timeline_file); !opened) return opened.error();
    if (!options_.record_file.empty())
        if (auto opened = record_.open(options_.record_file); !opened) return opened.error();
    stretch_begin_ = Clock::now();
    measured_from_ = stretch_begin_ + options_.warmup;
    measuring_ = options_.warmup.count() == 0;
    if (auto begun = cpu_.begin(); !begun) return begun.error();
    auto own_cpu_before = own_cpu_time();
    for (std::size_t seat = 0; seat < seats_.size(); ++seat) {
        if (options_.per_minute == 0) {
            issue(seat);
            continue;
        }
        // Terminals begin one after the other, evenly.
        std::lock_guard lock(mutex_);
        auto number = static_cast<Clock::rep>(seat);
        auto count = static_cast<Clock::rep>(seats_.size());
        seats_[seat].intended = stretch_begin_ + interval() * number / count;
        seats_[seat].due = seats_[seat].intended;
    }
    Result<void> ran;
    if (!measuring_) {
        ran = run_until(measured_from_, progress);
        std::lock_guard lock(mutex_);
        measuring_ = true;
        measured_from_ = Clock::now();
        if (ran) ran = cpu_.begin();
        own_cpu_before = own_cpu_time();
    }
    if (ran) ran = run_until(measured_from_ + options_.seconds, progress);

    DriveResult result;
    {
        std::lock_guard lock(mutex_);
        measuring_ = false;
        result.elapsed = Clock::now() - measured_from_;
        if (ran) ran = cpu_.sample();
        result.own_cpu = own_cpu_time() - own_cpu_before;
    }
    drain_outstanding();
    if (!ran) return ran.error();
    std::lock_guard lock(mutex_);
    if (auto written = finish_record(); !written) return written.error();
    result.tally = tally_;
    result.tally.failed += late_.failed + outstanding_;
    for (const std::string& failure : late_.failures) result.tally.failures.push_back(failure);
    if (outstanding_ > 0)
        result.tally.failures.push_back(
            fmt::format("{} calls without an answer at the end", outstanding_));
    result.cpu = cpu_.by_role();
    result.client = target_.statistics();
    return result;
}

}  // namespace bft::tpcc

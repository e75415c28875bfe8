// The executor's threads: workers that run batches, and one that keeps the database's lock and
// answers lookups.
#pragma once

#include "base/prng.hpp"
#include "database/batch.hpp"
#include "database/executor.hpp"
#include "database/window_cache.hpp"

#include <boost/asio/io_context.hpp>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace bft::database {

/// What the threads have in common.
struct ExecutorShared {
    ExecutorShared(boost::asio::io_context& context, ExecutorOptions given,
                   const catalog::Application& app, ExecutorHandlers callbacks)
        : io(context),
          options(std::move(given)),
          application(app),
          handlers(std::make_shared<const ExecutorHandlers>(std::move(callbacks))) {}

    void raise(Alarm::Kind kind, std::string text);
    [[nodiscard]] bool stopping() const { return stop.load(std::memory_order_relaxed); }

    boost::asio::io_context& io;
    const ExecutorOptions options;
    const catalog::Application& application;
    /// Shared with what was posted and is not run yet.
    std::shared_ptr<const ExecutorHandlers> handlers;
    ExecutorCounters counters;
    WindowCache windows;
    std::atomic<bool> stop{false};
};

/// A thread with a queue and a session that it connects again when it breaks.
class SessionThread {
public:
    SessionThread(ExecutorShared& shared, std::uint64_t seed) : shared_(shared), prng_(seed) {}
    virtual ~SessionThread() = default;
    SessionThread(const SessionThread&) = delete;
    SessionThread& operator=(const SessionThread&) = delete;

    /// `session` is the first one.
    void start(Session session);
    /// After shared.stop was set.
    void wake();
    void join();

protected:
    virtual void run() = 0;

    /// The session, connected again if need be; nullptr when the executor stops.
    Session* session();
    void drop_session() { session_.reset(); }
    /// Something to be done on every new connection.
    virtual bool connected(Session&) { return true; }

    /// Waits `length`, less when the executor stops.
    void pause(std::chrono::milliseconds length);
    /// Grows with `failures`, with jitter.
    std::chrono::milliseconds back_off(unsigned failures);
    /// Raises at the first time and then every ten seconds, until recovered().
    void complain(Alarm::Kind kind, const std::string& text);
    void recovered();
    void stop_for_good(Alarm::Kind kind, const std::string& text);
    void count_cpu();

    ExecutorShared& shared_;
    std::mutex mutex_;
    std::condition_variable changed_;

private:
    Prng prng_;
    std::optional<Session> session_;
    std::optional<std::chrono::steady_clock::time_point> complained_;
    std::uint64_t cpu_seen_us_ = 0;
    std::thread thread_;
};

class Worker final : public SessionThread {
public:
    using SessionThread::SessionThread;
    bool push(consensus::Execution execution);

private:
    void run() override;
    std::vector<consensus::Execution> take();
    /// False when the executor stops before it is committed.
    bool run_batch(std::vector<consensus::Execution> executions);
    /// Waits after a failed attempt; true when the batch is to be divided.
    bool after_failure(const Batch& batch, const Attempt& attempt, unsigned failures);
    bool is_damaged(const std::string& why);
    void committed(const Batch& batch);

    std::deque<consensus::Execution> queue_;
};

class Control final : public SessionThread {
public:
    using SessionThread::SessionThread;
    bool push(consensus::Lookup lookup);

private:
    void run() override;
    bool connected(Session& session) override;
    void answer(consensus::Lookup lookup);

    std::deque<consensus::Lookup> queue_;
};

}  // namespace bft::database

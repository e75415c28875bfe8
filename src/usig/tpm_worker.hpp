// The one thread that uses the TPM: one bounded FIFO queue for each counter, served in turn.
#pragma once

#include "base/time.hpp"
#include "usig/ledger.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <variant>
#include <vector>

namespace bft::usig {

class TpmWorker {
public:
    struct Options {
        std::size_t queue_max = 64;  ///< for each counter
        /// Waited before each certificate, to feel like a slower chip.
        Duration delay{};
        /// At most so many counters share one sync of the journal; a power cut may leave a hole in
        /// each of them.
        std::size_t round_max = 16;
        /// A finished certificate waits no longer than this for others to share its sync with.
        Duration answer_within = std::chrono::milliseconds(5);
    };
    struct Job {
        UsigId identity{};
        struct Last {};
        struct Create {
            Digest digest;
        };
        struct Forsake {
            Counter cv;
        };
        std::variant<Last, Create, Forsake> what;
        /// The new certificate is the Standing's last. Called on the executor, unless the worker
        /// was stopped before.
        std::function<void(Result<Standing>)> done;
    };

    /// `on_fatal` is called on the executor, once, when the TPM or the journal failed for good;
    /// every later job fails.
    TpmWorker(Ledger& ledger, boost::asio::any_io_executor executor, Options options,
              std::function<void(const Error&)> on_fatal);
    /// Finishes the certificate in hand, drops the rest.
    ~TpmWorker();

    /// False when the counter's queue is full; the job is not taken then.
    bool submit(Job job);

private:
    struct Ready {
        Job job;
        Result<Standing> result;
    };
    void run();
    std::vector<Job> take(bool wait);
    void record(std::vector<Job>& round);
    void perform(Job job);
    void publish();
    void wait_delay();

    Ledger& ledger_;
    boost::asio::any_io_executor executor_;
    const Options options_;
    std::function<void(const Error&)> on_fatal_;

    std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;                     ///< guarded by mutex_
    std::map<UsigId, std::deque<Job>> queues_;  ///< guarded by mutex_
    UsigId served_{};                           ///< guarded by mutex_; the turn goes on behind it

    // Of the thread only.
    std::vector<Ready> ready_;  ///< made, not durable yet
    std::chrono::steady_clock::time_point published_{};
    bool fatal_told_ = false;
    std::thread thread_;
};

}  // namespace bft::usig

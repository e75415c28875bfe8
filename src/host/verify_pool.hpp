// Workers that decode and verify, and a loop that gets the results in the order in which each peer
// sent: parallel where the checks are pure, ordered where the engines begin.
#pragma once

#include <boost/asio/io_context.hpp>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace bft::host {

class VerifyPool {
public:
    /// Names a peer: results of one lane come in order.
    using Lane = std::uint64_t;
    /// Runs on a worker; what it returns runs on the loop.
    using Task = std::function<std::function<void()>()>;

    struct Options {  /// 0: tasks run on the loop as they come, which is cheapest where hosts share
                      /// few cores.
        std::uint32_t threads = 1;
        /// A lane that holds more than this is congested: its peer is not read until half is gone.
        std::size_t lane_bytes_max = 8 * 1024 * 1024;
        std::size_t lane_tasks_max = 1024;
    };

    /// `relieved` is called on the loop when a lane for which submit() gave false has room again.
    VerifyPool(boost::asio::io_context& loop, Options options, std::function<void(Lane)> relieved);
    ~VerifyPool();
    VerifyPool(const VerifyPool&) = delete;
    VerifyPool& operator=(const VerifyPool&) = delete;

    /// Takes the task in any case. False: the lane is congested now. On the loop.
    bool submit(Lane lane, std::size_t bytes, Task task);
    /// Drops what waits and joins the workers; no result comes from then on. On the loop.
    void stop();

    [[nodiscard]] std::size_t waiting() const;

private:
    struct Job {
        Lane lane = 0;
        std::size_t bytes = 0;
        Task task;
        std::function<void()> result;
        bool finished = false;
    };
    using JobPtr = std::shared_ptr<Job>;
    struct LaneState {
        std::deque<JobPtr> jobs;  ///< in order of arrival, until they are given to the loop
        std::size_t bytes = 0;    ///< of jobs, and of results that the loop has not run
        std::size_t tasks = 0;
        bool congested = false;
    };
    void run();
    void finished(const JobPtr& job);
    void deliver();

    boost::asio::io_context& loop_;
    Options options_;
    std::function<void(Lane)> relieved_;
    mutable std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<JobPtr> todo_;
    std::map<Lane, LaneState> lanes_;
    std::vector<JobPtr> ready_;
    bool posted_ = false;
    bool stopping_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // read on the loop only
    std::vector<std::thread> threads_;
};

}  // namespace bft::host

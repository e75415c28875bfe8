#include "host/verify_pool.hpp"

#include <boost/asio/post.hpp>

#include <pthread.h>

namespace bft::host {

VerifyPool::VerifyPool(boost::asio::io_context& loop, Options options,
                       std::function<void(Lane)> relieved)
    : loop_(loop), options_(options), relieved_(std::move(relieved)) {
    for (std::uint32_t i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { run(); });
}

VerifyPool::~VerifyPool() {
    stop();
}

void VerifyPool::stop() {
    *alive_ = false;
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
        todo_.clear();
    }
    wake_.notify_all();
    for (std::thread& thread : threads_)
        if (thread.joinable()) thread.join();
}

bool VerifyPool::submit(Lane lane, std::size_t bytes, Task task) {
    auto job = std::make_shared<Job>();
    job->lane = lane;
    job->bytes = bytes;
    job->task = std::move(task);
    bool congested = false;
    {
        std::lock_guard lock(mutex_);
        LaneState& state = lanes_[lane];
        state.jobs.push_back(job);
        state.bytes += bytes;
        ++state.tasks;
        if (state.bytes > options_.lane_bytes_max || state.tasks > options_.lane_tasks_max)
            state.congested = true;
        congested = state.congested;
        if (!threads_.empty()) todo_.push_back(job);
    }
    if (threads_.empty()) {
        job->result = job->task();
        job->task = nullptr;
        finished(job);
    } else {
        wake_.notify_one();
    }
    return !congested;
}

void VerifyPool::run() {
    ::pthread_setname_np(::pthread_self(), "verify");
    while (true) {
        JobPtr job;
        {
            std::unique_lock lock(mutex_);
            wake_.wait(lock, [this] { return stopping_ || !todo_.empty(); });
            if (stopping_) return;
            job = std::move(todo_.front());
            todo_.pop_front();
        }
        job->result = job->task();
        job->task = nullptr;
        finished(job);
    }
}

// A result waits for those of its lane that came before it.
void VerifyPool::finished(const JobPtr& job) {
    bool post = false;
    {
        std::lock_guard lock(mutex_);
        job->finished = true;
        auto& jobs = lanes_[job->lane].jobs;
        while (!jobs.empty() && jobs.front()->finished) {
            ready_.push_back(std::move(jobs.front()));
            jobs.pop_front();
        }
        if (!ready_.empty() && !posted_) post = posted_ = true;
    }
    if (post)
        boost::asio::post(loop_, [this, alive = alive_] {
            if (*alive) deliver();
        });
}

void VerifyPool::deliver() {
    std::vector<JobPtr> ready;
    {
        std::lock_guard lock(mutex_);
        ready.swap(ready_);
        posted_ = false;
    }
    auto alive = alive_;
    for (const JobPtr& job : ready) {
        if (job->result) job->result();
        if (!*alive) return;
    }
    std::vector<Lane> relieved;
    {
        std::lock_guard lock(mutex_);
        for (const JobPtr& job : ready) {
            LaneState& state = lanes_[job->lane];
            state.bytes -= job->bytes;
            --state.tasks;
            if (state.congested && state.bytes <= options_.lane_bytes_max / 2 &&
                state.tasks <= options_.lane_tasks_max / 2) {
                state.congested = false;
                relieved.push_back(job->lane);
            }
            if (state.tasks == 0) lanes_.erase(job->lane);
        }
    }
    for (Lane lane : relieved) relieved_(lane);
}

std::size_t VerifyPool::waiting() const {
    std::lock_guard lock(mutex_);
    return todo_.size();
}

}  // namespace bft::host

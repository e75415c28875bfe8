#include "host/verify_pool.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <mutex>

namespace bft::host {
namespace {

using Task = VerifyPool::Task;

// Lets a task wait until the test opens it.
class Gate {
public:
    void open() {
        std::lock_guard lock(mutex_);
        open_ = true;
        changed_.notify_all();
    }
    void pass() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return open_; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool open_ = false;
};

class VerifyPoolTest : public ::testing::Test {
protected:
    void run_until(std::size_t results) {
        auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(5);
        while (done.size() < results && std::chrono::steady_clock::now() < limit) {
            loop.restart();
            loop.run_one_for(std::chrono::milliseconds(100));
        }
        ASSERT_GE(done.size(), results);
    }
    Task task(int number, Gate* gate = nullptr) {
        return [this, number, gate]() -> std::function<void()> {
            if (gate != nullptr) gate->pass();
            return [this, number] { done.push_back(number); };
        };
    }

    boost::asio::io_context loop;
    std::vector<int> done;
    std::vector<VerifyPool::Lane> relieved;
    std::function<void(VerifyPool::Lane)> note = [this](VerifyPool::Lane lane) {
        relieved.push_back(lane);
    };
};

TEST_F(VerifyPoolTest, ResultsOfALaneComeInOrder) {
    Gate gate;
    VerifyPool pool(loop, {2, 1 << 20, 1000}, note);
    pool.submit(1, 10, task(0, &gate));
    for (int i = 1; i < 50; ++i) pool.submit(1, 10, task(i));
    pool.submit(2, 10, task(100));
    run_until(1);
    EXPECT_EQ(done, std::vector<int>{100}) << "another lane does not wait, this one does";
    gate.open();
    run_until(51);
    for (int i = 0; i < 50; ++i) EXPECT_EQ(done[static_cast<std::size_t>(i) + 1], i);
}

TEST_F(VerifyPoolTest, AFullLaneIsCongestedUntilHalfIsGone) {
    Gate gate;
    VerifyPool pool(loop, {1, 100, 1000}, note);
    EXPECT_TRUE(pool.submit(1, 60, task(0, &gate)));
    EXPECT_FALSE(pool.submit(1, 60, task(1)));
    EXPECT_TRUE(pool.submit(2, 60, task(2))) << "lanes have their own bounds";
    gate.open();
    run_until(3);
    EXPECT_EQ(relieved, std::vector<VerifyPool::Lane>{1});
}

TEST_F(VerifyPoolTest, StopDropsWhatWaits) {
    Gate gate;
    VerifyPool pool(loop, {1, 100, 1000}, note);
    pool.submit(1, 1, task(0, &gate));
    pool.submit(1, 1, task(1));
    std::thread opener([&gate] { gate.open(); });
    pool.stop();
    opener.join();
    loop.poll();
    EXPECT_TRUE(done.empty());
}

}  // namespace
}  // namespace bft::host

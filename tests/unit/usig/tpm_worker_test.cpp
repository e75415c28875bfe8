#include "usig/tpm_worker.hpp"

#include "fakes.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <future>

namespace bft::usig::test {
namespace {

class TpmWorkerTest : public testing::Test {
protected:
    FakeBackend backend_{3};
    MemoryJournal journal_;
    std::unique_ptr<Ledger> ledger_ = Ledger::open(backend_, journal_).value();
    boost::asio::io_context io_;
    std::vector<Error> fatal_;
    int answered_ = 0;

    std::unique_ptr<TpmWorker> worker(TpmWorker::Options options = {}) {
        return std::make_unique<TpmWorker>(*ledger_, io_.get_executor(), options,
                                           [this](const Error& e) { fatal_.push_back(e); });
    }
    TpmWorker::Job job(std::uint32_t id, const std::string& text,
                       std::function<void(Result<Standing>)> done = {}) {
        return {UsigId(id), TpmWorker::Job::Create{message(text)},
                [this, done](Result<Standing> result) {
                    ++answered_;
                    if (done) done(std::move(result));
                }};
    }
    void run_until(int answers) {
        auto guard = boost::asio::make_work_guard(io_);
        while (answered_ < answers) io_.run_one();
    }
};

TEST_F(TpmWorkerTest, ServesCountersInTurnAndEachInOrder) {
    // The first operation holds the thread until all others wait.
    std::promise<void> all_wait;
    auto gate = all_wait.get_future();
    backend_.on_create = [&](UsigId) {
        if (gate.valid()) gate.get();
    };
    auto tpm = worker();
    std::vector<std::uint64_t> values;
    ASSERT_TRUE(tpm->submit(job(0, "first")));
    for (int i = 0; i < 20; ++i)
        ASSERT_TRUE(tpm->submit(job(0, std::to_string(i), [&](auto result) {
            values.push_back(result->last->ui.cv.value);
        })));
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(tpm->submit(job(1, std::to_string(i))));
        ASSERT_TRUE(tpm->submit(job(2, std::to_string(i))));
    }
    all_wait.set_value();
    run_until(27);
    ASSERT_EQ(backend_.order.size(), 27u);
    // Nobody waits behind another counter's long queue.
    for (const std::uint32_t id : {1u, 2u})
        EXPECT_EQ(std::count(backend_.order.begin(), backend_.order.begin() + 12, UsigId(id)), 3);
    for (std::size_t i = 0; i < values.size(); ++i) EXPECT_EQ(values[i], i + 2);
    EXPECT_EQ(journal_.durable, journal_.written);
}

TEST_F(TpmWorkerTest, BoundsEachQueue) {
    std::promise<void> release;
    auto gate = release.get_future();
    backend_.on_create = [&](UsigId) {
        if (gate.valid()) gate.get();
    };
    auto tpm = worker({.queue_max = 4});
    int taken = 0;
    for (int i = 0; i < 10; ++i) taken += tpm->submit(job(0, std::to_string(i))) ? 1 : 0;
    EXPECT_GE(taken, 4);
    EXPECT_LE(taken, 5);
    EXPECT_TRUE(tpm->submit(job(1, "other")));
    release.set_value();
    run_until(taken + 1);
}

TEST_F(TpmWorkerTest, NothingIsAnsweredBeforeItIsDurable) {
    auto tpm = worker();
    for (int i = 0; i < 50; ++i)
        ASSERT_TRUE(tpm->submit(
            job(0, std::to_string(i), [&](auto result) { ASSERT_TRUE(result.has_value()); })));
    run_until(50);
    tpm.reset();
    EXPECT_EQ(journal_.durable, journal_.written);
    EXPECT_EQ(backend_.values[UsigId(0)], 50u);
}

TEST_F(TpmWorkerTest, FailedDiskIsToldOnceAndEverythingFailsFromThenOn) {
    auto tpm = worker();
    journal_.fail = true;
    std::vector<Errc> codes;
    for (int i = 0; i < 3; ++i)
        ASSERT_TRUE(tpm->submit(
            job(0, std::to_string(i), [&](auto result) { codes.push_back(result.error().code); })));
    run_until(3);
    while (fatal_.empty()) io_.run_one();
    tpm.reset();
    io_.restart();
    io_.poll();
    EXPECT_EQ(codes, std::vector<Errc>(3, Errc::unavailable));
    EXPECT_EQ(fatal_.size(), 1u);
    EXPECT_EQ(backend_.values[UsigId(0)], 0u);
}

}  // namespace
}  // namespace bft::usig::test

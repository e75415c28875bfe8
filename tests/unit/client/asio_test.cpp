#include "bftnode/client_asio.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

#include <thread>

namespace bftnode {
namespace {

/// Answers every call on a thread of its own, as the real client does.
class EchoClient final : public Client {
public:
    ~EchoClient() override {
        for (std::thread& thread : threads_) thread.join();
    }
    using Client::call;
    void call(std::string_view procedure, std::vector<Value> args, Callback done,
              CallOptions /*options*/) override {
        CallResult result;
        result.result_sets = {{{Value(procedure), args.at(0)}}};
        if (args.at(0) == Value(0)) result.error = Error{ErrorCode::timeout, "no answer"};
        threads_.emplace_back([done = std::move(done), result] { done(result); });
    }
    bool wait_connected(std::chrono::milliseconds /*patience*/) override { return true; }
    [[nodiscard]] Statistics statistics() const override { return {}; }

private:
    std::vector<std::thread> threads_;
};

void expect_answer(const CallResult& result, int argument) {
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result.result_sets, (std::vector<Rows>{{{Value("pay"), Value(argument)}}}));
}

TEST(AsyncCallTest, GivesAFuture) {
    EchoClient client;
    expect_answer(async_call(client, "pay", {7}, boost::asio::use_future).get(), 7);
}

TEST(AsyncCallTest, HandlerRunsOnItsExecutorWhichDoesNotRunOutOfWork) {
    EchoClient client;
    boost::asio::io_context io;
    int answers = 0;
    async_call(client, "pay", {8}, boost::asio::bind_executor(io, [&](const CallResult& result) {
                   EXPECT_TRUE(io.get_executor().running_in_this_thread());
                   expect_answer(result, 8);
                   ++answers;
               }));
    io.run();  // ends with the answer
    EXPECT_EQ(answers, 1);
}

TEST(AsyncCallTest, HandlerWithoutAnExecutorRunsWhereTheAnswerComes) {
    std::promise<std::thread::id> where;
    EchoClient client;
    async_call(client, "pay", {9},
               [&](const CallResult&) { where.set_value(std::this_thread::get_id()); });
    EXPECT_NE(where.get_future().get(), std::this_thread::get_id());
}

TEST(AsyncCallTest, CanBeAwaited) {
    EchoClient client;
    boost::asio::io_context io;
    int answers = 0;
    auto calls = [&]() -> boost::asio::awaitable<void> {
        for (int i = 1; i <= 3; ++i) {
            std::vector<Value> args(1, i);  // GCC 12 takes no {...} inside co_await
            auto result = co_await async_call(client, "pay", args, boost::asio::use_awaitable);
            expect_answer(result, i);
            ++answers;
        }
        std::vector<Value> none(1, 0);
        auto failed = co_await async_call(client, "pay", none, boost::asio::use_awaitable);
        EXPECT_EQ(failed.error->code, ErrorCode::timeout);
    };
    boost::asio::co_spawn(io, calls(), boost::asio::detached);
    io.run();
    EXPECT_EQ(answers, 3);
}

}  // namespace
}  // namespace bftnode

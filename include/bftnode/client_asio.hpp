// Calls with Boost.Asio's completion tokens; client.hpp by itself needs no Boost.
//
//     namespace asio = boost::asio;
//     std::vector<bftnode::Value> args{1, 7, 120};  // not in the next line: GCC 12 refuses it
//     auto paid = co_await bftnode::async_call(*client, "payment", args, asio::use_awaitable);
#pragma once

#include "bftnode/client.hpp"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace bftnode {

/// As Client::call(). `token` may be use_awaitable, use_future, a function of CallResult, ...; the
/// signature is void(CallResult), in which `error` is set when there is no outcome. The handler
/// runs on its associated executor, or, if it has none, on the client's thread. There is no
/// cancellation: what was sent may be executed whatever the caller does.
template <class Token>
auto async_call(Client& client, std::string_view procedure, std::vector<Value> args,
                Token&& token) {
    return boost::asio::async_initiate<Token, void(CallResult)>(
        [&client](auto handler, std::string name, std::vector<Value> values) {
            using Handler = std::decay_t<decltype(handler)>;
            // The executor's context must not run out of work before the answer is there.
            auto work = boost::asio::make_work_guard(boost::asio::get_associated_executor(handler));
            auto waiting = std::make_shared<Handler>(std::move(handler));  // Callback is copyable
            client.call(name, std::move(values), [waiting, work](CallResult result) {
                boost::asio::dispatch(work.get_executor(),
                                      [waiting, result = std::move(result)]() mutable {
                                          auto once = std::move(*waiting);
                                          std::move(once)(std::move(result));
                                      });
            });
        },
        token, std::string(procedure), std::move(args));
}

}  // namespace bftnode

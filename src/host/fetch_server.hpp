// Answers every FETCH of agreement from the durable log on a thread of its own, so that engines
// need not remember what they have processed and the loop does not wait for the disk (R14).
#pragma once

#include "consensus/engine.hpp"
#include "consensus/fetch.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

#include <functional>
#include <memory>
#include <set>

namespace bft::host {

class FetchServer {
public:
    using Transmit = std::function<void(const consensus::Endpoint& from, consensus::Send send)>;

    FetchServer(boost::asio::io_context& loop, const consensus::Membership& membership,
                const consensus::LogReader& log, Transmit transmit);
    ~FetchServer();

    /// True when `message` is a fetch: it is answered as `self`, or dropped when this asker's last
    /// fetch is still being answered (it will ask again).
    bool serve(const consensus::Endpoint& self, const consensus::Verified& message);
    void stop();

    [[nodiscard]] std::uint64_t served() const { return served_; }

private:
    boost::asio::io_context& loop_;
    const consensus::Membership& membership_;
    const consensus::LogReader& log_;
    Transmit transmit_;
    std::set<std::pair<consensus::Endpoint, std::size_t>> busy_;  ///< asker and kind of fetch
    std::uint64_t served_ = 0;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    boost::asio::thread_pool reader_{1};
};

}  // namespace bft::host

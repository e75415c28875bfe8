// Tells systemd how this process is (Type=notify): started, in a line how far, alive
// (WatchdogSec=), stopping. Without systemd nothing happens.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <functional>
#include <string>

namespace bft::node {

class ServiceManager {
public:
    /// `state`: one line for `systemctl status`. Asked on the event loop.
    ServiceManager(boost::asio::io_context& loop, std::function<std::string()> state);
    ~ServiceManager();  ///< says that the process stops
    ServiceManager(const ServiceManager&) = delete;
    ServiceManager& operator=(const ServiceManager&) = delete;

    /// The process serves. From now on a loop that hangs for longer than WatchdogSec= is restarted.
    void started();

private:
    void tell();

    std::function<std::string()> state_;
    boost::asio::steady_timer timer_;
    std::chrono::microseconds period_;
};

}  // namespace bft::node

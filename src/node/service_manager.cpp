#include "node/service_manager.hpp"

#include <algorithm>
#include <cstdint>
#include <systemd/sd-daemon.h>

namespace bft::node {
namespace {

constexpr std::chrono::seconds usual_period{5};

/// Often enough that one late tick is no reason to kill the process.
std::chrono::microseconds period_of_watchdog() {
    std::uint64_t patience_us = 0;
    if (::sd_watchdog_enabled(0, &patience_us) <= 0) return usual_period;
    return std::min<std::chrono::microseconds>(
        usual_period, std::chrono::microseconds(std::max<std::uint64_t>(patience_us / 4, 1000)));
}

}  // namespace

ServiceManager::ServiceManager(boost::asio::io_context& loop, std::function<std::string()> state)
    : state_(std::move(state)), timer_(loop), period_(period_of_watchdog()) {}

ServiceManager::~ServiceManager() {
    ::sd_notify(0, "STOPPING=1");
}

void ServiceManager::started() {
    ::sd_notify(0, "READY=1");
    tell();
}

void ServiceManager::tell() {
    ::sd_notify(0, ("WATCHDOG=1\nSTATUS=" + state_()).c_str());
    timer_.expires_after(period_);
    timer_.async_wait([this](const boost::system::error_code& cancelled) {
        if (!cancelled) tell();
    });
}

}  // namespace bft::node

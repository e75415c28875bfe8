// One timer of one engine, moved only when something is due earlier: a timer that fires early costs
// one empty look, moving it at each message costs two system calls each.
#pragma once

#include "host/clock.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <memory>
#include <optional>

namespace bft::host {

class Ticker {
public:
    /// `due` is called on the loop at, or a little before, the armed time; arm() again then.
    Ticker(boost::asio::io_context& loop, const Clock& clock, std::function<void()> due)
        : clock_(clock), due_(std::move(due)), timer_(loop) {}
    ~Ticker() { *alive_ = false; }
    Ticker(const Ticker&) = delete;
    Ticker& operator=(const Ticker&) = delete;

    void arm(std::optional<TimePoint> deadline) {
        if (!deadline || (armed_ && *armed_ <= *deadline)) return;
        armed_ = deadline;
        TimePoint now = clock_.now().mono;
        timer_.expires_after(*deadline <= now ? Duration::zero() : *deadline - now);
        timer_.async_wait([this, alive = alive_](const boost::system::error_code& cancelled) {
            if (cancelled || !*alive) return;
            armed_.reset();
            due_();
        });
    }

private:
    const Clock& clock_;
    std::function<void()> due_;
    boost::asio::steady_timer timer_;
    std::optional<TimePoint> armed_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace bft::host

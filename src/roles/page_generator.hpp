// Stands for an application whose pages are expensive to make (thesis, section 5.1: 200 ms each):
// holds answers back as one server would that makes a page at a time.
#pragma once

#include "consensus/messages.hpp"
#include "host/clock.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <deque>
#include <functional>
#include <set>

namespace bft::roles {

/// `cost` is the time for one page, `workers` how many are made at once. With cost 0 everything
/// leaves at once.
struct PageCost {
    Duration cost{};
    std::size_t workers = 1;
};

class PageGenerator {
public:
    PageGenerator(boost::asio::io_context& loop, PageCost cost) : cost_(cost), timer_(loop) {}
    PageGenerator(const PageGenerator&) = delete;
    PageGenerator& operator=(const PageGenerator&) = delete;

    /// Calls `send` when the page is made. An answer that is asked for again while its page waits
    /// is made once, so no more wait than clients may have requests under way.
    void make(consensus::RequestId rid, std::function<void()> send);

private:
    using Clock = std::chrono::steady_clock;
    struct Page {
        consensus::RequestId rid;
        std::function<void()> send;
        Clock::time_point done{};
    };

    void begin_next();
    void wait();

    PageCost cost_;
    boost::asio::steady_timer timer_;
    std::deque<Page> waiting_;
    std::deque<Page> in_work_;  ///< in the order in which they end
    std::set<consensus::RequestId> known_;
};

}  // namespace bft::roles

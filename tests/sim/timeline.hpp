// Virtual time: everything that happens in a simulated cluster, in one order.
#pragma once

#include "base/time.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace bft::sim {

class Timeline {
public:
    [[nodiscard]] TimePoint now() const { return now_; }
    [[nodiscard]] std::uint64_t steps() const { return steps_; }

    /// Runs `what` at `when`, or now if that has passed. Events of one instant run in the order in
    /// which they were scheduled.
    void at(TimePoint when, std::function<void()> what) {
        heap_.push_back({std::max(when, now_), scheduled_++, std::move(what)});
        std::push_heap(heap_.begin(), heap_.end(), later);
    }
    void after(Duration wait, std::function<void()> what) { at(now_ + wait, std::move(what)); }

    /// Runs the next event if it is due by `limit`; otherwise moves to `limit` and returns false.
    bool step(TimePoint limit) {
        if (heap_.empty() || heap_.front().when > limit) {
            now_ = std::max(now_, limit);
            return false;
        }
        std::pop_heap(heap_.begin(), heap_.end(), later);
        Event event = std::move(heap_.back());
        heap_.pop_back();
        now_ = event.when;
        ++steps_;
        event.what();
        return true;
    }

    [[nodiscard]] std::size_t pending() const { return heap_.size(); }

private:
    struct Event {
        TimePoint when;
        std::uint64_t order = 0;
        std::function<void()> what;
    };
    static bool later(const Event& a, const Event& b) {
        return a.when != b.when ? a.when > b.when : a.order > b.order;
    }

    TimePoint now_{};
    std::uint64_t scheduled_ = 0;
    std::uint64_t steps_ = 0;
    std::vector<Event> heap_;
};

}  // namespace bft::sim

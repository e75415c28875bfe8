// The events that wait for one subscriber, bounded.
#pragma once

#include "http/server.hpp"

#include <algorithm>
#include <deque>
#include <memory>
#include <string>

namespace bft::http {

// What one subscriber waits for.
class EventQueue {
public:
    explicit EventQueue(const Limits& limits)
        : events_max_(limits.event_queue), bytes_max_(limits.event_queue_bytes) {}

    /// False: the subscriber is too slow; the queue is then one `lost`, and the end.
    bool push(std::shared_ptr<const std::string> event) {
        if (ending_) return true;
        if (events_.size() >= events_max_ || bytes_ + event->size() > bytes_max_) {
            events_.clear();
            events_.push_back(lost_event());
            ending_ = true;
            return false;
        }
        bytes_ += event->size();
        events_.push_back(std::move(event));
        return true;
    }
    std::shared_ptr<const std::string> pop() {
        auto event = std::move(events_.front());
        events_.pop_front();
        bytes_ -= std::min(bytes_, event->size());
        return event;
    }
    void end() { ending_ = true; }
    [[nodiscard]] bool empty() const { return events_.empty(); }
    [[nodiscard]] bool ending() const { return ending_; }
    [[nodiscard]] std::size_t next_bytes() const { return events_.front()->size(); }

private:
    static std::shared_ptr<const std::string> lost_event() {
        static const auto event = std::make_shared<const std::string>(R"({"type":"lost"})");
        return event;
    }

    std::size_t events_max_, bytes_max_;
    std::deque<std::shared_ptr<const std::string>> events_;
    std::size_t bytes_ = 0;
    bool ending_ = false;
};

}  // namespace bft::http

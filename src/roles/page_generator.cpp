#include "roles/page_generator.hpp"

#include <utility>

namespace bft::roles {

void PageGenerator::make(consensus::RequestId rid, std::function<void()> send) {
    if (cost_.cost == Duration::zero()) return send();
    if (!known_.insert(rid).second) return;
    waiting_.push_back({rid, std::move(send)});
    begin_next();
}

void PageGenerator::begin_next() {
    bool idle = in_work_.empty();
    while (!waiting_.empty() && in_work_.size() < cost_.workers) {
        in_work_.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
        in_work_.back().done = Clock::now() + cost_.cost;
    }
    if (idle && !in_work_.empty()) wait();
}

void PageGenerator::wait() {
    timer_.expires_at(in_work_.front().done);
    timer_.async_wait([this](const boost::system::error_code& cancelled) {
        if (cancelled) return;
        Page page = std::move(in_work_.front());
        in_work_.pop_front();
        known_.erase(page.rid);
        if (!in_work_.empty()) wait();
        begin_next();
        page.send();
    });
}

}  // namespace bft::roles

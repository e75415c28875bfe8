#include "roles/idempotency.hpp"

#include "base/invariant.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace bft::roles {

using http::Respond;
using http::Response;

bool Idempotency::valid(std::string_view key) {
    return !key.empty() && key.size() <= 255 &&
           std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c <= '~'; });
}

Idempotency::Asked Idempotency::ask(const std::string& key, const Digest& call,
                                    const Respond& respond, TimePoint until) {
    auto found = entries_.find(key);
    if (found == entries_.end()) {
        if (under_way() >= limits_.keys) return Asked::full;
        entries_[key] = {call, {{respond, until}}, std::nullopt};
        under_way_.insert(key);
        return Asked::fresh;
    }
    Entry& entry = found->second;
    if (entry.call != call) return Asked::mismatch;
    if (entry.answer) {
        ++repeated_;
        Response again = *entry.answer;
        again.headers.emplace_back("Idempotency-Replayed", "true");
        respond(std::move(again));
        return Asked::known;
    }
    if (entry.waiting.size() >= limits_.waiting) return Asked::full;
    ++repeated_;
    entry.waiting.push_back({respond, until});
    return Asked::joined;
}

void Idempotency::respond_to(std::vector<Waiting> waiting, const Response& response) {
    for (Waiting& one : waiting) one.respond(response);
}

void Idempotency::finish(const std::string& key, const Response& response) {
    auto found = entries_.find(key);
    invariant(found != entries_.end() && !found->second.answer, "a call ends once");
    auto waiting = std::exchange(found->second.waiting, {});
    found->second.answer = response;
    under_way_.erase(key);
    bytes_ += response.body.size();
    finished_.push_back(key);
    shrink();
    respond_to(std::move(waiting), response);
}

void Idempotency::forget(const std::string& key, const Response& response) {
    auto found = entries_.find(key);
    invariant(found != entries_.end() && !found->second.answer, "a call ends once");
    auto waiting = std::exchange(found->second.waiting, {});
    entries_.erase(found);
    under_way_.erase(key);
    respond_to(std::move(waiting), response);
}

void Idempotency::give_up(TimePoint now, const Response& response) {
    std::vector<Waiting> late;
    for (const std::string& key : under_way_) {
        Entry& entry = entries_.find(key)->second;
        auto over = std::stable_partition(entry.waiting.begin(), entry.waiting.end(),
                                          [now](const Waiting& one) { return one.until > now; });
        std::move(over, entry.waiting.end(), std::back_inserter(late));
        entry.waiting.erase(over, entry.waiting.end());
    }
    respond_to(std::move(late), response);
}

void Idempotency::shrink() {
    while (finished_.size() > limits_.keys || (bytes_ > limits_.bytes && finished_.size() > 1)) {
        auto oldest = entries_.find(finished_.front());
        bytes_ -= oldest->second.answer->body.size();
        entries_.erase(oldest);
        finished_.pop_front();
    }
}

}  // namespace bft::roles

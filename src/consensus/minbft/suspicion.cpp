#include "consensus/minbft/suspicion.hpp"

#include <algorithm>

namespace bft::consensus::minbft {

namespace {

constexpr std::size_t delays_kept = 256;
constexpr std::size_t late_min = 4;  // p99 of few requests is the worst of them: not one or two
constexpr std::size_t intervals_judged = 8;
constexpr std::size_t repeats_judged = 64;
constexpr std::uint32_t drifting_min = 4;  // slots
constexpr std::uint64_t turns = 4;         // overtaking by each other client that is no unfairness
constexpr std::uint64_t floor_percent = 90;
constexpr std::int64_t slack = 4;    // against the best of the last views
constexpr std::int64_t memory = 16;  // in T_perf: what is older says nothing about now
constexpr Duration rate_window = 2s;
constexpr Duration late_window = 4s;  // a few late requests are no rate

std::uint64_t ms(Duration d) {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(d).count());
}

std::uint64_t per_second(std::uint64_t entries, Duration time) {
    return entries * 1000 / std::max<std::uint64_t>(ms(time), 1);
}

Duration doubled(Duration base, std::uint32_t times) {
    return base * (std::int64_t{1} << times);
}

}  // namespace

// --- time and views
// ---------------------------------------------------------------------------------

void LeaderWatch::pass(TimePoint now, Excuse excuse) {
    Duration passed = last_ ? std::min<Duration>(now - *last_, options_.step_max) : Duration{};
    last_ = now;
    if (passed <= Duration{}) return;
    awake_ += passed;
    if (!running_) return;
    if (!excuse.requests) clock_ += passed;
    if (!excuse.slots) silence_ += passed;
}

void LeaderWatch::begin(TimePoint now) {
    running_ = true;
    began_ = now;
    last_ = now;
    slot_clock_ = clock_;
    silence_ = {};
    for (auto& [ticket, waiting] : waiting_) waiting.came = waiting.due = clock_;
    for (auto& [client, queue] : queues_) {
        queue.horizon.reset();
        queue.overtaken = 0;
    }
    served_.clear();
    delays_.clear();
    intervals_.clear();
    repeats_.clear();
    busy_time_ = late_time_ = {};
    busy_entries_ = late_entries_ = view_rate_ = 0;
    late_rate_.reset();
    drifting_ = 0;
}

void LeaderWatch::end() {
    if (!running_) return;
    running_ = false;
    if (drifting_ >= drifting_min) clock_doubted_ = true;
    if (delays_.size() < late_min) return;
    std::vector<Duration> delays;
    for (const Sample& sample : delays_) delays.push_back(sample.value);
    std::sort(delays.begin(), delays.end());
    Past past{delays[delays.size() - 1 - delays.size() / 100], {}, view_rate_};
    for (const Sample& sample : intervals_) past.interval += sample.value;
    if (!intervals_.empty()) past.interval /= static_cast<std::int64_t>(intervals_.size());
    past_.push_back(past);
    if (past_.size() > views_) past_.pop_front();
}

// --- requests
// ---------------------------------------------------------------------------------------

LeaderWatch::Ticket LeaderWatch::came(ClientId client, Duration grace) {
    Ticket ticket = next_ticket_++;
    waiting_[ticket] = {client, clock_, clock_ + grace};
    queues_[client].tickets.insert(ticket);
    return ticket;
}

void LeaderWatch::gone(Ticket ticket) {
    auto waiting = waiting_.find(ticket);
    if (waiting == waiting_.end()) return;
    auto queue = queues_.find(waiting->second.client);
    waiting_.erase(waiting);
    if (*queue->second.tickets.begin() == ticket) {
        queue->second.horizon.reset();
        queue->second.overtaken = 0;
    }
    queue->second.tickets.erase(ticket);
    if (queue->second.tickets.empty()) queues_.erase(queue);
}

Duration LeaderWatch::waited(Ticket ticket) const {
    auto waiting = waiting_.find(ticket);
    if (waiting == waiting_.end() || clock_ <= waiting->second.due) return {};
    return clock_ - waiting->second.due;
}

// --- slots
// ------------------------------------------------------------------------------------------

// Bodies of other groups are not here: theirs count like ours.
bool LeaderWatch::full(const SlotSeen& seen) const {
    if (seen.spent || seen.entries >= options_.slot_entries) return true;
    if (seen.own.empty()) return false;
    return seen.own_bytes / seen.own.size() * seen.entries >= options_.slot_bytes / 2;
}

void LeaderWatch::slot(const SlotSeen& seen, TimePoint now, UnixMillis wall_ms) {
    silence_ = {};
    if (!running_) {
        for (const OwnEntry& entry : seen.own)
            if (entry.ticket) gone(*entry.ticket);
        return;
    }
    // More did not fit: whoever waited, waited for others, not for the primary.
    if (full(seen)) clock_ = std::min(clock_, slot_clock_);
    Duration waited{};
    if (!waiting_.empty()) {
        Duration since = std::max(waiting_.begin()->second.came, slot_clock_);
        waited = std::max(clock_ - since, Duration{});
        if (waited > Duration{}) intervals_.push_back({now, waited});
        if (intervals_.size() > intervals_judged) intervals_.pop_front();
    }
    count_rate(seen, waited, now);
    for (const OwnEntry& entry : seen.own) {
        repeats_.emplace_back(now, entry.repeated);
        if (repeats_.size() > repeats_judged) repeats_.pop_front();
        if (!entry.ticket) continue;
        auto known = waiting_.find(*entry.ticket);
        if (known == waiting_.end()) continue;
        delays_.push_back({now, std::max(clock_ - known->second.came, Duration{})});
        if (delays_.size() > delays_kept) delays_.pop_front();
    }
    if (!seen.own.empty()) count_overtaking(seen);
    for (const OwnEntry& entry : seen.own)
        if (entry.ticket) gone(*entry.ticket);
    compare_clocks(seen, wall_ms);
    slot_clock_ = clock_;
}

// A fair primary takes clients in turn: between two requests of one client, every other client has
// one turn, however much it asks for. So the oldest request of each client counts, from when the
// primary must know it on, and those that came later still.
void LeaderWatch::count_overtaking(const SlotSeen& seen) {
    std::vector<Ticket> tickets;
    std::set<ClientId> served;
    for (const OwnEntry& entry : seen.own) {
        tickets.push_back(entry.ticket.value_or(next_ticket_));
        served.insert(entry.client);
        served_.insert(entry.client);
    }
    std::sort(tickets.begin(), tickets.end());
    for (auto& [client, queue] : queues_) {
        if (served.contains(client)) {
            queue.horizon.reset();
            queue.overtaken = 0;
        } else if (queue.horizon) {
            auto later = std::lower_bound(tickets.begin(), tickets.end(), *queue.horizon);
            queue.overtaken += static_cast<std::uint64_t>(tickets.end() - later);
        } else if (waiting_.at(*queue.tickets.begin()).due <= clock_) {
            queue.horizon = next_ticket_;
        }
    }
}

// Entries per second of the time in which requests waited; apart, of the time in which one waited
// for long. Where none waits for long, all that was asked for was ordered.
void LeaderWatch::count_rate(const SlotSeen& seen, Duration waited, TimePoint now) {
    if (waited <= Duration{}) return;
    busy_time_ += waited;
    busy_entries_ += seen.own.size();
    if (busy_time_ >= rate_window) {
        view_rate_ = std::max(view_rate_, per_second(busy_entries_, busy_time_));
        busy_time_ = {};
        busy_entries_ = 0;
    }
    // Late ones of long ago, and those between which much was in time, are no rate.
    bool late = clock_ - waiting_.begin()->second.came > delay_limit() * 3 / 4;
    if (!late) late_time_ -= std::min(waited, late_time_);
    if (delays_.empty() || late_time_ == Duration{}) {
        late_time_ = {};
        late_entries_ = 0;
    }
    if (!late) return;
    late_time_ += waited;
    late_entries_ += seen.own.size();
    if (late_time_ < late_window) return;
    late_rate_ = {now, per_second(late_entries_, late_time_)};
    late_time_ = {};
    late_entries_ = 0;
}

// Who follows from afar sees old slots: only the newest one's time tells something.
void LeaderWatch::compare_clocks(const SlotSeen& seen, UnixMillis wall_ms) {
    if (wall_ms == 0 || !seen.newest) return;
    UnixMillis apart = std::max(seen.ts_ms, wall_ms) - std::min(seen.ts_ms, wall_ms);
    if (apart > ms(options_.clock_drift)) {
        ++drifting_;
        drift_ = std::chrono::milliseconds(apart);
        return;
    }
    drifting_ = 0;
    clock_doubted_ = false;
}

// --- verdict
// ----------------------------------------------------------------------------------------

void LeaderWatch::forget(TimePoint now) {
    Duration kept =
        doubled(std::max(options_.order_delay, options_.slot_interval), doublings_) * memory;
    while (!delays_.empty() && now - delays_.front().at > kept) delays_.pop_front();
    while (!intervals_.empty() && now - intervals_.front().at > kept) intervals_.pop_front();
    while (!repeats_.empty() && now - repeats_.front().first > kept) repeats_.pop_front();
    if (late_rate_ && now - late_rate_->at > kept) late_rate_.reset();
}

// Four times the best of the last views, or what certificates take here: where everything is slow,
// no primary is to blame.
Duration LeaderWatch::limit(Duration base, Duration Past::*of) const {
    Duration limit = std::max(doubled(base, doublings_), tpm_ * slack);
    if (past_.size() < views_) return limit;
    auto best = std::min_element(past_.begin(), past_.end(),
                                 [&](const Past& a, const Past& b) { return a.*of < b.*of; });
    return std::max(limit, (*best).*of * slack);
}

std::optional<std::string> LeaderWatch::slow_slots() const {
    Duration limit = this->limit(options_.slot_interval, &Past::interval);
    Duration sum{};
    for (const Sample& sample : intervals_) sum += sample.value;
    if (intervals_.size() < intervals_judged || sum <= limit * std::int64_t{intervals_judged})
        return std::nullopt;
    return "requests waited " + std::to_string(ms(sum)) + " ms for the last " +
           std::to_string(intervals_judged) + " slots, allowed " + std::to_string(ms(limit)) +
           " ms each";
}

std::optional<std::string> LeaderWatch::late_orders() const {
    Duration limit = delay_limit();
    auto late = static_cast<std::size_t>(
        std::count_if(delays_.begin(), delays_.end(),
                      [&](const Sample& sample) { return sample.value > limit; }));
    if (late < late_min || late * 100 <= delays_.size()) return std::nullopt;
    return std::to_string(late) + " of " + std::to_string(delays_.size()) +
           " requests waited more than " + std::to_string(ms(limit)) + " ms for their place";
}

std::optional<std::string> LeaderWatch::overtaken() const {
    std::uint64_t limit = (options_.overtaking + turns * served_.size()) << doublings_;
    for (const auto& [client, queue] : queues_)
        if (queue.overtaken > limit)
            return "client " + std::to_string(client.value) + " waits while " +
                   std::to_string(queue.overtaken) + " later requests were ordered, allowed " +
                   std::to_string(limit);
    return std::nullopt;
}

// The floor rises slowly: what was enough in a view's first minutes is not for ever.
std::optional<std::string> LeaderWatch::low_rate(TimePoint now) const {
    std::uint64_t best = view_rate_;
    for (const Past& past : past_) best = std::max(best, past.rate);
    std::uint64_t minutes = ms(now - began_) / 60'000;
    std::uint64_t percent = std::min<std::uint64_t>(floor_percent + minutes, 100);
    if (!late_rate_ || late_rate_->second * 100 >= best * percent) return std::nullopt;
    return std::to_string(late_rate_->second) + " requests per second while some wait, lately " +
           std::to_string(best);
}

std::optional<std::string> LeaderWatch::repeated() const {
    auto count = static_cast<std::size_t>(std::count_if(
        repeats_.begin(), repeats_.end(), [](const auto& entry) { return entry.second; }));
    if (repeats_.size() < repeats_judged || count * 2 <= repeats_.size()) return std::nullopt;
    return std::to_string(count) + " of the last " + std::to_string(repeats_.size()) +
           " entries were ordered in this view before";
}

std::optional<std::pair<Suspicion, std::string>> LeaderWatch::verdict(TimePoint now,
                                                                      std::uint32_t doublings,
                                                                      Duration tpm) {
    doublings_ = doublings;
    tpm_ = tpm;
    if (!running_ || now - began_ < doubled(options_.view_min, doublings)) return std::nullopt;
    forget(now);
    if (drifting_ >= drifting_min && !clock_doubted_)
        return std::pair(Suspicion::clock_drift, "the slots' times are " +
                                                     std::to_string(ms(drift_)) +
                                                     " ms away from this host's clock");
    if (auto why = repeated()) return std::pair(Suspicion::duplicates, *why);
    if (auto why = overtaken()) return std::pair(Suspicion::overtaken, *why);
    if (auto why = slow_slots()) return std::pair(Suspicion::slow_slots, *why);
    if (auto why = late_orders()) return std::pair(Suspicion::late_orders, *why);
    if (auto why = low_rate(now)) return std::pair(Suspicion::low_rate, *why);
    return std::nullopt;
}

}  // namespace bft::consensus::minbft

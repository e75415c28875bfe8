// Virtual time: everything that happens in a simulated cluster, in one order.
#pragma once

#include "base/time.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace bft::sim {

/// Something to do later, once. What it captures lies in it: an event is no allocation.
class Task {
public:
    Task() = default;
    template <class F>
    requires(!std::is_same_v<std::decay_t<F>, Task>) Task(F&& what) {  // NOLINT: as std::function
        using Held = std::decay_t<F>;
        if constexpr (sizeof(Held) <= sizeof place_ && alignof(Held) <= alignof(std::max_align_t) &&
                      std::is_nothrow_move_constructible_v<Held>) {
            ::new (static_cast<void*>(place_)) Held(std::forward<F>(what));
            ops_ = &ops<Held>;
        } else {
            using Boxed = std::function<void()>;
            ::new (static_cast<void*>(place_)) Boxed(std::forward<F>(what));
            ops_ = &ops<Boxed>;
        }
    }
    Task(Task&& other) noexcept { take(other); }
    Task& operator=(Task&& other) noexcept {
        if (this == &other) return *this;
        clear();
        take(other);
        return *this;
    }
    ~Task() { clear(); }

    void operator()() { ops_->run(place_); }

private:
    struct Ops {
        void (*run)(void*);
        void (*move)(void* from, void* to);
        void (*destroy)(void*);
    };
    template <class Held>
    static constexpr Ops ops{[](void* at) { (*static_cast<Held*>(at))(); },
                             [](void* from, void* to) {
                                 auto* held = static_cast<Held*>(from);
                                 ::new (to) Held(std::move(*held));
                                 held->~Held();
                             },
                             [](void* at) { static_cast<Held*>(at)->~Held(); }};

    void take(Task& other) {
        ops_ = std::exchange(other.ops_, nullptr);
        if (ops_ != nullptr) ops_->move(other.place_, place_);
    }
    void clear() {
        if (ops_ != nullptr) std::exchange(ops_, nullptr)->destroy(place_);
    }

    const Ops* ops_ = nullptr;
    alignas(std::max_align_t) std::byte place_[64];
};

class Timeline {
public:
    [[nodiscard]] TimePoint now() const { return now_; }
    [[nodiscard]] std::uint64_t steps() const { return steps_; }

    /// Runs `what` at `when`, or now if that has passed. Events of one instant run in the order in
    /// which they were scheduled.
    void at(TimePoint when, Task what) {
        std::uint32_t place = 0;
        if (free_.empty()) {
            place = static_cast<std::uint32_t>(tasks_.size());
            tasks_.push_back(std::move(what));
        } else {
            place = free_.back();
            free_.pop_back();
            tasks_[place] = std::move(what);
        }
        heap_.push_back({std::max(when, now_), scheduled_++, place});
        std::push_heap(heap_.begin(), heap_.end(), later);
    }
    void after(Duration wait, Task what) { at(now_ + wait, std::move(what)); }

    /// Runs the next event if it is due by `limit`; otherwise moves to `limit` and returns false.
    bool step(TimePoint limit) {
        if (heap_.empty() || heap_.front().when > limit) {
            now_ = std::max(now_, limit);
            return false;
        }
        std::pop_heap(heap_.begin(), heap_.end(), later);
        Event event = heap_.back();
        heap_.pop_back();
        now_ = event.when;
        ++steps_;
        Task what = std::move(tasks_[event.task]);
        free_.push_back(event.task);
        what();
        return true;
    }

    [[nodiscard]] std::size_t pending() const { return heap_.size(); }

private:
    struct Event {
        TimePoint when;
        std::uint64_t order = 0;
        std::uint32_t task = 0;  ///< its place in tasks_
    };
    static bool later(const Event& a, const Event& b) {
        return a.when != b.when ? a.when > b.when : a.order > b.order;
    }

    TimePoint now_{};
    std::uint64_t scheduled_ = 0;
    std::uint64_t steps_ = 0;
    std::vector<Event> heap_;
    std::vector<Task> tasks_;
    std::vector<std::uint32_t> free_;  ///< places in tasks_
};

}  // namespace bft::sim

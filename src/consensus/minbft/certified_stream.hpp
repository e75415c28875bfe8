// One sender's certified messages, processed strictly by counter (R2, R6, R7).
#pragma once

#include "base/ids.hpp"
#include "base/time.hpp"
#include "consensus/messages.hpp"

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <variant>

namespace bft::consensus::minbft {

inline const Ui& ui_of(const Prepare& m) {
    return m.ui;
}
inline const Ui& ui_of(const NewView& m) {
    return m.ui;
}
inline const Ui& ui_of(const Commit& m) {
    return m.ui;
}
inline const Ui& ui_of(const ViewChangePtr& m) {
    return m->ui;
}
template <class... M>
const Ui& ui_of(const std::variant<M...>& m) {
    return std::visit([](const auto& each) -> const Ui& { return ui_of(each); }, m);
}

/// A gap in a sender's counter hides a message that it signed and withheld, perhaps the conflicting
/// one. Later messages wait here until the gap is filled or proven void (MinBFT, section 4).
template <class M>
class CertifiedStream {
public:
    /// `held_max` bounds what waits behind a gap.
    explicit CertifiedStream(std::size_t held_max = 1024) : held_max_(held_max) {}

    /// Takes a message in, whatever its place. False: old, held already, too far, or the sender is
    /// dead.
    bool offer(M message) {
        Counter cv = ui_of(message).cv;
        if (dead_ || cv <= processed_ || held_.contains(cv)) return false;
        if (promised_.contains(cv)) return false;
        if (cv > highest_) highest_ = cv;
        if (held_.size() >= held_max_) {
            // Near ones are worth more: they can be processed sooner.
            auto last = std::prev(held_.end());
            if (last->first <= cv) return false;
            held_.erase(last);
        }
        held_.emplace(cv, std::move(message));
        return true;
    }

    /// The next message in order, if it is here. A certificate proves `voids` values before its own
    /// void: those count as processed, too.
    [[nodiscard]] const M* peek() const {
        if (dead_ || held_.empty()) return nullptr;
        auto first = held_.begin();
        std::uint64_t before = first->first.value - 1;
        if (before > processed_.value && before - processed_.value > ui_of(first->second).voids)
            return nullptr;
        return &first->second;
    }

    /// What is held with the largest counter up to `limit`; null: nothing.
    [[nodiscard]] const M* held_up_to(Counter limit) const {
        auto beyond = held_.upper_bound(limit);
        return dead_ || beyond == held_.begin() ? nullptr : &std::prev(beyond)->second;
    }

    /// Makes room behind a gap that nobody can fill any more: what lies far beyond it is not held
    /// while nearer ones are.
    void drop_before(Counter cv) { held_.erase(held_.begin(), held_.lower_bound(cv)); }

    /// Drops what peek() shows, which must be something: its counter then counts as processed.
    Counter pop() {
        processed_ = held_.begin()->first;
        held_.erase(held_.begin());
        skip_voids();
        return processed_;
    }

    /// T1v: `cv` is never processed from now on, whatever comes. False: it has been, or too many
    /// promises are open.
    bool promise(Counter cv) {
        if (cv <= processed_) return false;
        if (promised_.size() >= promises_max && !promised_.contains(cv)) return false;
        promised_.insert(cv);
        held_.erase(cv);
        return true;
    }

    [[nodiscard]] bool promised(Counter cv) const { return promised_.contains(cv); }

    /// T1v: everybody has promised that: it counts as processed.
    void prove_void(Counter cv) {
        if (cv <= processed_ || proven_.size() >= promises_max) return;
        held_.erase(cv);
        proven_.insert(cv);
        heard_of(cv);
        skip_voids();
    }

    std::optional<M> next() {
        if (peek() == nullptr) return std::nullopt;
        std::optional<M> message(std::move(held_.begin()->second));
        pop();
        return message;
    }

    /// A provably invalid certified message: nothing of this sender is processed any more.
    void kill() {
        dead_ = true;
        held_.clear();
    }

    /// Somebody says that the stream goes at least this far.
    void heard_of(Counter cv) {
        if (cv > highest_) highest_ = cv;
    }

    /// Starts after `cv`: recovery of what was processed before.
    void resume_after(Counter cv) {
        if (cv > processed_) processed_ = cv;
        if (cv > highest_) highest_ = cv;
        held_.erase(held_.begin(), held_.upper_bound(cv));
        skip_voids();
    }

    [[nodiscard]] Counter processed() const { return processed_; }
    /// The largest value that is known to exist.
    [[nodiscard]] Counter highest() const { return highest_; }
    [[nodiscard]] bool dead() const { return dead_; }
    [[nodiscard]] std::size_t held() const { return held_.size(); }

    /// The first run of counters that are missing although a later one exists; nullopt when
    /// complete.
    [[nodiscard]] std::optional<std::pair<Counter, Counter>> missing() const {
        if (dead_ || highest_ <= processed_) return std::nullopt;
        if (held_.empty()) return std::pair(processed_.next(), highest_);
        if (peek() != nullptr) return std::nullopt;
        Counter first = held_.begin()->first;
        return std::pair(processed_.next(), Counter(first.value - 1));
    }

private:
    static constexpr std::size_t promises_max = 64;

    void skip_voids() {
        while (proven_.contains(processed_.next())) processed_ = processed_.next();
        proven_.erase(proven_.begin(), proven_.upper_bound(processed_));
        promised_.erase(promised_.begin(), promised_.upper_bound(processed_));
    }

    std::size_t held_max_;
    Counter processed_{};
    Counter highest_{};
    bool dead_ = false;
    std::map<Counter, M> held_;
    std::set<Counter> promised_, proven_;  ///< void values beyond `processed_`
};

}  // namespace bft::consensus::minbft

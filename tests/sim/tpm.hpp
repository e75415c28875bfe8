// A machine's TPM behind its USIG service: one operation at a time for all counters of the machine,
// one counter per identity, last() for each. The service outlives the role processes.
#pragma once

#include "base/prng.hpp"
#include "checker.hpp"
#include "timeline.hpp"
#include "tokens.hpp"

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace bft::sim {

struct TpmSpeed {
    Duration latency = 5ms;
    Duration jitter = 0ms;
    std::uint32_t void_permille = 0;  ///< an operation first spoils one or two values
    /// An answer is an error: the value was spent and its certificate is in last(), or nothing was.
    std::uint32_t error_permille = 0;
    /// Of the certificates that a power cut interrupts, these are lost for good (T1v).
    std::uint32_t hole_permille = 0;
};

class SimTpm {
public:
    SimTpm(Timeline& time, Seals& tokens, Checker& checker, TpmSpeed speed, Prng prng)
        : time_(time), tokens_(tokens), checker_(checker), speed_(speed), prng_(prng) {}

    using Done = std::function<void(consensus::Ui)>;
    using Failed = std::function<void()>;

    void create(UsigId identity, const Digest& digest, Done done) {
        create(identity, digest, std::move(done), nullptr);
    }
    /// `failed`: there is an error in the place of an answer, and last() says what became of it.
    void create(UsigId identity, const Digest& digest, Done done, Failed failed) {
        if (broken_) return;
        if (holes_.contains(identity))
            checker_.fail("T1v", "counter " + std::to_string(identity.value) +
                                     " is asked for a certificate behind its hole");
        queue_.push_back({identity, digest, std::move(done), std::move(failed)});
        ++waiting_[identity];
        start();
    }
    [[nodiscard]] std::optional<std::pair<Digest, consensus::Ui>> last(UsigId identity) const {
        auto found = last_.find(identity);
        if (found == last_.end()) return std::nullopt;
        return found->second;
    }
    /// A value that was spent after last(), and its certificate is lost (T1v).
    [[nodiscard]] std::optional<Counter> hole(UsigId identity) const {
        auto found = holes_.find(identity);
        if (found == holes_.end()) return std::nullopt;
        return found->second;
    }
    /// The hole at `cv` is proven void: the counter goes on after it.
    void forsake(UsigId identity, Counter cv) {
        auto found = holes_.find(identity);
        if (found == holes_.end()) return;  // told again
        if (found->second != cv)
            return checker_.fail("T1v", "counter " + std::to_string(identity.value) +
                                            " has no hole at " + std::to_string(cv.value));
        holes_.erase(found);
        checker_.voided(identity, cv);
    }
    /// Nothing of `identity` is queued or in progress.
    [[nodiscard]] bool idle(UsigId identity) const {
        auto found = waiting_.find(identity);
        return found == waiting_.end() || found->second == 0;
    }
    /// The whole machine dies: what was queued never happens, what was in progress may have
    /// happened; then the service knows it through last(), or it has its intent in the log and
    /// nothing else: the session that could prove what the increment was for is gone.
    void machine_crashed() {
        ++incarnation_;
        if (busy_ && !queue_.empty() && prng_.chance(500)) {
            if (prng_.chance(speed_.hole_permille)) {
                Counter& cv = counters_[queue_.front().identity];
                cv = cv.next();
                holes_[queue_.front().identity] = cv;
            } else {
                certify(queue_.front());
            }
        }
        queue_.clear();
        waiting_.clear();
        busy_ = false;
    }
    /// Nothing is certified until then (T5).
    void away_until(TimePoint when) { away_until_ = when; }
    /// Each operation takes so much longer until then (F1).
    void slow_until(TimePoint when, Duration extra) {
        slow_until_ = when;
        slow_ = extra;
    }
    void never_voids(UsigId identity) { whole_.insert(identity); }
    /// T3: all counters and what they certified are gone; nothing is certified any more under the
    /// old identities, which is what an epoch in the certificate comes to.
    [[nodiscard]] bool was_reset() const { return broken_; }
    void reset() {
        ++incarnation_;
        queue_.clear();
        waiting_.clear();
        last_.clear();
        holes_.clear();
        busy_ = false;
        broken_ = true;
    }

    /// Test of the tests: forgets the next increment of `identity`, so that the certificate after
    /// it has the same value.
    void roll_back_after_next(UsigId identity) { roll_back_ = identity; }

private:
    struct Operation {
        UsigId identity;
        Digest digest;
        Done done;
        Failed failed;
    };

    void start() {
        if (busy_ || queue_.empty()) return;
        busy_ = true;
        auto jitter = static_cast<std::uint64_t>(speed_.jitter.count());
        Duration wait = speed_.latency + Duration(prng_.below(jitter + 1));
        if (slow_until_ > time_.now()) wait += slow_;
        if (away_until_ > time_.now()) wait += away_until_ - time_.now();
        time_.after(wait, [this, incarnation = incarnation_] {
            if (incarnation != incarnation_) return;
            Operation operation = std::move(queue_.front());
            queue_.pop_front();
            --waiting_[operation.identity];
            finish(operation);
            if (incarnation == incarnation_) start();
        });
    }

    void finish(const Operation& operation) {
        busy_ = false;
        bool fails = operation.failed && prng_.chance(speed_.error_permille);
        if (!fails) return operation.done(certify(operation));
        if (prng_.chance(500)) certify(operation);
        operation.failed();
    }

    consensus::Ui certify(const Operation& operation) {
        bool spoils = prng_.chance(speed_.void_permille) && !whole_.contains(operation.identity);
        std::uint32_t voids = spoils ? static_cast<std::uint32_t>(prng_.between(1, 2)) : 0;
        Counter& cv = counters_[operation.identity];
        cv = cv + (voids + 1);
        consensus::Ui ui = tokens_.certify(operation.identity, cv, voids, operation.digest);
        last_[operation.identity] = {operation.digest, ui};
        if (roll_back_ == operation.identity) {
            cv = Counter(cv.value - 1);
            roll_back_.reset();
        }
        checker_.certified(operation.identity, ui, operation.digest);
        return ui;
    }

    Timeline& time_;
    Seals& tokens_;
    Checker& checker_;
    TpmSpeed speed_;
    Prng prng_;
    std::deque<Operation> queue_;
    std::map<UsigId, std::uint32_t> waiting_;
    std::map<UsigId, Counter> counters_;
    std::map<UsigId, std::pair<Digest, consensus::Ui>> last_;
    std::optional<UsigId> roll_back_;
    std::set<UsigId> whole_;
    std::map<UsigId, Counter> holes_;
    TimePoint away_until_{};
    TimePoint slow_until_{};
    Duration slow_{};
    bool broken_ = false;
    bool busy_ = false;
    std::uint64_t incarnation_ = 0;
};

}  // namespace bft::sim

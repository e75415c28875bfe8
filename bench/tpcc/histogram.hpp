// Latencies in microseconds with a relative error below 1.6 %, in constant memory.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace bft::tpcc {

/// 64 linear steps per power of two, as HdrHistogram has them.
class Histogram {
public:
    void add(std::uint64_t value) {
        value = std::min(value, value_max);
        ++counts_[index(value)];
        ++count_;
        sum_ += value;
        max_ = std::max(max_, value);
    }

    void add(const Histogram& other) {
        for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
        count_ += other.count_;
        sum_ += other.sum_;
        max_ = std::max(max_, other.max_);
    }

    /// The smallest value that at least `permille` thousandths of the values do not exceed, rounded
    /// up to its step; 0 when there are none.
    [[nodiscard]] std::uint64_t quantile(std::uint64_t permille) const {
        std::uint64_t rank = std::max<std::uint64_t>(1, (count_ * permille + 999) / 1000);
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            seen += counts_[i];
            if (seen >= rank) return std::min(upper(i), max_);
        }
        return 0;
    }

    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] std::uint64_t max() const { return max_; }
    [[nodiscard]] std::uint64_t mean() const { return count_ == 0 ? 0 : sum_ / count_; }

private:
    static constexpr unsigned step_bits = 6;
    static constexpr std::uint64_t steps = 1u << step_bits;
    static constexpr std::uint64_t value_max = (std::uint64_t{1} << 40) - 1;  // twelve days

    static std::size_t index(std::uint64_t value) {
        if (value < 2 * steps) return value;
        auto shift = static_cast<unsigned>(std::bit_width(value)) - step_bits - 1;
        return (shift << step_bits) + (value >> shift);
    }
    /// The largest value of a place.
    static std::uint64_t upper(std::size_t place) {
        if (place < 2 * steps) return place;
        auto shift = (place >> step_bits) - 1;
        std::uint64_t top = (place & (steps - 1)) + steps;
        return ((top + 1) << shift) - 1;
    }

    std::array<std::uint64_t, (40 - step_bits + 1) * steps> counts_{};
    std::uint64_t count_ = 0;
    std::uint64_t sum_ = 0;
    std::uint64_t max_ = 0;
};

}  // namespace bft::tpcc

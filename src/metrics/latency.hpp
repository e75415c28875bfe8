// How long something took, counted in buckets: adding is a search among sixteen integers.
#pragma once

#include "base/time.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace bft::metrics {

class Latency {
public:
    /// Upper bounds of the buckets in microseconds, inclusive; one more bucket has the rest.
    static constexpr std::array<std::uint64_t, 18> bounds_us{
        50,     100,    250,    500,     1'000,   2'500,   5'000,     10'000,    20'000,
        40'000, 60'000, 80'000, 100'000, 250'000, 500'000, 1'000'000, 2'500'000, 10'000'000};
    using Counts = std::array<std::uint64_t, bounds_us.size() + 1>;

    /// A negative time, of clocks that were read in another order than things happened, is none.
    void add(Duration took) {
        std::uint64_t ns = took.count() > 0 ? static_cast<std::uint64_t>(took.count()) : 0;
        const auto* bound = std::lower_bound(bounds_us.begin(), bounds_us.end(), (ns + 999) / 1000);
        ++counts_[static_cast<std::size_t>(bound - bounds_us.begin())];
        ++count_;
        sum_ns_ += ns;
    }

    /// By bucket, not added up.
    [[nodiscard]] const Counts& counts() const { return counts_; }
    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] std::uint64_t sum_us() const { return sum_ns_ / 1000; }

    /// Below this bound were `per_mille` of all; the last bound where there were longer ones.
    [[nodiscard]] std::uint64_t bound_of(std::uint64_t per_mille) const {
        std::uint64_t wanted = (count_ * per_mille + 999) / 1000;
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < bounds_us.size(); ++i)
            if (seen += counts_[i]; seen >= wanted) return bounds_us[i];
        return bounds_us.back();
    }

private:
    Counts counts_{};
    std::uint64_t count_ = 0;
    std::uint64_t sum_ns_ = 0;
};

}  // namespace bft::metrics

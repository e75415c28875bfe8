// Which rare turns the engines of a seed take (consensus/quirks.hpp): each kind is on in half of
// the seeds that have any, and then strikes with a probability of its own, until the chaos ends.
#pragma once

#include "base/prng.hpp"
#include "consensus/quirks.hpp"
#include "plan.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <string>

namespace bft::sim {

class SimQuirks final : public consensus::Quirks {
public:
    using Reach = std::function<void(const std::string&)>;

    SimQuirks(const Plan& plan, Reach reach)
        : permille_(plan.quirks), prng_(plan.seed ^ 0xb099'1f1eu), reach_(std::move(reach)) {}

    [[nodiscard]] bool strikes(consensus::Quirk quirk) override {
        std::uint32_t permille = permille_[static_cast<std::size_t>(quirk)];
        if (!on_ || permille == 0 || !prng_.chance(permille)) return false;
        reach_(std::string("quirk: ") + consensus::to_string(quirk));
        return true;
    }
    void stop() { on_ = false; }

private:
    std::array<std::uint32_t, consensus::quirk_kinds> permille_;
    Prng prng_;
    Reach reach_;
    bool on_ = true;
};

}  // namespace bft::sim

// Load that changes in steps.
#pragma once

#include "base/result.hpp"

#include <chrono>
#include <cstddef>
#include <string_view>
#include <vector>

namespace bft::tpcc {

/// So many terminals are at work for so long.
struct ProfileStep {
    std::size_t clients = 0;
    std::chrono::seconds length{0};
};

/// "8x30,64x60": steps of CLIENTSxSECONDS. The error says what is wrong.
Result<std::vector<ProfileStep>> parse_profile(std::string_view text);

}  // namespace bft::tpcc

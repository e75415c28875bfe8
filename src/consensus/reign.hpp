// Whose turn it is, or will be, to lead views (protocol.md 3.16, CF11).
#pragma once

#include "consensus/configuration.hpp"

#include <vector>

namespace bft::consensus {

/// Who lead the views of the newest epoch in turn; all others were replaced. A view of the epoch
/// before may go on: Membership::all_primaries().
[[nodiscard]] std::vector<PrimaryId> reign_of(const Membership& membership);
[[nodiscard]] std::vector<PrimaryId> reign_of(const Configuration& configuration);

}  // namespace bft::consensus

// Which calls of a row of ordered ones run together, as one set of statements (docs/adr/0017).
#pragma once

#include "base/ids.hpp"
#include "catalog/application.hpp"

#include <deque>
#include <span>
#include <vector>

namespace bft::database {

/// One call of the row.
struct OrderedCall {
    std::size_t number = 0;  ///< its place in the row
    const catalog::Procedure* procedure = nullptr;
    std::vector<PartitionId> partitions;
};

/// What one CALL runs: one call in its plain form, or several of one procedure in its batch form.
struct Step {
    /// Steps of one level may run in any sequence.
    std::size_t level = 0;
    const catalog::Procedure* together = nullptr;  ///< nullptr: one call, by itself
    std::vector<std::size_t> calls;                ///< numbers, ascending
};

/// Steps in a sequence that gives what the calls give one after the other: calls that may not
/// change places keep theirs. Two may when they share no partition, only read, or the application
/// says so (commute()).
std::deque<Step> plan_steps(const catalog::Application& application,
                            std::span<const OrderedCall> calls);

}  // namespace bft::database

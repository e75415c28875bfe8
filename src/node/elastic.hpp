// What the controller decides: how many groups serve, and which partitions each of them owns
// (docs/operations.md, "Elastic"). Pure functions: the same samples give the same decisions.
#pragma once

#include "base/ids.hpp"
#include "base/time.hpp"
#include "consensus/config_change.hpp"
#include "node/config.hpp"
#include "node/status_document.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace bft::node {

struct ElasticPolicy {
    Duration target_p95 = 100ms;
    std::uint32_t min_groups = 1;
    std::uint32_t max_groups = 0xffff'ffff;  ///< as many as there are, or can be added
    /// Groups that own nothing and are kept for the next time. Those beyond it that the order added
    /// are removed; their counters are never used again.
    std::uint32_t spare_groups = 0xffff'ffff;
    /// After a change nothing is decided for so long: what it did must show first.
    Duration cool_down = 20s;
    /// So many samples in a row must say the same.
    std::uint32_t samples = 3;
    /// Below this share of the target a group is given back. Far below, or it flaps.
    std::uint32_t shrink_percent = 40;
    /// Partitions are spread anew when the busiest group would lose so much of its load.
    std::uint32_t rebalance_percent = 20;
    Duration sample_every = 2s;
};

/// config/controller.toml explains every key.
Loaded<ElasticPolicy> load_policy(const std::filesystem::path& file);
Loaded<ElasticPolicy> parse_policy(std::string_view text, const std::filesystem::path& file);

/// What is seen at one moment.
struct ElasticSample {
    TimePoint at{};
    std::optional<Duration> p95;          ///< since the last sample; nullopt: nothing was answered
    std::map<PartitionId, double> rates;  ///< transactions per second
    consensus::Configuration now;
    std::uint32_t addable = 0;  ///< groups for which there are counters to spare
};

struct ElasticMemory {
    std::uint32_t above = 0;   ///< samples in a row over the target
    std::uint32_t below = 0;   ///< far under it
    std::uint32_t uneven = 0;  ///< that would be spread anew
    TimePoint quiet_until{};
};

struct ElasticDecision {
    std::vector<consensus::MovePartition> moves;
    std::uint32_t add = 0;        ///< groups that must come first; then spread() says what moves
    std::vector<GroupId> remove;  ///< they own nothing
    std::uint32_t groups = 0;     ///< that serve then
    std::string why;              ///< one line

    [[nodiscard]] bool changes() const { return !moves.empty() || add > 0 || !remove.empty(); }
};

/// What hosts said of themselves at one moment, by name; none twice.
struct ElasticView {
    TimePoint at{};
    std::map<std::string, StatusDocument> hosts;
};
/// What lies between two views. A lying host can be one in three: medians over hosts count.
[[nodiscard]] ElasticSample sample_between(const ElasticView& before, const ElasticView& after,
                                           consensus::Configuration now);

/// Groups that own a partition other than 0.
[[nodiscard]] std::vector<GroupId> serving(const consensus::Configuration& now);

/// The moves after which `count` groups serve, evenly loaded: as few partitions move as that takes.
/// Requires 1 <= count, and at most as many as there are groups and partitions.
[[nodiscard]] std::vector<consensus::MovePartition> spread(const ElasticSample& sample,
                                                           std::uint32_t count);

/// "moves 3->2 4->2"
[[nodiscard]] std::string moves_text(const std::vector<consensus::MovePartition>& moves);

[[nodiscard]] ElasticDecision decide(const ElasticPolicy& policy, const ElasticSample& sample,
                                     ElasticMemory& memory);

}  // namespace bft::node

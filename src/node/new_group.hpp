// Where one more group goes: onto hosts that have a counter to spare and follow the order, those
// with fewest seats first, away from who can order (docs/adr/0026).
#pragma once

#include "node/bftctl_hosts.hpp"

#include <optional>
#include <string>
#include <vector>

namespace bft::node {

/// A host that may have a seat of a new group.
struct Candidate {
    std::string name;
    std::optional<HostId> id;                    ///< nullopt: it joins by the same change
    std::vector<usig::PublicIdentity> counters;  ///< that were never used
    std::optional<JoinFile> join{};
};

/// Hosts of the cluster file with their spare counters, and whoever has a join file.
[[nodiscard]] std::vector<Candidate> candidates(const RunningCluster& cluster,
                                                const std::vector<JoinFile>& joins = {});
/// So many groups could come, one after the other.
[[nodiscard]] std::uint32_t groups_for(std::uint32_t f, const std::vector<Candidate>& able);

/// Those of `members` that have caught up, and those who join, of whom nobody can tell. A group
/// counts from the slot after the one that adds it, so hosts that do not run would hold up the
/// order. `why` says of the others what they lack.
[[nodiscard]] std::vector<Candidate> running(const RunningCluster& cluster,
                                             const std::vector<Candidate>& members,
                                             Duration patience, std::string& why);

/// 2f+1 of `able`. Errc::refused: there are fewer.
[[nodiscard]] Result<std::vector<Candidate>> choose(const RunningCluster& cluster,
                                                    const std::vector<Candidate>& able);

/// The group with the next number, or `id`, on `members` by position.
[[nodiscard]] Result<consensus::ConfigChange> new_group(const RunningCluster& cluster,
                                                        const std::vector<Candidate>& members,
                                                        std::optional<GroupId> id = {});

}  // namespace bft::node

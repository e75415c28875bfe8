// Asks the daemons of this machine how they are.
#pragma once

#include "node/bftctl_targets.hpp"
#include "node/status_document.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace bft::node {

/// One host of the cluster, asked.
struct HostStatus {
    std::string host;
    std::string document;  ///< JSON; empty when it did not answer
    std::string why;       ///< it did not answer
    StatusDocument status;
};

struct Survey {
    std::vector<HostStatus> hosts;
    /// By host: how much of what it said others saw differ.
    std::map<std::string, std::uint64_t> disagreements;
    /// By host: who says so.
    std::map<std::string, std::set<std::string>> accusers;

    [[nodiscard]] bool all_ready() const;
};

Survey ask(const std::vector<Target>& targets);

/// At a terminal what follows is at its top; elsewhere an empty line is before it.
void begin_screen();

}  // namespace bft::node

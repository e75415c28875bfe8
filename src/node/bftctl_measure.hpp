// What hosts stand on, as it is: clocks, disks, links, TPMs, databases, versions.
#pragma once

#include "node/bftctl_targets.hpp"

#include <string>
#include <vector>

namespace bft::node {

enum class Verdict { good, wrong, unknown };

struct Finding {
    Verdict verdict = Verdict::good;
    const char* what = "";  ///< one word
    std::string where;      ///< host
    std::string sentence;   ///< with what to do, where something is wrong
};

std::vector<Finding> measure(const std::vector<Target>& targets);

}  // namespace bft::node

// bftctl member: the hosts that take part.
#pragma once

#include "node/bftctl.hpp"

namespace bft::node {

Command add_member(CLI::App& app);
/// Adds the command below `bftctl member`; what it gives runs it.
Command add_member_prepare(CLI::App& member);

}  // namespace bft::node

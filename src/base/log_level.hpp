// The level of the running process's log.
#pragma once

#include <string>

namespace bft::log {

/// debug, info, warn or error; from now on.
void set_level(const std::string& level);
std::string level();

}  // namespace bft::log

// Parts of config_change.cpp that several files share.
#pragma once

#include "consensus/config_change.hpp"
#include "consensus/config_codec.hpp"

namespace bft::consensus {

/// A counter that belongs, or once belonged, to somebody.
[[nodiscard]] bool used(const Configuration& config, UsigId usig);
[[nodiscard]] bool known_host(const Configuration& config, HostId host);

// config_groups.cpp
void put_groups(ConfigWriter& out, const ConfigChange& change);
void read_groups(ConfigReader& in, ConfigChange& change);
[[nodiscard]] Result<void> add_groups(Configuration& next, const ConfigChange& change);
[[nodiscard]] Result<void> remove_groups(const Configuration& current, Configuration& next,
                                         const ConfigChange& change);

}  // namespace bft::consensus

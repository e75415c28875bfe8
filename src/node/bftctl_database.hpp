// How bftctl reaches the database of a host: as its voter does.
#pragma once

#include "database/session.hpp"
#include "node/config.hpp"

namespace bft::node {

/// Errc::not_found: the password cannot be read.
Result<database::ConnectOptions> connect_options_of(const DatabaseConfig& config);

}  // namespace bft::node

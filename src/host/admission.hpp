// What a replica or primary checks of a client's request beyond the protocol: that the application
// has the procedure, takes the arguments, and touches exactly the declared partitions.
#pragma once

#include "catalog/application.hpp"
#include "consensus/messages.hpp"

#include <optional>

namespace bft::host {

/// Why the request is refused, for its client; nullopt: admitted. Pure, the same on every node.
[[nodiscard]] std::optional<consensus::Rejected> refuse(const catalog::Application& application,
                                                        const consensus::Request& request);

/// What to tell a client whose request did not pass the Verifier.
[[nodiscard]] consensus::Rejected refusal(const consensus::RequestId& id, const Error& why);

}  // namespace bft::host

// What makes the processes of a host run somewhere, and ends them: an executable that reads one
// JSON request and writes one JSON answer (docs/provisioning.md, docs/adr/0019).
#pragma once

#include "base/result.hpp"
#include "base/time.hpp"

#include <boost/json/object.hpp>

#include <filesystem>
#include <string>
#include <string_view>

namespace bft::node {

/// A name is a path, or that of one which comes along: local, systemd, ec2.
[[nodiscard]] Result<std::filesystem::path> find_provisioner(const std::string& name);

struct ProvisionerRequest {
    std::string action;  ///< start, stop, status, or what else it describes
    std::string cluster;
    std::string host;
    boost::json::object settings;  ///< the provisioner's own
};

struct ProvisionerAnswer {
    std::string state;  ///< running, starting, stopped, absent
    bool changed = false;
    boost::json::object document;  ///< the answer whole
};

/// Runs `program` once and waits for its answer. Errors: unavailable, where asking again may help
/// (it says so, gave no JSON, or did not end within `patience`); refused, where it does not.
[[nodiscard]] Result<ProvisionerAnswer> ask(const std::filesystem::path& program,
                                            const ProvisionerRequest& request, Duration patience);
/// What `output` says for `host`; bounded and checked, for a provisioner may err.
[[nodiscard]] Result<ProvisionerAnswer> read_answer(std::string_view output,
                                                    const std::string& host);

}  // namespace bft::node

// What commands have in common that change the configuration: whose folder, which admin keys, and
// how it is told what would change, what did, or why not.
#pragma once

#include "client/admin.hpp"
#include "node/bftctl.hpp"

#include <boost/json/object.hpp>

namespace bft::node {

struct ChangeOptions {
    std::string client;
    std::vector<std::string> keys;
    double timeout_s = 30;
    std::string format = "table";
    bool dry_run = false;

    [[nodiscard]] bool json() const { return format == "json"; }
    [[nodiscard]] Duration patience() const;
};

/// --client, --timeout, --format.
void add_looking(CLI::App& command, ChangeOptions& options);
/// And --key, --dry-run.
void add_changing(CLI::App& command, ChangeOptions& options);

/// Tells why, and gives the exit status.
int say_failed(const Error& why);

/// A client's folder and what the cluster has in force.
struct Running {
    client::Config config;
    std::unique_ptr<client::Admin> admin;
    consensus::Configuration now;
};
[[nodiscard]] Result<Running> look(const ChangeOptions& options);
/// By somebody who has the cluster file, whose members `membership` are.
[[nodiscard]] Result<Running> look(const ChangeOptions& options, consensus::Membership membership);

/// What a change needs besides its signatures; both may be empty.
struct ChangeSteps {
    /// Before it is ordered: refused, and nothing is changed.
    std::function<Result<void>()> allowed;
    /// When it is in force: what remains to be done or waited for, and said in the document.
    std::function<Result<void>(boost::json::object& document)> in_force;
};

/// Signs `change` with the keys of `options` and has it ordered; with --dry-run only says whether
/// that is allowed. `lines` and `document` say what it changes. Gives the exit status.
int bring(const ChangeOptions& options, Running& running, consensus::ConfigChange change,
          const std::vector<std::string>& lines, boost::json::object document,
          const ChangeSteps& steps = {});

}  // namespace bft::node

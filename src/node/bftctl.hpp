// The commands of bftctl. Each adds itself to the command line and gives its exit status.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <memory>

namespace bft::node {

/// What bftctl ends with; shown by --help.
enum ExitStatus : int {
    exit_done = 0,
    exit_failed = 1,        ///< it did not work; the reason is on standard error
    exit_usage = 2,         ///< the command line or a file is wrong
    exit_aborted = 3,       ///< call: executed, and ended by a rule of the application
    exit_unknown = 4,       ///< call: no agreement about the answer in time
    exit_disagreement = 5,  ///< status, audit, check: a host is down, disagrees, or is not right
    exit_interrupted = 130,
};

using Command = std::function<int()>;

/// Each returns what to run when its subcommand was chosen.
Command add_init(CLI::App& app);
Command add_install(CLI::App& app);
Command add_status(CLI::App& app);
Command add_call(CLI::App& app);
Command add_check(CLI::App& app);
Command add_manifest(CLI::App& app);
Command add_verify_receipt(CLI::App& app);
Command add_audit(CLI::App& app);
Command add_generate(CLI::App& app);
Command add_top(CLI::App& app);
Command add_rolling_restart(CLI::App& app);
Command add_drain(CLI::App& app);
Command add_log_level(CLI::App& app);
Command add_debug(CLI::App& app);
Command add_snapshot(CLI::App& app);
Command add_enroll(CLI::App& app);
Command add_partition(CLI::App& app);
Command add_group(CLI::App& app);
Command add_controller(CLI::App& app);
Command add_client(CLI::App& app);
Command add_key(CLI::App& app);
Command add_feature(CLI::App& app);
Command add_host(CLI::App& app);

}  // namespace bft::node

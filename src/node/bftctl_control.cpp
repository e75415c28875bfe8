// bftctl drain, log-level: what a running daemon is told.
#include "node/bftctl.hpp"
#include "node/bftctl_targets.hpp"
#include "node/status_document.hpp"

#include <cstdio>
#include <string>
#include <vector>

namespace bft::node {
namespace {

/// Tells every daemon; 1 when one did not take it.
int tell(const std::vector<std::string>& places, const std::string& line, const std::string& done) {
    auto targets = find_targets(places);
    if (!targets) {
        std::fprintf(stderr, "%s\n", targets.error().what.c_str());
        return exit_usage;
    }
    int status = exit_done;
    for (const Target& target : *targets) {
        auto told = send_control(control_socket_of(target.config.status_socket), line);
        if (told) {
            std::printf("%-12s %s\n", target.config.host.c_str(), done.c_str());
            continue;
        }
        std::fprintf(stderr, "%-12s %s\n", target.config.host.c_str(), told.error().what.c_str());
        status = exit_failed;
    }
    return status;
}

constexpr const char* place_help =
    "a cluster's folder, a host's folder, or node.toml; on this machine";

}  // namespace

Command add_drain(CLI::App& app) {
    CLI::App* command = app.add_subcommand(
        "drain", "Makes a host's /readyz say 503 before it is stopped, so that nobody asks it");
    auto places = std::make_shared<std::vector<std::string>>();
    auto undo = std::make_shared<bool>(false);
    command->add_option("PLACE", *places, place_help)->required();
    command->add_flag("--undo", *undo, "serve again");
    command->footer(
        "The host goes on with everything it does; only those that watch /readyz, such as load\n"
        "balancers, send nothing new. A restart ends it.\n"
        "Exit status: 0 told; 1 a daemon does not answer; 2 wrong command line or file.\n"
        "Example:\n  bftctl drain /etc/bftnode/host1 && sleep 10 && systemctl restart "
        "bftnode@host1");
    return [places, undo] {
        return tell(*places, *undo ? "undrain" : "drain", *undo ? "serves" : "drains");
    };
}

Command add_log_level(CLI::App& app) {
    CLI::App* command =
        app.add_subcommand("log-level", "Changes how much running daemons log, until they restart");
    auto level = std::make_shared<std::string>();
    auto places = std::make_shared<std::vector<std::string>>();
    command->add_option("LEVEL", *level, "debug, info, warn or error")
        ->required()
        ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
    command->add_option("PLACE", *places, place_help)->required();
    command->footer(
        "For the daemons of the network roles; bftnode-usig takes --log-level at its start.\n"
        "Exit status: 0 changed; 1 a daemon does not answer; 2 wrong command line or file.\n"
        "Example:\n  bftctl log-level debug /etc/bftnode/host1");
    return [level, places] { return tell(*places, "log-level " + *level, "logs from " + *level); };
}

}  // namespace bft::node

// bftctl: for people at a terminal.
#include "node/bftctl.hpp"

#include "node/bftctl_member.hpp"

#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

namespace bft::node {
namespace {

constexpr const char* footer = R"(A first cluster:
  bftctl init --topology topology.toml --dir cluster     keys, TPM counters and files of every host
  bftctl check cluster/hosts/host1/node.toml             everything that is wrong, at once
  bftctl check --measure cluster                         clocks, disks, links, TPMs, databases
  bftctl status cluster                                  who is up, how far, and who disagrees
  bftctl top cluster                                     what costs time, every two seconds
  bftctl call --client cluster/clients/admin stock_level 1 1 15
  bftctl audit cluster                                   compare all databases now
  bftctl snapshot save cluster                           a backup that proves itself
  bftctl partition move 3 --to 2 --client ... --key ...  another group takes partition 3 over
  bftctl client add ann --client ... --key ...           another client may call, at once

Exit status: 0 done; 1 it did not work; 2 wrong command line or file; 3 call: aborted by a rule of the
application; 4 call: no f+1 equal answers in time; 5 status, audit, check: a host is down,
disagrees, or is not as it should be;
130 interrupted. `bftctl COMMAND --help` has more.)";

}  // namespace

}  // namespace bft::node

int main(int argc, char** argv) {
    using namespace bft::node;
    // Ctrl-C counts even where a script around us ignores it.
    std::signal(SIGINT, SIG_DFL);
    CLI::App app("Makes, watches and calls a bftnode cluster.", "bftctl");
    app.set_version_flag("--version", std::string("bftctl ") + BFT_VERSION);
    app.footer(footer);
    app.require_subcommand(1);
    const std::vector<std::pair<std::string, Command>> commands = {
        {"init", add_init(app)},         {"install", add_install(app)},
        {"generate", add_generate(app)}, {"status", add_status(app)},
        {"call", add_call(app)},         {"check", add_check(app)},
        {"audit", add_audit(app)},       {"partition", add_partition(app)},
        {"group", add_group(app)},       {"controller", add_controller(app)},
        {"manifest", add_manifest(app)}, {"verify-receipt", add_verify_receipt(app)},
        {"top", add_top(app)},           {"rolling-restart", add_rolling_restart(app)},
        {"drain", add_drain(app)},       {"log-level", add_log_level(app)},
        {"debug", add_debug(app)},       {"snapshot", add_snapshot(app)},
        {"enroll", add_enroll(app)},     {"client", add_client(app)},
        {"key", add_key(app)},           {"feature", add_feature(app)},
        {"member", add_member(app)},     {"host", add_host(app)},
    };
    try {
        app.parse(argc, argv);
        for (const auto& [name, run] : commands)
            if (app.got_subcommand(name)) return run();
    } catch (const CLI::ParseError& failure) {
        return app.exit(failure) == 0 ? exit_done : exit_usage;
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "bftctl: %s\n", failure.what());
        return exit_failed;
    }
    return exit_usage;
}

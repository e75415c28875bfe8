// bftctl: for people at a terminal.
#include "node/bftctl.hpp"

#include "node/config.hpp"

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
  bftctl status cluster                                  who is up, how far, and who disagrees
  bftctl call --client cluster/clients/admin stock_level 1 1 15
  bftctl audit cluster                                   compare all databases now

Exit status: 0 done; 1 it did not work; 2 wrong command line or file; 3 call: aborted by a rule of the
application; 4 call: no f+1 equal answers in time; 5 status, audit: a host is down or
disagrees;
130 interrupted. `bftctl COMMAND --help` has more.)";

}  // namespace

Command add_check(CLI::App& app) {
    CLI::App* command = app.add_subcommand(
        "check", "Says everything that is wrong with a host's node.toml and cluster file");
    auto files = std::make_shared<std::vector<std::string>>();
    command->add_option("FILE", *files, "node.toml of a host")->required();
    command->footer("Example:\n  bftctl check cluster/hosts/*/node.toml");
    return [files] {
        std::size_t errors = 0;
        for (const std::string& file : *files) {
            for (const Diagnostic& wrong : check_config(file)) {
                std::fprintf(stderr, "%s\n", to_string(wrong).c_str());
                ++errors;
            }
        }
        if (errors != 0) std::fprintf(stderr, "%zu error(s)\n", errors);
        return errors == 0 ? exit_done : exit_usage;
    };
}

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
        {"init", add_init(app)},
        {"install", add_install(app)},
        {"generate", add_generate(app)},
        {"status", add_status(app)},
        {"call", add_call(app)},
        {"check", add_check(app)},
        {"audit", add_audit(app)},
        {"manifest", add_manifest(app)},
        {"verify-receipt", add_verify_receipt(app)},
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

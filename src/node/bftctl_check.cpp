// bftctl check: what is wrong with a host's files, and, measured, with what it stands on.
#include "node/bftctl.hpp"
#include "node/bftctl_measure.hpp"
#include "node/config.hpp"

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

namespace bft::node {
namespace {

struct Options {
    std::vector<std::string> files;
    bool measure = false;
};

std::size_t check_files(const std::vector<std::string>& files) {
    std::size_t errors = 0;
    for (const std::string& file : files) {
        for (const Diagnostic& wrong : check_config(file)) {
            std::fprintf(stderr, "%s\n", to_string(wrong).c_str());
            ++errors;
        }
    }
    return errors;
}

/// A folder stands for the hosts in it, as everywhere; a file is checked even if nothing in it is
/// right.
Result<std::vector<std::string>> node_files_of(const std::vector<std::string>& places) {
    std::vector<std::string> files;
    for (const std::string& place : places) {
        std::error_code bad;
        if (!std::filesystem::is_directory(place, bad)) {
            files.push_back(place);
            continue;
        }
        auto found = find_node_files({place});
        if (!found) return found.error();
        for (const std::filesystem::path& file : *found) files.push_back(file.string());
    }
    return files;
}

int run(const Options& options) {
    auto files = node_files_of(options.files);
    if (!files) {
        std::fprintf(stderr, "%s\n", files.error().what.c_str());
        return exit_usage;
    }
    if (const std::size_t errors = check_files(*files); errors != 0) {
        std::fprintf(stderr, "%zu error(s)\n", errors);
        return exit_usage;
    }
    if (!options.measure) return exit_done;
    auto targets = find_targets(*files);
    if (!targets) {
        std::fprintf(stderr, "%s\n", targets.error().what.c_str());
        return exit_usage;
    }
    std::size_t wrong = 0;
    for (const Finding& finding : measure(*targets)) {
        const char* verdict = finding.verdict == Verdict::good      ? "ok"
                              : finding.verdict == Verdict::unknown ? "?"
                                                                    : "WRONG";
        std::printf("%-5s %-9s %-12s %s\n", verdict, finding.what, finding.where.c_str(),
                    finding.sentence.c_str());
        if (finding.verdict == Verdict::wrong) ++wrong;
    }
    return wrong == 0 ? exit_done : exit_disagreement;
}

}  // namespace

Command add_check(CLI::App& app) {
    CLI::App* command = app.add_subcommand(
        "check", "Says everything that is wrong with hosts' files and with what they stand on");
    auto options = std::make_shared<Options>();
    command->add_option("FILE", options->files, "node.toml of a host, or a folder of hosts")
        ->required();
    command->add_flag(
        "--measure", options->measure,
        "also clocks, disks, round trips, TPMs, databases, versions of this machine's "
        "hosts");
    command->footer(
        "--measure asks the running daemons and databases; run it as a user that may read "
        "node.toml\n"
        "and write to data_dir (root). It changes nothing; the disk is tried with a file of its "
        "own.\n"
        "Exit status: 0 nothing is wrong; 2 the files are; 5 something that was measured is.\n"
        "Examples:\n  bftctl check cluster/hosts/*/node.toml\n"
        "  bftctl check --measure /etc/bftnode");
    return [options] { return run(*options); };
}

}  // namespace bft::node

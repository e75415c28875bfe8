// bftctl status: who is up, how far, and who disagrees.
#include "node/bftctl.hpp"
#include "node/bftctl_survey.hpp"
#include "node/status_document.hpp"

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <thread>
#include <unistd.h>

namespace bft::node {
namespace {

struct Options {
    std::vector<std::string> places;
    double wait_s = 0;
    bool json = false;
    bool quiet = false;
    double watch_s = 0;
    std::uint64_t count = 0;
};

std::string join(const std::vector<std::string>& words, const char* between) {
    std::string all;
    for (const std::string& word : words) all += (all.empty() ? "" : between) + word;
    return all;
}

// Bounds of buckets, in milliseconds.
std::string stages_of(const StatusDocument& status) {
    const auto ms = [](std::uint64_t us) {
        std::string text = std::to_string(us / 1000);
        if (us % 1000 != 0) text += "." + std::to_string(1000 + us % 1000).substr(1);
        while (us % 1000 != 0 && text.back() == '0') text.pop_back();
        return text;
    };
    std::string text;
    for (const StatusDocument::Stage& stage : status.stages)
        text += (text.empty() ? "ms up to, half and 99 %: " : ", ") + stage.name + " " +
                ms(stage.p50_us) + " " + ms(stage.p99_us);
    return text;
}

std::string progress(const StatusDocument& status) {
    std::vector<std::string> parts;
    if (status.primary)
        parts.push_back((status.primary->phase == "active" ? "LEADS view " : "view ") +
                        std::to_string(status.primary->view) +
                        (status.primary->phase == "collecting" ? " (begins)" : "") + ", slot " +
                        std::to_string(status.primary->tip) + ", " +
                        std::to_string(status.primary->pooled) + " waiting");
    for (const StatusDocument::Replica& r : status.replicas)
        parts.push_back("group " + std::to_string(r.group) + ": view " + std::to_string(r.view) +
                        (r.halted   ? " HALTED"
                         : r.active ? ""
                                    : " (not begun)") +
                        ", slot " + std::to_string(r.tip) + ", committed " +
                        std::to_string(r.committed) + ", delivered " + std::to_string(r.delivered) +
                        ", executed " + std::to_string(r.executed));
    if (status.voter) {
        std::string next;
        for (const auto& [partition, seq] : status.voter->next)
            next += " " + std::to_string(partition) + ":" + std::to_string(seq);
        parts.push_back("database " +
                        std::string(status.voter->quarantined   ? "QUARANTINED"
                                    : status.voter->database_up ? "up"
                                                                : "DOWN") +
                        ", " + std::to_string(status.voter->executed) + " executed, " +
                        std::to_string(status.voter->waiting) + " waiting, next" + next);
        if (!status.voter->guard_state.empty() && status.voter->guard_state != "sound")
            parts.push_back("database " + status.voter->guard_state + " (" +
                            std::to_string(status.voter->chunks_loaded) + "/" +
                            std::to_string(status.voter->chunks) +
                            " chunks): " + status.voter->reason);
        if (status.voter->quarantined)
            for (const std::string& each : status.voter->differences)
                parts.push_back("database differed: " + each);
    }
    if (!status.stages.empty()) parts.push_back(stages_of(status));
    return join(parts, "\n");
}

std::string links_of(const StatusDocument& status) {
    std::size_t up = 0;
    std::string down;
    for (const auto& [host, connected] : status.links) {
        if (connected)
            ++up;
        else
            down += " -" + host;
    }
    return std::to_string(up) + "/" + std::to_string(status.links.size()) + down;
}

void print_host(const HostStatus& host) {
    if (host.document.empty()) {
        std::printf("%-12s DOWN   %s\n", host.host.c_str(), host.why.c_str());
        return;
    }
    std::printf("%-12s %-6s %-16s links %s\n", host.host.c_str(),
                host.status.ready ? "ready" : "busy", join(host.status.roles, ",").c_str(),
                links_of(host.status).c_str());
    for (const std::string& why : host.status.not_ready)
        std::printf("%-12s        not ready: %s\n", "", why.c_str());
    std::string lines = progress(host.status);
    for (std::size_t at = 0; at < lines.size();) {
        const std::size_t end = std::min(lines.find('\n', at), lines.size());
        std::printf("%-12s        %s\n", "", lines.substr(at, end - at).c_str());
        at = end + 1;
    }
    for (const auto& [reason, count] : host.status.drops)
        if (count > 0)
            std::printf("%-12s        dropped %llu: %s\n", "",
                        static_cast<unsigned long long>(count), reason.c_str());
}

void print_table(const Survey& survey) {
    for (const HostStatus& host : survey.hosts) print_host(host);
    for (const HostStatus& host : survey.hosts) {
        if (host.status.software_usig)
            std::printf("INSECURE     %s certifies with software in place of a TPM\n",
                        host.host.c_str());
        if (!host.status.misbehaviour.empty())
            std::printf("INSECURE     %s was told to misbehave: %s\n", host.host.c_str(),
                        host.status.misbehaviour.c_str());
    }
    for (const auto& [host, count] : survey.disagreements) {
        const std::set<std::string>& by = survey.accusers.at(host);
        std::printf("DISAGREES    %s: %llu time(s), seen by %s\n", host.c_str(),
                    static_cast<unsigned long long>(count),
                    join({by.begin(), by.end()}, ", ").c_str());
    }
}

void print_json(const Survey& survey) {
    std::cout << "{\"hosts\": {";
    const char* comma = "";
    for (const HostStatus& host : survey.hosts) {
        std::cout << comma << "\n\"" << host.host
                  << "\": " << (host.document.empty() ? "null" : host.document);
        comma = ",";
    }
    std::cout << "},\n\"disagreements\": {";
    comma = "";
    for (const auto& [host, count] : survey.disagreements) {
        std::cout << comma << "\"" << host << "\": " << count;
        comma = ", ";
    }
    std::cout << "},\n\"ready\": " << (survey.all_ready() ? "true" : "false") << "}\n";
}

/// Until somebody ends it, or as often as was said.
int watch(const Options& options, const std::vector<Target>& targets) {
    for (std::uint64_t shown = 1;; ++shown) {
        const Survey survey = ask(targets);
        if (options.json) {
            print_json(survey);
        } else {
            begin_screen();
            print_table(survey);
        }
        std::fflush(stdout);
        if (shown == options.count)
            return survey.all_ready() && survey.disagreements.empty() ? exit_done
                                                                      : exit_disagreement;
        std::this_thread::sleep_for(
            std::chrono::milliseconds(static_cast<std::int64_t>(options.watch_s * 1000)));
    }
}

int run(const Options& options) {
    const Result<std::vector<Target>> targets = find_targets(options.places);
    if (!targets) {
        std::fprintf(stderr, "%s\n", targets.error().what.c_str());
        return exit_usage;
    }
    if (options.watch_s > 0) return watch(options, *targets);
    const auto deadline =
        std::chrono::steady_clock::now() +
        std::chrono::milliseconds(static_cast<std::int64_t>(options.wait_s * 1000));
    Survey survey = ask(*targets);
    while (!survey.all_ready() && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        survey = ask(*targets);
    }
    // With --wait, what counts is whether it became ready; --quiet says nothing more then.
    if (options.json)
        print_json(survey);
    else if (!options.quiet || !survey.all_ready())
        print_table(survey);
    if (options.wait_s > 0 && !survey.all_ready()) return exit_failed;
    return survey.all_ready() && survey.disagreements.empty() ? exit_done : exit_disagreement;
}

}  // namespace

Command add_status(CLI::App& app) {
    CLI::App* command =
        app.add_subcommand("status", "Shows each host: up, how far, and who disagrees");
    auto options = std::make_shared<Options>();
    command
        ->add_option("PLACE", options->places,
                     "a cluster's folder, a host's folder, or node.toml; on this machine")
        ->required();
    command
        ->add_option("--wait", options->wait_s,
                     "wait so many seconds at most for every host to be ready")
        ->check(CLI::Range(0.0, 86400.0));
    command->add_flag("--json", options->json, "for programs: every host's own document");
    command->add_flag("-q,--quiet", options->quiet, "no table when all is well");
    command->add_option("--watch", options->watch_s, "again and again, every so many seconds (2)")
        ->expected(0, 1)
        ->default_str("2")
        ->check(CLI::Range(0.1, 3600.0))
        ->excludes("--wait");
    command->add_option("--count", options->count, "with --watch: end after so many times");
    command->footer(
        "Exit status: 0 all hosts are ready and agree; 1 --wait was in vain; 5 a host is down, "
        "not\n"
        "ready, or disagrees: see the lines DOWN, busy and DISAGREES.\n"
        "Examples:\n"
        "  bftctl status cluster\n"
        "  bftctl status --watch cluster\n"
        "  bftctl status --wait 30 --quiet cluster && echo ready\n"
        "  bftctl status --json cluster/hosts/host1");
    return [options] { return run(*options); };
}

}  // namespace bft::node

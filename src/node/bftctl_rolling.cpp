// bftctl rolling-restart: one host after the other, while the others go on.
#include "node/bftctl.hpp"
#include "node/bftctl_survey.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <sys/wait.h>
#include <thread>

namespace bft::node {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
    std::vector<std::string> places;
    std::string command = "systemctl restart bftnode-usig@{} bftnode@{}";
    double drain_s = 0;
    double timeout_s = 300;
    double settle_s = 2;
};

std::string for_host(const std::string& command, const std::string& host) {
    std::string text = command;
    for (std::size_t at = text.find("{}"); at != std::string::npos; at = text.find("{}", at)) {
        text.replace(at, 2, host);
        at += host.size();
    }
    return text;
}

const HostStatus* find(const Survey& survey, const std::string& host) {
    for (const HostStatus& each : survey.hosts)
        if (each.host == host) return &each;
    return nullptr;
}

std::string first_trouble(const Survey& survey) {
    for (const HostStatus& host : survey.hosts) {
        if (host.document.empty()) return host.host + ": " + host.why;
        if (!host.status.ready)
            return host.host + ": " +
                   (host.status.not_ready.empty() ? "busy" : host.status.not_ready.front());
        for (const auto& [name, up] : host.status.links)
            if (!up && find(survey, name) != nullptr)
                return host.host + ": the link to " + name + " is down";
    }
    return {};
}

void pause(double seconds) {
    std::this_thread::sleep_for(
        std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000)));
}

/// Until every host is ready, linked with all others, and the restarted one is as far as the others
/// were when it came back. What is still wrong when the time is over.
std::string wait_for_all(const Options& options, const std::vector<Target>& targets,
                         const std::string& restarted) {
    const auto deadline = Clock::now() + std::chrono::milliseconds(
                                             static_cast<std::int64_t>(options.timeout_s * 1000));
    std::map<std::uint64_t, std::uint64_t> goals;
    std::map<std::uint64_t, std::uint64_t> next;
    std::string trouble;
    while (Clock::now() < deadline) {
        const Survey survey = ask(targets);
        trouble = first_trouble(survey);
        if (trouble.empty() && goals.empty())
            for (const HostStatus& host : survey.hosts) {
                for (const auto& replica : host.status.replicas)
                    goals[replica.group] = std::max(goals[replica.group], replica.executed);
                if (host.status.voter)
                    for (const auto& [partition, seq] : host.status.voter->next)
                        next[partition] = std::max(next[partition], seq);
            }
        const HostStatus* host = restarted.empty() ? nullptr : find(survey, restarted);
        if (trouble.empty() && host != nullptr) {
            for (const auto& replica : host->status.replicas)
                if (replica.executed < goals[replica.group])
                    trouble = restarted + ": group " + std::to_string(replica.group) +
                              " is at slot " + std::to_string(replica.executed) + " of " +
                              std::to_string(goals[replica.group]);
            if (host->status.voter)
                for (const auto& [partition, seq] : host->status.voter->next)
                    if (seq < next[partition]) trouble = restarted + ": its database catches up";
        }
        if (trouble.empty()) return {};
        pause(0.2);
    }
    return trouble;
}

/// Who orders requests goes last: the cluster changes its view once instead of at each step.
std::vector<std::string> order_of(const Survey& survey) {
    std::vector<std::string> hosts, leading;
    for (const HostStatus& host : survey.hosts) {
        const bool leads = host.status.primary && host.status.primary->phase == "active";
        (leads ? leading : hosts).push_back(host.host);
    }
    hosts.insert(hosts.end(), leading.begin(), leading.end());
    return hosts;
}

bool restart(const Options& options, const std::vector<Target>& targets, const std::string& host) {
    for (const Target& target : targets) {
        if (target.config.host != host || options.drain_s <= 0) continue;
        if (send_control(control_socket_of(target.config.status_socket), "drain"))
            pause(options.drain_s);
    }
    const int status = std::system(for_host(options.command, host).c_str());
    return status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int run(const Options& options) {
    const auto targets = find_targets(options.places);
    if (!targets) {
        std::fprintf(stderr, "%s\n", targets.error().what.c_str());
        return exit_usage;
    }
    if (targets->empty() || targets->size() != targets->front().cluster.hosts.size())
        std::fprintf(stderr,
                     "bftctl: only %zu of the cluster's hosts are on this machine: only they are "
                     "restarted and asked\n",
                     targets->size());
    Options first = options;
    first.timeout_s = std::min(options.timeout_s, 10.0);
    if (std::string trouble = wait_for_all(first, *targets, {}); !trouble.empty()) {
        std::fprintf(stderr, "bftctl: nothing was restarted, since not all is well: %s\n",
                     trouble.c_str());
        return exit_disagreement;
    }
    const std::vector<std::string> hosts = order_of(ask(*targets));
    for (std::size_t i = 0; i < hosts.size(); ++i) {
        const auto since = Clock::now();
        std::printf("%zu/%zu %-12s restarts ... ", i + 1, hosts.size(), hosts[i].c_str());
        std::fflush(stdout);
        if (!restart(options, *targets, hosts[i])) {
            std::printf("FAILED\n");
            std::fprintf(stderr, "bftctl: `%s` failed; the other hosts were left alone\n",
                         for_host(options.command, hosts[i]).c_str());
            return exit_failed;
        }
        if (std::string trouble = wait_for_all(options, *targets, hosts[i]); !trouble.empty()) {
            std::printf("NOT READY\n");
            std::fprintf(stderr, "bftctl: %s; the other hosts were left alone\n", trouble.c_str());
            return exit_disagreement;
        }
        const auto took =
            std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - since);
        std::printf("ready after %lld.%lld s\n", static_cast<long long>(took.count() / 1000),
                    static_cast<long long>(took.count() % 1000 / 100));
        std::fflush(stdout);
        if (i + 1 < hosts.size()) pause(options.settle_s);
    }
    return exit_done;
}

}  // namespace

Command add_rolling_restart(CLI::App& app) {
    CLI::App* command = app.add_subcommand(
        "rolling-restart", "Restarts one host after the other while the cluster goes on");
    auto options = std::make_shared<Options>();
    command
        ->add_option("PLACE", options->places,
                     "a cluster's folder, or hosts' folders or node.toml; on this machine")
        ->required();
    command->add_option("--command", options->command, "what restarts host {}")
        ->capture_default_str();
    command
        ->add_option("--drain", options->drain_s,
                     "seconds that /readyz says 503 before the host is stopped")
        ->check(CLI::Range(0.0, 3600.0));
    command->add_option("--timeout", options->timeout_s, "for one host to be back, in seconds")
        ->capture_default_str()
        ->check(CLI::Range(1.0, 86400.0));
    command->add_option("--settle", options->settle_s, "seconds between two hosts")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 3600.0));
    command->footer(
        "Begins only when all hosts are ready, and goes on only when the restarted one is ready, "
        "linked\n"
        "with all, and as far as the others. Who leads goes last. Where each host is a machine of "
        "its\n"
        "own, deploy/rolling-restart.sh does the same through ssh.\n"
        "Exit status: 0 all were restarted; 1 --command failed; 2 wrong command line or file; 5 a "
        "host\n"
        "is not well, and the rest was left alone.\n"
        "Example:\n  bftctl rolling-restart /etc/bftnode");
    return [options] { return run(*options); };
}

}  // namespace bft::node

// bftctl top: what costs time, and where requests stand, again and again.
#include "node/bftctl.hpp"
#include "node/bftctl_survey.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

namespace bft::node {
namespace {

struct Options {
    std::vector<std::string> places;
    double every_s = 2;
    std::uint64_t count = 0;
};

using Clock = std::chrono::steady_clock;

/// What counters have grown by is shown, so two surveys make one table.
struct Seen {
    Survey survey;
    Clock::time_point at;
};

const StatusDocument* before(const Seen& seen, const std::string& host) {
    for (const HostStatus& each : seen.survey.hosts)
        if (each.host == host && !each.document.empty()) return &each.status;
    return nullptr;
}

/// A daemon that was restarted in between counts from zero again.
std::uint64_t grown(std::uint64_t now, std::uint64_t then) {
    return now >= then ? now - then : now;
}

std::string milliseconds(std::uint64_t sum_us, std::uint64_t count) {
    if (count == 0) return "-";
    char text[32];
    const std::uint64_t tenths = sum_us / count / 100;
    std::snprintf(text, sizeof text, "%llu.%llu", static_cast<unsigned long long>(tenths / 10),
                  static_cast<unsigned long long>(tenths % 10));
    return text;
}

std::string state_of(const StatusDocument& status) {
    if (status.draining) return "drains";
    return status.ready ? "ready" : "BUSY";
}

/// Processor time per hundred of the interval; a program with several threads may exceed 100.
std::uint64_t cpu_percent(const StatusDocument& now, const StatusDocument& then, double seconds) {
    return static_cast<std::uint64_t>(static_cast<double>(grown(now.cpu_us, then.cpu_us)) /
                                      (seconds * 10'000));
}

void print_host(const HostStatus& host, const StatusDocument& then, double seconds) {
    const StatusDocument& now = host.status;
    std::string executed = "-", stands = "-";
    if (now.voter) {
        const std::uint64_t was = then.voter ? then.voter->executed : 0;
        executed = std::to_string(static_cast<std::uint64_t>(
            static_cast<double>(grown(now.voter->executed, was)) / seconds));
        stands = std::to_string(now.voter->waiting) + "/" + std::to_string(now.voter->in_flight);
    }
    std::uint64_t slot = now.primary ? now.primary->tip : 0;
    std::uint64_t view = now.primary ? now.primary->view : 0;
    std::uint64_t pending = now.primary ? now.primary->pooled : 0;
    std::uint64_t lag = 0;
    for (const StatusDocument::Replica& replica : now.replicas) {
        slot = std::max(slot, replica.tip);
        view = std::max(view, replica.view);
        pending += replica.pending;
        lag = std::max(lag, grown(replica.tip, replica.executed));
    }
    std::string tpm = "-";
    if (now.certificates) {
        const StatusDocument::Certificates was =
            then.certificates.value_or(StatusDocument::Certificates());
        tpm = milliseconds(grown(now.certificates->sum_us, was.sum_us),
                           grown(now.certificates->count, was.count));
    }
    std::uint64_t rtt = 0;
    for (const auto& [name, link] : now.link_details) rtt = std::max(rtt, link.rtt_us);
    std::printf("%-12s %-6s %4llu %7s %6llu %9llu %7llu %6llu %11s %7s %7s\n", host.host.c_str(),
                state_of(now).c_str(),
                static_cast<unsigned long long>(cpu_percent(now, then, seconds)), executed.c_str(),
                static_cast<unsigned long long>(view), static_cast<unsigned long long>(slot),
                static_cast<unsigned long long>(pending), static_cast<unsigned long long>(lag),
                stands.c_str(), tpm.c_str(), milliseconds(rtt, 1).c_str());
    for (const std::string& why : now.not_ready) std::printf("%-12s %s\n", "", why.c_str());
}

/// Means of the interval over all hosts; 99 % is each host's own since its start, the worst of
/// them.
void print_stages(const Survey& survey, const Seen& last) {
    struct Sum {
        std::uint64_t count = 0, sum_us = 0, p99_us = 0;
    };
    std::vector<std::pair<std::string, Sum>> all;
    for (const HostStatus& host : survey.hosts) {
        const StatusDocument* then = before(last, host.host);
        for (const StatusDocument::Stage& stage : host.status.stages) {
            auto at = std::find_if(all.begin(), all.end(),
                                   [&](const auto& each) { return each.first == stage.name; });
            if (at == all.end()) at = all.insert(at, {stage.name, Sum()});
            StatusDocument::Stage was;
            if (then != nullptr)
                for (const StatusDocument::Stage& each : then->stages)
                    if (each.name == stage.name) was = each;
            at->second.count += grown(stage.count, was.count);
            at->second.sum_us += grown(stage.sum_us, was.sum_us);
            at->second.p99_us = std::max(at->second.p99_us, stage.p99_us);
        }
    }
    if (all.empty()) return;
    std::printf("\n%-12s %9s %9s %12s\n", "STAGE", "COUNT", "MEAN ms", "99 % up to");
    for (const auto& [name, sum] : all)
        std::printf(
            "%-12s %9llu %9s %12s\n", name.c_str(), static_cast<unsigned long long>(sum.count),
            milliseconds(sum.sum_us, sum.count).c_str(), milliseconds(sum.p99_us, 1).c_str());
}

void print(const Seen& now, const Seen& last) {
    const double seconds = std::max(0.001, std::chrono::duration<double>(now.at - last.at).count());
    begin_screen();
    std::printf("%-12s %-6s %4s %7s %6s %9s %7s %6s %11s %7s %7s\n", "HOST", "STATE", "CPU%",
                "TX/s", "VIEW", "SLOT", "PENDING", "LAG", "DB WAIT/RUN", "TPM ms", "RTT ms");
    for (const HostStatus& host : now.survey.hosts) {
        if (host.document.empty()) {
            std::printf("%-12s DOWN   %s\n", host.host.c_str(), host.why.c_str());
            continue;
        }
        const StatusDocument* then = before(last, host.host);
        print_host(host, then != nullptr ? *then : StatusDocument(), seconds);
    }
    for (const auto& [host, count] : now.survey.disagreements)
        std::printf("DISAGREES    %s: %llu time(s)\n", host.c_str(),
                    static_cast<unsigned long long>(count));
    print_stages(now.survey, last);
    std::fflush(stdout);
}

int run(const Options& options) {
    const Result<std::vector<Target>> targets = find_targets(options.places);
    if (!targets) {
        std::fprintf(stderr, "%s\n", targets.error().what.c_str());
        return exit_usage;
    }
    Seen last{ask(*targets), Clock::now()};
    for (std::uint64_t shown = 1;; ++shown) {
        std::this_thread::sleep_for(
            std::chrono::milliseconds(static_cast<std::int64_t>(options.every_s * 1000)));
        Seen now{ask(*targets), Clock::now()};
        print(now, last);
        if (shown == options.count)
            return now.survey.all_ready() && now.survey.disagreements.empty() ? exit_done
                                                                              : exit_disagreement;
        last = std::move(now);
    }
}

}  // namespace

Command add_top(CLI::App& app) {
    CLI::App* command =
        app.add_subcommand("top", "Shows again and again what costs time and where requests stand");
    auto options = std::make_shared<Options>();
    command
        ->add_option("PLACE", options->places,
                     "a cluster's folder, a host's folder, or node.toml; on this machine")
        ->required();
    command->add_option("--every", options->every_s, "seconds between two tables")
        ->capture_default_str()
        ->check(CLI::Range(0.1, 3600.0));
    command->add_option("--count", options->count, "end after so many tables");
    command->footer(
        "TX/s executed by the host's database; PENDING requests without a slot; LAG slots without\n"
        "their answers; DB WAIT/RUN items known and not executed, and of them at the database;\n"
        "TPM ms mean of a certificate; RTT ms the longest round trip to another host. STAGE: see\n"
        "docs/operations.md, \"Latency\". Figures are of the interval.\n"
        "Exit status, with --count: 0 all hosts are ready; 5 one is down, busy or disagrees; 130\n"
        "interrupted.\n"
        "Example:\n  bftctl top cluster");
    return [options] { return run(*options); };
}

}  // namespace bft::node

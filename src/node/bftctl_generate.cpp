// bftctl generate: files for the software that watches a cluster.
#include "node/bftctl.hpp"
#include "node/bftctl_targets.hpp"

#include <cstdio>
#include <string>
#include <vector>

namespace bft::node {

// deploy/watch, compiled in (src/node/CMakeLists.txt).
extern const char* const watch_alerts;
extern const char* const watch_dashboard;

namespace {

struct Options {
    std::string what;
    std::vector<std::string> places;
};

int print_scrape_config(const Options& options) {
    auto targets = find_targets(options.places);
    if (!targets) {
        std::fprintf(stderr, "%s\n", targets.error().what.c_str());
        return exit_usage;
    }
    std::string list;
    for (const Target& target : *targets) {
        if (target.config.metrics.empty()) {
            std::fprintf(stderr, "bftctl: %s has no 'metrics' in its node.toml: it is left out\n",
                         target.config.host.c_str());
            continue;
        }
        list += "      - targets: ['" + target.config.metrics + "']\n        labels: {instance: '" +
                target.config.host + "'}\n";
    }
    if (list.empty()) return exit_failed;
    std::printf(
        "# Made by `bftctl generate prometheus`.\n"
        "global:\n  scrape_interval: 10s\n  evaluation_interval: 10s\n"
        "rule_files: [alerts.yml]\n"
        "scrape_configs:\n  - job_name: bftnode\n    static_configs:\n%s",
        list.c_str());
    return exit_done;
}

int run(const Options& options) {
    if (options.what == "prometheus") return print_scrape_config(options);
    std::fputs(options.what == "alerts" ? watch_alerts : watch_dashboard, stdout);
    return exit_done;
}

}  // namespace

Command add_generate(CLI::App& app) {
    CLI::App* command = app.add_subcommand(
        "generate", "Prints alert rules and configuration for Prometheus, a dashboard for Grafana");
    auto options = std::make_shared<Options>();
    command->add_option("WHAT", options->what, "alerts, dashboard or prometheus")
        ->required()
        ->check(CLI::IsMember({"alerts", "dashboard", "prometheus"}));
    command->add_option("PLACE", options->places,
                        "prometheus: a cluster's folder, /etc/bftnode, or node.toml files");
    command->footer(
        "Exit status: 0 written to standard output; 2 wrong command line or file.\n"
        "Example:\n  bftctl generate prometheus cluster > prometheus.yml\n"
        "  bftctl generate alerts > alerts.yml\n"
        "  bftctl generate dashboard > dashboard.json");
    return [options] { return run(*options); };
}

}  // namespace bft::node

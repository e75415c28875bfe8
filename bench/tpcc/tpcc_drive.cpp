// tpcc_drive: TPC-C's terminals against a cluster, or against one database as the baseline.
#include "driver.hpp"
#include "report.hpp"
#include "target.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <map>
#include <unistd.h>

using namespace bft;
using namespace bft::tpcc;

namespace {

std::atomic<bool> interrupted = false;

void interrupt(int) {
    // A second Ctrl-C does not wait for outstanding answers.
    if (interrupted.exchange(true)) _exit(130);
}

struct Options {
    DriveOptions drive;
    DirectOptions direct;
    std::string client_config;
    int warehouses = 5;
    double scale = 1;
    std::uint64_t seconds = 60;
    std::uint64_t warmup = 0;
    std::uint64_t drain = 60;
    std::uint64_t page_cost_ms = 0;
    std::string json_file;
    std::string profile;
    const CLI::Option* profile_option = nullptr;
    std::vector<const CLI::Option*> not_with_profile;  ///< what the profile itself says, or forbids

    [[nodiscard]] bool is_direct() const { return !direct.login.socket.empty(); }
};

Result<std::unique_ptr<CallTarget>> open_target(Options& options) {
    if (!options.is_direct()) return open_cluster(options.client_config);
    options.direct.terminals = options.drive.clients;
    options.direct.warehouses = static_cast<std::size_t>(options.warehouses);
    options.direct.page_cost = std::chrono::milliseconds(options.page_cost_ms);
    return open_direct(options.direct);
}

/// The exit status.
Result<int> drive(Options& options) {
    auto scale = Scale::of(options.warehouses, options.scale);
    if (!scale) return scale.error();
    options.drive.scale = *scale;
    if (!options.profile.empty()) {
        auto profile = parse_profile(options.profile);
        if (!profile) return profile.error();
        options.drive.clients = 0;
        options.seconds = 0;
        for (const ProfileStep& step : *profile) {
            options.drive.clients = std::max(options.drive.clients, step.clients);
            options.seconds += static_cast<std::uint64_t>(step.length.count());
        }
        options.drive.profile = std::move(*profile);
    }
    options.drive.seconds = std::chrono::seconds(options.seconds);
    options.drive.warmup = std::chrono::seconds(options.warmup);
    options.drive.drain = std::chrono::seconds(options.drain);
    std::ofstream json;
    if (!options.json_file.empty()) {
        json.open(options.json_file);
        if (!json) return error(Errc::io, "cannot write " + options.json_file);
    }
    auto target = open_target(options);
    if (!target) return target.error();
    Driver driver(**target, options.drive, interrupted);
    bool terminal = isatty(STDOUT_FILENO) == 1;
    auto result = driver.run([&](const Progress& progress) {
        fmt::print("{}{}{}", terminal ? "\r\033[K" : "", progress_line(progress),
                   terminal ? "" : "\n");
        std::fflush(stdout);
    });
    // Answers that come from now on would find no driver.
    target->reset();
    if (!result) return result.error();
    fmt::print("{}", result_table(*result));
    if (json.is_open()) {
        json << result_json(*result, options.drive, options.is_direct() ? "direct" : "cluster");
        if (!json.flush()) return error(Errc::io, "cannot write " + options.json_file);
    }
    if (result->tally.finished() == 0) return error(Errc::unavailable, "no transaction finished");
    return result->tally.failed == 0 ? 0 : 1;
}

void declare(CLI::App& app, Options& options) {
    auto* config = app.add_option("--config", options.client_config,
                                  "the cluster: client.toml or the folder that holds it");
    auto* direct = app.add_option("--direct", options.direct.login.socket,
                                  "one database without replication: its unix socket");
    config->excludes(direct);
    app.add_option("--database", options.direct.login.database, "with --direct")
        ->capture_default_str();
    app.add_option("--user", options.direct.login.user, "with --direct");
    app.add_option("--password", options.direct.login.password, "with --direct");
    app.add_option("--way", options.direct.way,
                   "with --direct: one CALL per transaction, or its statements one by one")
        ->transform(CLI::CheckedTransformer(std::map<std::string, Way>{
            {"call", Way::call}, {"text", Way::text}, {"prepared", Way::prepared}}))
        ->default_str("call");
    app.add_option("--servers", options.direct.servers,
                   "with --direct: so many page servers, each with one connection, before it")
        ->check(CLI::Range(1, 1000));
    app.add_option("--page-cost-ms", options.page_cost_ms,
                   "with --direct: time that each answer takes a server or terminal after its call")
        ->check(CLI::Range(0, 60000));
    app.add_flag("--counted-time", options.direct.counted_time,
                 "with --direct: the time of a call is its number, not the clock's");
    app.add_option("--warehouses", options.warehouses, "that were loaded")->capture_default_str();
    app.add_option("--scale", options.scale, "that was loaded")->capture_default_str();
    options.profile_option = app.add_option(
        "--profile", options.profile,
        "load in steps, instead of --clients and --seconds: 8x30,64x60 is 8 terminals "
        "for 30 s, then 64 for 60 s");
    options.not_with_profile.push_back(
        app.add_option("--clients", options.drive.clients, "terminals, one call outstanding each")
            ->capture_default_str()
            ->check(CLI::Range(1, 100000)));
    options.not_with_profile.push_back(
        app.add_option("--seconds", options.seconds, "of the measured run")
            ->capture_default_str()
            ->check(CLI::Range(1, 30 * 86400)));
    app.add_option("--warmup", options.warmup, "seconds before it")->check(CLI::Range(0, 86400));
    app.add_option("--drain", options.drain, "seconds to wait for the last answers")
        ->capture_default_str()
        ->check(CLI::Range(1, 86400));
    app.add_option("--transactions", options.drive.transactions, "end after so many (0: by time)");
    app.add_option("--seed", options.drive.seed, "of the inputs")->capture_default_str();
    app.add_option("--think", options.drive.think,
                   "share of the specification's keying and think times")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 100.0));
    options.not_with_profile.push_back(
        app.add_option(
               "--per-minute", options.drive.per_minute,
               "calls per minute of all terminals, due whatever is answered; latency counts "
               "from when a call is due (0: each answer makes the next call)")
            ->check(CLI::Range(0.0, 1e7)));
    app.add_option("--pids-file", options.drive.pids_file,
                   "lines \"PID daemon|usig|tpm|database\": processes whose CPU time is counted");
    app.add_option("--record", options.drive.record_file,
                   "file for what was acknowledged, one line a call");
    app.add_option("--timeline", options.drive.timeline_file,
                   "file for when each call was over: milliseconds, warehouse, its microseconds");
    app.add_option("--json", options.json_file, "file for the result");
}

/// What is wrong with options that are right by themselves; empty: nothing.
std::string contradiction(const Options& options) {
    if (options.client_config.empty() && !options.is_direct())
        return "--config or --direct is needed";
    if (options.profile_option->empty()) return {};
    // A profile is a number of terminals over time; a rate is split among terminals that stay.
    for (const CLI::Option* other : options.not_with_profile)
        if (!other->empty())
            return fmt::format(
                "--profile says itself how many terminals call, and how long: not with {}",
                other->get_name());
    return {};
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    options.direct.login.database = "tpcc";
    CLI::App app("Runs TPC-C's five transactions and prints rates, latencies and CPU time.");
    declare(app, options);
    CLI11_PARSE(app, argc, argv);
    if (std::string wrong = contradiction(options); !wrong.empty()) {
        fmt::print(stderr, "tpcc_drive: {}\n", wrong);
        return 2;
    }
    struct sigaction action {};
    action.sa_handler = interrupt;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    auto status = drive(options);
    if (!status) {
        fmt::print(stderr, "tpcc_drive: {}\n", status.error().what);
        return 1;
    }
    return *status;
}

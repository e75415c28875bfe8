// ordering_bench: load on a cluster that orders only (config/apps/ordering), and what it costs.
#include "load.hpp"

#include <CLI/CLI.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <csignal>
#include <fstream>
#include <unistd.h>

using namespace bft;
using namespace bft::ordering;

namespace {

std::atomic<bool> interrupted = false;

void interrupt(int) {
    // A second Ctrl-C does not wait for outstanding answers.
    if (interrupted.exchange(true)) _exit(130);
}

std::chrono::microseconds nodes_cpu(const LoadResult& result) {
    std::chrono::microseconds sum{};
    for (const auto& [role, time] : result.cpu) sum += time;
    return sum;
}

double ms(std::uint64_t us) {
    return static_cast<double>(us) / 1000;
}

void print(const LoadResult& result) {
    const auto& latency = result.latency_us;
    fmt::print("{} requests in {:.1f} s: {:.0f} requests/s, {} failed, {} sent again\n",
               result.answered, result.elapsed.count(), result.per_second(), result.failed,
               result.sent_again);
    if (!result.failure.empty()) fmt::print("  the first failure: {}\n", result.failure);
    if (result.signatures > 0)
        fmt::print("requests per client signature {:.1f}\n",
                   static_cast<double>(result.answered) / static_cast<double>(result.signatures));
    fmt::print("latency in ms: p50 {:.2f}  p95 {:.2f}  p99 {:.2f}  max {:.2f}\n",
               ms(latency.quantile(500)), ms(latency.quantile(950)), ms(latency.quantile(990)),
               ms(latency.max()));
    if (!result.cpu.empty()) {
        fmt::print("CPU time per request in us, user and system, summed over all nodes: {:.2f}\n",
                   result.per_request(nodes_cpu(result)));
        for (const auto& [role, time] : result.cpu)
            fmt::print("  {:<8}{:>9.2f}\n", role, result.per_request(time));
    }
    fmt::print("  {:<8}{:>9.2f}\n", "clients", result.per_request(result.own_cpu));
}

std::string json_of(const LoadOptions& options, const LoadResult& result) {
    const auto& latency = result.latency_us;
    boost::json::object cpu = {{"clients", result.per_request(result.own_cpu)}};
    for (const auto& [role, time] : result.cpu) cpu[role] = result.per_request(time);
    if (!result.cpu.empty()) cpu["nodes"] = result.per_request(nodes_cpu(result));
    boost::json::object all = {{"clients", options.clients.size()},
                               {"outstanding", options.outstanding},
                               {"bytes", options.bytes},
                               {"rate", options.rate},
                               {"seconds", result.elapsed.count()},
                               {"answered", result.answered},
                               {"failed", result.failed},
                               {"sent_again", result.sent_again},
                               {"client_signatures", result.signatures},
                               {"per_second", result.per_second()},
                               {"latency_us",
                                {{"p50", latency.quantile(500)},
                                 {"p95", latency.quantile(950)},
                                 {"p99", latency.quantile(990)},
                                 {"max", latency.max()},
                                 {"mean", latency.mean()}}},
                               {"cpu_us_per_request", std::move(cpu)}};
    return boost::json::serialize(all) + "\n";
}

}  // namespace

int main(int argc, char** argv) {
    LoadOptions options;
    std::string json_file;
    std::int64_t seconds = 10, warmup = 2;
    CLI::App app("Has a cluster order operations, and prints rate, latency and CPU time.");
    app.add_option("--config", options.clients, "each client's client.toml, or its folder")
        ->required();
    app.add_option("--outstanding", options.outstanding, "requests of each client under way")
        ->capture_default_str()
        ->check(CLI::Range(1, 65536));
    app.add_option("--partitions", options.partitions, "of the cluster")
        ->capture_default_str()
        ->check(CLI::Range(1, 65536));
    app.add_option("--bytes", options.bytes, "of each operation")->check(CLI::Range(0, 65535));
    app.add_option("--rate", options.rate,
                   "requests per second of all clients, sent whatever is answered (0: each answer "
                   "makes the next request)");
    app.add_option("--seconds", seconds, "of the measured run")
        ->capture_default_str()
        ->check(CLI::Range(1, 86400));
    app.add_option("--warmup", warmup, "seconds before it")
        ->capture_default_str()
        ->check(CLI::Range(0, 86400));
    app.add_option("--pids-file", options.pids_file,
                   "lines \"PID daemon|usig|tpm\": processes whose CPU time is counted");
    app.add_option("--json", json_file, "file for the result");
    CLI11_PARSE(app, argc, argv);
    options.seconds = std::chrono::seconds(seconds);
    options.warmup = std::chrono::seconds(warmup);
    struct sigaction action {};
    action.sa_handler = interrupt;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    auto result = run_load(options, interrupted);
    if (!result) {
        fmt::print(stderr, "ordering_bench: {}\n", result.error().what);
        return 1;
    }
    print(*result);
    if (!json_file.empty()) {
        std::ofstream json(json_file);
        json << json_of(options, *result);
        if (!json.flush()) {
            fmt::print(stderr, "ordering_bench: cannot write {}\n", json_file);
            return 1;
        }
    }
    return result->failed == 0 && result->answered > 0 ? 0 : 1;
}

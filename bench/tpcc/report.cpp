#include "report.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>

namespace bft::tpcc {

namespace {

double ms(std::uint64_t us) {
    return static_cast<double>(us) / 1000;
}

double share(std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

double per_second(std::uint64_t count, const DriveResult& result) {
    return result.elapsed.count() > 0 ? static_cast<double>(count) / result.elapsed.count() : 0;
}

double per_transaction(std::chrono::microseconds cpu, const DriveResult& result) {
    auto finished = std::max<std::uint64_t>(result.tally.finished(), 1);
    return static_cast<double>(cpu.count()) / static_cast<double>(finished);
}

double tpm_c(const DriveResult& result) {
    return 60 * per_second(result.tally.types[place(Transaction::new_order)].committed, result);
}

std::string_view role_in_words(std::string_view role) {
    if (role == "tpm") return "TPM emulators";
    if (role == "usig") return "USIG services";
    return role == "daemon" ? "daemons" : "databases";
}

template <class... Args>
void put(std::string& out, fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
}

void put_type(std::string& out, std::string_view name, std::uint64_t committed,
              std::uint64_t aborted, const Histogram& latency, const DriveResult& result) {
    put(out, "{:<14}{:>10}{:>10.1f}{:>8.1f}{:>9}{:>10.2f}{:>10.2f}{:>10.2f}{:>10.2f}\n", name,
        committed, per_second(committed + aborted, result),
        share(committed + aborted, result.tally.finished()), aborted, ms(latency.quantile(500)),
        ms(latency.quantile(950)), ms(latency.quantile(990)), ms(latency.max()));
}

// What replication costs: every process but the database servers and the clients.
std::optional<double> cpu_share_of_databases(const DriveResult& result) {
    std::chrono::microseconds own{}, databases{};
    for (const auto& [role, time] : result.cpu) (role == "database" ? databases : own) += time;
    if (databases.count() <= 0) return std::nullopt;
    return 100 * static_cast<double>(own.count()) / static_cast<double>(databases.count());
}

void put_cpu(std::string& out, const DriveResult& result) {
    if (result.cpu.empty()) return;
    put(out, "CPU time per transaction, in microseconds of user and system time\n");
    for (const auto& [role, time] : result.cpu)
        put(out, "  {:<20}{:>10.1f}\n", role_in_words(role), per_transaction(time, result));
    put(out, "  {:<20}{:>10.1f}\n", "this driver", per_transaction(result.own_cpu, result));
    if (auto of_databases = cpu_share_of_databases(result))
        put(out, "  {:<20}{:>10.1f} %   (daemons + TPM emulators) / databases\n", "share",
            *of_databases);
}

boost::json::object json_of(const Histogram& latency) {
    return {{"p50", latency.quantile(500)},
            {"p95", latency.quantile(950)},
            {"p99", latency.quantile(990)},
            {"max", latency.max()},
            {"mean", latency.mean()}};
}

/// The distribution: the latency that 0, 0.5, 1 ... 100 % of the transactions do not exceed.
boost::json::array curve_of(const Histogram& latency) {
    boost::json::array curve;
    for (std::uint64_t permille = 0; permille <= 1000; permille += 5)
        curve.push_back(latency.quantile(permille));
    return curve;
}

}  // namespace

std::string progress_line(const Progress& progress) {
    std::string out;
    double seconds = progress.elapsed.count();
    if (seconds < 0)
        put(out, "warm-up {:4.0f} s", -seconds);
    else
        put(out, "{:4.0f} s", seconds);
    put(out, "  {:7.0f} txn/s  p50 {:6.1f} ms  p95 {:6.1f} ms  errors {}", progress.rate,
        ms(progress.latency.quantile(500)), ms(progress.latency.quantile(950)), progress.failed);
    if (progress.client) {
        const auto& client = *progress.client;
        auto up = std::count_if(client.connected.begin(), client.connected.end(),
                                [](const auto& host) { return host.second; });
        put(out, "  view ({},{})  hosts {}/{}", client.view >> 32, client.view & 0xffffffff, up,
            client.connected.size());
        if (client.sent_again > 0) put(out, "  sent again {}", client.sent_again);
        for (const auto& [host, count] : client.disagreements)
            if (count > 0) put(out, "  {} disagreed {}x", host, count);
    }
    return out;
}

std::string result_table(const DriveResult& result) {
    const Tally& tally = result.tally;
    std::string out;
    put(out, "\n{:<14}{:>10}{:>10}{:>8}{:>9}{:>10}{:>10}{:>10}{:>10}\n", "transaction", "committed",
        "per s", "share %", "aborted", "p50 ms", "p95 ms", "p99 ms", "max ms");
    for (std::size_t i = 0; i < transaction_count; ++i) {
        const TypeCount& type = tally.types[i];
        put_type(out, procedure_names[i], type.committed, type.aborted, type.latency, result);
    }
    put_type(out, "all", tally.committed(), tally.aborted(), tally.latency(), result);
    const TypeCount& new_orders = tally.types[place(Transaction::new_order)];
    put(out,
        "\ntpmC {:.0f}   ({} New-Orders committed in {:.1f} s; {:.0f} transactions per minute)\n",
        tpm_c(result), new_orders.committed, result.elapsed.count(),
        60 * per_second(tally.finished(), result));
    put(out, "aborted New-Orders {:.2f} %   multi-partition transactions {:.1f} %\n",
        share(new_orders.aborted, new_orders.aborted + new_orders.committed),
        share(tally.multi_partition, tally.finished()));
    put(out, "failures {}   repeated {}   disagreeing replicas seen in {}\n", tally.failed,
        tally.repeated, tally.disagreed);
    for (const std::string& failure : tally.failures) put(out, "  failure: {}\n", failure);
    put_cpu(out, result);
    return out;
}

std::string result_json(const DriveResult& result, const DriveOptions& options,
                        const std::string& target) {
    const Tally& tally = result.tally;
    boost::json::object types;
    for (std::size_t i = 0; i < transaction_count; ++i) {
        const TypeCount& type = tally.types[i];
        types[procedure_names[i]] = {
            {"committed", type.committed},
            {"aborted", type.aborted},
            {"per_second", per_second(type.committed + type.aborted, result)},
            {"latency_us", json_of(type.latency)}};
    }
    boost::json::object cpu = {{"driver", per_transaction(result.own_cpu, result)}};
    for (const auto& [role, time] : result.cpu) cpu[role] = per_transaction(time, result);
    if (auto of_databases = cpu_share_of_databases(result))
        cpu["percent_of_databases"] = *of_databases;
    boost::json::object all = {{"target", target},
                               {"warehouses", options.scale.warehouses},
                               {"clients", options.clients},
                               {"seed", options.seed},
                               {"think", options.think},
                               {"seconds", result.elapsed.count()},
                               {"tpmC", tpm_c(result)},
                               {"per_second", per_second(tally.finished(), result)},
                               {"committed", tally.committed()},
                               {"aborted", tally.aborted()},
                               {"failed", tally.failed},
                               {"repeated", tally.repeated},
                               {"disagreed", tally.disagreed},
                               {"multi_partition", tally.multi_partition},
                               {"latency_us", json_of(tally.latency())},
                               {"latency_curve_us", curve_of(tally.latency())},
                               {"transactions", std::move(types)},
                               {"cpu_us_per_transaction", std::move(cpu)}};
    return boost::json::serialize(all) + "\n";
}

}  // namespace bft::tpcc

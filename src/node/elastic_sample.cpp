// What the controller sees: its policy's file, and load and latency between two views of the hosts.
#include "metrics/latency.hpp"
#include "node/config_reader.hpp"
#include "node/elastic.hpp"

#include <algorithm>

namespace bft::node {

namespace {

using Counts = metrics::Latency::Counts;

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

/// Of a host's replicas together. A process that has restarted begins at zero again.
Counts counts_of(const StatusDocument& host) {
    Counts all{};
    for (const StatusDocument::Replica& replica : host.replicas)
        for (std::size_t i = 0; i < all.size() && i < replica.latency_counts.size(); ++i)
            all[i] += replica.latency_counts[i];
    return all;
}

/// Within a bucket evenly; beyond the last bound: that bound.
std::optional<double> p95_ms(const Counts& before, const Counts& after) {
    Counts grown{};
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < grown.size(); ++i) {
        if (after[i] < before[i]) return std::nullopt;
        total += grown[i] = after[i] - before[i];
    }
    if (total == 0) return std::nullopt;
    double wanted = 0.95 * static_cast<double>(total), low = 0;
    for (std::size_t i = 0; i < metrics::Latency::bounds_us.size(); ++i) {
        const auto high = static_cast<double>(metrics::Latency::bounds_us[i]);
        const auto count = static_cast<double>(grown[i]);
        if (count >= wanted) return (low + (high - low) * wanted / count) / 1000;
        wanted -= count;
        low = high;
    }
    return low / 1000;
}

}  // namespace

ElasticSample sample_between(const ElasticView& before, const ElasticView& after,
                             consensus::Configuration now) {
    ElasticSample sample;
    sample.at = after.at;
    sample.now = std::move(now);
    const double seconds =
        std::max(0.001, std::chrono::duration<double>(after.at - before.at).count());
    std::vector<double> latencies;
    std::map<PartitionId, std::vector<double>> rates;
    for (const auto& [name, host] : after.hosts) {
        auto then = before.hosts.find(name);
        if (then == before.hosts.end()) continue;
        if (auto p95 = p95_ms(counts_of(then->second), counts_of(host))) latencies.push_back(*p95);
        if (!host.voter || !then->second.voter) continue;
        for (const auto& [partition, next] : host.voter->next) {
            auto was = then->second.voter->next.find(partition);
            const std::uint64_t from = was == then->second.voter->next.end() ? 1 : was->second;
            rates[PartitionId(static_cast<std::uint32_t>(partition))].push_back(
                next > from ? static_cast<double>(next - from) / seconds : 0);
        }
    }
    for (const auto& [partition, each] : rates) sample.rates[partition] = median(each);
    if (!latencies.empty())
        sample.p95 = std::chrono::microseconds(
            static_cast<std::int64_t>(median(std::move(latencies)) * 1000));
    return sample;
}

Loaded<ElasticPolicy> parse_policy(std::string_view text, const std::filesystem::path& file) {
    ReadContext context{std::filesystem::absolute(file).lexically_normal(), {}, {}};
    const std::optional<toml::table> table = parse_toml(text, context);
    if (!table) return {std::nullopt, context.sorted(), {}};
    constexpr std::int64_t day_ms = 86'400'000;
    ElasticPolicy policy;
    TableReader root(*table, "", context);
    root.millis("target_p95_ms", policy.target_p95, 1, day_ms);
    root.number("min_groups", policy.min_groups, 1, 0xffff'ffff);
    root.number("max_groups", policy.max_groups, 1, 0xffff'ffff);
    root.number("spare_groups", policy.spare_groups, 0, 0xffff'ffff);
    root.millis("sample_ms", policy.sample_every, 100, day_ms);
    root.number("samples", policy.samples, 1, 1000);
    root.millis("cool_down_ms", policy.cool_down, 0, day_ms);
    root.number("shrink_percent", policy.shrink_percent, 0, 90);
    root.number("rebalance_percent", policy.rebalance_percent, 1, 100);
    if (policy.max_groups < policy.min_groups)
        root.error("max_groups", "max_groups is less than min_groups");
    root.finish();
    if (!context.errors.empty()) return {std::nullopt, context.sorted(), std::move(context.places)};
    return {policy, {}, std::move(context.places)};
}

Loaded<ElasticPolicy> load_policy(const std::filesystem::path& file) {
    ReadContext context{std::filesystem::absolute(file).lexically_normal(), {}, {}};
    const std::optional<std::string> text = read_text_file(context);
    if (!text) return {std::nullopt, context.errors, {}};
    return parse_policy(*text, file);
}

}  // namespace bft::node

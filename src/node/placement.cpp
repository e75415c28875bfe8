#include "node/placement.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <tuple>

namespace bft::node {
namespace {

constexpr std::uint64_t whole = 1'000'000;

std::uint64_t part(std::uint64_t of, std::uint64_t total) {
    if (of == 0) return 0;
    return total == 0 ? whole + 1 : of * whole / total;
}

/// Of the scarcest resource, in millionths.
std::uint64_t dominant_share(const Resources& wanted, const Resources& total) {
    return std::max(part(wanted.cpu_milli, total.cpu_milli),
                    part(wanted.memory_mib, total.memory_mib));
}

Resources plus(Resources a, const Resources& b) {
    a.cpu_milli += b.cpu_milli;
    a.memory_mib += b.memory_mib;
    return a;
}

class Placer {
public:
    explicit Placer(const std::vector<Machine>& machines)
        : machines_(machines), used_(machines.size()) {}

    /// nullopt: it does not fit.
    std::optional<std::vector<std::size_t>> place(const Workload& workload) {
        std::vector<std::size_t> chosen;
        std::map<std::string, std::size_t> zones;
        const auto take = [&](std::size_t machine) {
            used_[machine] = plus(used_[machine], workload.each);
            chosen.push_back(machine);
            if (!machines_[machine].zone.empty()) ++zones[machines_[machine].zone];
        };
        for (std::size_t machine : workload.fixed) take(machine);
        while (chosen.size() < workload.copies) {
            std::optional<std::tuple<bool, std::size_t, std::uint64_t, std::size_t>> best;
            for (std::size_t m = 0; m < machines_.size(); ++m) {
                const std::uint64_t share =
                    dominant_share(plus(used_[m], workload.each), machines_[m].free);
                const bool has_it = std::find(chosen.begin(), chosen.end(), m) != chosen.end();
                if (has_it || share > whole) continue;
                const auto zone = zones.find(machines_[m].zone);
                const std::tuple cost{avoids(workload, machines_[m]),
                                      zone == zones.end() ? std::size_t{0} : zone->second, share,
                                      m};
                if (!best || cost < *best) best = cost;
            }
            if (!best) return std::nullopt;
            take(std::get<3>(*best));
        }
        return chosen;
    }

    /// What was taken before anything is placed.
    void take(const Workload& workload) {
        for (std::size_t machine : workload.fixed)
            used_[machine] = plus(used_[machine], workload.each);
    }
    void give_back(const Workload& workload) {
        for (std::size_t machine : workload.fixed) {
            used_[machine].cpu_milli -= workload.each.cpu_milli;
            used_[machine].memory_mib -= workload.each.memory_mib;
        }
    }

private:
    static bool avoids(const Workload& workload, const Machine& machine) {
        return std::any_of(workload.avoids.begin(), workload.avoids.end(),
                           [&](const std::string& what) { return machine.carries.contains(what); });
    }

    const std::vector<Machine>& machines_;
    std::vector<Resources> used_;
};

}  // namespace

Result<Placement> place(const std::vector<Machine>& machines,
                        const std::vector<Workload>& workloads) {
    Resources largest;
    for (const Machine& machine : machines) {
        largest.cpu_milli = std::max(largest.cpu_milli, machine.free.cpu_milli);
        largest.memory_mib = std::max(largest.memory_mib, machine.free.memory_mib);
    }
    std::vector<std::size_t> order(workloads.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return dominant_share(workloads[a].each, largest) >
               dominant_share(workloads[b].each, largest);
    });
    Placer placer(machines);
    for (const Workload& workload : workloads) placer.take(workload);
    Placement placement(workloads.size());
    for (std::size_t index : order) {
        const Workload& workload = workloads[index];
        placer.give_back(workload);
        auto chosen = placer.place(workload);
        if (!chosen)
            return error(Errc::refused,
                         workload.name + " needs " + std::to_string(workload.copies) +
                             " different machines with " + std::to_string(workload.each.cpu_milli) +
                             "/1000 processors and " + std::to_string(workload.each.memory_mib) +
                             " MiB free; of " + std::to_string(machines.size()) +
                             " machines there are fewer: add machines or take partitions away");
        placement[index] = std::move(*chosen);
    }
    return placement;
}

}  // namespace bft::node

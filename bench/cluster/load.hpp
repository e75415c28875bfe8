// Puts load on a cluster that orders only, and measures what comes back.
#pragma once

#include "base/result.hpp"
#include "histogram.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace bft::ordering {

struct LoadOptions {
    std::vector<std::string> clients;  ///< client.toml of each, or the folder that holds it
    std::uint32_t outstanding = 256;   ///< requests of each client under way, without a rate
    std::uint32_t partitions = 1;      ///< that requests are spread over: 1 .. partitions
    std::uint32_t bytes = 0;           ///< of each operation
    std::uint64_t rate = 0;          ///< requests per second of all clients; 0: as fast as answered
    std::chrono::seconds warmup{2};  ///< before the measured run
    std::chrono::seconds seconds{10};  ///< of the measured run
    std::string pids_file;             ///< whose CPU time is counted
};

struct LoadResult {
    std::chrono::duration<double> elapsed{};
    std::uint64_t answered = 0;
    std::uint64_t failed = 0;
    std::uint64_t sent_again = 0;
    std::uint64_t signatures = 0;
    std::string failure;  ///< the first one, in words
    /// From the moment at which a request was to be sent, so that a stalled cluster does not hide
    /// the requests that it kept from being made.
    tpcc::Histogram latency_us;
    std::map<std::string, std::chrono::microseconds> cpu;  ///< by role
    std::chrono::microseconds own_cpu{};

    [[nodiscard]] double per_second() const {
        return elapsed.count() > 0 ? static_cast<double>(answered) / elapsed.count() : 0;
    }
    [[nodiscard]] double per_request(std::chrono::microseconds time) const {
        return answered == 0 ? 0
                             : static_cast<double>(time.count()) / static_cast<double>(answered);
    }
};

/// Blocks for warm-up and run. `stop` ends it early.
Result<LoadResult> run_load(const LoadOptions& options, const std::atomic<bool>& stop);

}  // namespace bft::ordering

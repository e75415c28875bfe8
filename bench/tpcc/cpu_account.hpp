// User and system CPU time of the processes of a cluster, by role.
#pragma once

#include "base/result.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace bft::tpcc {

/// Reads a file with a line "PID ROLE" for each process (more words and # comments are ignored);
/// ROLE is `daemon`, `usig`,
/// `tpm` or `database`. Sampled often, so that a process that is killed counts up
/// to its last sample and one that the file names later counts from its start.
class CpuAccount {
public:
    /// An empty path: nothing is accounted.
    explicit CpuAccount(std::string pids_file) : pids_file_(std::move(pids_file)) {}

    /// Starts over: time used before does not count. Fails on a bad file.
    Result<void> begin();
    Result<void> sample();
    [[nodiscard]] bool enabled() const { return !pids_file_.empty(); }
    [[nodiscard]] std::map<std::string, std::chrono::microseconds> by_role() const;

private:
    struct Process {
        std::string role;
        std::uint64_t first_ticks = 0;
        std::uint64_t last_ticks = 0;
    };
    std::string pids_file_;
    std::map<int, Process> processes_;
    bool begun_ = false;
};

/// User plus system time in clock ticks from the text of /proc/PID/stat.
Result<std::uint64_t> cpu_ticks(const std::string& stat);

}  // namespace bft::tpcc

#include "cpu_account.hpp"

#include <fstream>
#include <sstream>
#include <unistd.h>

namespace bft::tpcc {

Result<std::uint64_t> cpu_ticks(const std::string& stat) {
    // The second field is the program's name in parentheses and may hold anything.
    auto after_name = stat.rfind(')');
    if (after_name == std::string::npos) return error(Errc::malformed, "not a /proc/PID/stat line");
    std::istringstream fields(stat.substr(after_name + 1));
    std::string skipped;
    for (int field = 3; field < 14; ++field) fields >> skipped;
    std::uint64_t user = 0;
    std::uint64_t system = 0;
    if (!(fields >> user >> system)) return error(Errc::malformed, "not a /proc/PID/stat line");
    return user + system;
}

Result<void> CpuAccount::begin() {
    processes_.clear();
    begun_ = false;
    if (auto done = sample(); !done) return done;
    begun_ = true;
    return {};
}

Result<void> CpuAccount::sample() {
    if (!enabled()) return {};
    std::ifstream file(pids_file_);
    if (!file) return error(Errc::not_found, "cannot read the process list " + pids_file_);
    std::string line;
    while (std::getline(file, line)) {
        std::istringstream words(line.substr(0, line.find('#')));
        int pid = 0;
        std::string role;
        if (!(words >> std::ws) || words.eof()) continue;
        if (!(words >> pid >> role) ||
            (role != "daemon" && role != "usig" && role != "tpm" && role != "database"))
            return error(
                Errc::malformed,
                pids_file_ + ": a line must be PID and daemon, usig, tpm or database: " + line);
        std::ifstream stat_file("/proc/" + std::to_string(pid) + "/stat");
        std::string stat;
        if (!std::getline(stat_file, stat)) continue;
        auto ticks = cpu_ticks(stat);
        if (!ticks) continue;
        auto [entry, is_new] = processes_.try_emplace(pid);
        if (is_new) entry->second = {role, begun_ ? 0 : *ticks, *ticks};
        entry->second.last_ticks = *ticks;
    }
    return {};
}

std::map<std::string, std::chrono::microseconds> CpuAccount::by_role() const {
    auto tick = std::chrono::microseconds(1000000 / sysconf(_SC_CLK_TCK));
    std::map<std::string, std::chrono::microseconds> sums;
    for (const auto& [pid, process] : processes_)
        sums[process.role] +=
            tick * static_cast<std::int64_t>(process.last_ticks - process.first_ticks);
    return sums;
}

}  // namespace bft::tpcc

#include "node/bftctl_measure.hpp"

#include "database/session.hpp"
#include "node/bftctl_survey.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <map>
#include <sys/timex.h>
#include <unistd.h>

namespace bft::node {
namespace {

using Findings = std::vector<Finding>;

constexpr std::uint64_t clock_apart_max_ms = 500;
constexpr long clock_error_max_us = 100'000;
constexpr std::uint64_t sync_max_us = 20'000;
constexpr int syncs = 50;
constexpr std::uint64_t certificate_max_us = 250'000;

std::string ms(std::uint64_t us) {
    char text[32];
    std::snprintf(text, sizeof text, "%llu.%02llu ms", static_cast<unsigned long long>(us / 1000),
                  static_cast<unsigned long long>(us % 1000 / 10));
    return text;
}

// --- clock ---

void check_own_clock(Findings& all) {
    timex state{};
    const int result = ::adjtimex(&state);
    if (result < 0) {
        all.push_back({Verdict::unknown, "clock", "here", "the kernel does not tell"});
    } else if (result == TIME_ERROR || (state.status & STA_UNSYNC) != 0) {
        all.push_back({Verdict::wrong, "clock", "here",
                       "is not synchronized: run chrony or systemd-timesyncd"});
    } else {
        const bool good = state.maxerror <= clock_error_max_us;
        all.push_back({good ? Verdict::good : Verdict::wrong, "clock", "here",
                       "synchronized, off by " + ms(static_cast<std::uint64_t>(state.maxerror)) +
                           " at most"});
    }
}

void check_clocks(Findings& all, const Survey& survey) {
    std::uint64_t first = 0, last = 0;
    for (const HostStatus& host : survey.hosts) {
        if (host.status.clock_ms == 0) continue;
        first = first == 0 ? host.status.clock_ms : std::min(first, host.status.clock_ms);
        last = std::max(last, host.status.clock_ms);
    }
    if (first == 0) return;
    const std::uint64_t apart = last - first;
    all.push_back({apart <= clock_apart_max_ms ? Verdict::good : Verdict::wrong, "clock", "all",
                   "the daemons' clocks are at most " + std::to_string(apart) +
                       " ms apart (asking them included)"});
}

// --- disk ---

/// Microseconds of `syncs` writes, each made durable, ascending; empty when the folder cannot be
/// written to.
std::vector<std::uint64_t> sync_times(const std::filesystem::path& folder) {
    std::string name = (folder / ".bftctl-check-XXXXXX").string();
    const int file = ::mkstemp(name.data());
    if (file < 0) return {};
    ::unlink(name.c_str());
    std::array<char, 4096> block{};
    std::vector<std::uint64_t> times;
    for (int i = 0; i < syncs; ++i) {
        const auto since = std::chrono::steady_clock::now();
        if (::write(file, block.data(), block.size()) != static_cast<ssize_t>(block.size()) ||
            ::fdatasync(file) != 0)
            break;
        times.push_back(
            static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                           std::chrono::steady_clock::now() - since)
                                           .count()));
    }
    ::close(file);
    if (times.size() < syncs) return {};
    std::sort(times.begin(), times.end());
    return times;
}

void check_disk(Findings& all, const Target& target) {
    const auto times = sync_times(target.config.data_dir);
    if (times.empty()) {
        all.push_back({Verdict::unknown, "disk", target.config.host,
                       "cannot write to " + target.config.data_dir.string()});
        return;
    }
    const std::uint64_t median = times[times.size() / 2];
    const bool good = median <= sync_max_us;
    all.push_back(
        {good ? Verdict::good : Verdict::wrong, "disk", target.config.host,
         "makes 4 KiB durable in " + ms(median) + " (half of " + std::to_string(syncs) + "), " +
             ms(times.back()) + " at most" +
             (good ? "" : ": every slot waits for that; take a disk with a power-safe cache")});
}

// --- what daemons say ---

void check_links(Findings& all, const Survey& survey) {
    for (const HostStatus& host : survey.hosts) {
        if (host.document.empty()) {
            all.push_back({Verdict::wrong, "links", host.host, host.why});
            continue;
        }
        std::string row;
        bool good = true;
        for (const auto& [name, up] : host.status.links) {
            auto link = host.status.link_details.find(name);
            row += (row.empty() ? "" : ", ") + name + " ";
            if (up && link != host.status.link_details.end()) {
                row += ms(link->second.rtt_us);
            } else {
                good = false;
                row += "DOWN" + (link == host.status.link_details.end()
                                     ? std::string()
                                     : " (" + link->second.last_error + ")");
            }
        }
        all.push_back({good ? Verdict::good : Verdict::wrong, "links", host.host, "to " + row});
    }
}

void check_certificates(Findings& all, const Survey& survey) {
    for (const HostStatus& host : survey.hosts) {
        if (!host.status.certificates) continue;
        const StatusDocument::Certificates& some = *host.status.certificates;
        if (some.count == 0) {
            all.push_back({Verdict::unknown, "tpm", host.host, "has certified nothing yet"});
            continue;
        }
        const bool good = some.p50_us <= certificate_max_us && !host.status.software_usig;
        std::string sentence = "a certificate takes " + ms(some.sum_us / some.count) +
                               " on average, " + ms(some.p99_us) + " at most for 99 of 100 (" +
                               std::to_string(some.count) + ")";
        if (host.status.software_usig)
            sentence += "; INSECURE: by software";
        else if (!good)
            sentence += "; raise the patiences of [timing], see docs/operations.md";
        all.push_back({good ? Verdict::good : Verdict::wrong, "tpm", host.host, sentence});
    }
}

void check_versions(Findings& all, const Survey& survey) {
    std::map<std::string, std::string> hosts_by_version;
    for (const HostStatus& host : survey.hosts) {
        if (host.document.empty()) continue;
        std::string& hosts = hosts_by_version[host.status.version];
        hosts += (hosts.empty() ? "" : ", ") + host.host;
    }
    for (const auto& [version, hosts] : hosts_by_version)
        all.push_back({hosts_by_version.size() == 1 ? Verdict::good : Verdict::wrong, "version",
                       hosts, version.empty() ? "says none" : version});
}

// --- databases ---

struct Flag {
    const char* name;
    const char* wanted;
    const char* why;
};
constexpr std::array<Flag, 4> flags{{
    {"innodb_flush_log_at_trx_commit", "1", "else a power cut loses what the voter has answered"},
    {"innodb_doublewrite", "1", "else a power cut can tear pages"},
    {"read_only", "0", "else the voter cannot write"},
    {"event_scheduler", "OFF", "else events change tables behind the voter"},
}};

std::string normal(std::string value) {
    if (value == "ON") return "1";
    return value == "DISABLED" ? "OFF" : value;
}

Result<database::Session> connect_to(const DatabaseConfig& config) {
    database::ConnectOptions options;
    options.socket = config.socket.string();
    options.host = config.host;
    options.port = config.port;
    options.user = config.user;
    options.database = config.name;
    options.server = config.flavour == Flavour::mysql ? database::Server::mysql_8
                                                      : database::Server::mariadb_10_11;
    if (!config.password_file.empty()) {
        std::ifstream in(config.password_file);
        std::getline(in, options.password);
    }
    return database::Session::connect(options);
}

// Session::connect() has verified what determinism rests on.
void check_database(Findings& all, const Target& target) {
    if (!target.config.database) return;
    const std::string& host = target.config.host;
    auto session = connect_to(*target.config.database);
    if (!session) {
        all.push_back({Verdict::wrong, "database", host, session.error().what});
        return;
    }
    std::string list;
    bool good = true;
    for (const Flag& flag : flags) {
        auto value = session->value(std::string("SELECT @@GLOBAL.") + flag.name);
        if (!value || !*value) continue;  // another server has another name for it
        const bool right = normal(**value) == flag.wanted;
        good = good && right;
        list += std::string(", ") + flag.name + " = " + **value;
        if (!right) list += std::string(" (must be ") + flag.wanted + ": " + flag.why + ")";
    }
    all.push_back(
        {good ? Verdict::good : Verdict::wrong, "database", host, session->version() + list});
}

// --- hosts ---

// On one machine all fail together, which is right for trials only.
void check_distinct(Findings& all, const ClusterFile& cluster) {
    std::map<std::string, std::string> by_machine;
    for (const ClusterHost& host : cluster.hosts) {
        const std::size_t colon = host.address.rfind(':');
        std::string& hosts = by_machine[host.address.substr(0, colon)];
        hosts += (hosts.empty() ? "" : ", ") + host.name;
    }
    for (const auto& [machine, hosts] : by_machine)
        if (hosts.find(',') != std::string::npos)
            all.push_back({Verdict::wrong, "hosts", machine,
                           hosts + " have one address: they fail together"});
    if (by_machine.size() == cluster.hosts.size())
        all.push_back({Verdict::good, "hosts", "all", "each has an address of its own"});
}

}  // namespace

std::vector<Finding> measure(const std::vector<Target>& targets) {
    Findings all;
    if (targets.empty()) return all;
    const Survey survey = ask(targets);
    check_distinct(all, targets.front().cluster);
    check_own_clock(all);
    check_clocks(all, survey);
    for (const Target& target : targets) check_disk(all, target);
    check_links(all, survey);
    check_certificates(all, survey);
    for (const Target& target : targets) check_database(all, target);
    check_versions(all, survey);
    return all;
}

}  // namespace bft::node

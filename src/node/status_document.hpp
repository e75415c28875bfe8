// What a daemon says about itself on its status socket (docs/operations.md, "Status"), as bftctl
// reads it. Fields that are absent have their defaults: an older daemon can be asked, too.
#pragma once

#include "base/result.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bft::node {

struct StatusDocument {
    struct Primary {
        std::uint64_t view = 0;
        std::uint64_t tip = 0;      ///< last slot ordered
        std::uint64_t pooled = 0;   ///< requests that wait for a slot
        std::uint64_t ordered = 0;  ///< entries since the process began
        std::string phase;          ///< idle, collecting or active
    };
    struct Replica {
        std::uint64_t group = 0;
        std::uint64_t position = 0;
        std::uint64_t view = 0;
        std::uint64_t tip = 0;
        std::uint64_t committed = 0;
        std::uint64_t delivered = 0;
        std::uint64_t executed = 0;
        std::uint64_t pending = 0;  ///< requests not ordered yet
        bool active = true;         ///< the view has begun here
        bool halted = false;        ///< own state contradicts f+1 others: votes no more
        std::uint64_t config = 0;   ///< version that is in force
        /// From request to answer, by bucket of metrics::Latency.
        std::vector<std::uint64_t> latency_counts;
    };
    struct Voter {
        std::map<std::uint64_t, std::uint64_t> next;  ///< partition -> sequence number
        std::uint64_t waiting = 0;
        std::uint64_t in_flight = 0;
        std::uint64_t executed = 0;
        bool database_up = true;
        bool quarantined = false;  ///< its database is out of service and being rebuilt
        // Of its guard; empty where the cluster has none.
        std::string guard_state;
        std::string reason;
        std::uint64_t chunks = 0, chunks_loaded = 0;
        std::uint64_t transfers = 0;
        std::vector<std::string> differences;
        /// Checkpoint slot -> voter -> root, as signed.
        std::map<std::uint64_t, std::map<std::uint64_t, std::string>> roots;
    };

    std::string host;
    std::string cluster;  ///< digest, hexadecimal
    bool ready =
        false;  ///< linked to all it needs of those that run, counters and database at hand
    bool software_usig = false;
    std::string misbehaviour;  ///< of --insecure-misbehave
    std::string version;
    bool draining = false;
    std::vector<std::string> not_ready;  ///< why
    std::uint64_t uptime_s = 0, cpu_us = 0, clock_ms = 0;
    std::vector<std::string> roles;
    std::map<std::string, bool> links;  ///< host -> connected
    struct Link {
        std::string protocol;
        std::uint64_t rtt_us = 0;
        std::string last_error;
    };
    std::map<std::string, Link> link_details;
    /// Of this process's counters: how long the TPM takes.
    struct Certificates {
        std::uint64_t count = 0, sum_us = 0, p50_us = 0, p99_us = 0;
    };
    std::optional<Certificates> certificates;
    std::uint64_t http_waiting = 0;  ///< HTTP requests that wait for their answers
    std::optional<Primary> primary;
    std::vector<Replica> replicas;
    std::optional<Voter> voter;
    /// Host -> how often what it said differed from what f+1 agreed on.
    std::map<std::string, std::uint64_t> disagreements;
    std::map<std::string, std::uint64_t> drops;  ///< reason -> messages not taken
    /// How long transactions take: 50 and 99 of 100 are done within these microseconds.
    struct Stage {
        std::string name;
        std::uint64_t count = 0, p50_us = 0, p99_us = 0, sum_us = 0;
    };
    std::vector<Stage> stages;  ///< in the order in which they follow each other
};

Result<StatusDocument> parse_status(std::string_view json);
/// Asks a running daemon. Errc::unavailable: none listens there.
Result<std::string> read_status(const std::filesystem::path& socket);

/// Where the daemon with that status socket takes commands.
std::filesystem::path control_socket_of(const std::filesystem::path& status_socket);
/// Gives a running daemon a command. Errc::refused: it does not do that; the sentence says why.
Result<void> send_control(const std::filesystem::path& socket, const std::string& line);
/// The same for a command that is answered with something: at most `most` bytes of it.
Result<std::string> ask_control(const std::filesystem::path& socket, const std::string& line,
                                std::size_t most, std::chrono::milliseconds patience);

}  // namespace bft::node

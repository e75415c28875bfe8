#include "database/server_version.hpp"

#include <array>
#include <cstdio>

namespace bft::database {

namespace {

// The first 10.11 without a hole in ONLY_FULL_GROUP_BY: before it, a procedure with GROUP BY may be
// refused (errors 1055, 1140) from the second call of a session on.
constexpr std::array<int, 3> mariadb_without_hole{10, 11, 19};

/// The numbers at the beginning of "10.11.18-MariaDB-...", or of "5.5.5-10.11.18-MariaDB-..." as
/// replication clients are told; zero where there is none.
std::array<int, 3> numbers_of(const std::string& version) {
    constexpr const char* prefix = "5.5.5-";
    const std::string own = version.starts_with(prefix) ? version.substr(6) : version;
    std::array<int, 3> numbers{};
    std::sscanf(own.c_str(), "%d.%d.%d", &numbers[0], &numbers[1], &numbers[2]);
    return numbers;
}

}  // namespace

std::string determinism_hole(const std::string& version) {
    if (version.find("MariaDB") == std::string::npos) return {};
    if (numbers_of(version) >= mariadb_without_hole) return {};
    return "MariaDB older than 10.11.19: a procedure with GROUP BY may be refused (errors 1055, "
           "1140) in one session and not in another, so a voter that was restarted can answer "
           "otherwise than the others; upgrade the server";
}

}  // namespace bft::database

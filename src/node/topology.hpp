// The file that `bftctl init` makes a cluster from (sample: config/topology.toml).
#pragma once

#include "base/ids.hpp"
#include "node/config.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace bft::node {

struct TopologyHost {
    std::string name;
    std::string address;
    std::set<Role> roles;  ///< primary, replica, voter; usig follows from them
    std::string tcti;      ///< of its TPM, as its own usig role opens it
    /// As `bftctl init` reaches the same TPM now; the same as `tcti` unless given.
    std::string provision_tcti;
    std::string zone;        ///< what may fail as one: a rack, a data centre
    std::uint32_t cpus = 1;  ///< of which groups get their share
    std::uint64_t memory_mib = 1 << 24;
    std::string metrics;
    std::string http;  ///< base URL of its HTTP front; empty: none
    std::optional<DatabaseConfig> database;
    Duration tpm_delay{};
    std::uint32_t spare_counters = 0;  ///< for groups that the order adds
};

struct TopologyClient {
    std::string name;
    bool p256 = false;  ///< the kind of key that init makes
    Bytes key;          ///< public; not empty: the key pair was made elsewhere
};

struct TopologyGroup {
    GroupId id{};
    std::vector<PartitionId> partitions;
    std::vector<std::string> hosts;  ///< by position
};

struct Topology {
    std::filesystem::path file;
    std::string name;
    std::uint32_t f = 1;
    std::uint32_t f_database = 1;
    std::uint64_t checkpoint_slots = default_checkpoint_slots;
    std::uint64_t scan_slots = default_scan_slots;
    std::filesystem::path application;
    std::vector<TopologyHost> hosts;
    std::vector<TopologyGroup> groups;
    std::vector<TopologyClient> clients;       ///< ids count from 1
    std::vector<std::string> origins;          ///< whose pages may use the HTTP fronts
    std::vector<std::string> admins{"admin"};  ///< names: whose keys change the configuration
    std::uint32_t admin_quorum = 1;            ///< so many of them together

    [[nodiscard]] std::vector<std::string> hosts_with(Role role) const;
};

Loaded<Topology> load_topology(const std::filesystem::path& file);
Loaded<Topology> parse_topology(std::string_view text, const std::filesystem::path& file);

}  // namespace bft::node

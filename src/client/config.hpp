// What a client must know of a cluster: one self-contained file, client.toml, which `bftctl init`
// writes for each client beside its key. It pins the hosts' keys; the servers' cluster file is not
// needed.
#pragma once

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "consensus/membership.hpp"

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace bft::client {

struct Host {
    std::string name;
    std::string address;  ///< "host:port" that its node listens on
    Bytes key;            ///< Ed25519 public key, 32 bytes
};

struct Config {
    Digest cluster;
    ConfigVersion version{};
    std::uint32_t f = 1;
    ClientId id{};
    /// The key came by the order, not with the cluster file: requests name it.
    bool key_by_order = false;
    std::filesystem::path key_file;     ///< PEM; relative in the file: to the file's folder
    std::filesystem::path application;  ///< folder with catalog.toml; likewise
    std::vector<Host> hosts;            ///< by HostId
    std::vector<HostId> primaries;      ///< by PrimaryId
    std::map<GroupId, std::vector<HostId>> groups;  ///< members by position
    std::map<PartitionId, GroupId> owners;  ///< of every partition, 0 included, at the beginning
    consensus::AdminKeys admins;            ///< whose changes the cluster takes
};

/// `path` is the file or the folder that holds client.toml. The error's sentence lists everything
/// that is wrong, with line numbers.
Result<Config> load_config(const std::filesystem::path& path);
Result<Config> parse_config(std::string_view text, const std::filesystem::path& folder,
                            const std::string& name_for_errors);
/// The file's text; paths are written as they are given.
std::string to_toml(const Config& config);
/// As the protocol sees it; voters and other clients are not known to a client.
consensus::Membership membership_of(const Config& config);

}  // namespace bft::client

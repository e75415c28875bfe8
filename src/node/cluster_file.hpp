// cluster.toml: who takes part, the same on every host and client. Its digest names the cluster: it
// is in every certificate, so nodes that were given different files never understand each other.
#pragma once

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "consensus/membership.hpp"
#include "node/config.hpp"
#include "usig/public_identity.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bft::node {

struct ClusterHost {
    std::string name;
    std::string address;  ///< "address:port"; not part of the digest: a host may move
    Bytes key;            ///< Ed25519 public key of its identity, 32 bytes
    /// P-256 public key for answers to those who cannot check Ed25519, 65 bytes; empty: it has
    /// none.
    Bytes web_key;
    std::string http;  ///< base URL of its HTTP front; empty: none. Not part of the digest
    /// Counters for seats in groups that the order adds.
    std::vector<usig::PublicIdentity> spare_counters{};
};

/// One counter of one host's TPM.
struct ClusterIdentity {
    std::string host;
    usig::PublicIdentity usig;
};

struct ClusterGroup {
    GroupId id{};
    std::vector<ClusterIdentity> members;  ///< 2f+1 distinct hosts, by position
    std::vector<PartitionId> partitions;   ///< that it owns, sorted
};

struct ClusterClient {
    ClientId id{};
    std::string name;
    Bytes key;  ///< Ed25519 public key, 32 bytes, or P-256, 65 bytes
};

/// Who may change the configuration, together with others (CF1).
struct ClusterAdmin {
    std::string name;
    Bytes key;  ///< Ed25519 public key, 32 bytes
};

struct ClusterApplication {
    std::string name;
    Digest digest;                 ///< of the folder's content, see catalog::Application
    std::filesystem::path folder;  ///< absolute; not part of the digest
};

/// What the databases of a new cluster begin with: a snapshot of an earlier one
/// (docs/adr/0020).
struct ClusterGenesis {
    Digest root;      ///< of the application's tables, database::application_leaves()
    Digest snapshot;  ///< root of everything, as f_D+1 databases of `cluster` signed it at `slot`
    Digest cluster;
    Slot slot{};
};

struct ClusterFile {
    std::filesystem::path file;
    std::string name;
    Bytes id;  ///< 16 random bytes: two clusters never have one digest
    std::uint32_t f = 1;
    std::uint32_t f_database = 1;
    /// Voters may be compared at every slot that this divides ...
    std::uint64_t checkpoint_slots = default_checkpoint_slots;
    /// ... and are, unasked, at every slot that this divides; see Membership.
    std::uint64_t scan_slots = default_scan_slots;
    ClusterApplication application;
    std::vector<ClusterHost> hosts;          ///< by HostId
    std::vector<ClusterIdentity> primaries;  ///< by PrimaryId
    std::vector<ClusterGroup> groups;        ///< sorted by id
    std::vector<std::string>
        voters;  ///< host names, 2f_database+1, by VoterId; none: f_database is 0
    std::vector<ClusterClient> clients;  ///< sorted by id
    std::optional<ClusterGenesis> genesis;
    std::uint32_t admin_quorum = 0;  ///< so many admins must sign a change; 0: nobody can
    std::vector<ClusterAdmin> admins;

    /// Of all fields except addresses and folders, in the order of this struct.
    [[nodiscard]] Digest digest() const;
    /// UsigIds count the primaries first, then the groups' members by (group, position).
    [[nodiscard]] consensus::Membership membership() const;
    /// By UsigId.
    [[nodiscard]] std::vector<usig::PublicIdentity> usig_identities() const;
    [[nodiscard]] std::optional<HostId> host_id(std::string_view host_name) const;
    [[nodiscard]] const ClusterHost& host(HostId which) const { return hosts.at(which.value); }
    /// What `host_name` does here; usig wherever it has a counter.
    [[nodiscard]] std::set<Role> roles_of(std::string_view host_name) const;
};

Loaded<ClusterFile> load_cluster_file(const std::filesystem::path& file);
Loaded<ClusterFile> parse_cluster_file(std::string_view text, const std::filesystem::path& file);
/// parse_cluster_file(render(c)) gives `c` again; application.folder is written relative to `file`.
std::string render(const ClusterFile& cluster);

}  // namespace bft::node

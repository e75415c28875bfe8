// A configuration as data: who takes part and which group owns which partition, for the slots after
// the one that ordered it (protocol.md 3.16, C_k). Deterministic: equal on every correct node.
#pragma once

#include "base/result.hpp"
#include "consensus/membership.hpp"
#include "consensus/messages.hpp"

#include <map>
#include <memory>
#include <vector>

namespace bft::consensus {

struct Configuration {
    ConfigVersion version{};
    std::uint32_t f = 1;
    std::uint32_t f_database = 1;
    std::vector<Member> primaries;
    std::vector<Group> groups;  ///< sorted by id
    std::map<PartitionId, GroupId> owners;
    std::vector<HostId> voters;
    AdminKeys admins;
    std::map<HostId, Bytes> hosts{};  ///< identity keys of hosts that came later
    std::map<UsigId, Bytes> usigs{};  ///< public keys of counters that came later

    [[nodiscard]] std::optional<GroupId> owner(PartitionId partition) const;
    [[nodiscard]] const Group* group(GroupId id) const;
    [[nodiscard]] bool active(GroupId group, Position position) const;
};

/// Members, hosts and their keys become those of `configuration`; all who ever were stay known.
void follow(Membership& membership, const Configuration& configuration);

/// What a cluster begins with.
[[nodiscard]] Configuration configuration_of(const Membership& membership);

/// Fixed order, big-endian; decode_configuration() accepts nothing else.
[[nodiscard]] Bytes encode(const Configuration& configuration);
[[nodiscard]] Result<Configuration> decode_configuration(ByteView bytes);
[[nodiscard]] Digest configuration_digest(const Configuration& configuration);

// --- changes (CF1)
// --------------------------------------------------------------------------------

struct MovePartition {
    PartitionId partition{};
    GroupId to{};

    auto operator<=>(const MovePartition&) const = default;
};

/// Another identity takes the seat of the member at `position` (T4). It has position + 2f+1.
struct ReplaceReplica {
    GroupId group{};
    Position position{};
    Member by;
    Bytes host_key;  ///< of a host that is new; empty: the host is known
    Bytes usig_key;

    bool operator==(const ReplaceReplica&) const = default;
};

struct AdminSignature {
    std::uint32_t key = 0;  ///< index in AdminKeys
    Bytes signature;

    bool operator==(const AdminSignature&) const = default;
};

/// A list that takes effect as a whole: the operation of a CONFIG request.
struct ConfigChange {
    ConfigVersion version{};                     ///< of the configuration that it makes
    std::vector<MovePartition> moves;            ///< sorted by partition, unique
    std::vector<AdminSignature> signatures;      ///< sorted by key, unique
    std::vector<ReplaceReplica> replacements{};  ///< sorted by group and position, unique
    /// Partitions that do not move, of groups whose members change: voters count the new members
    /// from one place of each partition on. Sorted, unique.
    std::vector<PartitionId> held{};

    bool operator==(const ConfigChange&) const = default;
};

/// In the place of a client in CONFIG requests; its cseq is the version.
inline constexpr ClientId config_client{~std::uint64_t{0}};
inline constexpr std::size_t changes_max = 4096;

[[nodiscard]] Bytes encode(const ConfigChange& change);
[[nodiscard]] Result<ConfigChange> decode_change(ByteView bytes);
/// What admin keys sign.
[[nodiscard]] Digest change_digest(const Digest& cluster, const ConfigChange& change);

/// The request that orders `change`, but for raw and rd, which are the wire's business.
[[nodiscard]] Request config_request(const ConfigChange& change);
/// Partition 0 and every partition whose owner, or whose owner's members, may change.
[[nodiscard]] std::vector<PartitionId> parts_of(const ConfigChange& change);

/// What `change` must hold under `current`, given what it replaces.
[[nodiscard]] std::vector<PartitionId> held_by(const Configuration& current,
                                               const ConfigChange& change);

/// C_{k+1}, or why not, as a sentence for an operator.
[[nodiscard]] Result<Configuration> apply(const Configuration& current, const ConfigChange& change);

// --- the barrier (CF3)
// ----------------------------------------------------------------------------

/// BarrierCert: every group of C_k has delivered `slot` with the entry kept. Proves itself. Nothing
/// beyond the slot is committed without it.
struct BarrierCert {
    Slot slot{};                     ///< b_r
    ConfigurationPtr config;         ///< C_{k+1}
    std::vector<StableCert> groups;  ///< of each group, by id

    [[nodiscard]] const StableCert* of(GroupId group) const;
};

/// Which configuration is in force where (CF4). Grows at its end only.
class ConfigHistory {
public:
    explicit ConfigHistory(const Membership& genesis);

    /// In force for `slot`.
    [[nodiscard]] const Configuration& at(Slot slot) const;
    [[nodiscard]] std::optional<GroupId> owner(Slot slot, PartitionId partition) const {
        return at(slot).owner(partition);
    }
    [[nodiscard]] const Configuration& newest() const { return *all_.rbegin()->second.config; }
    /// Of the newest configuration; null: it is the first one.
    [[nodiscard]] BarrierCertPtr barrier() const { return all_.rbegin()->second.barrier; }
    /// The slot after which the configuration of `slot` is in force.
    [[nodiscard]] Slot since(Slot slot) const;
    /// The last slot for which it is; nullopt: it is the newest one.
    [[nodiscard]] std::optional<Slot> until(Slot slot) const;
    /// The one that begins after this slot; null: none does.
    [[nodiscard]] BarrierCertPtr barrier_at(Slot slot) const;
    /// The first one that made a later version than this.
    [[nodiscard]] BarrierCertPtr after(ConfigVersion version) const;
    [[nodiscard]] bool changed() const { return all_.size() > 1; }
    /// Of the configuration after `slot`; zero for the first one, whose digest nobody signs.
    [[nodiscard]] Digest digest_after(Slot slot) const;
    /// False: it cannot be told from here, or it contradicts what is known.
    [[nodiscard]] bool knows(const BarrierCert& barrier) const;
    /// Could be the next one, or a later one of the same members.
    [[nodiscard]] bool continues(const BarrierCert& barrier) const;

    /// The next one. False: it is not the next.
    bool establish(const BarrierCertPtr& barrier);
    /// The next one, or any later one with the same members: what lies between was executed, and
    /// nobody here asks for it. (Of other members only their predecessors can tell.)
    bool skip_to(const BarrierCertPtr& barrier);

private:
    struct Era {
        ConfigurationPtr config;
        BarrierCertPtr barrier;
        Digest digest;
    };
    bool append(const BarrierCertPtr& barrier);
    std::map<Slot, Era> all_;  ///< by the slot after which it is in force
};

}  // namespace bft::consensus

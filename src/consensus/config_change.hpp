// What an admin may ask of a configuration (protocol.md 3.16, CF1), as data: a list that takes
// effect as a whole, signed by k of n admin keys.
#pragma once

#include "base/result.hpp"
#include "consensus/configuration.hpp"

#include <optional>
#include <string>
#include <vector>

namespace bft::consensus {

struct MovePartition {
    PartitionId partition{};
    GroupId to{};

    auto operator<=>(const MovePartition&) const = default;
};

/// A host that is new: others of the same change may give it something to do.
struct AddHost {
    HostId host{};
    JoinedHost joined;

    bool operator==(const AddHost&) const = default;
};

/// Another identity takes the seat of the member at `position` (T4). It has position + 2f+1.
struct ReplaceReplica {
    GroupId group{};
    Position position{};
    Member by;
    Bytes usig_key;  ///< the counter's public identity

    bool operator==(const ReplaceReplica&) const = default;
};

/// Another identity takes the turn of a primary-capable one, from the next epoch of views on
/// (CF11).
struct ReplacePrimary {
    PrimaryId primary{};
    Member by;
    Bytes usig_key;

    bool operator==(const ReplacePrimary&) const = default;
};

/// Another host's database answers as `voter`, or as one more: the next one. It begins empty.
struct ReplaceVoter {
    VoterId voter{};
    HostId by{};

    bool operator==(const ReplaceVoter&) const = default;
};

/// A client comes, changes its key, or goes (an empty key).
struct SetClient {
    ClientId client{};
    Bytes key;

    bool operator==(const SetClient&) const = default;
};

struct SetParameter {
    Parameter parameter{};
    std::uint64_t value = 0;

    bool operator==(const SetParameter&) const = default;
};

struct NewMember {
    Member by;
    Bytes usig_key;  ///< the counter's public identity

    bool operator==(const NewMember&) const = default;
};

/// A group that owns nothing yet: 2f+1 members on as many hosts, by seat.
struct AddGroup {
    GroupId group{};
    std::vector<NewMember> members;

    bool operator==(const AddGroup&) const = default;
};

struct AdminSignature {
    std::uint32_t key = 0;  ///< index in AdminKeys
    Bytes signature;

    bool operator==(const AdminSignature&) const = default;
};

/// The operation of a CONFIG request. Every list is sorted by what its elements are about, without
/// doubles.
struct ConfigChange {
    ConfigVersion version{};  ///< of the configuration that it makes
    std::vector<MovePartition> moves;
    std::vector<AdminSignature> signatures;
    std::vector<ReplaceReplica> replacements{};
    /// Partitions that do not move, but that notice: of groups whose members change, for voters
    /// count the new members from one place of each partition on; all of them where a database
    /// changes.
    std::vector<PartitionId> held{};
    std::vector<AddHost> hosts{};
    std::vector<ReplaceVoter> voters{};
    std::vector<ReplacePrimary> primaries{};
    std::vector<SetClient> clients{};
    std::optional<AdminKeys> admins{};
    std::vector<SetParameter> parameters{};
    std::vector<AddGroup> groups_added{};
    std::vector<GroupId> groups_removed{};  ///< they own nothing, before the change and after it

    bool operator==(const ConfigChange&) const = default;
    /// Of all kinds.
    [[nodiscard]] std::size_t changes() const;
};

[[nodiscard]] bool moves_only(const ConfigChange& change);
/// What a mover's key may sign (AdminKeys::movers): partitions move, groups come on the counters
/// that the cluster file has to spare, and groups go that own nothing. As far as the change says by
/// itself ...
[[nodiscard]] bool of_movers_kind(const ConfigChange& change);
/// ... and as replicas judge it.
[[nodiscard]] bool in_movers_power(const Membership& membership, const ConfigChange& change);

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

}  // namespace bft::consensus

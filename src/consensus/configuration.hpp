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

    [[nodiscard]] std::optional<GroupId> owner(PartitionId partition) const;
};

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

struct AdminSignature {
    std::uint32_t key = 0;  ///< index in AdminKeys
    Bytes signature;

    bool operator==(const AdminSignature&) const = default;
};

/// A list that takes effect as a whole: the operation of a CONFIG request.
struct ConfigChange {
    ConfigVersion version{};                 ///< of the configuration that it makes
    std::vector<MovePartition> moves;        ///< sorted by partition, unique, not empty
    std::vector<AdminSignature> signatures;  ///< sorted by key, unique

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
/// Partition 0 and every partition whose owner may change.
[[nodiscard]] std::vector<PartitionId> parts_of(const ConfigChange& change);

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
    /// The one that begins after this slot; null: none does.
    [[nodiscard]] BarrierCertPtr barrier_at(Slot slot) const;
    /// The first one that made a later version than this.
    [[nodiscard]] BarrierCertPtr after(ConfigVersion version) const;
    [[nodiscard]] bool changed() const { return all_.size() > 1; }
    /// Of the configuration after `slot`; zero for the first one, whose digest nobody signs.
    [[nodiscard]] Digest digest_after(Slot slot) const;

    /// The next one. False: it is not the next.
    bool establish(const BarrierCertPtr& barrier);
    /// Any later one: what lies between was executed, and nobody here asks for it.
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

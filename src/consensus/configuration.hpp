// A configuration as data: who takes part and which group owns which partition, for the slots after
// the one that ordered it (protocol.md 3.16, C_k). Deterministic: equal on every correct node.
#pragma once

#include "base/result.hpp"
#include "consensus/membership.hpp"
#include "consensus/messages.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace bft::consensus {

/// A host that the cluster file does not know.
struct JoinedHost {
    std::string name;
    std::string address;  ///< where other nodes reach it: host:port
    Bytes key;            ///< Ed25519, its identity

    bool operator==(const JoinedHost&) const = default;
};

/// A number on which all agree, slot by slot. The value is stable: it is signed and stored.
enum class Parameter : std::uint32_t {
    features = 1,  ///< what every member may use from here on (docs/adr/0024)
};

/// Feature levels: rules that all replicas must begin with at one slot. A cluster begins at the
/// first one and goes up when its admins say so.
inline constexpr std::uint64_t features_first = 1;
/// Entries of who may not speak at their slot are skipped, instead of waiting for a view change.
inline constexpr std::uint64_t features_skip = 2;
/// The highest one that this program knows.
inline constexpr std::uint64_t features_max = features_skip;
/// What a program says that cannot go on at `level`.
[[nodiscard]] std::string too_new(std::uint64_t level, std::uint64_t known = features_max);

struct Configuration {
    ConfigVersion version{};
    std::uint32_t f = 1;
    std::uint32_t f_database = 1;
    std::vector<Member> primaries;
    std::vector<Group> groups;  ///< sorted by id
    std::map<PartitionId, GroupId> owners;
    std::vector<HostId> voters;  ///< by VoterId: whose database it is
    AdminKeys admins;
    // What came later than the cluster file.
    std::map<HostId, JoinedHost> hosts{};
    std::map<UsigId, Bytes> usigs{};      ///< public identities, opaque here
    std::map<ClientId, Bytes> clients{};  ///< an empty key: it was a client
    std::map<Parameter, std::uint64_t> parameters{};
    std::vector<std::vector<PrimaryId>> reigns{};        ///< as in Membership
    std::map<ConfigVersion, AdminKeys> former_admins{};  ///< by the last version that they made

    /// The feature level.
    [[nodiscard]] std::uint64_t features() const;
    /// It was a client and is none.
    [[nodiscard]] bool removed(ClientId client) const;
    /// Is the key of this name the client's? A client that no change speaks of has the cluster
    /// file's.
    [[nodiscard]] bool in_force(ClientId client, std::uint64_t key) const;

    [[nodiscard]] std::optional<GroupId> owner(PartitionId partition) const;
    [[nodiscard]] const Group* group(GroupId id) const;
    [[nodiscard]] bool active(GroupId group, Position position) const;
    /// It was there before this configuration and stays: its members say that the change was
    /// delivered (CF3).
    [[nodiscard]] bool signs_barrier(const Group& each) const {
        return !each.removed() && each.added != version;
    }
};

/// Members, hosts and their keys become those of `configuration`; all who ever were stay known, and
/// so do clients' keys.
void follow(Membership& membership, const Configuration& configuration);

/// Of an older one: its keys, and nothing else.
void know_keys(Membership& membership, const Configuration& configuration);

/// What a cluster begins with.
[[nodiscard]] Configuration configuration_of(const Membership& membership);

/// Fixed order, big-endian; decode_configuration() accepts nothing else.
[[nodiscard]] Bytes encode(const Configuration& configuration);
[[nodiscard]] Result<Configuration> decode_configuration(ByteView bytes);
[[nodiscard]] Digest configuration_digest(const Configuration& configuration);

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
    /// As it is now, or was before it was removed; null: it is not known.
    [[nodiscard]] const Group* standing(GroupId group) const;
    /// The slot after which `group` takes part; 0: from the beginning.
    [[nodiscard]] Slot began(GroupId group) const;
    /// The slot after which the configuration of `slot` is in force.
    [[nodiscard]] Slot since(Slot slot) const;
    /// The last slot for which it is; nullopt: it is the newest one.
    [[nodiscard]] std::optional<Slot> until(Slot slot) const;
    /// The one that begins after this slot; null: none does.
    [[nodiscard]] BarrierCertPtr barrier_at(Slot slot) const;
    /// The first one that made a later version than this.
    [[nodiscard]] BarrierCertPtr after(ConfigVersion version) const;
    /// Of each configuration that is known but the first, in order.
    [[nodiscard]] std::vector<BarrierCertPtr> barriers() const;
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

    /// Of all of them: whoever judges what lies before the newest one needs their keys.
    void follow(Membership& membership) const;

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

// Who takes part: the configuration in force, as the engines see it (protocol.md 3.16, C_k).
#pragma once

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "consensus/messages.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace bft::consensus {

struct Member {
    HostId host{};
    UsigId usig{};

    bool operator==(const Member&) const = default;
};

/// A position names one identity for ever. Seat s is first held by position s, and whoever replaces
/// the holder of position p has position p + 2f+1: of the positions with one remainder at most one
/// is active, and votes are distinct by seat.
struct Group {
    GroupId id{};
    std::vector<Member> members;      ///< by position, those who were replaced included
    std::vector<Position> retired{};  ///< sorted: replaced, or never held
    ConfigVersion added{};            ///< by the change that made this version; 0: by none

    bool operator==(const Group&) const = default;
    /// A member now.
    [[nodiscard]] bool active(Position position) const;
    /// All its members have left. It stays known for what they signed, and never comes back.
    [[nodiscard]] bool removed() const { return retired.size() >= members.size(); }
};

/// In the place of a member at a position that nobody has held.
inline constexpr HostId nobody{~std::uint32_t{0}};

/// A counter that a host has made for a seat in a group that may come.
struct SpareCounter {
    HostId host{};
    Bytes usig_key;  ///< its public identity

    bool operator==(const SpareCounter&) const = default;
};

/// Who may change the configuration: `quorum` of these Ed25519 public keys. No keys: nobody.
struct AdminKeys {
    std::uint32_t quorum = 0;
    std::vector<Bytes> keys;
    /// Each may do by itself what in_movers_power() says, and nothing else: controllers have such
    /// keys.
    std::vector<Bytes> movers{};

    /// What signatures call a key: keys, then movers. Null: there is none.
    [[nodiscard]] const Bytes* key(std::uint32_t index) const {
        if (index < keys.size()) return &keys[index];
        return index - keys.size() < movers.size() ? &movers[index - keys.size()] : nullptr;
    }
    bool operator==(const AdminKeys&) const = default;
};

/// What requests call a client's key: 48 bits of its digest, never 0. Two keys of one name would
/// both have to be the client's own.
[[nodiscard]] std::uint64_t key_name(ByteView key);

struct Membership {
    Digest cluster;  ///< digest of the cluster file's identity; in every certificate
    ConfigVersion version{};
    std::uint32_t f = 1;
    std::uint32_t f_database = 1;
    std::vector<Member> primaries;  ///< by PrimaryId, those who were replaced included
    /// By epoch: who lead its views in turn. None: all of them do, in the only epoch.
    std::vector<std::vector<PrimaryId>> reigns{};
    std::vector<Group> groups;              ///< sorted by id
    std::map<PartitionId, GroupId> owners;  ///< of every partition, 0 included
    std::vector<HostId> voters;             ///< 2f_D+1, by VoterId; or none
    std::map<ClientId, Bytes> clients;      ///< public keys in the cluster file
    std::map<HostId, Bytes> host_keys;      ///< Ed25519 public keys of the hosts' identities
    AdminKeys admins;
    /// Clients' keys that came later, by key_name(). None is taken away: what was ordered while one
    /// was in force stays valid, and whether one is in force the order says, slot by slot.
    std::map<std::pair<ClientId, std::uint64_t>, Bytes> later_keys{};
    /// Of clients that a change speaks of: the key in force; empty: it is no client any more.
    std::map<ClientId, Bytes> newest_keys{};
    /// By the last version that they made.
    std::map<ConfigVersion, AdminKeys> former_admins{};
    /// Every slot that this divides carries an implicit entry for all partitions, at which voters
    /// may be cut consistently; 0: none does.
    std::uint64_t checkpoint_slots = 0;
    /// Of those slots, voters scan their databases at the ones that this divides; 0: only when
    /// asked.
    std::uint64_t scan_slots = 0;
    /// Of the cluster file, those that groups have by now included.
    std::map<UsigId, SpareCounter> spares{};

    /// Views count within an epoch, which is theirs in the upper half: each change of the primaries
    /// makes the next one, so who leads a view depends on it and on a final list alone (CF11).
    [[nodiscard]] static std::uint64_t epoch(View view) { return view.value >> 32; }
    /// The configuration that makes the view's epoch is here.
    [[nodiscard]] bool knows(View view) const {
        return epoch(view) < std::max<std::size_t>(reigns.size(), 1);
    }
    /// So many lead the views of the epoch in turn.
    [[nodiscard]] std::size_t leaders(View view) const {
        if (reigns.empty()) return primaries.size();
        return reigns[std::min<std::uint64_t>(epoch(view), reigns.size() - 1)].size();
    }
    /// Of a view that knows() says yes to.
    [[nodiscard]] PrimaryId primary_of(View view) const;
    /// The one to ask for when `view` fails: the first one of the newest epoch, or the next.
    [[nodiscard]] View after(View view) const;
    [[nodiscard]] const Group* group(GroupId id) const;
    [[nodiscard]] std::optional<GroupId> owner(PartitionId partition) const;
    [[nodiscard]] std::uint32_t replicas_per_group() const { return 2 * f + 1; }
    [[nodiscard]] std::uint32_t quorum() const { return f + 1; }
    /// One vote each: identities that held it one after the other never count together.
    [[nodiscard]] std::uint32_t seat(Position position) const {
        return position.value % replicas_per_group();
    }
    [[nodiscard]] bool active(GroupId group_id, Position position) const {
        const Group* found = group(group_id);
        return found != nullptr && found->active(position);
    }
    [[nodiscard]] std::uint32_t database_quorum() const { return f_database + 1; }
    /// No databases: a request's place in the order is its answer.
    [[nodiscard]] bool orders_only() const { return voters.empty(); }
    [[nodiscard]] bool is_checkpoint(Slot slot) const {
        return checkpoint_slots != 0 && slot.value != 0 && slot.value % checkpoint_slots == 0;
    }
    /// The host that may speak as `endpoint`; nullopt for clients and for unknown ones.
    [[nodiscard]] std::optional<HostId> host_of(const Endpoint& endpoint) const;
    /// The counter that certifies for `endpoint`; nullopt where it has none.
    [[nodiscard]] std::optional<UsigId> usig_of(const Endpoint& endpoint) const;
    /// Every active replica of `group`, except position `except` if given.
    [[nodiscard]] std::vector<Endpoint> replicas(GroupId group,
                                                 std::optional<Position> except = {}) const;
    [[nodiscard]] std::vector<Endpoint> all_replicas() const;
    /// Members of groups that were removed: some answers only they have.
    [[nodiscard]] std::vector<Endpoint> removed_replicas() const;
    [[nodiscard]] std::vector<Endpoint> all_voters() const;
    /// Those of the newest epoch, and of the one before it, whose view may still go on.
    [[nodiscard]] std::vector<Endpoint> all_primaries() const;
    /// Who processes the counter of `stream` in order, its owner excepted; sorted.
    [[nodiscard]] std::vector<Endpoint> processors(const StreamId& stream) const;
    /// The key that signs for `endpoint`; null where there is none.
    [[nodiscard]] const Bytes* identity_key(const Endpoint& endpoint) const;
    /// The key that a request of `client` names; null: no such key is known here.
    [[nodiscard]] const Bytes* client_key(ClientId client, std::uint64_t name) const;
    /// Who signs the change that makes `version`.
    [[nodiscard]] const AdminKeys& admins_of(ConfigVersion version) const;
};

}  // namespace bft::consensus

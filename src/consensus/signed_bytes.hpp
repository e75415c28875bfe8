// The one place that says which bytes are hashed, certified or signed (house rule: tag, fixed field
// order, big-endian; never re-encoded protobuf).
#pragma once

#include "consensus/membership.hpp"
#include "consensus/messages.hpp"

namespace bft::consensus {

/// rd = H("req", raw): names a request by its content.
Digest request_digest(ByteView raw);
/// What a client signs for a bundle whose Merkle root over rds is `root`.
Digest bundle_digest(const Digest& cluster, ClientId client, const Digest& root);

/// hd_0.
Digest genesis_header_digest(const Digest& cluster);
/// hd_b = H("hb", slot, prev, ts, merkle(entries)).
Digest header_digest(const Header& header);
/// The seed that an entry of the slot after `previous_hd` runs with (P8: not chosen by anyone).
std::uint64_t slot_seed(const Digest& previous_hd);

/// What an ordering counter certifies for a PREPARE.
Digest prepare_digest(const Digest& cluster, View view, Slot slot, const Digest& hd);
/// What a vote counter certifies for a COMMIT.
Digest commit_digest(const Digest& cluster, const Commit& commit);
Digest commit_digest(const Digest& cluster, GroupId group, Position position,
                     const LastCommit& accepted);

/// What an ordering counter certifies for a NEW-VIEW: nvd.
Digest new_view_digest(const Digest& cluster, const NewView& new_view);
/// Everything in a VIEW-CHANGE but sender, view and `last`: its `rest` in a later log.
Digest view_change_rest(const ViewChange& change);
/// What a vote counter certifies for a VIEW-CHANGE.
Digest view_change_digest(const Digest& cluster, const ViewChange& change);
/// What a vote counter certified for an entry of a VIEW-CHANGE's log.
Digest vote_entry_digest(const Digest& cluster, GroupId group, Position position,
                         const VoteEntry& entry);

/// D of CK1: what a CHECKPOINT of `group` says about the state at its slot.
Digest state_digest(GroupId group, const DerivedState& state);

// What identity keys sign.
Digest checkpoint_digest(const Digest& cluster, const Checkpoint& checkpoint);
Digest vouch_digest(const Digest& cluster, const Vouch& vouch);
Digest request_view_change_digest(const Digest& cluster, const RequestViewChange& request);
Digest accept_digest(const Digest& cluster, const NewViewAccept& accept);
Digest void_promise_digest(const Digest& cluster, const VoidPromise& promise);
Digest resign_digest(const Digest& cluster, PrimaryId primary, View view);

Digest db_checkpoint_digest(const Digest& cluster, const DbCheckpoint& checkpoint);

/// Of a chunk's canonical rows.
Digest chunk_digest(ByteView rows);
/// Merkle root over the leaves: what DBCKPT signs.
Digest database_root(const std::vector<DbLeaf>& leaves);

/// The digest that a voter counts votes by: every field of the item, the slot and the group.
Digest item_digest(GroupId group, Slot slot, const DbItem& item);
/// rdig: binds outcome, code and encoded result.
Digest result_digest(Outcome outcome, std::uint32_t code, ByteView result);

/// Of a page that was rendered from a transaction.
Digest page_digest(ByteView html);
/// What replicas of one group say equally about a transaction (docs/http.md). `page` is zero where
/// none was rendered.
Digest answer_digest(const Reply& reply, const Digest& page = {});
Digest refusal_digest(GroupId group, const Rejected& refusal, const Digest& rd);
/// What a host signs for a replica's bundle of such digests with the Merkle root `root`.
Digest replies_digest(const Digest& cluster, GroupId group, Position position, const Digest& root);

}  // namespace bft::consensus

// The protocol's messages as plain values (docs/protocol.md, section "Messages"). No encoding here:
// wire/ turns bytes into these, signed_bytes.hpp says which bytes a signature or certificate
// covers.
#pragma once

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/merkle.hpp"
#include "base/time.hpp"
#include "consensus/client_window.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace bft::consensus {

/// Who speaks or is spoken to. `group` counts for replicas only; `index` is the position of a
/// replica, the id of a primary or voter; clients have `client`.
struct Endpoint {
    enum class Role : std::uint8_t { primary = 1, replica = 2, voter = 3, client = 4 };
    Role role = Role::client;
    GroupId group{};
    std::uint32_t index = 0;
    ClientId client{};

    auto operator<=>(const Endpoint&) const = default;
    static Endpoint primary(PrimaryId id) { return {Role::primary, {}, id.value, {}}; }
    static Endpoint replica(GroupId g, Position j) { return {Role::replica, g, j.value, {}}; }
    static Endpoint voter(VoterId d) { return {Role::voter, {}, d.value, {}}; }
    static Endpoint of_client(ClientId c) { return {Role::client, {}, 0, c}; }
};

std::string to_string(const Endpoint& endpoint);

/// A USIG certificate on a digest that its carrier states. A UI *is* (identity, cv, digest), never
/// its bytes: ECDSA signatures are malleable.
struct Ui {
    Counter cv{};
    /// Values directly before cv that this certificate proves void (usig.md: k - 1).
    std::uint32_t voids = 0;
    Bytes certificate;

    bool operator==(const Ui&) const = default;
};

struct RequestId {
    ClientId client{};
    PartitionId home{};
    ClientSeq cseq{};

    auto operator<=>(const RequestId&) const = default;
};

/// What a client signed once for all requests that it had waiting: the Merkle root of their rds.
struct SignedBundle {
    MerkleTree tree;
    Bytes signature;
};

/// A client's transaction. `raw` is what the client encoded: carried verbatim, because rd and the
/// signature are over those bytes.
struct Request {
    RequestId id;
    ClientSeq ack_low{};             ///< every cseq of this home below it is finished (C4)
    std::vector<PartitionId> parts;  ///< sorted, unique, contains the home
    bool read_only = false;
    /// key_name() of the client's key that signs it; 0: the one in the cluster file. Part of what
    /// is signed: whether that key is in force at a slot follows from the request alone.
    std::uint64_t key = 0;
    Bytes op;  ///< catalog's encoding of a procedure call
    Bytes raw;
    Digest rd;  ///< H("req", raw)

    // One signature may cover a bundle of requests: it is over the Merkle root of their rds. Where
    // the whole bundle is at hand its requests share it, and path and signature are made from it
    // when one of them is needed alone (proof_of()).
    std::uint32_t bundle_index = 0;
    std::uint32_t bundle_count = 1;
    std::shared_ptr<const SignedBundle> bundle;
    std::vector<Digest> bundle_path;  ///< empty where `bundle` is set
    Bytes signature;                  ///< likewise

    /// Not signed: every replica is to send its full answer, signed (a receipt is wanted).
    bool receipt = false;
};

/// A request whose format and signature were verified; shared because the primary, the replicas and
/// the voter of one process all hold it.
using Body = std::shared_ptr<const Request>;

/// What proves one request of a bundle by itself.
struct RequestProof {
    std::vector<Digest> path;
    Bytes signature;
};
RequestProof proof_of(const Request& request);

struct Configuration;
using ConfigurationPtr = std::shared_ptr<const Configuration>;
struct BarrierCert;
using BarrierCertPtr = std::shared_ptr<const BarrierCert>;

enum class EntryKind : std::uint8_t { transaction = 1, config = 2 };

struct EntryHeader {
    RequestId rid;
    std::vector<PartitionId> parts;
    EntryKind kind = EntryKind::transaction;
    Digest rd;

    bool operator==(const EntryHeader&) const = default;
};

/// One slot of the order stream, without bodies. Its digest stands for the whole prefix.
struct Header {
    Slot slot{};
    Digest previous;  ///< digest of the header before; the genesis digest for slot 1
    UnixMillis ts_ms = 0;
    std::vector<EntryHeader> entries;

    bool operator==(const Header&) const = default;
};
using HeaderPtr = std::shared_ptr<const Header>;

/// m2. Certified with the ordering counter of the primary of `view` over prepare_digest().
struct Prepare {
    View view{};
    Slot slot{};
    Digest hd;
    Ui ui;
    HeaderPtr header;  ///< the preimage of hd; null in the compact form that a COMMIT carries
};

/// m3. "I accept the chain up to `to` and hold, on disk, a valid body for every entry of my group
/// in it." Certified with the replica's vote counter over commit_digest().
struct Commit {
    GroupId group{};
    Position position{};
    View view{};
    Slot to{};
    Digest hd;
    Digest nvd;       ///< digest of the view's NEW-VIEW; zero in view (0,0)
    Prepare prepare;  ///< the prepare certificate of `to`, compact
    /// `to` is where the view's NEW-VIEW ends: prepare.ui is the NEW-VIEW's, over nvd.
    bool from_new_view = false;
    Ui ui;
};

/// One sender's certified messages in counter order: what FETCH-CERT names.
struct StreamId {
    enum class Kind : std::uint8_t { ordering = 1, vote = 2 };
    Kind kind = Kind::ordering;
    PrimaryId primary{};  ///< for ordering
    GroupId group{};      ///< for vote
    Position position{};  ///< for vote

    auto operator<=>(const StreamId&) const = default;
    static StreamId ordering(PrimaryId p) { return {Kind::ordering, p, {}, {}}; }
    static StreamId vote(GroupId g, Position j) { return {Kind::vote, {}, g, j}; }
};

/// Who certifies with the counter of `stream`.
Endpoint owner_of(const StreamId& stream);

/// T1v, from a counter's owner to all who process it: value `cv` was spent and has no certificate
/// (a power cut between the two).
struct VoidRequest {
    StreamId stream;
    Counter cv{};
};
/// T1v: "I have not processed this value, and never shall." Signed with the host's identity key.
struct VoidPromise {
    StreamId stream;
    Counter cv{};
    GroupId group{};
    Position position{};
    Bytes signature;
};
/// T1v, unanimous void: the promises of every processor, by (group, position). No correct node ever
/// counts the value, so it counts as processed wherever counters must be without gaps.
struct VoidCert {
    StreamId stream;
    Counter cv{};
    std::vector<VoidPromise> promises;
};

/// m16, from a replica to its group and the primary, every T_status.
struct Status {
    View view{};
    bool active = true;
    Slot tip{};                          ///< last slot of the chain
    Slot committed{};                    ///< `to` of my last COMMIT
    Slot delivered{};                    ///< group-committed and handed to execution
    Slot executed{};                     ///< every own entry up to here has its result
    Slot low{};                          ///< low watermark: the stable checkpoint
    std::vector<Counter> ordering_seen;  ///< by primary
    std::vector<Counter> votes_seen;     ///< by position; own: last certified
    ConfigVersion config{};              ///< the newest one that is in force here
};

/// m17 FETCH-CERT: certified messages of one stream, `from` .. `to` inclusive.
struct FetchCertificates {
    StreamId stream;
    Counter from{};
    Counter to{};
};
// --- checkpoints and view change (protocol.md 3.11, 3.12)
// ------------------------------------------------

/// Whose signature on something that several sign.
struct PositionSignature {
    Position position{};
    Bytes signature;

    bool operator==(const PositionSignature&) const = default;
};

/// m4. Signed over checkpoint_digest(): "I delivered up to `slot`, and what follows from it is
/// `state`."
struct Checkpoint {
    GroupId group{};
    Position position{};
    Slot slot{};
    Digest hd;
    UnixMillis ts_ms = 0;  ///< of the slot's header: V5 continues from it
    Digest state;
    Bytes signature;
    Digest config{};  ///< of the configuration after the slot; zero: the cluster's first one
};

/// f+1 equal CHECKPOINTs of one group (CK2).
struct StableCert {
    GroupId group{};
    Slot slot{};
    Digest hd;
    UnixMillis ts_ms = 0;
    Digest state;
    std::vector<PositionSignature> signers;
    Digest config{};

    bool operator==(const StableCert&) const = default;
    /// What one of the signers sent.
    [[nodiscard]] Checkpoint of(const PositionSignature& signer) const {
        return {group, signer.position, slot, hd, ts_ms, state, signer.signature, config};
    }
    /// Does `checkpoint` say the same?
    [[nodiscard]] bool says(const Checkpoint& c) const {
        return group == c.group && slot == c.slot && hd == c.hd && ts_ms == c.ts_ms &&
               state == c.state && config == c.config;
    }
};

/// m5. Signed over vouch_digest(): "I processed the certified messages of each member of my group
/// and of each primary-capable node in order up to here and found them valid." The own counter is
/// what was certified last.
struct Vouch {
    GroupId group{};
    Position position{};
    std::vector<Counter> votes;     ///< by position
    std::vector<Counter> ordering;  ///< by primary
    Bytes signature;
};

/// Why a replica asks for the next view (VC1).
enum class Suspicion : std::uint8_t {
    request_not_ordered = 1,  ///< T1
    body_missing = 2,         ///< T2
    silent = 3,               ///< T3
    no_new_view = 4,          ///< T_nv
    dead = 5,                 ///< it certified something provably invalid
    resigned = 6,
    // T6, performance: measured by this replica since the view became active.
    slow_slots = 7,    ///< (a) slots come too rarely while requests wait
    late_orders = 8,   ///< (b) too many requests wait too long for their header
    overtaken = 9,     ///< (c) a client waits while others are served again and again
    low_rate = 10,     ///< (d) less is ordered than lately, while requests wait
    clock_drift = 11,  ///< (e) slots' times are far from this host's clock
    duplicates = 12,   ///< (f) the same requests are ordered again and again
};
const char* to_string(Suspicion why);

/// m6 REQ-VC.
struct RequestViewChange {
    GroupId group{};
    Position position{};
    View view{};  ///< the view that is asked for
    Suspicion reason{};
    Bytes signature;
};

/// m7 TC: f+1 REQ-VC of one group for `view` or later.
struct TriggerCertificate {
    View view{};
    std::vector<RequestViewChange> requests;
};

/// An entry of the chain by its place.
struct EntryRef {
    Slot slot{};
    std::uint32_t index = 0;

    auto operator<=>(const EntryRef&) const = default;
};

struct ViewChangeRef {
    GroupId group{};
    Position position{};
    Counter cv{};
    Digest digest;

    auto operator<=>(const ViewChangeRef&) const = default;
};

/// m9. Certified with the ordering counter of the primary of `view` over new_view_digest(), called
/// nvd. The view's chain begins with the headers up to `slot`; the entries of `nullset` are no-ops.
struct NewView {
    View view{};
    Slot slot{};  ///< N
    Digest hd;
    std::vector<EntryRef> nullset;            ///< sorted, unique, no slot beyond N
    std::vector<ViewChangeRef> view_changes;  ///< sorted by member, one each
    Ui ui;
};

/// m10. Signed over accept_digest(): "I found NEW-VIEW nvd, certified at `cv`, valid."
struct NewViewAccept {
    GroupId group{};
    Position position{};
    View view{};
    Digest nvd;
    /// Of the NEW-VIEW: it fixes which counter each later PREPARE has. A primary may certify one
    /// content twice; only the first one is accepted.
    Counter cv{};
    Bytes signature;
};

/// m11: NEW-VIEW and f+1 NV-ACCEPTs of one group.
struct ViewCert {
    NewView new_view;
    GroupId group{};
    std::vector<PositionSignature> signers;
};
using ViewCertPtr = std::shared_ptr<const ViewCert>;

/// What a COMMIT accepted; all zero before the first one.
struct LastCommit {
    View view{};
    Slot to{};
    Digest hd;
    Digest nvd;

    bool operator==(const LastCommit&) const = default;
    /// By (view, to): the order in which a correct replica's COMMITs stand.
    [[nodiscard]] bool before(const LastCommit& o) const {
        return view < o.view || (view == o.view && to < o.to);
    }
    [[nodiscard]] bool none() const { return *this == LastCommit{}; }
};

/// A certified message of a vote counter, as a VIEW-CHANGE's log shows it: enough to check the
/// certificate and to know what it says.
struct VoteEntry {
    bool view_change = false;
    View target{};    ///< VIEW-CHANGE: the view that it is for
    LastCommit last;  ///< COMMIT: what it accepts; VIEW-CHANGE: its `last`
    Digest rest;      ///< VIEW-CHANGE: digest of everything else in it
    Ui ui;
};

/// m8. Certified with the vote counter over view_change_digest().
struct ViewChange {
    GroupId group{};
    Position position{};
    View view{};      ///< v'
    LastCommit last;  ///< the last COMMIT certified
    /// Proof of `last`: the prepare certificate of its slot, and of its view. Empty in view (0,0).
    Prepare proof;
    bool from_new_view = false;
    ViewCertPtr view_cert;
    std::optional<StableCert> stable;  ///< the newest one; nullopt: h = 0
    /// f+1 members processed this counter in order up to `base` or further; base 0 needs none.
    Counter base{};
    std::vector<Vouch> vouches;
    std::vector<VoteEntry> log;   ///< every message certified from `base` on
    std::vector<VoidCert> voids;  ///< of the holes in it, by counter
    Ui ui;
    BarrierCertPtr barrier{};  ///< of the newest configuration (CF5); null: the first one

    [[nodiscard]] Slot stable_slot() const { return stable ? stable->slot : Slot(0); }
};
using ViewChangePtr = std::shared_ptr<const ViewChange>;

/// The answer: what is filled is as the stream's kind says. PREPAREs carry headers.
struct Certificates {
    StreamId stream;
    std::vector<Prepare> prepares;
    std::vector<NewView> new_views;
    std::vector<VoidCert> voids;
    std::vector<Commit> commits;
    std::vector<ViewChangePtr> view_changes;
};

/// EQUIV-PROOF (section 3.15): two digests that the counter of `stream` certified with one value.
/// No trusted counter does that, so this one was cloned, rolled back or forged. Proves itself.
struct EquivocationProof {
    StreamId stream;
    Counter cv{};
    Digest first;  ///< less than `second`: one proof of two certificates, not two
    Ui first_ui;
    Digest second;
    Ui second_ui;
};

/// m18.
struct Resign {
    PrimaryId primary{};
    View view{};
    Bytes signature;
};

/// m17 FETCH-HDR: headers down from `to`, whose digest is `hd`, to `from`.
struct FetchHeaders {
    Slot from{};
    Slot to{};
    Digest hd;
};
/// Consecutive, by slot; the last one has the digest that was asked for.
struct Headers {
    std::vector<HeaderPtr> headers;
};
/// m17 FETCH-NV: the ViewCert of this NEW-VIEW, of the asker's group.
struct FetchViewCert {
    Digest nvd;
};
/// m17 FETCH-VC.
struct FetchViewChanges {
    std::vector<ViewChangeRef> wanted;
};
/// Answer to FETCH-VC, and what goes with a NEW-VIEW.
struct ViewChanges {
    std::vector<ViewChangePtr> messages;
};

/// m17 FETCH-BODY.
struct FetchBodies {
    std::vector<Digest> rds;
    std::vector<Slot> slots = {};  ///< where each is ordered, as far as it is known: none, or all
};
struct Bodies {
    std::vector<Body> bodies;
};

struct PartitionSeq {
    PartitionId partition{};
    Seq seq{};

    auto operator<=>(const PartitionSeq&) const = default;
};

enum class ItemKind : std::uint8_t {
    transaction = 1,
    nop = 2,         ///< nullified or duplicate: moves the sequence numbers, does nothing
    checkpoint = 3,  ///< the implicit entry of a checkpoint slot: touches every partition (D3)
    config = 4,      ///< a kept CONFIG entry: the next configuration (V12)
};

/// What f+1 replicas of the owner group must say equally before a voter acts.
struct DbItem {
    std::uint32_t index = 0;  ///< in the slot
    ItemKind kind = ItemKind::transaction;
    RequestId rid;
    Digest rd;
    UnixMillis ts_ms = 0;
    std::uint64_t seed = 0;
    std::vector<PartitionSeq> seqs;  ///< by partition

    bool operator==(const DbItem&) const = default;
};

/// What follows from the slots up to `slot`, for the group that it belongs to: the content of its
/// checkpoint there (CK1, state_digest()).
struct DerivedState {
    Slot slot{};
    Digest hd;
    UnixMillis ts_ms = 0;
    Digest null_digest;
    std::map<PartitionId, Seq> next_seq;
    std::map<std::pair<PartitionId, ClientId>, ClientWindow> windows;
    /// Delivered transactions whose clients may still ask for the answer, by slot: a restart asks
    /// the voters' execution tables for them again (R1).
    std::vector<std::pair<Slot, DbItem>> unfinished;
    Digest config{};  ///< of the configuration after the slot; zero: the first one
};

/// m17 FETCH-STATE (ST2): part `part` of the newest state that the asked replica's restart would
/// begin with, if it lies beyond `beyond`. `slot`: of the state that other parts came from; 0: any.
/// To another group: its state at the barrier `slot`, for the windows of what it gave away (CF8).
struct FetchState {
    Slot beyond{};
    Slot slot{};
    std::uint32_t part = 0;
};
/// The answer. f+1 members signed what the parts are together. Windows and unfinished items are
/// spread over the parts; everything else is in each.
struct StatePart {
    StableCert cert;
    std::uint32_t part = 0;
    std::uint32_t parts = 1;
    DerivedState state;          ///< slot, hd and ts_ms are the certificate's
    std::vector<Vouch> vouches;  ///< the newest of each member that the sender has, in part 0
    BarrierCertPtr barrier{};    ///< of the configuration after the slot; null: the first one
};
using StatePartPtr = std::shared_ptr<const StatePart>;

/// m19, answer to a FETCH-CERT that begins below the asked log's line: the next counter value of
/// the stream that it holds. A hint: who believes it acts on f+1 vouches and CHECKPOINTs only.
struct Gone {
    StreamId stream;
    Counter line{};
};

/// m12 COMMIT-DB. `bodies` holds the requests of some of the items' rds.
struct CommitDb {
    GroupId group{};
    Position position{};
    Slot slot{};
    ConfigVersion config{};
    std::vector<DbItem> items;
    std::vector<Body> bodies;
};

/// How a transaction ended, the same on every correct database.
enum class Outcome : std::uint8_t {
    ok = 1,
    aborted = 2,    ///< by rule; `code` says which
    duplicate = 3,  ///< the rid had been executed before; no effect
};

struct ItemResult {
    std::uint32_t index = 0;
    RequestId rid;
    Outcome outcome = Outcome::ok;
    std::uint32_t code = 0;  ///< database/abort_code.hpp; 0 when ok
    Digest rdig;             ///< digest of the result, see result_digest()
    Bytes result;            ///< catalog's encoding of rows; empty where only the digest travels
    bool has_result = false;

    /// Equality of what counts: not of whether the payload came along.
    [[nodiscard]] bool same_answer(const ItemResult& o) const {
        return index == o.index && rid == o.rid && outcome == o.outcome && code == o.code &&
               rdig == o.rdig;
    }
};

/// m13 REPLY-COMMIT-DB.
struct DbReply {
    VoterId voter{};
    GroupId group{};
    Slot slot{};
    std::vector<ItemResult> items;
};

/// V10, and every T_status: where this database stands.
struct VoterStatus {
    VoterId voter{};
    std::vector<PartitionSeq> next;  ///< next sequence number to execute, by partition
    Slot checkpoint{};               ///< the newest checkpoint item executed in this incarnation
};

/// m17 FETCH-DBITEM (V9): owners of the entries that hold (partition, from .. to) send them again.
struct FetchDbItems {
    VoterId voter{};
    PartitionId partition{};
    Seq from{};
    Seq to{};
};

/// A host's signature over a bundle of its answers and refusals (signed_bytes.hpp), and the place
/// of one of them in the bundle.
struct ReplySignature {
    std::uint32_t bundle_index = 0;
    std::uint32_t bundle_count = 1;
    std::vector<Digest> bundle_path;
    Bytes signature;

    bool operator==(const ReplySignature&) const = default;
};

/// m15 REPLY.
struct Reply {
    GroupId group{};
    Position position{};
    Slot slot{};
    ItemResult answer;
    View view_hint{};
    ConfigVersion config{};

    // What a receipt binds besides. On the wire only with the signature.
    Digest rd;
    UnixMillis ts_ms = 0;
    std::optional<ReplySignature> signature;
    bool receipt = false;  ///< to be signed before it leaves; never on the wire
};

/// Several unsigned REPLYs of one replica to one client, in one frame. An exchange makes it from
/// those that leave together; engines know single ones only.
struct Replies {
    std::vector<Reply> replies;
};

/// Why a request was not taken; not part of the agreement. A client believes f+1 of one group.
struct Rejected {
    enum class Reason : std::uint8_t {
        malformed = 1,
        unknown_partition = 2,
        unknown_procedure = 3,
        bad_arguments = 4,
        wrong_partitions = 5,
        bad_signature = 6,
        over_quota = 7,    ///< try again later
        stale = 8,         ///< cseq below the window, its answer is gone
        not_a_client = 9,  ///< gone from the configuration, or its key is not the one in force
    };
    RequestId rid;
    Reason reason = Reason::malformed;
    std::string text;  ///< one sentence; hostile on the client's side, bounded by wire/
};

// --- database checkpoints and transfer, between voters (protocol.md 3.14)
// ------------------------------------------------

/// m14. Signed over db_checkpoint_digest(): "after everything up to `slot`, my database had this
/// root."
struct DbCheckpoint {
    VoterId voter{};
    Slot slot{};
    Digest root;
    Bytes signature;
};

/// Asks the voters to scan at this checkpoint slot, which is still to come.
struct DbCut {
    VoterId voter{};
    Slot slot{};
    bool hold = false;  ///< and to keep the snapshot: the sender is going to read it
};

/// The rows of one partition in one table, in chunks.
struct DbLeaf {
    std::string table;
    PartitionId partition{};  ///< 0: the table has no partition column
    std::uint64_t rows = 0;
    std::vector<Digest> chunks;

    bool operator==(const DbLeaf&) const = default;
};
using DbLeavesPtr = std::shared_ptr<const std::vector<DbLeaf>>;

struct FetchDbLeaves {
    VoterId voter{};
    Slot slot{};
};
/// What the root at `slot` is made of; database_root() proves it.
struct DbLeaves {
    VoterId voter{};
    Slot slot{};
    DbLeavesPtr leaves;
};
struct FetchDbChunk {
    VoterId voter{};
    Slot slot{};
    std::uint32_t leaf = 0;
    std::uint32_t chunk = 0;
};
/// `rows`: the canonical encoding (database/row_codec.hpp); its leaf proves it.
struct DbChunk {
    VoterId voter{};
    Slot slot{};
    std::uint32_t leaf = 0;
    std::uint32_t chunk = 0;
    Bytes rows;
};
/// The answer to a fetch of a cut that is not (or no longer) held.
struct DbGone {
    VoterId voter{};
    Slot slot{};
};

/// m17 FETCH-CFG: the barrier of the first configuration after `version`, answered with it.
struct FetchConfig {
    ConfigVersion version{};
    /// In what a member tells a client, that it knows no later one: the highest feature level that
    /// its program knows. 0: it does not say.
    std::uint64_t features{};
};

using Payload =
    std::variant<Body, Prepare, Commit, Status, FetchCertificates, Certificates, FetchBodies,
                 Bodies, CommitDb, DbReply, VoterStatus, FetchDbItems, Reply, Rejected, Checkpoint,
                 Vouch, RequestViewChange, TriggerCertificate, ViewChangePtr, NewView,
                 NewViewAccept, ViewCertPtr, Resign, FetchHeaders, Headers, FetchViewCert,
                 FetchViewChanges, ViewChanges, VoidRequest, VoidPromise, VoidCert, DbCheckpoint,
                 DbCut, FetchDbLeaves, DbLeaves, FetchDbChunk, DbChunk, DbGone, Gone, FetchState,
                 StatePartPtr, EquivocationProof, Replies, FetchConfig, BarrierCertPtr>;

struct Message {
    Endpoint from;
    Endpoint to;
    Payload payload;
};

/// The newest view of which the payload holds what its primary said; View(0): of none but the
/// first.
[[nodiscard]] View newest_view(const Payload& payload);

}  // namespace bft::consensus

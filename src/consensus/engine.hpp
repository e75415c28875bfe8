// What every engine shares: it is single-threaded, does no I/O and never reads a clock. A host
// feeds it Verified messages, sealed certificates and time, and performs its Output.
#pragma once

#include "base/time.hpp"
#include "consensus/client_window.hpp"
#include "consensus/messages.hpp"
#include "consensus/quirks.hpp"
#include "consensus/verify.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace bft::consensus {

/// Time as the host sees it at the moment of a call.
struct Now {
    TimePoint mono;
    UnixMillis wall_ms = 0;  ///< for a slot's ts at the primary, and its check (T6e); 0: unknown
};

// --- the durable log
// -------------------------------------------------------------------------------

/// A body that came after its slot.
struct BodyRecord {
    Body body;
};
/// The bodies of own entries (a primary: of all) that were here when the slot joined the chain:
/// one record for all of them. `hd` is its header's, of which different views may have different
/// ones.
struct SlotBodiesRecord {
    Slot slot{};
    Digest hd;
    std::vector<Body> bodies;
};
/// A certified PREPARE with its header: mine, or one that I accepted.
struct PrepareRecord {
    Prepare prepare;
};
/// Written before the TPM is asked: what the counter's next value will stand for (T1).
struct PrepareIntent {
    View view{};
    HeaderPtr header;
};
struct CommitIntent {
    Commit commit;  ///< without ui
};
/// A certified COMMIT: mine, or a peer's (which others may fetch from me).
struct CommitRecord {
    Commit commit;
};
/// Every own entry up to `slot` has been answered by every voter: no need to send it again.
struct ExecutedRecord {
    Slot slot{};
};

/// A certified NEW-VIEW: mine, or one whose counter I processed. FETCH-CERT serves it by counter.
struct NewViewRecord {
    NewView new_view;
    UnixMillis ts_ms = 0;  ///< of the header at its slot; known where it is mine
};
/// The newest of PrepareIntent and NewViewIntent (CommitIntent and ViewChangeIntent) replaces the
/// other: one draft is outstanding per counter.
struct NewViewIntent {
    NewView new_view;  ///< without ui
    UnixMillis ts_ms = 0;
};
/// A certified VIEW-CHANGE: mine, a peer's, or one that a NEW-VIEW names. FETCH-CERT serves it by
/// counter, FETCH-VC by member and counter.
struct ViewChangeRecord {
    ViewChangePtr change;
};
struct ViewChangeIntent {
    ViewChangePtr change;  ///< without ui
};
/// A header that came without a PREPARE. FETCH-HDR serves it, and those of PrepareRecords, by
/// digest.
struct HeaderRecord {
    HeaderPtr header;
};
/// FETCH-NV serves it by nvd.
struct ViewCertRecord {
    ViewCertPtr cert;
};
/// Where a replica stands between views (R16); the newest one counts.
struct ViewRecord {
    View view{};
    /// NV-ACCEPTed in `view`, zero when none: never two in one view, whatever happens.
    Digest accepted;
    Counter accepted_cv{};
    ViewCertPtr chain;  ///< of the view whose chain we follow; null in view (0,0)
    /// What brought us into `view`; nullopt when a NEW-VIEW or ViewCert did. Whoever left a view
    /// must be able to say why after a restart: perhaps nobody else has heard of it.
    std::optional<TriggerCertificate> trigger;
};
/// The vouches that let a replica's own log begin at `base` (CK4); the newest one counts.
struct VouchRecord {
    Counter base{};
    std::vector<Vouch> vouches;
};
/// The newest stable checkpoint; the newest one counts.
struct StableRecord {
    StableCert cert;
};
/// What was processed of one vote counter.
struct VoteTrack {
    Counter processed{};
    View promised{};
    LastCommit last;
};
/// What was processed of one ordering counter.
struct OrderingTrack {
    Counter processed{};
    bool leading = false;  ///< a NEW-VIEW was processed, or view (0,0) is this primary's
    View view{};           ///< of the last NEW-VIEW
    Counter base{};        ///< its counter, U
    Slot base_slot{};      ///< N
    Slot tip{};
    Digest tip_digest;
};
/// Everything derived from the slots up to `slot`, which is executed and stable: a restart begins
/// here. The newest one counts.
struct SnapshotRecord : DerivedState {
    /// At the moment of writing: later certified messages follow these in the log.
    std::vector<VoteTrack> votes;
    std::vector<OrderingTrack> ordering;
    /// Of this slot: who has it may give the state to others (ST2).
    std::optional<StableCert> cert;
};
using SnapshotPtr = std::shared_ptr<const SnapshotRecord>;

/// Where a primary stands in its view after the PREPARE at `cv`: its recovery needs nothing before,
/// so the log is bounded in a view without end. The newest one counts.
struct StandingRecord {
    View view{};
    Counter base{};    ///< U, of the view's NEW-VIEW
    Slot base_slot{};  ///< N
    Counter cv{};
    Slot slot{};
    Digest hd;
    UnixMillis ts_ms = 0;
};

/// A promise that I gave (T1v): the value is never processed, whatever comes.
struct VoidPromiseRecord {
    StreamId stream;
    Counter cv{};
};
/// FETCH-CERT serves it in the place of the message that does not exist.
struct VoidRecord {
    VoidCert cert;
};

/// EQUIV-PROOF. One per counter is kept, for ever: it outlives restarts and is told again.
struct EquivocationRecord {
    EquivocationProof proof;
};
/// f+1 members of another group certified a checkpoint whose header is not the one delivered here:
/// the order stream has forked, and this replica stays halted.
struct ForkRecord {
    StableCert other;
};

/// A configuration is in force: durable before anything rests on it.
struct BarrierRecord {
    BarrierCertPtr barrier;
};
/// The state of a group at a barrier that gave partitions of it to others (CF8): of the own group,
/// durable before the CHECKPOINT there is sent, or fetched, durable before what follows from it.
struct HandoverRecord {
    GroupId group{};
    std::shared_ptr<const DerivedState> state;
};

using LogRecord =
    std::variant<BodyRecord, PrepareRecord, PrepareIntent, CommitIntent, CommitRecord,
                 ExecutedRecord, NewViewRecord, NewViewIntent, ViewChangeRecord, ViewChangeIntent,
                 HeaderRecord, ViewCertRecord, ViewRecord, VouchRecord, StableRecord, SnapshotPtr,
                 VoidPromiseRecord, VoidRecord, StandingRecord, EquivocationRecord, ForkRecord,
                 SlotBodiesRecord, BarrierRecord, HandoverRecord>;

struct Persist {
    LogRecord record;
    /// false: written with the next durable one at the latest, and never after a later one. So a
    /// durable record makes all before it durable, too; losing a last one that is not costs a
    /// fetch.
    bool durable = true;
};

// --- output
// ----------------------------------------------------------------------------------------

/// A message for the trusted counter: its certificate comes back through sealed(). At most one is
/// outstanding per engine.
struct Draft {
    Digest digest;
};

struct Send {
    std::vector<Endpoint> to;
    Payload payload;
};

/// An entry of the own group, decided.
struct DeliveredEntry {
    DbItem item;
    Body body;  ///< null for a NOP without body
};
/// One slot, decided: gap-free, in order, once per incarnation. Slots without own entries come,
/// too.
struct Delivery {
    Slot slot{};
    std::vector<DeliveredEntry> entries;
};

/// Something an operator, a metric or a test wants to know. The engine does not log.
struct Event {
    enum class Kind : std::uint8_t {
        slot_prepared,    ///< primary: slot, count = entries
        slot_appended,    ///< replica: slot accepted into the chain
        committed,        ///< replica: own COMMIT certified up to slot
        group_committed,  ///< replica: f+1 COMMITs up to slot
        sender_dead,   ///< a certified message of `peer` is provably invalid: never processed again
        gap,           ///< waiting for certified messages of `peer`
        body_missing,  ///< an own entry's body is being fetched; count = how many
        duplicate_ordered,  ///< an entry was a duplicate: delivered as NOP
        disagreement,       ///< `peer` said something else than the f+1 that were accepted
        nondeterminism,     ///< all databases answered and no f_D+1 agree: slot, count = index
        order_conflict,     ///< two decided items for one sequence number: a TPM is broken; halted
        equivocation,       ///< `peer` certified two things with counter value `count`
        suspected,          ///< replica: asks for view `count`; text says why
        view_entered,       ///< left the view before: count = the new one
        new_view_sent,      ///< primary: slot = N, count = the view
        new_view_accepted,  ///< replica: NV-ACCEPT for view `count`
        view_active,        ///< replica: has the ViewCert and the chain of view `count`
        nullified,          ///< an own entry was delivered as null: slot, count = index
        checkpoint_stable,  ///< f+1 equal CHECKPOINTs at slot
        hole,               ///< own counter value `count` awaits its unanimous void (T1v)
        voided,             ///< value `count` of `peer` is proven void (T1v)
        halted,             ///< own state contradicts what f+1 others certified: votes no more
        dropped,            ///< a message did not fit a bound or a rule; text says which
        database_stable,    ///< f_D+1 databases had one root at slot
        database_differs,   ///< the database of `peer` had another root at slot; text says where
        quarantined,        ///< own database is not to be trusted: text says why and where
        transferring,       ///< own database is being rebuilt from slot; count = chunks
        transferred,        ///< own database is rebuilt and goes on from slot
        gone,             ///< `peer` no longer has what was asked for; count = where its log begins
        state_wanted,     ///< replica: too far behind, asks for the state beyond slot (ST1)
        state_adopted,    ///< replica: goes on from slot; count = what it had delivered (ST2)
        counter_adopted,  ///< replica: follows `peer` from count on, on f+1 vouches (ST3)
        config_ordered,   ///< replica: a CONFIG entry is the chain's tip: waits for its barrier
        config_in_force,  ///< the barrier at slot is passed: count = the version
        partitions_taken,  ///< replica: has the windows of count partitions that are ours now
        skipped,           ///< an own entry of who may not speak at its slot was delivered as NOP
    };
    Kind kind{};
    Endpoint peer{};
    Slot slot{};
    std::uint64_t count = 0;
    std::string text;
};

const char* to_string(Event::Kind kind);

/// The host performs the fields top to bottom: what is persisted is durable before anything below
/// it becomes visible, and outputs are performed in the order in which they were taken.
struct Output {
    std::vector<Persist> persist;
    /// T1v: this value of the own counter is proven void; the USIG service may go on after it.
    /// Comes before any Draft.
    std::optional<Counter> voided;
    std::optional<Draft> seal;
    std::vector<Send> send;
    std::vector<Delivery> deliver;
    /// Each transaction's full answer, once, when f_D+1 databases agree; for observers, and only if
    /// they asked for it (ExecutorOptions::observed).
    std::vector<Reply> answered;
    std::vector<Event> events;

    [[nodiscard]] bool empty() const {
        return persist.empty() && !voided && !seal && send.empty() && deliver.empty() &&
               answered.empty() && events.empty();
    }
};

/// Signs with the host's identity key. Ed25519 is deterministic, so an engine that signs stays a
/// function of its inputs.
class Signer {
public:
    virtual ~Signer() = default;
    [[nodiscard]] virtual Bytes sign(const Digest& digest) = 0;
};

/// What a host drives. Inputs may be given in any order; after each, take_output() and perform it.
class Engine {
public:
    virtual ~Engine() = default;
    virtual void receive(const Verified& message, Now now) = 0;
    /// The certificate of the outstanding Draft.
    virtual void sealed(Ui ui, Now now) = 0;
    virtual void tick(Now now) = 0;
    /// When tick() is wanted next; nullopt: not before another input.
    [[nodiscard]] virtual std::optional<TimePoint> next_deadline() const = 0;
    [[nodiscard]] virtual Output take_output() = 0;
};

}  // namespace bft::consensus

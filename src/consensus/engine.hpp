// What every engine shares: it is single-threaded, does no I/O and never reads a clock. A host
// feeds it Verified messages, sealed certificates and time, and performs its Output.
#pragma once

#include "base/time.hpp"
#include "consensus/messages.hpp"
#include "consensus/verify.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace bft::consensus {

/// Time as the host sees it at the moment of a call.
struct Now {
    TimePoint mono;
    UnixMillis wall_ms = 0;  ///< used by the primary for a slot's ts only
};

// --- the durable log
// -------------------------------------------------------------------------------

struct BodyRecord {
    Body body;
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

using LogRecord = std::variant<BodyRecord, PrepareRecord, PrepareIntent, CommitIntent, CommitRecord,
                               ExecutedRecord>;

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
        dropped,            ///< a message did not fit a bound or a rule; text says which
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
    std::optional<Draft> seal;
    std::vector<Send> send;
    std::vector<Delivery> deliver;
    /// Each transaction's full answer, once, when f_D+1 databases agree; for observers, and only if
    /// they asked for it (ExecutorOptions::observed).
    std::vector<Reply> answered;
    std::vector<Event> events;

    [[nodiscard]] bool empty() const {
        return persist.empty() && !seal && send.empty() && deliver.empty() && answered.empty() &&
               events.empty();
    }
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

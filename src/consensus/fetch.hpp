// Answers to FETCH-* (R14): straight from the durable log, so that an engine need
// not remember what it has processed. Everything in an answer is self-certifying.
#pragma once

#include "consensus/engine.hpp"

#include <optional>

namespace bft::consensus {

/// What a node has logged. The host reads its store; the simulator its simulated disk.
class LogReader {
public:
    virtual ~LogReader() = default;
    /// The PREPARE (with header) that `primary` certified at `cv`.
    [[nodiscard]] virtual std::optional<Prepare> prepare(PrimaryId primary, Counter cv) const = 0;
    /// The COMMIT that (group, position) certified at `cv`; mine or a peer's.
    [[nodiscard]] virtual std::optional<Commit> vote(GroupId group, Position position,
                                                     Counter cv) const = 0;
    /// The NEW-VIEW that `primary` certified at `cv`.
    [[nodiscard]] virtual std::optional<NewView> new_view(PrimaryId primary, Counter cv) const = 0;
    /// The VIEW-CHANGE that (group, position) certified at `cv`; mine or another's. Null when
    /// unknown, as below.
    [[nodiscard]] virtual ViewChangePtr view_change(GroupId group, Position position,
                                                    Counter cv) const = 0;
    [[nodiscard]] virtual HeaderPtr header(const Digest& hd) const = 0;
    [[nodiscard]] virtual ViewCertPtr view_cert(const Digest& nvd) const = 0;
    /// The proof that `cv` of `stream` is void (T1v).
    [[nodiscard]] virtual std::optional<VoidCert> void_cert(const StreamId& stream,
                                                            Counter cv) const = 0;
    /// One that came after its slot.
    [[nodiscard]] virtual Body body(const Digest& rd) const = 0;
    /// Those that were logged with a slot; of several headers if views had different ones there.
    [[nodiscard]] virtual std::vector<Body> bodies_of(Slot) const { return {}; }
    /// The lowest counter value from `from` on at which the stream has a message here.
    [[nodiscard]] virtual std::optional<Counter> next_from(const StreamId& stream,
                                                           Counter from) const = 0;
    /// Did a configuration whose barrier is logged here give `partition` to `group`?
    [[nodiscard]] virtual bool once_owned(GroupId group, PartitionId partition) const {
        (void)group, (void)partition;
        return false;
    }
};

struct FetchBounds {
    std::uint32_t messages = 128;           ///< certificates or bodies in one answer
    std::uint32_t bytes = 4 * 1024 * 1024;  ///< of bodies and headers, roughly
    std::uint32_t slots = 8;                ///< that are read for bodies
};

/// The answer to `fetch`, addressed to its sender; nullopt when it is no fetch or nothing is known.
/// An ordering or vote answer begins at fetch.from and has no gap: a receiver needs them in order.
/// Bodies are for their owner group, voters and primaries: what a request says is nobody else's.
/// Where the log begins later, or has a gap there, it says GONE.
[[nodiscard]] std::optional<Send> answer_fetch(const Membership& membership, const LogReader& log,
                                               const Verified& fetch, FetchBounds bounds = {});

}  // namespace bft::consensus

// The trusted counters of this host as its roles see them (protocol.md section 1.4).
#pragma once

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "consensus/messages.hpp"

#include <functional>
#include <optional>

namespace bft::usig {

/// A digest and the certificate that one counter value was spent on it.
struct Certified {
    Digest digest;
    consensus::Ui ui;

    bool operator==(const Certified&) const = default;
};

/// Where a counter stands (T0-T2, T1v).
struct Standing {
    std::optional<Certified> last;  ///< nullopt where nothing was certified yet
    /// This value after `last` was spent, and its certificate is lost for good: nothing can be
    /// created before every processor has promised never to count it (forsake()).
    std::optional<Counter> hole;

    bool operator==(const Standing&) const = default;
};

/// Asynchronous; callbacks run on the io_context of the implementation, each exactly once, and
/// never from inside the call that takes them.
class Certifier {
public:
    using CreateCallback = std::function<void(Result<consensus::Ui>)>;
    using StandingCallback = std::function<void(Result<Standing>)>;

    virtual ~Certifier() = default;

    /// Spends the next value of `identity` on `digest`. After Errc::unavailable the value may or
    /// may not have been spent: ask last() before anything else, as at start-up (T0, T1, T1v).
    /// Errc::refused: this counter certifies nothing any more, and the sentence says why (T1v, T2).
    /// Errc::exhausted: the bounded queue is full and nothing was spent.
    virtual void create(UsigId identity, const Digest& digest, CreateCallback done) = 0;

    /// The last certificate of `identity` (TC4), and whether a hole follows it. Errc::refused where
    /// the counter and the journal disagree (T2).
    virtual void last(UsigId identity, StandingCallback done) = 0;

    /// Goes on after the hole at `cv`, which is proven void (T1v). Errc::refused where there is
    /// none.
    virtual void forsake(UsigId identity, Counter cv, StandingCallback done) = 0;
};

}  // namespace bft::usig

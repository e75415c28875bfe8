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

/// Asynchronous; callbacks run on the io_context of the implementation, each exactly once, and
/// never from inside the call that takes them.
class Certifier {
public:
    using CreateCallback = std::function<void(Result<consensus::Ui>)>;
    using LastCallback = std::function<void(Result<std::optional<Certified>>)>;

    virtual ~Certifier() = default;

    /// Spends the next value of `identity` on `digest`. After Errc::unavailable the value may or
    /// may not have been spent: ask last() before anything else, as at start-up (T0, T1).
    /// Errc::refused: this counter certifies nothing any more, and the sentence says why (T1v, T2).
    /// Errc::exhausted: the bounded queue is full and nothing was spent.
    virtual void create(UsigId identity, const Digest& digest, CreateCallback done) = 0;

    /// The last certificate of `identity`, nullopt where it has none yet (TC4). Errc::refused where
    /// a value was spent without a certificate, or where the counter and the journal disagree.
    virtual void last(UsigId identity, LastCallback done) = 0;
};

}  // namespace bft::usig

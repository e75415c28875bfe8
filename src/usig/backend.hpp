// What the service drives: the counters of one host, synchronous, owned by one thread.
#pragma once

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "consensus/messages.hpp"
#include "usig/public_identity.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace bft::usig {

/// How far a certificate that is being made has come, in the backend's own encoding: written to the
/// journal without a sync, so that it outlives the process but not the machine.
using Progress = std::function<Result<void>(ByteView note)>;

class Backend {
public:
    virtual ~Backend() = default;

    /// The counter's current value minus the pinned first value: cv of the last value spent.
    virtual Result<Counter> value(UsigId identity) = 0;

    /// Spends the next value on `digest`. On failure the value may have been spent: compare
    /// value(), then resume().
    virtual Result<consensus::Ui> create(UsigId identity, const Digest& digest,
                                         const Progress& progress) = 0;

    /// Finishes the certificate of a value that was spent on `digest` and not certified, from the
    /// last note of its create(). Errc::refused: that is not possible any more (a hole).
    virtual Result<consensus::Ui> resume(UsigId identity, const Digest& digest, Counter cv,
                                         ByteView note) = 0;

    virtual const PublicIdentity& identity(UsigId identity) const = 0;
    virtual std::vector<UsigId> identities() const = 0;
};

}  // namespace bft::usig

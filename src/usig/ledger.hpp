// The order in which disk and counter move, and what may be said after a crash: intent on disk,
// then the counter, then the certificate on disk, then the answer (protocol.md sections 1.4
// and 3.15). Synchronous; owned by the thread that owns the backend.
#pragma once

#include "base/log.hpp"
#include "base/result.hpp"
#include "usig/backend.hpp"
#include "usig/certifier.hpp"
#include "usig/journal.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace bft::usig {

class Ledger {
public:
    /// Compares every counter with the journal and finishes what a killed process left unfinished.
    /// Errc::refused: a counter stands below the journal, so the TPM was rolled back (T6) and none
    /// of it may be used. A hole (T1v) or a forgotten value (T2) stops only its own identity.
    static Result<std::unique_ptr<Ledger>> open(Backend& backend, Journal& journal);

    /// Why `identity` certifies nothing, if so.
    [[nodiscard]] std::optional<Error> trouble(UsigId identity) const;
    [[nodiscard]] Result<std::optional<Certified>> last(UsigId identity) const;
    /// The same, where a hole is an answer and no failure.
    [[nodiscard]] Result<Standing> standing(UsigId identity) const;
    /// The hole at `cv` is proven void (T1v): the identity goes on. Again for the same value: no
    /// effect. Durable after sync().
    Result<Standing> forsake(UsigId identity, Counter cv);

    /// Records what the next value of `identity` is for; sync() before create().
    Result<void> intend(UsigId identity, const Digest& digest);
    /// Everything that was recorded is durable.
    Result<void> sync();
    /// Spends the value that intend() announced. The certificate may be handed out after sync().
    /// A failure with trouble() unset had no effect on the counter. fatal() says whether the
    /// backend or the journal can still be used.
    Result<consensus::Ui> create(UsigId identity);

    /// Set once the TPM or the journal failed for good: nothing may be created any more.
    [[nodiscard]] const std::optional<Error>& fatal() const { return fatal_; }

private:
    struct Entry {
        std::string key;  ///< of the journal: the identity's epoch
        std::optional<Certified> last;
        std::optional<Digest> intent;
        std::optional<Error> trouble;
        std::optional<Counter> hole;  ///< then trouble is set, too
        Counter forsaken{};           ///< the newest hole that was proven void

        [[nodiscard]] Counter spent() const {
            return last ? std::max(last->ui.cv, forsaken) : forsaken;
        }
    };

    Ledger(Backend& backend, Journal& journal) : backend_(backend), journal_(journal) {}
    Result<void> load(UsigId identity);
    void note_hole(UsigId identity, Entry& entry, const Digest& digest, Counter value,
                   const std::string& why);
    Result<void> compare(UsigId identity, Entry& entry, Counter value);
    Result<void> finish(UsigId identity, Entry& entry, const Digest& digest, Counter value);
    Result<consensus::Ui> recover(UsigId identity, Entry& entry, const Error& problem);
    Result<consensus::Ui> resume(UsigId identity, Entry& entry, const Digest& digest,
                                 Counter value);
    Result<void> keep(Entry& entry, const Digest& digest, const consensus::Ui& ui);
    Result<void> put(const std::string& key, ByteView value);

    Backend& backend_;
    Journal& journal_;
    std::map<UsigId, Entry> entries_;
    std::optional<Error> fatal_;
    log::RateLimit complaints_{1};  ///< about a full disk
};

}  // namespace bft::usig

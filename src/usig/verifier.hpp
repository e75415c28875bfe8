// Verification in plain software: no TPM, no I/O, safe to call from several threads at once.
#pragma once

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "consensus/messages.hpp"
#include "usig/public_identity.hpp"

#include <map>
#include <memory>
#include <shared_mutex>
#include <utility>
#include <vector>

namespace bft::usig {

/// Whether the insecure stand-in counts. The daemon says yes with --insecure-software-usig only.
enum class AllowSoftware : bool { no = false, yes = true };

/// One identity with its key parsed and its names hashed.
class PreparedIdentity {
public:
    /// Refuses what PublicIdentity::check() refuses, and the software scheme unless allowed.
    static Result<PreparedIdentity> prepare(const PublicIdentity& identity,
                                            AllowSoftware software = AllowSoftware::no);
    PreparedIdentity(PreparedIdentity&&) noexcept;
    PreparedIdentity& operator=(PreparedIdentity&&) noexcept;
    ~PreparedIdentity();

    /// Was value ui.cv of this counter spent on `digest`, and are the ui.voids values before it
    /// void?
    [[nodiscard]] bool verify(const consensus::Ui& ui, const Digest& digest) const;

private:
    struct State;
    explicit PreparedIdentity(std::unique_ptr<const State> state);
    std::unique_ptr<const State> state_;
};

/// The identities of a cluster, by UsigId. Safe to call from several threads at once.
class Verifier {
public:
    /// Fails, naming the first bad one, when an identity cannot be prepared or when two are the
    /// same counter: one counter's certificates must never count for two identities.
    static Result<Verifier> make(const std::vector<PublicIdentity>& identities,
                                 AllowSoftware software = AllowSoftware::no);

    /// A member that came later. Errc::malformed or Errc::refused as above, or where the id is
    /// taken by another identity; nothing has changed then.
    Result<void> add(UsigId id, const PublicIdentity& identity);

    /// False for an unknown identity, too.
    [[nodiscard]] bool verify(UsigId identity, const consensus::Ui& ui, const Digest& digest) const;

private:
    struct Known {
        std::map<UsigId, PreparedIdentity> prepared;
        std::map<std::pair<Bytes, Bytes>, UsigId> counters;  ///< by key and counter
        std::shared_mutex mutex;
    };
    explicit Verifier(AllowSoftware software)
        : software_(software), known_(std::make_unique<Known>()) {}
    AllowSoftware software_;
    std::unique_ptr<Known> known_;
};

/// For one-off use: prepares `identity` anew at each call.
[[nodiscard]] bool verify(const PublicIdentity& identity, const consensus::Ui& ui,
                          const Digest& digest, AllowSoftware software = AllowSoftware::no);

}  // namespace bft::usig

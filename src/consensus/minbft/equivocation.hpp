// EQUIV-PROOF (protocol.md 3.15): what every trusted counter certified lately, so that a second
// certificate with an old value is seen whoever brings it, and the proofs that were found.
#pragma once

#include "consensus/engine.hpp"
#include "consensus/membership.hpp"
#include "consensus/messages.hpp"
#include "consensus/verify.hpp"

#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace bft::consensus::minbft {

/// What whoever is convinced tells its operator.
[[nodiscard]] Event alarm(const EquivocationProof& proof);

class EquivocationWatch {
public:
    explicit EquivocationWatch(const Membership& membership) : membership_(membership) {}

    /// Looks at every certificate in a message; returns the first contradiction to one that was
    /// seen before.
    [[nodiscard]] std::optional<EquivocationProof> inspect(const Verified& message);
    [[nodiscard]] std::optional<EquivocationProof> saw(const StreamId& stream, const Ui& ui,
                                                       const Digest& digest);

    /// Keeps a verified proof. False: one of this counter is here already.
    bool take(const EquivocationProof& proof);
    [[nodiscard]] bool proven(const StreamId& stream) const { return proofs_.contains(stream); }
    [[nodiscard]] const std::map<StreamId, EquivocationProof>& proofs() const { return proofs_; }

private:
    struct Seen {
        Digest digest;
        Ui ui;
    };
    void inspect_prepare(const Prepare& prepare, const Digest& digest);
    void inspect_commit(const Commit& commit, const CertifiedDigests& digests);
    void inspect_fetched(const Certificates& found);
    void inspect_new_view(const NewView& new_view);
    void inspect_change(const ViewChange& change);
    void note(const StreamId& stream, const Ui& ui, const Digest& digest);
    [[nodiscard]] StreamId ordering(View view) const {
        return StreamId::ordering(membership_.primary_of(view));
    }

    const Membership& membership_;
    std::map<StreamId, std::vector<Seen>> seen_;    ///< by the last bits of the counter's value
    std::map<StreamId, EquivocationProof> proofs_;  ///< at most one of each counter
    std::optional<EquivocationProof> found_;
};

}  // namespace bft::consensus::minbft

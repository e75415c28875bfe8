// The door to the engines: a message becomes Verified here or it never reaches one. Everything in
// this file is a pure function of the message, the membership and public keys, so a worker thread
// may do it (protocol.md 3.7: "well-formed", without the in-order rules, which need state).
#pragma once

#include "base/result.hpp"
#include "consensus/membership.hpp"
#include "consensus/messages.hpp"

namespace bft::consensus {

/// Checks signatures and certificates. Production: crypto/ and usig/; the simulator: a token table.
/// Must be safe to call from several threads at once.
class SignatureChecker {
public:
    virtual ~SignatureChecker() = default;
    /// Did the trusted counter `identity` certify `digest` at ui.cv (with ui.voids proven void)?
    virtual bool certified(UsigId identity, const Ui& ui, const Digest& digest) = 0;
    /// Did the holder of `public_key` sign `digest`?
    virtual bool signed_by(ByteView public_key, const Digest& digest, ByteView signature) = 0;
};

/// Bounds on what a peer's message may hold; beyond them it is dropped.
struct MessageLimits {
    std::uint32_t slot_entries = 2000;  ///< B_max
    std::uint32_t parts_per_request = 64;
    std::uint32_t op_bytes = 256 * 1024;
    std::uint32_t bundle_count = 1024;
    std::uint32_t fetch_count = 512;  ///< certificates or bodies in one fetch or answer
    std::uint32_t result_bytes = 4 * 1024 * 1024;
    std::uint32_t vote_log = 4096;    ///< messages in a VIEW-CHANGE's log
    std::uint32_t nullset = 1 << 18;  ///< entries
    std::uint32_t voids = 16;         ///< unanimous voids in a VIEW-CHANGE's log
    std::uint32_t state_parts = 4096;
    std::uint32_t state_entries = 1 << 14;  ///< windows and items in one part
    std::uint32_t database_leaves = 1 << 16;
    std::uint32_t database_chunks = 1 << 18;  ///< of all leaves; 8 MiB of digests
    std::uint32_t chunk_bytes =
        12 * 1024 * 1024;  ///< a chunk ends after 1 MiB, a row may be longer
};

class Verifier;

/// What the certificates of a PREPARE or COMMIT stand for. To check them takes these digests, so
/// nobody behind the Verifier computes them again.
struct CertifiedDigests {
    Digest message;
    Digest prepare;  ///< of the COMMIT's prepare certificate
};

/// A message that passed the Verifier. Unverified bytes cannot be given to an engine: that does not
/// compile.
class Verified {
public:
    [[nodiscard]] const Message& message() const { return message_; }
    [[nodiscard]] const Endpoint& from() const { return message_.from; }
    [[nodiscard]] const Payload& payload() const { return message_.payload; }
    /// Of a PREPARE or COMMIT; zeros otherwise.
    [[nodiscard]] const CertifiedDigests& digests() const { return digests_; }

private:
    friend class Verifier;
    Verified(Message message, const CertifiedDigests& digests)
        : message_(std::move(message)), digests_(digests) {}
    Message message_;
    CertifiedDigests digests_;
};

class Verifier {
public:
    Verifier(const Membership& membership, SignatureChecker& checker, MessageLimits limits = {})
        : membership_(membership), checker_(checker), limits_(limits) {}

    /// Checks bounds, membership, that the sender may send this, header digests, certificates and
    /// signatures. The caller has already checked that the channel's peer may speak as
    /// message.from.
    [[nodiscard]] Result<Verified> verify(Message message) const;

    [[nodiscard]] const Membership& membership() const { return membership_; }

private:
    [[nodiscard]] Result<void> check_request(const Request& request) const;
    [[nodiscard]] Result<void> check_content(const Request& request) const;
    [[nodiscard]] Result<void> check_origin(const Request& request) const;
    [[nodiscard]] Result<void> check_config_request(const Request& request) const;
    /// Whose counter orders in `view`.
    [[nodiscard]] Result<UsigId> orderer(View view) const;
    [[nodiscard]] Result<Digest> check_prepare(const Prepare& prepare, bool with_header) const;
    [[nodiscard]] Result<CertifiedDigests> check_commit(const Commit& commit) const;
    [[nodiscard]] Result<CertifiedDigests> check(const Message& message) const;
    struct Visitor;

    // verify_views.cpp
    [[nodiscard]] Result<void> check_signature(const Endpoint& signer, const Digest& digest,
                                               ByteView signature) const;
    [[nodiscard]] Result<void> check_checkpoint(const Checkpoint& checkpoint) const;
    [[nodiscard]] Result<void> check_vouch(const Vouch& vouch) const;
    [[nodiscard]] Result<void> check_request_vc(const RequestViewChange& request) const;
    [[nodiscard]] Result<void> check_trigger(const TriggerCertificate& trigger) const;
    [[nodiscard]] Result<void> check_new_view(const NewView& new_view) const;
    [[nodiscard]] Result<void> check_accept(const NewViewAccept& accept) const;
    [[nodiscard]] Result<void> check_signers(GroupId group,
                                             const std::vector<PositionSignature>& signers) const;
    [[nodiscard]] Result<void> check_view_cert(const ViewCert& cert) const;
    [[nodiscard]] Result<void> check_stable(const StableCert& cert) const;
    [[nodiscard]] Result<void> check_barrier(const BarrierCert& barrier) const;
    [[nodiscard]] Result<void> check_state(const StatePart& part) const;
    [[nodiscard]] Result<void> check_view_change(const ViewChange& change) const;
    [[nodiscard]] Result<void> check_configured(const ViewChange& change) const;
    [[nodiscard]] Result<void> check_last(const ViewChange& change) const;
    [[nodiscard]] Result<void> check_void_promise(const VoidPromise& promise) const;
    [[nodiscard]] Result<void> check_void_cert(const VoidCert& cert) const;
    [[nodiscard]] Result<void> check_equivocation(const EquivocationProof& proof) const;
    [[nodiscard]] Result<void> check_vote_log(const ViewChange& change) const;

    const Membership& membership_;
    SignatureChecker& checker_;
    MessageLimits limits_;
};

}  // namespace bft::consensus

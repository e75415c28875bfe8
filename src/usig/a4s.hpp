// Construction A4s, bytes only (docs/adr/0001): the audit log of one certificate, the attestations
// that the verifier rebuilds, and the compact certificate. Used by the prover and the verifier.
//
//   NV_Certify(null key, q = "") -> value n-k; NV_Increment, k times; NV_Certify(null key, q = h)
//   -> value n; GetSessionAuditDigest signed by the attestation key.
//
// A counter reaches each value by exactly one increment. The log shows that this session's k
// increments led from n-k to n, so they are those of n-k+1 .. n; and the one command that follows
// the last of them contains h. Hence one h for n, and none, ever, for the values between.
#pragma once

#include "base/bytes.hpp"

#include <array>
#include <cstdint>
#include <optional>

namespace bft::usig::a4s {

/// clockInfo (17 bytes) and firmwareVersion (8) of an attestation, the fields nobody can predict.
using Stamp = std::array<std::uint8_t, 25>;

constexpr std::size_t certificate_bytes = 150;
/// Checking a certificate costs one hash for each increment: bounded, for provers may be hostile.
constexpr std::uint32_t increments_max = 1024;

struct Certificate {
    std::uint64_t value = 0;       ///< n, as the TPM counts
    std::uint16_t increments = 1;  ///< k
    std::uint8_t exclusive = 0;    ///< the attestation's exclusiveSession flag, as it was signed
    Stamp before{};
    Stamp after{};
    Stamp audit{};
    std::array<std::uint8_t, 32> r{};
    std::array<std::uint8_t, 32> s{};

    [[nodiscard]] Bytes encode() const;
    /// nullopt unless exactly certificate_bytes long.
    static std::optional<Certificate> decode(ByteView bytes);
};

/// TPMS_ATTEST of NV_Certify with the null key over a counter that holds `value`.
Bytes nv_attestation(ByteView counter_name, ByteView qualifying, std::uint64_t value,
                     const Stamp& stamp);
/// TPMS_ATTEST of GetSessionAuditDigest with empty qualifying data.
Bytes audit_attestation(ByteView qualified_signer, const Digest& session, std::uint8_t exclusive,
                        const Stamp& stamp);

/// A session's audit digest, extended as the TPM does: D = H(D . cpHash . rpHash).
class AuditLog {
public:
    /// Names longer than 34 bytes are cut.
    explicit AuditLog(ByteView counter_name);
    void certify(ByteView qualifying, std::uint64_t value, const Stamp& stamp);
    void increment();
    [[nodiscard]] const Digest& digest() const { return digest_; }

private:
    void extend(const Digest& command, const Digest& response);

    Bytes name_;
    Digest increment_command_;
    Digest increment_response_;
    Digest digest_;  ///< 32 zero bytes at the start: auditReset
};

/// The audit digest of a well-formed certificate for `digest`.
Digest session_digest(ByteView counter_name, const Certificate& certificate, const Digest& digest);

/// Recovers the stamp of a final NV_Certify whose answer was lost: everything in it but the clock
/// is as in `before`, and the clock lies between those of `before` and of `audit` (at most ten
/// minutes). `log` ends before that command; `session` is the signed digest after it.
std::optional<Stamp> find_stamp(const AuditLog& log, const Digest& digest, std::uint64_t value,
                                const Stamp& before, const Stamp& audit, const Digest& session);

}  // namespace bft::usig::a4s

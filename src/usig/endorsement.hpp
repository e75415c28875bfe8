// Enrolment of a host's TPM: is the key that the cluster file pins in a TPM that a manufacturer
// vouches for? Credential activation (TPM 2.0 Library, Part 1, 24): a secret is wrapped for an
// endorsement key and the *name* of the attestation key; only a TPM that holds both unwraps it. The
// verifier's half uses no TPM and believes nothing that the host says (docs/adr/0021).
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "usig/connection.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace bft::usig {

enum class EndorsementKind : std::uint8_t { rsa_2048, ecc_p256 };  ///< TCG's templates L-1, L-2

/// An endorsement key, by one of TCG's default templates. The rest of its public area follows.
struct EndorsementKey {
    EndorsementKind kind = EndorsementKind::ecc_p256;
    Bytes point;  ///< RSA: the modulus, 256 bytes, exponent 65537; P-256: x and y, 64 bytes

    bool operator==(const EndorsementKey&) const = default;
    /// SHA-256 of kind and key: what an operator writes down.
    [[nodiscard]] Digest fingerprint() const;
};

// --- the verifier ---

/// Manufacturers' authorities.
class EndorsementAuthorities {
public:
    /// PEM files of roots and of intermediate authorities, each of which is a trust anchor.
    static Result<EndorsementAuthorities> load(const std::vector<std::filesystem::path>& files);

    struct Certified {
        EndorsementKey key;
        std::string subject;  ///< or, where that is empty as TCG allows, the issuer and number
    };
    /// Errc::refused: the certificate (DER) is not of an endorsement key, or no authority vouches
    /// for it.
    [[nodiscard]] Result<Certified> check(ByteView certificate) const;

private:
    std::vector<Bytes> anchors_;  ///< DER
};

struct Challenge {
    Bytes blob;    ///< content of TPM2B_ID_OBJECT
    Bytes secret;  ///< content of TPM2B_ENCRYPTED_SECRET
    Digest answer;
};
/// `key_name`: of the attestation key (PublicIdentity::key_name()), which passed check().
Result<Challenge> make_challenge(const EndorsementKey& key, ByteView key_name);

// --- the host's TPM ---

struct Endorsement {
    EndorsementKey key;
    Bytes certificate;  ///< DER, as the manufacturer left it in the TPM; empty: none
};
/// Makes the endorsement key again from its seed. On a chip an RSA key takes seconds. Prefers the
/// kind that has a certificate.
Result<Endorsement> read_endorsement(Connection& tpm, ByteView endorsement_auth);

/// What the TPM unwraps. Errc::refused: it holds another endorsement or attestation key than the
/// challenge was made for.
Result<Bytes> answer_challenge(Connection& tpm, EndorsementKind kind, ByteView endorsement_auth,
                               std::uint32_t key_handle, ByteView key_auth,
                               const Challenge& challenge);

}  // namespace bft::usig

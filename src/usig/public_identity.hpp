// What the cluster file pins for one trusted counter: everything that verification needs.
#pragma once

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace bft::usig {

enum class Scheme : std::uint8_t {
    tpm2_a4s = 1,  ///< audit-session sandwich over an NV counter of a TPM 2.0 (docs/adr/0001)
    software = 2,  ///< Ed25519 key in this process's memory: for simulation and tests only
};

/// Tag of the scheme in text: "tpm2-a4s", "software".
std::string_view to_string(Scheme scheme);

struct PublicIdentity {
    Scheme scheme = Scheme::tpm2_a4s;
    /// tpm2_a4s: the attestation key's TPMT_PUBLIC (88 bytes). software: an Ed25519 public key
    /// (32).
    Bytes key;
    /// tpm2_a4s: the counter's TPMS_NV_PUBLIC with WRITTEN set (46 bytes). software: a random
    /// 16-byte name, so that two counters of one key differ.
    Bytes counter;
    /// Value of the counter when it was pinned: the certificate at first_value + n has cv = n.
    std::uint64_t first_value = 0;

    bool operator==(const PublicIdentity&) const = default;

    /// TPM name of the attestation key, 34 bytes (000b . digest). For software: of the key bytes.
    [[nodiscard]] Bytes key_name() const;
    /// TPM name of the counter, 34 bytes.
    [[nodiscard]] Bytes counter_name() const;
    /// H(key name, counter name, first value): never reused (TC5).
    [[nodiscard]] Digest epoch() const;
    /// Where the counter lives in its TPM. 0 for software.
    [[nodiscard]] std::uint32_t nv_index() const;

    /// Refuses a key or counter that could be made to lie: an attestation key that is not
    /// restricted, fixedTPM, sensitiveDataOrigin and sign-only over P-256, or an index that is not
    /// a plain non-orderly counter.
    [[nodiscard]] Result<void> check() const;
};

/// One line: "scheme:key:counter:first_value", the middle two in hex, the last in decimal.
std::string encode(const PublicIdentity& identity);
/// Also performs check().
Result<PublicIdentity> decode_public_identity(std::string_view line);

}  // namespace bft::usig

// Making the counters of one host: `bftctl init` runs this once; the daemon never does.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "usig/connection.hpp"
#include "usig/public_identity.hpp"

#include <cstdint>
#include <filesystem>
#include <vector>

namespace bft::usig {

/// What a process must know to use this host's counters. Not secret from the host's administrator:
/// whoever has the TPM can spend counter values, and cannot make two certificates of one.
struct TpmSecrets {
    Digest seed;       ///< random; authorization values of the attestation key and the counters
    Bytes owner_auth;  ///< of the TPM's owner hierarchy; needed for provisioning only
    Bytes endorsement_auth;  ///< of its endorsement hierarchy; empty unless an operator set it

    [[nodiscard]] Digest key_auth() const;
    [[nodiscard]] Digest counter_auth(std::uint32_t nv_index) const;

    /// A new random seed.
    static Result<TpmSecrets> generate();
    /// A text file of mode 0600. Errc::not_found when missing; refuses one that others may read.
    static Result<TpmSecrets> load(const std::filesystem::path& file);
    [[nodiscard]] Result<void> save(const std::filesystem::path& file) const;
};

/// Where the key and the counters live in the TPM.
struct TpmLayout {
    std::uint32_t key_handle = 0x81000b50;   ///< persistent, in the owner's range
    std::uint32_t first_index = 0x01800b50;  ///< the counters take consecutive NV indexes
};

struct ProvisionOptions {
    TpmLayout layout;
    TpmSecrets secrets;
    /// Random or the cluster's name hashed: goes into the key's derivation and into every counter's
    /// name, so that a TPM which serves another cluster is recognized.
    Digest label;
    std::size_t counters = 1;
    /// Removes the key and the counters of an earlier provisioning, which is dead from then on.
    bool replace = false;
};

/// One identity for each counter, in order of the NV indexes. Errc::refused when the TPM is
/// provisioned already and `replace` is not set.
Result<std::vector<PublicIdentity>> provision(Connection& tpm, const ProvisionOptions& options);

/// Removes the key and the counters; for an enrolment that came to nothing.
Result<void> unprovision(Connection& tpm, const ProvisionOptions& options);

/// TPMT_PUBLIC of the persistent key. Errc::not_found when there is none.
Result<Bytes> read_key(Connection& tpm, std::uint32_t handle);
/// TPMS_NV_PUBLIC. Errc::not_found when there is no such index.
Result<Bytes> read_counter(Connection& tpm, std::uint32_t nv_index);
/// The counter's value. Errc::refused when `auth` is not its authorization.
Result<std::uint64_t> read_value(Connection& tpm, std::uint32_t nv_index, const Digest& auth);

}  // namespace bft::usig

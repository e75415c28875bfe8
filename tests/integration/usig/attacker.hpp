// A host's owner who turned: knows every secret of the TPM and sends it whatever it takes.
#pragma once

#include "usig/a4s.hpp"
#include "usig/connection.hpp"
#include "usig/provision.hpp"
#include "usig/verifier.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace bft::usig::test {

/// One audited command, as the TPM performed it.
struct Logged {
    enum class Kind { certify, increment, other } kind = Kind::other;
    std::uint32_t index = 0;
    Bytes qualifying;
    std::uint64_t value = 0;
    a4s::Stamp stamp{};
};
using Log = std::vector<Logged>;

/// A signed audit digest, with the log that the attacker knows to be behind it.
struct Attestation {
    Log log;
    Bytes qualifying;
    a4s::Certificate parts;  ///< audit stamp, exclusive flag, r and s
    Digest session;
};

class Attacker {
public:
    Attacker(const std::string& tcti, const ProvisionOptions& options);

    Connection& tpm() { return *tpm_; }

    /// A new audit session; 0 when the TPM has no room for one.
    std::uint32_t session(TPMI_ALG_HASH hash = TPM2_ALG_SHA256);
    void flush(std::uint32_t handle);
    /// NV_Certify with the null key; false when the TPM refuses. `index` 0: the first counter.
    bool certify(std::uint32_t session, ByteView qualifying, bool reset = false,
                 std::uint32_t index = 0);
    bool increment(std::uint32_t session, bool reset = false, std::uint32_t index = 0);
    /// Outside of any session.
    bool increment_aside(std::uint32_t index = 0);
    std::optional<Attestation> attest(std::uint32_t session, ByteView qualifying = {},
                                      TPM2_HANDLE key = 0);
    /// Audits another, harmless command.
    bool audit_other(std::uint32_t session);
    std::optional<TPMS_CONTEXT> save(std::uint32_t session);
    std::optional<std::uint32_t> load(const TPMS_CONTEXT& context, const Log& log);
    bool undefine(std::uint32_t index);
    /// Any kind of index; the first write or increment makes it readable.
    bool define(std::uint32_t index, TPMA_NV attributes, ByteView policy);
    bool write(std::uint32_t index, std::uint64_t value);
    bool clear();
    TSS2_RC set_audit(TPMI_ALG_HASH hash, TPM2_CC command);
    /// CreatePrimary; the handle is transient.
    std::optional<TPM2_HANDLE> primary(TPMI_RH_HIERARCHY hierarchy, TPMA_OBJECT attributes,
                                       Bytes* area = nullptr);
    /// Signs any digest with an unrestricted key.
    bool sign(TPM2_HANDLE key, const Digest& digest, a4s::Certificate& parts);

    [[nodiscard]] const Log& log(std::uint32_t session) { return logs_[session]; }
    void forget_sessions() { logs_.clear(); }
    [[nodiscard]] std::uint32_t index(std::size_t place = 0) const {
        return options_.layout.first_index + static_cast<std::uint32_t>(place);
    }
    [[nodiscard]] std::uint64_t value(std::uint32_t index = 0);
    [[nodiscard]] TPM2_HANDLE key() const { return options_.layout.key_handle; }

    /// The certificate that `log` would be for a verifier, filled from its first and last certify.
    static consensus::Ui claim(const PublicIdentity& identity, const Attestation& attestation);

private:
    [[nodiscard]] Digest auth(std::uint32_t index) const;
    std::optional<Attestation> read_attestation(const TPM2B_ATTEST& info,
                                                const TPMT_SIGNATURE& signature);

    ProvisionOptions options_;
    std::unique_ptr<Connection> tpm_;
    std::map<std::uint32_t, Log> logs_;
    std::map<std::uint32_t, Bytes> names_;
};

}  // namespace bft::usig::test

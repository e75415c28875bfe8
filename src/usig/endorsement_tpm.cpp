// The host's half: what its TPM has and does.
#include "base/freed.hpp"
#include "usig/byte_writer.hpp"
#include "usig/endorsement.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

namespace bft::usig {

namespace {

// TCG EK Credential Profile, 2.2.1.4: where certificates are.
constexpr std::uint32_t rsa_certificate = 0x01c00002;
constexpr std::uint32_t ecc_certificate = 0x01c0000a;
constexpr std::size_t certificate_bytes_max = 8192;

// PolicySecret(endorsement hierarchy): the default templates' policy.
constexpr std::array<std::uint8_t, 32> default_policy = {
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
    0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa};

template <class T>
using EsysPtr = std::unique_ptr<T, Freed<Esys_Free>>;

/// A transient object or session, gone with this.
class Loaded {
public:
    explicit Loaded(Connection& tpm) : tpm_(tpm) {}
    ~Loaded() {
        if (handle != ESYS_TR_NONE) Esys_FlushContext(tpm_.esys(), handle);
    }
    Loaded(const Loaded&) = delete;
    Loaded& operator=(const Loaded&) = delete;
    ESYS_TR handle = ESYS_TR_NONE;

private:
    Connection& tpm_;
};

template <class T>
void assign(T& sized, ByteView bytes) {
    sized.size = static_cast<UINT16>(std::min(bytes.size(), sizeof sized.buffer));
    if (sized.size > 0) std::memcpy(sized.buffer, bytes.data(), sized.size);
}

Error failed(const char* command, TSS2_RC code) {
    return error(Errc::io, std::string("TPM ") + command + ": " + describe(code));
}

TPM2B_PUBLIC endorsement_template(EndorsementKind kind) {
    TPM2B_PUBLIC out{};
    auto& area = out.publicArea;
    area.nameAlg = TPM2_ALG_SHA256;
    area.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                            TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_ADMINWITHPOLICY |
                            TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;
    assign(area.authPolicy, default_policy);
    const auto symmetric = [](TPMT_SYM_DEF_OBJECT& use) {
        use.algorithm = TPM2_ALG_AES;
        use.keyBits.aes = 128;
        use.mode.aes = TPM2_ALG_CFB;
    };
    if (kind == EndorsementKind::rsa_2048) {
        area.type = TPM2_ALG_RSA;
        symmetric(area.parameters.rsaDetail.symmetric);
        area.parameters.rsaDetail.scheme.scheme = TPM2_ALG_NULL;
        area.parameters.rsaDetail.keyBits = 2048;
        area.unique.rsa.size = 256;
    } else {
        area.type = TPM2_ALG_ECC;
        symmetric(area.parameters.eccDetail.symmetric);
        area.parameters.eccDetail.scheme.scheme = TPM2_ALG_NULL;
        area.parameters.eccDetail.curveID = TPM2_ECC_NIST_P256;
        area.parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
        area.unique.ecc.x.size = 32;
        area.unique.ecc.y.size = 32;
    }
    return out;
}

void padded(Bytes& out, const UINT8* bytes, std::size_t size, std::size_t wanted) {
    size = std::min(size, wanted);
    out.insert(out.end(), wanted - size, 0);
    out.insert(out.end(), bytes, bytes + size);
}

Result<void> set_auth(Connection& tpm, ESYS_TR handle, ByteView secret) {
    TPM2B_AUTH auth{};
    assign(auth, secret);
    const auto code = Esys_TR_SetAuth(tpm.esys(), handle, &auth);
    if (code != 0) return error(Errc::internal, "Esys_TR_SetAuth: " + describe(code));
    return {};
}

Result<EndorsementKey> create(Connection& tpm, EndorsementKind kind, Loaded& into) {
    const TPM2B_SENSITIVE_CREATE sensitive{};
    const auto area = endorsement_template(kind);
    const TPM2B_DATA outside{};
    const TPML_PCR_SELECTION pcrs{};
    TPM2B_PUBLIC* raw = nullptr;
    const auto code = Esys_CreatePrimary(tpm.esys(), ESYS_TR_RH_ENDORSEMENT, ESYS_TR_PASSWORD,
                                         ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, &area, &outside,
                                         &pcrs, &into.handle, &raw, nullptr, nullptr, nullptr);
    const EsysPtr<TPM2B_PUBLIC> made(raw);
    if (base_code(code) == TPM2_RC_BAD_AUTH)
        return error(Errc::refused, "TPM CreatePrimary under endorsement: " + describe(code) +
                                        "; give the endorsement authorization of this TPM");
    if (code != 0) return failed("CreatePrimary under endorsement", code);
    EndorsementKey out{kind, {}};
    const auto& unique = made->publicArea.unique;
    if (kind == EndorsementKind::rsa_2048) {
        padded(out.point, unique.rsa.buffer, unique.rsa.size, 256);
    } else {
        padded(out.point, unique.ecc.x.buffer, unique.ecc.x.size, 32);
        padded(out.point, unique.ecc.y.buffer, unique.ecc.y.size, 32);
    }
    return out;
}

/// Empty: there is no such index.
Result<Bytes> read_index(Connection& tpm, std::uint32_t index) {
    auto indexes = tpm.handles(TPM2_NV_INDEX_FIRST);
    if (!indexes) return indexes.error();
    if (std::find(indexes->begin(), indexes->end(), index) == indexes->end()) return Bytes();
    ESYS_TR handle = ESYS_TR_NONE;
    auto code =
        Esys_TR_FromTPMPublic(tpm.esys(), index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &handle);
    if (code != 0) return failed("NV_ReadPublic of a certificate", code);
    TPM2B_NV_PUBLIC* raw = nullptr;
    code = Esys_NV_ReadPublic(tpm.esys(), handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &raw,
                              nullptr);
    const EsysPtr<TPM2B_NV_PUBLIC> area(raw);
    Bytes out;
    constexpr std::uint16_t step = 512;
    while (code == 0 && out.size() < area->nvPublic.dataSize &&
           out.size() < certificate_bytes_max) {
        const auto offset = static_cast<std::uint16_t>(out.size());
        const auto size =
            std::min(step, static_cast<std::uint16_t>(area->nvPublic.dataSize - offset));
        TPM2B_MAX_NV_BUFFER* part = nullptr;
        code = Esys_NV_Read(tpm.esys(), handle, handle, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                            ESYS_TR_NONE, size, offset, &part);
        const EsysPtr<TPM2B_MAX_NV_BUFFER> owned(part);
        if (code != 0 || part->size == 0) break;
        out.insert(out.end(), part->buffer, part->buffer + part->size);
    }
    Esys_TR_Close(tpm.esys(), &handle);
    if (code != 0) return failed("NV_Read of a certificate", code);
    return out;
}

Result<void> start_policy(Connection& tpm, Loaded& session) {
    const TPMT_SYM_DEF symmetric{TPM2_ALG_NULL, {}, {}};
    auto code = Esys_StartAuthSession(tpm.esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                      ESYS_TR_NONE, ESYS_TR_NONE, nullptr, TPM2_SE_POLICY,
                                      &symmetric, TPM2_ALG_SHA256, &session.handle);
    if (code != 0) return failed("StartAuthSession", code);
    code = Esys_PolicySecret(tpm.esys(), ESYS_TR_RH_ENDORSEMENT, session.handle, ESYS_TR_PASSWORD,
                             ESYS_TR_NONE, ESYS_TR_NONE, nullptr, nullptr, nullptr, 0, nullptr,
                             nullptr);
    if (code != 0) return failed("PolicySecret", code);
    return {};
}

}  // namespace

Result<Endorsement> read_endorsement(Connection& tpm, ByteView endorsement_auth) {
    Endorsement out;
    EndorsementKind kind = EndorsementKind::ecc_p256;
    auto certificate = read_index(tpm, ecc_certificate);
    if (certificate && certificate->empty()) {
        certificate = read_index(tpm, rsa_certificate);
        if (certificate && !certificate->empty()) kind = EndorsementKind::rsa_2048;
    }
    if (!certificate) return certificate.error();
    if (auto set = set_auth(tpm, ESYS_TR_RH_ENDORSEMENT, endorsement_auth); !set)
        return set.error();
    Loaded key(tpm);
    auto made = create(tpm, kind, key);
    if (!made) return made.error();
    return Endorsement{*made, std::move(*certificate)};
}

Result<Bytes> answer_challenge(Connection& tpm, EndorsementKind kind, ByteView endorsement_auth,
                               std::uint32_t key_handle, ByteView key_auth,
                               const Challenge& challenge) {
    if (auto set = set_auth(tpm, ESYS_TR_RH_ENDORSEMENT, endorsement_auth); !set)
        return set.error();
    Loaded endorsement(tpm);
    if (auto made = create(tpm, kind, endorsement); !made) return made.error();
    ESYS_TR key = ESYS_TR_NONE;
    auto code = Esys_TR_FromTPMPublic(tpm.esys(), key_handle, ESYS_TR_NONE, ESYS_TR_NONE,
                                      ESYS_TR_NONE, &key);
    if (code != 0) return failed("ReadPublic of the attestation key", code);
    if (auto set = set_auth(tpm, key, key_auth); !set) return set.error();
    Loaded policy(tpm);
    if (auto started = start_policy(tpm, policy); !started) return started.error();
    TPM2B_ID_OBJECT blob{};
    blob.size = static_cast<UINT16>(std::min(challenge.blob.size(), sizeof blob.credential));
    std::memcpy(blob.credential, challenge.blob.data(), blob.size);
    TPM2B_ENCRYPTED_SECRET secret{};
    secret.size = static_cast<UINT16>(std::min(challenge.secret.size(), sizeof secret.secret));
    std::memcpy(secret.secret, challenge.secret.data(), secret.size);
    TPM2B_DIGEST* raw = nullptr;
    code = Esys_ActivateCredential(tpm.esys(), key, endorsement.handle, ESYS_TR_PASSWORD,
                                   policy.handle, ESYS_TR_NONE, &blob, &secret, &raw);
    Esys_TR_Close(tpm.esys(), &key);
    const EsysPtr<TPM2B_DIGEST> answer(raw);
    if (code != 0)
        return error(Errc::refused,
                     "the TPM cannot answer: it holds another endorsement or attestation key than "
                     "it should (ActivateCredential: " +
                         describe(code) + ")");
    return Bytes(answer->buffer, answer->buffer + answer->size);
}

}  // namespace bft::usig

#include "attacker.hpp"

#include "usig/byte_writer.hpp"

#include <tss2/tss2_mu.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace bft::usig::test {

namespace {

TPMS_AUTH_COMMAND audit(std::uint32_t handle, bool reset) {
    TPMS_AUTH_COMMAND out{};
    out.sessionHandle = handle;
    out.sessionAttributes = TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_AUDIT;
    if (reset) out.sessionAttributes |= TPMA_SESSION_AUDITRESET;
    return out;
}

TSS2L_SYS_AUTH_COMMAND auths(std::initializer_list<TPMS_AUTH_COMMAND> list) {
    TSS2L_SYS_AUTH_COMMAND out{};
    for (const auto& one : list) out.auths[out.count++] = one;
    return out;
}

TPMT_SIG_SCHEME scheme(TPM2_ALG_ID algorithm) {
    TPMT_SIG_SCHEME out{};
    out.scheme = algorithm;
    out.details.any.hashAlg = TPM2_ALG_SHA256;
    return out;
}

template <class T>
void assign(T& sized, ByteView bytes) {
    sized.size = static_cast<UINT16>(std::min(bytes.size(), sizeof sized.buffer));
    if (sized.size > 0) std::memcpy(sized.buffer, bytes.data(), sized.size);
}

void scalar(const TPM2B_ECC_PARAMETER& from, std::array<std::uint8_t, 32>& to) {
    to.fill(0);
    std::memcpy(to.data() + to.size() - from.size, from.buffer, from.size);
}

}  // namespace

Attacker::Attacker(const std::string& tcti, const ProvisionOptions& options) : options_(options) {
    auto connection = Connection::open(tcti);
    if (!connection) throw std::runtime_error(connection.error().what);
    tpm_ = std::move(*connection);
    if (!tpm_->flush_leftovers()) throw std::runtime_error("cannot flush sessions");
}

Digest Attacker::auth(std::uint32_t index) const {
    return options_.secrets.counter_auth(index);
}

std::uint64_t Attacker::value(std::uint32_t at) {
    if (at == 0) at = index();
    const auto now = read_value(*tpm_, at, auth(at));
    return now ? *now : 0;
}

std::uint32_t Attacker::session(TPMI_ALG_HASH hash) {
    TPM2B_NONCE nonce{};
    nonce.size = 16;
    const TPM2B_ENCRYPTED_SECRET unsalted{};
    TPMT_SYM_DEF symmetric{};
    symmetric.algorithm = TPM2_ALG_NULL;
    TPM2B_NONCE answer{};
    answer.size = sizeof answer.buffer;
    TPMI_SH_AUTH_SESSION handle = 0;
    if (Tss2_Sys_StartAuthSession(tpm_->sys(), TPM2_RH_NULL, TPM2_RH_NULL, nullptr, &nonce,
                                  &unsalted, TPM2_SE_HMAC, &symmetric, hash, &handle, &answer,
                                  nullptr) != 0)
        return 0;
    logs_[handle] = {};
    return handle;
}

void Attacker::flush(std::uint32_t handle) {
    Tss2_Sys_FlushContext(tpm_->sys(), handle);
    logs_.erase(handle);
}

bool Attacker::certify(std::uint32_t session, ByteView qualifying, bool reset, std::uint32_t at) {
    if (at == 0) at = index();
    const auto list = auths({password({}), password(auth(at).view()), audit(session, reset)});
    TPM2B_DATA data{};
    assign(data, qualifying);
    const auto null = scheme(TPM2_ALG_NULL);
    TPM2B_ATTEST info{};
    info.size = sizeof info.attestationData;
    TPMT_SIGNATURE none{};
    TSS2L_SYS_AUTH_RESPONSE answers{};
    if (Tss2_Sys_NV_Certify(tpm_->sys(), TPM2_RH_NULL, at, at, &list, &data, &null, 8, 0, &info,
                            &none, &answers) != 0)
        return false;
    Logged entry{Logged::Kind::certify, at, to_bytes(qualifying), 0, {}};
    ByteReader in({info.attestationData, info.size});
    in.raw(6);
    in.sized();
    in.sized();
    in.fill(entry.stamp);
    entry.value = ByteReader(in.rest().last(8)).get<std::uint64_t>();
    auto& log = logs_[session];
    if (reset) log.clear();
    log.push_back(entry);
    return true;
}

bool Attacker::increment(std::uint32_t session, bool reset, std::uint32_t at) {
    if (at == 0) at = index();
    const auto list = auths({password(auth(at).view()), audit(session, reset)});
    TSS2L_SYS_AUTH_RESPONSE answers{};
    if (Tss2_Sys_NV_Increment(tpm_->sys(), at, at, &list, &answers) != 0) return false;
    auto& log = logs_[session];
    if (reset) log.clear();
    log.push_back({Logged::Kind::increment, at, {}, 0, {}});
    return true;
}

bool Attacker::increment_aside(std::uint32_t at) {
    if (at == 0) at = index();
    const auto list = auths({password(auth(at).view())});
    TSS2L_SYS_AUTH_RESPONSE answers{};
    return Tss2_Sys_NV_Increment(tpm_->sys(), at, at, &list, &answers) == 0;
}

bool Attacker::audit_other(std::uint32_t session) {
    const auto list = auths({audit(session, false)});
    TPM2B_DIGEST random{};
    random.size = sizeof random.buffer;
    TSS2L_SYS_AUTH_RESPONSE answers{};
    if (Tss2_Sys_GetRandom(tpm_->sys(), &list, 8, &random, &answers) != 0) return false;
    logs_[session].push_back({});
    return true;
}

std::optional<Attestation> Attacker::attest(std::uint32_t session, ByteView qualifying,
                                            TPM2_HANDLE with) {
    const bool own = with == 0;
    if (own) with = key();
    const auto secret = options_.secrets.key_auth();
    const auto list = auths({password({}), own ? password(secret.view()) : password({})});
    TPM2B_DATA data{};
    assign(data, qualifying);
    const auto ecdsa = scheme(TPM2_ALG_ECDSA);
    TPM2B_ATTEST info{};
    info.size = sizeof info.attestationData;
    TPMT_SIGNATURE signature{};
    TSS2L_SYS_AUTH_RESPONSE answers{};
    if (Tss2_Sys_GetSessionAuditDigest(tpm_->sys(), TPM2_RH_ENDORSEMENT, with, session, &list,
                                       &data, &ecdsa, &info, &signature, &answers) != 0)
        return std::nullopt;
    auto out = read_attestation(info, signature);
    if (!out) return std::nullopt;
    out->log = logs_[session];
    out->qualifying = to_bytes(qualifying);
    return out;
}

std::optional<Attestation> Attacker::read_attestation(const TPM2B_ATTEST& info,
                                                      const TPMT_SIGNATURE& signature) {
    Attestation out;
    ByteReader in({info.attestationData, info.size});
    in.raw(6);
    in.sized();
    in.sized();
    in.fill(out.parts.audit);
    out.parts.exclusive = in.get<std::uint8_t>();
    const auto session = in.sized();
    if (const auto digest = Digest::from(session)) out.session = *digest;
    scalar(signature.signature.ecdsa.signatureR, out.parts.r);
    scalar(signature.signature.ecdsa.signatureS, out.parts.s);
    return in.complete() ? std::optional(out) : std::nullopt;
}

std::optional<TPMS_CONTEXT> Attacker::save(std::uint32_t session) {
    TPMS_CONTEXT out{};
    if (Tss2_Sys_ContextSave(tpm_->sys(), session, &out) != 0) return std::nullopt;
    return out;
}

std::optional<std::uint32_t> Attacker::load(const TPMS_CONTEXT& context, const Log& log) {
    TPMI_DH_CONTEXT handle = 0;
    if (Tss2_Sys_ContextLoad(tpm_->sys(), &context, &handle) != 0) return std::nullopt;
    logs_[handle] = log;
    return handle;
}

bool Attacker::undefine(std::uint32_t at) {
    const auto list = auths({password(options_.secrets.owner_auth)});
    TSS2L_SYS_AUTH_RESPONSE answers{};
    return Tss2_Sys_NV_UndefineSpace(tpm_->sys(), TPM2_RH_OWNER, at, &list, &answers) == 0;
}

bool Attacker::define(std::uint32_t at, TPMA_NV attributes, ByteView policy) {
    TPM2B_NV_PUBLIC area{};
    area.nvPublic.nvIndex = at;
    area.nvPublic.nameAlg = TPM2_ALG_SHA256;
    area.nvPublic.attributes = attributes;
    area.nvPublic.dataSize = 8;
    assign(area.nvPublic.authPolicy, policy);
    TPM2B_AUTH secret{};
    assign(secret, auth(at).view());
    const auto list = auths({password(options_.secrets.owner_auth)});
    TSS2L_SYS_AUTH_RESPONSE answers{};
    return Tss2_Sys_NV_DefineSpace(tpm_->sys(), TPM2_RH_OWNER, &list, &secret, &area, &answers) ==
           0;
}

bool Attacker::write(std::uint32_t at, std::uint64_t value) {
    TPM2B_MAX_NV_BUFFER data{};
    assign(data, ByteWriter().put(value).bytes());
    const auto list = auths({password(auth(at).view())});
    TSS2L_SYS_AUTH_RESPONSE answers{};
    return Tss2_Sys_NV_Write(tpm_->sys(), at, at, &list, &data, 0, &answers) == 0;
}

bool Attacker::clear() {
    const auto list = auths({password({})});
    TSS2L_SYS_AUTH_RESPONSE answers{};
    return Tss2_Sys_Clear(tpm_->sys(), TPM2_RH_LOCKOUT, &list, &answers) == 0;
}

TSS2_RC Attacker::set_audit(TPMI_ALG_HASH hash, TPM2_CC command) {
    const auto list = auths({password(options_.secrets.owner_auth)});
    TPML_CC set{};
    if (command != 0) set.commandCodes[set.count++] = command;
    const TPML_CC none{};
    TSS2L_SYS_AUTH_RESPONSE answers{};
    return Tss2_Sys_SetCommandCodeAuditStatus(tpm_->sys(), TPM2_RH_OWNER, &list, hash, &set, &none,
                                              &answers);
}

std::optional<TPM2_HANDLE> Attacker::primary(TPMI_RH_HIERARCHY hierarchy, TPMA_OBJECT attributes,
                                             Bytes* area) {
    TPM2B_PUBLIC wanted{};
    auto& in = wanted.publicArea;
    in.type = TPM2_ALG_ECC;
    in.nameAlg = TPM2_ALG_SHA256;
    in.objectAttributes = attributes;
    in.parameters.eccDetail.symmetric.algorithm = TPM2_ALG_NULL;
    in.parameters.eccDetail.scheme.scheme = TPM2_ALG_ECDSA;
    in.parameters.eccDetail.scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
    in.parameters.eccDetail.curveID = TPM2_ECC_NIST_P256;
    in.parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
    assign(in.unique.ecc.x, options_.label.view());
    const auto list = auths({password({})});
    const TPM2B_SENSITIVE_CREATE sensitive{};
    const TPM2B_DATA outside{};
    const TPML_PCR_SELECTION pcrs{};
    TPM2_HANDLE handle = 0;
    TPM2B_PUBLIC made{};
    TPM2B_CREATION_DATA data{};
    TPM2B_DIGEST hash{};
    hash.size = sizeof hash.buffer;
    TPMT_TK_CREATION ticket{};
    TPM2B_NAME name{};
    name.size = sizeof name.name;
    TSS2L_SYS_AUTH_RESPONSE answers{};
    if (Tss2_Sys_CreatePrimary(tpm_->sys(), hierarchy, &list, &sensitive, &wanted, &outside, &pcrs,
                               &handle, &made, &data, &hash, &ticket, &name, &answers) != 0)
        return std::nullopt;
    if (area != nullptr) {
        area->resize(sizeof made);
        std::size_t size = 0;
        Tss2_MU_TPMT_PUBLIC_Marshal(&made.publicArea, area->data(), area->size(), &size);
        area->resize(size);
    }
    return handle;
}

bool Attacker::sign(TPM2_HANDLE with, const Digest& digest, a4s::Certificate& parts) {
    const auto list = auths({password({})});
    TPM2B_DIGEST data{};
    assign(data, digest.view());
    const auto ecdsa = scheme(TPM2_ALG_ECDSA);
    TPMT_TK_HASHCHECK ticket{};
    ticket.tag = TPM2_ST_HASHCHECK;
    ticket.hierarchy = TPM2_RH_NULL;
    TPMT_SIGNATURE signature{};
    TSS2L_SYS_AUTH_RESPONSE answers{};
    if (Tss2_Sys_Sign(tpm_->sys(), with, &list, &data, &ecdsa, &ticket, &signature, &answers) != 0)
        return false;
    scalar(signature.signature.ecdsa.signatureR, parts.r);
    scalar(signature.signature.ecdsa.signatureS, parts.s);
    return true;
}

consensus::Ui Attacker::claim(const PublicIdentity& identity, const Attestation& attestation) {
    auto parts = attestation.parts;
    std::uint16_t increments = 0;
    const Logged* first = nullptr;
    const Logged* last = nullptr;
    for (const auto& entry : attestation.log) {
        if (entry.kind == Logged::Kind::increment) ++increments;
        if (entry.kind != Logged::Kind::certify) continue;
        if (first == nullptr) first = &entry;
        last = &entry;
    }
    parts.increments = increments;
    if (first != nullptr) parts.before = first->stamp;
    if (last != nullptr) {
        parts.after = last->stamp;
        parts.value = last->value;
    }
    consensus::Ui ui;
    ui.cv = Counter(parts.value - identity.first_value);
    ui.voids = increments == 0 ? 0 : increments - 1u;
    ui.certificate = parts.encode();
    return ui;
}

}  // namespace bft::usig::test

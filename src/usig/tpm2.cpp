#include "usig/tpm2.hpp"

#include "usig/byte_writer.hpp"

#include <algorithm>
#include <cstring>

namespace bft::usig {

namespace {

constexpr TPMA_SESSION audited = TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_AUDIT;
constexpr std::uint8_t note_version = 1;
constexpr std::size_t stamp_bytes = std::tuple_size_v<a4s::Stamp>;

TPMS_AUTH_COMMAND audit_session(std::uint32_t handle, bool reset) {
    TPMS_AUTH_COMMAND auth{};
    auth.sessionHandle = handle;
    auth.sessionAttributes = reset ? audited | TPMA_SESSION_AUDITRESET : audited;
    return auth;
}

const TPMT_SIG_SCHEME null_scheme = [] {
    TPMT_SIG_SCHEME scheme{};
    scheme.scheme = TPM2_ALG_NULL;
    return scheme;
}();

bool copy_scalar(const TPM2B_ECC_PARAMETER& from, std::array<std::uint8_t, 32>& to) {
    if (from.size > to.size()) return false;
    to.fill(0);
    std::memcpy(to.data() + (to.size() - from.size), from.buffer, from.size);
    return true;
}

/// The fields of a TPMS_ATTEST before its type-specific part.
struct AttestHead {
    a4s::Stamp stamp{};
    ByteView rest;
};
std::optional<AttestHead> attest_head(const TPM2B_ATTEST& attest) {
    ByteReader in({attest.attestationData, attest.size});
    AttestHead head;
    in.raw(6);   // magic, type
    in.sized();  // qualifiedSigner
    in.sized();  // extraData
    in.fill(head.stamp);
    head.rest = in.rest();
    return in.good() ? std::optional(head) : std::nullopt;
}

}  // namespace

Bytes Tpm2::Open::encode() const {
    ByteWriter out;
    out.put(note_version).put(session).put(before_value).put(increments).raw(before);
    if (after) out.raw(*after);
    return out.take();
}

std::optional<Tpm2::Open> Tpm2::Open::decode(ByteView note) {
    ByteReader in(note);
    if (in.get<std::uint8_t>() != note_version) return std::nullopt;
    Open open;
    open.session = in.get<std::uint32_t>();
    open.before_value = in.get<std::uint64_t>();
    open.increments = in.get<std::uint16_t>();
    in.fill(open.before);
    if (in.rest().size() == stamp_bytes) in.fill(open.after.emplace());
    return in.complete() ? std::optional(open) : std::nullopt;
}

Tpm2::Tpm2(std::unique_ptr<Connection> connection, Options options)
    : tpm_(std::move(connection)), options_(std::move(options)) {}

Tpm2::~Tpm2() {
    // A session with an unfinished certificate stays: the next process may resume it.
    if (session_ != 0 && !open_ && !dead_) Tss2_Sys_FlushContext(tpm_->sys(), session_);
}

Result<std::unique_ptr<Tpm2>> Tpm2::open(const Options& options,
                                         const std::map<UsigId, PublicIdentity>& wanted) {
    auto connection = Connection::open(options.tcti);
    if (!connection) return connection.error();
    std::unique_ptr<Tpm2> tpm(new Tpm2(std::move(*connection), options));
    auto key = read_key(*tpm->tpm_, options.layout.key_handle);
    if (!key)
        return error(key.error().code, "TPM at " + options.tcti + ": " + key.error().what +
                                           "; provision it for this cluster");
    for (const auto& [id, identity] : wanted)
        if (auto ok = tpm->adopt(id, identity, *key); !ok)
            return error(ok.error().code, "TPM at " + options.tcti + ", USIG identity " +
                                              std::to_string(id.value) + ": " + ok.error().what);
    return tpm;
}

Result<void> Tpm2::adopt(UsigId id, const PublicIdentity& identity, ByteView key) {
    if (auto ok = identity.check(); !ok) return ok;
    if (identity.scheme != Scheme::tpm2_a4s)
        return error(Errc::refused, "the cluster file pins a software USIG, not a TPM");
    if (!std::ranges::equal(key, identity.key))
        return error(Errc::refused,
                     "TPM of another cluster: its attestation key is not the one that the cluster "
                     "file pins; connect the right TPM, or enrol this one as a replacement");
    Slot slot;
    slot.identity = identity;
    slot.name = identity.counter_name();
    slot.index = identity.nv_index();
    slot.auth = options_.secrets.counter_auth(slot.index);
    auto counter = read_counter(*tpm_, slot.index);
    if (!counter)
        return error(counter.error().code,
                     counter.error().what +
                         "; its counter was deleted, so this identity must be "
                         "replaced");
    if (*counter != identity.counter)
        return error(Errc::refused,
                     "TPM of another cluster: its counter's name is not the one that the cluster "
                     "file pins; connect the right TPM, or enrol this one as a replacement");
    auto now = read_value(*tpm_, slot.index, slot.auth);
    if (!now) return now.error();
    if (*now < identity.first_value)
        return error(Errc::refused,
                     "the counter stands below its pinned first value: the TPM was rolled back. "
                     "This identity must never be used again; replace it");
    slots_.emplace(id, std::move(slot));
    return {};
}

const PublicIdentity& Tpm2::identity(UsigId identity) const {
    return slots_.at(identity).identity;
}

std::vector<UsigId> Tpm2::identities() const {
    std::vector<UsigId> out;
    for (const auto& [id, slot] : slots_) out.push_back(id);
    return out;
}

Result<Tpm2::Slot*> Tpm2::slot(UsigId identity) {
    const auto found = slots_.find(identity);
    if (found == slots_.end())
        return error(Errc::not_found,
                     "USIG identity " + std::to_string(identity.value) + " is not on this TPM");
    return &found->second;
}

Result<Counter> Tpm2::value(UsigId identity) {
    auto found = slot(identity);
    if (!found) return found.error();
    if (dead_) return *dead_;
    auto now = read_value(*tpm_, (*found)->index, (*found)->auth);
    if (!now) return now.error();
    const auto first = (*found)->identity.first_value;
    if (*now < first)
        return error(Errc::refused,
                     "the counter stands below its pinned first value: the TPM was "
                     "rolled back");
    return Counter(*now - first);
}

// --- commands ---

Error Tpm2::failed(const char* command, TSS2_RC code) {
    auto problem = error(Errc::io, std::string("TPM ") + command + ": " + describe(code));
    if (!answered_by_tpm(code)) {
        problem.what += "; the connection is lost, restart the USIG service";
        dead_ = problem;
    }
    return problem;
}

Result<void> Tpm2::usable(int step) {
    if (dead_) return *dead_;
    if (fault_) return fault_(step);
    return {};
}

Result<void> Tpm2::start_session() {
    if (dead_) return *dead_;
    if (session_ != 0) return {};
    if (auto ok = tpm_->flush_leftovers(); !ok) return ok;
    TPM2B_NONCE nonce{};
    nonce.size = 16;
    const TPM2B_ENCRYPTED_SECRET unsalted{};
    TPMT_SYM_DEF symmetric{};
    symmetric.algorithm = TPM2_ALG_NULL;
    TPM2B_NONCE answer{};
    TPMI_SH_AUTH_SESSION handle = 0;
    const auto code = tpm_->run([&] {
        answer.size = sizeof answer.buffer;
        return Tss2_Sys_StartAuthSession(tpm_->sys(), TPM2_RH_NULL, TPM2_RH_NULL, nullptr, &nonce,
                                         &unsalted, TPM2_SE_HMAC, &symmetric, TPM2_ALG_SHA256,
                                         &handle, &answer, nullptr);
    });
    if (code != 0) return failed("StartAuthSession", code);
    session_ = handle;
    return {};
}

Result<Tpm2::Reading> Tpm2::certify(const Slot& slot, ByteView qualifying, bool reset, int step) {
    if (auto ok = usable(step); !ok) return ok.error();
    TSS2L_SYS_AUTH_COMMAND auths{};
    auths.count = 3;
    auths.auths[0] = password({});  // of the null key
    auths.auths[1] = password(slot.auth.view());
    auths.auths[2] = audit_session(session_, reset);
    TPM2B_DATA data{};
    data.size = static_cast<UINT16>(qualifying.size());
    if (!qualifying.empty()) std::memcpy(data.buffer, qualifying.data(), qualifying.size());
    TPM2B_ATTEST info{};
    TPMT_SIGNATURE unsigned_{};
    TSS2L_SYS_AUTH_RESPONSE answers{};
    const auto code = tpm_->run([&] {
        info.size = sizeof info.attestationData;
        return Tss2_Sys_NV_Certify(tpm_->sys(), TPM2_RH_NULL, slot.index, slot.index, &auths, &data,
                                   &null_scheme, 8, 0, &info, &unsigned_, &answers);
    });
    if (code != 0) return failed("NV_Certify", code);
    const auto head = attest_head(info);
    if (!head || head->rest.size() < 8) return error(Errc::internal, "TPM NV_Certify: bad answer");
    Reading out;
    out.stamp = head->stamp;
    out.value = ByteReader(head->rest.last(8)).get<std::uint64_t>();
    // What the verifier will rebuild; a chip that says more is unfit, and it shows at its first
    // use.
    if (!std::ranges::equal(a4s::nv_attestation(slot.name, qualifying, out.value, out.stamp),
                            ByteView(info.attestationData, info.size)))
        return error(Errc::internal, "TPM NV_Certify: unexpected attestation " +
                                         hex(ByteView(info.attestationData, info.size)));
    return out;
}

Result<void> Tpm2::increment(const Slot& slot) {
    if (auto ok = usable(2); !ok) return ok;
    TSS2L_SYS_AUTH_COMMAND auths{};
    auths.count = 2;
    auths.auths[0] = password(slot.auth.view());
    auths.auths[1] = audit_session(session_, false);
    TSS2L_SYS_AUTH_RESPONSE answers{};
    const auto code = tpm_->run([&] {
        return Tss2_Sys_NV_Increment(tpm_->sys(), slot.index, slot.index, &auths, &answers);
    });
    if (code != 0) return failed("NV_Increment", code);
    return {};
}

Result<Tpm2::Attested> Tpm2::attest() {
    if (auto ok = usable(4); !ok) return ok.error();
    TSS2L_SYS_AUTH_COMMAND auths{};
    auths.count = 2;
    auths.auths[0] = password(options_.secrets.endorsement_auth);
    auths.auths[1] = password(options_.secrets.key_auth().view());
    const TPM2B_DATA nothing{};
    TPM2B_ATTEST info{};
    TPMT_SIGNATURE signature{};
    TSS2L_SYS_AUTH_RESPONSE answers{};
    const auto code = tpm_->run([&] {
        info.size = sizeof info.attestationData;
        return Tss2_Sys_GetSessionAuditDigest(tpm_->sys(), TPM2_RH_ENDORSEMENT,
                                              options_.layout.key_handle, session_, &auths,
                                              &nothing, &null_scheme, &info, &signature, &answers);
    });
    if (code != 0) return failed("GetSessionAuditDigest", code);
    Attested out;
    const auto head = attest_head(info);
    if (!head) return error(Errc::internal, "TPM GetSessionAuditDigest: bad answer");
    ByteReader in(head->rest);
    out.stamp = head->stamp;
    out.exclusive = in.get<std::uint8_t>();
    const auto session = Digest::from(in.sized());
    const auto& ecdsa = signature.signature.ecdsa;
    if (!in.complete() || !session || signature.sigAlg != TPM2_ALG_ECDSA ||
        !copy_scalar(ecdsa.signatureR, out.r) || !copy_scalar(ecdsa.signatureS, out.s))
        return error(Errc::internal, "TPM GetSessionAuditDigest: bad answer");
    out.session = *session;
    return out;
}

// --- certificates ---

Result<void> Tpm2::begin(UsigId identity, const Slot& slot) {
    if (auto ok = start_session(); !ok) return ok;
    auto reading = certify(slot, {}, true, 1);
    if (!reading) return reading.error();
    Open open;
    open.identity = identity;
    open.session = session_;
    open.before_value = reading->value;
    open.before = reading->stamp;
    open_ = open;
    return {};
}

Result<void> Tpm2::finish_log(const Slot& slot, const Digest& digest) {
    auto reading = certify(slot, digest.view(), false, 3);
    if (!reading) return reading.error();
    open_->after = reading->stamp;
    if (reading->value == open_->before_value + open_->increments) return {};
    // The log proves nothing for either value. Nothing to resume from, so it is dropped.
    open_.reset();
    return error(Errc::refused, "another process increments this counter; the value is lost");
}

Result<consensus::Ui> Tpm2::certificate(const Slot& slot, const Digest& digest,
                                        const Attested& signed_log) {
    a4s::Certificate out;
    out.increments = open_->increments;
    out.value = open_->before_value + open_->increments;
    out.exclusive = signed_log.exclusive;
    out.before = open_->before;
    out.after = *open_->after;
    out.audit = signed_log.stamp;
    out.r = signed_log.r;
    out.s = signed_log.s;
    if (a4s::session_digest(slot.name, out, digest) != signed_log.session) {
        open_.reset();
        return error(Errc::refused,
                     "the audit session holds other commands than this "
                     "certificate's; the value is lost");
    }
    consensus::Ui ui;
    ui.cv = Counter(out.value - slot.identity.first_value);
    ui.voids = out.increments - 1u;
    ui.certificate = out.encode();
    open_.reset();
    return ui;
}

Result<consensus::Ui> Tpm2::create(UsigId identity, const Digest& digest,
                                   const Progress& progress) {
    auto found = slot(identity);
    if (!found) return found.error();
    const Slot& counter = **found;
    if (open_ && open_->increments == 0) open_.reset();
    if (open_ && (open_->identity != identity || open_->after))
        return error(Errc::unavailable, "a certificate is unfinished; resume it first");
    if (open_ && open_->increments >= a4s::increments_max)
        return error(Errc::refused, "too many values in a row were lost");
    if (!open_)
        if (auto ok = begin(identity, counter); !ok) return ok.error();
    Open intended = *open_;
    ++intended.increments;
    if (auto ok = progress(intended.encode()); !ok) return ok.error();
    if (auto ok = increment(counter); !ok) {
        // A lost answer: the value may be spent, and the note says how to go on.
        if (dead_) open_ = intended;
        return ok.error();
    }
    open_ = intended;
    if (auto ok = finish_log(counter, digest); !ok) return ok.error();
    if (auto ok = progress(open_->encode()); !ok) return ok.error();
    auto signed_log = attest();
    if (!signed_log) return signed_log.error();
    return certificate(counter, digest, *signed_log);
}

Result<consensus::Ui> Tpm2::resume(UsigId identity, const Digest& digest, Counter cv,
                                   ByteView note) {
    const auto hole = [](const char* why) {
        return error(Errc::refused, std::string("the audit session cannot be resumed: ") + why);
    };
    auto found = slot(identity);
    if (!found) return found.error();
    const Slot& counter = **found;
    if (dead_) return *dead_;
    auto noted = Open::decode(note);
    if (!noted) return hole("nothing was noted about it");
    noted->identity = identity;
    const auto value = counter.identity.first_value + cv.value;
    if (noted->increments == 0 || noted->before_value + noted->increments != value)
        return hole("it was for another value");
    const auto loaded = tpm_->handles(TPM2_LOADED_SESSION_FIRST);
    if (!loaded) return loaded.error();
    if (std::ranges::find(*loaded, noted->session) == loaded->end())
        return hole("it is gone (the TPM was restarted, or a resource manager closed it)");
    session_ = noted->session;
    open_ = *noted;
    auto signed_log = attest();
    if (!signed_log) {
        if (dead_) return signed_log.error();
        open_.reset();
        session_ = 0;
        return hole(signed_log.error().what.c_str());
    }
    a4s::AuditLog log(counter.name);
    log.certify({}, noted->before_value, noted->before);
    for (std::uint32_t i = 0; i < noted->increments; ++i) log.increment();
    if (signed_log->session == log.digest()) {
        if (auto ok = finish_log(counter, digest); !ok) return ok.error();
        signed_log = attest();
        if (!signed_log) return signed_log.error();
        return certificate(counter, digest, *signed_log);
    }
    if (!open_->after)
        open_->after = a4s::find_stamp(log, digest, value, noted->before, signed_log->stamp,
                                       signed_log->session);
    if (!open_->after) {
        open_.reset();
        return hole("it has gone on to other commands");
    }
    return certificate(counter, digest, *signed_log);
}

}  // namespace bft::usig

#include "usig/provision.hpp"

#include "base/secret_file.hpp"
#include "base/sha256.hpp"
#include "usig/byte_writer.hpp"

#include <openssl/rand.h>
#include <tss2/tss2_mu.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

namespace bft::usig {

namespace {

std::string at(std::uint32_t handle) {
    return "0x" + hex(ByteWriter().put(handle).bytes());
}

template <class T>
void assign(T& sized, ByteView bytes) {
    sized.size = static_cast<UINT16>(std::min(bytes.size(), sizeof sized.buffer));
    if (sized.size > 0) std::memcpy(sized.buffer, bytes.data(), sized.size);
}

TPM2B_PUBLIC key_template(const Digest& label) {
    TPM2B_PUBLIC out{};
    auto& area = out.publicArea;
    area.type = TPM2_ALG_ECC;
    area.nameAlg = TPM2_ALG_SHA256;
    area.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                            TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                            TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT;
    auto& ecc = area.parameters.eccDetail;
    ecc.symmetric.algorithm = TPM2_ALG_NULL;
    ecc.scheme.scheme = TPM2_ALG_ECDSA;
    ecc.scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
    ecc.curveID = TPM2_ECC_NIST_P256;
    ecc.kdf.scheme = TPM2_ALG_NULL;
    assign(area.unique.ecc.x, label.view());
    return out;
}

Result<void> make_key(Connection& tpm, const ProvisionOptions& options) {
    TPM2B_SENSITIVE_CREATE sensitive{};
    assign(sensitive.sensitive.userAuth, options.secrets.key_auth().view());
    const auto area = key_template(options.label);
    const TPM2B_DATA outside{};
    const TPML_PCR_SELECTION pcrs{};
    ESYS_TR key = ESYS_TR_NONE;
    auto code = Esys_CreatePrimary(tpm.esys(), ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                   ESYS_TR_NONE, &sensitive, &area, &outside, &pcrs, &key, nullptr,
                                   nullptr, nullptr, nullptr);
    if (code != 0)
        return error(base_code(code) == TPM2_RC_BAD_AUTH ? Errc::refused : Errc::io,
                     "TPM CreatePrimary under owner: " + describe(code) +
                         "; give the owner authorization of this TPM");
    ESYS_TR persistent = ESYS_TR_NONE;
    code = Esys_EvictControl(tpm.esys(), ESYS_TR_RH_OWNER, key, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                             ESYS_TR_NONE, options.layout.key_handle, &persistent);
    Esys_FlushContext(tpm.esys(), key);
    if (code != 0)
        return error(Errc::io,
                     "TPM EvictControl " + at(options.layout.key_handle) + ": " + describe(code));
    Esys_TR_Close(tpm.esys(), &persistent);
    return {};
}

Result<void> make_counter(Connection& tpm, const ProvisionOptions& options, std::size_t place) {
    const auto index = options.layout.first_index + static_cast<std::uint32_t>(place);
    TPM2B_NV_PUBLIC area{};
    area.nvPublic.nvIndex = index;
    area.nvPublic.nameAlg = TPM2_ALG_SHA256;
    area.nvPublic.attributes = (TPM2_NT_COUNTER << TPMA_NV_TPM2_NT_SHIFT) | TPMA_NV_AUTHWRITE |
                               TPMA_NV_AUTHREAD | TPMA_NV_NO_DA;
    // The policy is the hash of a string, so nothing satisfies it: it only carries the label.
    const auto policy = Digester("usig-counter").digest(options.label).u64(place).finish();
    assign(area.nvPublic.authPolicy, policy.view());
    area.nvPublic.dataSize = 8;
    TPM2B_AUTH auth{};
    assign(auth, options.secrets.counter_auth(index).view());
    ESYS_TR handle = ESYS_TR_NONE;
    auto code = Esys_NV_DefineSpace(tpm.esys(), ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                    ESYS_TR_NONE, &auth, &area, &handle);
    if (code != 0) {
        const bool full = base_code(code) == TPM2_RC_NV_SPACE;
        return error(
            full ? Errc::exhausted : Errc::io,
            "TPM NV_DefineSpace " + at(index) + ": " + describe(code) +
                (full ? "; this TPM has room for fewer counters than the host has roles" : ""));
    }
    // The first increment sets WRITTEN and so the name that is pinned.
    code = tpm.run([&] {
        return Esys_NV_Increment(tpm.esys(), handle, handle, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                 ESYS_TR_NONE);
    });
    Esys_TR_Close(tpm.esys(), &handle);
    if (code != 0) return error(Errc::io, "TPM NV_Increment " + at(index) + ": " + describe(code));
    return {};
}

Result<void> remove_key(Connection& tpm, const TpmLayout& layout) {
    ESYS_TR key = ESYS_TR_NONE;
    auto code = Esys_TR_FromTPMPublic(tpm.esys(), layout.key_handle, ESYS_TR_NONE, ESYS_TR_NONE,
                                      ESYS_TR_NONE, &key);
    if (code != 0)
        return error(Errc::io, "TPM key " + at(layout.key_handle) + ": " + describe(code));
    ESYS_TR gone = ESYS_TR_NONE;
    code = Esys_EvictControl(tpm.esys(), ESYS_TR_RH_OWNER, key, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                             ESYS_TR_NONE, layout.key_handle, &gone);
    if (code != 0)
        return error(Errc::io, "TPM EvictControl " + at(layout.key_handle) + ": " + describe(code));
    return {};
}

Result<void> remove_counter(Connection& tpm, std::uint32_t index) {
    ESYS_TR handle = ESYS_TR_NONE;
    auto code =
        Esys_TR_FromTPMPublic(tpm.esys(), index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &handle);
    if (code == 0)
        code = Esys_NV_UndefineSpace(tpm.esys(), ESYS_TR_RH_OWNER, handle, ESYS_TR_PASSWORD,
                                     ESYS_TR_NONE, ESYS_TR_NONE);
    if (code != 0)
        return error(Errc::io, "TPM NV_UndefineSpace " + at(index) + ": " + describe(code));
    return {};
}

/// Room for the new key and counters: refuses, or removes what is there.
Result<void> clear_room(Connection& tpm, const ProvisionOptions& options) {
    const auto refused = [](const std::string& what) {
        return error(Errc::refused, what +
                                        " exists: this TPM is provisioned already; another cluster "
                                        "may depend on it. Ask for replacement to remove it");
    };
    const auto& layout = options.layout;
    const auto keys = tpm.handles(TPM2_PERSISTENT_FIRST);
    if (!keys) return keys.error();
    if (std::find(keys->begin(), keys->end(), layout.key_handle) != keys->end()) {
        if (!options.replace) return refused("TPM key " + at(layout.key_handle));
        if (auto ok = remove_key(tpm, layout); !ok) return ok;
    }
    const auto indexes = tpm.handles(TPM2_NV_INDEX_FIRST);
    if (!indexes) return indexes.error();
    for (const auto index : *indexes) {
        // Counters of an earlier, larger provisioning lie behind ours.
        const auto last = layout.first_index + (options.replace ? 255u : options.counters - 1);
        if (index < layout.first_index || index > last) continue;
        if (!options.replace) return refused("TPM NV index " + at(index));
        if (auto ok = remove_counter(tpm, index); !ok) return ok;
    }
    return {};
}

}  // namespace

Result<Bytes> read_key(Connection& tpm, std::uint32_t handle) {
    TPM2B_PUBLIC area{};
    TPM2B_NAME name{};
    TPM2B_NAME qualified{};
    const auto code = tpm.run([&] {
        // SAPI refuses to overwrite a structure whose size is set.
        area.size = 0;
        return Tss2_Sys_ReadPublic(tpm.sys(), handle, nullptr, &area, &name, &qualified, nullptr);
    });
    if (base_code(code) == TPM2_RC_HANDLE || base_code(code) == TPM2_RC_VALUE)
        return error(Errc::not_found, "the TPM has no key at " + at(handle));
    if (code != 0) return error(Errc::io, "TPM ReadPublic " + at(handle) + ": " + describe(code));
    Bytes out(sizeof area);
    std::size_t size = 0;
    if (const auto rc =
            Tss2_MU_TPMT_PUBLIC_Marshal(&area.publicArea, out.data(), out.size(), &size);
        rc != 0)
        return error(Errc::internal, "TPMT_PUBLIC_Marshal: " + describe(rc));
    out.resize(size);
    return out;
}

Result<Bytes> read_counter(Connection& tpm, std::uint32_t nv_index) {
    TPM2B_NV_PUBLIC area{};
    TPM2B_NAME name{};
    const auto code = tpm.run([&] {
        area.size = 0;
        return Tss2_Sys_NV_ReadPublic(tpm.sys(), nv_index, nullptr, &area, &name, nullptr);
    });
    if (base_code(code) == TPM2_RC_HANDLE || base_code(code) == TPM2_RC_VALUE)
        return error(Errc::not_found, "the TPM has no NV index " + at(nv_index));
    if (code != 0)
        return error(Errc::io, "TPM NV_ReadPublic " + at(nv_index) + ": " + describe(code));
    Bytes out(sizeof area);
    std::size_t size = 0;
    if (const auto rc =
            Tss2_MU_TPMS_NV_PUBLIC_Marshal(&area.nvPublic, out.data(), out.size(), &size);
        rc != 0)
        return error(Errc::internal, "TPMS_NV_PUBLIC_Marshal: " + describe(rc));
    out.resize(size);
    return out;
}

Result<std::uint64_t> read_value(Connection& tpm, std::uint32_t nv_index, const Digest& auth) {
    TSS2L_SYS_AUTH_COMMAND auths{};
    auths.count = 1;
    auths.auths[0] = password(auth.view());
    TSS2L_SYS_AUTH_RESPONSE answers{};
    TPM2B_MAX_NV_BUFFER data{};
    const auto code = tpm.run([&] {
        data.size = sizeof data.buffer;
        return Tss2_Sys_NV_Read(tpm.sys(), nv_index, nv_index, &auths, 8, 0, &data, &answers);
    });
    if (base_code(code) == TPM2_RC_BAD_AUTH || base_code(code) == TPM2_RC_AUTH_FAIL)
        return error(Errc::refused, "NV index " + at(nv_index) +
                                        " does not take this host's TPM secrets: the secrets file "
                                        "belongs to another provisioning");
    if (code != 0 || data.size != 8)
        return error(Errc::io, "TPM NV_Read " + at(nv_index) + ": " + describe(code));
    return ByteReader({data.buffer, data.size}).get<std::uint64_t>();
}

Result<std::vector<PublicIdentity>> provision(Connection& tpm, const ProvisionOptions& options) {
    if (options.counters == 0 || options.counters > 256)
        return error(Errc::malformed, "a TPM is provisioned with 1 to 256 counters");
    TPM2B_AUTH owner{};
    assign(owner, options.secrets.owner_auth);
    if (const auto code = Esys_TR_SetAuth(tpm.esys(), ESYS_TR_RH_OWNER, &owner); code != 0)
        return error(Errc::internal, "Esys_TR_SetAuth: " + describe(code));
    if (auto ok = tpm.flush_leftovers(); !ok) return ok.error();
    if (auto ok = clear_room(tpm, options); !ok) return ok.error();
    if (auto ok = make_key(tpm, options); !ok) return ok.error();
    auto key = read_key(tpm, options.layout.key_handle);
    if (!key) return key.error();
    std::vector<PublicIdentity> out;
    for (std::size_t place = 0; place < options.counters; ++place) {
        if (auto ok = make_counter(tpm, options, place); !ok) return ok.error();
        const auto index = options.layout.first_index + static_cast<std::uint32_t>(place);
        auto counter = read_counter(tpm, index);
        if (!counter) return counter.error();
        auto value = read_value(tpm, index, options.secrets.counter_auth(index));
        if (!value) return value.error();
        out.push_back({Scheme::tpm2_a4s, *key, *counter, *value});
        if (auto ok = out.back().check(); !ok) return ok.error();
    }
    return out;
}

Result<void> unprovision(Connection& tpm, const ProvisionOptions& options) {
    TPM2B_AUTH owner{};
    assign(owner, options.secrets.owner_auth);
    if (const auto code = Esys_TR_SetAuth(tpm.esys(), ESYS_TR_RH_OWNER, &owner); code != 0)
        return error(Errc::internal, "Esys_TR_SetAuth: " + describe(code));
    ProvisionOptions all = options;
    all.replace = true;
    return clear_room(tpm, all);
}

// --- secrets ---

Digest TpmSecrets::key_auth() const {
    return hmac_sha256(seed.view(), Digester("usig-key-auth").finish().view());
}

Digest TpmSecrets::counter_auth(std::uint32_t nv_index) const {
    return hmac_sha256(seed.view(), Digester("usig-counter-auth").u32(nv_index).finish().view());
}

Result<TpmSecrets> TpmSecrets::generate() {
    TpmSecrets out;
    if (RAND_bytes(out.seed.bytes.data(), static_cast<int>(out.seed.bytes.size())) != 1)
        return error(Errc::internal, "no random bytes from OpenSSL");
    return out;
}

Result<void> TpmSecrets::save(const std::filesystem::path& file) const {
    const auto text = "seed " + hex(seed) + "\nowner " + hex(owner_auth) + "\nendorsement " +
                      hex(endorsement_auth) + "\n";
    const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error(Errc::io, "cannot create " + file.string() + ": " + std::strerror(errno));
    const bool written = ::write(fd, text.data(), text.size()) == std::ssize(text);
    const bool synced = ::fsync(fd) == 0;
    ::close(fd);
    if (!written || !synced) return error(Errc::io, "cannot write " + file.string());
    return {};
}

Result<TpmSecrets> TpmSecrets::load(const std::filesystem::path& file) {
    struct ::stat status {};
    if (::stat(file.c_str(), &status) != 0)
        return error(Errc::not_found, "TPM secrets file " + file.string() + " is missing");
    if (!is_closed(file, status.st_mode))
        return error(Errc::refused, "TPM secrets file " + file.string() +
                                        " is open to others; set its mode to 0600");
    std::ifstream in(file);
    TpmSecrets out;
    bool has_seed = false;
    for (std::string line; std::getline(in, line);) {
        const auto space = std::min(line.find(' '), line.size());
        const auto value =
            from_hex(std::string_view(line).substr(std::min(space + 1, line.size())));
        const auto name = line.substr(0, space);
        const auto digest = value ? Digest::from(*value) : std::nullopt;
        if (name == "seed" && digest) {
            out.seed = *digest;
            has_seed = true;
        } else if (name == "owner" && value) {
            out.owner_auth = *value;
        } else if (name == "endorsement" && value) {
            out.endorsement_auth = *value;
        } else {
            return error(Errc::malformed,
                         "TPM secrets file " + file.string() + ": bad line '" + name + "'");
        }
    }
    if (!has_seed)
        return error(Errc::malformed, "TPM secrets file " + file.string() + " has no seed");
    return out;
}

}  // namespace bft::usig

#include "usig/verifier.hpp"

#include "base/freed.hpp"
#include "base/sha256.hpp"
#include "usig/a4s.hpp"
#include "usig/byte_writer.hpp"
#include "usig/software_usig.hpp"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <sodium.h>

namespace bft::usig {

namespace {

using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>>;

/// nullptr where the point is not on the curve.
Key p256_key(ByteView x, ByteView y) {
    Bytes point{0x04};
    point.insert(point.end(), x.begin(), x.end());
    point.insert(point.end(), y.begin(), y.end());
    char curve[] = "P-256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, curve, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()),
        OSSL_PARAM_construct_end()};
    KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
    EVP_PKEY* key = nullptr;
    if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY,
                          const_cast<OSSL_PARAM*>(parameters)) != 1)
        return nullptr;
    Key owned(key);
    KeyContext check(EVP_PKEY_CTX_new(owned.get(), nullptr));
    if (!check || EVP_PKEY_public_check(check.get()) != 1) return nullptr;
    return owned;
}

/// ECDSA-Sig-Value: SEQUENCE { INTEGER r, INTEGER s }.
Bytes der_signature(ByteView r, ByteView s) {
    const auto integer = [](Bytes& out, ByteView value) {
        while (value.size() > 1 && value[0] == 0) value = value.subspan(1);
        const bool pad = (value[0] & 0x80) != 0;
        out.push_back(0x02);
        out.push_back(static_cast<std::uint8_t>(value.size() + (pad ? 1 : 0)));
        if (pad) out.push_back(0);
        out.insert(out.end(), value.begin(), value.end());
    };
    Bytes body;
    integer(body, r);
    integer(body, s);
    Bytes out{0x30, static_cast<std::uint8_t>(body.size())};
    out.insert(out.end(), body.begin(), body.end());
    return out;
}

}  // namespace

struct PreparedIdentity::State {
    PublicIdentity identity;
    Key key;  ///< P-256; of no use for a software USIG
    Bytes counter_name;
    Bytes qualified_signer;  ///< 000b . H(TPM_RH_OWNER . key name): proves the hierarchy

    [[nodiscard]] bool verify_a4s(const consensus::Ui& ui, const Digest& digest) const;
    [[nodiscard]] bool verify_software(const consensus::Ui& ui, const Digest& digest) const;
};

bool PreparedIdentity::State::verify_a4s(const consensus::Ui& ui, const Digest& digest) const {
    const auto certificate = a4s::Certificate::decode(ui.certificate);
    if (!certificate) return false;
    const auto first = identity.first_value;
    // The log starts at n - k, so n - k must be a value that the pinned counter has had.
    if (ui.cv.value == 0 || ui.voids >= ui.cv.value || ui.voids >= a4s::increments_max)
        return false;
    if (ui.cv.value > UINT64_MAX - first || certificate->value != first + ui.cv.value) return false;
    if (certificate->increments != ui.voids + 1) return false;
    const auto session = a4s::session_digest(counter_name, *certificate, digest);
    const auto signed_digest = sha256(a4s::audit_attestation(
        qualified_signer, session, certificate->exclusive, certificate->audit));
    const auto signature = der_signature(certificate->r, certificate->s);
    KeyContext context(EVP_PKEY_CTX_new(key.get(), nullptr));
    return context && EVP_PKEY_verify_init(context.get()) == 1 &&
           EVP_PKEY_verify(context.get(), signature.data(), signature.size(),
                           signed_digest.bytes.data(), signed_digest.bytes.size()) == 1;
}

bool PreparedIdentity::State::verify_software(const consensus::Ui& ui, const Digest& digest) const {
    if (ui.cv.value == 0 || ui.voids != 0 || ui.certificate.size() != crypto_sign_BYTES)
        return false;
    const auto signed_digest = software_signed_digest(identity, ui, digest);
    return crypto_sign_verify_detached(ui.certificate.data(), signed_digest.bytes.data(),
                                       signed_digest.bytes.size(), identity.key.data()) == 0;
}

PreparedIdentity::PreparedIdentity(std::unique_ptr<const State> state) : state_(std::move(state)) {}
PreparedIdentity::PreparedIdentity(PreparedIdentity&&) noexcept = default;
PreparedIdentity& PreparedIdentity::operator=(PreparedIdentity&&) noexcept = default;
PreparedIdentity::~PreparedIdentity() = default;

Result<PreparedIdentity> PreparedIdentity::prepare(const PublicIdentity& identity,
                                                   AllowSoftware software) {
    if (auto ok = identity.check(); !ok) return ok.error();
    auto state = std::make_unique<State>();
    state->identity = identity;
    if (identity.scheme == Scheme::software) {
        if (software == AllowSoftware::no)
            return error(Errc::refused,
                         "the identity is a software USIG, which proves nothing; it is taken only "
                         "with --insecure-software-usig");
    } else {
        ByteReader in(ByteView(identity.key).subspan(20));
        const auto x = in.sized();
        const auto y = in.sized();
        state->key = p256_key(x, y);
        if (!state->key)
            return error(Errc::malformed, "USIG identity: the key is not a point of its curve");
        state->counter_name = identity.counter_name();
        const auto inner =
            ByteWriter().put(std::uint32_t{0x40000001}).raw(identity.key_name()).take();
        state->qualified_signer =
            ByteWriter().put(std::uint16_t{0x000b}).raw(sha256(inner).view()).take();
    }
    return PreparedIdentity(std::move(state));
}

bool PreparedIdentity::verify(const consensus::Ui& ui, const Digest& digest) const {
    return state_->identity.scheme == Scheme::software ? state_->verify_software(ui, digest)
                                                       : state_->verify_a4s(ui, digest);
}

Result<Verifier> Verifier::make(const std::vector<PublicIdentity>& identities,
                                AllowSoftware software) {
    Verifier verifier(software);
    for (std::uint32_t i = 0; i < identities.size(); ++i)
        if (auto added = verifier.add(UsigId(i), identities[i]); !added)
            return error(added.error().code,
                         "USIG identity " + std::to_string(i) + ": " + added.error().what);
    return verifier;
}

Result<void> Verifier::add(UsigId id, const PublicIdentity& identity) {
    auto prepared = PreparedIdentity::prepare(identity, software_);
    if (!prepared) return prepared.error();
    std::unique_lock lock(known_->mutex);
    auto [counter, fresh] =
        known_->counters.try_emplace(std::pair(identity.key, identity.counter), id);
    if (!fresh && counter->second != id)
        return error(Errc::refused, "the same counter is pinned twice");
    if (known_->prepared.contains(id)) {
        if (!fresh) return {};
        known_->counters.erase(counter);
        return error(Errc::refused, "another counter has this id");
    }
    known_->prepared.emplace(id, std::move(*prepared));
    return {};
}

bool Verifier::verify(UsigId identity, const consensus::Ui& ui, const Digest& digest) const {
    std::shared_lock lock(known_->mutex);
    auto found = known_->prepared.find(identity);
    return found != known_->prepared.end() && found->second.verify(ui, digest);
}

bool verify(const PublicIdentity& identity, const consensus::Ui& ui, const Digest& digest,
            AllowSoftware software) {
    const auto prepared = PreparedIdentity::prepare(identity, software);
    return prepared && prepared->verify(ui, digest);
}

}  // namespace bft::usig

#include "node/enrolment.hpp"

namespace bft::node {

Result<TpmTrust> TpmTrust::make(const std::vector<std::filesystem::path>& authority_files,
                                const std::vector<std::string>& keys) {
    TpmTrust trust;
    auto authorities = usig::EndorsementAuthorities::load(authority_files);
    if (!authorities) return authorities.error();
    trust.authorities = std::move(*authorities);
    for (const std::string& key : keys) {
        const std::size_t equals = std::min(key.find('='), key.size());
        const auto bytes = from_hex(std::string_view(key).substr(std::min(equals + 1, key.size())));
        const auto fingerprint = bytes ? Digest::from(*bytes) : std::nullopt;
        if (equals == 0 || !fingerprint)
            return error(Errc::malformed,
                         "'" + key + "' is not HOST=FINGERPRINT, with 64 hexadecimal digits");
        trust.fingerprints[key.substr(0, equals)] = *fingerprint;
    }
    trust.wanted = !authority_files.empty() || !keys.empty();
    return trust;
}

namespace {

/// Which endorsement key is believed, and why.
Result<Enrolment> vouch(const usig::Endorsement& endorsement, const std::string& host,
                        const TpmTrust& trust, usig::EndorsementKey& key) {
    const Digest shown = endorsement.key.fingerprint();
    if (auto known = trust.fingerprints.find(host); known != trust.fingerprints.end()) {
        if (known->second != shown)
            return error(Errc::refused, "its endorsement key is " + hex(shown) + ", not " +
                                            hex(known->second) + ": this is another TPM");
        key = endorsement.key;
        return Enrolment{shown, "its fingerprint", {}};
    }
    const std::string give = "; when you know by other means that this TPM is real, say --tpm-ek " +
                             host + "=" + hex(shown);
    if (endorsement.certificate.empty())
        return error(Errc::refused, "its TPM has no certificate of its manufacturer" + give);
    auto certified = trust.authorities.check(endorsement.certificate);
    if (!certified) return error(certified.error().code, certified.error().what + give);
    // Of the certificate, not of what the host says.
    key = certified->key;
    return Enrolment{key.fingerprint(), certified->subject, endorsement.certificate};
}

}  // namespace

Result<Enrolment> enrol(usig::Connection& tpm, const usig::TpmSecrets& secrets,
                        const usig::TpmLayout& layout, const usig::PublicIdentity& identity,
                        const std::string& host, const TpmTrust& trust) {
    if (identity.scheme != usig::Scheme::tpm2_a4s)
        return error(Errc::refused, "its counters are made by software: there is no TPM");
    if (auto sound = identity.check(); !sound) return sound.error();
    auto endorsement = usig::read_endorsement(tpm, secrets.endorsement_auth);
    if (!endorsement) return endorsement.error();
    usig::EndorsementKey key;
    auto enrolment = vouch(*endorsement, host, trust, key);
    if (!enrolment) return enrolment;
    auto challenge = usig::make_challenge(key, identity.key_name());
    if (!challenge) return challenge.error();
    auto answer = usig::answer_challenge(tpm, key.kind, secrets.endorsement_auth, layout.key_handle,
                                         secrets.key_auth().view(), *challenge);
    if (!answer) return answer.error();
    if (Digest::from(*answer) != challenge->answer)
        return error(Errc::refused, "its TPM gives a wrong answer");
    return enrolment;
}

}  // namespace bft::node

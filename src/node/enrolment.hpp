// Is a host's USIG key in a TPM that somebody vouches for? For `bftctl init` and `bftctl enroll`
// (docs/adr/0021).
#pragma once

#include "base/result.hpp"
#include "usig/endorsement.hpp"
#include "usig/provision.hpp"
#include "usig/public_identity.hpp"

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace bft::node {

/// Whom the operator believes.
struct TpmTrust {
    usig::EndorsementAuthorities authorities;
    std::map<std::string, Digest> fingerprints;  ///< host -> its endorsement key, written down
    bool wanted = false;                         ///< nothing was given: nothing is checked

    /// `keys`: HOST=FINGERPRINT, 64 hexadecimal digits. Errc::malformed, Errc::not_found.
    static Result<TpmTrust> make(const std::vector<std::filesystem::path>& authority_files,
                                 const std::vector<std::string>& keys);
};

struct Enrolment {
    Digest fingerprint;  ///< of the endorsement key
    std::string vouched_by;
    Bytes certificate;  ///< empty: by fingerprint
};

/// Challenges the TPM behind `tpm`, which is not believed, to show that it holds `identity`'s key
/// together with an endorsement key that `trust` has. Errc::refused says why not, with the
/// fingerprint to write down where nobody vouches for it.
Result<Enrolment> enrol(usig::Connection& tpm, const usig::TpmSecrets& secrets,
                        const usig::TpmLayout& layout, const usig::PublicIdentity& identity,
                        const std::string& host, const TpmTrust& trust);

}  // namespace bft::node

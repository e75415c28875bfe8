// Verifiers of a claimed audit log, the real one and weakened ones, and what each was led to
// believe.
#pragma once

#include "attacker.hpp"

#include <map>
#include <set>
#include <string>

namespace bft::usig::test {

enum class Check {
    real,              ///< usig::verify
    no_first_read,     ///< does not ask for the reading before the increment
    any_first_read,    ///< asks for it, and does not compare its value
    loose_end,         ///< lets other readings stand between the increment and the digest
    audit_qualifying,  ///< takes the digest from the attestation's qualifying data
    uncounted_void,    ///< believes any number of voids that the values allow
};
inline constexpr Check weakened[] = {Check::no_first_read, Check::any_first_read, Check::loose_end,
                                     Check::audit_qualifying, Check::uncounted_void};
const char* name_of(Check check);

class Oracle {
public:
    explicit Oracle(const PublicIdentity& identity);

    /// Shows one signed log to every verifier.
    void submit(const Attestation& attestation);

    /// Was the verifier led to two digests for one value, or to a digest for a void value?
    [[nodiscard]] bool broken(Check check) const { return beliefs_.at(check).broken; }
    [[nodiscard]] std::string story(Check check) const { return beliefs_.at(check).story; }
    [[nodiscard]] std::size_t accepted(Check check) const {
        return beliefs_.at(check).digests.size();
    }
    [[nodiscard]] std::size_t voids(Check check) const { return beliefs_.at(check).voids.size(); }
    [[nodiscard]] std::size_t submitted() const { return submitted_; }

private:
    struct Beliefs {
        std::map<std::uint64_t, Digest> digests;
        std::set<std::uint64_t> voids;
        bool broken = false;
        std::string story;
    };
    /// value, digest, voids before it.
    void believe(Check check, std::uint64_t value, const Digest& digest, std::uint64_t voids);
    void submit_real(const Attestation& attestation);
    void submit_weak(Check check, const Attestation& attestation);

    PublicIdentity identity_;
    PreparedIdentity prepared_;
    std::map<Check, Beliefs> beliefs_;
    std::size_t submitted_ = 0;
};

}  // namespace bft::usig::test

// Every attack on the counter and its session that docs/adr/0001 names, against a real TPM.
#include "attacker.hpp"
#include "swtpm.hpp"
#include "usig/tpm2.hpp"
#include "usig/verifier.hpp"

#include <gtest/gtest.h>

namespace bft::usig::test {
namespace {

const Digest one = message("one");
const Digest two = message("two");

class Attack : public testing::Test {
protected:
    Host host_{2};
    Attacker attacker_{host_.tpm.tcti(), host_.options};
    const PublicIdentity& identity_ = host_.identities[0];

    [[nodiscard]] bool accepted(const consensus::Ui& ui, const Digest& digest) const {
        return verify(identity_, ui, digest);
    }
    /// Whatever k, value and stamps are claimed for it, from anything that the log holds.
    [[nodiscard]] bool any_claim_accepted(const Attestation& attestation,
                                          const Digest& digest) const {
        for (const auto& first : attestation.log)
            for (const auto& last : attestation.log)
                for (std::uint16_t k = 1; k <= 4; ++k)
                    for (std::uint64_t value = last.value; value <= last.value + 2; ++value) {
                        auto parts = attestation.parts;
                        parts.before = first.stamp;
                        parts.after = last.stamp;
                        parts.increments = k;
                        parts.value = value;
                        const consensus::Ui ui{Counter(value - identity_.first_value), k - 1u,
                                               parts.encode()};
                        if (accepted(ui, digest)) return true;
                    }
        return false;
    }
    Attestation honest(const Digest& digest, std::uint32_t session) {
        EXPECT_TRUE(attacker_.certify(session, {}, true));
        EXPECT_TRUE(attacker_.increment(session));
        EXPECT_TRUE(attacker_.certify(session, digest.view()));
        return attacker_.attest(session).value();
    }
};

TEST_F(Attack, TheRigMakesGoodCertificatesWhenItIsHonest) {
    const auto attestation = honest(one, attacker_.session());
    const auto ui = Attacker::claim(identity_, attestation);
    EXPECT_EQ(ui.cv, Counter(1));
    EXPECT_TRUE(accepted(ui, one));
    EXPECT_TRUE(any_claim_accepted(attestation, one));
    EXPECT_FALSE(any_claim_accepted(attestation, two));
}

TEST_F(Attack, RepeatedAttestationSaysTheSame) {
    const auto session = attacker_.session();
    honest(one, session);
    const auto again = attacker_.attest(session).value();
    EXPECT_TRUE(accepted(Attacker::claim(identity_, again), one));
    EXPECT_FALSE(any_claim_accepted(again, two));
    // With the other digest as qualifying data, which is what a naive USIG would look at.
    EXPECT_FALSE(any_claim_accepted(attacker_.attest(session, two.view()).value(), two));
    EXPECT_FALSE(any_claim_accepted(attacker_.attest(session, two.view()).value(), one));
}

TEST_F(Attack, TwoCertifiesAfterOneIncrement) {
    const auto session = attacker_.session();
    const auto good = honest(one, session);
    ASSERT_TRUE(attacker_.certify(session, two.view()));
    const auto second = attacker_.attest(session).value();
    EXPECT_FALSE(any_claim_accepted(second, two));
    EXPECT_FALSE(any_claim_accepted(second, one));
    // Nor with the reading moved behind the increment.
    ASSERT_TRUE(attacker_.certify(session, {}, true));
    ASSERT_TRUE(attacker_.certify(session, two.view()));
    EXPECT_FALSE(any_claim_accepted(attacker_.attest(session).value(), two));
    EXPECT_TRUE(accepted(Attacker::claim(identity_, good), one));
}

TEST_F(Attack, InterleavedSessions) {
    const auto a = attacker_.session();
    const auto b = attacker_.session();
    ASSERT_TRUE(attacker_.certify(a, {}, true));
    ASSERT_TRUE(attacker_.certify(b, {}, true));
    ASSERT_TRUE(attacker_.increment(a));
    ASSERT_TRUE(attacker_.increment(b));
    ASSERT_TRUE(attacker_.certify(a, one.view()));
    ASSERT_TRUE(attacker_.certify(b, two.view()));
    EXPECT_FALSE(any_claim_accepted(attacker_.attest(a).value(), one));
    EXPECT_FALSE(any_claim_accepted(attacker_.attest(b).value(), two));
    // One increment in both: the other session's log shows none.
    ASSERT_TRUE(attacker_.certify(a, {}, true));
    ASSERT_TRUE(attacker_.certify(b, {}, true));
    ASSERT_TRUE(attacker_.increment(a));
    ASSERT_TRUE(attacker_.certify(a, one.view()));
    ASSERT_TRUE(attacker_.certify(b, two.view()));
    EXPECT_TRUE(any_claim_accepted(attacker_.attest(a).value(), one));
    EXPECT_FALSE(any_claim_accepted(attacker_.attest(b).value(), two));
}

TEST_F(Attack, OtherCommandsInTheLog) {
    const auto session = attacker_.session();
    for (const int before : {1, 2, 3}) {
        ASSERT_TRUE(attacker_.certify(session, {}, true));
        if (before == 1) {
            ASSERT_TRUE(attacker_.audit_other(session));
        }
        ASSERT_TRUE(attacker_.increment(session));
        if (before == 2) {
            ASSERT_TRUE(attacker_.audit_other(session));
        }
        ASSERT_TRUE(attacker_.certify(session, one.view()));
        if (before == 3) {
            ASSERT_TRUE(attacker_.audit_other(session));
        }
        EXPECT_FALSE(any_claim_accepted(attacker_.attest(session).value(), one)) << before;
    }
}

TEST_F(Attack, LogWithoutReset) {
    const auto session = attacker_.session();
    honest(one, session);
    ASSERT_TRUE(attacker_.certify(session, {}));
    ASSERT_TRUE(attacker_.increment(session));
    ASSERT_TRUE(attacker_.certify(session, two.view()));
    EXPECT_FALSE(any_claim_accepted(attacker_.attest(session).value(), two));
}

TEST_F(Attack, ReplayedSessionContext) {
    const auto session = attacker_.session();
    ASSERT_TRUE(attacker_.certify(session, {}, true));
    ASSERT_TRUE(attacker_.increment(session));
    const auto log = attacker_.log(session);
    const auto context = attacker_.save(session);
    ASSERT_TRUE(context.has_value());
    const auto loaded = attacker_.load(*context, log);
    ASSERT_TRUE(loaded.has_value());
    ASSERT_TRUE(attacker_.certify(*loaded, one.view()));
    const auto good = attacker_.attest(*loaded).value();
    EXPECT_TRUE(accepted(Attacker::claim(identity_, good), one));
    // The copy made right behind the increment would certify a second digest.
    EXPECT_FALSE(attacker_.load(*context, log).has_value());
    attacker_.flush(*loaded);
    EXPECT_FALSE(attacker_.load(*context, log).has_value());
    // A later copy of the same session does not revive the earlier one.
    const auto fresh = attacker_.session();
    ASSERT_TRUE(attacker_.certify(fresh, {}, true));
    ASSERT_TRUE(attacker_.increment(fresh));
    const auto early = attacker_.save(fresh).value();
    const auto handle = attacker_.load(early, attacker_.log(fresh)).value();
    ASSERT_TRUE(attacker_.certify(handle, one.view()));
    ASSERT_TRUE(attacker_.save(handle).has_value());
    EXPECT_FALSE(attacker_.load(early, log).has_value());
}

TEST_F(Attack, ShadowIndexes) {
    // The same kind of counter at another place, and the same place with another kind of index.
    const auto session = attacker_.session();
    const auto other = attacker_.index(7);
    const TPMA_NV counter = (TPM2_NT_COUNTER << TPMA_NV_TPM2_NT_SHIFT) | TPMA_NV_AUTHWRITE |
                            TPMA_NV_AUTHREAD | TPMA_NV_NO_DA;
    const auto policy = ByteView(identity_.counter).subspan(12, 32);
    ASSERT_TRUE(attacker_.define(other, counter, policy));
    ASSERT_TRUE(attacker_.increment_aside(other));
    ASSERT_TRUE(attacker_.certify(session, {}, true, other));
    ASSERT_TRUE(attacker_.increment(session, false, other));
    ASSERT_TRUE(attacker_.certify(session, one.view(), false, other));
    EXPECT_FALSE(any_claim_accepted(attacker_.attest(session).value(), one));

    ASSERT_TRUE(attacker_.undefine(attacker_.index()));
    const TPMA_NV ordinary = TPMA_NV_AUTHWRITE | TPMA_NV_AUTHREAD | TPMA_NV_NO_DA;
    ASSERT_TRUE(attacker_.define(attacker_.index(), ordinary, policy));
    ASSERT_TRUE(attacker_.write(attacker_.index(), identity_.first_value));
    ASSERT_TRUE(attacker_.certify(session, {}, true));
    EXPECT_FALSE(attacker_.increment(session));
    ASSERT_TRUE(attacker_.write(attacker_.index(), identity_.first_value + 1));
    ASSERT_TRUE(attacker_.certify(session, one.view()));
    EXPECT_FALSE(any_claim_accepted(attacker_.attest(session).value(), one));

    // Orderly counters forget their maximum at Clear: another name, so nothing of theirs counts.
    ASSERT_TRUE(attacker_.undefine(attacker_.index()));
    ASSERT_TRUE(attacker_.define(attacker_.index(), counter | TPMA_NV_ORDERLY, policy));
    ASSERT_TRUE(attacker_.increment_aside());
    ASSERT_TRUE(attacker_.certify(session, {}, true));
    ASSERT_TRUE(attacker_.increment(session));
    ASSERT_TRUE(attacker_.certify(session, one.view()));
    EXPECT_FALSE(any_claim_accepted(attacker_.attest(session).value(), one));
}

TEST_F(Attack, UndefineAndRedefineGoesOnAbove) {
    const auto session = attacker_.session();
    const auto first = honest(one, session);
    const auto spent = attacker_.value();
    const auto policy = ByteView(identity_.counter).subspan(12, 32);
    ASSERT_TRUE(attacker_.undefine(attacker_.index()));
    ASSERT_TRUE(attacker_.define(attacker_.index(),
                                 (TPM2_NT_COUNTER << TPMA_NV_TPM2_NT_SHIFT) | TPMA_NV_AUTHWRITE |
                                     TPMA_NV_AUTHREAD | TPMA_NV_NO_DA,
                                 policy));
    // Not readable before its first increment, which goes above every earlier value of the TPM.
    EXPECT_FALSE(attacker_.certify(session, {}, true));
    ASSERT_TRUE(attacker_.increment_aside());
    EXPECT_GT(attacker_.value(), spent);
    const auto second = honest(two, session);
    const auto old_ui = Attacker::claim(identity_, first);
    const auto new_ui = Attacker::claim(identity_, second);
    EXPECT_GT(new_ui.cv, old_ui.cv.next());
    EXPECT_TRUE(accepted(new_ui, two));
    EXPECT_FALSE(accepted(new_ui, one));
}

TEST_F(Attack, RedefinitionInsideTheSandwich) {
    const auto session = attacker_.session();
    const auto policy = ByteView(identity_.counter).subspan(12, 32);
    ASSERT_TRUE(attacker_.certify(session, {}, true));
    ASSERT_TRUE(attacker_.undefine(attacker_.index()));
    ASSERT_TRUE(attacker_.define(attacker_.index(),
                                 (TPM2_NT_COUNTER << TPMA_NV_TPM2_NT_SHIFT) | TPMA_NV_AUTHWRITE |
                                     TPMA_NV_AUTHREAD | TPMA_NV_NO_DA,
                                 policy));
    // The increment that makes the index readable has the unwritten name, so it does not fit, and
    // the values between are claimed by nobody.
    ASSERT_TRUE(attacker_.increment(session));
    ASSERT_TRUE(attacker_.certify(session, one.view()));
    EXPECT_FALSE(any_claim_accepted(attacker_.attest(session).value(), one));
}

TEST_F(Attack, ClearKillsTheKey) {
    const auto session = attacker_.session();
    honest(one, session);
    ASSERT_TRUE(attacker_.clear());
    attacker_.forget_sessions();
    // The key is gone, and the same template gives another one under the new owner seed.
    const auto fresh = attacker_.session();
    EXPECT_FALSE(attacker_.attest(fresh).has_value());
    Bytes area;
    const auto again =
        attacker_.primary(TPM2_RH_OWNER,
                          TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                              TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                              TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT,
                          &area);
    ASSERT_TRUE(again.has_value());
    EXPECT_NE(area, identity_.key);
    const auto policy = ByteView(identity_.counter).subspan(12, 32);
    ASSERT_TRUE(attacker_.define(attacker_.index(),
                                 (TPM2_NT_COUNTER << TPMA_NV_TPM2_NT_SHIFT) | TPMA_NV_AUTHWRITE |
                                     TPMA_NV_AUTHREAD | TPMA_NV_NO_DA,
                                 policy));
    ASSERT_TRUE(attacker_.increment_aside());
    ASSERT_TRUE(attacker_.certify(fresh, {}, true));
    ASSERT_TRUE(attacker_.increment(fresh));
    ASSERT_TRUE(attacker_.certify(fresh, two.view()));
    const auto attestation = attacker_.attest(fresh, {}, *again);
    ASSERT_TRUE(attestation.has_value());
    EXPECT_FALSE(any_claim_accepted(*attestation, two));
    // A non-orderly counter keeps the maximum through Clear.
    EXPECT_GT(attacker_.value(), identity_.first_value + 1);
}

TEST_F(Attack, CommandAuditListAndHashAlgorithms) {
    // The command audit is another log; its list and algorithm do not reach the session's.
    const auto session = attacker_.session();
    EXPECT_EQ(attacker_.set_audit(TPM2_ALG_NULL, TPM2_CC_NV_Increment), 0u);
    EXPECT_EQ(attacker_.set_audit(TPM2_ALG_SHA1, 0), 0u);
    EXPECT_TRUE(accepted(Attacker::claim(identity_, honest(one, session)), one));
    attacker_.flush(session);
    for (const auto hash : {TPM2_ALG_SHA1, TPM2_ALG_SHA384}) {
        const auto other = attacker_.session(hash);
        ASSERT_NE(other, 0u);
        ASSERT_TRUE(attacker_.certify(other, {}, true));
        ASSERT_TRUE(attacker_.increment(other));
        ASSERT_TRUE(attacker_.certify(other, two.view()));
        const auto attestation = attacker_.attest(other);
        ASSERT_TRUE(attestation.has_value());
        EXPECT_FALSE(any_claim_accepted(*attestation, two));
        attacker_.flush(other);
    }
}

TEST_F(Attack, EverySingleBitOfACertificate) {
    const auto good = Attacker::claim(identity_, honest(one, attacker_.session()));
    const auto prepared = PreparedIdentity::prepare(identity_).value();
    ASSERT_TRUE(prepared.verify(good, one));
    for (std::size_t bit = 0; bit < good.certificate.size() * 8; ++bit) {
        auto bad = good;
        bad.certificate[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
        EXPECT_FALSE(prepared.verify(bad, one)) << "bit " << bit;
    }
    for (int bit = 0; bit < 256; ++bit) {
        auto digest = one;
        digest.bytes[static_cast<std::size_t>(bit) / 8] ^=
            static_cast<std::uint8_t>(1 << (bit % 8));
        EXPECT_FALSE(prepared.verify(good, digest));
    }
    for (int bit = 0; bit < 64; ++bit) {
        auto bad = good;
        bad.cv.value ^= std::uint64_t{1} << bit;
        EXPECT_FALSE(prepared.verify(bad, one));
    }
    for (int bit = 0; bit < 32; ++bit) {
        auto bad = good;
        bad.voids ^= 1u << bit;
        EXPECT_FALSE(prepared.verify(bad, one));
    }
    for (std::size_t size = 0; size < good.certificate.size(); ++size) {
        auto bad = good;
        bad.certificate.resize(size);
        EXPECT_FALSE(prepared.verify(bad, one));
    }
    auto longer = good;
    longer.certificate.push_back(0);
    EXPECT_FALSE(prepared.verify(longer, one));
}

TEST_F(Attack, GapsClaimedVoidThatAreNot) {
    const auto session = attacker_.session();
    const auto first = honest(one, session);
    const auto second = honest(two, session);
    auto lie = Attacker::claim(identity_, second);
    auto parts = a4s::Certificate::decode(lie.certificate).value();
    parts.increments = 2;
    parts.before = first.log.front().stamp;
    EXPECT_FALSE(accepted({lie.cv, 1, parts.encode()}, two));
    // A log that does hold two increments, with a certificate made between them in another session.
    const auto a = attacker_.session();
    ASSERT_TRUE(attacker_.certify(a, {}, true));
    const auto between = honest(one, session);
    ASSERT_TRUE(attacker_.increment(a));
    ASSERT_TRUE(attacker_.certify(a, two.view()));
    EXPECT_TRUE(accepted(Attacker::claim(identity_, between), one));
    EXPECT_FALSE(any_claim_accepted(attacker_.attest(a).value(), two));
    // Below the pinned first value nothing exists to be void.
    auto low = Attacker::claim(identity_, first);
    low.voids = 1;
    EXPECT_FALSE(accepted(low, one));
}

TEST_F(Attack, CertificateOfAnotherIndexHostOrCluster) {
    Host elsewhere(1);
    Attacker other(elsewhere.tpm.tcti(), elsewhere.options);
    const auto foreign = other.session();
    ASSERT_TRUE(other.certify(foreign, {}, true));
    ASSERT_TRUE(other.increment(foreign));
    ASSERT_TRUE(other.certify(foreign, one.view()));
    const auto attestation = other.attest(foreign).value();
    EXPECT_TRUE(verify(elsewhere.identities[0],
                       Attacker::claim(elsewhere.identities[0], attestation), one));
    EXPECT_FALSE(any_claim_accepted(attestation, one));

    const auto session = attacker_.session();
    ASSERT_TRUE(attacker_.certify(session, {}, true, attacker_.index(1)));
    ASSERT_TRUE(attacker_.increment(session, false, attacker_.index(1)));
    ASSERT_TRUE(attacker_.certify(session, one.view(), false, attacker_.index(1)));
    const auto neighbour = attacker_.attest(session).value();
    EXPECT_TRUE(verify(host_.identities[1], Attacker::claim(host_.identities[1], neighbour), one));
    EXPECT_FALSE(any_claim_accepted(neighbour, one));

    // Mixed logs: read one counter, increment the other.
    ASSERT_TRUE(attacker_.certify(session, {}, true));
    ASSERT_TRUE(attacker_.increment(session, false, attacker_.index(1)));
    ASSERT_TRUE(attacker_.certify(session, one.view()));
    EXPECT_FALSE(any_claim_accepted(attacker_.attest(session).value(), one));
}

TEST(AttackByPowerCut, LogsDoNotOutliveThePower) {
    Host host;
    for (int commands = 1; commands <= 3; ++commands) {
        std::optional<TPMS_CONTEXT> context;
        Log log;
        {
            Attacker attacker(host.tpm.tcti(), host.options);
            const auto session = attacker.session();
            ASSERT_TRUE(attacker.certify(session, {}, true));
            if (commands > 1) {
                ASSERT_TRUE(attacker.increment(session));
            }
            if (commands > 2) {
                ASSERT_TRUE(attacker.certify(session, one.view()));
            }
            log = attacker.log(session);
            context = attacker.save(session);
            ASSERT_TRUE(context.has_value());
        }
        host.tpm.power_cut();
        Attacker attacker(host.tpm.tcti(), host.options);
        EXPECT_FALSE(attacker.load(*context, log).has_value());
        // A new session, with the stamps that were seen before the cut.
        const auto session = attacker.session();
        ASSERT_TRUE(attacker.certify(session, two.view(), true));
        auto attestation = attacker.attest(session).value();
        attestation.log.insert(attestation.log.begin(), log.begin(), log.end());
        EXPECT_FALSE(
            verify(host.identities[0], Attacker::claim(host.identities[0], attestation), two));
    }
}

}  // namespace
}  // namespace bft::usig::test

// Attacks by the choice of the attestation key: what is pinned must not be able to lie.
#include "attacker.hpp"
#include "base/sha256.hpp"
#include "swtpm.hpp"
#include "usig/verifier.hpp"

#include <gtest/gtest.h>

namespace bft::usig::test {
namespace {

constexpr TPMA_OBJECT good_attributes =
    TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
    TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT;

class AttackByKey : public testing::Test {
protected:
    Host host_;
    Attacker attacker_{host_.tpm.tcti(), host_.options};
    const Digest digest_ = message("m");

    Attestation sandwich(TPM2_HANDLE key) {
        const auto session = attacker_.session();
        EXPECT_TRUE(attacker_.certify(session, {}, true));
        EXPECT_TRUE(attacker_.increment(session));
        EXPECT_TRUE(attacker_.certify(session, digest_.view()));
        return attacker_.attest(session, {}, key).value();
    }
    PublicIdentity pinned(const Bytes& key) {
        auto identity = host_.identities[0];
        identity.key = key;
        return identity;
    }
};

TEST_F(AttackByKey, AnotherHierarchyIsNotTheOwners) {
    // The template is right, so the key may be pinned; the qualified name in every certificate
    // gives the hierarchy away. Endorsement and platform keys survive Clear; a null key proves
    // nothing.
    for (const TPMI_RH_HIERARCHY hierarchy :
         {TPM2_RH_ENDORSEMENT, TPM2_RH_PLATFORM, TPM2_RH_NULL, TPM2_RH_OWNER}) {
        Bytes area;
        const auto key = attacker_.primary(hierarchy, good_attributes, &area);
        ASSERT_TRUE(key.has_value());
        const auto identity = pinned(area);
        ASSERT_TRUE(identity.check().has_value());
        const auto ui = Attacker::claim(identity, sandwich(*key));
        EXPECT_EQ(verify(identity, ui, digest_), hierarchy == TPM2_RH_OWNER);
        attacker_.flush(*key);
        ASSERT_TRUE(attacker_.tpm().flush_leftovers().has_value());
    }
}

TEST_F(AttackByKey, UnrestrictedKeysForgeAndAreRefused) {
    Bytes area;
    const auto key =
        attacker_.primary(TPM2_RH_OWNER, good_attributes & ~TPMA_OBJECT_RESTRICTED, &area);
    ASSERT_TRUE(key.has_value());
    auto identity = pinned(area);
    // The forgery: attestation bytes made by hand, signed as any digest.
    a4s::Certificate forged;
    forged.value = identity.first_value + 1;
    const auto name = identity.key_name();
    Bytes inner{0x40, 0x00, 0x00, 0x01};
    inner.insert(inner.end(), name.begin(), name.end());
    Bytes signer{0x00, 0x0b};
    const auto hash = sha256(inner);
    signer.insert(signer.end(), hash.bytes.begin(), hash.bytes.end());
    const auto session = a4s::session_digest(identity.counter_name(), forged, digest_);
    const auto attest = sha256(a4s::audit_attestation(signer, session, 0, forged.audit));
    ASSERT_TRUE(attacker_.sign(*key, attest, forged));
    const consensus::Ui ui{Counter(1), 0, forged.encode()};
    EXPECT_FALSE(verify(identity, ui, digest_));
    EXPECT_EQ(identity.check().error().code, Errc::refused);
    // The restricted key refuses to sign it.
    const auto good = attacker_.primary(TPM2_RH_OWNER, good_attributes);
    EXPECT_FALSE(attacker_.sign(*good, attest, forged));
}

TEST_F(AttackByKey, EveryOtherAttributeIsRefused) {
    for (unsigned bit = 0; bit < 32; ++bit) {
        auto identity = host_.identities[0];
        identity.key[7 - bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
        EXPECT_FALSE(identity.check().has_value()) << "key attribute bit " << bit;
        auto counter = host_.identities[0];
        counter.counter[9 - bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
        EXPECT_FALSE(counter.check().has_value()) << "counter attribute bit " << bit;
    }
    EXPECT_TRUE(host_.identities[0].check().has_value());
}

TEST_F(AttackByKey, ImportedKeysCannotHaveTheAttributes) {
    // A key whose private part was made outside carries neither fixedTPM nor sensitiveDataOrigin: a
    // TPM refuses to load it with them, and without them it is not pinned.
    TPM2B_SENSITIVE secret{};
    secret.sensitiveArea.sensitiveType = TPM2_ALG_ECC;
    secret.sensitiveArea.sensitive.ecc.size = 32;
    secret.sensitiveArea.sensitive.ecc.buffer[31] = 1;  // private key 1: the public point is G
    TPM2B_PUBLIC area{};
    auto& in = area.publicArea;
    in.type = TPM2_ALG_ECC;
    in.nameAlg = TPM2_ALG_SHA256;
    in.parameters.eccDetail.symmetric.algorithm = TPM2_ALG_NULL;
    in.parameters.eccDetail.scheme.scheme = TPM2_ALG_ECDSA;
    in.parameters.eccDetail.scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
    in.parameters.eccDetail.curveID = TPM2_ECC_NIST_P256;
    in.parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
    const auto x = from_hex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296");
    const auto y = from_hex("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5");
    in.unique.ecc.x.size = in.unique.ecc.y.size = 32;
    std::copy(x->begin(), x->end(), in.unique.ecc.x.buffer);
    std::copy(y->begin(), y->end(), in.unique.ecc.y.buffer);
    const auto load = [&](TPMA_OBJECT attributes, TPMI_RH_HIERARCHY hierarchy) {
        in.objectAttributes = attributes;
        TPM2_HANDLE handle = 0;
        TPM2B_NAME name{};
        name.size = sizeof name.name;
        return Tss2_Sys_LoadExternal(attacker_.tpm().sys(), nullptr, &secret, &area, hierarchy,
                                     &handle, &name, nullptr) == 0;
    };
    EXPECT_FALSE(load(good_attributes, TPM2_RH_OWNER));
    EXPECT_FALSE(load(good_attributes, TPM2_RH_NULL));
    EXPECT_TRUE(load(TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_SIGN_ENCRYPT, TPM2_RH_NULL));
}

}  // namespace
}  // namespace bft::usig::test

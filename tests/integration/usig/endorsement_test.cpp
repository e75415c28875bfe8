// Enrolment on real TPMs (swtpm), certified by swtpm_setup's own authority: who is taken, and who
// presents a key of another TPM.
#include "usig/endorsement.hpp"

#include "swtpm.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tss2/tss2_mu.h>

#include <cstdlib>
#include <fstream>

namespace bft::usig::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

/// A manufacturer: makes an authority of its own, and TPMs with certificates of it.
class Manufacturer {
public:
    Manufacturer() {
        const std::string at = folder_.path().string();
        write("localca.conf", "statedir = " + at + "\nsigningkey = " + at +
                                  "/signkey.pem\nissuercert = " + at +
                                  "/issuercert.pem\ncertserial = " + at + "/certserial\n");
        write("localca.options",
              "--platform-manufacturer test\n--platform-version 1\n--platform-model test\n");
        write("setup.conf",
              "create_certs_tool = /usr/bin/swtpm_localca\ncreate_certs_tool_config = " + at +
                  "/localca.conf\ncreate_certs_tool_options = " + at + "/localca.options\n");
    }
    void make(const fs::path& state) const {
        const std::string at = folder_.path().string();
        const std::string command = "swtpm_setup --tpm2 --tpmstate dir://" + state.string() +
                                    " --create-ek-cert --config " + at + "/setup.conf >" + at +
                                    "/log 2>&1";
        if (std::system(command.c_str()) != 0)
            throw std::runtime_error("swtpm_setup failed; is the package swtpm-tools installed?");
    }
    [[nodiscard]] EndorsementAuthorities authorities() const {
        return EndorsementAuthorities::load({folder_.path() / "issuercert.pem"}).value();
    }
    [[nodiscard]] fs::path folder() const { return folder_.path(); }

private:
    void write(const char* name, const std::string& text) const {
        std::ofstream(folder_.path() / name) << text;
    }
    TempFolder folder_;
};

/// A provisioned TPM of a manufacturer's; null: of nobody's.
struct Enrolled {
    explicit Enrolled(const Manufacturer* manufacturer)
        : tpm([manufacturer](const fs::path& state) {
              if (manufacturer != nullptr) manufacturer->make(state);
          }) {
        options.secrets = TpmSecrets::generate().value();
        options.label = message("test");
        connection = Connection::open(tpm.tcti()).value();
        identity = provision(*connection, options).value().front();
    }
    Result<Bytes> answer(const EndorsementKey& key, const Challenge& challenge) {
        return answer_challenge(*connection, key.kind, {}, options.layout.key_handle,
                                options.secrets.key_auth().view(), challenge);
    }

    Swtpm tpm;
    ProvisionOptions options;
    std::unique_ptr<Connection> connection;
    PublicIdentity identity;
};

class EndorsementTest : public testing::Test {
protected:
    static void SetUpTestSuite() {
        manufacturer = std::make_unique<Manufacturer>();
        certified = std::make_unique<Enrolled>(manufacturer.get());
        plain = std::make_unique<Enrolled>(nullptr);
    }
    static void TearDownTestSuite() {
        plain.reset();
        certified.reset();
        manufacturer.reset();
    }
    static std::unique_ptr<Manufacturer> manufacturer;
    static std::unique_ptr<Enrolled> certified, plain;
};
std::unique_ptr<Manufacturer> EndorsementTest::manufacturer;
std::unique_ptr<Enrolled> EndorsementTest::certified;
std::unique_ptr<Enrolled> EndorsementTest::plain;

TEST_F(EndorsementTest, ACertifiedTpmProvesItsKey) {
    const auto endorsement = read_endorsement(*certified->connection, {});
    ASSERT_TRUE(endorsement) << endorsement.error().what;
    ASSERT_FALSE(endorsement->certificate.empty());
    const auto known = manufacturer->authorities().check(endorsement->certificate);
    ASSERT_TRUE(known) << known.error().what;
    EXPECT_EQ(known->key, endorsement->key);
    EXPECT_EQ(known->key.kind, EndorsementKind::rsa_2048);
    EXPECT_FALSE(known->subject.empty());
    // Twice: what is loaded is removed again, and a TPM has room for three.
    for (int i = 0; i < 5; ++i) {
        const auto challenge = make_challenge(known->key, certified->identity.key_name());
        ASSERT_TRUE(challenge) << challenge.error().what;
        const auto answer = certified->answer(known->key, *challenge);
        ASSERT_TRUE(answer) << answer.error().what;
        EXPECT_EQ(Digest::from(*answer), challenge->answer);
    }
}

TEST_F(EndorsementTest, WithoutCertificateTheKeysFingerprintStandsForIt) {
    const auto endorsement = read_endorsement(*plain->connection, {});
    ASSERT_TRUE(endorsement) << endorsement.error().what;
    EXPECT_TRUE(endorsement->certificate.empty());
    EXPECT_EQ(endorsement->key.kind, EndorsementKind::ecc_p256);
    EXPECT_EQ(read_endorsement(*plain->connection, {})->key, endorsement->key) << "the same again";
    plain->tpm.power_cut();
    plain->connection = Connection::open(plain->tpm.tcti()).value();
    EXPECT_EQ(read_endorsement(*plain->connection, {})->key.fingerprint(),
              endorsement->key.fingerprint());
    const auto challenge = make_challenge(endorsement->key, plain->identity.key_name());
    ASSERT_TRUE(challenge) << challenge.error().what;
    const auto answer = plain->answer(endorsement->key, *challenge);
    ASSERT_TRUE(answer) << answer.error().what;
    EXPECT_EQ(Digest::from(*answer), challenge->answer);
}

// The attack that enrolment is for: the host shows the certificate of a real TPM, and pins a key
// that lives elsewhere, in software or in a TPM that it can roll back.
TEST_F(EndorsementTest, AKeyOfAnotherTpmIsRefused) {
    const auto real = read_endorsement(*certified->connection, {}).value();
    const auto challenge = make_challenge(real.key, plain->identity.key_name()).value();
    // The real one has the endorsement key and not the attestation key, the other one the reverse.
    EXPECT_EQ(certified->answer(real.key, challenge).error().code, Errc::refused);
    EXPECT_EQ(plain->answer(real.key, challenge).error().code, Errc::refused);
    // Another name wrapped into the answer does not help: it is under the integrity of the blob.
    const auto own = make_challenge(real.key, certified->identity.key_name()).value();
    auto mixed = own;
    mixed.blob = challenge.blob;
    EXPECT_FALSE(certified->answer(real.key, mixed));
}

// A TPM loads anybody's public area under its right name. It has no authorization to give for one,
// for it lacks the private part; and the pinned template has no policy either.
TEST_F(EndorsementTest, TheNameAloneIsNotTheKey) {
    Connection& tpm = *certified->connection;
    TPM2B_PUBLIC area{};
    std::size_t offset = 0;
    const Bytes& key = plain->identity.key;
    ASSERT_EQ(Tss2_MU_TPMT_PUBLIC_Unmarshal(key.data(), key.size(), &offset, &area.publicArea), 0u);
    ESYS_TR loaded = ESYS_TR_NONE;
    ASSERT_EQ(Esys_LoadExternal(tpm.esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, nullptr,
                                &area, ESYS_TR_RH_OWNER, &loaded),
              0u);
    TPM2_HANDLE handle = 0;
    ASSERT_EQ(Esys_TR_GetTpmHandle(tpm.esys(), loaded, &handle), 0u);
    TPM2B_NAME* name = nullptr;
    ASSERT_EQ(Esys_TR_GetName(tpm.esys(), loaded, &name), 0u);
    EXPECT_EQ(Bytes(name->name, name->name + name->size), plain->identity.key_name());
    Esys_Free(name);
    const auto real = read_endorsement(tpm, {}).value();
    const auto challenge = make_challenge(real.key, plain->identity.key_name()).value();
    const auto key_auth = plain->options.secrets.key_auth();
    for (const ByteView auth : {ByteView(), key_auth.view()}) {
        const auto answer = answer_challenge(tpm, real.key.kind, {}, handle, auth, challenge);
        ASSERT_FALSE(answer);
        EXPECT_EQ(answer.error().code, Errc::refused) << answer.error().what;
    }
    Esys_FlushContext(tpm.esys(), loaded);
    const auto own = make_challenge(real.key, certified->identity.key_name()).value();
    EXPECT_TRUE(certified->answer(real.key, own));
}

TEST_F(EndorsementTest, AChangedChallengeIsRefused) {
    const auto key = read_endorsement(*certified->connection, {}).value().key;
    const auto good = make_challenge(key, certified->identity.key_name()).value();
    for (std::size_t at = 0; at < good.blob.size(); at += 7) {
        auto bad = good;
        bad.blob[at] ^= 1;
        EXPECT_FALSE(certified->answer(key, bad)) << at;
    }
    auto bad = good;
    bad.secret[100] ^= 1;
    EXPECT_FALSE(certified->answer(key, bad));
    EXPECT_TRUE(certified->answer(key, good)) << "and the TPM is well afterwards";
}

TEST_F(EndorsementTest, OtherAuthoritiesDoNotVouch) {
    const auto endorsement = read_endorsement(*certified->connection, {}).value();
    const Manufacturer other;
    const Swtpm somebody([&](const fs::path& state) { other.make(state); });
    const auto unknown = other.authorities().check(endorsement.certificate);
    ASSERT_FALSE(unknown);
    EXPECT_THAT(unknown.error().what, HasSubstr("none of the given authorities"));
    EXPECT_FALSE(EndorsementAuthorities().check(endorsement.certificate));
    // Both together, as an operator with two kinds of machines has them.
    const auto both = EndorsementAuthorities::load(
        {other.folder() / "issuercert.pem", manufacturer->folder() / "issuercert.pem"});
    EXPECT_TRUE(both.value().check(endorsement.certificate));
}

TEST_F(EndorsementTest, HostileCertificates) {
    const auto authorities = manufacturer->authorities();
    const auto [key, good] = read_endorsement(*certified->connection, {}).value();
    std::size_t refused = 0;
    auto padded = good;
    padded.insert(padded.end(), 100, 0xff);
    EXPECT_TRUE(authorities.check(padded)) << "the index may be larger than the certificate";
    EXPECT_FALSE(authorities.check({}));
    for (std::size_t at = 0; at < good.size(); ++at) {
        auto bad = good;
        bad[at] ^= 1;
        const auto taken = authorities.check(bad);
        // Bits that no signature covers may be lenient; the key is never another one.
        EXPECT_TRUE(!taken || taken->key == key) << "byte " << at;
        refused += taken ? 0 : 1;
        EXPECT_FALSE(authorities.check(ByteView(good).first(at))) << at;
    }
    EXPECT_GT(refused + 8, good.size());
    // An authority's own certificate is not one of an endorsement key.
    const TempFolder folder;
    const std::string der = (folder.path() / "ca.der").string();
    ASSERT_EQ(std::system(("openssl x509 -outform DER -in " +
                           (manufacturer->folder() / "issuercert.pem").string() + " -out " + der)
                              .c_str()),
              0);
    std::ifstream ca(der, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(ca)), {});
    EXPECT_THAT(authorities.check(as_bytes(bytes)).error().what, HasSubstr("authority"));
    EXPECT_EQ(EndorsementAuthorities::load({folder.path() / "none.pem"}).error().code,
              Errc::not_found);
    std::ofstream(folder.path() / "empty.pem") << "nothing\n";
    EXPECT_EQ(EndorsementAuthorities::load({folder.path() / "empty.pem"}).error().code,
              Errc::malformed);
}

}  // namespace
}  // namespace bft::usig::test

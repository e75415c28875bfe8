#include "usig/tpm2.hpp"

#include "swtpm.hpp"
#include "usig/verifier.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace bft::usig::test {
namespace {

using testing::HasSubstr;

const Progress no_progress = [](ByteView) { return Result<void>{}; };

std::unique_ptr<Tpm2> open(const Host& host) {
    auto tpm =
        Tpm2::open({host.tpm.tcti(), host.options.secrets, host.options.layout}, host.wanted());
    EXPECT_TRUE(tpm.has_value()) << (tpm ? "" : tpm.error().what);
    return tpm ? std::move(*tpm) : nullptr;
}

TEST(Tpm2, CertifiesConsecutiveValuesThatVerify) {
    Host host;
    auto tpm = open(host);
    for (std::uint64_t n = 1; n <= 5; ++n) {
        const auto digest = message("m" + std::to_string(n));
        const auto ui = tpm->create(UsigId(0), digest, no_progress);
        ASSERT_TRUE(ui.has_value()) << ui.error().what;
        EXPECT_EQ(ui->cv, Counter(n));
        EXPECT_EQ(ui->voids, 0u);
        EXPECT_EQ(ui->certificate.size(), a4s::certificate_bytes);
        EXPECT_TRUE(verify(host.identities[0], *ui, digest));
        EXPECT_FALSE(verify(host.identities[0], *ui, message("other")));
    }
    EXPECT_EQ(*tpm->value(UsigId(0)), Counter(5));
}

TEST(Tpm2, CountersAreIsolated) {
    Host host(10);
    auto tpm = open(host);
    const auto verifier = Verifier::make(host.identities).value();
    for (std::uint32_t round = 1; round <= 3; ++round)
        for (std::uint32_t i = 0; i < 10; ++i) {
            const auto digest = message(std::to_string(i * 100 + round));
            const auto ui = tpm->create(UsigId(i), digest, no_progress);
            ASSERT_TRUE(ui.has_value()) << ui.error().what;
            EXPECT_EQ(ui->cv, Counter(round));
            for (std::uint32_t other = 0; other < 10; ++other)
                EXPECT_EQ(verifier.verify(UsigId(other), *ui, digest), other == i);
        }
}

TEST(Tpm2, VerifiesFromSeveralThreads) {
    Host host;
    auto tpm = open(host);
    const auto verifier = Verifier::make(host.identities).value();
    const auto digest = message("m");
    const auto ui = tpm->create(UsigId(0), digest, no_progress).value();
    std::vector<std::thread> threads;
    std::atomic<int> good = 0;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 25; ++i)
                if (verifier.verify(UsigId(0), ui, digest) &&
                    !verifier.verify(UsigId(0), ui, message("x")))
                    ++good;
        });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(good, 100);
}

TEST(Tpm2, GoesOnAfterRebootAndReconnection) {
    Host host;
    EXPECT_EQ(open(host)->create(UsigId(0), message("1"), no_progress)->cv, Counter(1));
    EXPECT_EQ(open(host)->create(UsigId(0), message("2"), no_progress)->cv, Counter(2));
    host.tpm.power_cut();
    const auto ui = open(host)->create(UsigId(0), message("3"), no_progress).value();
    EXPECT_EQ(ui.cv, Counter(3));
    EXPECT_TRUE(verify(host.identities[0], ui, message("3")));
}

TEST(Tpm2, LostValueIsProvenVoidByTheNextCertificate) {
    Host host(2);
    auto tpm = open(host);
    for (std::uint32_t lost = 1; lost <= 3; ++lost) {
        tpm->set_fault([](int step) -> Result<void> {
            if (step == 3) return error(Errc::io, "injected");
            return {};
        });
        EXPECT_FALSE(tpm->create(UsigId(0), message("lost"), no_progress).has_value());
    }
    tpm->set_fault({});
    // Another counter would overwrite the session's log.
    const auto other = tpm->create(UsigId(1), message("other"), no_progress);
    ASSERT_FALSE(other.has_value());
    EXPECT_EQ(other.error().code, Errc::unavailable);
    const auto ui = tpm->create(UsigId(0), message("kept"), no_progress);
    ASSERT_TRUE(ui.has_value()) << ui.error().what;
    EXPECT_EQ(ui->cv, Counter(4));
    EXPECT_EQ(ui->voids, 3u);
    EXPECT_TRUE(verify(host.identities[0], *ui, message("kept")));
    auto lie = *ui;
    lie.voids = 0;
    EXPECT_FALSE(verify(host.identities[0], lie, message("kept")));
    EXPECT_EQ(tpm->create(UsigId(1), message("other"), no_progress)->cv, Counter(1));
}

TEST(Tpm2, FailureOfAnyCommandIsResumedWithoutAGap) {
    Host host;
    auto tpm = open(host);
    std::uint64_t expected = 0;
    for (const int failing : {1, 2, 3, 4}) {
        Bytes note;
        const Progress keep = [&](ByteView bytes) {
            note = to_bytes(bytes);
            return Result<void>{};
        };
        const auto digest = message("at " + std::to_string(failing));
        tpm->set_fault([&](int step) -> Result<void> {
            if (step == failing) return error(Errc::io, "injected");
            return {};
        });
        ASSERT_FALSE(tpm->create(UsigId(0), digest, keep).has_value());
        tpm->set_fault({});
        const auto now = tpm->value(UsigId(0)).value();
        ASSERT_EQ(now.value, expected + (failing > 2 ? 1 : 0));
        const auto ui = failing > 2 ? tpm->resume(UsigId(0), digest, now, note)
                                    : tpm->create(UsigId(0), digest, keep);
        ASSERT_TRUE(ui.has_value()) << ui.error().what;
        EXPECT_EQ(ui->cv, Counter(++expected));
        EXPECT_EQ(ui->voids, 0u);
        EXPECT_TRUE(verify(host.identities[0], *ui, digest));
    }
}

TEST(Tpm2, SaysWhenTheTpmIsMissing) {
    const auto none = Connection::open("swtpm:path=/nonexistent/tpm.sock");
    ASSERT_FALSE(none.has_value());
    EXPECT_EQ(none.error().code, Errc::unavailable);
    EXPECT_THAT(none.error().what, HasSubstr("TPM missing"));
    const auto device = Connection::open("device:/nonexistent/tpmrm0");
    ASSERT_FALSE(device.has_value());
    EXPECT_THAT(device.error().what, HasSubstr("TPM missing"));
    EXPECT_THAT(Connection::open("mssim:host=127.0.0.1,port=1").error().what,
                HasSubstr("TPM missing"));
    EXPECT_EQ(Connection::open("swtpm:nonsense").error().code, Errc::malformed);
}

TEST(Tpm2, SaysWhenTheTpmIsBusy) {
    Host host;
    auto holder = open(host);
    ASSERT_NE(holder, nullptr);
    const auto second = Connection::open(host.tpm.tcti());
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code, Errc::unavailable);
    EXPECT_THAT(second.error().what, HasSubstr("TPM busy"));
    EXPECT_TRUE(holder->create(UsigId(0), message("m"), no_progress).has_value());
}

TEST(Tpm2, RefusesATpmOfAnotherCluster) {
    Host ours;
    Host theirs;
    const auto open_theirs = [&](const std::map<UsigId, PublicIdentity>& wanted) {
        return Tpm2::open({theirs.tpm.tcti(), theirs.options.secrets, theirs.options.layout},
                          wanted);
    };
    const auto wrong = open_theirs(ours.wanted());
    ASSERT_FALSE(wrong.has_value());
    EXPECT_EQ(wrong.error().code, Errc::refused);
    EXPECT_THAT(wrong.error().what, HasSubstr("TPM of another cluster"));

    // The same chip, enrolled again: an old cluster file must not fit.
    const auto old = theirs.wanted();
    theirs.options.replace = true;
    theirs.options.label = message("new cluster");
    {
        auto connection = Connection::open(theirs.tpm.tcti()).value();
        ASSERT_TRUE(provision(*connection, theirs.options).has_value());
    }
    EXPECT_THAT(open_theirs(old).error().what, HasSubstr("TPM of another cluster"));

    // A key that fits, a counter that does not.
    auto mixed = old;
    {
        auto connection = Connection::open(theirs.tpm.tcti()).value();
        mixed.at(UsigId(0)).key = read_key(*connection, theirs.options.layout.key_handle).value();
    }
    EXPECT_THAT(open_theirs(mixed).error().what, HasSubstr("counter's name"));
}

TEST(Tpm2, SaysWhenACounterOrTheKeyIsMissing) {
    Host host;
    auto two = host.wanted();
    auto second = host.identities[0];
    second.counter[3] = static_cast<std::uint8_t>(second.counter[3] + 1);
    two.emplace(UsigId(1), second);
    const auto index =
        Tpm2::open({host.tpm.tcti(), host.options.secrets, host.options.layout}, two);
    ASSERT_FALSE(index.has_value());
    EXPECT_EQ(index.error().code, Errc::not_found);
    EXPECT_THAT(index.error().what, HasSubstr("no NV index"));
    Swtpm empty;
    const auto key =
        Tpm2::open({empty.tcti(), host.options.secrets, host.options.layout}, host.wanted());
    ASSERT_FALSE(key.has_value());
    EXPECT_EQ(key.error().code, Errc::not_found);
    EXPECT_THAT(key.error().what, HasSubstr("no key"));
    const auto secrets = Tpm2::open(
        {host.tpm.tcti(), TpmSecrets::generate().value(), host.options.layout}, host.wanted());
    ASSERT_FALSE(secrets.has_value());
    EXPECT_THAT(secrets.error().what, HasSubstr("secrets"));
}

TEST(Tpm2, ProvisionsOnceUnlessAskedToReplace) {
    Host host(2);
    auto connection = Connection::open(host.tpm.tcti()).value();
    const auto again = provision(*connection, host.options);
    ASSERT_FALSE(again.has_value());
    EXPECT_EQ(again.error().code, Errc::refused);
    host.options.replace = true;
    const auto replaced = provision(*connection, host.options).value();
    ASSERT_EQ(replaced.size(), 2u);
    EXPECT_GT(replaced[0].first_value, host.identities[0].first_value);
    EXPECT_NE(replaced[0].epoch(), host.identities[0].epoch());
}

TEST(Tpm2, FlushesLeakedSessionsAtStart) {
    Host host;
    {
        auto connection = Connection::open(host.tpm.tcti()).value();
        const TPMT_SYM_DEF none{.algorithm = TPM2_ALG_NULL, .keyBits = {}, .mode = {}};
        for (int i = 0; i < 3; ++i) {
            ESYS_TR leaked = ESYS_TR_NONE;
            ASSERT_EQ(Esys_StartAuthSession(connection->esys(), ESYS_TR_NONE, ESYS_TR_NONE,
                                            ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, nullptr,
                                            i == 2 ? TPM2_SE_POLICY : TPM2_SE_HMAC, &none,
                                            TPM2_ALG_SHA256, &leaked),
                      0u);
        }
    }
    EXPECT_TRUE(open(host)->create(UsigId(0), message("m"), no_progress).has_value());
}

}  // namespace
}  // namespace bft::usig::test

// kill -9 and power cuts at each command, with the journal and a real swtpm.
#include "swtpm.hpp"
#include "usig/journal.hpp"
#include "usig/ledger.hpp"
#include "usig/tpm2.hpp"
#include "usig/verifier.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bft::usig::test {
namespace {

using testing::HasSubstr;

/// What the USIG service consists of, without the socket.
struct Process {
    std::unique_ptr<Tpm2> tpm;
    std::unique_ptr<FileJournal> journal;
    std::unique_ptr<Ledger> ledger;

    static Result<Process> start(const Host& host, const std::filesystem::path& folder) {
        Process out;
        auto tpm =
            Tpm2::open({host.tpm.tcti(), host.options.secrets, host.options.layout}, host.wanted());
        if (!tpm) return tpm.error();
        out.tpm = std::move(*tpm);
        auto journal = FileJournal::open(folder);
        if (!journal) return journal.error();
        out.journal = std::move(*journal);
        auto ledger = Ledger::open(*out.tpm, *out.journal);
        if (!ledger) return ledger.error();
        out.ledger = std::move(*ledger);
        return out;
    }

    Result<consensus::Ui> create(UsigId identity, const Digest& digest) {
        if (auto ok = ledger->intend(identity, digest); !ok) return ok.error();
        if (auto ok = ledger->sync(); !ok) return ok.error();
        auto ui = ledger->create(identity);
        if (auto ok = ledger->sync(); !ok) return ok.error();
        return ui;
    }
};

/// Certifies `before`, then dies by SIGKILL before command `step` of the certificate for `last`;
/// step 5: after the last command, before the certificate is kept; step 35: command 3 was performed
/// and its answer was lost.
void die_in_certificate(const Host& host, const std::filesystem::path& folder, int step) {
    const auto child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        auto process = Process::start(host, folder);
        if (!process || !process->create(UsigId(0), message("before"))) ::_exit(1);
        auto& ledger = *process->ledger;
        if (!ledger.intend(UsigId(0), message("last")) || !ledger.sync()) ::_exit(2);
        process->tpm->set_fault([step](int now) -> Result<void> {
            if (now == step) ::kill(::getpid(), SIGKILL);
            return {};
        });
        int notes = 0;
        const Progress watch = [&](ByteView note) {
            // The third note does not exist: step 5 dies below.
            if (++notes == 2 && step == 35) ::kill(::getpid(), SIGKILL);
            const auto key = hex(host.identities[0].epoch()) + "/note";
            Bytes record(8);
            record[7] = 2;  // cv
            record.insert(record.end(), note.begin(), note.end());
            return process->journal->put(key, record);
        };
        (void)process->tpm->create(UsigId(0), message("last"), watch);
        ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "exit " << WEXITSTATUS(status);
}

class KilledAt : public testing::TestWithParam<int> {};

TEST_P(KilledAt, ServiceIsResumedWithoutAHole) {
    const int step = GetParam();
    Host host;
    TempFolder folder;
    die_in_certificate(host, folder.path(), step);
    auto process = Process::start(host, folder.path());
    ASSERT_TRUE(process.has_value()) << process.error().what;
    EXPECT_EQ(process->ledger->trouble(UsigId(0)), std::nullopt);
    const auto last = process->ledger->last(UsigId(0)).value();
    ASSERT_TRUE(last.has_value());
    const bool spent = step > 2;
    EXPECT_EQ(last->digest, message(spent ? "last" : "before"));
    EXPECT_EQ(last->ui.cv, Counter(spent ? 2 : 1));
    EXPECT_TRUE(verify(host.identities[0], last->ui, last->digest));
    const auto next = process->create(UsigId(0), message("next"));
    ASSERT_TRUE(next.has_value()) << next.error().what;
    EXPECT_EQ(next->cv, Counter(spent ? 3 : 2));
    EXPECT_TRUE(verify(host.identities[0], *next, message("next")));
}

INSTANTIATE_TEST_SUITE_P(Command, KilledAt, testing::Values(1, 2, 3, 35, 4, 5));

class PowerCutAt : public testing::TestWithParam<int> {};

TEST_P(PowerCutAt, IsAHoleExactlyWhenTheValueWasSpent) {
    const int step = GetParam();
    Host host(2);
    TempFolder folder;
    die_in_certificate(host, folder.path(), step);
    host.tpm.power_cut();
    auto process = Process::start(host, folder.path());
    ASSERT_TRUE(process.has_value()) << process.error().what;
    if (step <= 2) {
        EXPECT_EQ(process->create(UsigId(0), message("next"))->cv, Counter(2));
    } else {
        const auto trouble = process->ledger->trouble(UsigId(0));
        ASSERT_TRUE(trouble.has_value());
        EXPECT_EQ(trouble->code, Errc::refused);
        EXPECT_THAT(trouble->what, HasSubstr("value 2 was spent on digest"));
        EXPECT_EQ(process->create(UsigId(0), message("next")).error().code, Errc::refused);
        EXPECT_FALSE(process->ledger->last(UsigId(0)).has_value());
    }
    // Other identities of the host are not touched.
    EXPECT_EQ(process->create(UsigId(1), message("other"))->cv, Counter(1));
}

INSTANTIATE_TEST_SUITE_P(Command, PowerCutAt, testing::Values(1, 2, 3, 4, 5));

TEST(Restart, RollbackOfTheTpmIsRefused) {
    Host host;
    TempFolder folder;
    host.tpm.stop();
    host.tpm.save_state("old");
    host.tpm.start();
    {
        auto process = Process::start(host, folder.path()).value();
        for (int i = 0; i < 3; ++i)
            ASSERT_TRUE(process.create(UsigId(0), message(std::to_string(i))).has_value());
    }
    host.tpm.restore_state("old");
    const auto process = Process::start(host, folder.path());
    ASSERT_FALSE(process.has_value());
    EXPECT_EQ(process.error().code, Errc::refused);
    EXPECT_THAT(process.error().what, HasSubstr("rolled back"));
}

TEST(Restart, LostJournalIsAmnesia) {
    Host host;
    TempFolder first;
    TempFolder second;
    ASSERT_TRUE(Process::start(host, first.path())->create(UsigId(0), message("m")).has_value());
    auto process = Process::start(host, second.path());
    ASSERT_TRUE(process.has_value()) << process.error().what;
    const auto trouble = process->ledger->trouble(UsigId(0));
    ASSERT_TRUE(trouble.has_value());
    EXPECT_THAT(trouble->what, HasSubstr("journal was lost"));
}

}  // namespace
}  // namespace bft::usig::test

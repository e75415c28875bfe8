#include "usig/ledger.hpp"

#include "fakes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bft::usig::test {
namespace {

using testing::HasSubstr;
constexpr UsigId id{0};

class LedgerTest : public testing::Test {
protected:
    FakeBackend backend_{2};
    MemoryJournal journal_;
    std::unique_ptr<Ledger> ledger_ = Ledger::open(backend_, journal_).value();

    Result<consensus::Ui> create(const std::string& text) {
        EXPECT_TRUE(ledger_->intend(id, message(text)).has_value());
        EXPECT_TRUE(ledger_->sync().has_value());
        return ledger_->create(id);
    }
    Result<void> restart() {
        ledger_.reset();
        auto again = Ledger::open(backend_, journal_);
        if (!again) return again.error();
        ledger_ = std::move(*again);
        return {};
    }
};

TEST_F(LedgerTest, IntentIsDurableBeforeTheIncrementAndTheCertificateAfterIt) {
    std::vector<std::string> trace;
    backend_.trace = journal_.trace = &trace;
    ASSERT_TRUE(create("m").has_value());
    ASSERT_TRUE(ledger_->sync().has_value());
    EXPECT_THAT(trace, testing::ElementsAre("put intent", "sync", "put note", "increment",
                                            "put last", "sync"));
}

TEST_F(LedgerTest, AFullDiskSpendsNoValueAndIsNotTheEnd) {
    ASSERT_TRUE(create("m").has_value());
    journal_.full = true;
    EXPECT_EQ(ledger_->intend(id, message("n")).error().code, Errc::exhausted);
    EXPECT_FALSE(ledger_->fatal().has_value());
    EXPECT_EQ(backend_.values[id], 1u);
    journal_.full = false;
    EXPECT_EQ(create("n")->cv, Counter(2));
}

TEST_F(LedgerTest, LastIsTheLastCertificateAlsoAfterARestart) {
    EXPECT_EQ(ledger_->last(id).value(), std::nullopt);
    const auto ui = create("m").value();
    EXPECT_EQ(ui.cv, Counter(1));
    EXPECT_EQ(ledger_->last(id).value(), (Certified{message("m"), ui}));
    ASSERT_TRUE(restart().has_value());
    EXPECT_EQ(ledger_->last(id).value(), (Certified{message("m"), ui}));
    EXPECT_EQ(ledger_->last(UsigId(1)).value(), std::nullopt);
    EXPECT_EQ(create("n")->cv, Counter(2));
}

TEST_F(LedgerTest, KilledAfterTheIncrementIsFinishedAtStart) {
    ASSERT_TRUE(create("m").has_value());
    journal_.written.erase(hex(backend_.identity(id).epoch()) + "/last");
    ASSERT_TRUE(restart().has_value());
    EXPECT_EQ(ledger_->last(id).value()->digest, message("m"));
    EXPECT_EQ(create("n")->cv, Counter(2));
}

TEST_F(LedgerTest, LostSessionIsAHoleOfThatIdentityOnly) {
    ASSERT_TRUE(ledger_->sync().has_value());
    ASSERT_TRUE(create("m").has_value());
    journal_.lose_unsynced();
    backend_.resumable = false;
    ASSERT_TRUE(restart().has_value());
    ASSERT_TRUE(ledger_->trouble(id).has_value());
    EXPECT_THAT(ledger_->trouble(id)->what, HasSubstr("value 1 was spent on digest"));
    EXPECT_EQ(ledger_->intend(id, message("n")).error().code, Errc::refused);
    EXPECT_EQ(ledger_->last(id).error().code, Errc::refused);
    EXPECT_EQ(ledger_->trouble(UsigId(1)), std::nullopt);
}

TEST_F(LedgerTest, AHoleThatIsProvenVoidIsLeftBehind) {
    ASSERT_TRUE(create("m").has_value());
    ASSERT_TRUE(ledger_->sync().has_value());
    backend_.fail_after = true;
    backend_.resumable = false;
    EXPECT_EQ(create("n").error().code, Errc::refused);
    ASSERT_TRUE(restart().has_value());
    const auto standing = ledger_->standing(id).value();
    EXPECT_EQ(standing.hole, Counter(2));
    EXPECT_EQ(standing.last->digest, message("m"));
    EXPECT_EQ(ledger_->forsake(id, Counter(1)).error().code, Errc::refused);
    EXPECT_EQ(ledger_->forsake(id, Counter(3)).error().code, Errc::refused);
    ASSERT_TRUE(ledger_->forsake(id, Counter(2)).has_value());
    EXPECT_TRUE(ledger_->forsake(id, Counter(2)).has_value());  // told again after a crash
    ASSERT_TRUE(restart().has_value());
    EXPECT_EQ(ledger_->standing(id).value(), (Standing{Certified{*ledger_->last(id).value()}, {}}));
    backend_.fail_after = false;
    EXPECT_EQ(create("o")->cv, Counter(3));
}

TEST_F(LedgerTest, RollbackRefusesTheWholeTpm) {
    ASSERT_TRUE(create("m").has_value());
    ASSERT_TRUE(create("n").has_value());
    backend_.values[id] = 1;
    const auto again = restart();
    ASSERT_FALSE(again.has_value());
    EXPECT_EQ(again.error().code, Errc::refused);
    EXPECT_THAT(again.error().what, HasSubstr("rolled back"));
}

TEST_F(LedgerTest, ForgottenValuesStopTheIdentity) {
    ASSERT_TRUE(create("m").has_value());
    backend_.values[id] = 4;
    ASSERT_TRUE(restart().has_value());
    EXPECT_THAT(ledger_->trouble(id)->what, HasSubstr("journal"));
    EXPECT_EQ(ledger_->intend(id, message("n")).error().code, Errc::refused);
}

TEST_F(LedgerTest, FailureBeforeTheIncrementCostsNothing) {
    backend_.fail_before = true;
    EXPECT_EQ(create("m").error().code, Errc::unavailable);
    backend_.fail_before = false;
    EXPECT_EQ(create("n")->cv, Counter(1));
    EXPECT_EQ(ledger_->last(id).value()->digest, message("n"));
}

TEST_F(LedgerTest, FailureAfterTheIncrementIsFinishedAtOnce) {
    backend_.fail_after = true;
    const auto ui = create("m");
    ASSERT_TRUE(ui.has_value()) << ui.error().what;
    EXPECT_EQ(ui->cv, Counter(1));
    backend_.resumable = false;
    EXPECT_EQ(create("n").error().code, Errc::refused);
    EXPECT_TRUE(ledger_->trouble(id).has_value());
    EXPECT_FALSE(ledger_->fatal().has_value());
}

TEST_F(LedgerTest, FailedDiskStopsEverything) {
    journal_.fail = true;
    EXPECT_EQ(ledger_->intend(id, message("m")).error().code, Errc::io);
    journal_.fail = false;
    EXPECT_TRUE(ledger_->fatal().has_value());
    EXPECT_FALSE(ledger_->sync().has_value());
    EXPECT_FALSE(ledger_->intend(UsigId(1), message("m")).has_value());
    EXPECT_EQ(backend_.values[id], 0u);
}

}  // namespace
}  // namespace bft::usig::test

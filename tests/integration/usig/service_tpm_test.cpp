// The service and its client over a real swtpm.
#include "swtpm.hpp"
#include "usig/service.hpp"
#include "usig/service_client.hpp"
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

constexpr std::uint32_t counters = 5;

class ServiceOnTpm : public testing::Test {
protected:
    Host host_{counters};
    TempFolder folder_;
    protocol::Tokens tokens_;
    std::unique_ptr<boost::asio::io_context> io_ = std::make_unique<boost::asio::io_context>();
    std::optional<Error> fatal_;

    void SetUp() override {
        for (std::uint32_t i = 0; i < counters; ++i)
            tokens_[UsigId(i)] = protocol::new_token().value();
    }
    [[nodiscard]] std::filesystem::path socket() const { return folder_.path() / "usig.sock"; }

    Result<std::unique_ptr<Service>> start(boost::asio::io_context& io) {
        auto tpm = Tpm2::open({host_.tpm.tcti(), host_.options.secrets, host_.options.layout},
                              host_.wanted());
        if (!tpm) return tpm.error();
        auto journal = FileJournal::open(folder_.path() / "journal");
        if (!journal) return journal.error();
        Service::Options options;
        options.socket = socket();
        options.tokens = tokens_;
        return Service::start(io, options, std::move(*tpm), std::move(*journal),
                              [this](const Error& e) { fatal_ = e; });
    }
    std::unique_ptr<ServiceClient> client() {
        ServiceClient::Options options;
        options.socket = socket();
        options.tokens = tokens_;
        options.backoff_min = std::chrono::milliseconds(1);
        options.backoff_max = std::chrono::milliseconds(20);
        return std::make_unique<ServiceClient>(*io_, options);
    }
    template <class Condition>
    void run_until(Condition condition) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        io_->restart();
        while (!condition()) {
            ASSERT_LT(std::chrono::steady_clock::now(), end) << "condition not met";
            io_->run_one_for(std::chrono::milliseconds(100));
        }
    }
    /// A service in a process of its own.
    pid_t spawn() {
        const auto child = ::fork();
        if (child != 0) return child;
        boost::asio::io_context io;
        const auto guard = boost::asio::make_work_guard(io);
        const auto service = start(io);
        if (!service) ::_exit(1);
        io.run();
        ::_exit(2);
    }
    static void kill_now(pid_t child) {
        ::kill(child, SIGKILL);
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSIGNALED(status));
    }
};

TEST_F(ServiceOnTpm, ManyCountersAtOnce) {
    auto service = start(*io_);
    ASSERT_TRUE(service.has_value()) << service.error().what;
    const auto verifier = Verifier::make(host_.identities).value();
    auto role = client();
    constexpr std::uint64_t each = 20;
    int answered = 0;
    std::vector<std::uint64_t> reached(counters);
    for (std::uint64_t n = 1; n <= each; ++n)
        for (std::uint32_t i = 0; i < counters; ++i) {
            const auto digest = message(std::to_string(i) + "/" + std::to_string(n));
            role->create(UsigId(i), digest, [&, i, n, digest](Result<consensus::Ui> ui) {
                ++answered;
                ASSERT_TRUE(ui.has_value()) << ui.error().what;
                EXPECT_EQ(ui->cv, Counter(n));
                EXPECT_EQ(ui->voids, 0u);
                EXPECT_TRUE(verifier.verify(UsigId(i), *ui, digest));
                reached[i] = ui->cv.value;
            });
        }
    run_until([&] { return answered == static_cast<int>(each * counters); });
    EXPECT_EQ(reached, std::vector<std::uint64_t>(counters, each));
}

TEST_F(ServiceOnTpm, KilledServiceNeverLosesAValue) {
    const auto verifier = Verifier::make(host_.identities).value();
    std::map<std::uint64_t, Digest> accepted;
    std::uint64_t number = 0;
    std::optional<Digest> intent;
    auto child = spawn();
    auto role = client();
    // Kills after a different number of answers each time, with the next create under way.
    for (int round = 0; round < 6; ++round) {
        for (int i = 0; i <= round; ++i) {
            bool answered = false;
            intent = message(std::to_string(++number));
            role->create(UsigId(0), *intent, [&](Result<consensus::Ui> ui) {
                answered = true;
                ASSERT_TRUE(ui.has_value()) << ui.error().what;
                EXPECT_TRUE(verifier.verify(UsigId(0), *ui, *intent));
                EXPECT_TRUE(accepted.emplace(ui->cv.value, *intent).second);
            });
            run_until([&] { return answered; });
        }
        // Under way when the service dies; sent for sure, answered or not.
        std::optional<Result<consensus::Ui>> lost;
        const auto digest = message(std::to_string(++number));
        role->create(UsigId(0), digest, [&](Result<consensus::Ui> ui) { lost = std::move(ui); });
        io_->restart();
        io_->poll_one();
        if (HasFatalFailure()) return;
        kill_now(child);
        child = spawn();
        run_until([&] { return lost.has_value(); });
        std::optional<Result<Standing>> last;
        role->last(UsigId(0), [&](auto result) { last = std::move(result); });
        run_until([&] { return last.has_value(); });
        ASSERT_TRUE(last->has_value()) << last->error().what;
        const auto& found = *(*last)->last;
        // The value is the lost one's or that of the one before: there is no third possibility.
        EXPECT_TRUE(verifier.verify(UsigId(0), found.ui, found.digest));
        if (found.digest == digest)
            accepted.emplace(found.ui.cv.value, digest);
        else
            EXPECT_EQ(accepted.at(found.ui.cv.value), found.digest);
    }
    kill_now(child);
    std::uint64_t expected = 0;
    for (const auto& [value, digest] : accepted) EXPECT_EQ(value, ++expected) << "a hole";
}

TEST_F(ServiceOnTpm, DeadTpmIsFatalAndSaidClearly) {
    auto service = start(*io_).value();
    auto role = client();
    std::optional<Result<consensus::Ui>> ui;
    role->create(UsigId(0), message("m"), [&](Result<consensus::Ui> one) { ui = std::move(one); });
    run_until([&] { return ui.has_value(); });
    ASSERT_TRUE((*ui).has_value());
    host_.tpm.stop();
    ui.reset();
    role->create(UsigId(0), message("n"), [&](Result<consensus::Ui> one) { ui = std::move(one); });
    run_until([&] { return ui.has_value() && fatal_.has_value(); });
    EXPECT_EQ(ui->error().code, Errc::unavailable);
    EXPECT_THAT(fatal_->what, HasSubstr("TPM"));
    // After a restart of both, nothing is lost: the value was not spent.
    service.reset();
    host_.tpm.start();
    service = start(*io_).value();
    EXPECT_TRUE(service->troubles().empty());
    // The first attempt may meet the old connection.
    do {
        ui.reset();
        role->create(UsigId(0), message("o"),
                     [&](Result<consensus::Ui> one) { ui = std::move(one); });
        run_until([&] { return ui.has_value(); });
        ASSERT_TRUE(ui.has_value());
    } while (!*ui && ui->error().code == Errc::unavailable);
    ASSERT_TRUE(ui->has_value()) << ui->error().what;
    EXPECT_EQ((*ui)->cv, Counter(2));
}

}  // namespace
}  // namespace bft::usig::test

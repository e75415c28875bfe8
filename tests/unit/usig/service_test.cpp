#include "usig/service.hpp"

#include "fakes.hpp"
#include "usig/service_client.hpp"
#include "usig/software_usig.hpp"
#include "usig/verifier.hpp"

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>

namespace bft::usig::test {
namespace {

using testing::HasSubstr;

class ServiceTest : public testing::Test {
protected:
    TempFolder folder_;
    boost::asio::io_context io_;
    std::filesystem::path file_ = folder_.path() / "keys";
    std::vector<PublicIdentity> identities_ = SoftwareUsig::provision(file_, 2).value();
    protocol::Tokens tokens_{{UsigId(0), protocol::new_token().value()},
                             {UsigId(1), protocol::new_token().value()}};
    std::map<UsigId, std::optional<Error>> states_;

    Service::Options options() {
        Service::Options out;
        out.socket = folder_.path() / "usig.sock";
        out.tokens = tokens_;
        return out;
    }
    Result<std::unique_ptr<Service>> start() {
        auto backend =
            SoftwareUsig::open(file_, {{UsigId(0), identities_[0]}, {UsigId(1), identities_[1]}});
        if (!backend) return backend.error();
        auto journal = FileJournal::open(folder_.path() / "journal", {.fsync = false});
        if (!journal) return journal.error();
        return Service::start(io_, options(), std::move(*backend), std::move(*journal),
                              [](const Error& e) { FAIL() << e.what; });
    }
    std::unique_ptr<ServiceClient> client(const protocol::Tokens& tokens) {
        ServiceClient::Options out;
        out.socket = options().socket;
        out.tokens = tokens;
        out.queue_max = 8;
        out.backoff_min = std::chrono::milliseconds(1);
        out.backoff_max = std::chrono::milliseconds(5);
        return std::make_unique<ServiceClient>(
            io_, out,
            [this](UsigId id, const std::optional<Error>& state) { states_[id] = state; });
    }
    template <class Condition>
    void run_until(Condition condition) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        io_.restart();
        while (!condition()) {
            ASSERT_LT(std::chrono::steady_clock::now(), end) << "condition not met";
            io_.run_one_for(std::chrono::milliseconds(100));
        }
    }
    Result<consensus::Ui> create(ServiceClient& from, UsigId id, const std::string& text) {
        std::optional<Result<consensus::Ui>> out;
        from.create(id, message(text), [&](Result<consensus::Ui> ui) { out = std::move(ui); });
        EXPECT_FALSE(out.has_value()) << "called back from inside the call";
        run_until([&] { return out.has_value(); });
        return out ? *out : error(Errc::internal, "no answer");
    }
    Result<std::optional<Certified>> last(ServiceClient& from, UsigId id) {
        std::optional<Result<Standing>> out;
        from.last(id, [&](Result<Standing> one) { out = std::move(one); });
        run_until([&] { return out.has_value(); });
        if (!out) return error(Errc::internal, "no answer");
        if (!*out) return out->error();
        return (*out)->last;
    }
};

TEST_F(ServiceTest, CertifiesAndRemembers) {
    auto service = start().value();
    auto role = client(tokens_);
    EXPECT_EQ(last(*role, UsigId(0)).value(), std::nullopt);
    for (std::uint64_t n = 1; n <= 3; ++n) {
        const auto text = "m" + std::to_string(n);
        const auto ui = create(*role, UsigId(0), text);
        ASSERT_TRUE(ui.has_value()) << ui.error().what;
        EXPECT_EQ(ui->cv, Counter(n));
        EXPECT_TRUE(verify(identities_[0], *ui, message(text), AllowSoftware::yes));
        EXPECT_EQ(last(*role, UsigId(0)).value(), (Certified{message(text), *ui}));
    }
    EXPECT_EQ(create(*role, UsigId(1), "other")->cv, Counter(1));
    // The same digest again is a new value, never a second certificate of the old one.
    EXPECT_EQ(create(*role, UsigId(0), "m3")->cv, Counter(4));
    struct ::stat status {};
    ASSERT_EQ(::stat(options().socket.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(ServiceTest, OperationsWaitForAServiceThatComesLater) {
    auto role = client(tokens_);
    run_until([&] { return states_.contains(UsigId(0)) && states_[UsigId(0)].has_value(); });
    EXPECT_THAT(states_[UsigId(0)]->what, HasSubstr("no USIG service"));
    std::optional<Result<consensus::Ui>> ui;
    role->create(UsigId(0), message("m"), [&](Result<consensus::Ui> one) { ui = std::move(one); });
    auto service = start().value();
    run_until([&] { return ui.has_value(); });
    EXPECT_EQ((*ui)->cv, Counter(1));
    // The service is restarted: the client comes back by itself, and last() still knows.
    service.reset();
    service = start().value();
    run_until([&] { return states_[UsigId(0)].has_value(); });
    EXPECT_EQ(last(*role, UsigId(0)).value()->ui, **ui);
    EXPECT_EQ(create(*role, UsigId(0), "n")->cv, Counter(2));
}

TEST_F(ServiceTest, WrongTokenIsRefusedForGood) {
    auto service = start().value();
    auto wrong = tokens_;
    wrong[UsigId(0)].bytes[0] ^= 1;
    auto role = client(wrong);
    const auto ui = create(*role, UsigId(0), "m");
    ASSERT_FALSE(ui.has_value());
    EXPECT_EQ(ui.error().code, Errc::refused);
    EXPECT_THAT(ui.error().what, HasSubstr("wrong authorization token"));
    EXPECT_EQ(create(*role, UsigId(1), "m")->cv, Counter(1));
    EXPECT_EQ(create(*role, UsigId(5), "m").error().code, Errc::not_found);
}

TEST_F(ServiceTest, SecondProcessOfAnIdentityWaitsUntilTheFirstIsGone) {
    auto service = start().value();
    auto first = client({{UsigId(0), tokens_[UsigId(0)]}});
    ASSERT_TRUE(create(*first, UsigId(0), "m").has_value());
    auto second = client({{UsigId(0), tokens_[UsigId(0)]}});
    run_until([&] { return states_[UsigId(0)].has_value(); });
    EXPECT_EQ(states_[UsigId(0)]->code, Errc::unavailable);
    EXPECT_THAT(states_[UsigId(0)]->what, HasSubstr("in use by another process"));
    EXPECT_EQ(create(*first, UsigId(0), "n")->cv, Counter(2));
    first.reset();
    EXPECT_EQ(last(*second, UsigId(0)).value()->digest, message("n"));
    EXPECT_EQ(create(*second, UsigId(0), "o")->cv, Counter(3));
}

TEST_F(ServiceTest, RoleKilledWithACertificateUnderWayFindsItInLast) {
    auto service = start().value();
    auto first = client(tokens_);
    ASSERT_TRUE(create(*first, UsigId(0), "m").has_value());
    first->create(UsigId(0), message("n"), [](const auto&) { FAIL() << "client is gone"; });
    io_.poll_one();
    first.reset();
    auto second = client(tokens_);
    const auto found = last(*second, UsigId(0)).value();
    ASSERT_TRUE(found.has_value());
    // Either it reached the service or it did not; a value is never lost.
    const auto next = create(*second, UsigId(0), "o").value();
    EXPECT_EQ(next.cv, found->ui.cv.next());
}

TEST_F(ServiceTest, SecondServiceIsRefused) {
    auto service = start().value();
    const auto second = start();
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code, Errc::unavailable);
    const auto third =
        Service::start(io_, options(), SoftwareUsig::ephemeral({UsigId(0), UsigId(1)}),
                       std::make_unique<MemoryJournal>(), {});
    ASSERT_FALSE(third.has_value());
    EXPECT_THAT(third.error().what, HasSubstr("another USIG service listens"));
}

TEST_F(ServiceTest, ClientQueueIsBounded) {
    auto role = client(tokens_);
    int exhausted = 0;
    int answered = 0;
    for (int i = 0; i < 20; ++i)
        role->create(UsigId(0), message(std::to_string(i)), [&](Result<consensus::Ui> ui) {
            ++answered;
            if (!ui && ui.error().code == Errc::exhausted) ++exhausted;
        });
    run_until([&] { return answered == 12; });
    EXPECT_EQ(exhausted, 12);
    auto service = start().value();
    run_until([&] { return answered == 20; });
    EXPECT_EQ(exhausted, 12);
}

TEST_F(ServiceTest, GarbageClosesOnlyTheConnectionThatSentIt) {
    auto service = start().value();
    auto role = client(tokens_);
    ASSERT_TRUE(create(*role, UsigId(0), "m").has_value());
    namespace local = boost::asio::local;
    for (const Bytes& garbage : {Bytes{0xff, 0xff, 0xff, 0xff}, Bytes{0, 0, 0, 1, 9},
                                 protocol::encode(protocol::Done{1}), Bytes{0, 0, 0, 2, 2, 2}}) {
        local::stream_protocol::socket socket(io_);
        socket.connect(options().socket.string());
        boost::asio::write(socket, boost::asio::buffer(garbage));
        bool closed = false;
        std::array<char, 256> buffer{};
        std::function<void()> read = [&] {
            socket.async_read_some(boost::asio::buffer(buffer),
                                   [&](boost::system::error_code code, std::size_t) {
                                       if (code)
                                           closed = true;
                                       else
                                           read();
                                   });
        };
        read();
        run_until([&] { return closed; });
    }
    // Not attached: no certificate, however well-formed the request.
    EXPECT_EQ(create(*role, UsigId(0), "n")->cv, Counter(2));
}

TEST_F(ServiceTest, TokensOfUnknownIdentitiesAreRefusedAtStart) {
    tokens_[UsigId(9)] = protocol::new_token().value();
    const auto service = start();
    ASSERT_FALSE(service.has_value());
    EXPECT_EQ(service.error().code, Errc::not_found);
}

}  // namespace
}  // namespace bft::usig::test

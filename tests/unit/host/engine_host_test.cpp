#include "host/engine_host.hpp"

#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include <deque>
#include <string>

namespace bft::host {
namespace {

using consensus::Endpoint;
using consensus::Output;

const Endpoint self = Endpoint::replica(GroupId(1), Position(0));

class FakeClock final : public Clock {
public:
    [[nodiscard]] consensus::Now now() const override { return {at, 0}; }
    TimePoint at{1s};
};

// Puts out what the test has queued, one output per input.
class ScriptedEngine final : public consensus::Engine {
public:
    void receive(const consensus::Verified&, consensus::Now) override {}
    void sealed(consensus::Ui ui, consensus::Now) override { certificates.push_back(ui); }
    void tick(consensus::Now) override { ++ticks; }
    [[nodiscard]] std::optional<TimePoint> next_deadline() const override { return deadline; }
    [[nodiscard]] Output take_output() override {
        if (outputs.empty()) return {};
        Output next = std::move(outputs.front());
        outputs.pop_front();
        return next;
    }

    std::deque<Output> outputs;
    std::vector<consensus::Ui> certificates;
    std::optional<TimePoint> deadline;
    int ticks = 0;
};

// A disk that is durable when the test says so.
class FakeSink final : public RecordSink {
public:
    explicit FakeSink(std::vector<std::string>& trace) : trace_(trace) {}
    void append(const Endpoint&, std::vector<consensus::Persist> records,
                std::function<void()> durable) override {
        trace_.push_back("write " + std::to_string(records.size()));
        if (durable) waiting.push_back(std::move(durable));
    }
    void sync_one() {
        auto done = std::move(waiting.front());
        waiting.pop_front();
        done();
    }
    std::deque<std::function<void()>> waiting;

private:
    std::vector<std::string>& trace_;
};

class FakeCertifier final : public usig::Certifier {
public:
    explicit FakeCertifier(std::vector<std::string>& trace) : trace_(trace) {}
    void create(UsigId, const Digest&, CreateCallback done) override {
        trace_.push_back("seal");
        creates.push_back(std::move(done));
    }
    void last(UsigId, StandingCallback done) override {
        trace_.push_back("last");
        lasts.push_back(std::move(done));
    }
    void forsake(UsigId, Counter cv, StandingCallback) override {
        trace_.push_back("forsake " + std::to_string(cv.value));
    }
    std::deque<CreateCallback> creates;
    std::deque<StandingCallback> lasts;

private:
    std::vector<std::string>& trace_;
};

class EngineHostTest : public ::testing::Test {
protected:
    EngineHostTest()
        : host(loop, clock, engine, self, UsigId(0), certifier, sink,
               {[this](const Endpoint&, const consensus::Send& send) {
                    auto status = std::get<consensus::Status>(send.payload);
                    trace.push_back("send " + std::to_string(status.tip.value));
                },
                [this](const Endpoint&, const consensus::Event& event) {
                    trace.push_back("event " + event.text);
                },
                [this](const Endpoint&, const consensus::Delivery& delivery) {
                    trace.push_back("deliver " + std::to_string(delivery.slot.value));
                },
                {},
                [this](const Error& error) { trace.push_back("fatal " + error.what); },
                [this] { trace.push_back("away"); },
                20ms,
                &stages}) {}

    static consensus::Send message(std::uint64_t number) {
        consensus::Status status;
        status.tip = Slot(number);
        return {{Endpoint::replica(GroupId(1), Position(1))}, status};
    }
    static consensus::Persist record(bool durable = true) {
        return {consensus::ExecutedRecord{Slot(1)}, durable};
    }
    Output sends(std::uint64_t number) {
        Output output;
        output.send.push_back(message(number));
        return output;
    }
    Output persists_and_sends(std::uint64_t number) {
        Output output = sends(number);
        output.persist.push_back(record());
        return output;
    }
    // Gives the engine an input, to which it answers with `output`.
    void input(Output output) {
        engine.outputs.push_back(std::move(output));
        host.start();  // ticks the engine; which input it was does not matter to the pump
    }
    // Until the retry timer of 100 ms has fired and nothing else is due.
    void run_until(const std::function<bool()>& done) {
        auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(5);
        while (!done() && std::chrono::steady_clock::now() < limit) {
            loop.restart();
            loop.run_one_for(1s);
        }
        EXPECT_TRUE(done());
    }

    boost::asio::io_context loop;
    FakeClock clock;
    ScriptedEngine engine;
    std::vector<std::string> trace;
    FakeSink sink{trace};
    FakeCertifier certifier{trace};
    Stages stages;
    EngineHost host;
    using Trace = std::vector<std::string>;
};

TEST_F(EngineHostTest, WithoutRecordsAnOutputIsPerformedAtOnce) {
    input(sends(1));
    EXPECT_EQ(trace, Trace{"send 1"});
}

TEST_F(EngineHostTest, NothingIsVisibleBeforeItsRecordsAreDurable) {
    Output output = persists_and_sends(1);
    output.seal = consensus::Draft{};
    output.deliver.push_back({Slot(9), {}});
    output.events.push_back({consensus::Event::Kind::committed, {}, {}, 0, "e"});
    input(std::move(output));
    EXPECT_EQ(trace, Trace{"write 1"});
    sink.sync_one();
    EXPECT_EQ(trace, (Trace{"write 1", "seal", "send 1", "deliver 9", "event e"}));
}

TEST_F(EngineHostTest, LaterOutputsWaitForEarlierOnes) {
    input(persists_and_sends(1));
    input(sends(2));
    input(persists_and_sends(3));
    EXPECT_EQ(trace, (Trace{"write 1", "write 1"})) << "records of both go to the disk at once";
    EXPECT_EQ(host.waiting(), 3u);
    sink.sync_one();
    EXPECT_EQ(trace, (Trace{"write 1", "write 1", "send 1", "send 2"}));
    sink.sync_one();
    EXPECT_EQ(trace.back(), "send 3");
    EXPECT_EQ(host.waiting(), 0u);
}

TEST_F(EngineHostTest, RecordsThatMayBeLostAreNotWaitedFor) {
    Output output = sends(1);
    output.persist.push_back(record(false));
    input(std::move(output));
    EXPECT_EQ(trace, (Trace{"write 1", "send 1"}));
}

TEST_F(EngineHostTest, ACrashBetweenDiskAndSendShowsNothing) {
    {
        boost::asio::io_context io;
        ScriptedEngine scripted;
        EngineHost crashing(
            io, clock, scripted, self, UsigId(0), certifier, sink,
            {[this](const Endpoint&, const consensus::Send&) { trace.push_back("send"); },
             {},
             {},
             {},
             {}});
        scripted.outputs.push_back(persists_and_sends(1));
        crashing.start();
    }
    sink.sync_one();  // the disk answers a host that is no more
    EXPECT_EQ(trace, Trace{"write 1"});
}

TEST_F(EngineHostTest, TheCertificateGoesBackToTheEngine) {
    Output output;
    output.seal = consensus::Draft{};
    input(std::move(output));
    engine.outputs.push_back(sends(2));
    clock.at += 7ms;
    certifier.creates.front()(consensus::Ui{Counter(5), 0, {}});
    ASSERT_EQ(engine.certificates.size(), 1u);
    EXPECT_EQ(engine.certificates[0].cv, Counter(5));
    EXPECT_EQ(trace, (Trace{"seal", "send 2"}));
    EXPECT_EQ(stages.of(Stage::sign).count(), 1u);
    EXPECT_EQ(stages.of(Stage::sign).sum_us(), 7000u);
}

TEST_F(EngineHostTest, ARefusingCounterStopsTheNode) {
    Output output;
    output.seal = consensus::Draft{};
    input(std::move(output));
    certifier.creates.front()(error(Errc::refused, "hole at 7"));
    EXPECT_EQ(trace.back(), "fatal hole at 7");
}

TEST_F(EngineHostTest, AfterALostServiceTheLastCertificateTells) {
    Output output;
    output.seal = consensus::Draft{Digest{{1, 2, 3}}};
    input(std::move(output));
    certifier.creates.front()(error(Errc::unavailable, "away"));
    run_until([this] { return !certifier.lasts.empty(); });
    certifier.lasts.front()(
        usig::Standing{usig::Certified{Digest{{1, 2, 3}}, {Counter(8), 0, {}}}, {}});
    ASSERT_EQ(engine.certificates.size(), 1u);
    EXPECT_EQ(engine.certificates[0].cv, Counter(8)) << "spent on our draft: taken, not repeated";
    EXPECT_EQ(certifier.creates.size(), 1u);
}

TEST_F(EngineHostTest, AnUnspentDraftIsSealedAgain) {
    Output output;
    output.seal = consensus::Draft{Digest{{1, 2, 3}}};
    input(std::move(output));
    certifier.creates.front()(error(Errc::unavailable, "away"));
    run_until([this] { return !certifier.lasts.empty(); });
    certifier.lasts.front()(error(Errc::unavailable, "still away"));
    run_until([this] { return certifier.lasts.size() == 2; });
    certifier.lasts.back()(usig::Standing{usig::Certified{Digest{{9}}, {Counter(7), 0, {}}}, {}});
    EXPECT_EQ(certifier.creates.size(), 2u);
}

TEST_F(EngineHostTest, TicksWhenDue) {
    engine.deadline = clock.at;
    host.start();
    int before = engine.ticks;
    engine.deadline = clock.at;
    run_until([&] { return engine.ticks > before; });
}

// T5: a primary whose TPM hangs says so, once for each draft, and no timer is left after an answer.
TEST_F(EngineHostTest, ADraftThatWaitsTooLongIsNoticed) {
    Output output;
    output.seal = consensus::Draft{};
    input(std::move(output));
    ASSERT_EQ(certifier.creates.size(), 1u);
    auto limit = std::chrono::steady_clock::now() + 5s;
    while (std::chrono::steady_clock::now() < limit &&
           std::count(trace.begin(), trace.end(), "away") == 0) {
        loop.restart();
        loop.run_one_for(100ms);
    }
    EXPECT_EQ(std::count(trace.begin(), trace.end(), "away"), 1);
    certifier.creates.front()(consensus::Ui{Counter(1), 0, {}});
    EXPECT_EQ(engine.certificates.size(), 1u) << "the certificate counts all the same";

    output.seal = consensus::Draft{};
    input(std::move(output));
    certifier.creates.back()(consensus::Ui{Counter(2), 0, {}});
    loop.restart();
    loop.run_for(60ms);
    EXPECT_EQ(std::count(trace.begin(), trace.end(), "away"), 1);
}

}  // namespace
}  // namespace bft::host

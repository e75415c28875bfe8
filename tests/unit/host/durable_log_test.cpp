#include "host/durable_log.hpp"

#include "consensus/signed_bytes.hpp"
#include "wire/codec.hpp"

#include <gtest/gtest.h>

#include <filesystem>

namespace bft::host {
namespace {

namespace fs = std::filesystem;
using consensus::Endpoint;

consensus::Membership cluster() {
    consensus::Membership m;
    m.primaries = {{HostId(0), UsigId(0)}};
    m.groups = {{GroupId(1), {{HostId(1), {}}, {HostId(2), {}}, {HostId(3), {}}}},
                {GroupId(2), {{HostId(1), {}}, {HostId(2), {}}, {HostId(3), {}}}}};
    m.owners = {{PartitionId(1), GroupId(1)}, {PartitionId(2), GroupId(2)}};
    return m;
}

class DurableLogTest : public ::testing::Test {
protected:
    void SetUp() override {
        std::string pattern = (fs::temp_directory_path() / "bft-log-XXXXXX").string();
        folder = ::mkdtemp(pattern.data());
        open();
    }
    void TearDown() override {
        close();
        fs::remove_all(folder);
    }
    void open() {
        auto opened = storage::Store::open(folder / "store");
        ASSERT_TRUE(opened) << opened.error().what;
        store = std::move(*opened);
        log = std::make_unique<DurableLog>(loop, *store, membership,
                                           [this](Error e) { failures.push_back(e.what); });
    }
    void close() {
        log.reset();
        store.reset();
    }
    void reopen() {
        close();
        open();
    }
    void run_until(const std::function<bool()>& done) {
        auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(5);
        while (!done() && std::chrono::steady_clock::now() < limit) {
            loop.restart();
            loop.run_one_for(std::chrono::milliseconds(100));
        }
        ASSERT_TRUE(done());
    }
    void append(const Endpoint& owner, consensus::LogRecord record) {
        bool durable = false;
        log->append(owner, {{std::move(record)}}, [&] { durable = true; });
        run_until([&] { return durable; });
    }

    static consensus::Prepare prepare(std::uint64_t slot) {
        auto header = std::make_shared<consensus::Header>();
        header->slot = Slot(slot);
        header->ts_ms = slot;
        consensus::Prepare p;
        p.slot = Slot(slot);
        p.hd = consensus::header_digest(*header);
        p.ui = {Counter(slot), 0, {1, 2, 3}};
        p.header = header;
        return p;
    }
    static consensus::Commit commit(std::uint32_t position, std::uint64_t cv) {
        consensus::Commit c;
        c.group = GroupId(1);
        c.position = Position(position);
        c.to = Slot(cv);
        c.prepare = prepare(cv);
        c.prepare.header = nullptr;
        c.hd = c.prepare.hd;
        c.ui = {Counter(cv), 0, {9}};
        return c;
    }
    static consensus::Body body(std::uint32_t home, std::uint64_t cseq) {
        consensus::Request r;
        r.id = {ClientId(7), PartitionId(home), ClientSeq(cseq)};
        r.ack_low = ClientSeq(cseq);
        r.parts = {PartitionId(home)};
        r.op = {1, 2};
        r.raw = wire::encode_request(r);
        r.rd = consensus::request_digest(r.raw);
        r.signature = Bytes(64, 1);
        return std::make_shared<const consensus::Request>(r);
    }

    const Endpoint one = Endpoint::replica(GroupId(1), Position(0));
    const Endpoint two = Endpoint::replica(GroupId(2), Position(0));
    consensus::Membership membership = cluster();
    boost::asio::io_context loop;
    fs::path folder;
    std::unique_ptr<storage::Store> store;
    std::unique_ptr<DurableLog> log;
    std::vector<std::string> failures;
};

TEST_F(DurableLogTest, ARestartFindsEverythingInCounterOrder) {
    for (std::uint64_t slot : {1u, 2u, 300u}) append(one, consensus::PrepareRecord{prepare(slot)});
    append(one, consensus::CommitIntent{commit(0, 5)});
    append(one, consensus::CommitIntent{commit(0, 6)});
    append(one, consensus::CommitRecord{commit(0, 5)});
    append(one, consensus::CommitRecord{commit(2, 4)});
    append(one, consensus::BodyRecord{body(1, 10)});
    append(two, consensus::BodyRecord{body(2, 11)});
    append(one, consensus::ExecutedRecord{Slot(2)});
    append(two, consensus::ExecutedRecord{Slot(1)});
    reopen();
    auto logged = log->load_replica(GroupId(1), Position(0));
    ASSERT_TRUE(logged) << logged.error().what;
    ASSERT_EQ(logged->prepares.size(), 3u);
    EXPECT_EQ(logged->prepares[2].slot, Slot(300));
    EXPECT_EQ(logged->commits.size(), 2u);
    ASSERT_TRUE(logged->intent);
    EXPECT_EQ(logged->intent->commit.to, Slot(6)) << "the newest intent counts";
    ASSERT_EQ(logged->bodies.size(), 1u) << "of the group's own partitions only";
    EXPECT_EQ(logged->bodies[0]->rd, body(1, 10)->rd);
    EXPECT_EQ(logged->executed, Slot(2));
}

TEST_F(DurableLogTest, ThePrimaryFindsItsOwn) {
    const Endpoint primary = Endpoint::primary(PrimaryId(0));
    append(primary, consensus::PrepareIntent{View(0), prepare(1).header});
    append(primary, consensus::PrepareRecord{prepare(1)});
    reopen();
    auto logged = log->load_primary(PrimaryId(0));
    ASSERT_TRUE(logged);
    EXPECT_EQ(logged->prepares.size(), 1u);
    ASSERT_TRUE(logged->intent);
    EXPECT_EQ(logged->intent->header->slot, Slot(1));
}

TEST_F(DurableLogTest, AnswersFetches) {
    append(one, consensus::PrepareRecord{prepare(3)});
    append(one, consensus::CommitRecord{commit(1, 4)});
    append(one, consensus::BodyRecord{body(1, 10)});
    ASSERT_TRUE(log->prepare(PrimaryId(0), Counter(3)));
    EXPECT_EQ(log->prepare(PrimaryId(0), Counter(3))->hd, prepare(3).hd);
    EXPECT_FALSE(log->prepare(PrimaryId(0), Counter(4)));
    EXPECT_TRUE(log->vote(GroupId(1), Position(1), Counter(4)));
    EXPECT_FALSE(log->vote(GroupId(2), Position(1), Counter(4)));
    ASSERT_TRUE(log->body(body(1, 10)->rd));
    EXPECT_FALSE(log->body(Digest{}));
}

TEST_F(DurableLogTest, GroupsOfAProcessShareOnePrepare) {
    append(one, consensus::PrepareRecord{prepare(3)});
    auto before = log->report().records;
    append(two, consensus::PrepareRecord{prepare(3)});
    EXPECT_EQ(log->report().records, before);
}

TEST_F(DurableLogTest, ConfirmationsComeInTheOrderOfTheCalls) {
    std::vector<int> order;
    for (int i = 0; i < 100; ++i)
        log->append(one, {{consensus::CommitRecord{commit(1, static_cast<std::uint64_t>(i) + 1)}}},
                    [&order, i] { order.push_back(i); });
    run_until([&] { return order.size() == 100; });
    for (int i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
    EXPECT_LE(log->report().writes, 100u);
}

TEST_F(DurableLogTest, DamageIsReported) {
    append(one, consensus::PrepareRecord{prepare(3)});
    storage::Batch batch;
    Bytes key{'P', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3};
    ASSERT_TRUE(store->get(key));
    batch.put(key, Bytes{1, 2, 3});
    ASSERT_TRUE(store->write(batch, true));
    auto logged = log->load_replica(GroupId(1), Position(0));
    ASSERT_FALSE(logged);
    EXPECT_EQ(logged.error().code, Errc::io);
}

}  // namespace
}  // namespace bft::host

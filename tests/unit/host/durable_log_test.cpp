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
    m.primaries = {{HostId(0), UsigId(0)}, {HostId(4), UsigId(1)}};
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
        log = std::make_unique<DurableLog>(
            loop, *store, membership, [this](Error e) { failures.push_back(e.what); }, retain);
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

    static consensus::Prepare prepare(std::uint64_t slot,
                                      const std::vector<consensus::Body>& bodies = {}) {
        auto header = std::make_shared<consensus::Header>();
        header->slot = Slot(slot);
        header->ts_ms = slot;
        for (const consensus::Body& each : bodies)
            header->entries.push_back(
                {each->id, each->parts, consensus::EntryKind::transaction, each->rd});
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

    static consensus::ViewChangePtr view_change(std::uint32_t group, std::uint32_t position,
                                                std::uint64_t view, std::uint64_t cv) {
        consensus::ViewChange change;
        change.group = GroupId(group);
        change.position = Position(position);
        change.view = View(view);
        change.ui = {Counter(cv), 0, {7}};
        return std::make_shared<const consensus::ViewChange>(change);
    }
    static consensus::NewView new_view(std::uint64_t view, std::uint64_t cv, std::uint64_t slot) {
        consensus::NewView v;
        v.view = View(view);
        v.slot = Slot(slot);
        v.ui = {Counter(cv), 0, {8}};
        return v;
    }
    static consensus::ViewCertPtr view_cert(std::uint64_t view) {
        return std::make_shared<const consensus::ViewCert>(
            consensus::ViewCert{new_view(view, 5, 9), GroupId(1), {}});
    }
    /// As a replica writes it when everything up to `slot` is behind it.
    static consensus::SnapshotPtr snapshot(std::uint64_t slot) {
        return snapshot(slot, slot, slot);
    }
    /// `primary`, `peer`: what was processed of theirs by then.
    static consensus::SnapshotPtr snapshot(std::uint64_t slot, std::uint64_t primary,
                                           std::uint64_t peer) {
        consensus::SnapshotRecord s;
        s.slot = Slot(slot);
        s.votes.assign(3, {Counter(slot), View(0), {}});
        s.votes[1].processed = Counter(peer);
        consensus::OrderingTrack track;
        track.processed = Counter(primary);
        track.leading = true;
        s.ordering = {track, {}};
        return std::make_shared<const consensus::SnapshotRecord>(std::move(s));
    }
    void load_all() {
        ASSERT_TRUE(log->load_replica(GroupId(1), Position(0)));
        ASSERT_TRUE(log->load_replica(GroupId(2), Position(0)));
    }
    std::size_t keys_of(char kind) {
        std::size_t count = 0;
        Bytes prefix{static_cast<std::uint8_t>(kind)};
        EXPECT_TRUE(store->scan(prefix, {}, [&](ByteView, ByteView) { return ++count > 0; }));
        return count;
    }

    std::uint64_t retain = DurableLog::retain_default;
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
    for (std::uint64_t slot : {1u, 2u}) append(one, consensus::PrepareRecord{prepare(slot)});
    append(one, consensus::PrepareRecord{prepare(300, {body(1, 10), body(2, 11)})});
    append(one, consensus::CommitIntent{commit(0, 5)});
    append(one, consensus::CommitIntent{commit(0, 6)});
    append(one, consensus::CommitRecord{commit(0, 5)});
    append(one, consensus::CommitRecord{commit(2, 4)});
    append(one, consensus::BodyRecord{body(1, 10)});
    append(one, consensus::BodyRecord{body(1, 12)});
    append(two, consensus::BodyRecord{body(2, 11)});
    append(one, consensus::ExecutedRecord{Slot(2)});
    append(two, consensus::ExecutedRecord{Slot(1)});
    reopen();
    auto logged = log->load_replica(GroupId(1), Position(0));
    ASSERT_TRUE(logged) << logged.error().what;
    ASSERT_EQ(logged->prepares.size(), 3u);
    EXPECT_EQ(logged->prepares[2].slot, Slot(300));
    EXPECT_EQ(logged->own_commits.size(), 1u);
    EXPECT_EQ(logged->peer_commits.size(), 1u);
    ASSERT_TRUE(logged->intent);
    EXPECT_EQ(logged->intent->commit.to, Slot(6)) << "the newest intent counts";
    ASSERT_EQ(logged->bodies.size(), 1u) << "of ordered entries of the group's own partitions";
    EXPECT_TRUE(logged->bodies.contains(body(1, 10)->rd));
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

TEST_F(DurableLogTest, ARestartFindsItsPlaceBetweenViews) {
    append(one, consensus::CommitIntent{commit(0, 5)});
    append(one, consensus::ViewChangeIntent{view_change(1, 0, 3, 0)});
    append(one, consensus::ViewRecord{View(2), {}, {}, nullptr, std::nullopt});
    append(one, consensus::ViewRecord{View(3), {}, {}, view_cert(1), std::nullopt});
    append(two, consensus::ViewRecord{View(9), {}, {}, nullptr, std::nullopt});
    append(one, consensus::VouchRecord{Counter(4), {}});
    for (std::uint64_t cv : {3u, 4u, 5u}) append(one, consensus::CommitRecord{commit(0, cv)});
    append(one, consensus::StableRecord{{GroupId(1), Slot(64), {}, 1, {}, {}}});
    append(one, consensus::NewViewRecord{new_view(1, 5, 9), 0});
    append(one, consensus::ViewCertRecord{view_cert(1)});
    append(one, consensus::HeaderRecord{prepare(7).header});
    append(one, consensus::ViewChangeRecord{view_change(1, 1, 1, 8)});
    append(one, consensus::ViewChangeRecord{view_change(2, 1, 1, 8)});
    append(one, consensus::ViewChangeRecord{view_change(2, 1, 3, 9)});
    reopen();
    auto logged = log->load_replica(GroupId(1), Position(0));
    ASSERT_TRUE(logged) << logged.error().what;
    EXPECT_FALSE(logged->intent) << "the newest intent replaces the other kind";
    ASSERT_TRUE(logged->view_change_intent);
    EXPECT_EQ(logged->view_change_intent->change->view, View(3));
    ASSERT_TRUE(logged->view);
    EXPECT_EQ(logged->view->view, View(3));
    ASSERT_TRUE(logged->view->chain);
    ASSERT_TRUE(logged->vouches);
    ASSERT_EQ(logged->own_commits.size(), 2u) << "from the message on that was vouched for";
    EXPECT_EQ(logged->own_commits[0].ui.cv, Counter(4));
    ASSERT_TRUE(logged->stable);
    EXPECT_EQ(logged->stable->slot, Slot(64));
    EXPECT_EQ(logged->new_views.size(), 1u);
    EXPECT_EQ(logged->view_certs.size(), 1u);
    EXPECT_EQ(logged->headers.size(), 1u);
    ASSERT_EQ(logged->view_changes.size(), 2u) << "own group's, and others' of the present view";
}

TEST_F(DurableLogTest, ARestartBeginsAtItsSnapshot) {
    for (std::uint64_t slot = 1; slot <= 100; ++slot) {
        append(one, consensus::PrepareRecord{prepare(slot)});
        append(one, consensus::CommitRecord{commit(1, slot)});
    }
    append(one, snapshot(64, 70, 70));
    reopen();
    auto logged = log->load_replica(GroupId(1), Position(0));
    ASSERT_TRUE(logged) << logged.error().what;
    ASSERT_TRUE(logged->snapshot);
    ASSERT_EQ(logged->prepares.size(), 36u) << "all slots after the snapshot";
    EXPECT_EQ(logged->prepares[0].slot, Slot(65));
    ASSERT_EQ(logged->peer_commits.size(), 30u) << "what the snapshot does not cover";
}

TEST_F(DurableLogTest, APrimaryKeepsWhatItAloneKnowsOfItsNewView) {
    const Endpoint primary = Endpoint::primary(PrimaryId(1));
    append(primary, consensus::NewViewIntent{new_view(1, 0, 9), 77});
    append(primary, consensus::NewViewRecord{new_view(1, 5, 9), 77});
    append(one, consensus::NewViewRecord{new_view(1, 5, 9), 0});
    reopen();
    auto logged = log->load_primary(PrimaryId(1));
    ASSERT_TRUE(logged);
    ASSERT_EQ(logged->new_views.size(), 1u);
    EXPECT_EQ(logged->new_views[0].ts_ms, 77u);
    EXPECT_TRUE(logged->new_view_intent);
    EXPECT_FALSE(logged->intent);
    EXPECT_TRUE(log->new_view(PrimaryId(1), Counter(5)));
    EXPECT_FALSE(log->new_view(PrimaryId(0), Counter(5)));
}

TEST_F(DurableLogTest, AnswersFetchesOfViewChange) {
    append(one, consensus::PrepareRecord{prepare(3)});
    append(one, consensus::HeaderRecord{prepare(4).header});
    append(one, consensus::ViewChangeRecord{view_change(2, 1, 3, 9)});
    append(one, consensus::ViewCertRecord{view_cert(1)});
    ASSERT_TRUE(log->header(prepare(3).hd)) << "of a PREPARE";
    EXPECT_EQ(*log->header(prepare(3).hd), *prepare(3).header);
    ASSERT_TRUE(log->header(prepare(4).hd)) << "that came alone";
    EXPECT_FALSE(log->header(prepare(5).hd));
    ASSERT_TRUE(log->view_change(GroupId(2), Position(1), Counter(9)));
    EXPECT_FALSE(log->view_change(GroupId(1), Position(1), Counter(9)));
    EXPECT_TRUE(log->view_cert(consensus::new_view_digest({}, new_view(1, 5, 9))));
    EXPECT_FALSE(log->view_cert(Digest{}));
}

// Two groups go on for 3000 slots; what is more than 500 slots before both snapshots goes.
TEST_F(DurableLogTest, TheLogStaysBounded) {
    retain = 500;
    reopen();
    load_all();
    append(one, consensus::BodyRecord{body(1, 1)});
    append(one, consensus::HeaderRecord{prepare(100000).header});
    append(one, consensus::ViewChangeRecord{view_change(1, 1, 1, 10)});
    append(one, consensus::ViewCertRecord{view_cert(1)});
    append(one, consensus::VouchRecord{Counter(1), {}});
    for (std::uint64_t slot = 1; slot <= 3000; ++slot) {
        log->append(one, {{consensus::PrepareRecord{prepare(slot)}}}, {});
        log->append(one, {{consensus::CommitRecord{commit(0, slot)}}}, {});
        log->append(one, {{consensus::CommitRecord{commit(1, slot)}}}, {});
        if (slot == 1000) append(one, consensus::ViewCertRecord{view_cert(2)});
        if (slot % 10 == 0) log->append(one, {{consensus::VouchRecord{Counter(slot), {}}}}, {});
        if (slot % 64 != 0) continue;
        append(one, snapshot(slot));
        if (slot <= 1024) {
            EXPECT_TRUE(log->prepare(PrimaryId(0), Counter(1))) << "group 2 may need it";
            continue;
        }
        append(two, snapshot(slot));
    }
    for (int i = 0; i < 120; ++i) append(one, consensus::ExecutedRecord{Slot(1)});
    EXPECT_FALSE(log->prepare(PrimaryId(0), Counter(2000)));
    EXPECT_TRUE(log->prepare(PrimaryId(0), Counter(2496))) << "kept for peers that were away";
    EXPECT_FALSE(log->header(prepare(2000).hd));
    EXPECT_TRUE(log->header(prepare(2500).hd));
    EXPECT_FALSE(log->vote(GroupId(1), Position(1), Counter(2000)));
    EXPECT_TRUE(log->vote(GroupId(1), Position(1), Counter(2496)));
    EXPECT_FALSE(log->vote(GroupId(1), Position(0), Counter(2000)));
    EXPECT_FALSE(log->body(body(1, 1)->rd));
    EXPECT_FALSE(log->header(prepare(100000).hd));
    EXPECT_FALSE(log->view_change(GroupId(1), Position(1), Counter(10)));
    EXPECT_FALSE(log->view_cert(consensus::new_view_digest({}, new_view(1, 5, 9))));
    EXPECT_TRUE(log->view_cert(consensus::new_view_digest({}, new_view(2, 5, 9))));
    EXPECT_LT(keys_of('P'), 700u);
    EXPECT_EQ(keys_of('P'), keys_of('h'));
    EXPECT_LT(keys_of('X'), 5u);
    reopen();
    auto logged = log->load_replica(GroupId(1), Position(0));
    ASSERT_TRUE(logged) << logged.error().what;
    EXPECT_EQ(logged->prepares.size(), 3000u - 2944u);
}

TEST_F(DurableLogTest, OwnMessagesStayWhileNobodyVouchesForThem) {
    retain = 500;
    reopen();
    load_all();
    append(one, consensus::VouchRecord{Counter(50), {}});
    for (std::uint64_t slot = 1; slot <= 2048; ++slot) {
        log->append(one, {{consensus::CommitRecord{commit(0, slot)}}}, {});
        if (slot % 64 != 0) continue;
        append(one, snapshot(slot));
        append(two, snapshot(slot));
    }
    EXPECT_FALSE(log->vote(GroupId(1), Position(0), Counter(49)));
    EXPECT_TRUE(log->vote(GroupId(1), Position(0), Counter(50)));
    reopen();
    auto logged = log->load_replica(GroupId(1), Position(0));
    ASSERT_TRUE(logged);
    EXPECT_EQ(logged->own_commits.size(), 2048u - 49u);
}

TEST_F(DurableLogTest, APrimaryKeepsItsViewFromTheBeginning) {
    retain = 500;
    reopen();
    const Endpoint primary = Endpoint::primary(PrimaryId(1));
    ASSERT_TRUE(log->load_primary(PrimaryId(1)));
    auto certified = [&](std::uint64_t view, std::uint64_t slot) {
        consensus::Prepare p = prepare(slot);
        p.view = View(view);
        return consensus::PrepareRecord{std::move(p)};
    };
    for (std::uint64_t slot = 1; slot <= 1000; ++slot)
        log->append(primary, {{certified(1, slot)}}, {});
    append(primary, consensus::NewViewRecord{new_view(3, 1001, 1000), 5});
    for (std::uint64_t slot = 1002; slot <= 4000; ++slot) {
        log->append(primary, {{certified(3, slot)}}, {});
        if (slot % 48 == 0) append(primary, consensus::BodyRecord{body(1, slot)});
    }
    EXPECT_FALSE(log->prepare(PrimaryId(1), Counter(900)));
    EXPECT_FALSE(log->body(body(1, 1008)->rd));
    EXPECT_TRUE(log->body(body(1, 3984)->rd));
    reopen();
    auto logged = log->load_primary(PrimaryId(1));
    ASSERT_TRUE(logged);
    ASSERT_EQ(logged->new_views.size(), 1u);
    EXPECT_EQ(logged->prepares.size(), 2999u) << "recovery begins with the NEW-VIEW";
}

// A view without end: what a restart begins with is enough.
TEST_F(DurableLogTest, APrimarysLogStaysBoundedInALongView) {
    retain = 500;
    reopen();
    const Endpoint primary = Endpoint::primary(PrimaryId(1));
    ASSERT_TRUE(log->load_primary(PrimaryId(1)));
    append(primary, consensus::NewViewRecord{new_view(1, 1, 0), 5});
    for (std::uint64_t slot = 2; slot <= 4000; ++slot) {
        consensus::Prepare p = prepare(slot);
        p.view = View(1);
        log->append(primary, {{consensus::PrepareRecord{p}}}, {});
        if (slot % 1024 == 0)
            append(primary, consensus::StandingRecord{View(1), Counter(1), Slot(0), Counter(slot),
                                                      Slot(slot), p.hd, slot});
    }
    for (std::uint64_t i = 0; i < 120; ++i) append(primary, consensus::BodyRecord{body(1, i)});
    EXPECT_FALSE(log->prepare(PrimaryId(1), Counter(3000)));
    EXPECT_EQ(log->next_from(consensus::StreamId::ordering(PrimaryId(1)), Counter(1)), Counter(1))
        << "its NEW-VIEW is for those who lack it";
    EXPECT_TRUE(log->prepare(PrimaryId(1), Counter(3500)));
    EXPECT_LT(keys_of('P'), 1100u);
    reopen();
    auto logged = log->load_primary(PrimaryId(1));
    ASSERT_TRUE(logged) << logged.error().what;
    ASSERT_EQ(logged->new_views.size(), 1u);
    ASSERT_TRUE(logged->standing);
    EXPECT_EQ(logged->standing->cv, Counter(3072));
    ASSERT_EQ(logged->prepares.size(), 4000u - 3071u);
    EXPECT_EQ(logged->prepares.front().ui.cv, Counter(3072)) << "the tip's, to send it again";
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

TEST_F(DurableLogTest, AGroupThatComesKnowsNothingOfWhatOthersHaveLogged) {
    append(one, consensus::PrepareRecord{prepare(3, {body(1, 10)})});
    append(one, consensus::BodyRecord{body(1, 10)});
    append(one, consensus::ViewChangeRecord{view_change(1, 0, 2, 6)});
    const Endpoint late = Endpoint::replica(GroupId(9), Position(0));
    append(late, consensus::ViewChangeRecord{view_change(9, 0, 2, 1)});
    auto found = log->load_replica(GroupId(9), Position(0));
    ASSERT_TRUE(found) << found.error().what;
    EXPECT_TRUE(found->prepares.empty());
    EXPECT_TRUE(found->bodies.empty());
    ASSERT_EQ(found->view_changes.size(), 1U) << "but of itself it does";
    EXPECT_EQ(found->view_changes[0]->group, GroupId(9));
    append(late, snapshot(2));
    found = log->load_replica(GroupId(9), Position(0));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->prepares.size(), 1U) << "and once it has begun, as everybody";
}

TEST_F(DurableLogTest, NothingIsKeptForWhoIsGone) {
    retain = 16;
    reopen();
    load_all();
    for (std::uint64_t slot = 1; slot <= 400; ++slot) {
        append(one, consensus::PrepareRecord{prepare(slot)});
        if (slot % 8 == 0) append(one, snapshot(slot));
    }
    EXPECT_EQ(keys_of('P'), 400U) << "group 2 has no snapshot: its restart may need all of it";
    log->forget(two);
    for (std::uint64_t slot = 401; slot <= 440; ++slot) {
        append(one, consensus::PrepareRecord{prepare(slot)});
        if (slot % 8 == 0) append(one, snapshot(slot));
    }
    EXPECT_LT(keys_of('P'), 100U);
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

#include "net/links.hpp"

#include "fixture.hpp"

#include <filesystem>

namespace bft::net {
namespace {

class LinksTest : public LinksFixture {
protected:
    /// `dialler` has a link to `listener` that is up on both ends.
    std::uint16_t join(Node& dialler, Node& listener) {
        listener.allowed.insert(dialler.id());
        std::uint16_t port = listen(listener);
        EXPECT_TRUE(dialler.links->dial(listener.id(), address(port)).has_value());
        EXPECT_TRUE(run_until([&] { return dialler.up(listener) && listener.up(dialler); }));
        return port;
    }
};

TEST_F(LinksTest, FramesGoBothWaysOverOneConnection) {
    Node a(io_), b(io_);
    join(a, b);
    EXPECT_TRUE(a.send(b, "to b"));
    EXPECT_TRUE(b.send(a, "to a"));
    ASSERT_TRUE(run_until([&] { return a.frames.size() == 1 && b.frames.size() == 1; }));
    EXPECT_EQ(a.frames[0], std::make_pair(b.id(), std::string("to a")));
    EXPECT_EQ(b.frames[0], std::make_pair(a.id(), std::string("to b")));
    EXPECT_EQ(a.ups, std::vector<Bytes>{b.id()});
    EXPECT_EQ(b.ups, std::vector<Bytes>{a.id()});
}

TEST_F(LinksTest, ManyFramesKeepTheirOrderAndContent) {
    Node a(io_), b(io_);
    join(a, b);
    constexpr std::size_t count = 3000;
    for (std::size_t i = 0; i < count; ++i)
        ASSERT_TRUE(a.send(b, std::to_string(i) + std::string(i % 700, 'x')));
    ASSERT_TRUE(run_until([&] { return b.frames.size() == count; }));
    for (std::size_t i = 0; i < count; ++i)
        ASSERT_EQ(b.frames[i].second, std::to_string(i) + std::string(i % 700, 'x'));
    LinkReport report = a.links->report().links.at(0);
    EXPECT_EQ(report.frames_out, count);
    EXPECT_EQ(report.dropped, 0u);
    EXPECT_EQ(report.queued_frames, 0u);
    EXPECT_EQ(report.queued_bytes, 0u);
}

TEST_F(LinksTest, LargestFrameGoesThroughAndALargerOneIsNotSent) {
    Node a(io_), b(io_);
    join(a, b);
    std::string largest(16 * 1024 * 1024, 'L');
    EXPECT_FALSE(a.send(b, largest + "x"));
    EXPECT_TRUE(a.send(b, "before"));
    EXPECT_TRUE(a.send(b, largest));
    EXPECT_TRUE(a.send(b, "after"));
    ASSERT_TRUE(run_until([&] { return b.frames.size() == 3; }));
    EXPECT_EQ(b.frames[0].second, "before");
    EXPECT_TRUE(b.frames[1].second == largest);
    EXPECT_EQ(b.frames[2].second, "after");
}

TEST_F(LinksTest, SendWithoutALinkIsDroppedAndCounted) {
    Node a(io_), b(io_);
    EXPECT_FALSE(a.send(b, "x"));
    EXPECT_EQ(a.links->report().dropped_no_link, 1u);
}

TEST_F(LinksTest, QueueIsBoundedByFrames) {
    LinkOptions options;
    options.send_frames_max = 10;
    Node a(io_, options), b(io_);
    join(a, b);
    drain();
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(a.send(b, "x"));
    EXPECT_FALSE(a.send(b, "x"));
    EXPECT_EQ(a.links->report().links.at(0).dropped, 1u);
    ASSERT_TRUE(run_until([&] { return b.frames.size() == 10; }));
    EXPECT_TRUE(a.send(b, "x"));
}

TEST_F(LinksTest, QueueIsBoundedByBytes) {
    LinkOptions options;
    options.send_bytes_max = 1000;
    Node a(io_, options), b(io_);
    join(a, b);
    drain();
    EXPECT_TRUE(a.send(b, std::string(600, 'x')));
    EXPECT_FALSE(a.send(b, std::string(600, 'x')));
    EXPECT_TRUE(a.send(b, std::string(300, 'x')));
}

// A reader that stopped makes its sender's queue fill, and not the memory of either side.
TEST_F(LinksTest, PausedReaderStopsTheSender) {
    LinkOptions options;
    options.send_bytes_max = 1024 * 1024;
    Node a(io_, options), b(io_);
    join(a, b);
    b.on_frame = [&](ByteView who) { b.links->pause_reading(who); };
    std::string chunk(64 * 1024, 'c');
    std::size_t taken = 0;
    ASSERT_TRUE(run_until([&] {
        if (!a.send(b, chunk)) return true;
        ++taken;
        return false;
    }));
    EXPECT_EQ(b.frames.size(), 1u);
    b.on_frame = nullptr;
    b.links->resume_reading(a.id());
    ASSERT_TRUE(run_until([&] { return b.frames.size() == taken; }));
    EXPECT_TRUE(a.send(b, "more"));
    ASSERT_TRUE(run_until([&] { return b.count("more") == 1; }));
}

TEST_F(LinksTest, PauseAndResumeInsideACallbackLosesNothing) {
    Node a(io_), b(io_);
    join(a, b);
    b.on_frame = [&](ByteView who) {
        b.links->pause_reading(who);
        b.links->resume_reading(who);
    };
    for (int i = 0; i < 100; ++i) a.send(b, std::to_string(i));
    ASSERT_TRUE(run_until([&] { return b.frames.size() == 100; }));
    for (int i = 0; i < 100; ++i)
        EXPECT_EQ(b.frames[static_cast<std::size_t>(i)].second, std::to_string(i));
}

TEST_F(LinksTest, LinkComesBackAfterThePeersRestart) {
    crypto::SigningKey key = crypto::SigningKey::generate();
    auto file = std::filesystem::temp_directory_path() /
                ("bft-links-" + hex(key.public_key()).substr(0, 16));
    ASSERT_TRUE(key.save(file).has_value());
    Node a(io_);
    auto b = std::make_unique<Node>(io_, LinkOptions{}, *crypto::SigningKey::load(file));
    std::uint16_t port = join(a, *b);
    b = nullptr;
    ASSERT_TRUE(run_until([&] { return a.downs.size() == 1; }));
    EXPECT_FALSE(a.links->send(key.public_key(), frame("nobody there")));
    b = std::make_unique<Node>(io_, LinkOptions{}, *crypto::SigningKey::load(file));
    std::filesystem::remove(file);
    b->allowed.insert(a.id());
    ASSERT_TRUE(b->links->listen(address(port)).has_value());
    ASSERT_TRUE(run_until([&] { return a.up(*b); }));
    EXPECT_TRUE(a.send(*b, "again"));
    ASSERT_TRUE(run_until([&] { return b->count("again") == 1; }));
    EXPECT_EQ(a.links->report().links.at(0).connects, 2u);
    EXPECT_EQ(a.ups.size(), 2u);
}

TEST_F(LinksTest, DiallingBeforeThePeerListensWorks) {
    Node a(io_), b(io_), other(io_);
    std::uint16_t port = listen(other);
    other.links->close();
    ASSERT_TRUE(a.links->dial(b.id(), address(port)).has_value());
    ASSERT_TRUE(run_until([&] { return !a.links->report().links.at(0).last_error.empty(); }));
    b.allowed.insert(a.id());
    ASSERT_TRUE(b.links->listen(address(port)).has_value());
    EXPECT_TRUE(run_until([&] { return a.up(b); }));
}

TEST_F(LinksTest, TwoConnectionsOfOneKeyBothGetWhatIsSentToIt) {
    crypto::SigningKey key = crypto::SigningKey::generate();
    auto file = std::filesystem::temp_directory_path() /
                ("bft-links-" + hex(key.public_key()).substr(0, 16));
    ASSERT_TRUE(key.save(file).has_value());
    Node host(io_);
    Node first(io_, {}, *crypto::SigningKey::load(file));
    Node second(io_, {}, *crypto::SigningKey::load(file));
    std::filesystem::remove(file);
    std::uint16_t port = join(first, host);
    ASSERT_TRUE(second.links->dial(host.id(), address(port)).has_value());
    ASSERT_TRUE(run_until([&] { return host.links->report().links.size() == 2; }));
    ASSERT_TRUE(run_until([&] { return second.up(host); }));
    EXPECT_TRUE(host.send(first, "reply"));
    ASSERT_TRUE(run_until([&] { return first.count("reply") == 1 && second.count("reply") == 1; }));
    EXPECT_EQ(host.ups.size(), 1u);

    first.links->close();
    ASSERT_TRUE(run_until([&] { return host.links->report().links.size() == 1; }));
    EXPECT_TRUE(host.downs.empty());
    EXPECT_TRUE(host.send(first, "one left"));
    ASSERT_TRUE(run_until([&] { return second.count("one left") == 1; }));
    second.links->close();
    ASSERT_TRUE(run_until([&] { return host.downs.size() == 1; }));
}

TEST_F(LinksTest, NewestConnectionsOfAKeyWin) {
    LinkOptions options;
    options.connections_per_key_max = 1;
    Node host(io_, options);
    crypto::SigningKey key = crypto::SigningKey::generate();
    auto file = std::filesystem::temp_directory_path() /
                ("bft-links-" + hex(key.public_key()).substr(0, 16));
    ASSERT_TRUE(key.save(file).has_value());
    Node first(io_, {}, *crypto::SigningKey::load(file));
    Node second(io_, {}, *crypto::SigningKey::load(file));
    std::filesystem::remove(file);
    std::uint16_t port = join(first, host);
    ASSERT_TRUE(second.links->dial(host.id(), address(port)).has_value());
    ASSERT_TRUE(run_until([&] { return first.downs.size() == 1 && second.up(host); }));
    EXPECT_EQ(host.links->report().links.size(), 1u);
    EXPECT_TRUE(host.downs.empty());
}

TEST_F(LinksTest, ConnectionsAreBoundedInTotal) {
    LinkOptions options;
    options.connections_max = 1;
    Node host(io_, options), a(io_), b(io_);
    std::uint16_t port = join(a, host);
    host.allowed.insert(b.id());
    ASSERT_TRUE(b.links->dial(host.id(), address(port)).has_value());
    ASSERT_TRUE(run_until([&] { return host.links->report().refused_full > 0; }));
    EXPECT_TRUE(host.up(a));
    EXPECT_FALSE(host.up(b));
}

TEST_F(LinksTest, PeersAndClientsListenInOneProcess) {
    Node peers(io_), clients(io_), peer(io_), client(io_);
    join(peer, peers);
    std::uint16_t port = join(client, clients);
    ASSERT_TRUE(peer.links->dial(clients.id(), address(port)).has_value());
    ASSERT_TRUE(run_until([&] { return clients.links->report().refused_key > 0; }));
    EXPECT_TRUE(client.send(clients, "c"));
    EXPECT_TRUE(peer.send(peers, "p"));
    ASSERT_TRUE(run_until([&] { return clients.count("c") == 1 && peers.count("p") == 1; }));
}

TEST_F(LinksTest, SilentLinkIsKeptAliveByBothEnds) {
    LinkOptions options;
    options.idle_timeout = 200ms;
    Node a(io_, options), b(io_, options);
    join(a, b);
    auto later = std::chrono::steady_clock::now() + std::chrono::milliseconds(700);
    ASSERT_TRUE(run_until([&] { return std::chrono::steady_clock::now() > later; }));
    EXPECT_TRUE(a.downs.empty());
    EXPECT_TRUE(b.downs.empty());
    EXPECT_TRUE(a.frames.empty());
}

TEST_F(LinksTest, HangingUpAndDisconnecting) {
    Node a(io_), b(io_);
    join(a, b);
    b.links->disconnect(a.id(), "test");
    ASSERT_TRUE(run_until([&] { return a.downs.size() == 1; }));
    ASSERT_TRUE(run_until([&] { return a.ups.size() == 2; }));
    a.links->hang_up(b.id());
    EXPECT_EQ(a.downs.size(), 2u);
    EXPECT_FALSE(a.up(b));
    EXPECT_TRUE(a.links->report().links.empty());
    ASSERT_TRUE(run_until([&] { return b.downs.size() == 2; }));
}

LinkOptions speaking(std::vector<std::string> protocols) {
    LinkOptions options;
    options.protocols = std::move(protocols);
    return options;
}

TEST_F(LinksTest, TheBestVersionThatBothSpeakIsChosen) {
    Node older(io_, speaking({"bftnode/1"})), newer(io_, speaking({"bftnode/2", "bftnode/1"}));
    older.allowed.insert(newer.id());
    newer.allowed.insert(older.id());
    ASSERT_TRUE(newer.links->dial(older.id(), address(listen(older))).has_value());
    ASSERT_TRUE(older.links->dial(newer.id(), address(listen(newer))).has_value());
    ASSERT_TRUE(run_until([&] { return newer.ups.size() == 2 && older.ups.size() == 2; }) ||
                (newer.up(older) && older.up(newer)));
    for (const Node* node : {&older, &newer}) {
        for (const LinkReport& link : node->links->report().links)
            EXPECT_TRUE(!link.up || link.protocol == "bftnode/1") << link.protocol;
    }
    EXPECT_GT(newer.links->report().links.at(0).rtt_us, 0U);
}

TEST_F(LinksTest, WithoutACommonVersionBothSidesSaySo) {
    Node older(io_, speaking({"bftnode/1"})), newer(io_, speaking({"bftnode/3", "bftnode/2"}));
    older.allowed.insert(newer.id());
    newer.allowed.insert(older.id());
    ASSERT_TRUE(newer.links->dial(older.id(), address(listen(older))).has_value());
    auto why = [&] { return newer.links->report().links.at(0).last_error; };
    ASSERT_TRUE(run_until([&] { return !why().empty(); }));
    EXPECT_NE(why().find("no common protocol version: we speak bftnode/3, bftnode/2"),
              std::string::npos)
        << why();
    drain();
    EXPECT_FALSE(newer.up(older));
    EXPECT_TRUE(older.ups.empty());
    EXPECT_TRUE(newer.ups.empty());
}

TEST_F(LinksTest, NamesAndIpv6AreAddresses) {
    Node a(io_), b(io_);
    b.allowed.insert(a.id());
    std::uint16_t port = listen(b);
    ASSERT_TRUE(a.links->dial(b.id(), "localhost:" + std::to_string(port)).has_value());
    EXPECT_TRUE(run_until([&] { return a.up(b); }));
    auto v6 = b.links->listen("[::1]:0");
    if (!v6) GTEST_SKIP() << "no IPv6 here: " << v6.error().what;
    ASSERT_TRUE(a.links->dial(b.id(), "[::1]:" + std::to_string(*v6)).has_value());
    EXPECT_TRUE(run_until([&] { return a.up(b); }));
}

TEST_F(LinksTest, ErrorsOfAddresses) {
    Node a(io_), b(io_);
    EXPECT_EQ(a.links->dial(b.id(), "nonsense").error().code, Errc::malformed);
    std::uint16_t port = listen(b);
    auto taken = a.links->listen(address(port));
    ASSERT_FALSE(taken.has_value());
    EXPECT_NE(taken.error().what.find("running already"), std::string::npos) << taken.error().what;
}

TEST_F(LinksTest, ClosingInsideACallbackIsAllowed) {
    Node a(io_), b(io_);
    join(a, b);
    b.on_frame = [&](ByteView) { b.links->close(); };
    a.send(b, "1");
    a.send(b, "2");
    ASSERT_TRUE(run_until([&] { return a.downs.size() == 1; }));
    EXPECT_EQ(b.frames.size(), 1u);
}

}  // namespace
}  // namespace bft::net

#include "host/peers.hpp"

#include "host/misbehaviour.hpp"
#include "host/signature_cache.hpp"

#include <gtest/gtest.h>

namespace bft::host {
namespace {

using consensus::Endpoint;

consensus::Membership cluster() {
    consensus::Membership m;
    m.primaries = {{HostId(0), UsigId(0)}};
    m.groups = {{GroupId(1), {{HostId(1), UsigId(1)}, {HostId(2), UsigId(2)}, {HostId(3), {}}}}};
    m.voters = {HostId(1), HostId(2), HostId(3)};
    m.clients = {{ClientId(7), Bytes(32, 77)}, {ClientId(8), Bytes(32, 88)}};
    for (std::uint32_t h = 0; h < 4; ++h)
        m.host_keys[HostId(h)] = Bytes(32, static_cast<std::uint8_t>(h + 1));
    return m;
}

class PeersTest : public ::testing::Test {
protected:
    consensus::Membership membership = cluster();
    Peers peers{membership};
};

TEST_F(PeersTest, KeysNameHostsAndClients) {
    EXPECT_EQ(peers.find(Bytes(32, 3))->host, HostId(2));
    EXPECT_EQ(peers.find(Bytes(32, 77))->client, ClientId(7));
    EXPECT_FALSE(peers.find(Bytes(32, 99)));
    EXPECT_FALSE(peers.find(Bytes(31, 3)));
    ASSERT_NE(peers.key_of(ClientId(8)), nullptr);
    EXPECT_EQ(*peers.key_of(ClientId(8)), Bytes(32, 88));
    EXPECT_EQ(peers.key_of(ClientId(9)), nullptr);
}

TEST_F(PeersTest, AHostSpeaksForItsOwnEndpointsOnly) {
    Peer host2{HostId(2), {}};
    EXPECT_TRUE(peers.may_speak(host2, Endpoint::replica(GroupId(1), Position(1))));
    EXPECT_TRUE(peers.may_speak(host2, Endpoint::voter(VoterId(1))));
    EXPECT_FALSE(peers.may_speak(host2, Endpoint::replica(GroupId(1), Position(0))));
    EXPECT_FALSE(peers.may_speak(host2, Endpoint::voter(VoterId(0))));
    EXPECT_FALSE(peers.may_speak(host2, Endpoint::primary(PrimaryId(0))));
    EXPECT_FALSE(peers.may_speak(host2, Endpoint::replica(GroupId(9), Position(0))));
    EXPECT_FALSE(peers.may_speak(host2, Endpoint::replica(GroupId(1), Position(3))));
    EXPECT_FALSE(peers.may_speak(host2, Endpoint::of_client(ClientId(7))));
}

TEST_F(PeersTest, AClientSpeaksForItselfOnly) {
    Peer client{std::nullopt, ClientId(7)};
    EXPECT_TRUE(peers.may_speak(client, Endpoint::of_client(ClientId(7))));
    EXPECT_FALSE(peers.may_speak(client, Endpoint::of_client(ClientId(8))));
    EXPECT_FALSE(peers.may_speak(client, Endpoint::replica(GroupId(1), Position(0))));
    EXPECT_FALSE(peers.may_speak(client, Endpoint::primary(PrimaryId(0))));
}

TEST(SignatureCache, VerifiesOnceAndNeverRemembersFailures) {
    int checks = 0;
    bool good = false;
    SignatureCache cache(
        [&](UsigId, const consensus::Ui&, const Digest&) {
            ++checks;
            return good;
        },
        [&](ByteView, const Digest&, ByteView) {
            ++checks;
            return good;
        });
    consensus::Ui ui{Counter(1), 0, {1, 2}};
    EXPECT_FALSE(cache.certified(UsigId(1), ui, {}));
    EXPECT_FALSE(cache.certified(UsigId(1), ui, {}));
    good = true;
    EXPECT_TRUE(cache.certified(UsigId(1), ui, {}));
    EXPECT_EQ(checks, 3);
    good = false;
    EXPECT_TRUE(cache.certified(UsigId(1), ui, {})) << "remembered";
    EXPECT_EQ(checks, 3);
    // Everything that is claimed is part of what was verified.
    EXPECT_FALSE(cache.certified(UsigId(2), ui, {}));
    EXPECT_FALSE(cache.certified(UsigId(1), {Counter(2), 0, {1, 2}}, {}));
    EXPECT_FALSE(cache.certified(UsigId(1), {Counter(1), 1, {1, 2}}, {}));
    EXPECT_FALSE(cache.certified(UsigId(1), {Counter(1), 0, {1, 3}}, {}));
    EXPECT_FALSE(cache.certified(UsigId(1), ui, Digest{{1}}));
    EXPECT_FALSE(cache.signed_by(Bytes{1}, {}, Bytes{2}));
}

TEST(DigestCache, IsBounded) {
    DigestCache cache(10);
    for (std::uint8_t i = 0; i < 100; ++i) cache.insert(Digest{{i}});
    EXPECT_TRUE(cache.contains(Digest{{99}}));
    EXPECT_TRUE(cache.contains(Digest{{90}}));
    EXPECT_FALSE(cache.contains(Digest{{70}}));
}

TEST(Misbehaviour, ReadsItsNames) {
    auto all = Misbehaviour::parse(
        "wrong-commit,wrong-commit-db,wrong-result,wrong-reply,silence,garbage");
    ASSERT_TRUE(all);
    EXPECT_TRUE(all->any());
    EXPECT_FALSE(Misbehaviour::parse("kindness"));
    auto silent = Misbehaviour::parse("silence");
    ASSERT_TRUE(silent);
    EXPECT_FALSE(silent->change(consensus::Status{}));
    EXPECT_EQ(silent->text(), "silence");
}

}  // namespace
}  // namespace bft::host

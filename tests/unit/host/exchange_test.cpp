#include "host/exchange.hpp"

#include "../catalog/sample.hpp"
#include "consensus/configuration.hpp"
#include "consensus/signed_bytes.hpp"
#include "crypto/signing_key.hpp"
#include "crypto/tls.hpp"
#include "host/signature_cache.hpp"
#include "wire/codec.hpp"

#include <gtest/gtest.h>

namespace bft::host {
namespace {

using consensus::Endpoint;
using consensus::Message;
using consensus::Rejected;

constexpr ClientId client_id(7);
const Endpoint replica = Endpoint::replica(GroupId(1), Position(0));
const Endpoint other_replica = Endpoint::replica(GroupId(2), Position(0));
const Endpoint peer_replica = Endpoint::replica(GroupId(1), Position(1));
const Endpoint voter = Endpoint::voter(VoterId(0));

// Host 0 is under test; a peer (host 1) and a client come in over real TLS links.
class ExchangeTest : public ::testing::Test {
protected:
    struct Remote {
        crypto::SigningKey key = crypto::SigningKey::generate();
        std::unique_ptr<boost::asio::ssl::context> tls;
        std::unique_ptr<net::Links> links;
        std::vector<Message> received;
    };

    ExchangeTest() {
        membership.f = 1;
        for (std::uint32_t g : {1u, 2u})
            membership.groups.push_back(
                {GroupId(g), {{HostId(0), {}}, {HostId(1), {}}, {HostId(2), {}}}});
        membership.primaries = {{HostId(1), {}}};
        membership.voters = {HostId(0), HostId(1), HostId(2)};
        membership.owners = {{PartitionId(0), GroupId(1)},
                             {PartitionId(1), GroupId(1)},
                             {PartitionId(2), GroupId(2)}};
        membership.clients = {{client_id, client.key.public_key()}};
        membership.host_keys = {{HostId(0), self_key.public_key()},
                                {HostId(1), peer.key.public_key()},
                                {HostId(2), Bytes(32, 9)}};
        tls = std::move(*crypto::make_tls_context(self_key));
        exchange.emplace(
            loop, *tls, clock, directory(), application, Misbehaviour{}, [] { return false; },
            Exchange::Options{{threads, 1 << 20, 100}, {}});
        for (const Endpoint& endpoint : {replica, other_replica, voter})
            exchange->attach(endpoint, [this, endpoint](const consensus::Verified& message) {
                handed.emplace_back(endpoint, message.message());
            });
    }

    std::shared_ptr<const Directory> directory() {
        return std::make_shared<const Directory>(membership, hosts, signatures);
    }
    void start() {
        net::Links probe(loop, *tls, {}, {});
        auto port = probe.listen("127.0.0.1:0");
        ASSERT_TRUE(port);
        probe.close();
        address = "127.0.0.1:" + std::to_string(*port);
        auto started = exchange->start(address, HostId(0));
        ASSERT_TRUE(started) << started.error().what;
        connect(peer);
        connect(client);
    }
    void connect(Remote& remote) {
        dial(remote);
        run_until([&] { return remote.links->is_up(self_key.public_key()); });
    }
    void dial(Remote& remote) {
        remote.tls = std::move(*crypto::make_tls_context(remote.key));
        remote.links = std::make_unique<net::Links>(
            loop, *remote.tls, net::LinkOptions{},
            net::LinkCallbacks{[](ByteView) { return true; },
                               [&remote](ByteView, Bytes frame) {
                                   auto message = wire::decode(frame);
                                   ASSERT_TRUE(message);
                                   remote.received.push_back(std::move(*message));
                               },
                               {},
                               {}});
        ASSERT_TRUE(remote.links->dial(self_key.public_key(), address));
    }
    void run_until(const std::function<bool()>& done) {
        auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(5);
        while (!done() && std::chrono::steady_clock::now() < limit) {
            loop.restart();
            loop.run_one_for(std::chrono::milliseconds(100));
        }
        ASSERT_TRUE(done());
    }
    void send(Remote& remote, const Message& message) { send(remote, wire::encode(message)); }
    void send(Remote& remote, Bytes frame) {
        ASSERT_TRUE(remote.links->send(self_key.public_key(),
                                       std::make_shared<const Bytes>(std::move(frame))));
    }
    std::uint64_t drops(const Remote& remote, Drop why) {
        return exchange->report().drops[remote.key.public_key()][static_cast<std::size_t>(why)];
    }

    static consensus::Status status() {
        consensus::Status s;
        s.votes_seen.resize(3);
        s.ordering_seen.resize(1);
        return s;
    }
    consensus::Request call(std::int64_t branch, std::uint32_t part) {
        consensus::Request r;
        r.id = {client_id, PartitionId(part), ClientSeq(5)};
        r.ack_low = ClientSeq(5);
        r.parts = {PartitionId(part)};
        r.op = catalog::encode_call({"balance", {branch}});
        r.raw = wire::encode_request(r);
        r.rd = consensus::request_digest(r.raw);
        r.signature = Bytes(64, 1);
        return r;
    }
    static consensus::Body body(consensus::Request r) {
        return std::make_shared<const consensus::Request>(std::move(r));
    }

    std::uint32_t threads = 1;
    boost::asio::io_context loop;
    SystemClock clock;
    crypto::SigningKey self_key = crypto::SigningKey::generate();
    Remote peer, client;
    consensus::Membership membership;
    std::atomic<bool> signature_good{true};
    SignatureCache signatures{
        [](UsigId, const consensus::Ui&, const Digest&) { return true; },
        [this](ByteView, const Digest&, ByteView) { return signature_good.load(); }};
    std::map<HostId, HostEntry> hosts;
    catalog::Application application = *catalog::Application::parse(
        "bank", catalog::sample::kCatalog, catalog::sample::kSchema, catalog::sample::kProcedures);
    std::unique_ptr<boost::asio::ssl::context> tls;
    std::string address;
    std::vector<std::pair<Endpoint, Message>> handed;
    std::optional<Exchange> exchange;
};

TEST_F(ExchangeTest, OnlyWhatAPeerMaySayReachesAnEndpoint) {
    start();
    send(peer, Bytes{1, 2, 3});
    send(peer, Message{Endpoint::replica(GroupId(1), Position(2)), replica, status()});
    send(peer, Message{peer_replica, Endpoint::replica(GroupId(1), Position(2)), status()});
    send(peer, Message{peer_replica, replica, consensus::DbReply{}});
    send(peer, Message{peer_replica, replica, status()});
    run_until([&] { return !handed.empty(); });
    EXPECT_EQ(handed.size(), 1u);
    EXPECT_EQ(handed[0].first, replica);
    EXPECT_EQ(drops(peer, Drop::malformed), 1u);
    EXPECT_EQ(drops(peer, Drop::impersonation), 1u);
    EXPECT_EQ(drops(peer, Drop::misdirected), 1u);
    EXPECT_EQ(drops(peer, Drop::unverified), 1u);
}

TEST_F(ExchangeTest, AClientIsToldWhyItsRequestIsRefused) {
    start();
    const Endpoint self = Endpoint::of_client(client_id);
    signature_good = false;
    send(client, Message{self, replica, body(call(1, 1))});
    run_until([&] { return client.received.size() == 1; });
    signature_good = true;
    send(client, Message{self, replica, body(call(1, 2))});   // touches 1, declares 2
    send(client, Message{self, replica, body(call(99, 1))});  // out of range
    send(client, Message{self, replica, body(call(1, 1))});
    run_until([&] { return client.received.size() == 3 && handed.size() == 1; });
    std::vector<Rejected::Reason> reasons;
    for (const Message& message : client.received)
        reasons.push_back(std::get<Rejected>(message.payload).reason);
    EXPECT_EQ(reasons,
              (std::vector{Rejected::Reason::bad_signature, Rejected::Reason::wrong_partitions,
                           Rejected::Reason::bad_arguments}));
    EXPECT_EQ(client.received[0].from, replica);
    EXPECT_EQ(exchange->report().rejected, 3u);
}

TEST_F(ExchangeTest, RequestsInOneFrameAreJudgedOneByOne) {
    start();
    consensus::Bodies many{{body(call(1, 1)), body(call(99, 1)), body(call(2, 2))}};
    send(client, Message{Endpoint::of_client(client_id), replica, many});
    run_until([&] { return handed.size() == 2 && client.received.size() == 1; });
}

TEST_F(ExchangeTest, APeerDoesNotRelayWhatTheApplicationRefuses) {
    start();
    send(peer, Message{peer_replica, replica, body(call(99, 1))});
    run_until([&] { return drops(peer, Drop::inadmissible) == 1; });
    EXPECT_TRUE(handed.empty());
}

TEST_F(ExchangeTest, EndpointsOfOneProcessNeedNoLink) {
    exchange->transmit(replica,
                       {{voter}, consensus::CommitDb{GroupId(1), {}, Slot(1), {}, {}, {}}});
    exchange->transmit(replica, {{voter}, consensus::DbReply{}});  // a replica may not say this
    run_until([&] { return !handed.empty(); });
    loop.restart();
    loop.poll();
    EXPECT_EQ(handed.size(), 1u) << "local messages pass the Verifier, too";
    EXPECT_EQ(handed[0].first, voter);
}

TEST_F(ExchangeTest, OnePrepareServesAllReplicasOfAHost) {
    start();
    auto header = std::make_shared<consensus::Header>();
    header->slot = Slot(1);
    consensus::Prepare prepare;
    prepare.slot = Slot(1);
    prepare.hd = consensus::header_digest(*header);
    prepare.header = header;
    prepare.ui.cv = Counter(1);
    send(peer, Message{Endpoint::primary(PrimaryId(0)), replica, prepare});
    run_until([&] { return handed.size() == 2; });
    EXPECT_EQ(handed[0].first, replica);
    EXPECT_EQ(handed[1].first, other_replica);
}

// Host 3 takes the seats of host 1 while everything runs (docs/adr/0025).
TEST_F(ExchangeTest, EndpointsComeAndGoWhileItRuns) {
    start();
    const Endpoint late = Endpoint::replica(GroupId(9), Position(0));
    membership.groups.push_back({GroupId(9), {{HostId(0), {}}, {HostId(1), {}}, {HostId(2), {}}}});
    exchange->know(directory());
    const Endpoint speaker = Endpoint::replica(GroupId(9), Position(1));
    send(peer, {speaker, late, status()});
    run_until([&] { return drops(peer, Drop::misdirected) == 1; });
    int heard = 0;
    exchange->attach(late, [&](const consensus::Verified&) { ++heard; });
    send(peer, {speaker, late, status()});
    run_until([&] { return heard == 1; });
    exchange->detach(late);
    send(peer, {speaker, late, status()});
    run_until([&] { return drops(peer, Drop::misdirected) == 2; });
    EXPECT_EQ(heard, 1);
}

TEST_F(ExchangeTest, AHostThatTakesAnothersPlaceIsKnownFromThenOn) {
    start();
    Remote newcomer;
    dial(newcomer);
    run_until([&] { return exchange->report().links.refused_key > 0; });
    const Endpoint place = Endpoint::replica(GroupId(1), Position(4));
    consensus::Group& group = membership.groups[0];
    group.members.resize(5, {consensus::nobody, {}});
    group.members[4] = {HostId(3), {}};
    group.retired = {Position(1), Position(3)};
    membership.groups[1].retired = {Position(1)};
    membership.voters[1] = HostId(3);
    membership.primaries.push_back({HostId(2), {}});
    membership.reigns = {{PrimaryId(0)}, {PrimaryId(1)}};
    membership.host_keys[HostId(3)] = newcomer.key.public_key();
    hosts[HostId(3)] = {"host4", "no address"};  // told, and no more
    exchange->know(directory());
    run_until([&] { return newcomer.links->is_up(self_key.public_key()); });
    send(newcomer, Message{place, replica, status()});
    run_until([&] { return handed.size() == 1; });
    EXPECT_EQ(handed[0].second.from, place);
    exchange->transmit(replica, {{place}, status()});
    run_until([&] { return newcomer.received.size() == 1; });

    send(peer, Message{Endpoint::voter(VoterId(1)), replica, consensus::DbReply{}});
    run_until([&] { return drops(peer, Drop::impersonation) == 1; });
    EXPECT_FALSE(exchange->directory().takes_part(HostId(1)));
    EXPECT_TRUE(exchange->directory().takes_part(HostId(3)));
    // What it said as a replica is of slots that were its own.
    send(peer, Message{peer_replica, replica, status()});
    run_until([&] { return handed.size() == 2; });
}

// With a key that is not in force any more a client hears that it is refused, and who may say so.
TEST_F(ExchangeTest, AFormerKeyHearsOfRefusalsAndOfMembers) {
    start();
    membership.newest_keys[client_id] = {};
    exchange->know(directory());
    const Endpoint to = Endpoint::of_client(client_id);
    auto barrier = std::make_shared<consensus::BarrierCert>();
    barrier->slot = Slot(8);
    auto config = consensus::configuration_of(membership);
    config.version = config.version.next();
    barrier->groups.emplace_back().config = consensus::configuration_digest(config);
    barrier->config = std::make_shared<const consensus::Configuration>(std::move(config));
    exchange->transmit(replica, {{to}, consensus::FetchConfig{}});
    exchange->transmit(replica, {{to}, consensus::Reply{}});
    exchange->transmit(replica, {{to}, consensus::BarrierCertPtr(barrier)});
    exchange->transmit(
        replica, {{to}, consensus::Rejected{{}, consensus::Rejected::Reason::not_a_client, "no"}});
    run_until([&] { return client.received.size() == 2; });
    EXPECT_TRUE(std::holds_alternative<consensus::BarrierCertPtr>(client.received[0].payload));
    EXPECT_TRUE(std::holds_alternative<consensus::Rejected>(client.received[1].payload));
}

// What proves itself and is for all of them costs a host one check, however many groups it has.
TEST_F(ExchangeTest, OneNewViewServesAllReplicasOfAHost) {
    start();
    consensus::NewView new_view;
    new_view.view = View(1);
    new_view.ui.cv = Counter(1);
    send(peer, Message{Endpoint::primary(PrimaryId(0)), other_replica, new_view});
    run_until([&] { return handed.size() == 2; });
    EXPECT_EQ(handed[0].first, replica);
    EXPECT_EQ(handed[1].first, other_replica);
    handed.clear();
    exchange->transmit(replica, {{replica, other_replica}, new_view});
    run_until([&] { return handed.size() == 2; });
    loop.restart();
    loop.poll();
    EXPECT_EQ(handed.size(), 2u) << "each replica gets it once";
}

}  // namespace
}  // namespace bft::host

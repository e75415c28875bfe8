// The other side is not one of us.
#include "fixture.hpp"
#include "net/links.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <openssl/ssl.h>

namespace bft::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

tcp::endpoint local(std::uint16_t port) {
    return {asio::ip::address_v4::loopback(), port};
}

/// A TCP connection that sends `bytes` and notices when it is closed.
struct RawClient {
    RawClient(asio::io_context& io, std::uint16_t port, std::string bytes)
        : socket(io), out(std::move(bytes)) {
        socket.async_connect(local(port), [this](error_code) {
            asio::async_write(socket, asio::buffer(out), [](error_code, std::size_t) {});
            read();
        });
    }
    void read() {
        socket.async_read_some(asio::buffer(in), [this](error_code code, std::size_t) {
            if (code)
                closed = true;
            else
                read();
        });
    }
    tcp::socket socket;
    std::string out;
    std::array<char, 4096> in{};
    bool closed = false;
};

/// Speaks TLS with a proper key, and then whatever the test wants.
struct TlsClient {
    TlsClient(asio::io_context& io, const crypto::SigningKey& key, std::uint16_t port)
        : tls(*crypto::make_tls_context(key)), stream(io, *tls), where(local(port)) {}

    void start(std::string bytes) {
        out = std::move(bytes);
        stream.set_verify_callback([](bool, asio::ssl::verify_context&) { return true; });
        SSL_set_alpn_protos(stream.native_handle(),
                            reinterpret_cast<const unsigned char*>(protocols.data()),
                            static_cast<unsigned>(protocols.size()));
        stream.next_layer().async_connect(where, [this](error_code) {
            stream.async_handshake(asio::ssl::stream_base::client, [this](error_code code) {
                if (code) {
                    closed = true;
                    return;
                }
                shaken = true;
                asio::async_write(stream, asio::buffer(out), [](error_code, std::size_t) {});
                read();
            });
        });
    }
    void read() {
        stream.async_read_some(asio::buffer(in), [this](error_code code, std::size_t) {
            if (code)
                closed = true;
            else
                read();
        });
    }
    std::unique_ptr<asio::ssl::context> tls;
    asio::ssl::stream<tcp::socket> stream;
    tcp::endpoint where;
    std::string protocols =
        "\x09"
        "bftnode/1";
    std::string out;
    std::array<char, 4096> in{};
    bool shaken = false;
    bool closed = false;
};

std::string length(std::uint32_t value) {
    std::string text;
    for (int shift = 24; shift >= 0; shift -= 8) text.push_back(static_cast<char>(value >> shift));
    return text;
}

using HostileTest = LinksFixture;

TEST_F(HostileTest, KeyThatIsNotListedIsRefused) {
    Node host(io_), stranger(io_), peer(io_);
    host.allowed.insert(peer.id());
    std::uint16_t port = listen(host);
    ASSERT_TRUE(stranger.links->dial(host.id(), address(port)).has_value());
    ASSERT_TRUE(run_until([&] { return host.links->report().refused_key >= 2; }));
    EXPECT_TRUE(host.ups.empty());
    EXPECT_TRUE(stranger.ups.empty());
    EXPECT_FALSE(stranger.links->report().links.at(0).last_error.empty());
    // Those who are listed get in all the same.
    ASSERT_TRUE(peer.links->dial(host.id(), address(port)).has_value());
    EXPECT_TRUE(run_until([&] { return peer.up(host); }));
}

TEST_F(HostileTest, HostWithAnotherKeyThanDialledIsRefused) {
    Node a(io_), impostor(io_), expected(io_);
    impostor.allowed.insert(a.id());
    std::uint16_t port = listen(impostor);
    ASSERT_TRUE(a.links->dial(expected.id(), address(port)).has_value());
    ASSERT_TRUE(run_until([&] { return a.links->report().refused_key >= 1; }));
    EXPECT_TRUE(a.ups.empty());
    EXPECT_TRUE(impostor.ups.empty());
    std::string why = a.links->report().links.at(0).last_error;
    EXPECT_NE(why.find(hex(impostor.id())), std::string::npos) << why;
    EXPECT_NE(why.find(hex(expected.id())), std::string::npos) << why;
}

TEST_F(HostileTest, GarbageInsteadOfTlsIsClosed) {
    Node host(io_);
    std::uint16_t port = listen(host);
    RawClient http(io_, port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    RawClient noise(io_, port, std::string(100'000, '\xee'));
    EXPECT_TRUE(run_until([&] { return http.closed && noise.closed; }));
    EXPECT_TRUE(host.ups.empty());
}

TEST_F(HostileTest, ClientWithoutCertificateIsRefused) {
    Node host(io_);
    std::uint16_t port = listen(host);
    asio::ssl::context anonymous(asio::ssl::context::tls);
    asio::ssl::stream<tcp::socket> stream(io_, anonymous);
    std::array<char, 16> in{};
    bool refused = false;
    stream.next_layer().async_connect(local(port), [&](error_code) {
        stream.async_handshake(asio::ssl::stream_base::client, [&](error_code code) {
            refused = bool(code);
            if (refused) return;
            stream.async_read_some(asio::buffer(in),
                                   [&](error_code end, std::size_t) { refused = bool(end); });
        });
    });
    EXPECT_TRUE(run_until([&] { return refused; }));
    EXPECT_TRUE(host.ups.empty());
}

TEST_F(HostileTest, OlderTlsIsRefused) {
    Node host(io_), peer(io_);
    host.allowed.insert(peer.id());
    std::uint16_t port = listen(host);
    TlsClient client(io_, peer.key, port);
    SSL_set_min_proto_version(client.stream.native_handle(), TLS1_2_VERSION);
    SSL_set_max_proto_version(client.stream.native_handle(), TLS1_2_VERSION);
    client.start(length(0));
    EXPECT_TRUE(run_until([&] { return client.closed; }));
    EXPECT_FALSE(client.shaken);
}

TEST_F(HostileTest, StrangeProtocolNamesAreRefused) {
    Node host(io_), peer(io_);
    host.allowed.insert(peer.id());
    std::uint16_t port = listen(host);
    for (const char* offered : {"", "\x01\n",
                                "\x09"
                                "bftnode/9",
                                "\x02h2\x08http/1.1"}) {
        TlsClient client(io_, peer.key, port);
        client.protocols = offered;
        client.start(length(0));
        EXPECT_TRUE(run_until([&] { return client.closed; })) << offered;
    }
    EXPECT_TRUE(host.ups.empty());
}

TEST_F(HostileTest, SlowHandshakeTimesOut) {
    LinkOptions options;
    options.handshake_timeout = 100ms;
    Node host(io_, options);
    std::uint16_t port = listen(host);
    // The first bytes of a ClientHello record, and no more.
    RawClient client(io_, port, std::string("\x16\x03\x01\x02\x00\x01", 6));
    EXPECT_TRUE(run_until([&] { return client.closed; }));
    EXPECT_EQ(host.links->report().timeouts, 1u);
}

TEST_F(HostileTest, HandshakesAreBounded) {
    LinkOptions options;
    options.handshakes_max = 2;
    Node host(io_, options);
    std::uint16_t port = listen(host);
    RawClient one(io_, port, ""), two(io_, port, ""), three(io_, port, "");
    EXPECT_TRUE(run_until([&] { return one.closed || two.closed || three.closed; }));
    EXPECT_EQ(host.links->report().refused_full, 1u);
}

TEST_F(HostileTest, PeerWithoutAFirstFrameTimesOut) {
    LinkOptions options;
    options.first_frame_timeout = 100ms;
    Node host(io_, options), peer(io_);
    host.allowed.insert(peer.id());
    std::uint16_t port = listen(host);
    TlsClient client(io_, peer.key, port);
    client.start(length(5) + "part");
    EXPECT_TRUE(run_until([&] { return client.closed; }));
    EXPECT_TRUE(client.shaken);
    EXPECT_TRUE(host.ups.empty());
    EXPECT_EQ(host.links->report().timeouts, 1u);
}

TEST_F(HostileTest, UnfinishedFrameTimesOut) {
    LinkOptions options;
    options.idle_timeout = 100ms;
    Node host(io_, options), peer(io_);
    host.allowed.insert(peer.id());
    std::uint16_t port = listen(host);
    TlsClient client(io_, peer.key, port);
    client.start(length(0) + length(1000) + "the beginning");
    EXPECT_TRUE(run_until([&] { return client.closed; }));
    ASSERT_EQ(host.downs.size(), 1u);
    EXPECT_NE(host.downs[0].second.find("no frame within 100 ms"), std::string::npos);
}

TEST_F(HostileTest, OversizedFrameClosesTheLink) {
    LinkOptions options;
    options.frame_bytes_max = 1000;
    Node host(io_, options), peer(io_);
    host.allowed.insert(peer.id());
    std::uint16_t port = listen(host);
    TlsClient client(io_, peer.key, port);
    client.start(length(4) + "good" + length(1001) + std::string(1001, 'x'));
    EXPECT_TRUE(run_until([&] { return client.closed; }));
    EXPECT_EQ(host.count("good"), 1u);
    EXPECT_EQ(host.frames.size(), 1u);
    EXPECT_EQ(host.links->report().oversized, 1u);
    ASSERT_EQ(host.downs.size(), 1u);

    TlsClient huge(io_, peer.key, port);
    huge.start(length(0xffffffff));
    EXPECT_TRUE(run_until([&] { return huge.closed; }));
    EXPECT_EQ(host.links->report().oversized, 2u);
}

TEST_F(HostileTest, FrameOfTheBoundArrivesInPieces) {
    LinkOptions options;
    options.frame_bytes_max = 1000;
    Node host(io_, options), peer(io_);
    host.allowed.insert(peer.id());
    std::uint16_t port = listen(host);
    TlsClient client(io_, peer.key, port);
    client.start(length(1000) + std::string(600, 'x'));
    ASSERT_TRUE(run_until([&] { return client.shaken; }));
    drain();
    EXPECT_TRUE(host.frames.empty());
    std::string rest(400, 'y');
    asio::async_write(client.stream, asio::buffer(rest), [](error_code, std::size_t) {});
    ASSERT_TRUE(run_until([&] { return host.frames.size() == 1; }));
    EXPECT_EQ(host.frames[0].second, std::string(600, 'x') + rest);
}

}  // namespace
}  // namespace bft::net

// Subscribers of events.
#include "crypto/web_key.hpp"
#include "crypto/web_tls.hpp"
#include "fixture.hpp"

#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>

#include <filesystem>
#include <fstream>

namespace bft::http::test {
namespace {

namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;

class EventsTest : public ServerTest {
protected:
    void send(const std::string& event) {
        on_loop([&] {
            for (auto& stream : streams) stream->send(std::make_shared<const std::string>(event));
            return true;
        });
    }
};

TEST_F(EventsTest, ServerSentEvents) {
    start({{}, {"https://app.example"}});
    RawClient client(port);
    ASSERT_TRUE(
        client.send("GET /events HTTP/1.1\r\nHost: x\r\nOrigin: https://app.example\r\n\r\n"));
    std::string head = client.read_until("\"hello\"\n\n");
    EXPECT_NE(head.find("text/event-stream"), std::string::npos);
    EXPECT_NE(head.find("Access-Control-Allow-Origin: https://app.example"), std::string::npos);
    send("1");
    send("2");
    EXPECT_TRUE(client.read_until("data: 2\n\n").ends_with("data: 1\n\ndata: 2\n\n"));
    client.close();
    EXPECT_TRUE(eventually([](const ServerReport& r) { return r.subscribers == 0; }));
    EXPECT_EQ(on_loop([this] { return closed_streams; }), 1);
}

TEST_F(EventsTest, WebSocket) {
    start({});
    boost::asio::io_context io;
    websocket::stream<tcp::socket> socket(io);
    socket.next_layer().connect({boost::asio::ip::address_v4::loopback(), port});
    socket.handshake("127.0.0.1", "/events");
    beast::flat_buffer buffer;
    socket.read(buffer);
    EXPECT_EQ(beast::buffers_to_string(buffer.data()), "\"hello\"");
    socket.write(boost::asio::buffer(std::string("ignored")));
    send("1");
    buffer.clear();
    socket.read(buffer);
    EXPECT_EQ(beast::buffers_to_string(buffer.data()), "1");
    socket.close(websocket::close_code::normal);
    EXPECT_TRUE(eventually([](const ServerReport& r) { return r.subscribers == 0; }));
}

// The server's last words go through TLS while the subscriber's side of it is being read.
TEST_F(EventsTest, StreamsOverTlsEndInOrder) {
    std::string name = (std::filesystem::temp_directory_path() / "bft-http-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    std::filesystem::path folder = name;
    crypto::WebKey key = crypto::WebKey::generate();
    crypto::WebAuthority authority("test");
    ASSERT_TRUE(key.save(folder / "key"));
    std::ofstream(folder / "crt") << *authority.issue(key, {"127.0.0.1"});
    auto tls = crypto::make_web_tls_context(folder / "crt", folder / "key");
    std::filesystem::remove_all(folder);
    ASSERT_TRUE(tls) << tls.error().what;
    start({}, tls->get());

    boost::asio::io_context io;
    boost::asio::ssl::context context(boost::asio::ssl::context::tls_client);
    std::string root = *authority.certificate();
    context.add_certificate_authority(boost::asio::buffer(root));
    context.set_verify_mode(boost::asio::ssl::verify_peer);
    boost::asio::ssl::stream<tcp::socket> socket(io, context);
    socket.next_layer().connect({boost::asio::ip::address_v4::loopback(), port});
    socket.handshake(boost::asio::ssl::stream_base::client);
    boost::asio::write(socket,
                       boost::asio::buffer(std::string("GET /events HTTP/1.1\r\nHost: x\r\n\r\n")));
    std::string read;
    boost::asio::read_until(socket, boost::asio::dynamic_buffer(read), "\"hello\"\n\n");
    on_loop([this] {
        streams.front()->send(std::make_shared<const std::string>("1"));
        streams.front()->end();
        return true;
    });
    boost::system::error_code ended;
    boost::asio::read(socket, boost::asio::dynamic_buffer(read), ended);
    EXPECT_EQ(ended, boost::asio::error::eof) << "TLS was closed in order: " << ended.message();
    EXPECT_TRUE(read.ends_with("data: 1\n\n"));
    socket.next_layer().close();
    EXPECT_TRUE(eventually([](const ServerReport& r) { return r.open == 0; }));
}

TEST_F(EventsTest, WebSocketsOfOtherOriginsAreRefused) {
    start({{}, {"https://app.example"}});
    RawClient client(port);
    ASSERT_TRUE(
        client.send("GET /events HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example\r\n"
                    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"));
    EXPECT_TRUE(client.response().starts_with("HTTP/1.1 403"));
}

TEST_F(EventsTest, SlowSubscribersLoseTheStreamAndNothingElse) {
    ServerOptions options;
    options.limits.event_queue = 64;
    start(options);
    RawClient slow(port);
    slow.shrink_receive_buffer();
    ASSERT_TRUE(slow.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n"));
    slow.read_until("\"hello\"\n\n");
    RawClient good(port);
    ASSERT_TRUE(good.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n"));
    good.read_until("\"hello\"\n\n");
    const std::string event(100'000, 'x');
    for (int i = 0; report().lost == 0 && i < 1000; ++i) {
        good.forget();
        send(event + std::to_string(i));
        good.read_until("x" + std::to_string(i) + "\n\n");
    }
    EXPECT_EQ(report().lost, 1u);
    EXPECT_TRUE(slow.read_to_end().ends_with("data: {\"type\":\"lost\"}\n\n"));
    EXPECT_TRUE(eventually([](const ServerReport& r) { return r.subscribers == 1; }));
}

TEST_F(EventsTest, TheNumberOfSubscribersIsBounded) {
    ServerOptions options;
    options.limits.subscribers = 1;
    start(options);
    RawClient first(port);
    ASSERT_TRUE(first.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n"));
    first.read_until("\"hello\"\n\n");
    RawClient second(port);
    ASSERT_TRUE(second.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n"));
    EXPECT_TRUE(second.response().starts_with("HTTP/1.1 503"));
}

}  // namespace
}  // namespace bft::http::test

// Subscribers of events.
#include "fixture.hpp"

#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>

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

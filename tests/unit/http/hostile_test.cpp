// What an HTTP client may try: every bound holds, and others do not notice.
#include "fixture.hpp"

#include <list>

namespace bft::http::test {
namespace {

ServerOptions impatient() {
    ServerOptions options;
    options.limits.header_timeout = 200ms;
    options.limits.body_timeout = 200ms;
    options.limits.idle_timeout = 5s;
    return options;
}

TEST_F(ServerTest, SlowHeadersAreEnded) {
    start(impatient());
    RawClient client(port);
    ASSERT_TRUE(client.send("GET /hello HTTP/1.1\r\nHost: x\r\nX-Slow: "));
    EXPECT_NE(client.read_to_end().find("HTTP/1.1 408"), std::string::npos);
    EXPECT_EQ(report().timeouts, 1u);
    expect_others_served();
}

TEST_F(ServerTest, DribblingDoesNotBuyTime) {
    start(impatient());
    RawClient client(port);
    auto begin = std::chrono::steady_clock::now();
    ASSERT_TRUE(client.send("GET /hello HTTP/1.1\r\n"));
    // One header line after the other, as fast as it goes: the deadline stays where it was.
    while (report().timeouts == 0 && client.send("X: y\r\n"))
        if (std::chrono::steady_clock::now() - begin > std::chrono::seconds(5)) break;
    EXPECT_TRUE(client.closed());
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

TEST_F(ServerTest, SlowBodiesAreEnded) {
    start(impatient());
    RawClient client(port);
    ASSERT_TRUE(
        client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                    "Content-Length: 100\r\n\r\n{"));
    EXPECT_NE(client.read_to_end().find("HTTP/1.1 408"), std::string::npos);
    EXPECT_TRUE(eventually([](const ServerReport& r) { return r.body_bytes == 0; }));
}

TEST_F(ServerTest, AnnouncedBodiesOverTheBoundAreNotRead) {
    ServerOptions options;
    options.limits.body_bytes = 1000;
    start(options);
    RawClient client(port);
    ASSERT_TRUE(
        client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                    "Content-Length: 1001\r\n\r\n"));
    EXPECT_NE(client.read_to_end().find("HTTP/1.1 413"), std::string::npos);
    RawClient exact(port);
    ASSERT_TRUE(exact.send(post("/echo", std::string(1000, ' '))));
    EXPECT_TRUE(exact.response().starts_with("HTTP/1.1 200"));
}

TEST_F(ServerTest, ChunkedBodiesAreBoundedToo) {
    ServerOptions options;
    options.limits.body_bytes = 1000;
    start(options);
    RawClient client(port);
    ASSERT_TRUE(
        client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n"));
    for (int i = 0; i < 20 && client.send("64\r\n" + std::string(100, 'x') + "\r\n"); ++i) {
    }
    EXPECT_NE(client.read_to_end().find("HTTP/1.1 413"), std::string::npos);
}

TEST_F(ServerTest, AllBodiesTogetherAreBounded) {
    ServerOptions options;
    options.limits.body_bytes = 1000;
    options.limits.all_bodies_bytes = 2500;
    start(options);
    std::list<RawClient> uploading;
    for (int i = 0; i < 2; ++i) {
        RawClient& client = uploading.emplace_back(port);
        ASSERT_TRUE(
            client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                        "Content-Length: 1000\r\n\r\n{"));
    }
    ASSERT_TRUE(eventually([](const ServerReport& r) { return r.body_bytes == 2000; }));
    RawClient third(port);
    ASSERT_TRUE(
        third.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                   "Content-Length: 1000\r\n\r\n{"));
    EXPECT_NE(third.read_to_end().find("HTTP/1.1 503"), std::string::npos);
    uploading.clear();  // aborted uploads give their room back
    EXPECT_TRUE(eventually([](const ServerReport& r) { return r.body_bytes == 0; }));
    expect_others_served();
}

TEST_F(ServerTest, HugeHeadersAreRefused) {
    ServerOptions options;
    options.limits.header_bytes = 1024;
    start(options);
    RawClient client(port);
    client.send("GET /hello HTTP/1.1\r\nX: " + std::string(5000, 'a') + "\r\n\r\n");
    EXPECT_NE(client.read_to_end().find("HTTP/1.1 431"), std::string::npos);
}

TEST_F(ServerTest, WhatIsNoHttpIsToldSo) {
    start({});
    for (const std::string& bytes :
         {std::string("\x16\x03\x01\x02\x00 tls to a plain port\r\n\r\n"),
          std::string("GARBAGE\r\n\r\n"), std::string("GET /hello HTTP/9.9\r\n\r\n"),
          std::string("GET  /hello HTTP/1.1\r\n\r\n"),
          std::string("POST /echo HTTP/1.1\r\nContent-Length: x\r\n\r\n"),
          std::string("POST /echo HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n"),
          std::string("GET /\0 HTTP/1.1\r\n\r\n", 20)}) {
        RawClient client(port);
        ASSERT_TRUE(client.send(bytes));
        EXPECT_NE(client.read_to_end().find("HTTP/1.1 400"), std::string::npos) << bytes;
    }
    EXPECT_EQ(report().malformed, 7u);
}

TEST_F(ServerTest, IdleConnectionsMakeRoomForNewOnes) {
    ServerOptions options;
    options.limits.connections = 10;
    start(options);
    std::list<RawClient> lying;
    for (int i = 0; i < 50; ++i) {
        // Half of them have begun a header.
        RawClient& client = lying.emplace_back(port);
        if (i % 2 == 0) client.send("GET /hello HT");
    }
    ASSERT_TRUE(eventually([](const ServerReport& r) { return r.accepted == 50; }));
    EXPECT_EQ(report().open, 10u);
    EXPECT_EQ(report().evicted, 40u);
    for (int i = 0; i < 5; ++i) expect_others_served();
}

TEST_F(ServerTest, WorkingConnectionsAreNotEvicted) {
    ServerOptions options;
    options.limits.connections = 3;
    start(options);
    std::list<RawClient> working;
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(working.emplace_back(port).send(post("/never", "{}")));
    ASSERT_TRUE(eventually([](const ServerReport& r) { return r.requests == 3; }));
    RawClient more(port);
    EXPECT_TRUE(more.closed());
    EXPECT_EQ(report().refused, 1u);
    on_loop([this] {
        for (const Respond& respond : unanswered) respond({200, "text/plain", "done", {}});
        return true;
    });
    for (RawClient& client : working) EXPECT_TRUE(client.response().ends_with("done"));
}

TEST_F(ServerTest, ClientsThatLeaveAreForgotten) {
    start({});
    for (int i = 0; i < 20; ++i) {
        RawClient client(port);
        client.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\nGET /hel");
    }
    EXPECT_TRUE(eventually([](const ServerReport& r) { return r.accepted == 20 && r.open == 0; }));
}

}  // namespace
}  // namespace bft::http::test

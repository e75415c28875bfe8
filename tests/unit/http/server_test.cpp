// What an HTTP client may expect.
#include "fixture.hpp"

#include <filesystem>
#include <fstream>

namespace bft::http::test {
namespace {

using ::testing::Test;

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

TEST_F(ServerTest, AnswersSeveralRequestsOnOneConnection) {
    start({});
    RawClient client(port);
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(client.send("GET /items/a%20b?q=1 HTTP/1.1\r\nHost: x\r\n\r\n"));
        std::string response = client.response();
        EXPECT_TRUE(response.starts_with("HTTP/1.1 200")) << response;
    }
    // Two at once: the second waits until the first is answered.
    ASSERT_TRUE(client.send(post("/echo", "[1]") + post("/echo", "[2]")));
    EXPECT_TRUE(client.response().ends_with("[1]"));
    EXPECT_TRUE(client.response().ends_with("[2]"));
    EXPECT_EQ(report().open, 1u);
}

TEST_F(ServerTest, SaysWhatIsWrongWithARequest) {
    start({});
    RawClient client(port);
    auto ask = [&](const std::string& request) {
        EXPECT_TRUE(client.send(request));
        return client.response();
    };
    EXPECT_TRUE(ask("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 404"));
    std::string wrong_method = ask("DELETE /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_TRUE(wrong_method.starts_with("HTTP/1.1 405")) << wrong_method;
    EXPECT_TRUE(has(wrong_method, "Allow: GET, OPTIONS"));
    EXPECT_TRUE(ask("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 405"));
    EXPECT_TRUE(ask(post("/echo", "{}", "")).starts_with("HTTP/1.1 415"));
    EXPECT_TRUE(
        ask(post("/echo", "{}", "Content-Type: text/plain\r\n")).starts_with("HTTP/1.1 415"));
    EXPECT_TRUE(ask(post("/echo", "{}", "Content-Type: Application/JSON; charset=utf-8\r\n"))
                    .starts_with("HTTP/1.1 200"));
    EXPECT_TRUE(ask("GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 400"));
    EXPECT_TRUE(ask("GET /events?bad=1 HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 400"));
}

TEST_F(ServerTest, HeadHasTheLengthAndNoBody) {
    start({});
    RawClient client(port);
    ASSERT_TRUE(client.send("HEAD /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    std::string response = client.read_to_end();
    EXPECT_TRUE(has(response, "Content-Length: 5")) << response;
    EXPECT_TRUE(response.ends_with("\r\n\r\n"));
}

TEST_F(ServerTest, OnlyNamedOriginsMayAsk) {
    start({{}, {"https://app.example"}});
    RawClient client(port);
    auto ask = [&](const std::string& request) {
        EXPECT_TRUE(client.send(request));
        return client.response();
    };
    std::string json = "Content-Type: application/json\r\n";
    std::string allowed = ask(post("/echo", "{}", json + "Origin: https://app.example\r\n"));
    EXPECT_TRUE(has(allowed, "Access-Control-Allow-Origin: https://app.example")) << allowed;
    std::string other = ask(post("/echo", "{}", json + "Origin: https://evil.example\r\n"));
    EXPECT_TRUE(other.starts_with("HTTP/1.1 403")) << other;
    EXPECT_FALSE(has(other, "Access-Control-Allow-Origin"));
    std::string read =
        ask("GET /hello HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example\r\n\r\n");
    EXPECT_FALSE(has(read, "Access-Control-Allow-Origin"));
    std::string preflight =
        ask("OPTIONS /echo HTTP/1.1\r\nHost: x\r\nOrigin: https://app.example\r\n"
            "Access-Control-Request-Method: POST\r\n\r\n");
    EXPECT_TRUE(preflight.starts_with("HTTP/1.1 204")) << preflight;
    EXPECT_TRUE(has(preflight, "Access-Control-Allow-Methods: OPTIONS, POST"));
    EXPECT_TRUE(has(preflight, "Access-Control-Allow-Origin: https://app.example"));
}

TEST_F(ServerTest, ServesASiteAndNothingBesideIt) {
    auto folder = std::filesystem::temp_directory_path() / ("site" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder / "sub");
    std::ofstream(folder / "index.html") << "<p>home</p>";
    std::ofstream(folder / "sub/a.js") << "let a;";
    std::ofstream(folder / ".secret") << "no";
    auto site = Site::load(folder);
    std::filesystem::remove_all(folder);
    ASSERT_TRUE(site) << site.error().what;
    start({});
    on_loop([&] {
        server->serve(std::move(*site));
        return true;
    });
    RawClient client(port);
    auto get = [&](const std::string& path) {
        EXPECT_TRUE(client.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"));
        return client.response();
    };
    EXPECT_TRUE(has(get("/"), "<p>home</p>"));
    EXPECT_TRUE(has(get("/sub/a.js"), "text/javascript"));
    for (const char* path : {"/.secret", "/../etc/passwd", "/sub/../../etc/passwd", "/sub",
                             "/%2e%2e/etc/passwd", "//etc/passwd"})
        EXPECT_TRUE(get(path).starts_with("HTTP/1.1 404")) << path;
}

TEST_F(ServerTest, AnAnswerMayComeLaterAndOnlyOnce) {
    start({});
    RawClient client(port);
    ASSERT_TRUE(client.send(post("/never", "{}")));
    ASSERT_TRUE(eventually([](const ServerReport& r) { return r.requests == 1; }));
    on_loop([this] {
        unanswered.front()({200, "text/plain", "first", {}});
        unanswered.front()({200, "text/plain", "second", {}});
        return true;
    });
    EXPECT_TRUE(client.response().ends_with("first"));
    ASSERT_TRUE(client.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
    EXPECT_TRUE(client.response().ends_with("hello"));
}

}  // namespace
}  // namespace bft::http::test

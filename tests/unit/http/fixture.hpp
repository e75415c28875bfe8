// A server on a thread of its own, and clients that may do anything: they write bytes.
#pragma once

#include "http/server.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

#include <future>
#include <sys/socket.h>
#include <sys/time.h>
#include <thread>

namespace bft::http::test {

using boost::asio::ip::tcp;

/// A connection that sends what it is told and reads what comes, for ten seconds at most.
class RawClient {
public:
    explicit RawClient(std::uint16_t port) : socket_(io_) {
        socket_.connect({boost::asio::ip::address_v4::loopback(), port});
        timeval patience{10, 0};
        ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    }

    /// False when the server has closed.
    bool send(std::string_view bytes) {
        while (!bytes.empty()) {
            auto count = ::send(socket_.native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (count <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(count));
        }
        return true;
    }
    /// Until `wanted` has come, or the end.
    std::string read_until(std::string_view wanted) {
        while (read_.find(wanted) == std::string::npos && read_more()) {
        }
        return read_;
    }
    std::string read_to_end() {
        while (read_more()) {
        }
        return read_;
    }
    /// Of one response with Content-Length; later bytes stay for the next.
    std::string response() {
        read_until("\r\n\r\n");
        std::size_t head = read_.find("\r\n\r\n");
        if (head == std::string::npos) return std::exchange(read_, {});
        std::size_t length = 0;
        if (std::size_t at = read_.find("Content-Length: "); at < head)
            length = std::stoul(read_.substr(at + 16));
        while (read_.size() < head + 4 + length && read_more()) {
        }
        std::string one = read_.substr(0, head + 4 + length);
        read_.erase(0, head + 4 + length);
        return one;
    }
    /// Did the server end the connection?
    bool closed() {
        while (read_more()) {
        }
        return ended_;
    }
    void forget() { read_.clear(); }
    void shrink_receive_buffer() {
        int bytes = 64 * 1024;
        ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    }
    void close() { socket_.close(); }

private:
    bool read_more() {
        char buffer[16384];
        auto count = ::recv(socket_.native_handle(), buffer, sizeof buffer, 0);
        if (count > 0) read_.append(buffer, static_cast<std::size_t>(count));
        if (count == 0 || (count < 0 && errno == ECONNRESET)) ended_ = true;
        return count > 0;
    }

    boost::asio::io_context io_;
    tcp::socket socket_;
    std::string read_;
    bool ended_ = false;
};

class ServerTest : public ::testing::Test {
protected:
    void start(ServerOptions options, boost::asio::ssl::context* tls = nullptr) {
        server = std::make_unique<Server>(loop, tls, std::move(options));
        server->route("GET", "/hello", [](const Request&, const Respond& respond) {
            respond({200, "text/plain", "hello", {}});
        });
        server->route("POST", "/echo", [](const Request& request, const Respond& respond) {
            respond({200, "application/json", request.body, {}});
        });
        server->route("POST", "/never", [this](const Request&, const Respond& respond) {
            unanswered.push_back(respond);
        });
        server->route("GET", "/items/{}", [](const Request& request, const Respond& respond) {
            respond({200,
                     "text/plain",
                     request.captured.at(0) + "|" + std::string(request.parameter("q")),
                     {}});
        });
        server->route_stream(
            "/events", [this](const Request& request) -> std::variant<Response, Server::Opened> {
                if (request.parameter("bad") == "1") return error_response(400, "malformed", "bad");
                return Server::Opened{
                    [this](std::shared_ptr<Stream> stream) {
                        stream->send(std::make_shared<const std::string>("\"hello\""));
                        streams.push_back(std::move(stream));
                    },
                    [this] { ++closed_streams; }};
            });
        auto listening = server->listen("127.0.0.1:0");
        ASSERT_TRUE(listening) << listening.error().what;
        port = *listening;
        thread = std::thread([this] { loop.run(); });
    }
    void TearDown() override {
        if (!thread.joinable()) return;
        boost::asio::post(loop, [this] {
            server.reset();
            work.reset();
            loop.stop();
        });
        thread.join();
    }

    template <class F>
    auto on_loop(F f) {
        std::packaged_task<decltype(f())()> task(std::move(f));
        auto result = task.get_future();
        boost::asio::post(loop, [&task] { task(); });
        return result.get();
    }
    ServerReport report() {
        return on_loop([this] { return server->report(); });
    }
    /// Waits until the server says so; false after ten seconds.
    bool eventually(const std::function<bool(const ServerReport&)>& holds) {
        auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (std::chrono::steady_clock::now() < end) {
            if (holds(report())) return true;
            std::this_thread::yield();
        }
        return false;
    }
    void expect_others_served() {
        RawClient other(port);
        ASSERT_TRUE(other.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
        EXPECT_NE(other.response().find("hello"), std::string::npos);
    }

    boost::asio::io_context loop{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{
        loop.get_executor()};
    std::unique_ptr<Server> server;
    std::uint16_t port = 0;
    std::thread thread;
    std::vector<Respond> unanswered;
    std::vector<std::shared_ptr<Stream>> streams;
    int closed_streams = 0;
};

inline std::string post(const std::string& path, const std::string& body,
                        const std::string& more = "Content-Type: application/json\r\n") {
    return "POST " + path + " HTTP/1.1\r\nHost: x\r\n" + more +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace bft::http::test

// An HTTP/1.1 server on the loop, with or without TLS. Everything that a client can make it keep is
// bounded, and time is, too.
#pragma once

#include "base/log.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "http/message.hpp"
#include "http/site.hpp"
#include "http/stream.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <variant>
#include <vector>

namespace bft::http {

struct Limits {
    std::uint32_t connections = 2048;  ///< beyond: whoever has been idle longest is closed
    std::uint32_t header_bytes = 16 * 1024;
    std::uint64_t body_bytes = 1024 * 1024;
    std::uint64_t all_bodies_bytes = 64 * 1024 * 1024;  ///< of bodies being read, at one time
    Duration header_timeout = 10s;  ///< TLS handshake; first byte to the end of a header
    Duration body_timeout = 30s;
    Duration idle_timeout = 75s;   ///< between requests
    Duration write_timeout = 30s;  ///< for one response
    std::uint32_t subscribers = 256;
    std::uint32_t event_queue = 4096;  ///< events that wait for one subscriber
    std::size_t event_queue_bytes = 8 * 1024 * 1024;
};

struct ServerOptions {
    Limits limits;
    /// Pages of these origins ("https://host:port") may ask and read; "*": of all. A request that
    /// names another origin is refused unless it only reads, and then its page does not get to see
    /// the answer.
    std::vector<std::string> origins;
};

struct ServerReport {
    std::uint64_t accepted = 0;
    std::uint64_t open = 0;
    std::uint64_t evicted = 0;  ///< closed while idle, to make room
    std::uint64_t refused = 0;  ///< no room, and nobody idle
    std::uint64_t timeouts = 0;
    std::uint64_t malformed = 0;
    std::uint64_t requests = 0;
    std::uint64_t subscribers = 0;
    std::uint64_t lost = 0;                       ///< subscribers that were too slow
    std::uint64_t body_bytes = 0;                 ///< reserved for bodies now
    std::map<unsigned, std::uint64_t> responses;  ///< by status
};

class Connection;

class Server {
public:
    /// `tls` may be null: plain HTTP. What it points to must outlive this.
    Server(boost::asio::io_context& loop, boost::asio::ssl::context* tls, ServerOptions options);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// `path` may hold {} for one segment each. Before listen().
    void route(std::string method, std::string_view path, Handler handler);
    /// GET, by WebSocket or as server-sent events: a refusal, or what to do with the new stream.
    /// `closed` runs once, when the stream is over.
    struct Opened {
        std::function<void(std::shared_ptr<Stream>)> open;
        std::function<void()> closed;
    };
    using StreamHandler = std::function<std::variant<Response, Opened>(const Request&)>;
    void route_stream(std::string_view path, StreamHandler handler);
    /// What GET finds where no route fits.
    void serve(Site site) { site_ = std::move(site); }

    /// "host:port"; port 0 lets the system choose. Gives the port.
    Result<std::uint16_t> listen(std::string_view address);
    void close();

    [[nodiscard]] ServerReport report() const;

private:
    friend class Connection;
    struct Route {
        std::string method;
        std::vector<std::string> segments;
        Handler handler;
        StreamHandler stream;
    };
    struct Listener;
    /// 404 or 405 in the response, or the route with `captured` filled.
    using Found = std::variant<const Route*, Response>;
    [[nodiscard]] Found find(Request& request) const;
    [[nodiscard]] bool allowed_origin(const std::string& origin) const;
    [[nodiscard]] Response preflight(const Request& request) const;

    void accept(const std::shared_ptr<Listener>& listener);
    bool make_room();

    boost::asio::io_context& loop_;
    boost::asio::ssl::context* tls_;
    const ServerOptions options_;
    std::vector<Route> routes_;
    Site site_;
    std::vector<std::shared_ptr<Listener>> listeners_;
    std::set<Connection*> connections_;
    std::list<Connection*> idle_;  ///< wait for a request, or are within its header; oldest first
    std::set<std::string> origins_;
    ServerReport report_;
    log::RateLimit warnings_;
    bool closed_ = false;
};

}  // namespace bft::http

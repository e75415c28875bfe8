#include "http/server.hpp"

#include "http/connection.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>

namespace bft::http {

using boost::asio::ip::tcp;
using boost::system::error_code;

struct Server::Listener {
    Listener(boost::asio::io_context& loop) : acceptor(loop), pause(loop) {}
    tcp::acceptor acceptor;
    boost::asio::steady_timer pause;
};

namespace {

std::vector<std::string> split_path(std::string_view path) {
    std::vector<std::string> segments;
    for (std::size_t at = 1; at <= path.size();) {
        std::size_t slash = std::min(path.find('/', at), path.size());
        segments.emplace_back(path.substr(at, slash - at));
        at = slash + 1;
    }
    return segments;
}

bool fits(const std::vector<std::string>& pattern, const std::vector<std::string>& path,
          std::vector<std::string>& captured) {
    if (pattern.size() != path.size()) return false;
    captured.clear();
    for (std::size_t i = 0; i < path.size(); ++i) {
        if (pattern[i] == "{}")
            captured.push_back(path[i]);
        else if (pattern[i] != path[i])
            return false;
    }
    return true;
}

struct HostPort {
    std::string host, port;
};

std::optional<HostPort> split_address(std::string_view address) {
    std::size_t colon = address.rfind(':');
    if (colon == std::string_view::npos || colon == 0) return std::nullopt;
    std::string_view host = address.substr(0, colon);
    if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    return HostPort{std::string(host), std::string(address.substr(colon + 1))};
}

}  // namespace

Server::Server(boost::asio::io_context& loop, boost::asio::ssl::context* tls, ServerOptions options)
    : loop_(loop),
      tls_(tls),
      options_(std::move(options)),
      origins_(options_.origins.begin(), options_.origins.end()) {}

Server::~Server() {
    close();
}

void Server::close() {
    closed_ = true;
    for (auto& listener : listeners_) {
        error_code ignored;
        listener->acceptor.close(ignored);
        listener->pause.cancel();
    }
    listeners_.clear();
    while (!connections_.empty()) (*connections_.begin())->abandon();
}

void Server::route(std::string method, std::string_view path, Handler handler) {
    routes_.push_back({std::move(method), split_path(path), std::move(handler), {}});
}

void Server::route_stream(std::string_view path, StreamHandler handler) {
    routes_.push_back({"GET", split_path(path), {}, std::move(handler)});
}

Result<std::uint16_t> Server::listen(std::string_view address) {
    auto parts = split_address(address);
    if (!parts) return error(Errc::malformed, "'" + std::string(address) + "' is no host:port");
    error_code failure;
    tcp::resolver resolver(loop_);
    auto found = resolver.resolve(parts->host, parts->port, tcp::resolver::passive, failure);
    if (failure || found.empty())
        return error(Errc::unavailable,
                     "cannot resolve " + std::string(address) + ": " + failure.message());
    auto listener = std::make_shared<Listener>(loop_);
    tcp::endpoint endpoint = found.begin()->endpoint();
    tcp::acceptor& acceptor = listener->acceptor;
    acceptor.open(endpoint.protocol(), failure);
    if (!failure) acceptor.set_option(tcp::acceptor::reuse_address(true), failure);
    if (!failure) acceptor.bind(endpoint, failure);
    if (!failure) acceptor.listen(1024, failure);
    if (failure)
        return error(Errc::unavailable,
                     "cannot serve HTTP at " + std::string(address) + ": " + failure.message());
    listeners_.push_back(listener);
    accept(listener);
    return acceptor.local_endpoint().port();
}

void Server::accept(const std::shared_ptr<Listener>& listener) {
    listener->acceptor.async_accept(
        [this, listener](const error_code& failure, tcp::socket socket) {
            if (failure == boost::asio::error::operation_aborted || !listener->acceptor.is_open())
                return;
            if (failure) {
                // Out of descriptors or memory: others must first leave.
                std::uint64_t suppressed = 0;
                if (warnings_.allow(TimePoint(std::chrono::steady_clock::now().time_since_epoch()),
                                    &suppressed))
                    log::warn("http_accept_failed what=\"{}\" suppressed={}", failure.message(),
                              suppressed);
                make_room();
                listener->pause.expires_after(50ms);
                listener->pause.async_wait([this, listener](const error_code& cancelled) {
                    if (!cancelled) accept(listener);
                });
                return;
            }
            ++report_.accepted;
            if (connections_.size() >= options_.limits.connections && !make_room())
                ++report_.refused;  // the socket closes here
            else
                Connection::make(*this, std::move(socket), tls_)->start();
            accept(listener);
        });
}

// Who opens connections and lets them lie cannot keep others out: theirs are the oldest idle ones.
bool Server::make_room() {
    if (idle_.empty()) return false;
    ++report_.evicted;
    idle_.front()->abandon();
    return true;
}

Server::Found Server::find(Request& request) const {
    std::vector<std::string> segments = split_path(request.path);
    std::string allow;
    for (const Route& route : routes_) {
        if (!fits(route.segments, segments, request.captured)) continue;
        if (route.method == request.method) return &route;
        allow += (allow.empty() ? "" : ", ") + route.method;
    }
    if (allow.empty()) return error_response(404, "not_found", "there is nothing at this path");
    Response refusal = error_response(405, "method_not_allowed", "this path takes " + allow);
    refusal.headers.emplace_back("Allow", allow + ", OPTIONS");
    return refusal;
}

bool Server::allowed_origin(const std::string& origin) const {
    return origins_.contains(origin) || origins_.contains("*");
}

Response Server::preflight(const Request& request) const {
    std::vector<std::string> segments = split_path(request.path);
    std::vector<std::string> ignored;
    std::string methods = "OPTIONS";
    for (const Route& route : routes_)
        if (fits(route.segments, segments, ignored)) methods += ", " + route.method;
    Response response;
    response.status = 204;
    response.content_type.clear();
    response.headers = {
        {"Access-Control-Allow-Methods", methods},
        {"Access-Control-Allow-Headers", "Content-Type, Authorization, Idempotency-Key"},
        {"Access-Control-Max-Age", "600"},
        {"Allow", methods}};
    return response;
}

ServerReport Server::report() const {
    ServerReport report = report_;
    report.open = connections_.size();
    return report;
}

}  // namespace bft::http

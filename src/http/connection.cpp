#include "http/connection.hpp"

#include "http/event_queue.hpp"

#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>

#include <algorithm>
#include <array>

namespace bft::http {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace web = boost::beast::http;
namespace websocket = boost::beast::websocket;
using asio::ip::tcp;
using boost::system::error_code;

using Plain = beast::tcp_stream;
using Secure = beast::ssl_stream<beast::tcp_stream>;

constexpr std::size_t read_bytes = 16 * 1024;
constexpr std::size_t buffer_bytes_max = 96 * 1024;  // a header of the largest bound, and one read
constexpr std::size_t sse_write_bytes = 64 * 1024;

// What went wrong with a request's bytes, for its sender; nullopt: the connection just ended.
std::optional<Response> explain(const error_code& failure) {
    if (failure == web::error::header_limit || failure == web::error::buffer_overflow)
        return error_response(431, "too_large", "the request's header is too large");
    if (failure == web::error::body_limit)
        return error_response(413, "too_large", "the request's body is too large");
    if (failure == web::error::end_of_stream || failure == web::error::partial_message)
        return std::nullopt;
    static const auto& of_http = web::make_error_code(web::error::bad_method).category();
    if (failure.category() != of_http) return std::nullopt;
    return error_response(400, "malformed", "this is no HTTP request: " + failure.message());
}

template <class S>
class ConnectionOf final : public Connection {
public:
    template <class... Args>
    ConnectionOf(Server& server, std::string remote, Args&&... args)
        : Connection(server, std::move(remote)),
          stream_(std::forward<Args>(args)...),
          deadline_(stream_.get_executor()),
          queue_(limits()) {}

    void start() override {
        error_code ignored;
        beast::get_lowest_layer(stream_).socket().set_option(tcp::no_delay(true), ignored);
        mark_idle(true);
        if constexpr (std::is_same_v<S, Secure>) {
            wait(limits().header_timeout, [this] { abandon(); });
            stream_.async_handshake(asio::ssl::stream_base::server,
                                    [self = self()](const error_code& failure) {
                                        if (self->server() == nullptr) return;
                                        if (failure) return self->abandon();
                                        self->next_request();
                                    });
        } else {
            next_request();
        }
    }

    void abandon() override {
        auto keep = shared_from_this();
        leave();
        stop_waiting();
        asked_.reset();
        error_code ignored;
        lowest().socket().close(ignored);
        if (closed_) std::exchange(closed_, {})();
    }

private:
    std::shared_ptr<ConnectionOf> self() {
        return std::static_pointer_cast<ConnectionOf>(shared_from_this());
    }
    beast::tcp_stream& lowest() {
        return socket_ ? beast::get_lowest_layer(*socket_) : beast::get_lowest_layer(stream_);
    }

    /// `late` runs unless something else is waited for before.
    void wait(Duration patience, std::function<void()> late) {
        deadline_.expires_after(patience);
        deadline_.async_wait(
            [self = self(), turn = ++turn_, late = std::move(late)](const error_code& cancelled) {
                // Another turn: moved on in the same instant.
                if (cancelled || self->server() == nullptr || turn != self->turn_) return;
                ++self->report().timeouts;
                late();
            });
    }
    void stop_waiting() {
        ++turn_;
        deadline_.cancel();
    }

    // --- in

    void next_request() {
        parser_.emplace();
        parser_->header_limit(limits().header_bytes);
        parser_->body_limit(limits().body_bytes);
        parser_->eager(true);
        began_ = false;
        mark_idle(true);
        wait(limits().idle_timeout, [this] { abandon(); });
        if (buffer_.size() > 0)
            parse();
        else
            read_some();
    }

    // By hand rather than with Beast's composed read: the first byte of a header sets another clock
    // than the wait for it, and a header's end decides about the body.
    void read_some() {
        stream_.async_read_some(
            buffer_.prepare(read_bytes),
            [self = self()](const error_code& failure, std::size_t count) {
                if (self->server() == nullptr) return;
                self->buffer_.commit(count);
                if (self->too_late_)
                    self->answer(error_response(408, "timeout", "the request did not come in time"),
                                 true);
                else if (failure)
                    self->abandon();
                else
                    self->parse();
            });
    }

    void parse() {
        if (!std::exchange(began_, true)) expect_rest(limits().header_timeout);
        error_code failure;
        std::size_t used = parser_->put(buffer_.data(), failure);
        buffer_.consume(used);
        if (failure == web::error::need_more) failure = {};
        if (!failure && buffer_.size() > buffer_bytes_max - read_bytes)
            failure = web::error::header_limit;
        if (failure) {
            auto response = explain(failure);
            if (!response) return abandon();
            ++report().malformed;
            return answer(std::move(*response), true);
        }
        if (parser_->is_done()) return dispatch();
        if (parser_->is_header_done() && !std::exchange(body_expected_, true) && !expect_body())
            return;
        read_some();
    }

    void expect_rest(Duration patience) {
        // Cancels the read, whose handler then tells the client.
        wait(patience, [this] {
            too_late_ = true;
            beast::get_lowest_layer(stream_).cancel();
        });
    }

    bool expect_body() {
        mark_idle(false);
        auto announced = parser_->content_length();
        if (announced && *announced > limits().body_bytes) {
            answer(error_response(413, "too_large", "the request's body is too large"), true);
            return false;
        }
        if (!reserve_body(announced ? *announced : limits().body_bytes)) {
            answer(error_response(503, "overloaded", "too many bodies are being sent at this time"),
                   true);
            return false;
        }
        expect_rest(limits().body_timeout);
        if (beast::iequals(parser_->get()[web::field::expect], "100-continue")) {
            static const std::string go_on = "HTTP/1.1 100 Continue\r\n\r\n";
            asio::async_write(stream_, asio::buffer(go_on),
                              [self = self()](const error_code& failed, std::size_t) {
                                  if (self->server() == nullptr) return;
                                  if (failed) return self->abandon();
                                  self->read_some();
                              });
            return false;
        }
        return true;
    }

    // --- what is asked

    void dispatch() {
        mark_idle(false);
        stop_waiting();
        body_expected_ = false;
        ++report().requests;
        auto& message = parser_->get();
        keep_alive_ = message.keep_alive();
        head_ = message.method() == web::verb::head;
        origin_ = std::string(message[web::field::origin]);
        auto target = parse_target({message.target().data(), message.target().size()});
        if (!target)
            return answer(error_response(400, "malformed", "the request's target is malformed"));
        Request request;
        request.method = head_ ? "GET" : std::string(message.method_string());
        request.path = std::move(target->path);
        request.query = std::move(target->query);
        request.content_type = media_type(std::string_view(message[web::field::content_type]));
        request.authorization = std::string(message[web::field::authorization]);
        request.remote = remote();
        request.body = std::move(message.body());
        if (!origin_.empty() && !allowed_origin(origin_) && request.method != "GET")
            return answer(error_response(403, "origin", "pages of this origin may not ask here"));
        if (request.method == "OPTIONS") return answer(preflight(request));
        auto found = find(request);
        if (const auto* refusal = std::get_if<Response>(&found)) {
            if (request.method == "GET")
                if (const SiteFile* file = site_file(request.path)) return answer_file(*file);
            return answer(*refusal);
        }
        const Route& route = *std::get<const Route*>(found);
        if (route.stream && head_)
            return answer(error_response(405, "method_not_allowed", "this path takes GET"));
        if (route.stream) return open_stream(route, request);
        if (request.method == "POST" && request.content_type != "application/json")
            return answer(error_response(415, "unsupported_media_type",
                                         "the body must be of type application/json"));
        auto once = std::make_shared<bool>(false);
        route.handler(std::move(request),
                      [weak = std::weak_ptr<ConnectionOf>(self()), once](Response response) {
                          auto here = weak.lock();
                          if (std::exchange(*once, true) || !here || here->server() == nullptr)
                              return;
                          here->answer(std::move(response));
                      });
        // The connection lives on in its server's set only while something refers to it.
        if (!*once) asked_ = shared_from_this();
    }

    void answer_file(const SiteFile& file) {
        Response response;
        response.content_type = file.content_type;
        response.body = file.body;
        response.headers.emplace_back("Cache-Control", "no-cache");
        answer(std::move(response));
    }

    // --- out

    void add_headers(web::fields& fields) {
        fields.set(web::field::server, "bftnode");
        fields.set("X-Content-Type-Options", "nosniff");
        fields.set(web::field::vary, "Origin");
        if (!origin_.empty() && allowed_origin(origin_))
            fields.set(web::field::access_control_allow_origin, origin_);
    }

    void answer(Response response, bool then_close = false) {
        auto keep = std::exchange(asked_, nullptr);
        release_body();
        ++report().responses[response.status];
        auto& out = response_.emplace(web::int_to_status(response.status), 11);
        out.result(response.status);
        add_headers(out);
        if (!response.content_type.empty())
            out.set(web::field::content_type, response.content_type);
        if (!out.count(web::field::cache_control) && response.content_type == "application/json")
            out.set(web::field::cache_control, "no-store");
        for (const auto& [name, value] : response.headers) out.set(name, value);
        out.body() = std::move(response.body);
        out.keep_alive(keep_alive_ && !then_close);
        if (response.status != 204) out.prepare_payload();
        if (head_) {
            // The length of what GET would give, and nothing of it.
            auto length = out.body().size();
            out.body().clear();
            out.content_length(length);
        }
        wait(limits().write_timeout, [this] { abandon(); });
        auto sent = [self = self()](const error_code& failure, std::size_t) {
            if (self->server() == nullptr) return;
            if (failure) return self->abandon();
            bool go_on = self->response_->keep_alive();
            self->response_.reset();
            if (!go_on) return self->finish();
            self->next_request();
        };
        if (head_) {
            serializer_.emplace(*response_);
            serializer_->split(true);
            web::async_write_header(stream_, *serializer_, std::move(sent));
        } else {
            web::async_write(stream_, *response_, std::move(sent));
        }
    }

    // So that the client gets to read our last words: what it still sends is read and thrown away
    // for a moment, because a close with unread bytes is a reset.
    void finish() {
        wait(1s, [this] { abandon(); });
        if constexpr (std::is_same_v<S, Secure>)
            stream_.async_shutdown([self = self()](const error_code&) {
                if (self->server() != nullptr) self->shut();
            });
        else
            shut();
    }

    void shut() {
        error_code ignored;
        beast::get_lowest_layer(stream_).socket().shutdown(tcp::socket::shutdown_send, ignored);
        drain();
    }

    void drain() {
        auto& socket = beast::get_lowest_layer(stream_).socket();
        socket.async_read_some(asio::buffer(discard_),
                               [self = self()](const error_code& failure, std::size_t count) {
                                   if (self->server() == nullptr) return;
                                   self->drained_ += count;
                                   if (failure || self->drained_ > 16 * read_bytes)
                                       return self->abandon();
                                   self->drain();
                               });
    }

    // --- events

    class Subscription final : public Stream {
    public:
        explicit Subscription(std::shared_ptr<ConnectionOf> connection)
            : connection_(std::move(connection)) {}
        void send(std::shared_ptr<const std::string> event) override {
            auto connection = connection_.lock();
            if (!connection || connection->server() == nullptr) return;
            if (!connection->queue_.push(std::move(event))) ++connection->report().lost;
            connection->write_events();
        }
        void end() override {
            auto connection = connection_.lock();
            if (!connection || connection->server() == nullptr) return;
            connection->queue_.end();
            connection->write_events();
        }

    private:
        std::weak_ptr<ConnectionOf> connection_;
    };

    void open_stream(const Route& route, const Request& request) {
        bool upgrade = websocket::is_upgrade(parser_->get());
        if (!origin_.empty() && !allowed_origin(origin_) && upgrade)
            return answer(error_response(403, "origin", "pages of this origin may not ask here"));
        auto decision = route.stream(request);
        if (auto* refusal = std::get_if<Response>(&decision)) return answer(std::move(*refusal));
        if (!reserve_subscriber())
            return answer(
                error_response(503, "overloaded", "too many subscribers are here already"));
        auto& opened = std::get<Server::Opened>(decision);
        closed_ = std::move(opened.closed);
        ++report().responses[upgrade ? 101 : 200];
        if (upgrade)
            accept_websocket(std::move(opened.open));
        else
            begin_events(std::move(opened.open));
    }

    using Open = std::function<void(std::shared_ptr<Stream>)>;

    void accept_websocket(Open open) {
        socket_.emplace(std::move(stream_));
        websocket::stream_base::timeout timeout{};
        timeout.handshake_timeout = limits().header_timeout;
        timeout.idle_timeout = limits().idle_timeout;
        timeout.keep_alive_pings = true;
        socket_->set_option(timeout);
        socket_->read_message_max(4096);
        socket_->set_option(websocket::stream_base::decorator(
            [this](websocket::response_type& r) { r.set(web::field::server, "bftnode"); }));
        socket_->async_accept(parser_->get(), [self = self(), open](const error_code& failure) {
            if (self->server() == nullptr) return;
            if (failure) return self->abandon();
            self->parser_.reset();
            self->ready_ = true;
            open(std::make_shared<Subscription>(self));
            self->read_websocket();
        });
    }

    // Nothing that a subscriber says counts, except that it leaves; pings are answered within.
    void read_websocket() {
        buffer_.clear();
        socket_->async_read(buffer_, [self = self()](const error_code& failure, std::size_t) {
            if (self->server() == nullptr) return;
            if (failure) return self->abandon();
            self->read_websocket();
        });
    }

    void begin_events(Open open) {
        out_ =
            "HTTP/1.1 200 OK\r\nServer: bftnode\r\nContent-Type: text/event-stream\r\n"
            "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nVary: Origin\r\n"
            "Connection: close\r\n";
        if (!origin_.empty() && allowed_origin(origin_))
            out_ += "Access-Control-Allow-Origin: " + origin_ + "\r\n";
        out_ += "\r\n";
        parser_.reset();
        ready_ = true;
        writing_ = true;  // the head goes out before any event
        open(std::make_shared<Subscription>(self()));
        write_out();
        watch_for_end();
    }

    void watch_for_end() {
        stream_.async_read_some(asio::buffer(discard_),
                                [self = self()](const error_code& failure, std::size_t) {
                                    if (self->server() == nullptr) return;
                                    if (self->ending_) return self->finish();
                                    if (failure) return self->abandon();
                                    self->watch_for_end();
                                });
    }

    void write_events() {
        if (writing_ || !ready_) return;
        if (queue_.empty()) {
            if (queue_.ending()) end_stream();
            return;
        }
        if (socket_) return write_websocket();
        out_.clear();
        while (!queue_.empty() &&
               (out_.empty() || out_.size() + queue_.next_bytes() < sse_write_bytes))
            out_.append("data: ").append(*queue_.pop()).append("\n\n");
        write_out();
    }

    void write_out() {
        writing_ = true;
        wait(limits().write_timeout, [this] { abandon(); });
        asio::async_write(
            stream_, asio::buffer(out_),
            [self = self()](const error_code& failure, std::size_t) { self->written(failure); });
    }

    void write_websocket() {
        writing_ = true;
        current_ = queue_.pop();
        socket_->text(true);
        wait(limits().write_timeout, [this] { abandon(); });
        socket_->async_write(
            asio::buffer(*current_),
            [self = self()](const error_code& failure, std::size_t) { self->written(failure); });
    }

    void written(const error_code& failure) {
        if (server() == nullptr) return;
        if (failure) return abandon();
        stop_waiting();
        writing_ = false;
        write_events();
    }

    void end_stream() {
        writing_ = true;
        wait(limits().write_timeout, [this] { abandon(); });
        // Its read is still under way, and the end reads, too: one after the other.
        if (!socket_) {
            ending_ = true;
            return beast::get_lowest_layer(stream_).cancel();
        }
        websocket::close_reason reason(websocket::close_code::try_again_later);
        socket_->async_close(reason, [self = self()](const error_code&) {
            if (self->server() != nullptr) self->abandon();
        });
    }

    S stream_;
    std::optional<websocket::stream<S>> socket_;
    asio::steady_timer deadline_;
    std::uint64_t turn_ = 0;  ///< of the timer
    beast::flat_buffer buffer_{buffer_bytes_max};
    std::optional<web::request_parser<web::string_body>> parser_;
    std::optional<web::response<web::string_body>> response_;
    std::optional<web::response_serializer<web::string_body>> serializer_;
    std::shared_ptr<Connection> asked_;  ///< this, while a handler works on the answer
    std::string origin_;
    bool began_ = false;
    bool body_expected_ = false;
    bool too_late_ = false;
    bool keep_alive_ = false;
    bool head_ = false;

    EventQueue queue_;
    std::function<void()> closed_;
    std::shared_ptr<const std::string> current_;
    std::string out_;
    bool ready_ = false;
    bool writing_ = false;
    bool ending_ = false;  ///< of a stream of server-sent events
    std::array<char, 1024> discard_{};
    std::size_t drained_ = 0;
};

}  // namespace

std::shared_ptr<Connection> Connection::make(Server& server, tcp::socket socket,
                                             asio::ssl::context* tls) {
    error_code failure;
    auto endpoint = socket.remote_endpoint(failure);
    std::string remote =
        failure ? std::string("?")
                : endpoint.address().to_string() + ":" + std::to_string(endpoint.port());
    if (tls == nullptr)
        return std::make_shared<ConnectionOf<Plain>>(server, std::move(remote), std::move(socket));
    return std::make_shared<ConnectionOf<Secure>>(server, std::move(remote), std::move(socket),
                                                  *tls);
}

}  // namespace bft::http

// Requests of one connection, one after the other.
#include "http/connection.hpp"
#include "http/event_connection.hpp"
#include "http/request_reader.hpp"
#include "http/transport.hpp"

#include <boost/asio/write.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include <array>

namespace bft::http {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace web = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t drained_bytes_max = 256 * 1024;

template <class S>
class RequestConnection final : public Connection {
public:
    template <class... Args>
    RequestConnection(Server& server, std::string remote, tcp::socket socket, Args&&... args)
        : Connection(server, std::move(remote), socket.get_executor()),
          stream_(std::move(socket), std::forward<Args>(args)...),
          reader_(limits()) {}

    void start() override {
        error_code ignored;
        lowest().socket().set_option(tcp::no_delay(true), ignored);
        mark_idle(true);
        if constexpr (is_secure<S>) {
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
    }

private:
    std::shared_ptr<RequestConnection> self() {
        return std::static_pointer_cast<RequestConnection>(shared_from_this());
    }
    beast::tcp_stream& lowest() { return beast::get_lowest_layer(stream_); }

    // --- in

    void next_request() {
        reader_.next();
        began_ = false;
        mark_idle(true);
        wait(limits().idle_timeout, [this] { abandon(); });
        if (reader_.has_bytes())
            parse();
        else
            read_some();
    }

    // By hand rather than with Beast's composed read: the first byte of a header sets another clock
    // than the wait for it, and a header's end decides about the body.
    void read_some() {
        stream_.async_read_some(
            reader_.prepare(), [self = self()](const error_code& failure, std::size_t count) {
                if (self->server() == nullptr) return;
                self->reader_.commit(count);
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
        switch (reader_.parse()) {
            case RequestReader::Step::more:
                return read_some();
            case RequestReader::Step::header:
                if (expect_body()) read_some();
                return;
            case RequestReader::Step::done:
                return dispatch();
            case RequestReader::Step::refused:
                ++report().malformed;
                return answer(reader_.refusal(), true);
        }
    }

    void expect_rest(Duration patience) {
        // Cancels the read, whose handler then tells the client.
        wait(patience, [this] {
            too_late_ = true;
            lowest().cancel();
        });
    }

    bool expect_body() {
        mark_idle(false);
        if (!reserve_body(reader_.announced().value_or(limits().body_bytes))) {
            answer(error_response(503, "overloaded", "too many bodies are being sent at this time"),
                   true);
            return false;
        }
        expect_rest(limits().body_timeout);
        if (!reader_.expects_continue()) return true;
        static const std::string go_on = "HTTP/1.1 100 Continue\r\n\r\n";
        asio::async_write(stream_, asio::buffer(go_on),
                          [self = self()](const error_code& failed, std::size_t) {
                              if (self->server() == nullptr) return;
                              if (failed) return self->abandon();
                              self->read_some();
                          });
        return false;
    }

    // --- what is asked

    void dispatch() {
        mark_idle(false);
        stop_waiting();
        ++report().requests;
        auto& message = reader_.message();
        keep_alive_ = message.keep_alive();
        head_ = message.method() == web::verb::head;
        origin_ = std::string(message[web::field::origin]);
        bool upgrade = beast::websocket::is_upgrade(message);
        auto request = to_request(message);
        if (!request)
            return answer(error_response(400, "malformed", "the request's target is malformed"));
        request->remote = remote();
        if (foreign() && request->method != "GET") return answer(refuse_origin());
        if (request->method == "OPTIONS") return answer(preflight(*request));
        auto found = find(*request);
        if (const auto* refusal = std::get_if<Response>(&found)) {
            if (request->method == "GET")
                if (const SiteFile* file = site_file(request->path)) return answer_file(*file);
            return answer(*refusal);
        }
        const Route& route = *std::get<const Route*>(found);
        if (route.stream && head_)
            return answer(error_response(405, "method_not_allowed", "this path takes GET"));
        if (route.stream) return open_stream(route, *request, upgrade);
        if (request->method == "POST" && request->content_type != "application/json")
            return answer(error_response(415, "unsupported_media_type",
                                         "the body must be of type application/json"));
        ask(route, std::move(*request));
    }

    void ask(const Route& route, Request request) {
        auto once = std::make_shared<bool>(false);
        route.handler(std::move(request),
                      [weak = std::weak_ptr<RequestConnection>(self()), once](Response response) {
                          auto here = weak.lock();
                          if (std::exchange(*once, true) || !here || here->server() == nullptr)
                              return;
                          here->answer(std::move(response));
                      });
        // The connection lives on in its server's set only while something refers to it.
        if (!*once) asked_ = shared_from_this();
    }

    [[nodiscard]] bool foreign() const { return !origin_.empty() && !allowed_origin(origin_); }
    static Response refuse_origin() {
        return error_response(403, "origin", "pages of this origin may not ask here");
    }

    void answer_file(const SiteFile& file) {
        Response response;
        response.content_type = file.content_type;
        response.body = file.body;
        response.headers.emplace_back("Cache-Control", "no-cache");
        answer(std::move(response));
    }

    void open_stream(const Route& route, const Request& request, bool upgrade) {
        if (foreign() && upgrade) return answer(refuse_origin());
        auto decision = route.stream(request);
        if (auto* refusal = std::get_if<Response>(&decision)) return answer(std::move(*refusal));
        if (!subscriber_room())
            return answer(
                error_response(503, "overloaded", "too many subscribers are here already"));
        auto& opened = std::get<Server::Opened>(decision);
        ++report().responses[upgrade ? 101 : 200];
        std::string headers;
        if (!origin_.empty() && !foreign())
            headers = "Access-Control-Allow-Origin: " + origin_ + "\r\n";
        // The bytes go on under another connection; this one is over.
        Server& owner = *server();
        leave();
        if (upgrade)
            accept_websocket(owner, remote(), std::move(stream_), std::move(reader_.message()),
                             std::move(opened));
        else
            begin_server_sent_events(owner, remote(), std::move(stream_), headers,
                                     std::move(opened));
    }

    // --- out

    void add_headers(web::fields& fields) {
        fields.set(web::field::server, "bftnode");
        fields.set("X-Content-Type-Options", "nosniff");
        fields.set(web::field::vary, "Origin");
        if (!origin_.empty() && !foreign())
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
        if constexpr (is_secure<S>)
            stream_.async_shutdown([self = self()](const error_code&) {
                if (self->server() != nullptr) self->shut();
            });
        else
            shut();
    }

    void shut() {
        error_code ignored;
        lowest().socket().shutdown(tcp::socket::shutdown_send, ignored);
        drain();
    }

    void drain() {
        lowest().socket().async_read_some(
            asio::buffer(discard_), [self = self()](const error_code& failure, std::size_t count) {
                if (self->server() == nullptr) return;
                self->drained_ += count;
                if (failure || self->drained_ > drained_bytes_max) return self->abandon();
                self->drain();
            });
    }

    S stream_;
    RequestReader reader_;
    std::optional<web::response<web::string_body>> response_;
    std::optional<web::response_serializer<web::string_body>> serializer_;
    std::shared_ptr<Connection> asked_;  ///< this, while a handler works on the answer
    std::string origin_;
    bool began_ = false;
    bool too_late_ = false;
    bool keep_alive_ = false;
    bool head_ = false;
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
        return std::make_shared<RequestConnection<Plain>>(server, std::move(remote),
                                                          std::move(socket));
    return std::make_shared<RequestConnection<Secure>>(server, std::move(remote), std::move(socket),
                                                       *tls);
}

}  // namespace bft::http

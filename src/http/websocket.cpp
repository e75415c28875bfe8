#include "http/event_connection.hpp"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>

namespace bft::http {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace web = boost::beast::http;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;

constexpr std::size_t message_bytes_max = 4096;  // of what a subscriber says

template <class S>
class WebSocket final : public EventConnection {
public:
    WebSocket(Server& server, std::string remote, S stream, StreamRequest request,
              Server::Opened opened)
        : EventConnection(server, std::move(remote), stream.get_executor(), std::move(opened)),
          socket_(std::move(stream)),
          request_(std::move(request)) {}

    void start() override {
        websocket::stream_base::timeout timeout{};
        timeout.handshake_timeout = limits().header_timeout;
        timeout.idle_timeout = limits().idle_timeout;
        timeout.keep_alive_pings = true;
        socket_.set_option(timeout);
        socket_.read_message_max(message_bytes_max);
        socket_.set_option(websocket::stream_base::decorator(
            [](websocket::response_type& r) { r.set(web::field::server, "bftnode"); }));
        socket_.async_accept(request_, [self = self()](const error_code& failure) {
            if (self->server() == nullptr) return;
            if (failure) return self->abandon();
            self->request_ = {};
            self->open();
            self->read();
        });
    }

private:
    std::shared_ptr<WebSocket> self() {
        return std::static_pointer_cast<WebSocket>(shared_from_this());
    }

    // Nothing that a subscriber says counts, except that it leaves; pings are answered within.
    void read() {
        buffer_.clear();
        socket_.async_read(buffer_, [self = self()](const error_code& failure, std::size_t) {
            if (self->server() == nullptr) return;
            if (failure) return self->abandon();
            self->read();
        });
    }

    void write_some() override {
        current_ = queue().pop();
        socket_.text(true);
        socket_.async_write(
            asio::buffer(*current_),
            [self = self()](const error_code& failure, std::size_t) { self->written(failure); });
    }

    void end_stream() override {
        websocket::close_reason reason(websocket::close_code::try_again_later);
        socket_.async_close(reason, [self = self()](const error_code&) {
            if (self->server() != nullptr) self->abandon();
        });
    }

    void close_socket() override {
        error_code ignored;
        beast::get_lowest_layer(socket_).socket().close(ignored);
    }

    websocket::stream<S> socket_;
    StreamRequest request_;
    beast::flat_buffer buffer_;
    std::shared_ptr<const std::string> current_;
};

}  // namespace

template <class S>
void accept_websocket(Server& server, std::string remote, S stream, StreamRequest request,
                      Server::Opened opened) {
    std::make_shared<WebSocket<S>>(server, std::move(remote), std::move(stream), std::move(request),
                                   std::move(opened))
        ->start();
}

template void accept_websocket(Server&, std::string, Plain, StreamRequest, Server::Opened);
template void accept_websocket(Server&, std::string, Secure, StreamRequest, Server::Opened);

}  // namespace bft::http

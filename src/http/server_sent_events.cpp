#include "http/event_connection.hpp"

#include <boost/asio/write.hpp>

#include <array>

namespace bft::http {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t write_bytes = 64 * 1024;
constexpr std::size_t drained_bytes_max = 256 * 1024;

template <class S>
class ServerSentEvents final : public EventConnection {
public:
    ServerSentEvents(Server& server, std::string remote, S stream, const std::string& headers,
                     Server::Opened opened)
        : EventConnection(server, std::move(remote), stream.get_executor(), std::move(opened)),
          stream_(std::move(stream)),
          out_(
              "HTTP/1.1 200 OK\r\nServer: bftnode\r\nContent-Type: text/event-stream\r\n"
              "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nVary: Origin\r\n"
              "Connection: close\r\n" +
              headers + "\r\n") {}

    void start() override {
        occupy();  // the head goes out before any event
        open();
        write_out();
        watch_for_end();
    }

private:
    std::shared_ptr<ServerSentEvents> self() {
        return std::static_pointer_cast<ServerSentEvents>(shared_from_this());
    }

    void write_some() override {
        out_.clear();
        while (!queue().empty() &&
               (out_.empty() || out_.size() + queue().next_bytes() < write_bytes))
            out_.append("data: ").append(*queue().pop()).append("\n\n");
        write_out();
    }

    void write_out() {
        asio::async_write(
            stream_, asio::buffer(out_),
            [self = self()](const error_code& failure, std::size_t) { self->written(failure); });
    }

    // Nothing that a subscriber says counts, except that it leaves.
    void watch_for_end() {
        stream_.async_read_some(asio::buffer(discard_),
                                [self = self()](const error_code& failure, std::size_t) {
                                    if (self->server() == nullptr) return;
                                    if (self->ending_) return self->finish();
                                    if (failure) return self->abandon();
                                    self->watch_for_end();
                                });
    }

    // A read is still under way, and the end reads, too: one after the other.
    void end_stream() override {
        ending_ = true;
        beast::get_lowest_layer(stream_).cancel();
    }

    // So that the client gets to read our last words: a close with unread bytes is a reset.
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
        beast::get_lowest_layer(stream_).socket().shutdown(tcp::socket::shutdown_send, ignored);
        drain();
    }

    void drain() {
        beast::get_lowest_layer(stream_).socket().async_read_some(
            asio::buffer(discard_), [self = self()](const error_code& failure, std::size_t count) {
                if (self->server() == nullptr) return;
                self->drained_ += count;
                if (failure || self->drained_ > drained_bytes_max) return self->abandon();
                self->drain();
            });
    }

    void close_socket() override {
        error_code ignored;
        beast::get_lowest_layer(stream_).socket().close(ignored);
    }

    S stream_;
    std::string out_;
    bool ending_ = false;
    std::array<char, 1024> discard_{};
    std::size_t drained_ = 0;
};

}  // namespace

template <class S>
void begin_server_sent_events(Server& server, std::string remote, S stream,
                              const std::string& headers, Server::Opened opened) {
    std::make_shared<ServerSentEvents<S>>(server, std::move(remote), std::move(stream), headers,
                                          std::move(opened))
        ->start();
}

template void begin_server_sent_events(Server&, std::string, Plain, const std::string&,
                                       Server::Opened);
template void begin_server_sent_events(Server&, std::string, Secure, const std::string&,
                                       Server::Opened);

}  // namespace bft::http

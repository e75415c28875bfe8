#include "node/control_server.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include <fstream>
#include <sys/socket.h>
#include <sys/stat.h>

namespace bft::node {

using boost::asio::local::stream_protocol;
using boost::system::error_code;

namespace {
constexpr std::uint32_t open_max = 8;
constexpr std::size_t line_bytes_max = 256;
constexpr auto patience = std::chrono::seconds(5);
constexpr auto answer_patience = std::chrono::seconds(120);  // a chunk is read from the database

Caller caller_of(stream_protocol::socket& socket) {
    ucred peer{};
    socklen_t size = sizeof peer;
    Caller caller;
    caller.uid = static_cast<std::uint32_t>(-1);
    if (::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return caller;
    caller.uid = peer.uid;
    caller.pid = peer.pid;
    std::ifstream in("/proc/" + std::to_string(peer.pid) + "/loginuid");
    std::string login;
    if (in >> login && login != "4294967295") caller.login_uid = login;
    return caller;
}
}  // namespace

struct ControlServer::Connection {
    Connection(stream_protocol::socket given, boost::asio::io_context& loop)
        : socket(std::move(given)), timer(loop) {}
    stream_protocol::socket socket;
    boost::asio::steady_timer timer;
    std::string line;
    Bytes reply;

    void close_after(std::chrono::seconds time, const std::shared_ptr<Connection>& self) {
        timer.expires_after(time);
        timer.async_wait([self](const error_code& cancelled) {
            error_code ignored;
            if (!cancelled) self->socket.close(ignored);
        });
    }
};

ControlServer::ControlServer(boost::asio::io_context& loop, Command command)
    : loop_(loop), command_(std::move(command)), acceptor_(loop) {}

ControlServer::~ControlServer() {
    *alive_ = false;
    error_code ignored;
    if (acceptor_.is_open() && !path_.empty()) std::filesystem::remove(path_, ignored);
}

Result<void> ControlServer::listen(const std::filesystem::path& socket) {
    error_code failure;
    stream_protocol::endpoint endpoint(socket.string());
    error_code ignored;
    std::filesystem::remove(socket, ignored);  // what a killed process left
    acceptor_.open(endpoint.protocol(), failure);
    mode_t before = ::umask(0177);
    if (!failure) acceptor_.bind(endpoint, failure);
    ::umask(before);
    if (!failure) acceptor_.listen(4, failure);
    if (failure)
        return error(Errc::io, "cannot listen on " + socket.string() + ": " + failure.message());
    path_ = socket;
    accept();
    return {};
}

void ControlServer::accept() {
    acceptor_.async_accept(
        [this, alive = alive_](const error_code& failure, stream_protocol::socket socket) {
            if (failure || !*alive) return;
            if (open_ < open_max) {
                ++open_;
                auto connection = std::make_shared<Connection>(std::move(socket), loop_);
                connection->close_after(patience, connection);
                answer(connection);
            }
            accept();
        });
}

void ControlServer::answer(const std::shared_ptr<Connection>& connection) {
    boost::asio::async_read_until(
        connection->socket, boost::asio::dynamic_buffer(connection->line, line_bytes_max), '\n',
        [this, alive = alive_, connection](const error_code& failure, std::size_t size) {
            if (!*alive) return;
            if (failure) {
                connection->timer.cancel();
                --open_;
                return;
            }
            connection->close_after(answer_patience, connection);
            command_(caller_of(connection->socket), connection->line.substr(0, size - 1),
                     [this, alive, connection](const Result<Bytes>& result) {
                         if (*alive) reply(connection, result);
                     });
        });
}

void ControlServer::reply(const std::shared_ptr<Connection>& connection,
                          const Result<Bytes>& result) {
    connection->reply = to_bytes(as_bytes(result ? "ok" : result.error().what));
    connection->reply.push_back('\n');
    if (result) connection->reply.insert(connection->reply.end(), result->begin(), result->end());
    connection->close_after(answer_patience, connection);
    boost::asio::async_write(connection->socket, boost::asio::buffer(connection->reply),
                             [this, alive = alive_, connection](const error_code&, std::size_t) {
                                 connection->timer.cancel();
                                 if (*alive) --open_;
                             });
}

}  // namespace bft::node

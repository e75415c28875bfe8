#include "node/status_server.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>

#include <sys/stat.h>

namespace bft::node {

using boost::asio::local::stream_protocol;
using boost::system::error_code;

namespace {
constexpr std::uint32_t answering_max = 16;
}

StatusServer::StatusServer(boost::asio::io_context& loop, std::function<std::string()> document)
    : loop_(loop), document_(std::move(document)), acceptor_(loop) {}

StatusServer::~StatusServer() {
    *alive_ = false;
    error_code ignored;
    if (acceptor_.is_open() && !path_.empty()) std::filesystem::remove(path_, ignored);
}

Result<void> StatusServer::listen(const std::filesystem::path& socket) {
    error_code failure;
    stream_protocol::endpoint endpoint(socket.string());
    stream_protocol::socket probe(loop_);
    probe.connect(endpoint, failure);
    if (!failure)
        return error(Errc::unavailable,
                     "another bftnode of this host runs already: it answers at " + socket.string());
    error_code ignored;
    std::filesystem::remove(socket, ignored);  // what a killed process left
    acceptor_.open(endpoint.protocol(), failure);
    mode_t before = ::umask(0177);
    if (!failure) acceptor_.bind(endpoint, failure);
    ::umask(before);
    if (!failure) acceptor_.listen(16, failure);
    if (failure)
        return error(Errc::io, "cannot listen on " + socket.string() + ": " + failure.message());
    path_ = socket;
    accept();
    return {};
}

void StatusServer::accept() {
    acceptor_.async_accept([this, alive = alive_](const error_code& failure, Socket socket) {
        if (failure || !*alive) return;
        if (answering_ < answering_max) {
            ++answering_;
            auto stream = std::make_shared<Socket>(std::move(socket));
            auto text = std::make_shared<std::string>(document_());
            boost::asio::async_write(*stream, boost::asio::buffer(*text),
                                     [this, alive, stream, text](const error_code&, std::size_t) {
                                         if (*alive) --answering_;
                                     });
        }
        accept();
    });
}

}  // namespace bft::node

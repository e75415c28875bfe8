// The status socket: whoever may open it gets one JSON document and the end of the stream.
#pragma once

#include "base/result.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace bft::node {

class StatusServer {
public:
    /// `document` is called on the loop for each connection.
    StatusServer(boost::asio::io_context& loop, std::function<std::string()> document);
    ~StatusServer();

    /// Creates the socket with mode 0600. Errc::unavailable: another daemon answers there.
    Result<void> listen(const std::filesystem::path& socket);

private:
    using Socket = boost::asio::local::stream_protocol::socket;
    void accept();

    boost::asio::io_context& loop_;
    std::function<std::string()> document_;
    boost::asio::local::stream_protocol::acceptor acceptor_;
    std::filesystem::path path_;
    std::uint32_t answering_ = 0;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace bft::node

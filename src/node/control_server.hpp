// The commands that a running daemon takes from whoever may open its socket (mode 0600): one line,
// answered by "ok" or a sentence that says why not. For `bftctl audit`.
#pragma once

#include "base/result.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace bft::node {

class ControlServer {
public:
    /// `command` is called on the loop with one line.
    ControlServer(boost::asio::io_context& loop,
                  std::function<Result<void>(const std::string&)> command);
    ~ControlServer();

    /// Creates the socket with mode 0600.
    Result<void> listen(const std::filesystem::path& socket);

private:
    struct Connection;
    void accept();
    void answer(const std::shared_ptr<Connection>& connection);

    boost::asio::io_context& loop_;
    std::function<Result<void>(const std::string&)> command_;
    boost::asio::local::stream_protocol::acceptor acceptor_;
    std::filesystem::path path_;
    std::uint32_t open_ = 0;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace bft::node

// The commands that a running daemon takes from whoever may open its socket (mode 0600): one line,
// answered by "ok", a newline and what was asked for, or by a sentence that says why not.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "node/admin_log.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace bft::node {

class ControlServer {
public:
    using Reply = std::function<void(Result<Bytes>)>;
    using Command = std::function<void(const Caller&, const std::string& line, Reply)>;

    /// `command` is called on the loop with one line, and calls its Reply there, now or later.
    ControlServer(boost::asio::io_context& loop, Command command);
    ~ControlServer();

    /// Creates the socket with mode 0600.
    Result<void> listen(const std::filesystem::path& socket);

private:
    struct Connection;
    void accept();
    void answer(const std::shared_ptr<Connection>& connection);
    void reply(const std::shared_ptr<Connection>& connection, const Result<Bytes>& result);

    boost::asio::io_context& loop_;
    Command command_;
    boost::asio::local::stream_protocol::acceptor acceptor_;
    std::filesystem::path path_;
    std::uint32_t open_ = 0;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace bft::node

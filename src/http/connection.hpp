// One connection: TLS, then requests one after the other (request_connection.cpp), or events until
// it ends (event_connection.hpp).
#pragma once

#include "http/server.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <list>
#include <memory>
#include <optional>

namespace bft::http {

class Connection : public std::enable_shared_from_this<Connection> {
public:
    static std::shared_ptr<Connection> make(Server& server, boost::asio::ip::tcp::socket socket,
                                            boost::asio::ssl::context* tls);
    virtual ~Connection();

    virtual void start() = 0;
    /// Without a word to the client.
    virtual void abandon() = 0;

protected:
    Connection(Server& server, std::string remote, const boost::asio::any_io_executor& executor);

    /// Null once the server is gone.
    [[nodiscard]] Server* server() const { return server_; }
    [[nodiscard]] const Limits& limits() const { return limits_; }
    [[nodiscard]] const std::string& remote() const { return remote_; }
    ServerReport& report() { return server_->report_; }

    /// `late` runs unless something else is waited for before.
    void wait(Duration patience, std::function<void()> late);
    void stop_waiting();

    /// Whether this connection may be closed to make room for another.
    void mark_idle(bool idle);
    /// Room for a body in the budget of all; false: there is none now.
    bool reserve_body(std::uint64_t bytes);
    void release_body();
    [[nodiscard]] bool subscriber_room() const;
    void reserve_subscriber();
    void leave();

    [[nodiscard]] Server::Found find(Request& request) const { return server_->find(request); }
    [[nodiscard]] bool allowed_origin(const std::string& origin) const {
        return server_->allowed_origin(origin);
    }
    [[nodiscard]] Response preflight(const Request& request) const {
        return server_->preflight(request);
    }
    [[nodiscard]] const SiteFile* site_file(const std::string& path) const {
        return server_->site_.find(path);
    }
    using Route = Server::Route;

private:
    Server* server_;
    const Limits limits_;
    std::string remote_;
    boost::asio::steady_timer deadline_;
    std::uint64_t turn_ = 0;  ///< of the timer
    std::optional<std::list<Connection*>::iterator> idle_at_;
    std::uint64_t body_reserved_ = 0;
    bool subscriber_ = false;
};

}  // namespace bft::http

// A connection that has become a subscriber's: events go out until one side ends it.
#pragma once

#include "http/connection.hpp"
#include "http/event_queue.hpp"
#include "http/stream.hpp"
#include "http/transport.hpp"

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <memory>
#include <string>

namespace bft::http {

class EventConnection : public Connection {
public:
    void abandon() override;

protected:
    EventConnection(Server& server, std::string remote,
                    const boost::asio::any_io_executor& executor, Server::Opened opened);

    /// The head has gone out or is on its way: the subscriber may be told of events.
    void open();
    void write_events();
    /// One write is over.
    void written(const boost::system::error_code& failure);
    EventQueue& queue() { return queue_; }
    /// A write, or the end, is under way: events wait.
    void occupy();

private:
    class Subscription;
    /// Writes some of the queue, and then calls written().
    virtual void write_some() = 0;
    /// The subscriber was too slow, or the server wants no more.
    virtual void end_stream() = 0;
    virtual void close_socket() = 0;

    EventQueue queue_;
    Server::Opened opened_;
    bool ready_ = false;
    bool writing_ = false;
};

using StreamRequest = boost::beast::http::request<boost::beast::http::string_body>;

/// Both take over the connection of `stream`, whose request was the last one, and its place among
/// the subscribers. `headers` are lines that end with CR LF.
template <class S>
void begin_server_sent_events(Server& server, std::string remote, S stream,
                              const std::string& headers, Server::Opened opened);
template <class S>
void accept_websocket(Server& server, std::string remote, S stream, StreamRequest request,
                      Server::Opened opened);

}  // namespace bft::http

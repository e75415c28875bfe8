#include "http/event_connection.hpp"

namespace bft::http {

class EventConnection::Subscription final : public Stream {
public:
    explicit Subscription(std::weak_ptr<EventConnection> connection)
        : connection_(std::move(connection)) {}
    void send(std::shared_ptr<const std::string> event) override {
        auto connection = connection_.lock();
        if (!connection || connection->server() == nullptr) return;
        if (!connection->queue_.push(std::move(event))) ++connection->report().lost;
        connection->write_events();
    }
    void end() override {
        auto connection = connection_.lock();
        if (!connection || connection->server() == nullptr) return;
        connection->queue_.end();
        connection->write_events();
    }

private:
    std::weak_ptr<EventConnection> connection_;
};

EventConnection::EventConnection(Server& server, std::string remote,
                                 const boost::asio::any_io_executor& executor,
                                 Server::Opened opened)
    : Connection(server, std::move(remote), executor),
      queue_(limits()),
      opened_(std::move(opened)) {
    reserve_subscriber();
}

void EventConnection::abandon() {
    auto keep = shared_from_this();
    leave();
    stop_waiting();
    close_socket();
    if (opened_.closed) std::exchange(opened_.closed, {})();
}

void EventConnection::open() {
    ready_ = true;
    opened_.open(std::make_shared<Subscription>(
        std::static_pointer_cast<EventConnection>(shared_from_this())));
}

void EventConnection::occupy() {
    writing_ = true;
    wait(limits().write_timeout, [this] { abandon(); });
}

void EventConnection::write_events() {
    if (writing_ || !ready_) return;
    if (queue_.empty() && !queue_.ending()) return;
    bool over = queue_.empty();
    occupy();
    if (over)
        end_stream();
    else
        write_some();
}

void EventConnection::written(const boost::system::error_code& failure) {
    if (server() == nullptr) return;
    if (failure) return abandon();
    stop_waiting();
    writing_ = false;
    write_events();
}

}  // namespace bft::http

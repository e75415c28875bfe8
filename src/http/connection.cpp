// What connections of all kinds share with their server.
#include "http/connection.hpp"

#include "base/invariant.hpp"

namespace bft::http {

Connection::Connection(Server& server, std::string remote,
                       const boost::asio::any_io_executor& executor)
    : server_(&server),
      limits_(server.options_.limits),
      remote_(std::move(remote)),
      deadline_(executor) {
    server.connections_.insert(this);
}

Connection::~Connection() {
    leave();
}

void Connection::leave() {
    if (server_ == nullptr) return;
    mark_idle(false);
    release_body();
    if (std::exchange(subscriber_, false)) --report().subscribers;
    server_->connections_.erase(this);
    server_ = nullptr;
}

void Connection::wait(Duration patience, std::function<void()> late) {
    deadline_.expires_after(patience);
    deadline_.async_wait([self = shared_from_this(), turn = ++turn_,
                          late = std::move(late)](const boost::system::error_code& cancelled) {
        // Another turn: moved on in the same instant.
        if (cancelled || self->server_ == nullptr || turn != self->turn_) return;
        ++self->report().timeouts;
        late();
    });
}

void Connection::stop_waiting() {
    ++turn_;
    deadline_.cancel();
}

void Connection::mark_idle(bool idle) {
    if (server_ == nullptr) return;
    if (idle_at_) server_->idle_.erase(*idle_at_);
    idle_at_.reset();
    if (idle) idle_at_ = server_->idle_.insert(server_->idle_.end(), this);
}

bool Connection::reserve_body(std::uint64_t bytes) {
    if (server_->report_.body_bytes + bytes > limits_.all_bodies_bytes) return false;
    server_->report_.body_bytes += bytes;
    body_reserved_ += bytes;
    return true;
}

void Connection::release_body() {
    server_->report_.body_bytes -= std::exchange(body_reserved_, 0);
}

bool Connection::subscriber_room() const {
    return server_->report_.subscribers < limits_.subscribers;
}

void Connection::reserve_subscriber() {
    invariant(!subscriber_, "a connection subscribes once");
    subscriber_ = true;
    ++report().subscribers;
}

}  // namespace bft::http

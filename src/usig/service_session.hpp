// One connection of a role to the service. Internal to the room.
#pragma once

#include "usig/protocol.hpp"
#include "usig/tpm_worker.hpp"

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>

#include <deque>
#include <functional>
#include <memory>
#include <set>

namespace bft::usig {

class ServiceSession;

/// What the sessions of a service share. Used on the io_context's thread only.
struct SessionShared {
    protocol::Tokens tokens;
    std::map<UsigId, std::weak_ptr<ServiceSession>> owners;  ///< one live connection per identity
    std::set<ServiceSession*> live;
    std::unique_ptr<TpmWorker> worker;  ///< reset when the service stops

    ServiceSession* owner(UsigId identity) const;
};

class ServiceSession : public std::enable_shared_from_this<ServiceSession> {
public:
    using Socket = boost::asio::local::stream_protocol::socket;
    ServiceSession(Socket socket, std::shared_ptr<SessionShared> shared);
    ~ServiceSession();
    void start();
    void close();
    /// Of the process at the other end.
    [[nodiscard]] int pid() const { return pid_; }

private:
    void read_length();
    void read_payload(std::size_t size);
    bool take(const protocol::Message& message);
    void attach(const protocol::Attach& message);
    void submit(std::uint64_t number, UsigId identity, decltype(TpmWorker::Job::what) what);
    void send(const protocol::Message& message);
    void fail(std::uint64_t number, Errc code, std::string what);
    void write_next();

    Socket socket_;
    std::shared_ptr<SessionShared> shared_;
    int pid_ = 0;
    Digest nonce_;
    std::array<std::uint8_t, 4> length_{};
    Bytes payload_;
    std::deque<Bytes> out_;
    bool closed_ = false;
};

}  // namespace bft::usig

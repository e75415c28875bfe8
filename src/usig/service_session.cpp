#include "usig/service_session.hpp"

#include "base/log.hpp"

#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <openssl/crypto.h>

#include <sys/socket.h>

namespace bft::usig {

namespace {

namespace asio = boost::asio;
using boost::system::error_code;

// A role that does not read its answers is cut off.
constexpr std::size_t answers_max = 4096;

std::string name(UsigId identity) {
    return "USIG identity " + std::to_string(identity.value);
}

}  // namespace

ServiceSession* SessionShared::owner(UsigId identity) const {
    const auto found = owners.find(identity);
    if (found == owners.end()) return nullptr;
    const auto session = found->second.lock();
    return session && live.contains(session.get()) ? session.get() : nullptr;
}

ServiceSession::ServiceSession(Socket socket, std::shared_ptr<SessionShared> shared)
    : socket_(std::move(socket)), shared_(std::move(shared)) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(socket_.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
        pid_ = peer.pid;
}

ServiceSession::~ServiceSession() {
    close();
}

void ServiceSession::start() {
    const auto nonce = protocol::new_token();
    if (!nonce) return;
    nonce_ = *nonce;
    shared_->live.insert(this);
    send(protocol::Hello{protocol::version, nonce_});
    read_length();
}

void ServiceSession::close() {
    if (closed_) return;
    closed_ = true;
    shared_->live.erase(this);
    error_code ignored;
    socket_.close(ignored);
}

void ServiceSession::read_length() {
    asio::async_read(socket_, asio::buffer(length_),
                     [self = shared_from_this()](error_code code, std::size_t) {
                         const auto size = protocol::frame_length(self->length_);
                         if (code || !size || self->closed_) return self->close();
                         self->read_payload(*size);
                     });
}

void ServiceSession::read_payload(std::size_t size) {
    payload_.resize(size);
    asio::async_read(socket_, asio::buffer(payload_),
                     [self = shared_from_this()](error_code code, std::size_t) {
                         if (code || self->closed_) return self->close();
                         const auto message = protocol::decode(self->payload_);
                         if (!message || !self->take(*message)) {
                             log::warn("usig_client_malformed pid={}", self->pid_);
                             return self->close();
                         }
                         if (!self->closed_) self->read_length();
                     });
}

bool ServiceSession::take(const protocol::Message& message) {
    if (const auto* m = std::get_if<protocol::Attach>(&message)) {
        attach(*m);
    } else if (const auto* c = std::get_if<protocol::Create>(&message)) {
        submit(c->number, c->identity, TpmWorker::Job::Create{c->digest});
    } else if (const auto* l = std::get_if<protocol::Last>(&message)) {
        submit(l->number, l->identity, TpmWorker::Job::Last{});
    } else if (const auto* f = std::get_if<protocol::Forsake>(&message)) {
        submit(f->number, f->identity, TpmWorker::Job::Forsake{f->cv});
    } else {
        return false;
    }
    return true;
}

void ServiceSession::attach(const protocol::Attach& message) {
    const auto token = shared_->tokens.find(message.identity);
    if (token == shared_->tokens.end())
        return fail(message.number, Errc::refused,
                    name(message.identity) + " is not served on this host");
    const auto expected = protocol::proof(token->second, nonce_, message.identity);
    if (CRYPTO_memcmp(expected.bytes.data(), message.proof.bytes.data(), expected.bytes.size()) !=
        0)
        return fail(message.number, Errc::refused,
                    name(message.identity) +
                        ": wrong authorization token; the role and the USIG service must read the "
                        "same tokens file");
    if (auto* other = shared_->owner(message.identity); other != nullptr && other != this)
        return fail(message.number, Errc::unavailable,
                    name(message.identity) + " is in use by another process (pid " +
                        std::to_string(other->pid()) + "); stop that one first");
    shared_->owners[message.identity] = weak_from_this();
    log::info("usig_attached identity={} pid={}", message.identity.value, pid_);
    send(protocol::Done{message.number});
}

void ServiceSession::submit(std::uint64_t number, UsigId identity,
                            decltype(TpmWorker::Job::what) what) {
    if (shared_->owner(identity) != this)
        return fail(number, Errc::refused, name(identity) + " is not attached on this connection");
    if (!shared_->worker) return fail(number, Errc::unavailable, "USIG service is stopping");
    TpmWorker::Job job{identity, std::move(what),
                       [weak = weak_from_this(), number](Result<Standing> result) {
                           const auto self = weak.lock();
                           if (!self || self->closed_) return;
                           if (!result)
                               self->send(protocol::Failed{number, result.error()});
                           else if (result->hole)
                               self->send(protocol::Hole{number, *result->hole, result->last});
                           else if (!result->last)
                               self->send(protocol::Nothing{number});
                           else
                               self->send(protocol::Answer{number, *result->last});
                       }};
    if (!shared_->worker->submit(std::move(job)))
        fail(number, Errc::exhausted, name(identity) + ": too many operations wait for the TPM");
}

void ServiceSession::fail(std::uint64_t number, Errc code, std::string what) {
    log::warn("usig_refused pid={} problem=\"{}\"", pid_, what);
    send(protocol::Failed{number, error(code, std::move(what))});
}

void ServiceSession::send(const protocol::Message& message) {
    if (closed_) return;
    if (out_.size() >= answers_max) return close();
    out_.push_back(protocol::encode(message));
    if (out_.size() == 1) write_next();
}

void ServiceSession::write_next() {
    asio::async_write(socket_, asio::buffer(out_.front()),
                      [self = shared_from_this()](error_code code, std::size_t) {
                          if (code || self->closed_) return self->close();
                          self->out_.pop_front();
                          if (!self->out_.empty()) self->write_next();
                      });
}

}  // namespace bft::usig

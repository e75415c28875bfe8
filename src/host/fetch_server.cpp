#include "host/fetch_server.hpp"

#include <boost/asio/post.hpp>

namespace bft::host {

namespace {

bool is_fetch(const consensus::Payload& payload) {
    return std::holds_alternative<consensus::FetchCertificates>(payload) ||
           std::holds_alternative<consensus::FetchBodies>(payload) ||
           std::holds_alternative<consensus::FetchHeaders>(payload) ||
           std::holds_alternative<consensus::FetchViewCert>(payload) ||
           std::holds_alternative<consensus::FetchViewChanges>(payload);
}

}  // namespace

FetchServer::FetchServer(boost::asio::io_context& loop, const consensus::Membership& membership,
                         const consensus::LogReader& log, Transmit transmit)
    : loop_(loop), membership_(membership), log_(log), transmit_(std::move(transmit)) {}

FetchServer::~FetchServer() {
    stop();
}

void FetchServer::stop() {
    *alive_ = false;
    reader_.join();
}

bool FetchServer::serve(const consensus::Endpoint& self, const consensus::Verified& message) {
    if (!is_fetch(message.payload())) return false;
    if (message.from().role == consensus::Endpoint::Role::client) return true;  // not for clients
    auto task = std::pair(message.from(), message.payload().index());
    if (!busy_.insert(task).second) return true;
    boost::asio::post(reader_, [this, alive = alive_, self, message, task] {
        auto answer = consensus::answer_fetch(membership_, log_, message);
        boost::asio::post(loop_, [this, alive, self, task, answer = std::move(answer)]() mutable {
            if (!*alive) return;
            busy_.erase(task);
            if (!answer) return;
            ++served_;
            transmit_(self, std::move(*answer));
        });
    });
    return true;
}

}  // namespace bft::host

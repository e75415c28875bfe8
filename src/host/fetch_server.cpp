#include "host/fetch_server.hpp"

#include <boost/asio/post.hpp>

namespace bft::host {

FetchServer::FetchServer(boost::asio::io_context& loop, const consensus::LogReader& log,
                         Transmit transmit)
    : loop_(loop), log_(log), transmit_(std::move(transmit)) {}

FetchServer::~FetchServer() {
    stop();
}

void FetchServer::stop() {
    *alive_ = false;
    reader_.join();
}

bool FetchServer::serve(const consensus::Endpoint& self, const consensus::Verified& message) {
    const consensus::Payload& payload = message.payload();
    if (!std::holds_alternative<consensus::FetchCertificates>(payload) &&
        !std::holds_alternative<consensus::FetchBodies>(payload))
        return false;
    auto task = std::pair(message.from(), payload.index());
    if (!busy_.insert(task).second) return true;
    boost::asio::post(reader_, [this, alive = alive_, self, message, task] {
        auto answer = consensus::answer_fetch(log_, message);
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

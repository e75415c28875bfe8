// The counters of this process's roles, through the host's USIG service.
#pragma once

#include "base/time.hpp"
#include "usig/certifier.hpp"
#include "usig/protocol.hpp"

#include <boost/asio/io_context.hpp>

#include <filesystem>
#include <functional>
#include <memory>

namespace bft::usig {

/// One connection, kept up with back-off; all on one io_context thread. Operations wait (bounded)
/// while the service is away; those that were under way when the connection broke fail with
/// Errc::unavailable.
class ServiceClient : public Certifier {
public:
    struct Options {
        std::filesystem::path socket;
        protocol::Tokens tokens;      ///< of the identities that this process uses
        std::size_t queue_max = 256;  ///< operations waiting or under way
        Duration backoff_min = std::chrono::milliseconds(20);
        Duration backoff_max = std::chrono::seconds(2);
    };
    /// What changed about an identity: nullopt when it may be used from now on; else why not. Said
    /// again only when the reason changes. Errc::refused is final; anything else is tried again.
    using OnState = std::function<void(UsigId, const std::optional<Error>&)>;

    ServiceClient(boost::asio::io_context& io, Options options, OnState on_state = {});
    /// Callbacks that are outstanding are dropped.
    ~ServiceClient() override;
    ServiceClient(const ServiceClient&) = delete;
    ServiceClient& operator=(const ServiceClient&) = delete;

    void create(UsigId identity, const Digest& digest, CreateCallback done) override;
    void last(UsigId identity, StandingCallback done) override;
    void forsake(UsigId identity, Counter cv, StandingCallback done) override;

private:
    class Link;
    std::shared_ptr<Link> link_;
};

}  // namespace bft::usig

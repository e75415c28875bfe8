// The gateway: speaks to a cluster for clients that cannot (docs/http.md, "Gateway"). It holds a
// client's key, sends each call to all replicas, believes f+1, and answers as one server.
#pragma once

#include "base/result.hpp"
#include "base/time.hpp"
#include "bftnode/client.hpp"
#include "catalog/application.hpp"
#include "http/server.hpp"
#include "roles/idempotency.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json/object.hpp>

#include <filesystem>
#include <memory>
#include <string>

namespace bft::roles {

struct GatewayOptions {
    std::filesystem::path client;  ///< client.toml, or the folder that holds it
    std::string token;             ///< that callers must show; empty: whoever reaches us may call
    std::string listen;            ///< "host:port"
    std::filesystem::path certificate;  ///< PEM; empty: plain HTTP
    std::filesystem::path key;
    std::filesystem::path site;  ///< folder that is served as it is; empty: none
    http::ServerOptions server;
    bftnode::Options calls;
    std::size_t idempotency_keys = 16384;  ///< whose answers are remembered
};

class Gateway {
public:
    static Result<std::unique_ptr<Gateway>> open(boost::asio::io_context& loop,
                                                 GatewayOptions options);
    ~Gateway();

    [[nodiscard]] boost::json::object report() const;

private:
    Gateway(boost::asio::io_context& loop, GatewayOptions options,
            catalog::Application application);
    Result<void> start();
    void add_routes();
    void call(const http::Request& request, const http::Respond& respond);
    /// Both answer through `respond`, one once for each key however often it is asked.
    void call_once(const http::Request& request, const catalog::Procedure& procedure,
                   std::vector<bftnode::Value> values, bool receipt, const http::Respond& respond);
    void call(const catalog::Procedure& procedure, std::vector<bftnode::Value> values,
              bftnode::CallOptions options, std::function<void(const bftnode::CallResult&)> done);
    void watch_keys();
    [[nodiscard]] bool authorized(const http::Request& request) const;

    boost::asio::io_context& loop_;
    GatewayOptions options_;
    catalog::Application application_;
    Digest cluster_;
    std::unique_ptr<boost::asio::ssl::context> tls_;
    Idempotency keys_;
    boost::asio::steady_timer keys_timer_;
    std::uint64_t calls_ = 0, aborted_ = 0, failed_ = 0;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  ///< read on the loop only
    std::unique_ptr<http::Server> server_;
    std::unique_ptr<bftnode::Client> client_;  // last: its callbacks post to what is above
};

}  // namespace bft::roles

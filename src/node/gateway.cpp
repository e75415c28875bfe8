#include "node/gateway.hpp"

#include "base/log.hpp"
#include "crypto/key_file.hpp"
#include "node/service_manager.hpp"
#include "roles/gateway.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include <csignal>

namespace bft::node {

namespace {

Result<roles::GatewayOptions> options_of(const GatewayConfig& config) {
    roles::GatewayOptions options;
    options.client = config.client;
    if (!config.token_file.empty()) {
        auto text = crypto::read_private_file(config.token_file);
        if (!text) return text.error();
        options.token = text->substr(0, text->find_first_of("\r\n"));
        if (options.token.size() < 16)
            return error(Errc::malformed, config.token_file.string() +
                                              " must hold a token of at least 16 characters");
    }
    options.listen = config.http.listen;
    options.certificate = config.http.certificate;
    options.key = config.http.key;
    options.site = config.http.site;
    options.server = config.http.server;
    options.calls.give_up_after =
        std::chrono::duration_cast<std::chrono::milliseconds>(config.give_up_after);
    options.calls.log_level.clear();
    options.idempotency_keys = config.idempotency_keys;
    return options;
}

}  // namespace

int run_gateway(const GatewayConfig& config) {
    boost::asio::io_context loop(1);
    boost::asio::signal_set signals(loop, SIGTERM, SIGINT);
    signals.async_wait([&loop](const boost::system::error_code& cancelled, int signal) {
        if (cancelled) return;
        log::info("stopping cause=signal signal={}", signal);
        loop.stop();
    });
    auto options = options_of(config);
    auto gateway = options ? roles::Gateway::open(loop, std::move(*options))
                           : Result<std::unique_ptr<roles::Gateway>>(options.error());
    if (!gateway) {
        log::error("cannot_start what=\"{}\"", gateway.error().what);
        return 1;
    }
    ServiceManager service_manager(loop, [] { return std::string("takes calls"); });
    service_manager.started();
    loop.run();
    return 0;
}

}  // namespace bft::node

// [http] of node.toml, and gateway.toml.
#include "node/config_reader.hpp"

#include <boost/asio/ip/address.hpp>

namespace bft::node {

std::optional<HttpUrl> parse_http_url(std::string_view url) {
    HttpUrl parsed;
    if (url.starts_with("https://")) {
        url.remove_prefix(8);
    } else if (url.starts_with("http://")) {
        url.remove_prefix(7);
        parsed.secure = false;
    } else {
        return std::nullopt;
    }
    if (!is_address(url)) return std::nullopt;
    parsed.address = url;
    parsed.host = url.substr(0, url.rfind(':'));
    if (parsed.host.starts_with("[")) parsed.host = parsed.host.substr(1, parsed.host.size() - 2);
    return parsed;
}

bool is_loopback(std::string_view address) {
    std::string host(address.substr(0, address.rfind(':')));
    if (host.starts_with("[")) host = host.substr(1, host.size() - 2);
    boost::system::error_code no_number;
    auto number = boost::asio::ip::make_address(host, no_number);
    return no_number ? host == "localhost" : number.is_loopback();
}

void read_http(TableReader& table, HttpConfig& http) {
    table.address("listen", http.listen, Need::required);
    table.path("certificate", http.certificate);
    table.path("key", http.key);
    if (http.certificate.empty() != http.key.empty())
        table.error(http.key.empty() ? "certificate" : "key",
                    "a certificate needs its key, and the other way round");
    else if (http.certificate.empty() && !http.listen.empty() && !is_loopback(http.listen))
        table.error(
            "listen",
            "without 'certificate' and 'key' HTTP is plain, and only this machine may reach "
            "it: listen on 127.0.0.1, or give a certificate");
    table.path("web_key", http.web_key);
    table.path("site", http.site);
    table.texts("origins", http.server.origins);
    http::Limits& limits = http.server.limits;
    table.number("connections", limits.connections, 1, 100'000);
    table.number("header_bytes", limits.header_bytes, 1024, 64 * 1024);
    table.number("body_bytes", limits.body_bytes, 1024, 64 * 1024 * 1024);
    table.number("all_bodies_bytes", limits.all_bodies_bytes, 1024 * 1024, std::int64_t{1} << 34);
    table.millis("header_timeout_ms", limits.header_timeout, 100, 600'000);
    table.millis("body_timeout_ms", limits.body_timeout, 100, 600'000);
    table.millis("idle_timeout_ms", limits.idle_timeout, 100, 3'600'000);
    table.millis("write_timeout_ms", limits.write_timeout, 100, 600'000);
    table.millis("answer_timeout_ms", http.answer_timeout, 100, 600'000);
    table.number("subscribers", limits.subscribers, 0, 100'000);
    table.number("event_queue", limits.event_queue, 16, 1'000'000);
    table.number("event_queue_bytes", limits.event_queue_bytes, 64 * 1024, std::int64_t{1} << 30);
    table.finish();
}

Loaded<GatewayConfig> load_gateway_config(const std::filesystem::path& file) {
    ReadContext context{std::filesystem::absolute(file).lexically_normal(), {}, {}};
    const std::optional<std::string> text = read_text_file(context);
    if (!text) return {std::nullopt, context.errors, {}};
    const std::optional<toml::table> root_table = parse_toml(*text, context);
    if (!root_table) return {std::nullopt, context.sorted(), {}};
    TableReader root(*root_table, "", context);
    GatewayConfig config;
    config.file = context.file;
    if (auto gateway = root.table("gateway", Need::required)) {
        gateway->path("client", config.client, Need::required);
        gateway->path("token_file", config.token_file);
        gateway->millis("give_up_after_ms", config.give_up_after, 100, 3'600'000);
        gateway->number("idempotency_keys", config.idempotency_keys, 1, 10'000'000);
        gateway->text("log_level", config.log_level);
        gateway->finish();
    }
    if (auto http = root.table("http", Need::required)) read_http(*http, config.http);
    root.finish();
    if (!context.errors.empty()) return {std::nullopt, context.sorted(), std::move(context.places)};
    return {std::move(config), {}, std::move(context.places)};
}

}  // namespace bft::node

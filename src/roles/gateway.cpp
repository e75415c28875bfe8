#include "roles/gateway.hpp"

#include "base/log.hpp"
#include "base/sha256.hpp"
#include "client/config.hpp"
#include "client/json_calls.hpp"
#include "crypto/web_tls.hpp"
#include "metrics/exporter.hpp"

#include <boost/asio/post.hpp>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <openssl/crypto.h>

namespace bft::roles {

namespace json = boost::json;
using bftnode::CallResult;
using http::error_response;
using http::Request;
using http::Respond;
using http::Response;

namespace {

TimePoint now() {
    return TimePoint(
        std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

Digest digest_of(const Request& request, bool receipt) {
    return Digester("gateway-call")
        .text(request.captured.at(0))
        .u8(receipt ? 1 : 0)
        .text(request.body)
        .finish();
}

Response failure_of(const bftnode::Error& failure) {
    switch (failure.code) {
        case bftnode::ErrorCode::bad_call:
            return error_response(400, "bad_call", failure.what);
        case bftnode::ErrorCode::rejected:
            return error_response(422, "refused", failure.what);
        case bftnode::ErrorCode::overloaded:
            return error_response(503, "overloaded", failure.what);
        case bftnode::ErrorCode::timeout:
            return error_response(504, "no_answer", failure.what);
        case bftnode::ErrorCode::config:
        case bftnode::ErrorCode::closed:
            break;
    }
    return error_response(503, "overloaded", failure.what);
}

Response to_response(const CallResult& result, bool receipt) {
    if (result.error) return failure_of(*result.error);
    json::array disagreeing;
    for (const std::string& host : result.disagreeing) disagreeing.emplace_back(host);
    json::object body{
        {"outcome", bftnode::to_string(result.outcome)},
        {"code", result.code},
        {"result_sets", client::results_to_json(result.result_sets)},
        {"request", json::object{{"client", std::to_string(result.id.client)},
                                 {"home", result.id.home},
                                 {"cseq", std::to_string(result.id.seq)}}},
        {"slot", std::to_string(result.slot)},
        {"attempts", result.attempts},
        {"latency_us",
         std::chrono::duration_cast<std::chrono::microseconds>(result.latency).count()},
        {"disagreeing", std::move(disagreeing)},
    };
    Response response;
    response.status = result.outcome == bftnode::Outcome::aborted ? 409 : 200;
    response.body = json::serialize(body);
    if (receipt) {
        response.body.pop_back();
        response.body += ",\"receipt\":" + result.receipt + "}";
    }
    return response;
}

}  // namespace

Gateway::Gateway(boost::asio::io_context& loop, GatewayOptions options,
                 catalog::Application application)
    : loop_(loop),
      options_(std::move(options)),
      application_(std::move(application)),
      keys_({options_.idempotency_keys}),
      keys_timer_(loop) {}

// The client goes first: it answers what is outstanding, through posts that nobody runs any more.
Gateway::~Gateway() {
    *alive_ = false;
    client_.reset();
    server_.reset();
}

Result<std::unique_ptr<Gateway>> Gateway::open(boost::asio::io_context& loop,
                                               GatewayOptions options) {
    auto config = client::load_config(options.client);
    if (!config) return config.error();
    auto application = catalog::Application::load(config->application);
    if (!application) return application.error();
    std::unique_ptr<Gateway> gateway(
        new Gateway(loop, std::move(options), std::move(*application)));
    gateway->cluster_ = config->cluster;
    if (auto started = gateway->start(); !started) return started.error();
    return gateway;
}

Result<void> Gateway::start() {
    if (!options_.certificate.empty()) {
        auto tls = crypto::make_web_tls_context(options_.certificate, options_.key);
        if (!tls) return tls.error();
        tls_ = std::move(*tls);
    }
    server_ = std::make_unique<http::Server>(loop_, tls_.get(), options_.server);
    if (!options_.site.empty()) {
        auto site = http::Site::load(options_.site);
        if (!site) return site.error();
        server_->serve(std::move(*site));
    }
    try {
        client_ = bftnode::Client::open(options_.client, options_.calls);
    } catch (const bftnode::OpenError& failure) {
        return error(Errc::unavailable, failure.what());
    }
    add_routes();
    watch_keys();
    auto port = server_->listen(options_.listen);
    if (!port) return port.error();
    log::info("gateway_listening address={} port={} tls={} token={}", options_.listen, *port,
              tls_ != nullptr, !options_.token.empty());
    return {};
}

bool Gateway::authorized(const Request& request) const {
    if (options_.token.empty()) return true;
    std::string wanted = "Bearer " + options_.token;
    return request.authorization.size() == wanted.size() &&
           CRYPTO_memcmp(request.authorization.data(), wanted.data(), wanted.size()) == 0;
}

void Gateway::call(const Request& request, const Respond& respond) {
    if (!authorized(request)) {
        Response refusal =
            error_response(401, "unauthorized", "the bearer token is missing or wrong");
        refusal.headers.emplace_back("WWW-Authenticate", "Bearer");
        return respond(std::move(refusal));
    }
    std::string_view wish = request.parameter("receipt");
    if (!wish.empty() && wish != "0" && wish != "1")
        return respond(error_response(400, "malformed", "'receipt' must be 0 or 1"));
    bool receipt = wish == "1";
    const catalog::Procedure* procedure = application_.procedure(request.captured.at(0));
    if (procedure == nullptr)
        return respond(error_response(404, "not_found", "there is no procedure of that name"));
    auto values = client::arguments_from_json(*procedure, request.body);
    if (!values) return respond(error_response(400, "bad_call", values.error().what));
    if (request.idempotency_key)
        return call_once(request, *procedure, std::move(*values), receipt, respond);
    call(*procedure, std::move(*values), {receipt, {}},
         [respond, receipt](const CallResult& result) { respond(to_response(result, receipt)); });
}

void Gateway::call(const catalog::Procedure& procedure, std::vector<bftnode::Value> values,
                   bftnode::CallOptions options, std::function<void(const CallResult&)> done) {
    ++calls_;
    client_->call(
        procedure.name, std::move(values),
        [this, alive = alive_, done = std::move(done), &loop = loop_](const CallResult& result) {
            boost::asio::post(loop, [this, alive, done, result] {
                if (!*alive) return;
                if (result.error) ++failed_;
                if (!result.error && result.outcome == bftnode::Outcome::aborted) ++aborted_;
                done(result);
            });
        },
        options);
}

// The call of a key is never given up, only its callers are told that it takes long: whoever asks
// again must find the same request, and not make another.
void Gateway::call_once(const Request& request, const catalog::Procedure& procedure,
                        std::vector<bftnode::Value> values, bool receipt, const Respond& respond) {
    const std::string& key = *request.idempotency_key;
    if (!Idempotency::valid(key))
        return respond(error_response(400, "malformed",
                                      "'Idempotency-Key' must be 1 to 255 visible characters"));
    switch (keys_.ask(key, digest_of(request, receipt), respond,
                      now() + options_.calls.give_up_after)) {
        case Idempotency::Asked::mismatch:
            return respond(error_response(422, "key_reused",
                                          "this Idempotency-Key was used for another call"));
        case Idempotency::Asked::full:
            return respond(error_response(503, "overloaded",
                                          "too many calls with Idempotency-Keys are under way"));
        case Idempotency::Asked::joined:
        case Idempotency::Asked::known:
            return;
        case Idempotency::Asked::fresh:
            break;
    }
    call(procedure, std::move(values), {receipt, std::chrono::milliseconds(0)},
         [this, key, receipt](const CallResult& result) {
             Response response = to_response(result, receipt);
             bool unsent = result.error && (result.error->code == bftnode::ErrorCode::overloaded ||
                                            result.error->code == bftnode::ErrorCode::bad_call);
             if (unsent)
                 keys_.forget(key, response);
             else
                 keys_.finish(key, response);
         });
}

void Gateway::watch_keys() {
    keys_timer_.expires_after(std::chrono::milliseconds(250));
    keys_timer_.async_wait([this, alive = alive_](const boost::system::error_code& cancelled) {
        if (cancelled || !*alive) return;
        static const Response late = error_response(
            504, "no_answer",
            "no f+1 equal answers within the time given; ask again with the same Idempotency-Key");
        keys_.give_up(now(), late);
        watch_keys();
    });
}

void Gateway::add_routes() {
    server_->route("POST", "/v1/call/{}", [this](const Request& request, const Respond& respond) {
        call(request, respond);
    });
    auto text = [](unsigned status, std::string words) {
        return Response{status, "text/plain; charset=utf-8", std::move(words), {}};
    };
    server_->route("GET", "/livez", [text](const Request&, const Respond& respond) {
        respond(text(200, "alive\n"));
    });
    server_->route("GET", "/readyz", [this, text](const Request&, const Respond& respond) {
        bool ready = client_->wait_connected(std::chrono::milliseconds(0));
        respond(ready ? text(200, "ready\n")
                      : text(503, "not ready: fewer than f+1 hosts are connected\n"));
    });
    server_->route("GET", "/v1/status", [this](const Request&, const Respond& respond) {
        respond({200, "application/json", json::serialize(report()), {}});
    });
    server_->route("GET", "/metrics", [this](const Request&, const Respond& respond) {
        using metrics::Family;
        bftnode::Statistics statistics = client_->statistics();
        auto counter = [](const char* name, const char* help, std::uint64_t value) {
            return Family{
                name, help, Family::Type::counter, {{{}, static_cast<double>(value), {}}}};
        };
        std::vector<Family> families{
            counter("bft_gateway_calls_total", "Calls handed to the cluster.", statistics.calls),
            counter("bft_gateway_answered_total", "Calls that f+1 replicas answered.",
                    statistics.answered),
            counter("bft_gateway_failed_total", "Calls without an outcome.", statistics.failed),
            counter("bft_gateway_signatures_total", "Signatures made; several calls share one.",
                    statistics.signatures),
            counter("bft_gateway_repeated_total",
                    "Calls that were answered by their Idempotency-Key.", keys_.repeated()),
            counter("bft_gateway_sent_again_total", "Requests sent again.", statistics.sent_again)};
        Family connected{
            "bft_gateway_connected", "Whether a host is connected.", Family::Type::gauge, {}};
        for (const auto& [host, up] : statistics.connected)
            connected.samples.push_back({{{"host", host}}, up ? 1.0 : 0.0, {}});
        Family disagreements{"bft_gateway_disagreements_total",
                             "Answers of a host that differed from the accepted ones.",
                             Family::Type::counter,
                             {}};
        for (const auto& [host, count] : statistics.disagreements)
            disagreements.samples.push_back({{{"host", host}}, static_cast<double>(count), {}});
        families.push_back(std::move(connected));
        families.push_back(std::move(disagreements));
        respond({200, "text/plain; version=0.0.4; charset=utf-8", metrics::to_text(families), {}});
    });
}

json::object Gateway::report() const {
    bftnode::Statistics statistics = client_->statistics();
    json::object connected, disagreements;
    for (const auto& [host, up] : statistics.connected) connected[host] = up;
    for (const auto& [host, count] : statistics.disagreements) disagreements[host] = count;
    http::ServerReport server = server_->report();
    return {
        {"host", "gateway"},
        {"cluster", hex(cluster_)},
        {"application", application_.name()},
        {"calls", calls_},
        {"aborted", aborted_},
        {"failed", failed_},
        {"outstanding", statistics.outstanding},
        {"waiting", statistics.waiting},
        {"signatures", statistics.signatures},
        {"keys_under_way", keys_.under_way()},
        {"keys_remembered", keys_.remembered()},
        {"keys_repeated", keys_.repeated()},
        {"sent_again", statistics.sent_again},
        {"connected", std::move(connected)},
        {"disagreements", std::move(disagreements)},
        {"connections", server.open},
        {"evicted", server.evicted},
        {"timeouts", server.timeouts},
        {"malformed", server.malformed},
    };
}

}  // namespace bft::roles

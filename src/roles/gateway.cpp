#include "roles/gateway.hpp"

#include "base/base64url.hpp"
#include "base/log.hpp"
#include "client/config.hpp"
#include "crypto/web_tls.hpp"
#include "metrics/exporter.hpp"

#include <boost/asio/post.hpp>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
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

constexpr std::size_t depth_max = 8;

Error bad(const std::string& what) {
    return error(Errc::malformed, what);
}

Result<bftnode::Value> scalar(const catalog::Parameter& parameter, const json::value& value) {
    if (value.is_null()) return bftnode::Value();
    if (value.is_int64()) return bftnode::Value(value.get_int64());
    if (value.is_string())
        return bftnode::Value(std::string(value.get_string().data(), value.get_string().size()));
    return bad("'" + parameter.name + "' must be an integer, a string (decimals, too) or null" +
               (value.is_double() ? "; a number with a point must be written as a string" : ""));
}

// The values of `parameters` in their order, from an array or, by name, from an object.
Result<std::vector<const json::value*>> in_order(const std::vector<catalog::Parameter>& parameters,
                                                 const json::value& value,
                                                 const std::string& where) {
    static const json::value null;
    std::vector<const json::value*> found;
    if (const json::array* list = value.if_array()) {
        if (list->size() != parameters.size())
            return bad(where + " takes " + std::to_string(parameters.size()) + " values, not " +
                       std::to_string(list->size()));
        for (const json::value& one : *list) found.push_back(&one);
        return found;
    }
    const json::object* object = value.if_object();
    if (object == nullptr) return bad(where + " must be an array, or an object by name");
    std::size_t used = 0;
    for (const catalog::Parameter& parameter : parameters) {
        const json::value* one = object->if_contains(parameter.name);
        if (one == nullptr && !parameter.nullable)
            return bad(where + " lacks '" + parameter.name + "'");
        if (one != nullptr) ++used;
        found.push_back(one == nullptr ? &null : one);
    }
    if (used == object->size()) return found;
    for (const auto& member : *object) {
        std::string name(member.key());
        bool known = std::any_of(parameters.begin(), parameters.end(),
                                 [&](const auto& parameter) { return parameter.name == name; });
        if (!known) return bad(where + " has no parameter '" + name.substr(0, 64) + "'");
    }
    return found;
}

Result<bftnode::Value> argument(const catalog::Parameter& parameter, const json::value& value) {
    if (parameter.type != catalog::Type::rows) return scalar(parameter, value);
    const json::array* list = value.if_array();
    if (list == nullptr) return bad("'" + parameter.name + "' must be an array of rows");
    bftnode::Rows rows;
    for (const json::value& one : *list) {
        auto columns = in_order(parameter.columns, one, "a row of '" + parameter.name + "'");
        if (!columns) return columns.error();
        bftnode::Row row;
        for (std::size_t c = 0; c < columns->size(); ++c) {
            auto column = scalar(parameter.columns[c], *(*columns)[c]);
            if (!column) return column.error();
            row.push_back(std::move(*column));
        }
        rows.push_back(std::move(row));
    }
    return bftnode::Value(std::move(rows));
}

Result<std::vector<bftnode::Value>> arguments(const catalog::Procedure& procedure,
                                              const std::string& body) {
    boost::system::error_code failure;
    json::parse_options options;
    options.max_depth = depth_max;
    json::value value = json::parse(body, failure, {}, options);
    if (failure) return bad("the body is not JSON: " + failure.message());
    auto values = in_order(procedure.parameters, value, procedure.name);
    if (!values) return values.error();
    std::vector<bftnode::Value> all;
    for (std::size_t i = 0; i < values->size(); ++i) {
        auto one = argument(procedure.parameters[i], *(*values)[i]);
        if (!one) return one.error();
        all.push_back(std::move(*one));
    }
    return all;
}

json::value to_json(const bftnode::Value& value) {
    if (value.is_null()) return nullptr;
    if (const auto* number = std::get_if<std::int64_t>(&value.data)) return *number;
    const std::string& text = value.text();
    // JSON holds text only; other bytes say what they are.
    if (!catalog::utf8_characters(text))
        return json::object{{"base64url", base64url(as_bytes(text))}};
    return json::value(json::string_view(text.data(), text.size()));
}

json::array to_json(const std::vector<bftnode::Rows>& sets) {
    json::array out;
    for (const bftnode::Rows& rows : sets) {
        json::array set;
        for (const bftnode::Row& row : rows) {
            json::array columns;
            for (const bftnode::Value& value : row) columns.push_back(to_json(value));
            set.push_back(std::move(columns));
        }
        out.push_back(std::move(set));
    }
    return out;
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
        {"result_sets", to_json(result.result_sets)},
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
    : loop_(loop), options_(std::move(options)), application_(std::move(application)) {}

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
    auto values = arguments(*procedure, request.body);
    if (!values) return respond(error_response(400, "bad_call", values.error().what));
    ++calls_;
    client_->call(
        procedure->name, std::move(*values),
        [this, alive = alive_, respond, receipt, &loop = loop_](const CallResult& result) {
            boost::asio::post(loop, [this, alive, respond, receipt, result] {
                if (!*alive) return;
                if (result.error) ++failed_;
                if (!result.error && result.outcome == bftnode::Outcome::aborted) ++aborted_;
                respond(to_response(result, receipt));
            });
        },
        receipt);
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
        bftnode::Statistics now = client_->statistics();
        auto counter = [](const char* name, const char* help, std::uint64_t value) {
            return Family{name, help, Family::Type::counter, {{{}, static_cast<double>(value)}}};
        };
        std::vector<Family> families{
            counter("bft_gateway_calls_total", "Calls handed to the cluster.", now.calls),
            counter("bft_gateway_answered_total", "Calls that f+1 replicas answered.",
                    now.answered),
            counter("bft_gateway_failed_total", "Calls without an outcome.", now.failed),
            counter("bft_gateway_signatures_total", "Signatures made; several calls share one.",
                    now.signatures),
            counter("bft_gateway_sent_again_total", "Requests sent again.", now.sent_again)};
        Family connected{
            "bft_gateway_connected", "Whether a host is connected.", Family::Type::gauge, {}};
        for (const auto& [host, up] : now.connected)
            connected.samples.push_back({{{"host", host}}, up ? 1.0 : 0.0});
        Family disagreements{"bft_gateway_disagreements_total",
                             "Answers of a host that differed from the accepted ones.",
                             Family::Type::counter,
                             {}};
        for (const auto& [host, count] : now.disagreements)
            disagreements.samples.push_back({{{"host", host}}, static_cast<double>(count)});
        families.push_back(std::move(connected));
        families.push_back(std::move(disagreements));
        respond({200, "text/plain; version=0.0.4; charset=utf-8", metrics::to_text(families), {}});
    });
}

json::object Gateway::report() const {
    bftnode::Statistics now = client_->statistics();
    json::object connected, disagreements;
    for (const auto& [host, up] : now.connected) connected[host] = up;
    for (const auto& [host, count] : now.disagreements) disagreements[host] = count;
    http::ServerReport server = server_->report();
    return {
        {"host", "gateway"},
        {"cluster", hex(cluster_)},
        {"application", application_.name()},
        {"calls", calls_},
        {"aborted", aborted_},
        {"failed", failed_},
        {"outstanding", now.outstanding},
        {"waiting", now.waiting},
        {"signatures", now.signatures},
        {"sent_again", now.sent_again},
        {"connected", std::move(connected)},
        {"disagreements", std::move(disagreements)},
        {"connections", server.open},
        {"evicted", server.evicted},
        {"timeouts", server.timeouts},
        {"malformed", server.malformed},
    };
}

}  // namespace bft::roles

// What the front tells besides answers: commit events, pages, manifest, health.
#include "base/log.hpp"
#include "roles/http_front.hpp"
#include "wire/json.hpp"

#include <boost/json/serialize.hpp>

#include <algorithm>

namespace bft::roles {

namespace json = boost::json;
using http::error_response;
using http::Request;
using http::Respond;
using http::Response;

namespace {

constexpr std::size_t event_transactions_max = 1024;  // of one event: the bound of a bundle
constexpr auto status_age_max = std::chrono::milliseconds(250);

Response text_response(unsigned status, std::string text) {
    return {status, "text/plain; charset=utf-8", std::move(text), {}};
}

Response json_response(std::string text) {
    return {200, "application/json", std::move(text), {}};
}

}  // namespace

void HttpFront::add_routes() {
    server_->route("POST", "/v1/transactions", [this](Request request, const Respond& respond) {
        post_transactions(std::move(request), respond);
    });
    server_->route("POST", "/v1/pages/{}", [this](Request request, const Respond& respond) {
        post_page(std::move(request), respond);
    });
    server_->route("GET", "/v1/pages", [this](const Request&, const Respond& respond) {
        respond(json_response(json::serialize(json::object{{"pages", pages()}})));
    });
    server_->route_stream("/v1/events",
                          [this](const Request& request) { return open_events(request); });
    server_->route("GET", "/v1/manifest", [this](const Request&, const Respond& respond) {
        respond(json_response(sources_.manifest));
    });
    // Costs the loop a little, so it is not made anew for each of many who ask.
    server_->route("GET", "/v1/status", [this](const Request&, const Respond& respond) {
        TimePoint now = environment_.clock.now().mono;
        if (status_.empty() || now - status_at_ > status_age_max) {
            status_ = sources_.status();
            status_at_ = now;
        }
        respond(json_response(status_));
    });
    server_->route("GET", "/livez", [](const Request&, const Respond& respond) {
        respond(text_response(200, "alive\n"));
    });
    server_->route("GET", "/readyz", [this](const Request&, const Respond& respond) {
        std::string why = sources_.not_ready();
        if (why.empty()) return respond(text_response(200, "ready\n"));
        respond(text_response(503, "not ready: " + why + "\n"));
    });
    server_->route("GET", "/metrics", [this](const Request&, const Respond& respond) {
        Response response = text_response(200, sources_.metrics());
        response.content_type = "text/plain; version=0.0.4; charset=utf-8";
        respond(std::move(response));
    });
}

Result<void> HttpFront::start() {
    auto port = server_->listen(options_.listen);
    if (!port) return port.error();
    log::info("http_listening address={} tls={} origins={}", options_.listen, tls_ != nullptr,
              options_.server.origins.size());
    tick();
    return {};
}

json::array HttpFront::pages() const {
    json::array list;
    for (const auto& [procedure, page] : application_.pages())
        list.emplace_back(json::object{{"procedure", procedure}, {"template", hex(page.digest)}});
    return list;
}

json::object HttpFront::speaker(GroupId group, Position position) const {
    return {{"cluster", hex(environment_.membership.cluster)},
            {"host", sources_.host},
            {"group", group.value},
            {"position", position.value}};
}

// --- events ---

std::variant<Response, http::Server::Opened> HttpFront::open_events(const Request& request) {
    Subscriber subscriber;
    auto alg = alg_of(request);
    if (!alg) return error_response(400, "malformed", "'signature' names no key of ours");
    subscriber.alg = *alg;
    std::string_view with_signature = request.parameter("signed");
    if (!with_signature.empty() && with_signature != "0" && with_signature != "1")
        return error_response(400, "malformed", "'signed' must be 0 or 1");
    subscriber.with_signature = with_signature == "1";
    if (std::string_view client = request.parameter("client"); !client.empty()) {
        auto number = wire::number_from(client);
        if (!number) return error_response(400, "malformed", "'client' must be a number");
        subscriber.client = ClientId(*number);
    }
    if (std::string_view group = request.parameter("group"); !group.empty()) {
        auto number = wire::number_from(group);
        if (!number || *number > UINT32_MAX)
            return error_response(400, "malformed", "'group' must be a number");
        subscriber.group = GroupId(static_cast<std::uint32_t>(*number));
    }
    std::uint64_t id = next_subscriber_++;
    return http::Server::Opened{
        [this, id, subscriber](std::shared_ptr<http::Stream> stream) {
            json::array replicas;
            for (const consensus::Group& group : environment_.membership.groups)
                if (auto position = position_in(group))
                    replicas.emplace_back(
                        json::object{{"group", group.id.value}, {"position", position->value}});
            stream->send(std::make_shared<const std::string>(
                json::serialize(json::object{{"type", "hello"},
                                             {"cluster", hex(environment_.membership.cluster)},
                                             {"host", sources_.host},
                                             {"replicas", std::move(replicas)}})));
            Subscriber& added = subscribers_.emplace(id, subscriber).first->second;
            added.stream = std::move(stream);
        },
        [this, alive = alive_, id] {
            if (*alive) subscribers_.erase(id);
        }};
}

void HttpFront::send_events() {
    events_posted_ = false;
    for (auto& [group, all] : std::exchange(committed_, {})) {
        const consensus::Group* members = environment_.membership.group(group);
        const auto position = members != nullptr ? position_in(*members) : std::nullopt;
        if (!position) continue;  // it was removed
        for (std::size_t from = 0; from < all.size(); from += event_transactions_max) {
            std::size_t to = std::min(from + event_transactions_max, all.size());
            send_events(group, *position,
                        {std::make_move_iterator(all.begin() + static_cast<std::ptrdiff_t>(from)),
                         std::make_move_iterator(all.begin() + static_cast<std::ptrdiff_t>(to))});
        }
    }
}

// Subscribers that want the same get the same text, made once.
void HttpFront::send_events(GroupId group, Position position, const std::vector<Committed>& batch) {
    using Wish = std::tuple<std::optional<ClientId>, bool, Alg>;
    std::map<Wish, std::shared_ptr<const std::string>> made;
    std::vector<std::pair<std::shared_ptr<http::Stream>, std::shared_ptr<const std::string>>> sends;
    for (const auto& [id, subscriber] : subscribers_) {
        if (subscriber.group && *subscriber.group != group) continue;
        Wish wish{subscriber.client, subscriber.with_signature, subscriber.alg};
        auto [found, fresh] = made.try_emplace(wish);
        if (fresh) {
            std::vector<const Committed*> some;
            for (const Committed& one : batch)
                if (!subscriber.client || *subscriber.client == one.client) some.push_back(&one);
            if (!some.empty()) found->second = event_text(group, position, some, subscriber);
        }
        if (found->second) sends.emplace_back(subscriber.stream, found->second);
    }
    // A stream that ends takes its subscriber away: not while we walk over them.
    for (auto& [stream, text] : sends) stream->send(text);
}

std::shared_ptr<const std::string> HttpFront::event_text(GroupId group, Position position,
                                                         const std::vector<const Committed*>& some,
                                                         const Subscriber& to) {
    json::object head = speaker(group, position);
    head["type"] = "commits";
    if (to.with_signature) {
        std::vector<Digest> leaves;
        leaves.reserve(some.size());
        for (const Committed* one : some) leaves.push_back(one->leaf);
        consensus::ReplySignature signature = signer(to.alg).sign_now(group, position, leaves);
        signature.bundle_path.clear();
        environment_.exchange.misbehaviour().change_signature(signature.signature);
        head["signature"] =
            wire::signature_to_json(signature, to.alg == Alg::p256 ? "p256" : "ed25519");
    }
    std::string text = json::serialize(head);
    text.pop_back();
    text += ",\"transactions\":[";
    for (const Committed* one : some) {
        if (one != some.front()) text += ',';
        text += one->text;
    }
    text += "]}";
    return std::make_shared<const std::string>(std::move(text));
}

json::object HttpFront::report() const {
    http::ServerReport report = server_->report();
    json::object responses;
    for (const auto& [status, count] : report.responses) responses[std::to_string(status)] = count;
    return {
        {"accepted", report.accepted},
        {"open", report.open},
        {"evicted", report.evicted},
        {"refused", report.refused},
        {"timeouts", report.timeouts},
        {"malformed", report.malformed},
        {"requests", report.requests},
        {"subscribers", report.subscribers},
        {"subscribers_lost", report.lost},
        {"body_bytes", report.body_bytes},
        {"responses", std::move(responses)},
        {"transactions", transactions_},
        {"waiting", waiters_.size()},
        {"answers", answers_},
        {"refusals", refusals_},
        {"unanswered", unanswered_},
        {"events", events_},
        {"signatures", signer_.made() + (web_signer_ ? web_signer_->made() : 0)},
    };
}

}  // namespace bft::roles

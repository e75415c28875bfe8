// Requests and their answers; events and the rest are in http_front_events.cpp.
#include "roles/http_front.hpp"

#include "base/base64url.hpp"
#include "base/log.hpp"
#include "consensus/signed_bytes.hpp"
#include "crypto/web_tls.hpp"
#include "roles/page.hpp"
#include "wire/json.hpp"

#include <boost/asio/post.hpp>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace bft::roles {

namespace json = boost::json;
using consensus::Body;
using consensus::Endpoint;
using consensus::Rejected;
using consensus::Reply;
using consensus::ReplySignature;
using http::error_response;
using http::Response;

namespace {

constexpr auto tick_interval = std::chrono::milliseconds(250);

json::object error_object(std::string_view code, std::string_view text) {
    return {{"code", code}, {"text", text}};
}

const char* text_of(Rejected::Reason reason) {
    return reason == Rejected::Reason::over_quota ? "over_quota" : "refused";
}

}  // namespace

/// One HTTP request and the answers that it collects.
struct HttpFront::Asked {
    http::Respond respond;
    Alg alg = Alg::ed25519;
    bool list = false;
    const catalog::Page* page = nullptr;
    struct Entry {
        json::object answer;
        unsigned status = 200;
        bool done = false;
    };
    std::vector<Entry> entries;
    std::size_t missing = 0;

    void finish(std::size_t entry, unsigned status, json::object answer) {
        Entry& mine = entries[entry];
        if (std::exchange(mine.done, true)) return;
        mine.answer = std::move(answer);
        mine.status = status;
        if (--missing > 0) return;
        Response response;
        if (list) {
            json::array all;
            for (Entry& one : entries) all.emplace_back(std::move(one.answer));
            response.body = json::serialize(json::object{{"answers", std::move(all)}});
        } else {
            response.status = entries.front().status;
            response.body = json::serialize(entries.front().answer);
            if (response.status == 429) response.headers.emplace_back("Retry-After", "1");
        }
        respond(std::move(response));
    }
};

HttpFront::HttpFront(Environment& environment, const catalog::Application& application,
                     const crypto::SigningKey& key, std::unique_ptr<crypto::WebKey> web_key,
                     HttpFrontOptions options, HttpFrontSources sources)
    : environment_(environment),
      application_(application),
      options_(std::move(options)),
      sources_(std::move(sources)),
      web_key_(std::move(web_key)),
      signer_(environment.loop, environment.membership.cluster,
              [&key](const Digest& digest) { return key.sign(digest); }),
      ticker_(environment.loop) {
    if (web_key_)
        web_signer_.emplace(environment.loop, environment.membership.cluster,
                            [this](const Digest& digest) { return web_key_->sign(digest); });
}

HttpFront::~HttpFront() {
    *alive_ = false;
    server_.reset();
    environment_.exchange.tap_clients({});
    environment_.exchange.observe({});
}

Result<std::unique_ptr<HttpFront>> HttpFront::create(Environment& environment,
                                                     const catalog::Application& application,
                                                     const crypto::SigningKey& key,
                                                     std::unique_ptr<crypto::WebKey> web_key,
                                                     HttpFrontOptions options,
                                                     HttpFrontSources sources) {
    std::unique_ptr<HttpFront> front(new HttpFront(
        environment, application, key, std::move(web_key), std::move(options), std::move(sources)));
    if (auto opened = front->open(); !opened) return opened.error();
    return front;
}

Result<void> HttpFront::open() {
    for (const auto& [procedure, page] : application_.pages())
        if (auto checked = check_template(page.text); !checked)
            return error(Errc::malformed, "pages/" + procedure + ".html: " + checked.error().what);
    if (!options_.certificate.empty()) {
        auto tls = crypto::make_web_tls_context(options_.certificate, options_.key);
        if (!tls) return tls.error();
        tls_ = std::move(*tls);
    }
    server_ = std::make_unique<http::Server>(environment_.loop, tls_.get(), options_.server);
    if (!options_.site.empty()) {
        auto site = http::Site::load(options_.site);
        if (!site) return site.error();
        server_->serve(std::move(*site));
    }
    add_routes();
    environment_.exchange.observe(
        [this](const Endpoint& self, const Reply& reply) { answered(self, reply); });
    environment_.exchange.tap_clients(
        [this](const Endpoint& from, const consensus::Payload& payload) {
            return tapped(from, payload);
        });
    return {};
}

// --- requests in ---

void HttpFront::post_transactions(http::Request request, const http::Respond& respond) {
    auto alg = alg_of(request);
    if (!alg)
        return respond(error_response(400, "malformed",
                                      "'signature' must be ed25519, or p256 where the host has "
                                      "such a key"));
    std::string_view wait = request.parameter("wait");
    if (!wait.empty() && wait != "0" && wait != "1")
        return respond(error_response(400, "malformed", "'wait' must be 0 or 1"));
    bool list = false;
    auto requests = wire::requests_from_json(request.body, list);
    if (!requests) return respond(error_response(400, "malformed", requests.error().what));
    for (const Body& body : *requests)
        if (!replica_for(body->id.home))
            return respond(
                error_response(421, "misdirected",
                               "this host has no replica of the group that owns partition " +
                                   std::to_string(body->id.home.value)));
    transactions_ += requests->size();
    if (wait == "0") {
        for (const Body& body : *requests)
            if (auto refusal = hand_in(body, {{}, [](const Rejected&) {}}))
                return respond(std::move(*refusal));
        Response accepted;
        accepted.status = 202;
        accepted.body = json::serialize(json::object{{"accepted", requests->size()}});
        return respond(std::move(accepted));
    }
    auto asked = std::make_shared<Asked>();
    asked->respond = respond;
    asked->alg = *alg;
    asked->list = list;
    asked->entries.resize(requests->size());
    asked->missing = requests->size();
    for (std::size_t i = 0; i < requests->size(); ++i)
        if (auto refusal = ask((*requests)[i], asked, i))
            asked->finish(i, refusal->status, json::parse(refusal->body).as_object());
}

void HttpFront::post_page(http::Request request, const http::Respond& respond) {
    auto alg = alg_of(request);
    if (!alg) return respond(error_response(400, "malformed", "'signature' names no key of ours"));
    auto page = application_.pages().find(request.captured.at(0));
    if (page == application_.pages().end())
        return respond(error_response(404, "not_found", "there is no page of that name"));
    bool list = false;
    auto requests = wire::requests_from_json(request.body, list);
    if (!requests || list)
        return respond(error_response(400, "malformed",
                                      list ? "a page takes one request" : requests.error().what));
    auto call = catalog::decode_call(requests->front()->op);
    if (!call || call->procedure != page->first)
        return respond(error_response(400, "malformed",
                                      "the request does not call the procedure of this page"));
    if (!replica_for(requests->front()->id.home))
        return respond(
            error_response(421, "misdirected", "this host has no replica of the request's group"));
    ++transactions_;
    auto asked = std::make_shared<Asked>();
    asked->respond = respond;
    asked->alg = *alg;
    asked->page = &page->second;
    asked->entries.resize(1);
    asked->missing = 1;
    if (auto refusal = ask(requests->front(), asked, 0)) respond(std::move(*refusal));
}

std::optional<HttpFront::Alg> HttpFront::alg_of(const http::Request& request) const {
    std::string_view name = request.parameter("signature");
    if (name.empty() || name == "ed25519") return Alg::ed25519;
    if (name == "p256" && web_signer_) return Alg::p256;
    return std::nullopt;
}

std::optional<Endpoint> HttpFront::replica_for(PartitionId home) const {
    if (home.value == 0) return std::nullopt;  // configurations come over links
    auto owner = sources_.owner(home);
    const consensus::Group* group = owner ? environment_.membership.group(*owner) : nullptr;
    auto position = group != nullptr ? position_in(*group) : std::nullopt;
    if (!position) return std::nullopt;
    return Endpoint::replica(*owner, *position);
}

std::optional<Position> HttpFront::position_in(const consensus::Group& group) const {
    for (std::uint32_t j = 0; j < group.members.size(); ++j)
        if (group.members[j].host == sources_.self && group.active(Position(j))) return Position(j);
    return std::nullopt;
}

std::optional<Response> HttpFront::ask(const Body& body, const std::shared_ptr<Asked>& asked,
                                       std::size_t entry) {
    if (waiters_.size() >= options_.waiting_max)
        return error_response(503, "overloaded", "too many requests wait for their answers here");
    Endpoint replica = *replica_for(body->id.home);
    Waiter waiter{asked,
                  entry,
                  body,
                  replica.group,
                  Position(replica.index),
                  environment_.clock.now().mono + options_.answer_timeout};
    auto at = waiters_.emplace(body->id, waiter);
    deadlines_.emplace_back(waiter.deadline, body->id);
    auto refusal =
        hand_in(body, {{}, [this, waiter](const Rejected& refused) { refuse(waiter, refused); }});
    // Only then is the waiter surely there: with verify_threads = 0 a refusal has come already.
    if (refusal) waiters_.erase(at);
    return refusal;
}

std::optional<Response> HttpFront::hand_in(const Body& body, host::Exchange::Submission then) {
    Endpoint replica = *replica_for(body->id.home);
    then.accepted = [this, alive = alive_, replica](const Body& genuine) {
        if (*alive) pass_on(replica, genuine);
    };
    then.refused = [alive = alive_, refused = std::move(then.refused)](const Rejected& refusal) {
        if (*alive) refused(refusal);
    };
    if (environment_.exchange.submit(replica, body, std::move(then))) return std::nullopt;
    Response full = error_response(503, "overloaded", "this host is busy; try again later");
    full.headers.emplace_back("Retry-After", "1");
    return full;
}

// A browser knows no primary: f+1 positions in turn tell the primaries at once, so that one correct
// one does; the others would after forward_after.
void HttpFront::pass_on(const Endpoint& replica, const Body& body) {
    const consensus::Membership& membership = environment_.membership;
    std::uint64_t n = membership.replicas_per_group();
    if ((body->id.cseq.value + replica.index) % n >= membership.quorum()) return;
    environment_.exchange.transmit(replica, {membership.all_primaries(), body});
}

// --- answers out ---

void HttpFront::answered(const Endpoint& self, const Reply& reply) {
    serve_waiters(reply);
    if (subscribers_.empty()) return;
    ++events_;
    committed_[self.group].push_back({reply.answer.rid.client, consensus::answer_digest(reply),
                                      json::serialize(wire::transaction_to_json(reply, {}))});
    if (std::exchange(events_posted_, true)) return;
    boost::asio::post(environment_.loop, [this, alive = alive_] {
        if (*alive) send_events();
    });
}

// Answers that are sent again, and refusals by the replica itself.
bool HttpFront::tapped(const Endpoint& from, const consensus::Payload& payload) {
    if (const auto* reply = std::get_if<Reply>(&payload)) {
        const consensus::ItemResult& answer = reply->answer;
        bool whole = answer.has_result ||
                     consensus::result_digest(answer.outcome, answer.code, {}) == answer.rdig;
        if (whole) return serve_waiters(*reply);
        return waiters_.contains(answer.rid);
    }
    const auto* refusal = std::get_if<Rejected>(&payload);
    if (refusal == nullptr || from.role != Endpoint::Role::replica) return false;
    auto [first, last] = waiters_.equal_range(refusal->rid);
    std::vector<Waiter> waiting;
    for (auto at = first; at != last; ++at) waiting.push_back(at->second);
    for (const Waiter& waiter : waiting) refuse(waiter, *refusal);
    return !waiting.empty();
}

bool HttpFront::serve_waiters(const Reply& reply) {
    auto [first, last] = waiters_.equal_range(reply.answer.rid);
    if (first == last) return false;
    for (auto at = first; at != last; ++at) serve(at->second, reply);
    waiters_.erase(first, last);
    return true;
}

void HttpFront::serve(const Waiter& waiter, const Reply& reply) {
    ++answers_;
    TimePoint since = environment_.clock.mono();
    std::optional<std::string> html = render(waiter, reply);
    Digest page;
    if (html) {
        environment_.stages.add(host::Stage::render, environment_.clock.mono() - since);
        page = consensus::page_digest(as_bytes(*html));
    }
    json::object answer = speaker(reply.group, reply.position);
    answer["answer"] = wire::transaction_to_json(reply, page);
    answer["result"] = base64url(reply.answer.result);
    if (html) answer["html"] = std::move(*html);
    Alg alg = waiter.asked->alg;
    signer(alg).sign(
        reply.group, reply.position, consensus::answer_digest(reply, page),
        [this, since, asked = waiter.asked, entry = waiter.entry, alg,
         answer = std::move(answer)](const ReplySignature& made) mutable {
            ReplySignature signature = made;
            environment_.exchange.misbehaviour().change_signature(signature.signature);
            answer["signature"] =
                wire::signature_to_json(signature, alg == Alg::p256 ? "p256" : "ed25519");
            asked->finish(entry, 200, std::move(answer));
            environment_.stages.add(host::Stage::reply, environment_.clock.mono() - since);
        });
}

// Null where no page was asked for.
std::optional<std::string> HttpFront::render(const Waiter& waiter, const Reply& reply) {
    if (waiter.asked->page == nullptr) return std::nullopt;
    auto call = catalog::decode_call(waiter.body->op);
    const catalog::Procedure* procedure = call ? application_.procedure(call->procedure) : nullptr;
    if (procedure == nullptr) return std::nullopt;
    std::string html = render_page(waiter.asked->page->text, *procedure, *call, reply);
    environment_.exchange.misbehaviour().change_page(html);
    return html;
}

void HttpFront::refuse(const Waiter& waiter, const Rejected& refusal) {
    auto [first, last] = waiters_.equal_range(waiter.body->id);
    auto mine = std::find_if(first, last, [&](const auto& one) {
        return one.second.asked == waiter.asked && one.second.entry == waiter.entry;
    });
    if (mine == last) return;
    waiters_.erase(mine);
    ++refusals_;
    json::object answer = speaker(waiter.group, waiter.position);
    answer["refusal"] = wire::refusal_to_json(refusal, waiter.body->rd);
    answer["error"] = error_object(text_of(refusal.reason), refusal.text);
    unsigned status = refusal.reason == Rejected::Reason::over_quota ? 429 : 422;
    Alg alg = waiter.asked->alg;
    signer(alg).sign(waiter.group, waiter.position,
                     consensus::refusal_digest(waiter.group, refusal, waiter.body->rd),
                     [asked = waiter.asked, entry = waiter.entry, alg, status,
                      answer = std::move(answer)](const ReplySignature& signature) mutable {
                         answer["signature"] = wire::signature_to_json(
                             signature, alg == Alg::p256 ? "p256" : "ed25519");
                         asked->finish(entry, status, std::move(answer));
                     });
}

void HttpFront::give_up(TimePoint now) {
    // Deadlines are all the same time after the request: the oldest are found by a walk in their
    // order.
    while (!deadlines_.empty() && deadlines_.front().first <= now) {
        auto [deadline, id] = deadlines_.front();
        deadlines_.pop_front();
        auto [first, last] = waiters_.equal_range(id);
        for (auto at = first; at != last;) {
            if (at->second.deadline > now) {
                ++at;
                continue;
            }
            ++unanswered_;
            std::shared_ptr<Asked> asked = at->second.asked;
            std::size_t entry = at->second.entry;
            at = waiters_.erase(at);
            asked->finish(entry, 504,
                          {{"error", error_object("no_answer",
                                                  "no answer in time; the outcome is not known "
                                                  "here: ask again")}});
        }
    }
}

void HttpFront::tick() {
    ticker_.expires_after(tick_interval);
    ticker_.async_wait([this, alive = alive_](const boost::system::error_code& cancelled) {
        if (cancelled || !*alive) return;
        TimePoint now = environment_.clock.now().mono;
        give_up(now);
        if (now >= heartbeat_at_) {
            heartbeat_at_ = now + 15s;
            static const auto heartbeat =
                std::make_shared<const std::string>(R"({"type":"heartbeat"})");
            for (auto& [id, subscriber] : subscribers_) subscriber.stream->send(heartbeat);
        }
        tick();
    });
}

}  // namespace bft::roles

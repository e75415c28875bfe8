#include "host/exchange.hpp"

#include "base/log.hpp"
#include "consensus/signed_bytes.hpp"
#include "host/admission.hpp"
#include "wire/codec.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>

namespace bft::host {

using consensus::Body;
using consensus::Endpoint;
using consensus::Message;
using consensus::Payload;
using consensus::Verified;

namespace {

constexpr VerifyPool::Lane lane_of_requests = 1;
constexpr std::size_t reply_bytes_per_frame = 1024 * 1024;

// Proves itself and is for every replica, so that one copy serves all that a host has (O12).
bool for_all_replicas(const Payload& payload) {
    return std::holds_alternative<consensus::Prepare>(payload) ||
           std::holds_alternative<consensus::NewView>(payload) ||
           std::holds_alternative<consensus::ViewChanges>(payload) ||
           std::holds_alternative<consensus::TriggerCertificate>(payload) ||
           std::holds_alternative<consensus::Resign>(payload);
}

// What a client is told whose key is not in force.
bool for_former(const Payload& payload) {
    const auto* refusal = std::get_if<consensus::Rejected>(&payload);
    return std::holds_alternative<consensus::BarrierCertPtr>(payload) ||
           (refusal != nullptr && refusal->reason == consensus::Rejected::Reason::not_a_client);
}

}  // namespace

const char* to_string(Drop drop) {
    switch (drop) {
        case Drop::malformed:
            return "malformed";
        case Drop::impersonation:
            return "impersonation";
        case Drop::misdirected:
            return "misdirected";
        case Drop::unverified:
            return "unverified";
        case Drop::inadmissible:
            return "inadmissible";
    }
    return "?";
}

Exchange::Exchange(boost::asio::io_context& loop, boost::asio::ssl::context& tls,
                   const Clock& clock, std::shared_ptr<const Directory> directory,
                   const catalog::Application& application, Misbehaviour misbehaviour,
                   std::function<bool()> overloaded, Options options)
    : loop_(loop),
      clock_(clock),
      directory_(std::move(directory)),
      application_(application),
      misbehaviour_(std::move(misbehaviour)),
      overloaded_(std::move(overloaded)),
      links_(loop, tls, options.links,
             {[this](ByteView key) { return directory_->peers().find(key).has_value(); },
              [this](ByteView key, Bytes frame) { on_frame(key, std::move(frame)); },
              {},
              {}}),
      overload_timer_(loop),
      here_(std::make_shared<const std::set<Endpoint>>()),
      lanes_(2),
      pool_(loop, options.verify, [this](VerifyPool::Lane lane) {
          if (lane == lane_of_requests) tap_full_ = false;
          if (congested_.erase(lane) == 0 || held_back_.contains(lane)) return;
          links_.resume_reading(lanes_[lane].key);
      }) {}

Exchange::~Exchange() {
    stop();
}

void Exchange::stop() {
    *alive_ = false;
    overload_timer_.cancel();
    links_.close();
    pool_.stop();
}

void Exchange::attach(const Endpoint& endpoint, Handler handler) {
    handlers_[endpoint] = std::move(handler);
    follow_handlers();
}

void Exchange::detach(const Endpoint& endpoint) {
    handlers_.erase(endpoint);
    follow_handlers();
}

void Exchange::follow_handlers() {
    auto names = std::make_shared<std::set<Endpoint>>();
    for (const auto& [endpoint, handler] : handlers_) names->insert(endpoint);
    here_ = std::move(names);
}

Result<void> Exchange::start(const std::string& listen, HostId self) {
    if (auto listening = links_.listen(listen); !listening) return listening.error();
    self_ = self;
    for (const auto& [host, entry] : directory_->hosts()) {
        if (host == self || !directory_->takes_part(host)) continue;
        if (auto dialled = dial(host); !dialled) return dialled.error();
    }
    return {};
}

Result<void> Exchange::dial(HostId host) {
    const Bytes* key = directory_->peers().key_of(host);
    if (key == nullptr) return error(Errc::not_found, "no key");
    dialled_.insert(host);
    return links_.dial(*key, directory_->hosts().at(host).address);
}

// What a link brought may have led here: links change when that is done.
void Exchange::know(std::shared_ptr<const Directory> directory) {
    directory_ = std::move(directory);
    for (Lane& lane : lanes_)
        if (auto peer = directory_->peers().find(lane.key)) lane.peer = *peer;
    boost::asio::post(loop_, [this, alive = alive_] {
        if (*alive) follow_links();
    });
}

// A host whose address is none, or whose key is another's, is not heard, and nothing else.
void Exchange::follow_links() {
    for (const Lane& lane : lanes_)
        if (!lane.key.empty() && !directory_->peers().find(lane.key))
            links_.disconnect(lane.key, "its key was withdrawn");
    if (!self_) return;
    for (const auto& [host, entry] : directory_->hosts()) {
        const bool wanted = host != *self_ && directory_->takes_part(host);
        if (wanted == dialled_.contains(host)) continue;
        if (wanted) {
            if (auto dialled = dial(host); !dialled)
                log::warn("host_not_dialled host={} address=\"{}\" what=\"{}\"", entry.name,
                          entry.address, dialled.error().what);
        } else if (const Bytes* key = directory_->peers().key_of(host)) {
            links_.hang_up(*key);
            dialled_.erase(host);
        }
    }
}

// --- in ---

VerifyPool::Lane Exchange::lane_of(ByteView key) {
    Bytes name = to_bytes(key);
    auto [found, created] = lane_by_key_.try_emplace(name, lanes_.size());
    // Bounded: a lane exists only for keys that were members' or clients'.
    if (created) lanes_.push_back({name, *directory_->peers().find(key), {}, log::RateLimit{}});
    return found->second;
}

void Exchange::on_frame(ByteView key, Bytes frame) {
    if (!directory_->peers().find(key)) return;
    ++received_;
    VerifyPool::Lane lane = lane_of(key);
    std::size_t bytes = frame.size();
    bool room =
        pool_.submit(lane, bytes,
                     [this, lane, scope = scope(), peer = lanes_[lane].peer, since = begin(),
                      frame = std::move(frame)]() -> std::function<void()> {
                         auto outcomes = std::make_shared<Outcomes>();
                         Duration verified = check_frame(scope, peer, frame, *outcomes);
                         return [this, lane, since, outcomes, verified] {
                             end(Stage::receive, since);
                             if (stages_) stages_->add(Stage::verify, verified);
                             for (const Outcome& outcome : *outcomes) conclude(lane, outcome);
                         };
                     });
    bool overload = overloaded_();
    if (room && !overload) return;
    if (!room) congested_.insert(lane);
    if (overload && held_back_.insert(lane).second && held_back_.size() == 1) watch_overload();
    links_.pause_reading(key);
}

void Exchange::watch_overload() {
    overload_timer_.expires_after(5ms);
    overload_timer_.async_wait([this](const boost::system::error_code& cancelled) {
        if (cancelled) return;
        if (overloaded_()) return watch_overload();
        for (VerifyPool::Lane lane : held_back_)
            if (!congested_.contains(lane)) links_.resume_reading(lanes_[lane].key);
        held_back_.clear();
    });
}

// On a worker: reads only what does not change after start(). Returns how long verifying took.
Duration Exchange::check_frame(const Scope& scope, const Peer& peer, ByteView frame,
                               Outcomes& outcomes) const {
    auto message = wire::decode(frame);
    if (!message) {
        outcomes = {Dropped{Drop::malformed, message.error().what}};
        return {};
    }
    if (!scope.directory->peers().may_speak(peer, message->from)) {
        outcomes = {
            Dropped{Drop::impersonation, "spoke as " + consensus::to_string(message->from)}};
        return {};
    }
    TimePoint since = begin();
    // A client's requests come many to a frame; each is judged by itself.
    const auto* requests = std::get_if<consensus::Bodies>(&message->payload);
    if (peer.host || requests == nullptr)
        outcomes = {check(scope, std::move(*message))};
    else
        outcomes = check_requests(scope, message->from, message->to, requests->bodies);
    return stages_ ? clock_.mono() - since : Duration();
}

// Together, since one signature covers them; where that fails, or the application takes some of
// them only, each by itself, so that each has its own answer.
Exchange::Outcomes Exchange::check_requests(const Scope& scope, const Endpoint& from,
                                            const Endpoint& to,
                                            const std::vector<Body>& bodies) const {
    bool all_admissible = std::all_of(bodies.begin(), bodies.end(), [this](const Body& body) {
        return !refuse(application_, *body);
    });
    if (bodies.size() > 1 && all_admissible && scope.here->contains(to))
        if (auto verified =
                scope.directory->verifier().verify({from, to, consensus::Bodies{bodies}}))
            return {std::move(*verified)};
    Outcomes outcomes;
    outcomes.reserve(bodies.size());
    for (const Body& body : bodies) outcomes.push_back(check(scope, {from, to, body}));
    return outcomes;
}

// A host may have taken on a seat later than others know, or earlier.
bool Exchange::Scope::is_for_us(const Endpoint& to, const Payload& payload) const {
    if (here->contains(to)) return true;
    return to.role == Endpoint::Role::replica && for_all_replicas(payload) &&
           std::any_of(here->begin(), here->end(),
                       [](const Endpoint& e) { return e.role == Endpoint::Role::replica; });
}

Exchange::Outcome Exchange::check(const Scope& scope, Message message) const {
    if (!scope.is_for_us(message.to, message.payload))
        return Dropped{Drop::misdirected, "to " + consensus::to_string(message.to)};
    const Body* body = std::get_if<Body>(&message.payload);
    Body request = body != nullptr ? *body : nullptr;
    Endpoint here = message.to;
    Endpoint from = message.from;
    bool of_client = from.role == Endpoint::Role::client;
    auto verified = scope.directory->verifier().verify(std::move(message));
    if (!verified) {
        if (of_client && request)
            return Refused{here, from, refusal(request->id, verified.error())};
        return Dropped{Drop::unverified, verified.error().what};
    }
    if (request) {
        if (auto refused = refuse(application_, *request)) {
            if (of_client) return Refused{here, from, std::move(*refused)};
            return Dropped{Drop::inadmissible, refused->text};
        }
    }
    return std::move(*verified);
}

void Exchange::conclude(VerifyPool::Lane lane, const Outcome& outcome) {
    if (const auto* verified = std::get_if<Verified>(&outcome)) {
        hand_over(*verified);
    } else if (const auto* refused = std::get_if<Refused>(&outcome)) {
        ++rejected_;
        transmit(refused->by, {{refused->to}, refused->answer});
    } else {
        dropped(lane, std::get<Dropped>(outcome));
    }
}

void Exchange::hand_over(const Verified& verified) {
    const Endpoint& to = verified.message().to;
    if (to.role != Endpoint::Role::replica || !for_all_replicas(verified.payload())) {
        // Gone since a worker saw it: as if it had come later.
        if (auto handler = handlers_.find(to); handler != handlers_.end())
            handler->second(verified);
        return;
    }
    for (const auto& [endpoint, handler] : handlers_)
        if (endpoint.role == Endpoint::Role::replica) handler(verified);
}

void Exchange::dropped(VerifyPool::Lane lane, const Dropped& drop) {
    Lane& from = lanes_[lane];
    ++from.drops[static_cast<std::size_t>(drop.why)];
    std::uint64_t suppressed = 0;
    if (!from.warnings.allow(clock_.now().mono, &suppressed)) return;
    std::string who = from.peer.host ? "host=" + std::to_string(from.peer.host->value)
                                     : "client=" + std::to_string(from.peer.client.value);
    log::warn("message_dropped {} cause={} suppressed={} what=\"{}\"", lane == 0 ? "self" : who,
              to_string(drop.why), suppressed, drop.text);
}

// --- clients without a link ---

bool Exchange::submit(const Endpoint& to, Body request, Submission then) {
    if (tap_full_ || overloaded_()) return false;
    std::size_t bytes = request->raw.size();
    Message message{Endpoint::of_client(request->id.client), to, std::move(request)};
    bool room =
        pool_.submit(lane_of_requests, bytes,
                     [this, scope = scope(), message = std::move(message), then = std::move(then),
                      since = begin()]() -> std::function<void()> {
                         auto outcome = std::make_shared<Outcome>(check(scope, message));
                         return [this, outcome, then, since] {
                             end(Stage::receive, since);
                             if (const auto* refused = std::get_if<Refused>(outcome.get())) {
                                 ++rejected_;
                                 return then.refused(refused->answer);
                             }
                             const auto* verified = std::get_if<Verified>(outcome.get());
                             if (verified != nullptr && then.accepted)
                                 then.accepted(std::get<Body>(verified->payload()));
                             conclude(lane_of_requests, *outcome);
                         };
                     });
    if (!room) tap_full_ = true;
    return true;
}

void Exchange::observed(const Endpoint& self, const consensus::Reply& reply) {
    if (!observer_) return;
    if (!misbehaviour_.any()) return observer_(self, reply);
    if (auto changed = misbehaviour_.change(reply))
        observer_(self, std::get<consensus::Reply>(*changed));
}

// --- out ---

void Exchange::transmit(const Endpoint& from, consensus::Send send) {
    std::optional<Payload> payload;
    if (misbehaviour_.any()) {
        payload = misbehaviour_.change(send.payload);
        if (!payload) return;
    } else {
        payload = std::move(send.payload);
    }
    // Whoever looks at single replies gets single ones.
    if (auto* replies = std::get_if<consensus::Replies>(&*payload);
        replies != nullptr && (tap_ || misbehaviour_.any())) {
        for (consensus::Reply& each : replies->replies) transmit(from, {send.to, std::move(each)});
        return;
    }
    bool once_per_host = for_all_replicas(*payload);
    std::set<HostId> served;
    Message message{from, {}, std::move(*payload)};
    std::vector<Endpoint> away;
    for (const Endpoint& to : send.to) {
        if (once_per_host && to.role == Endpoint::Role::replica)
            if (auto host = directory_->membership().host_of(to);
                host && !served.insert(*host).second)
                continue;
        if (handlers_.contains(to)) {
            deliver_here(from, to, message.payload);
            continue;
        }
        if (to.role == Endpoint::Role::client) {
            const Bytes* key = key_of(to);
            if (tap_ && tap_(from, message.payload) && (key == nullptr || !links_.is_up(*key)))
                continue;
            const auto* reply = std::get_if<consensus::Reply>(&message.payload);
            if (reply != nullptr && reply->receipt && signer_ != nullptr) {
                send_signed(from, to, *reply);
                continue;
            }
            if (reply != nullptr) {
                gather(from, to, std::move(std::get<consensus::Reply>(message.payload)));
                return;  // a reply is for one client
            }
            if (for_former(message.payload)) {
                tell_former(from, to, message.payload);
                continue;
            }
        }
        if (auto garbage = misbehaviour_.garbage())
            send_out(to, std::make_shared<const Bytes>(std::move(*garbage)));
        away.push_back(to);
    }
    if (away.empty()) return;
    std::vector<Bytes> frames = wire::encode(from, away, message.payload);
    for (std::size_t i = 0; i < away.size(); ++i)
        send_out(away[i], std::make_shared<const Bytes>(std::move(frames[i])));
}

// Whoever asks with a key that is not in force hears why, and who may say so (CF9); nothing else
// does it hear.
void Exchange::tell_former(const Endpoint& from, const Endpoint& to, const Payload& payload) {
    auto frame = std::make_shared<const Bytes>(wire::encode({from, to, payload}));
    for (const Bytes& key : directory_->peers().keys_of(to.client))
        if (links_.is_up(key)) links_.send(key, frame);
}

// What a client is told in one turn of the loop goes to it in one frame.
void Exchange::gather(const Endpoint& from, const Endpoint& to, consensus::Reply reply) {
    std::vector<consensus::Reply>& waiting = replies_[{to, from}];
    waiting.push_back(std::move(reply));
    if (waiting.size() == wire::replies_max) send_replies(from, to, std::exchange(waiting, {}));
    if (std::exchange(replies_posted_, true)) return;
    boost::asio::post(loop_, [this, alive = alive_] {
        if (!*alive) return;
        replies_posted_ = false;
        for (auto& [who, replies] : std::exchange(replies_, {}))
            send_replies(who.second, who.first, std::move(replies));
    });
}

void Exchange::send_replies(const Endpoint& from, const Endpoint& to,
                            std::vector<consensus::Reply> replies) {
    while (!replies.empty()) {
        // They share what the replica says of itself, and a frame has its bound.
        consensus::Replies part;
        std::size_t bytes = 0;
        auto fits = [&](const consensus::Reply& reply) {
            const consensus::Reply& first = replies.front();
            bytes += reply.answer.result.size();
            return reply.view_hint == first.view_hint && reply.config == first.config &&
                   (bytes <= reply_bytes_per_frame || &reply == &first);
        };
        auto end = std::find_if_not(replies.begin(), replies.end(), fits);
        part.replies.assign(std::make_move_iterator(replies.begin()), std::make_move_iterator(end));
        replies.erase(replies.begin(), end);
        Payload payload = part.replies.size() == 1 ? Payload(std::move(part.replies.front()))
                                                   : Payload(std::move(part));
        if (auto garbage = misbehaviour_.garbage())
            send_out(to, std::make_shared<const Bytes>(std::move(*garbage)));
        send_out(to, std::make_shared<const Bytes>(wire::encode({from, to, std::move(payload)})));
    }
}

void Exchange::send_signed(const Endpoint& from, const Endpoint& to,
                           const consensus::Reply& reply) {
    signer_->sign(reply.group, reply.position, consensus::answer_digest(reply),
                  [this, since = begin(), message = Message{from, to, reply}](
                      const consensus::ReplySignature& signature) mutable {
                      auto& signed_reply = std::get<consensus::Reply>(message.payload);
                      signed_reply.signature = signature;
                      misbehaviour_.change_signature(signed_reply.signature->signature);
                      send_out(message.to, std::make_shared<const Bytes>(wire::encode(message)));
                      end(Stage::reply, since);
                  });
}

void Exchange::deliver_here(const Endpoint& from, const Endpoint& to, const Payload& payload) {
    pool_.submit(
        0, 0,
        [this, scope = scope(), message = Message{from, to, payload}]() -> std::function<void()> {
            auto outcome = std::make_shared<Outcome>(check(scope, message));
            return [this, outcome] { conclude(0, *outcome); };
        });
}

const Bytes* Exchange::key_of(const Endpoint& endpoint) const {
    const Peers& peers = directory_->peers();
    if (endpoint.role == Endpoint::Role::client) return peers.key_of(endpoint.client);
    auto host = directory_->membership().host_of(endpoint);
    return host ? peers.key_of(*host) : nullptr;
}

void Exchange::send_out(const Endpoint& to, std::shared_ptr<const Bytes> frame) {
    const Bytes* key = key_of(to);
    if (key == nullptr || !links_.send(*key, std::move(frame))) ++unsent_;
}

Exchange::Report Exchange::report() const {
    Report report{links_.report(), {}, received_, rejected_, unsent_};
    for (const Lane& lane : lanes_)
        if (!lane.key.empty()) report.drops[lane.key] = lane.drops;
    return report;
}

}  // namespace bft::host

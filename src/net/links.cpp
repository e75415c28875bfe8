#include "net/links.hpp"

#include "net/address.hpp"
#include "net/session.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <random>
#include <utility>

namespace bft::net {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t sent_frame_bytes_max = 16 * 1024 * 1024;  // F_max, protocol.md section 8
constexpr Duration accept_pause = 100ms;                        // after EMFILE and its like

std::string short_key(ByteView key) {
    return hex(key.first(std::min<std::size_t>(key.size(), 8)));
}

// Jitter needs no secrecy, only difference between processes.
std::uint64_t any_seed() {
    std::random_device device;
    return std::uint64_t{device()} << 32 | device();
}

}  // namespace

// Handlers that outlive a hang-up find `links` null.
struct Links::Dial {
    Dial(Links& owner, asio::io_context& io) : links(&owner), timer(io), resolver(io) {}
    Links* links;
    Bytes key;
    Address address;
    std::shared_ptr<LinkReport> report = std::make_shared<LinkReport>();
    SessionPtr session;
    asio::steady_timer timer;
    tcp::resolver resolver;
    Duration backoff{};
    TimePoint up_since{};
    bool up = false;
    bool failure_told = false;
};

struct Links::Listener {
    Listener(Links& owner, asio::io_context& io) : links(&owner), acceptor(io), timer(io) {}
    Links* links;
    tcp::acceptor acceptor;
    asio::steady_timer timer;
};

bool Links::KeyLess::operator()(ByteView a, ByteView b) const {
    return std::ranges::lexicographical_compare(a, b);
}

Links::Links(asio::io_context& io, asio::ssl::context& tls, LinkOptions options,
             LinkCallbacks callbacks)
    : io_(io),
      tls_(tls),
      options_(std::move(options)),
      callbacks_(std::move(callbacks)),
      jitter_(any_seed()) {}

Links::~Links() {
    close();
}

void Links::close() {
    if (std::exchange(closed_, true)) return;
    error_code ignored;
    for (const ListenerPtr& listener : listeners_) {
        listener->links = nullptr;
        listener->timer.cancel();
        listener->acceptor.close(ignored);
    }
    for (auto& [key, dial] : dials_) {
        dial->links = nullptr;
        dial->timer.cancel();
        dial->resolver.cancel();
        if (dial->session) std::exchange(dial->session, nullptr)->abandon();
    }
    for (const SessionPtr& session : handshaking_) session->abandon();
    for (auto& [key, sessions] : accepted_)
        for (const SessionPtr& session : sessions) session->abandon();
    listeners_.clear();
    dials_.clear();
    handshaking_.clear();
    accepted_.clear();
    accepted_count_ = 0;
    up_.clear();
}

// --- listening
// -------------------------------------------------------------------------------------

Result<std::uint16_t> Links::listen(std::string_view text) {
    Result<Address> address = parse_address(text);
    if (!address) return address.error();
    auto failed = [&](const std::string& why) {
        return error(Errc::io, "cannot listen on " + std::string(text) + ": " + why);
    };
    error_code code;
    tcp::resolver resolver(io_);
    auto found = resolver.resolve(address->host, std::to_string(address->port),
                                  tcp::resolver::passive | tcp::resolver::numeric_service, code);
    if (code || found.empty()) return failed(code.message());

    auto listener = std::make_shared<Listener>(*this, io_);
    tcp::acceptor& acceptor = listener->acceptor;
    const tcp::endpoint endpoint = found.begin()->endpoint();
    acceptor.open(endpoint.protocol(), code);
    if (!code) acceptor.set_option(tcp::acceptor::reuse_address(true), code);
    if (!code) acceptor.bind(endpoint, code);
    if (!code) acceptor.listen(tcp::acceptor::max_listen_connections, code);
    if (code == asio::error::address_in_use)
        return failed(code.message() + "; is this node running already?");
    if (code) return failed(code.message());
    std::uint16_t port = acceptor.local_endpoint(code).port();
    listeners_.push_back(listener);
    accept_next(listener);
    return port;
}

void Links::accept_next(const ListenerPtr& listener) {
    listener->acceptor.async_accept([listener](const error_code& code, tcp::socket socket) {
        Links* links = listener->links;
        if (links == nullptr) return;
        if (!code) {
            links->adopt(std::move(socket));
            return links->accept_next(listener);
        }
        // Mostly file descriptors that ran out: trying again at once would spin.
        std::uint64_t held = 0;
        if (links->warnings_.allow(steady_now(), &held))
            log::error("accept_failed net={} cause=\"{}\" suppressed={}", links->options_.name,
                       code.message(), held);
        listener->timer.expires_after(accept_pause);
        listener->timer.async_wait([listener](const error_code&) {
            if (listener->links != nullptr) listener->links->accept_next(listener);
        });
    });
}

void Links::adopt(tcp::socket socket) {
    ++totals_.accepted;
    if (handshaking_.size() >= options_.handshakes_max) {
        ++totals_.refused_full;
        return;  // the socket closes
    }
    auto session = std::make_shared<Session>(*this, std::move(socket), tls_, options_);
    handshaking_.push_back(session);
    session->accept();
}

// --- dialling
// --------------------------------------------------------------------------------------

Result<void> Links::dial(ByteView key, std::string_view text) {
    Result<Address> address = parse_address(text);
    if (!address) return address.error();
    hang_up(key);
    auto dial = std::make_shared<Dial>(*this, io_);
    dial->key = to_bytes(key);
    dial->address = *address;
    dial->report->key = dial->key;
    dial->report->address = text;
    dials_.emplace(dial->key, dial);
    asio::post(io_, [dial] {
        if (dial->links != nullptr) dial->links->attempt(dial);
    });
    return {};
}

void Links::hang_up(ByteView key) {
    auto it = dials_.find(key);
    if (it == dials_.end()) return;
    DialPtr dial = std::move(it->second);
    dials_.erase(it);
    dial->links = nullptr;
    dial->timer.cancel();
    dial->resolver.cancel();
    if (dial->session) std::exchange(dial->session, nullptr)->abandon();
    if (dial->up) count_down(dial->key, "hung up");
}

void Links::attempt(const DialPtr& dial) {
    error_code code;
    auto number = asio::ip::make_address(dial->address.host, code);
    if (!code) return attempt_at(dial, {tcp::endpoint(number, dial->address.port)});
    dial->resolver.async_resolve(
        dial->address.host, std::to_string(dial->address.port), tcp::resolver::numeric_service,
        [dial](const error_code& failed, const tcp::resolver::results_type& found) {
            if (dial->links == nullptr) return;
            if (failed)
                return dial->links->retry_later(dial, "cannot resolve: " + failed.message());
            std::vector<tcp::endpoint> endpoints;
            for (const auto& entry : found) endpoints.push_back(entry.endpoint());
            dial->links->attempt_at(dial, endpoints);
        });
}

void Links::attempt_at(const DialPtr& dial, const std::vector<tcp::endpoint>& endpoints) {
    dial->session = std::make_shared<Session>(*this, io_, tls_, options_, dial->key, dial->report);
    dial->session->connect(endpoints);
}

void Links::retry_later(const DialPtr& dial, const std::string& reason) {
    dial->report->last_error = reason;
    if (!std::exchange(dial->failure_told, true))
        log::info("link_failed net={} key={} address={} cause=\"{}\"", options_.name,
                  short_key(dial->key), dial->report->address, reason);
    dial->backoff = dial->backoff == Duration::zero()
                        ? options_.backoff_min
                        : std::min(dial->backoff * 2, options_.backoff_max);
    auto half = static_cast<std::uint64_t>(dial->backoff.count() / 2);
    dial->timer.expires_after(Duration(static_cast<Duration::rep>(half + jitter_.below(half + 1))));
    dial->timer.async_wait([dial](const error_code& cancelled) {
        if (!cancelled && dial->links != nullptr) dial->links->attempt(dial);
    });
}

// --- sending and reading
// ---------------------------------------------------------------------------

bool Links::send(ByteView key, std::shared_ptr<const Bytes> frame) {
    if (closed_ || frame->size() > sent_frame_bytes_max) return false;
    if (auto it = dials_.find(key); it != dials_.end() && it->second->up)
        return it->second->session->send(std::move(frame));
    bool taken = false;
    auto it = accepted_.find(key);
    if (it == accepted_.end()) {
        ++totals_.dropped_no_link;
        return false;
    }
    for (const SessionPtr& session : it->second) taken = session->send(frame) || taken;
    return taken;
}

bool Links::is_up(ByteView key) const {
    return up_.find(key) != up_.end();
}

template <class Visit>
void Links::each_session(ByteView key, const Visit& visit) {
    std::vector<SessionPtr> sessions;  // a copy: what is visited may change the containers
    if (auto it = accepted_.find(key); it != accepted_.end()) sessions = it->second;
    if (auto it = dials_.find(key); it != dials_.end() && it->second->session)
        sessions.push_back(it->second->session);
    for (const SessionPtr& session : sessions) visit(*session);
}

void Links::pause_reading(ByteView key) {
    paused_.insert(to_bytes(key));
    each_session(key, [](Session& session) {
        if (session.up()) session.pause_reading();
    });
}

void Links::resume_reading(ByteView key) {
    auto it = paused_.find(key);
    if (it == paused_.end()) return;
    paused_.erase(it);
    each_session(key, [](Session& session) { session.resume_reading(); });
}

void Links::disconnect(ByteView key, std::string_view reason) {
    each_session(key, [&](Session& session) { session.close(std::string(reason)); });
}

// --- what sessions ask and tell
// --------------------------------------------------------------------

bool Links::permitted(ByteView key) const {
    return !closed_ && callbacks_.allowed && callbacks_.allowed(key);
}

void Links::received(const Session& session, Bytes frame) {
    callbacks_.on_frame(session.key(), std::move(frame));
}

Links::DialPtr Links::dial_of(const Session& session) const {
    auto it = dials_.find(session.expected());
    return it != dials_.end() && it->second->session.get() == &session ? it->second : nullptr;
}

void Links::established(const SessionPtr& session) {
    if (paused_.contains(session->key())) session->pause_reading();
    ++session->counters().connects;
    if (session->dialled()) {
        DialPtr dial = dial_of(*session);
        if (!dial) return session->abandon();
        dial->up = true;
        dial->failure_told = false;
        dial->up_since = steady_now();
        log::info("link_up net={} key={} address={}", options_.name, short_key(dial->key),
                  dial->report->address);
        return count_up(session->key());
    }
    if (accepted_count_ >= options_.connections_max) {
        ++totals_.refused_full;
        return session->close("too many connections");
    }
    std::erase(handshaking_, session);
    // The oldest goes: a peer that came back after a power failure must get in although its earlier
    // connections still look alive.
    auto& sessions = accepted_[session->key()];
    SessionPtr oldest;
    if (sessions.size() >= options_.connections_per_key_max) oldest = sessions.front();
    sessions.push_back(session);
    ++accepted_count_;
    log::debug("connection_up net={} key={} from={}", options_.name, short_key(session->key()),
               session->remote());
    count_up(session->key());
    if (oldest) oldest->close("replaced by a newer connection of the same key");
}

void Links::closed(const SessionPtr& session, const std::string& reason) {
    if (closed_) return;
    const bool wrong_key = !session->refused_key().empty();
    if (wrong_key) ++totals_.refused_key;
    if (!session->dialled()) return accepted_closed(session, reason);
    DialPtr dial = dial_of(*session);
    if (!dial) return;
    if ((wrong_key || session->incompatible()) && !std::exchange(dial->failure_told, true))
        warn_refused(*session, reason);
    dialled_closed(dial, reason);
}

void Links::accepted_closed(const SessionPtr& session, const std::string& reason) {
    if (std::erase(handshaking_, session) > 0) return warn_refused(*session, reason);
    auto it = accepted_.find(session->key());
    if (it == accepted_.end() || std::erase(it->second, session) == 0) return;
    --accepted_count_;
    if (it->second.empty()) accepted_.erase(it);
    log::debug("connection_down net={} key={} from={} cause=\"{}\"", options_.name,
               short_key(session->key()), session->remote(), reason);
    count_down(session->key(), reason);
}

void Links::dialled_closed(const DialPtr& dial, const std::string& reason) {
    dial->session = nullptr;
    bool was_up = std::exchange(dial->up, false);
    // A link that breaks again and again is not healthy because it came up in between.
    if (was_up && steady_now() - dial->up_since >= options_.backoff_max)
        dial->backoff = Duration::zero();
    if (was_up) {
        log::info("link_down net={} key={} address={} cause=\"{}\"", options_.name,
                  short_key(dial->key), dial->report->address, reason);
        dial->failure_told = true;
        count_down(dial->key, reason);
    }
    if (dial->links != nullptr) retry_later(dial, reason);
}

void Links::warn_refused(const Session& session, const std::string& reason) {
    std::uint64_t held = 0;
    if (!warnings_.allow(steady_now(), &held)) return;
    log::warn("{} net={} remote={} cause=\"{}\" suppressed={}",
              session.dialled() ? "link_refused" : "connection_refused", options_.name,
              session.remote(), reason, held);
}

void Links::oversized(const Session& session, std::uint64_t bytes) {
    ++totals_.oversized;
    std::uint64_t held = 0;
    if (session.up() && warnings_.allow(steady_now(), &held))
        log::warn("frame_oversized net={} key={} remote={} bytes={} bound={} suppressed={}",
                  options_.name, short_key(session.key()), session.remote(), bytes,
                  options_.frame_bytes_max, held);
}

void Links::count_up(const Bytes& key) {
    if (++up_[key] == 1 && callbacks_.on_up) callbacks_.on_up(key);
}

void Links::count_down(const Bytes& key, std::string_view reason) {
    auto it = up_.find(key);
    if (it == up_.end() || --it->second > 0) return;
    up_.erase(it);
    if (callbacks_.on_down) callbacks_.on_down(key, reason);
}

LinksReport Links::report() const {
    LinksReport report = totals_;
    for (const auto& [key, dial] : dials_) {
        LinkReport link = dial->session ? dial->session->report() : *dial->report;
        link.dialled = true;
        report.links.push_back(std::move(link));
    }
    for (const auto& [key, sessions] : accepted_)
        for (const SessionPtr& session : sessions) report.links.push_back(session->report());
    return report;
}

}  // namespace bft::net

#include "usig/service_client.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include <deque>
#include <sys/un.h>

namespace bft::usig {

namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Local = asio::local::stream_protocol;
using Outcome = Result<Standing>;

std::string name(UsigId identity) {
    return "USIG identity " + std::to_string(identity.value);
}

}  // namespace

class ServiceClient::Link : public std::enable_shared_from_this<Link> {
public:
    struct Operation {
        UsigId identity{};
        /// A protocol::Create, Last or Forsake; its number is set when it goes out.
        protocol::Message question;
        std::function<void(Outcome)> done;
    };

    Link(asio::io_context& io, Options options, OnState on_state)
        : io_(io),
          options_(std::move(options)),
          on_state_(std::move(on_state)),
          socket_(io),
          retry_(io),
          reattach_(io),
          backoff_(options_.backoff_min) {
        for (const auto& [identity, token] : options_.tokens) identities_[identity];
    }

    void connect();
    void stop();
    void submit(Operation operation);

private:
    struct Identity {
        bool attached = false;
        std::optional<Error> problem;  ///< as told to on_state
        std::deque<Operation> waiting;
    };

    void connected(error_code code);
    void lost(const std::string& why);
    void read_length();
    void read_payload(std::size_t size);
    bool take(const protocol::Message& message);
    void attach(UsigId identity);
    void attached(UsigId identity);
    void not_attached(UsigId identity, const Error& problem);
    void finish(std::uint64_t number, Outcome outcome);
    void tell(UsigId identity, const std::optional<Error>& problem);
    void transmit(UsigId identity, Operation operation);
    void send(const protocol::Message& message);
    void write_next();
    void complete(Operation operation, Outcome outcome);
    [[nodiscard]] std::uint64_t session() const { return session_; }

    asio::io_context& io_;
    const Options options_;
    OnState on_state_;
    Local::socket socket_;
    asio::steady_timer retry_;
    asio::steady_timer reattach_;
    Duration backoff_;
    bool stopped_ = false;
    std::uint64_t session_ = 0;  ///< counts connections: handlers of an old one do nothing
    std::optional<Digest> nonce_;
    std::uint64_t next_number_ = 1;
    std::map<UsigId, Identity> identities_;
    std::map<std::uint64_t, UsigId> attaching_;
    std::map<std::uint64_t, Operation> under_way_;
    std::size_t count_ = 0;  ///< operations waiting or under way
    std::array<std::uint8_t, 4> length_{};
    Bytes payload_;
    std::deque<Bytes> out_;
};

void ServiceClient::Link::connect() {
    if (stopped_) return;
    const auto path = options_.socket.string();
    if (path.size() >= sizeof(sockaddr_un::sun_path)) {
        for (auto& [identity, state] : identities_)
            not_attached(identity, error(Errc::refused, "USIG socket path is too long: " + path));
        return;
    }
    socket_ = Local::socket(io_);
    socket_.async_connect(Local::endpoint(path),
                          [self = shared_from_this()](error_code code) { self->connected(code); });
}

void ServiceClient::Link::connected(error_code code) {
    if (stopped_) return;
    if (code)
        return lost("no USIG service at " + options_.socket.string() + " (" + code.message() +
                    "); start bftnode --role=usig on this host");
    read_length();
}

void ServiceClient::Link::stop() {
    stopped_ = true;
    ++session_;
    error_code ignored;
    socket_.close(ignored);
    retry_.cancel();
    reattach_.cancel();
}

void ServiceClient::Link::lost(const std::string& why) {
    ++session_;
    error_code ignored;
    socket_.close(ignored);
    nonce_.reset();
    out_.clear();
    attaching_.clear();
    const auto problem = error(Errc::unavailable, why);
    auto under_way = std::exchange(under_way_, {});
    for (auto& [number, operation] : under_way) complete(std::move(operation), problem);
    for (auto& [identity, state] : identities_) {
        state.attached = false;
        if (!state.problem || state.problem->code != Errc::refused) tell(identity, problem);
    }
    if (stopped_) return;
    retry_.expires_after(backoff_);
    backoff_ = std::min(2 * backoff_, options_.backoff_max);
    retry_.async_wait([self = shared_from_this()](error_code code) {
        if (!code) self->connect();
    });
}

void ServiceClient::Link::read_length() {
    asio::async_read(socket_, asio::buffer(length_),
                     [self = shared_from_this(), mine = session_](error_code code, std::size_t) {
                         if (mine != self->session_) return;
                         const auto size = protocol::frame_length(self->length_);
                         if (code || !size)
                             return self->lost("the USIG service closed the connection");
                         self->read_payload(*size);
                     });
}

void ServiceClient::Link::read_payload(std::size_t size) {
    payload_.resize(size);
    asio::async_read(socket_, asio::buffer(payload_),
                     [self = shared_from_this(), mine = session_](error_code code, std::size_t) {
                         if (mine != self->session_) return;
                         if (code) return self->lost("the USIG service closed the connection");
                         const auto message = protocol::decode(self->payload_);
                         if (!message || !self->take(*message))
                             return self->lost("the USIG service speaks another protocol version");
                         if (mine == self->session_) self->read_length();
                     });
}

bool ServiceClient::Link::take(const protocol::Message& message) {
    if (const auto* hello = std::get_if<protocol::Hello>(&message)) {
        if (hello->version != protocol::version || nonce_) return false;
        nonce_ = hello->nonce;
        backoff_ = options_.backoff_min;
        for (const auto& [identity, state] : identities_)
            if (!state.problem || state.problem->code != Errc::refused) attach(identity);
    } else if (const auto* done = std::get_if<protocol::Done>(&message)) {
        const auto node = attaching_.extract(done->number);
        if (!node) return false;
        attached(node.mapped());
    } else if (const auto* failed = std::get_if<protocol::Failed>(&message)) {
        if (const auto node = attaching_.extract(failed->number))
            not_attached(node.mapped(), failed->problem);
        else
            finish(failed->number, failed->problem);
    } else if (const auto* answer = std::get_if<protocol::Answer>(&message)) {
        finish(answer->number, Standing{answer->certified, {}});
    } else if (const auto* nothing = std::get_if<protocol::Nothing>(&message)) {
        finish(nothing->number, Standing{});
    } else if (const auto* hole = std::get_if<protocol::Hole>(&message)) {
        finish(hole->number, Standing{hole->last, hole->cv});
    } else {
        return false;
    }
    return true;
}

void ServiceClient::Link::attach(UsigId identity) {
    const auto number = next_number_++;
    attaching_.emplace(number, identity);
    send(protocol::Attach{number, identity,
                          protocol::proof(options_.tokens.at(identity), *nonce_, identity)});
}

void ServiceClient::Link::attached(UsigId identity) {
    auto& state = identities_.at(identity);
    state.attached = true;
    state.problem.reset();
    if (on_state_) on_state_(identity, std::nullopt);
    while (state.attached && !state.waiting.empty()) {
        auto operation = std::move(state.waiting.front());
        state.waiting.pop_front();
        transmit(identity, std::move(operation));
    }
}

void ServiceClient::Link::not_attached(UsigId identity, const Error& problem) {
    tell(identity, problem);
    auto& state = identities_.at(identity);
    if (problem.code == Errc::refused) {
        auto waiting = std::exchange(state.waiting, {});
        for (auto& operation : waiting) complete(std::move(operation), problem);
        return;
    }
    // Another process has it, perhaps one that was killed a moment ago.
    reattach_.expires_after(options_.backoff_min * 5);
    reattach_.async_wait([self = shared_from_this(), mine = session_](error_code code) {
        if (code || mine != self->session_ || !self->nonce_) return;
        for (const auto& [id, one] : self->identities_) {
            const bool under_way = std::ranges::any_of(
                self->attaching_, [&it = id](const auto& entry) { return entry.second == it; });
            if (!one.attached && !under_way && one.problem && one.problem->code != Errc::refused)
                self->attach(id);
        }
    });
}

void ServiceClient::Link::tell(UsigId identity, const std::optional<Error>& problem) {
    auto& state = identities_.at(identity);
    const bool same = state.problem && problem && state.problem->what == problem->what;
    state.problem = problem;
    if (!same && on_state_) on_state_(identity, problem);
}

void ServiceClient::Link::submit(Operation operation) {
    ++count_;
    const auto found = identities_.find(operation.identity);
    if (found == identities_.end())
        return complete(std::move(operation),
                        error(Errc::not_found, "this process has no token for a USIG identity"));
    auto& state = found->second;
    if (state.problem && state.problem->code == Errc::refused)
        return complete(std::move(operation), *state.problem);
    if (count_ > options_.queue_max)
        return complete(std::move(operation),
                        error(Errc::exhausted,
                              name(found->first) + ": too many operations wait for the service"));
    if (state.attached)
        transmit(found->first, std::move(operation));
    else
        state.waiting.push_back(std::move(operation));
}

void ServiceClient::Link::transmit(UsigId identity, Operation operation) {
    const auto number = next_number_++;
    auto question = std::move(operation.question);
    under_way_.emplace(number, std::move(operation));
    if (auto* create = std::get_if<protocol::Create>(&question))
        create->number = number;
    else if (auto* forsake = std::get_if<protocol::Forsake>(&question))
        forsake->number = number;
    else
        question = protocol::Last{number, identity};
    send(question);
}

void ServiceClient::Link::finish(std::uint64_t number, Outcome outcome) {
    auto node = under_way_.extract(number);
    if (node) complete(std::move(node.mapped()), std::move(outcome));
}

/// Posted, so that a callback never runs inside the call that took it.
void ServiceClient::Link::complete(Operation operation, Outcome outcome) {
    --count_;
    asio::post(io_, [self = shared_from_this(), done = std::move(operation.done),
                     result = std::move(outcome)]() mutable {
        if (!self->stopped_) done(std::move(result));
    });
}

void ServiceClient::Link::send(const protocol::Message& message) {
    out_.push_back(protocol::encode(message));
    if (out_.size() == 1) write_next();
}

void ServiceClient::Link::write_next() {
    // Shared with the handler: lost() empties the queue while the write is under way.
    auto frame = std::make_shared<Bytes>(out_.front());
    asio::async_write(
        socket_, asio::buffer(*frame),
        [self = shared_from_this(), frame, mine = session_](error_code code, std::size_t) {
            if (mine != self->session_) return;
            if (code) return self->lost("the USIG service closed the connection");
            self->out_.pop_front();
            if (!self->out_.empty()) self->write_next();
        });
}

ServiceClient::ServiceClient(asio::io_context& io, Options options, OnState on_state)
    : link_(std::make_shared<Link>(io, std::move(options), std::move(on_state))) {
    asio::post(io, [link = link_] { link->connect(); });
}

ServiceClient::~ServiceClient() {
    link_->stop();
}

void ServiceClient::create(UsigId identity, const Digest& digest, CreateCallback done) {
    link_->submit({identity, protocol::Create{0, identity, digest},
                   [done = std::move(done)](Outcome outcome) {
                       if (!outcome) return done(outcome.error());
                       if (!outcome->last)
                           return done(error(Errc::internal, "USIG service: empty answer"));
                       done(std::move(outcome->last->ui));
                   }});
}

void ServiceClient::last(UsigId identity, StandingCallback done) {
    link_->submit({identity, protocol::Last{0, identity}, std::move(done)});
}

void ServiceClient::forsake(UsigId identity, Counter cv, StandingCallback done) {
    link_->submit({identity, protocol::Forsake{0, identity, cv}, std::move(done)});
}

}  // namespace bft::usig

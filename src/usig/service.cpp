#include "usig/service.hpp"

#include "base/log.hpp"
#include "usig/ledger.hpp"
#include "usig/service_session.hpp"

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>

#include <sys/stat.h>
#include <sys/un.h>

namespace bft::usig {

namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Local = asio::local::stream_protocol;

/// Binds with the final mode from the start: no instant in which others may connect.
Result<void> listen(Local::acceptor& acceptor, const Service::Options& options) {
    const auto path = options.socket.string();
    if (path.size() >= sizeof(sockaddr_un::sun_path))
        return error(Errc::malformed, "USIG socket path is too long: " + path);
    const Local::endpoint endpoint(path);
    error_code code;
    Local::socket other(acceptor.get_executor());
    other.connect(endpoint, code);
    if (!code)
        return error(Errc::unavailable, "another USIG service listens on " + path +
                                            "; one host has one, stop the other first");
    std::error_code ignored;
    std::filesystem::remove(options.socket, ignored);  // a killed service's
    const auto mask = ::umask(~options.socket_mode & 0777);
    code.clear();
    acceptor.open(endpoint.protocol(), code);
    if (!code) acceptor.bind(endpoint, code);
    ::umask(mask);
    if (!code) acceptor.listen(Local::socket::max_listen_connections, code);
    if (code) return error(Errc::io, "USIG socket " + path + ": " + code.message());
    return {};
}

}  // namespace

struct Service::State : std::enable_shared_from_this<State> {
    State(asio::io_context& io, Options wanted)
        : options(std::move(wanted)), acceptor(io), pause(io) {}

    void accept() {
        acceptor.async_accept([self = shared_from_this()](error_code code, Local::socket socket) {
            if (self->stopped) return;
            if (code) return self->accept_later(code);
            if (self->shared->live.size() >= self->options.connections_max)
                log::warn("usig_connection_refused reason=too_many");
            else
                std::make_shared<ServiceSession>(std::move(socket), self->shared)->start();
            self->accept();
        });
    }

    /// Out of file descriptors, for example: not a reason to spin or to stop.
    void accept_later(error_code code) {
        log::warn("usig_accept_failed problem=\"{}\"", code.message());
        pause.expires_after(std::chrono::milliseconds(100));
        pause.async_wait([self = shared_from_this()](error_code) {
            if (!self->stopped) self->accept();
        });
    }

    const Options options;
    std::unique_ptr<Backend> backend;
    std::unique_ptr<Journal> journal;
    std::unique_ptr<Ledger> ledger;
    std::shared_ptr<SessionShared> shared = std::make_shared<SessionShared>();
    std::map<UsigId, Error> troubles;
    Local::acceptor acceptor;
    asio::steady_timer pause;
    bool stopped = false;
};

Service::Service(std::shared_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<Service>> Service::start(asio::io_context& io, Options options,
                                                std::unique_ptr<Backend> backend,
                                                std::unique_ptr<Journal> journal,
                                                std::function<void(const Error&)> on_fatal) {
    auto state = std::make_shared<State>(io, std::move(options));
    state->backend = std::move(backend);
    state->journal = std::move(journal);
    for (const auto& [identity, token] : state->options.tokens) {
        const auto served = state->backend->identities();
        if (std::ranges::find(served, identity) == served.end())
            return error(Errc::not_found, "the USIG tokens file names identity " +
                                              std::to_string(identity.value) +
                                              ", which is not one of this host's counters");
    }
    auto ledger = Ledger::open(*state->backend, *state->journal);
    if (!ledger) return ledger.error();
    state->ledger = std::move(*ledger);
    for (const auto identity : state->backend->identities())
        if (auto problem = state->ledger->trouble(identity))
            state->troubles.emplace(identity, *problem);
    if (auto ok = listen(state->acceptor, state->options); !ok) return ok.error();
    TpmWorker::Options worker;
    worker.queue_max = state->options.queue_max;
    worker.delay = state->options.tpm_delay;
    state->shared->tokens = state->options.tokens;
    state->shared->worker =
        std::make_unique<TpmWorker>(*state->ledger, io.get_executor(), worker, std::move(on_fatal));
    state->accept();
    log::info("usig_service_started socket={} identities={}", state->options.socket.string(),
              state->options.tokens.size());
    return std::unique_ptr<Service>(new Service(state));
}

Service::~Service() {
    state_->stopped = true;
    error_code ignored;
    state_->acceptor.close(ignored);
    state_->pause.cancel();
    std::error_code gone;
    std::filesystem::remove(state_->options.socket, gone);
    state_->shared->worker.reset();
    const auto live = state_->shared->live;
    for (auto* session : live) session->close();
    state_->ledger.reset();
    state_->journal.reset();
    state_->backend.reset();
}

std::map<UsigId, Error> Service::troubles() const {
    return state_->troubles;
}

}  // namespace bft::usig

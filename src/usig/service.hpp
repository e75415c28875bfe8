// The process-wide owner of a host's TPM: serves the host's roles on a unix socket, so that a role
// may be killed at any instant without leaving a hole in its counter (protocol.md section 1.4).
#pragma once

#include "base/result.hpp"
#include "base/time.hpp"
#include "usig/backend.hpp"
#include "usig/journal.hpp"
#include "usig/protocol.hpp"

#include <boost/asio/io_context.hpp>

#include <filesystem>
#include <functional>
#include <memory>

namespace bft::usig {

class Service {
public:
    struct Options {
        std::filesystem::path socket;
        unsigned socket_mode = 0600;  ///< 0660 where roles run as other users of one group
        /// Of every identity that may be used. Others of the backend are served to nobody.
        protocol::Tokens tokens;
        /// --tpm-delay-ms: waited before each certificate, to feel like a slower chip.
        Duration tpm_delay{};
        std::size_t queue_max = 64;  ///< waiting operations of one identity
        std::size_t connections_max = 64;
    };

    /// Compares counters and journal first (Ledger::open), so it may take as long as the TPM does.
    /// `on_fatal` is called on `io` when the TPM or the journal failed for good: the process should
    /// then end. Errc::unavailable: another service listens on the socket.
    static Result<std::unique_ptr<Service>> start(boost::asio::io_context& io, Options options,
                                                  std::unique_ptr<Backend> backend,
                                                  std::unique_ptr<Journal> journal,
                                                  std::function<void(const Error&)> on_fatal);
    /// Finishes the certificate in hand and disconnects everybody. On the io_context's thread.
    ~Service();
    Service(const Service&) = delete;
    Service& operator=(const Service&) = delete;

    /// Identities that certify nothing any more, with the reason (T1v, T2) as found at start.
    [[nodiscard]] std::map<UsigId, Error> troubles() const;

private:
    struct State;
    explicit Service(std::shared_ptr<State> state);
    std::shared_ptr<State> state_;
};

}  // namespace bft::usig

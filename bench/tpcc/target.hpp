// Where the driver sends its calls: a cluster through the client library, or one database without
// any replication as the baseline.
#pragma once

#include "base/result.hpp"
#include "session.hpp"

#include <bftnode/client.hpp>
#include <memory>
#include <optional>
#include <string>

namespace bft::tpcc {

class CallTarget {
public:
    CallTarget() = default;
    CallTarget(const CallTarget&) = delete;
    CallTarget& operator=(const CallTarget&) = delete;
    virtual ~CallTarget() = default;

    /// Runs the procedure as one transaction. Each terminal has at most one call outstanding;
    /// `done` comes on any thread, and may call again.
    virtual void call(std::size_t terminal, std::string_view procedure,
                      std::vector<bftnode::Value> args, bftnode::Callback done) = 0;
    /// nullopt when the target has no view, hosts and so on.
    [[nodiscard]] virtual std::optional<bftnode::Statistics> statistics() const = 0;
};

/// How one database is asked without replication.
enum class Way : std::uint8_t {
    call,      ///< one CALL per transaction, of the same procedures
    text,      ///< statement by statement, as text
    prepared,  ///< statement by statement, prepared once per connection
};

struct DirectOptions {
    Login login;
    Way way = Way::call;
    std::size_t terminals = 1;
    /// Servers of pages before the database: each has one connection, serves one call after the
    /// other and holds its answer for `page_cost`. 0: every terminal has a connection of its own.
    std::size_t servers = 0;
    std::size_t warehouses = 1;
    std::chrono::milliseconds page_cost{};
    /// NOW() of the n-th call is n milliseconds after the population's time, and not the clock's:
    /// with one terminal two runs then leave equal databases.
    bool counted_time = false;
};

/// One connection and one thread per terminal or server. Repeats after deadlocks and lock timeouts.
Result<std::unique_ptr<CallTarget>> open_direct(const DirectOptions& options);

/// Connects to the cluster that `config` (client.toml or its folder) describes.
Result<std::unique_ptr<CallTarget>> open_cluster(const std::string& config);

/// "CALL procedure(...)" as the server takes it; `quote` makes a literal of a text.
std::string call_statement(std::string_view procedure, const std::vector<bftnode::Value>& args,
                           const std::function<std::string(std::string_view)>& quote);

}  // namespace bft::tpcc

// The client library of bftnode: calls stored procedures of an application that runs on a cluster
// of replicated databases, up to f of whose hosts may lie or be down.
//
//     auto client = bftnode::Client::open("client.toml");        // made by `bftctl init`
//     bftnode::CallResult paid = client->call("payment", {1, 7, 120}).get();
//
// A result is believed only when f+1 replicas of one group gave it equally.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace bftnode {

struct Value;
using Row = std::vector<Value>;
using Rows = std::vector<Row>;

/// An argument or a column: null, a 64-bit integer, a text (or bytes), or rows (a list argument).
struct Value {
    std::variant<std::monostate, std::int64_t, std::string, Rows> data;

    Value() = default;
    Value(std::nullptr_t) {}
    Value(int v) : data(std::int64_t{v}) {}
    Value(std::int64_t v) : data(v) {}
    Value(std::string v) : data(std::move(v)) {}
    Value(std::string_view v) : data(std::string(v)) {}
    Value(const char* v) : data(std::string(v)) {}
    Value(Rows v) : data(std::move(v)) {}

    [[nodiscard]] bool is_null() const { return data.index() == 0; }
    /// Throw std::bad_variant_access when the value is of another kind.
    [[nodiscard]] std::int64_t integer() const { return std::get<std::int64_t>(data); }
    [[nodiscard]] const std::string& text() const { return std::get<std::string>(data); }
    [[nodiscard]] const Rows& rows() const { return std::get<Rows>(data); }
};
inline bool operator==(const Value& a, const Value& b) {
    return a.data == b.data;
}

/// How the databases ended a transaction; the same on every correct one.
enum class Outcome : std::uint8_t {
    ok = 1,
    aborted = 2,    ///< by a rule of the application; CallResult::code says which
    duplicate = 3,  ///< this request had been executed before; no effect now
};
const char* to_string(Outcome outcome);

enum class ErrorCode : std::uint8_t {
    config,      ///< the client's files are missing or wrong
    bad_call,    ///< unknown procedure, wrong arguments: nothing was sent
    rejected,    ///< f+1 replicas of the owner group refused the request
    overloaded,  ///< too many calls wait in this client already; nothing was sent
    timeout,     ///< no f+1 equal answers within Options::give_up_after: the outcome is unknown
    closed,      ///< the client was destroyed with the call outstanding: the outcome is unknown
};
const char* to_string(ErrorCode code);

struct Error {
    ErrorCode code = ErrorCode::config;
    std::string what;  ///< one sentence
};

/// What open() throws.
class OpenError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Names a request for ever: (client, home partition, sequence number there).
struct RequestId {
    std::uint64_t client = 0;
    std::uint32_t home = 0;
    std::uint64_t seq = 0;
};

struct CallResult {
    std::optional<Error>
        error;  ///< set: there is no outcome, and only `id` and what follows it count

    Outcome outcome = Outcome::ok;
    std::uint32_t code = 0;         ///< why it was aborted, 0 when ok
    std::vector<Rows> result_sets;  ///< in the procedure's order; empty unless ok

    RequestId id;
    std::uint64_t slot = 0;  ///< the transaction's place in the order of all
    std::chrono::nanoseconds latency{};
    std::uint32_t attempts = 0;            ///< 1 unless it had to be sent again
    std::vector<std::string> disagreeing;  ///< hosts whose replicas said something else
    /// If one was wanted: what f+1 replicas signed, as JSON, for `bftctl verify-receipt` and
    /// anybody else.
    std::string receipt;

    /// The transaction was executed and not aborted.
    [[nodiscard]] bool ok() const { return !error && outcome == Outcome::ok; }
};

struct Options {
    std::chrono::milliseconds retry_after{3000};  ///< then doubling, with jitter
    std::chrono::milliseconds retry_max{24000};
    /// A call without f+1 equal answers ends with ErrorCode::timeout; zero: never.
    std::chrono::milliseconds give_up_after{0};
    /// Least time between two signatures, three times this while several requests at a time share
    /// one: what arrives in between shares the next. A request that comes alone is sent at once.
    std::chrono::microseconds bundle_interval{1000};
    std::uint32_t bundle_max = 256;
    /// Calls that may wait in this client beyond those outstanding.
    std::uint32_t queue_max = 65536;
    /// To standard error: debug, info, warn or error; empty: leaves the process's logging as it is.
    std::string log_level = "warn";
};

/// Of one call.
struct CallOptions {
    bool receipt = false;  ///< only signed answers count
    /// Instead of Options::give_up_after.
    std::optional<std::chrono::milliseconds> give_up_after;
};

struct Statistics {
    std::uint64_t calls = 0;
    std::uint64_t answered = 0;
    std::uint64_t failed = 0;
    std::uint64_t sent_again = 0;
    std::uint64_t signatures = 0;
    std::size_t outstanding = 0;
    std::size_t waiting = 0;
    std::map<std::string, std::uint64_t> disagreements;  ///< by host name
    std::map<std::string, bool> connected;               ///< by host name
    std::uint64_t view = 0;                              ///< that f+1 replicas named last
    std::uint64_t configuration = 0;                     ///< version that calls go by
};

using Callback = std::function<void(CallResult)>;

/// Thread-safe. Owns one thread, on which callbacks run: they must not block, and may call again.
class Client {
public:
    /// Reads `config_path` (client.toml, or the folder that holds it) and connects in the
    /// background. Throws OpenError with a sentence for the operator.
    static std::unique_ptr<Client> open(const std::filesystem::path& config_path,
                                        const Options& options = {});
    virtual ~Client() = default;

    /// Runs `procedure`. `args` are in the order that the application's catalog.toml declares.
    /// With an Asio completion token: async_call() in client_asio.hpp.
    virtual void call(std::string_view procedure, std::vector<Value> args, Callback done,
                      CallOptions options) = 0;
    void call(std::string_view procedure, std::vector<Value> args, Callback done) {
        call(procedure, std::move(args), std::move(done), CallOptions());
    }
    std::future<CallResult> call(std::string_view procedure, std::vector<Value> args);

    /// Waits until all hosts, or after `patience` at least f+1, are connected. False: fewer.
    virtual bool wait_connected(std::chrono::milliseconds patience) = 0;

    [[nodiscard]] virtual Statistics statistics() const = 0;

protected:
    Client() = default;
};

}  // namespace bftnode

// The shell around ClientCore: one thread with the links, the clock and the key.
#include "bftnode/client.hpp"

#include "base/log.hpp"
#include "catalog/application.hpp"
#include "client/calls.hpp"
#include "client/config.hpp"
#include "client/core.hpp"
#include "client/hosts.hpp"
#include "client/key_checker.hpp"
#include "client/receipts.hpp"
#include "client/sequence_file.hpp"
#include "crypto/signing_key.hpp"
#include "crypto/tls.hpp"
#include "net/links.hpp"
#include "wire/codec.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <pthread.h>
#include <random>
#include <thread>
#include <unordered_map>

namespace bftnode {

using bft::Bytes;
using bft::ByteView;
using bft::HostId;
using bft::PartitionId;
using bft::Result;
namespace client = bft::client;
using client::Prepared;
namespace catalog = bft::catalog;
namespace consensus = bft::consensus;

const char* to_string(Outcome outcome) {
    switch (outcome) {
        case Outcome::ok:
            return "ok";
        case Outcome::aborted:
            return "aborted";
        case Outcome::duplicate:
            return "duplicate";
    }
    return "?";
}

const char* to_string(ErrorCode code) {
    switch (code) {
        case ErrorCode::config:
            return "config";
        case ErrorCode::bad_call:
            return "bad_call";
        case ErrorCode::rejected:
            return "rejected";
        case ErrorCode::overloaded:
            return "overloaded";
        case ErrorCode::timeout:
            return "timeout";
        case ErrorCode::closed:
            return "closed";
    }
    return "?";
}

std::future<CallResult> Client::call(std::string_view procedure, std::vector<Value> args) {
    auto promise = std::make_shared<std::promise<CallResult>>();
    std::future<CallResult> future = promise->get_future();
    call(procedure, std::move(args),
         [promise](CallResult result) { promise->set_value(std::move(result)); });
    return future;
}

namespace {

bft::TimePoint now() {
    return bft::TimePoint(std::chrono::duration_cast<bft::Duration>(
        std::chrono::steady_clock::now().time_since_epoch()));
}

std::uint64_t wall_us() {
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                          std::chrono::system_clock::now().time_since_epoch())
                                          .count());
}

class ClientImpl final : public Client {
public:
    ClientImpl(client::Config config, catalog::Application application, bft::crypto::SigningKey key,
               client::SequenceFile sequence, const Options& options);
    ~ClientImpl() override;

    Result<void> connect();
    using Client::call;
    void call(std::string_view procedure, std::vector<Value> args, Callback done,
              CallOptions options) override;
    bool wait_connected(std::chrono::milliseconds patience) override;
    [[nodiscard]] Statistics statistics() const override;

private:
    struct Call {
        Callback done;
        bft::TimePoint since;
    };

    void take_calls();
    void pump();
    void perform(client::ClientCore::Output output);
    void sign(const client::ClientCore::Bundle& bundle);
    void send(const std::vector<client::ClientCore::Send>& sends);
    void send_frames(const std::vector<consensus::Endpoint>& to, consensus::Payload payload);
    void finished(client::Finished done);
    void fail(Callback& done, ErrorCode code, std::string what) const;
    void on_frame(ByteView key, const Bytes& frame);
    void on_link(ByteView key, bool up);
    void configured(const consensus::Endpoint& from, const consensus::BarrierCertPtr& barrier);
    void arm_timer();
    void publish();

    client::Config config_;
    catalog::Application application_;
    client::Hosts hosts_;
    bft::crypto::SigningKey key_;
    client::SequenceFile sequence_;
    Options options_;
    client::Receipts receipts_;
    client::KeyChecker checker_;
    consensus::Verifier verifier_{hosts_.membership(), checker_};
    client::ClientCore core_;
    boost::asio::io_context io_;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
        io_.get_executor()};
    std::unique_ptr<boost::asio::ssl::context> tls_;
    std::unique_ptr<bft::net::Links> links_;
    boost::asio::steady_timer timer_{io_};
    boost::asio::steady_timer retry_{io_};
    std::vector<client::ClientCore::Bundle>
        unsigned_;  ///< while the sequence file cannot be written
    std::optional<bft::TimePoint> timer_at_;
    std::unordered_map<std::uint64_t, Call> calls_;
    std::uint64_t next_token_ = 1;

    struct Submitted {
        Prepared prepared;
        Callback done;
        bft::TimePoint since;
        CallOptions options;
    };
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Submitted> submitted_;  ///< by other threads, not yet taken
    std::map<HostId, bool> connected_;
    std::map<HostId, std::string> names_;
    Statistics statistics_;
    std::thread thread_;
};

// Keeps frames far below their bound whatever a request's size (at most 256 KiB).
constexpr std::size_t bytes_per_frame = 2 * 1024 * 1024;
constexpr std::size_t requests_per_frame = 512;

client::CoreOptions core_options(const Options& options, std::uint64_t key,
                                 client::Receipts& receipts) {
    client::CoreOptions core;
    core.well_signed = [&receipts](const consensus::Reply& reply) {
        return receipts.well_signed(reply);
    };
    core.retry_after = options.retry_after;
    core.retry_max = options.retry_max;
    core.give_up_after = options.give_up_after;
    core.bundle_interval = options.bundle_interval;
    core.bundle_max = std::min(std::max(options.bundle_max, 1u), 512u);
    core.queue_max = options.queue_max;
    core.key = key;
    return core;
}

ClientImpl::ClientImpl(client::Config config, catalog::Application application,
                       bft::crypto::SigningKey key, client::SequenceFile sequence,
                       const Options& options)
    : config_(std::move(config)),
      application_(std::move(application)),
      hosts_(config_),
      key_(std::move(key)),
      sequence_(std::move(sequence)),
      options_(options),
      receipts_(hosts_),
      core_(hosts_.membership(), config_.id,
            core_options(options, config_.key_by_order ? consensus::key_name(key_.public_key()) : 0,
                         receipts_),
            sequence_.first(), std::random_device{}()) {
    for (const auto& [id, host] : hosts_.all()) {
        connected_[id] = false;
        names_[id] = host.name;
    }
}

Result<void> ClientImpl::connect() {
    auto tls = bft::crypto::make_tls_context(key_);
    if (!tls) return tls.error();
    tls_ = std::move(*tls);
    bft::net::LinkOptions link_options;
    link_options.name = "client";
    links_ = std::make_unique<bft::net::Links>(
        io_, *tls_, link_options,
        bft::net::LinkCallbacks{[this](ByteView key) { return hosts_.by_key(key).has_value(); },
                                [this](ByteView key, Bytes frame) { on_frame(key, frame); },
                                [this](ByteView key) { on_link(key, true); },
                                [this](ByteView key, std::string_view) { on_link(key, false); }});
    for (const client::Host& host : config_.hosts)
        if (auto dialled = links_->dial(host.key, host.address); !dialled) return dialled.error();
    thread_ = std::thread([this] {
        ::pthread_setname_np(::pthread_self(), "bft-client");
        io_.run();
    });
    return {};
}

ClientImpl::~ClientImpl() {
    boost::asio::post(io_, [this] {
        if (links_) links_->close();
        timer_.cancel();
        io_.stop();
    });
    if (thread_.joinable()) thread_.join();
    for (auto& [token, call] : calls_)
        fail(call.done, ErrorCode::closed, "the client was closed; the outcome is unknown");
    for (Submitted& call : submitted_)
        fail(call.done, ErrorCode::closed, "the client was closed before the call was sent");
}

void ClientImpl::fail(Callback& done, ErrorCode code, std::string what) const {
    CallResult result;
    result.error = Error{code, std::move(what)};
    result.id.client = config_.id.value;
    done(std::move(result));
}

void ClientImpl::call(std::string_view procedure, std::vector<Value> args, Callback done,
                      CallOptions options) {
    bft::TimePoint since = now();
    auto prepared = client::prepare(application_, procedure, std::move(args));
    if (!prepared) {
        boost::asio::post(io_,
                          [this, done = std::move(done), what = prepared.error().what]() mutable {
                              fail(done, ErrorCode::bad_call, what);
                          });
        return;
    }
    bool first = false;
    {
        std::lock_guard lock(mutex_);
        first = submitted_.empty();
        submitted_.push_back({std::move(*prepared), std::move(done), since, options});
        ++statistics_.calls;
    }
    if (first) boost::asio::post(io_, [this] { take_calls(); });
}

void ClientImpl::take_calls() {
    std::vector<Submitted> submitted;
    {
        std::lock_guard lock(mutex_);
        submitted.swap(submitted_);
    }
    for (Submitted& call : submitted) {
        std::uint64_t token = next_token_++;
        auto taken = core_.submit(token, call.prepared.home, std::move(call.prepared.parts),
                                  call.prepared.read_only, std::move(call.prepared.op), now(),
                                  {call.options.receipt, call.options.give_up_after});
        if (taken) {
            calls_.emplace(token, Call{std::move(call.done), call.since});
            continue;
        }
        ErrorCode code = taken.error().code == bft::Errc::exhausted ? ErrorCode::overloaded
                                                                    : ErrorCode::bad_call;
        fail(call.done, code, taken.error().what);
    }
    pump();
}

void ClientImpl::pump() {
    core_.tick(now());
    while (true) {
        client::ClientCore::Output output = core_.take_output();
        if (!output.sign && output.send.empty() && output.finished.empty() && !output.ask_config)
            break;
        perform(std::move(output));
    }
    arm_timer();
    publish();
}

void ClientImpl::perform(client::ClientCore::Output output) {
    if (output.sign) sign(*output.sign);
    send(output.send);
    if (output.ask_config) send_frames(output.ask_config->to, output.ask_config->question);
    for (client::Finished& done : output.finished) finished(std::move(done));
}

// Nothing is sent under a number that is not reserved on disk: requests wait until it can be.
void ClientImpl::sign(const client::ClientCore::Bundle& bundle) {
    if (auto reserved = sequence_.reserve(core_.highest()); !reserved) {
        bft::log::error("client_waits what=\"{}\"", reserved.error().what);
        unsigned_.push_back(bundle);
        retry_.expires_after(std::chrono::seconds(1));
        retry_.async_wait([this](const boost::system::error_code& cancelled) {
            if (cancelled) return;
            for (const auto& waiting : std::exchange(unsigned_, {})) sign(waiting);
            pump();
        });
        return;
    }
    core_.bundle_signed(bundle, key_.sign(bundle.digest), now());
    std::lock_guard lock(mutex_);
    ++statistics_.signatures;
}

// What goes to the same endpoints at one time shares frames, which are encoded once. What no link
// takes now is sent again by the core when its patience ends or the link is up.
void ClientImpl::send(const std::vector<client::ClientCore::Send>& sends) {
    for (std::size_t at = 0; at < sends.size();) {
        consensus::Bodies part;
        std::size_t bytes = 0;
        const std::vector<consensus::Endpoint>& to = sends[at].to;
        for (; at < sends.size() && sends[at].to == to && bytes < bytes_per_frame &&
               part.bodies.size() < requests_per_frame;
             ++at) {
            part.bodies.push_back(sends[at].body);
            bytes += sends[at].body->raw.size();
        }
        send_frames(to, std::move(part));
    }
}

void ClientImpl::send_frames(const std::vector<consensus::Endpoint>& to,
                             consensus::Payload payload) {
    std::vector<Bytes> frames =
        bft::wire::encode(consensus::Endpoint::of_client(config_.id), to, std::move(payload));
    for (std::size_t i = 0; i < to.size(); ++i)
        if (auto host = hosts_.membership().host_of(to[i]))
            if (const Bytes* key = hosts_.key_of(*host))
                links_->send(*key, std::make_shared<const Bytes>(std::move(frames[i])));
}

void ClientImpl::finished(client::Finished done) {
    auto found = calls_.find(done.token);
    if (found == calls_.end()) return;
    Call call = std::move(found->second);
    calls_.erase(found);

    CallResult result;
    result.id = {done.id.client.value, done.id.home.value, done.id.cseq.value};
    result.slot = done.slot.value;
    result.latency = now() - call.since;
    result.attempts = done.attempts;
    for (HostId host : done.disagreeing) result.disagreeing.push_back(hosts_.name_of(host));
    if (done.how == client::Finished::How::rejected) {
        result.error = Error{ErrorCode::rejected, done.text};
    } else if (done.how == client::Finished::How::timed_out) {
        result.error = Error{ErrorCode::timeout,
                             "no f+1 equal answers within the time given; the outcome is unknown"};
    } else {
        result.outcome = static_cast<Outcome>(done.answer.outcome);
        result.code = done.answer.code;
        if (!done.signatures.empty()) result.receipt = receipts_.make(done);
        if (auto decoded = catalog::decode_result(done.answer.result); decoded)
            for (catalog::ResultSet& set : decoded->sets)
                result.result_sets.push_back(client::to_rows(std::move(set.rows)));
    }
    {
        std::lock_guard lock(mutex_);
        ++(result.error ? statistics_.failed : statistics_.answered);
    }
    call.done(std::move(result));
}

void ClientImpl::on_frame(ByteView key, const Bytes& frame) {
    auto host = hosts_.by_key(key);
    if (!host) return;
    auto message = bft::wire::decode(frame);
    if (!message || message->to != consensus::Endpoint::of_client(config_.id)) return;
    if (const auto* reply = std::get_if<consensus::Reply>(&message->payload)) {
        if (message->from != consensus::Endpoint::replica(reply->group, reply->position)) return;
        core_.replied(*host, *reply, now());
    } else if (const auto* replies = std::get_if<consensus::Replies>(&message->payload)) {
        bft::TimePoint at = now();
        for (const consensus::Reply& each : replies->replies)
            if (message->from == consensus::Endpoint::replica(each.group, each.position))
                core_.replied(*host, each, at);
    } else if (const auto* rejected = std::get_if<consensus::Rejected>(&message->payload)) {
        core_.rejected(*host, message->from, *rejected, now());
    } else if (const auto* barrier = std::get_if<consensus::BarrierCertPtr>(&message->payload)) {
        // Many tell the same: only what is new is worth its signatures.
        if (!*barrier || (*barrier)->config->version <= core_.config()) return;
        if (hosts_.membership().host_of(message->from) != host) return;
        if (verifier_.verify(*message))
            configured(message->from, *barrier);
        else  // who signed it may have joined since
            core_.heard_of(message->from, (*barrier)->config->version);
    } else {
        return;
    }
    pump();
}

// Hosts that joined answer, too, from now on.
void ClientImpl::configured(const consensus::Endpoint& from,
                            const consensus::BarrierCertPtr& barrier) {
    core_.configured(from, barrier, now());
    if (core_.config() != barrier->config->version) return;
    const std::vector<client::Host> fresh = hosts_.follow(*barrier->config);
    {
        std::lock_guard lock(mutex_);
        for (const client::Host& host : fresh) {
            connected_[*hosts_.by_key(host.key)] = false;
            names_[*hosts_.by_key(host.key)] = host.name;
        }
    }
    for (const client::Host& host : fresh)
        if (auto dialled = links_->dial(host.key, host.address); !dialled)
            bft::log::warn("host_not_dialled host={} what=\"{}\"", host.name, dialled.error().what);
}

void ClientImpl::on_link(ByteView key, bool up) {
    auto host = hosts_.by_key(key);
    if (!host) return;
    {
        std::lock_guard lock(mutex_);
        connected_[*host] = up;
        changed_.notify_all();
    }
    if (!up) return;
    core_.connected(*host);
    pump();
}

void ClientImpl::arm_timer() {
    auto deadline = core_.next_deadline();
    if (!deadline || (timer_at_ && *timer_at_ <= *deadline)) return;
    timer_at_ = deadline;
    bft::TimePoint at = now();
    timer_.expires_after(std::max(*deadline, at) - at);
    timer_.async_wait([this](const boost::system::error_code& cancelled) {
        if (cancelled) return;
        timer_at_.reset();
        pump();
    });
}

void ClientImpl::publish() {
    std::lock_guard lock(mutex_);
    statistics_.sent_again = core_.sent_again();
    statistics_.outstanding = core_.outstanding();
    statistics_.waiting = core_.waiting();
    statistics_.view = core_.view().value;
    statistics_.configuration = core_.config().value;
    for (const auto& [host, count] : core_.disagreements())
        statistics_.disagreements[hosts_.name_of(host)] = count;
}

bool ClientImpl::wait_connected(std::chrono::milliseconds patience) {
    auto up = [this] {
        return static_cast<std::size_t>(std::count_if(
            connected_.begin(), connected_.end(), [](const auto& each) { return each.second; }));
    };
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, patience, [&] { return up() == connected_.size(); });
    return up() >= config_.f + 1;
}

Statistics ClientImpl::statistics() const {
    std::lock_guard lock(mutex_);
    Statistics copy = statistics_;
    for (const auto& [host, up] : connected_) copy.connected[names_.at(host)] = up;
    return copy;
}

}  // namespace

std::unique_ptr<Client> Client::open(const std::filesystem::path& config_path,
                                     const Options& options) {
    if (!options.log_level.empty()) bft::log::start("client", options.log_level);
    auto config = client::load_config(config_path);
    if (!config) throw OpenError(config.error().what);
    auto key = bft::crypto::SigningKey::load(config->key_file);
    if (!key) throw OpenError(key.error().what);
    auto application = catalog::Application::load(config->application);
    if (!application) throw OpenError(application.error().what);
    auto sequence = client::SequenceFile::open(config->key_file.string() + ".sequence", wall_us());
    if (!sequence) throw OpenError(sequence.error().what);
    auto opened = std::make_unique<ClientImpl>(std::move(*config), std::move(*application),
                                               std::move(*key), std::move(*sequence), options);
    if (auto connected = opened->connect(); !connected) throw OpenError(connected.error().what);
    return opened;
}

}  // namespace bftnode

// The pump: drives one engine and performs what it puts out, in order: persist, seal, send,
// deliver, events. Nothing becomes visible before what it rests on is durable (protocol.md section
// 8).
#pragma once

#include "consensus/engine.hpp"
#include "host/clock.hpp"
#include "host/durable_log.hpp"
#include "host/stages.hpp"
#include "host/ticker.hpp"
#include "usig/certifier.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <deque>
#include <functional>
#include <memory>
#include <optional>

namespace bft::host {

struct EngineHostHooks {
    /// Takes a message out to its recipients, which may be in this process.
    std::function<void(const consensus::Endpoint& from, consensus::Send send)> transmit;
    std::function<void(const consensus::Endpoint& self, const consensus::Event& event)> event;
    /// For observers; may be empty.
    std::function<void(const consensus::Endpoint& self, const consensus::Delivery&)> delivered;
    /// Likewise; only of engines that were told to (ExecutorOptions::observed).
    std::function<void(const consensus::Endpoint& self, const consensus::Reply&)> answered;
    /// The node cannot go on (the TPM is dead). Called once.
    std::function<void(Error)> fatal;
    /// A draft has waited for its certificate for `patience` (T5). May be empty.
    std::function<void()> counter_away = {};
    Duration counter_patience = 1500ms;
    Stages* stages = nullptr;  ///< where certificates are measured
    /// The engine may have moved on; may be empty. Before what it put out is performed.
    std::function<void()> advanced = {};
};

/// Everything runs on the loop's thread.
class EngineHost {
public:
    /// `usig` is the counter that seals drafts. The references must outlive this.
    EngineHost(boost::asio::io_context& loop, const Clock& clock, consensus::Engine& engine,
               consensus::Endpoint self, UsigId usig, usig::Certifier& certifier, RecordSink& log,
               EngineHostHooks hooks);
    ~EngineHost();
    EngineHost(const EngineHost&) = delete;
    EngineHost& operator=(const EngineHost&) = delete;

    /// Performs what the engine's recovery left, and gives it its first tick.
    void start();
    void receive(const consensus::Verified& message) { receive(message, clock_.now()); }
    /// By a caller that has read the clock already.
    void receive(const consensus::Verified& message, consensus::Now now);
    /// Performs what the engine was made to put out by other means than the above.
    void pump();

    [[nodiscard]] const consensus::Endpoint& self() const { return self_; }
    /// Outputs that wait for the disk. Above outputs_max the node stops reading its sockets:
    /// engines must not be fed faster than their outputs can be performed.
    [[nodiscard]] std::size_t waiting() const { return outputs_.size(); }
    static constexpr std::size_t outputs_max = 4096;

private:
    struct Queued {
        consensus::Output output;
        bool durable = false;
    };

    void drain();
    void perform(consensus::Output output);
    void seal(const consensus::Draft& draft);
    void sealed(consensus::Ui ui);
    void forsake(Counter cv);
    void ask_last(const consensus::Draft& draft);
    void later(std::function<void()> what);
    void watch();
    void due();

    const Clock& clock_;
    consensus::Engine& engine_;
    consensus::Endpoint self_;
    UsigId usig_;
    usig::Certifier& certifier_;
    RecordSink& log_;
    EngineHostHooks hooks_;
    Ticker ticker_;
    boost::asio::steady_timer retry_;  ///< of the outstanding draft
    boost::asio::steady_timer watch_;  ///< likewise
    std::deque<std::shared_ptr<Queued>> outputs_;
    bool draining_ = false;
    TimePoint sealing_since_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace bft::host

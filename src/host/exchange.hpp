// Where messages come in and go out: between the endpoints of this process and those of others.
// In: link -> who may speak -> decode and verify on a worker -> the endpoint, in each peer's order.
// Out: to an endpoint of this process the same way without the link, else encoded and sent.
#pragma once

#include "catalog/application.hpp"
#include "consensus/engine.hpp"
#include "host/clock.hpp"
#include "host/directory.hpp"
#include "host/misbehaviour.hpp"
#include "host/reply_signer.hpp"
#include "host/stages.hpp"
#include "host/verify_pool.hpp"
#include "net/links.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>

namespace bft::host {

/// Why a message of a peer was dropped.
enum class Drop : std::uint8_t {
    malformed,      ///< bytes that are no message
    impersonation,  ///< the channel's peer may not speak as that endpoint
    misdirected,    ///< for an endpoint that is not here
    unverified,     ///< signature, certificate, digest or bound
    inadmissible,   ///< a request that the application does not take
};
inline constexpr std::size_t drop_kinds = 5;
const char* to_string(Drop drop);

class Exchange {
public:
    struct Options {
        VerifyPool::Options verify;
        net::LinkOptions links;
    };
    using Handler = std::function<void(const consensus::Verified&)>;
    using DropCounts = std::array<std::uint64_t, drop_kinds>;

    /// `overloaded` says that no socket should be read for now. The references must outlive this.
    Exchange(boost::asio::io_context& loop, boost::asio::ssl::context& tls, const Clock& clock,
             std::shared_ptr<const Directory> directory, const catalog::Application& application,
             Misbehaviour misbehaviour, std::function<bool()> overloaded, Options options);
    ~Exchange();

    /// What is addressed to `endpoint` goes to `handler` from now on. Not from within a handler.
    void attach(const consensus::Endpoint& endpoint, Handler handler);
    /// Nothing goes to it any more. Likewise.
    void detach(const consensus::Endpoint& endpoint);
    /// Listens, and dials every host that takes part but `self`.
    Result<void> start(const std::string& listen, HostId self);
    void stop();

    /// From now on those are known whom `directory` knows. Hosts that are new are dialled, those
    /// that were replaced no longer: they may still dial, and hear why nobody listens.
    void know(std::shared_ptr<const Directory> directory);
    [[nodiscard]] const Directory& directory() const { return *directory_; }

    void transmit(const consensus::Endpoint& from, consensus::Send send);

    /// Stages receive and reply are measured from now on. Before start().
    void measure(Stages& stages) { stages_ = &stages; }

    // --- clients that have no link (HTTP)

    /// Replies that ask for it are signed by `signer` before they leave over links. Before start().
    void sign_with(ReplySigner& signer) { signer_ = &signer; }
    /// Sees each reply and refusal on its way to a client's link. True: the client is served
    /// already, and a missing link is no loss.
    using ClientTap =
        std::function<bool(const consensus::Endpoint& from, const consensus::Payload&)>;
    void tap_clients(ClientTap tap) { tap_ = std::move(tap); }
    /// Sees every answer that observed() is given.
    using Observer = std::function<void(const consensus::Endpoint& self, const consensus::Reply&)>;
    void observe(Observer observer) { observer_ = std::move(observer); }
    void observed(const consensus::Endpoint& self, const consensus::Reply& reply);

    /// What became of a request before its endpoint saw it. Only who handed it in learns that it
    /// was refused: others may have handed in a forged one under the same id.
    struct Submission {
        std::function<void(const consensus::Body&)>
            accepted;  ///< genuine and admissible; may be empty
        std::function<void(const consensus::Rejected&)> refused;
    };
    /// A request that came another way than over its client's link, for the endpoint `to` of this
    /// process. False: too many wait already, and this one was not taken.
    bool submit(const consensus::Endpoint& to, consensus::Body request, Submission then);
    [[nodiscard]] const Misbehaviour& misbehaviour() const { return misbehaviour_; }

    struct Report {
        net::LinksReport links;
        std::map<Bytes, DropCounts> drops;  ///< by the peer's key
        std::uint64_t received = 0;
        std::uint64_t rejected = 0;  ///< requests answered with REJECTED
        std::uint64_t unsent = 0;    ///< messages that no link took
    };
    [[nodiscard]] Report report() const;

private:
    struct Lane {
        Bytes key;
        Peer peer;
        DropCounts drops{};
        log::RateLimit warnings;
    };
    struct Dropped {
        Drop why;
        std::string text;
    };
    struct Refused {
        consensus::Endpoint by;
        consensus::Endpoint to;  ///< who brought it; its signer, but for configurations
        consensus::Rejected answer;
    };
    using Outcome = std::variant<consensus::Verified, Dropped, Refused>;
    using Outcomes = std::vector<Outcome>;

    /// What a worker judges by. Never changes: what comes later has another one.
    struct Scope {
        std::shared_ptr<const Directory> directory;
        std::shared_ptr<const std::set<consensus::Endpoint>> here;  ///< endpoints of this process

        /// Something takes what is addressed to `to`.
        [[nodiscard]] bool is_for_us(const consensus::Endpoint& to,
                                     const consensus::Payload& payload) const;
    };

    void on_frame(ByteView key, Bytes frame);
    [[nodiscard]] Scope scope() const { return {directory_, here_}; }
    void follow_handlers();
    [[nodiscard]] TimePoint begin() const { return stages_ ? clock_.mono() : TimePoint(); }
    void end(Stage stage, TimePoint since) {
        if (stages_) stages_->add(stage, clock_.mono() - since);
    }
    Result<void> dial(HostId host);
    void follow_links();
    Duration check_frame(const Scope& scope, const Peer& peer, ByteView frame,
                         Outcomes& outcomes) const;
    [[nodiscard]] Outcome check(const Scope& scope, consensus::Message message) const;
    void conclude(VerifyPool::Lane lane, const Outcome& outcome);
    Outcomes check_requests(const Scope& scope, const consensus::Endpoint& from,
                            const consensus::Endpoint& to,
                            const std::vector<consensus::Body>& bodies) const;
    void gather(const consensus::Endpoint& from, const consensus::Endpoint& to,
                consensus::Reply reply);
    void send_replies(const consensus::Endpoint& from, const consensus::Endpoint& to,
                      std::vector<consensus::Reply> replies);
    void tell_former(const consensus::Endpoint& from, const consensus::Endpoint& to,
                     const consensus::Payload& payload);
    void send_signed(const consensus::Endpoint& from, const consensus::Endpoint& to,
                     const consensus::Reply& reply);
    void hand_over(const consensus::Verified& verified);
    void dropped(VerifyPool::Lane lane, const Dropped& drop);
    VerifyPool::Lane lane_of(ByteView key);
    void deliver_here(const consensus::Endpoint& from, const consensus::Endpoint& to,
                      const consensus::Payload& payload);
    void send_out(const consensus::Endpoint& to, std::shared_ptr<const Bytes> frame);
    [[nodiscard]] const Bytes* key_of(const consensus::Endpoint& endpoint) const;
    void watch_overload();

    boost::asio::io_context& loop_;
    const Clock& clock_;
    std::shared_ptr<const Directory> directory_;  ///< workers have copies
    std::optional<HostId> self_;                  ///< once started
    std::set<HostId> dialled_;
    const catalog::Application& application_;
    Misbehaviour misbehaviour_;
    std::function<bool()> overloaded_;
    net::Links links_;
    boost::asio::steady_timer overload_timer_;
    std::map<consensus::Endpoint, Handler> handlers_;
    std::shared_ptr<const std::set<consensus::Endpoint>> here_;  ///< their names; workers have it
    std::vector<Lane> lanes_;  ///< lane 0 is this process, lane 1 are the clients without a link
    std::map<Bytes, VerifyPool::Lane> lane_by_key_;
    std::set<VerifyPool::Lane> congested_;  ///< paused for their own backlog
    std::set<VerifyPool::Lane> held_back_;  ///< paused for the node's
    std::uint64_t received_ = 0, rejected_ = 0, unsent_ = 0;
    /// By client and replica: what leaves at the end of this turn of the loop.
    std::map<std::pair<consensus::Endpoint, consensus::Endpoint>, std::vector<consensus::Reply>>
        replies_;
    bool replies_posted_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    ReplySigner* signer_ = nullptr;
    Stages* stages_ = nullptr;
    ClientTap tap_;
    Observer observer_;
    bool tap_full_ = false;  ///< lane 1 is congested
    VerifyPool pool_;        // last: its workers read what is above
};

}  // namespace bft::host

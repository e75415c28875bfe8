// The network between nodes: latency per directed link, loss, duplicates, reordering, replay of old
// messages, clogs and cuts. Every message passes the real Verifier.
#pragma once

#include "base/prng.hpp"
#include "checker.hpp"
#include "consensus/engine.hpp"
#include "plan.hpp"
#include "timeline.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

namespace bft::sim {

class Network {
public:
    using Packet = std::shared_ptr<const consensus::Verified>;
    using Deliver = std::function<void(const consensus::Endpoint& to, const Packet& packet)>;

    Network(Timeline& time, const consensus::Verifier& verifier, Checker& checker,
            NetworkFaults faults, Prng prng)
        : time_(time), verifier_(verifier), checker_(checker), faults_(faults), prng_(prng) {}

    void on_deliver(Deliver deliver) { deliver_ = std::move(deliver); }
    /// False loses the message. For scripts.
    using Filter = std::function<bool(const consensus::Endpoint& from,
                                      const consensus::Endpoint& to, const consensus::Payload&)>;
    void on_send(Filter filter) { filter_ = std::move(filter); }
    /// Sends one payload to several nodes; verified once, as every receiver would.
    void send(const consensus::Endpoint& from, consensus::Send send);

    /// One direction between two endpoints delivers nothing until `when`, then everything.
    void clog(const consensus::Endpoint& from, const consensus::Endpoint& to, TimePoint when);
    /// Everything from `from` to `to` is lost until `when`.
    void cut(const consensus::Endpoint& from, const consensus::Endpoint& to, TimePoint when);
    /// No faults from now on; ordinary latencies.
    void heal();
    /// Faults again, as the plan has them.
    void disturb() { healed_ = false; }
    /// No node of `side` hears one outside of it, nor the other way round, until `when`.
    void split(std::set<consensus::Endpoint> side, TimePoint when) {
        side_ = std::move(side);
        split_until_ = when;
    }

    [[nodiscard]] std::uint64_t sent() const { return sent_; }
    [[nodiscard]] std::uint64_t refused() const { return refused_; }

private:
    struct Link {
        Duration latency{};
        Duration healthy{};  ///< its latency without faults
        TimePoint clogged_until{};
        TimePoint cut_until{};
    };
    Link& link(const consensus::Endpoint& from, const consensus::Endpoint& to);
    [[nodiscard]] bool lost_first(const consensus::Endpoint& from, const consensus::Endpoint& to,
                                  const consensus::Payload& payload);
    void carry(Link& link, const consensus::Endpoint& to, const Packet& packet, Duration extra);

    Timeline& time_;
    const consensus::Verifier& verifier_;
    Checker& checker_;
    NetworkFaults faults_;
    Prng prng_;
    Deliver deliver_;
    Filter filter_;
    bool healed_ = false;
    std::set<consensus::Endpoint> side_;
    TimePoint split_until_{};
    std::set<std::tuple<consensus::Endpoint, consensus::Endpoint, std::size_t>> first_lost_;
    struct EndsHash {
        std::size_t operator()(
            const std::pair<consensus::Endpoint, consensus::Endpoint>& ends) const {
            return one(ends.first) * 0x9e3779b97f4a7c15u + one(ends.second);
        }
        static std::size_t one(const consensus::Endpoint& end) {
            std::size_t place = std::size_t{end.group.value} << 24 | std::size_t{end.index} << 8 |
                                static_cast<std::size_t>(end.role);
            return place ^ end.client.value << 40;
        }
    };
    std::unordered_map<std::pair<consensus::Endpoint, consensus::Endpoint>, std::size_t, EndsHash>
        places_;              ///< of a link in links_
    std::deque<Link> links_;  ///< in the order of their first messages
    std::vector<std::pair<consensus::Endpoint, Packet>> recorded_;
    std::uint64_t sent_ = 0;
    std::uint64_t refused_ = 0;
};

}  // namespace bft::sim

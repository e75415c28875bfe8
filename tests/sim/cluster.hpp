// What the nodes of one simulated cluster share.
#pragma once

#include "base/prng.hpp"
#include "checker.hpp"
#include "consensus/configuration.hpp"
#include "consensus/membership.hpp"
#include "network.hpp"
#include "plan.hpp"
#include "quirks.hpp"
#include "timeline.hpp"
#include "tokens.hpp"
#include "tpm.hpp"

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace bft::sim {

/// What happened, as a running hash and, when wanted, as text.
class Trace {
public:
    explicit Trace(bool text) : text_(text) {}
    [[nodiscard]] bool text() const { return text_; }
    void mark(std::uint64_t a, std::uint64_t b) { hash_ = mix(hash_, mix(a, b)); }
    void line(TimePoint now, const std::string& what);
    [[nodiscard]] std::uint64_t hash() const { return hash_; }

private:
    bool text_;
    std::uint64_t hash_ = 0;
};

/// What a host's clocks make of the time (A13, A14).
struct HostClock {
    std::int64_t drift_ppm = 0;  ///< of the monotonic clock
    std::int64_t wall_ms = 0;    ///< the wall clock is ahead

    [[nodiscard]] TimePoint local(TimePoint time) const {
        auto ns = time.time_since_epoch().count();
        return TimePoint(Duration(ns + ns / 1'000'000 * drift_ppm));
    }
    /// When a timer for `local` goes off: never too early.
    [[nodiscard]] TimePoint global(TimePoint local) const {
        if (drift_ppm == 0) return local;
        auto ns = local.time_since_epoch().count();
        return TimePoint(Duration(ns / (1'000'000 + drift_ppm) * 1'000'000 + 1'000'000));
    }
};

/// Where a process may die (A7).
enum class Moment : std::uint8_t {
    persist,    ///< records are written and not yet synced
    durable,    ///< synced, and nothing of what rests on it has happened
    certify,    ///< before the TPM is asked
    certified,  ///< the certificate exists, the engine has not got it
    send,
};
inline constexpr int moments = 5;
const char* to_string(Moment moment);

class Node {
public:
    virtual ~Node() = default;
    virtual void receive(const Network::Packet& packet) = 0;
};

/// Takes every signature for good.
[[nodiscard]] consensus::SignatureChecker& believe_all();

struct Cluster {
    Cluster(const Plan& plan, bool log);

    [[nodiscard]] consensus::Now now() const { return now(HostClock{}); }
    [[nodiscard]] consensus::Now now(const HostClock& clock) const {
        auto ms =
            std::chrono::duration_cast<std::chrono::milliseconds>(time.now().time_since_epoch());
        return {clock.local(time.now()),
                static_cast<UnixMillis>(1'700'000'000'000 + ms.count() + clock.wall_ms)};
    }
    [[nodiscard]] HostClock& clock_of(const consensus::Endpoint& node) {
        return clocks[membership.host_of(node)->value];
    }
    /// A7: `node` is at such a moment; true when it is to die there.
    [[nodiscard]] bool dies(const consensus::Endpoint& node, Moment moment) {
        if (!count_moments) return false;
        return ++moments_seen[{node, moment}] == death.when && node == death.who &&
               moment == death.moment;
    }
    [[nodiscard]] SimTpm& tpm_of(const consensus::Endpoint& node) {
        return *tpms[membership.host_of(node)->value];
    }
    [[nodiscard]] bool correct(const consensus::Endpoint& node) const {
        return checker.correct(node);
    }
    [[nodiscard]] Prng split() { return prng.split(); }
    [[nodiscard]] std::unique_ptr<SimTpm> make_tpm();
    [[nodiscard]] bool listening() const { return trace.text() || listener; }
    void log(const consensus::Endpoint& node, const std::string& what) {
        if (trace.text()) trace.line(time.now(), consensus::to_string(node) + " " + what);
        if (listener) listener(node, what);
    }
    /// A later configuration is in force: its hosts exist from now on. False: it was known.
    bool configured(const consensus::BarrierCertPtr& barrier);
    void spare_orderers();
    /// Replacements of a host fail with the machine that it was, unless that is gone for good.
    [[nodiscard]] std::uint32_t machine_of(const consensus::Endpoint& node) const {
        return membership.host_of(node)->value % plan.machines();
    }
    /// The others of its group, of one that was removed as it was last.
    [[nodiscard]] std::vector<consensus::Endpoint> peers(const consensus::Endpoint& replica) const;
    /// A member, as far as it is a replica.
    [[nodiscard]] bool member(const consensus::Endpoint& node) const {
        return node.role != consensus::Endpoint::Role::replica ||
               membership.active(node.group, Position(node.index));
    }
    /// A rare branch was taken (faults.md 3.5): CI wants each of them now and then.
    void reach(std::string_view what) {
        auto found = reached.find(what);
        if (found == reached.end()) found = reached.emplace(what, 0).first;
        ++found->second;
    }
    /// An engine's event: to the checker, the probes and whoever listens.
    void event(const consensus::Endpoint& node, const consensus::Event& event);
    /// No change of the configuration is under way (set by whoever asks for them).
    std::function<bool()> nobody_changes = [] { return true; };
    [[nodiscard]] const Bytes& client_key(ClientId id) const { return membership.clients.at(id); }
    /// The identity key of a node's host.
    [[nodiscard]] Bytes sign(const consensus::Endpoint& node, const Digest& digest) const {
        return tokens.sign(*membership.identity_key(node), digest);
    }

    const Plan& plan;
    Prng prng;
    Timeline time;
    Trace trace;
    std::unique_ptr<Seals> seals;
    Seals& tokens;
    SimQuirks quirks;
    consensus::Membership membership;         ///< everybody, as of the newest configuration
    const consensus::Membership genesis;      ///< what cluster files say
    consensus::ConfigHistory configs;         ///< what is in force
    consensus::Membership voter_membership;   ///< the same, unless a mutation says otherwise
    consensus::Membership client_membership;  ///< likewise
    Checker checker;
    std::unique_ptr<consensus::SignatureChecker> lenient;
    consensus::Verifier verifier;
    Network network;
    std::vector<std::unique_ptr<SimTpm>> tpms;  ///< by host
    std::deque<HostClock> clocks;               ///< likewise
    std::map<consensus::Endpoint, Node*> nodes;
    struct Death {
        consensus::Endpoint who;
        Moment moment{};
        std::uint64_t when = 0;  ///< the how manieth; 0: never
    } death;
    bool count_moments = false;
    std::map<std::pair<consensus::Endpoint, Moment>, std::uint64_t> moments_seen;
    /// Somebody has a configuration in force.
    std::function<void(const consensus::BarrierCertPtr&)> on_barrier;
    std::function<void(const consensus::Endpoint&)> on_death;
    std::map<std::string, std::uint64_t, std::less<>> reached;
    std::uint64_t suspicions = 0;     ///< of correct replicas
    std::uint64_t views_entered = 0;  ///< likewise, of members
    bool nobody_to_blame = false;     ///< a suspicion breaks L-NOFALSE now
    std::function<void(const consensus::Endpoint&, const std::string&)> listener;
};

}  // namespace bft::sim

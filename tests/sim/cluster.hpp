// What the nodes of one simulated cluster share.
#pragma once

#include "base/prng.hpp"
#include "checker.hpp"
#include "consensus/membership.hpp"
#include "network.hpp"
#include "plan.hpp"
#include "timeline.hpp"
#include "tokens.hpp"
#include "tpm.hpp"

#include <map>
#include <memory>
#include <string>
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

class Node {
public:
    virtual ~Node() = default;
    virtual void receive(const Network::Packet& packet) = 0;
};

struct Cluster {
    Cluster(const Plan& plan, bool log);

    [[nodiscard]] consensus::Now now() const {
        auto ms =
            std::chrono::duration_cast<std::chrono::milliseconds>(time.now().time_since_epoch());
        return {time.now(), static_cast<UnixMillis>(1'700'000'000'000 + ms.count())};
    }
    [[nodiscard]] SimTpm& tpm_of(const consensus::Endpoint& node) {
        return *tpms[membership.host_of(node)->value];
    }
    [[nodiscard]] bool correct(const consensus::Endpoint& node) const {
        return checker.correct(node);
    }
    [[nodiscard]] Prng split() { return prng.split(); }
    [[nodiscard]] bool listening() const { return trace.text() || listener; }
    void log(const consensus::Endpoint& node, const std::string& what) {
        if (trace.text()) trace.line(time.now(), consensus::to_string(node) + " " + what);
        if (listener) listener(node, what);
    }
    /// A rare branch was taken (faults.md 3.5): CI wants each of them now and then.
    void reach(const std::string& what) { ++reached[what]; }
    /// An engine's event: to the checker, the probes and whoever listens.
    void event(const consensus::Endpoint& node, const consensus::Event& event);
    [[nodiscard]] const Bytes& client_key(ClientId id) const { return membership.clients.at(id); }
    /// The identity key of a node's host.
    [[nodiscard]] Bytes sign(const consensus::Endpoint& node, const Digest& digest) const {
        return tokens.sign(*membership.identity_key(node), digest);
    }

    const Plan& plan;
    Prng prng;
    Timeline time;
    Trace trace;
    TokenTable tokens;
    consensus::Membership membership;
    consensus::Membership voter_membership;   ///< the same, unless a mutation says otherwise
    consensus::Membership client_membership;  ///< likewise
    Checker checker;
    std::unique_ptr<consensus::SignatureChecker> lenient;
    consensus::Verifier verifier;
    Network network;
    std::vector<std::unique_ptr<SimTpm>> tpms;  ///< by host
    std::map<consensus::Endpoint, Node*> nodes;
    std::map<std::string, std::uint64_t> reached;
    std::uint64_t suspicions = 0;     ///< of correct replicas
    std::uint64_t views_entered = 0;  ///< likewise
    bool nobody_to_blame = false;     ///< a suspicion breaks L-NOFALSE now
    std::function<void(const consensus::Endpoint&, const std::string&)> listener;
};

}  // namespace bft::sim

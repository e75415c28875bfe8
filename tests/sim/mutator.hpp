// Small changes of real messages (ByzzFuzz's small scope): a number one off, a digest of something
// else, a list cut or repeated, an old message again; signed anew as far as its owner may, or
// changed as bytes, below the decoder.
#pragma once

#include "cluster.hpp"
#include "engine_node.hpp"

#include <deque>
#include <vector>

namespace bft::sim {

class Mutator {
public:
    Mutator(Cluster& cluster, const consensus::Endpoint& self, Prng prng)
        : cluster_(cluster), self_(self), prng_(prng) {}

    /// Material for what comes later.
    void saw(const consensus::Payload& payload);
    /// Sends something like `payload` to `to`, or to others.
    void send_like(const consensus::Payload& payload, std::vector<consensus::Endpoint> to);
    /// Sends something like what was seen before.
    void send_old();

private:
    class Walk;
    void keep_number(std::uint64_t number);
    [[nodiscard]] consensus::Payload twisted(consensus::Payload payload);
    [[nodiscard]] std::vector<consensus::Endpoint> receivers(std::vector<consensus::Endpoint> to);
    void send(consensus::Payload payload, std::vector<consensus::Endpoint> to);
    void sign_and_send(consensus::Payload payload, std::vector<consensus::Endpoint> to);
    void send_bytes(const consensus::Payload& payload, std::vector<consensus::Endpoint> to);
    template <class M>
    void certify(M message, const Digest& digest, std::vector<consensus::Endpoint> to);

    Cluster& cluster_;
    consensus::Endpoint self_;
    Prng prng_;
    std::deque<consensus::Payload> seen_;
    std::deque<Digest> digests_;
    std::deque<std::uint64_t> numbers_;
};

/// A correct engine whose words are sometimes joined, or replaced, by something like them.
class MutatingLiar final : public Liar {
public:
    MutatingLiar(Cluster& cluster, const consensus::Endpoint& self, Prng prng)
        : prng_(prng), mutator_(cluster, self, prng_.split()) {}

    void saw(const consensus::Verified& message) override { mutator_.saw(message.payload()); }
    void rewrite(std::vector<consensus::Send>& sends) override;
    void tick() override;

private:
    Prng prng_;
    Mutator mutator_;
};

}  // namespace bft::sim

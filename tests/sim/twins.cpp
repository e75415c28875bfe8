#include "twins.hpp"

#include <algorithm>

namespace bft::sim {

using namespace consensus;

// --- the address ---

SharedAddress::SharedAddress(Cluster& cluster, const Endpoint& self, Prng prng)
    : cluster_(cluster), prng_(prng) {
    cluster.nodes[self] = this;
}

void SharedAddress::start() {
    shuffle();
}

// Twins (Bano et al.): a partition of the others between the two, another one every round.
void SharedAddress::shuffle() {
    sides_.clear();
    unsigned everyone = prng_.chance(250) ? 3 : 0;
    unsigned one = prng_.chance(200) ? static_cast<unsigned>(prng_.between(1, 2)) : 0;
    for (const auto& [other, node] : cluster_.nodes)
        sides_[other] = everyone | (one != 0 ? one : static_cast<unsigned>(prng_.between(1, 2)));
    cluster_.time.after(Duration(prng_.between(20'000'000, 600'000'000)), [this] { shuffle(); });
}

bool SharedAddress::reaches(std::size_t which, const Endpoint& other) {
    return (sides_[other] & (1u << which)) != 0;
}

void SharedAddress::receive(const Network::Packet& packet) {
    for (std::size_t which = 0; which < nodes_.size(); ++which)
        if (reaches(which, packet->from())) nodes_[which]->receive(packet);
}

// --- engines ---

class EngineTwin::Voice final : public Liar {
public:
    Voice(SharedAddress& address, std::size_t which) : address_(address), which_(which) {}
    void saw(const Verified&) override {}
    void rewrite(std::vector<Send>& sends) override {
        for (Send& send : sends)
            std::erase_if(send.to,
                          [&](const Endpoint& to) { return !address_.reaches(which_, to); });
        std::erase_if(sends, [](const Send& send) { return send.to.empty(); });
    }
    void tick() override {}

private:
    SharedAddress& address_;
    std::size_t which_;
};

EngineTwin::EngineTwin(Cluster& cluster, EngineNode& first, Prng prng)
    : first_(first),
      cluster_(cluster),
      prng_(prng),
      second_(cluster, first.self()),
      address_(cluster, first.self(), prng_.split()) {
    address_.share(first_, second_);
    first_.set_liar(std::make_unique<Voice>(address_, 0));
    second_.set_liar(std::make_unique<Voice>(address_, 1));
}

// The second one starts at once, or later with nothing, or with a copy of the first one's disk.
void EngineTwin::start() {
    address_.start();
    if (prng_.chance(500)) {
        second_.boot();
    } else {
        bool cloned = prng_.chance(700);
        cluster_.time.after(Duration(prng_.below(800'000'000)), [this, cloned] {
            if (stopped_) return;
            if (cloned) second_.clone_disk(first_);
            second_.boot();
            cluster_.reach(second_.up() ? "a twin starts later" : "a twin refuses to start");
        });
    }
    disturb();
}

// Now and then one of them restarts: its log and the counter, which both moved, must agree.
void EngineTwin::disturb() {
    cluster_.time.after(Duration(prng_.between(200'000'000, 2'000'000'000)), [this] {
        if (stopped_) return;
        EngineNode& one = prng_.chance(500) ? first_ : second_;
        if (one.up() && prng_.chance(300)) {
            one.crash();
            cluster_.time.after(Duration(prng_.below(300'000'000)), [this, &one] {
                if (stopped_) return;
                one.boot();
                cluster_.reach(one.up() ? "a twin restarts" : "a restarted twin refuses to start");
            });
        }
        disturb();
    });
}

void EngineTwin::stop() {
    stopped_ = true;
    second_.crash();
}

// --- voters ---

VoterTwin::VoterTwin(Cluster& cluster, VoterNode& first, Prng prng)
    : second_(cluster, VoterId(first.self().index), prng.split()),
      address_(cluster, first.self(), prng.split()) {
    address_.share(first, second_);
}

void VoterTwin::start() {
    address_.start();
    second_.boot();
}

}  // namespace bft::sim

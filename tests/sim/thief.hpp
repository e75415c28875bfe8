// Whoever has a client's key that is not in force any more, and goes on asking with it (CF12):
// nothing of it may be executed, whoever orders it.
#pragma once

#include "cluster.hpp"

namespace bft::sim {

class Thief {
public:
    Thief(Cluster& cluster, ClientId as, Bytes key, Prng prng);

    void start();
    void stop() { stopped_ = true; }

private:
    void ask();

    Cluster& cluster_;
    ClientId as_;
    Bytes key_;
    Prng prng_;
    std::uint64_t asked_ = 0;
    bool stopped_ = false;
};

}  // namespace bft::sim

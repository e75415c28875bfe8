// What goes wrong in the chaos phase, as the plan allows.
#pragma once

#include "world.hpp"

namespace bft::sim {

class Nemesis {
public:
    explicit Nemesis(World& world) : world_(world), plan_(world.plan), prng_(world.prng.split()) {}

    void start();
    /// Once more, after all was healed: what comes again and again.
    void resume() { again(); }

private:
    void again();
    void disturb();
    void disturb_network(TimePoint until);
    void disturb_machines();
    void disturb_primaries();
    void disturb_ports();
    void disturb_databases();
    void disturb_transfer(std::uint32_t voter);
    void long_outage();
    void swizzle();
    void crash_role();
    void pause_someone();
    [[nodiscard]] Duration a_while(std::uint64_t milliseconds_max);
    [[nodiscard]] std::vector<consensus::Endpoint> everyone() const;

    World& world_;
    const Plan& plan_;
    Prng prng_;
    std::set<std::uint32_t> out_;  ///< voters that are away until all is healed
};

}  // namespace bft::sim

#include "nemesis.hpp"

#include <algorithm>

namespace bft::sim {

using namespace consensus;

Duration Nemesis::a_while(std::uint64_t milliseconds_max) {
    return Duration(prng_.between(1'000'000, milliseconds_max * 1'000'000));
}

std::vector<Endpoint> Nemesis::everyone() const {
    std::vector<Endpoint> ends;
    for (const auto& [endpoint, node] : world_.cluster.nodes) ends.push_back(endpoint);
    return ends;
}

void Nemesis::start() {
    for (std::uint32_t machine : plan_.gone)
        world_.cluster.time.after(
            Duration(prng_.below(static_cast<std::uint64_t>(plan_.chaos.count()))),
            [this, machine] { world_.lose_machine(machine); });
    if (plan_.power_cuts)
        world_.cluster.time.after(
            Duration(prng_.below(static_cast<std::uint64_t>(plan_.chaos.count()))),
            [this] { world_.power_cut(); });
    if (plan_.long_away) {
        // Its voter stays: databases that lack what was executed are rebuilt by others (DBS4).
        auto machine = static_cast<std::uint32_t>(prng_.below(plan_.replicas()));
        world_.cluster.time.after(a_while(800), [this, machine] { world_.send_away(machine); });
    }
    if (plan_.long_outage) long_outage();
    again();
}

void Nemesis::again() {
    world_.cluster.time.after(Duration(prng_.between(5'000'000, 150'000'000)), [this] {
        if (world_.healed) return;
        disturb();
        again();
    });
}

void Nemesis::disturb() {
    disturb_network(world_.cluster.time.now() + a_while(800));
    disturb_machines();
    disturb_primaries();
    disturb_ports();
    disturb_databases();
}

// G15: longer than the replicas keep what these databases miss.
void Nemesis::long_outage() {
    std::set<std::uint32_t> away;
    while (away.size() < plan_.f_of_databases())
        away.insert(static_cast<std::uint32_t>(prng_.below(plan_.voters())));
    world_.cluster.time.after(a_while(300), [this, away] {
        for (std::uint32_t d : away) world_.voters[d]->crash();
        out_ = away;
    });
}

// Disks, TPMs and clocks.
void Nemesis::disturb_ports() {
    TimePoint now = world_.cluster.time.now();
    auto& nodes = prng_.chance(300) ? world_.primaries : world_.replicas;
    EngineNode* node = nodes[prng_.below(nodes.size())].get();
    bool there = node != nullptr && world_.in_core(node->self());
    if (plan_.log_failures && there && prng_.chance(100)) node->fail_disk(a_while(700));
    if (plan_.slow_disks && there && prng_.chance(100)) {
        node->mutable_disk().slow_until(now + a_while(2000), a_while(1000));
        world_.cluster.reach("disk slow");
    }
    auto machine = prng_.below(plan_.machines());
    if (plan_.tpm_slow && prng_.chance(50)) {
        world_.cluster.tpms[machine]->slow_until(now + a_while(3000), a_while(2500));
        world_.cluster.reach("TPM slow");
    }
    if (plan_.wrong_clocks && prng_.chance(50)) {
        std::int64_t jump = static_cast<std::int64_t>(prng_.below(7'200'000)) - 3'600'000;
        world_.cluster.clocks[machine].wall_ms = jump;
        world_.cluster.reach("wall clock jumps");
    }
}

void Nemesis::disturb_databases() {
    TimePoint now = world_.cluster.time.now();
    auto voter = static_cast<std::uint32_t>(prng_.below(plan_.voters()));
    if (plan_.database_full && prng_.chance(100)) {
        world_.voters[voter]->full_until(now + a_while(1500));
        world_.cluster.reach("database full");
    }
    for (std::uint32_t d : plan_.tampered) {
        auto state = world_.voters[d]->guard() != nullptr
                         ? world_.voters[d]->guard()->report().state
                         : DatabaseGuard::State::waiting;
        if (state == DatabaseGuard::State::sound && prng_.chance(150))
            world_.voters[d]->tamper(static_cast<SimDatabase::Tampering>(prng_.below(5)));
        if (state == DatabaseGuard::State::fetching || state == DatabaseGuard::State::loading)
            disturb_transfer(d);
    }
}

// G14: a donor goes away in the middle, or who is being rebuilt itself.
void Nemesis::disturb_transfer(std::uint32_t voter) {
    if (!prng_.chance(500)) return;
    auto who = static_cast<std::uint32_t>(prng_.below(plan_.voters()));
    VoterNode& node = *world_.voters[who];
    if (world_.gone(node.self())) return;
    world_.cluster.reach(who == voter ? "voter crashes while its database is rebuilt"
                                      : "a donor crashes in the middle of a transfer");
    node.crash();
    world_.cluster.time.after(a_while(1000), [this, &node] {
        if (!world_.gone(node.self())) node.boot();
    });
}

void Nemesis::disturb_network(TimePoint until) {
    Network& network = world_.cluster.network;
    std::vector<Endpoint> ends = everyone();
    auto anyone = [&] { return ends[prng_.below(ends.size())]; };
    if (plan_.network.clogs && prng_.chance(300)) network.clog(anyone(), anyone(), until);
    if (plan_.network.cuts && prng_.chance(300)) {
        // One direction, for a node or between two.
        Endpoint from = anyone();
        bool isolated = prng_.chance(300);
        Endpoint to = anyone();
        for (const Endpoint& other : ends)
            if (isolated || other == to) network.cut(from, other, until);
    }
    if (plan_.network.splits && prng_.chance(60)) {
        // By machine, or any nodes (B3, B5, B7).
        bool by_machine = prng_.chance(500);
        std::set<std::uint32_t> machines;
        for (std::uint32_t m = 0; m < plan_.machines(); ++m)
            if (prng_.chance(400)) machines.insert(m);
        std::set<Endpoint> side;
        for (const Endpoint& each : ends) {
            auto host = world_.cluster.membership.host_of(each);
            if (by_machine && host ? machines.contains(host->value) : prng_.chance(400))
                side.insert(each);
        }
        network.split(std::move(side), world_.cluster.time.now() + a_while(2000));
        world_.cluster.reach("network split");
    }
    if (plan_.network.swizzles && prng_.chance(40)) swizzle();
}

// B10: nodes fall silent one by one, and are heard again in another order.
void Nemesis::swizzle() {
    std::vector<Endpoint> ends = everyone();
    std::erase_if(ends, [&](const Endpoint&) { return prng_.chance(600); });
    for (const Endpoint& each : ends) {
        Duration begins = a_while(300);
        TimePoint ends_at = world_.cluster.time.now() + begins + a_while(700);
        world_.cluster.time.after(begins, [this, each, ends_at] {
            if (world_.healed) return;
            for (const Endpoint& other : everyone())
                world_.cluster.network.clog(each, other, ends_at);
        });
    }
}

void Nemesis::disturb_machines() {
    if (plan_.crashes && prng_.chance(150)) {
        auto machine = static_cast<std::uint32_t>(prng_.below(plan_.replicas()));
        world_.crash_machine(machine);
        world_.cluster.time.after(a_while(700), [this, machine] { world_.boot_machine(machine); });
    }
    if (plan_.role_crashes && prng_.chance(200)) crash_role();
    if (plan_.pauses && prng_.chance(60)) pause_someone();
    if (plan_.tpm_outages && prng_.chance(60)) {
        auto machine = prng_.below(plan_.machines());
        world_.cluster.tpms[machine]->away_until(world_.cluster.time.now() + a_while(1500));
        world_.cluster.reach("TPM away");
    }
}

void Nemesis::disturb_primaries() {
    EngineNode* primary = world_.primaries[prng_.below(world_.primaries.size())].get();
    if (primary == nullptr || !world_.cluster.correct(primary->self())) return;
    std::uint32_t machine = world_.cluster.membership.host_of(primary->self())->value;
    if (plan_.primary_crashes && prng_.chance(100)) {
        // Its own machine dies with it, or only the process.
        if (machine >= plan_.replicas() && prng_.chance(500))
            world_.crash_machine(machine);
        else
            primary->crash();
        world_.cluster.time.after(a_while(prng_.chance(300) ? 4000 : 500),
                                  [this, machine] { world_.boot_machine(machine); });
    }
    if (plan_.resigns && prng_.chance(40)) primary->resign();
}

void Nemesis::crash_role() {
    std::size_t which = prng_.below(world_.replicas.size() + world_.voters.size());
    Duration wait = a_while(500);
    if (which < world_.replicas.size()) {
        EngineNode& node = *world_.replicas[which];
        if (!world_.cluster.correct(node.self())) return;
        node.crash();
        world_.cluster.time.after(wait, [this, &node] {
            if (!world_.gone(node.self())) node.boot();
        });
        return;
    }
    VoterNode& node = *world_.voters[which - world_.replicas.size()];
    node.crash();
    world_.cluster.time.after(wait, [this, &node] {
        bool out = !world_.healed && out_.contains(node.self().index);
        if (!world_.gone(node.self()) && !out) node.boot();
    });
}

// A10.
void Nemesis::pause_someone() {
    auto& nodes = prng_.chance(300) ? world_.primaries : world_.replicas;
    EngineNode* node = nodes[prng_.below(nodes.size())].get();
    if (node == nullptr || !node->up()) return;
    node->pause();
    world_.cluster.reach("process paused");
    world_.cluster.time.after(a_while(3000), [node] { node->resume(); });
}

}  // namespace bft::sim

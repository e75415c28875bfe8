#include "mind.hpp"

#include "consensus/signed_bytes.hpp"
#include "dark_leader.hpp"
#include "puppet.hpp"

namespace bft::sim {

using namespace consensus;

Mind::Mind(Cluster& cluster, Prng prng)
    : cluster_(cluster), prng_(prng), plot_(*cluster.plan.plot) {}

Mind::~Mind() = default;

std::unique_ptr<Liar> Mind::puppet(EngineNode& node) {
    return std::make_unique<Puppet>(*this, cluster_, node, prng_.split());
}

void Mind::lead(PrimaryId primary) {
    leaders_.push_back(std::make_unique<DarkLeader>(*this, cluster_, primary, prng_.split()));
}

void Mind::start() {
    for (auto& leader : leaders_) leader->start();
    round();
}

void Mind::silence() {
    for (auto& leader : leaders_) leader->stop();
}

void Mind::learn(const HeaderPtr& header) {
    headers_.keep(header_digest(*header), header);
}

void Mind::learn(const Prepare& prepare) {
    if (prepare.header) headers_.keep(prepare.hd, prepare.header);
}

std::vector<Position> Mind::positions(GroupId group) const {
    std::vector<Position> mine_of_group;
    for (const Endpoint& each : cluster_.membership.replicas(group))
        if (mine(each)) mine_of_group.emplace_back(each.index);
    return mine_of_group;
}

std::vector<Endpoint> Mind::audience(std::vector<Endpoint> all) {
    if (exclusive_ && !healed_)
        std::erase_if(all, [&](const Endpoint& e) { return !mine(e) && !favoured(e); });
    return all;
}

// A round: other favourites, perhaps the rest cut off from correct nodes, and at its end the view
// is brought down while they differ.
void Mind::round() {
    favoured_.clear();
    for (const Group& group : cluster_.membership.groups) {
        std::vector<Endpoint> correct = cluster_.membership.replicas(group.id);
        std::erase_if(correct, [&](const Endpoint& e) { return mine(e); });
        if (!correct.empty()) favoured_.insert(correct[prng_.below(correct.size())]);
    }
    exclusive_ = prng_.chance(500);
    Duration length = Duration(prng_.between(60'000'000, 900'000'000));
    if (plot_.isolates && !healed_ && prng_.chance(700)) isolate(length + length / 2);
    if (plot_.resigns && !healed_ && prng_.chance(700))
        cluster_.time.after(length * 3 / 4, [this] {
            for (auto& leader : leaders_) leader->resign();
        });
    cluster_.time.after(length, [this] { round(); });
}

void Mind::isolate(Duration how_long) {
    TimePoint until = cluster_.time.now() + how_long;
    for (const auto& [victim, node] : cluster_.nodes) {
        if (victim.role != Endpoint::Role::replica || mine(victim) || favoured(victim)) continue;
        for (const auto& [from, other] : cluster_.nodes)
            if (!mine(from)) cluster_.network.clog(from, victim, until);
    }
    cluster_.reach("colluders cut correct replicas off");
}

}  // namespace bft::sim

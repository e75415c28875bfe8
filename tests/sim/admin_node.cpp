#include "admin_node.hpp"

#include "consensus/signed_bytes.hpp"
#include "wire/codec.hpp"

#include <algorithm>

namespace bft::sim {

using namespace consensus;

namespace {

constexpr ClientId admin_client{900};
constexpr Duration patience = 400ms;

}  // namespace

AdminNode::AdminNode(Cluster& cluster, Prng prng)
    : cluster_(cluster),
      self_(Endpoint::of_client(admin_client)),
      prng_(prng),
      history_(cluster.membership) {
    cluster.nodes[self_] = this;
}

void AdminNode::start() {
    auto mean = static_cast<std::uint64_t>(cluster_.plan.moves_every.count());
    cluster_.time.after(Duration(prng_.below(2 * mean + 1)), [this] {
        if (stopped_) return;
        if (!wanted_) change_something();
        start();
    });
}

ConfigChange AdminNode::some_change() {
    const Configuration& now = history_.newest();
    ConfigChange change;
    change.version = now.version.next();
    for (const auto& [partition, owner] : now.owners) {
        if (partition.value == 0 || !prng_.chance(change.moves.empty() ? 500 : 250)) continue;
        const Group& to = now.groups[prng_.below(now.groups.size())];
        if (to.id != owner) change.moves.push_back({partition, to.id});
    }
    return change;
}

// Two of the three keys.
Body AdminNode::sign(ConfigChange change) {
    Digest digest = change_digest(cluster_.membership.cluster, change);
    std::uint64_t without = prng_.below(3);
    for (std::uint32_t key = 0; key < 3; ++key)
        if (key != without)
            change.signatures.push_back(
                {key, cluster_.tokens.sign(cluster_.membership.admins.keys[key], digest)});
    auto request = std::make_shared<Request>(config_request(change));
    request->raw = wire::encode_request(*request);
    request->rd = request_digest(request->raw);
    cluster_.checker.requested(request);
    return request;
}

void AdminNode::change_something() {
    ConfigChange change = some_change();
    if (change.moves.empty()) return;
    wanted_ = change.version;
    request_ = sign(std::move(change));
    rival_ = nullptr;
    if (ConfigChange other = some_change(); !other.moves.empty() && prng_.chance(250))
        rival_ = sign(std::move(other));
    cluster_.log(self_, "wants configuration " + std::to_string(wanted_->value));
    ask();
}

// Everybody who may order it and everybody who sees to that, until a barrier says what became of
// it.
void AdminNode::ask() {
    if (!wanted_) return;
    std::vector<Endpoint> to =
        cluster_.membership.replicas(*cluster_.membership.owner(PartitionId(0)));
    for (const Endpoint& each : cluster_.membership.all_primaries()) to.push_back(each);
    for (const Endpoint& each : to) {
        bool other = rival_ && prng_.chance(500);
        cluster_.network.send(self_, {{each}, other ? rival_ : request_});
        cluster_.network.send(self_, {{each}, FetchConfig{history_.newest().version}});
    }
    cluster_.time.after(patience, [this, version = *wanted_] {
        if (wanted_ == version) ask();
    });
}

void AdminNode::receive(const Network::Packet& packet) {
    const auto* barrier = std::get_if<BarrierCertPtr>(&packet->payload());
    if (barrier == nullptr || !history_.skip_to(*barrier)) return;
    if (!wanted_ || *wanted_ > version()) return;
    wanted_.reset();
    if (rival_) cluster_.reach("two admins wanted one version");
}

}  // namespace bft::sim

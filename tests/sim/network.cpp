#include "network.hpp"

namespace bft::sim {

using namespace consensus;

namespace {

constexpr std::size_t recorded_max = 512;

}  // namespace

Network::Link& Network::link(const Endpoint& from, const Endpoint& to) {
    auto [place, fresh] = places_.try_emplace({from, to}, links_.size());
    if (fresh) links_.emplace_back();
    Link& link = links_[place->second];
    if (fresh) {
        link.healthy = Duration(static_cast<std::int64_t>(prng_.between(50'000, 1'000'000)));
        link.latency = link.healthy;
        if (!healed_ && faults_.slow_links && prng_.chance(150))
            link.latency *= static_cast<int>(prng_.between(20, 100));
    }
    return link;
}

void Network::send(const Endpoint& from, Send send) {
    if (send.to.empty()) return;
    auto verified = verifier_.verify({from, send.to.front(), std::move(send.payload)});
    if (!verified) {
        ++refused_;
        if (checker_.correct(from)) checker_.refused(from, verified.error().what);
        return;
    }
    auto packet = std::make_shared<const Verified>(std::move(*verified));
    for (const Endpoint& to : send.to) {
        ++sent_;
        if (filter_ && !filter_(from, to, packet->payload())) continue;
        if (lost_first(from, to, packet->payload())) continue;
        Link& way = link(from, to);
        carry(way, to, packet, {});
        if (healed_) continue;
        if (prng_.chance(faults_.duplicate_permille))
            carry(way, to, packet, Duration(prng_.below(20'000'000)));
        if (faults_.replay_permille == 0) continue;
        if (recorded_.size() < recorded_max)
            recorded_.emplace_back(to, packet);
        else if (prng_.chance(100))
            recorded_[prng_.below(recorded_max)] = {to, packet};
        if (prng_.chance(faults_.replay_permille)) {
            const auto& [old_to, old] = recorded_[prng_.below(recorded_.size())];
            carry(link(old->from(), old_to), old_to, old, Duration(prng_.below(50'000'000)));
        }
    }
}

bool Network::lost_first(const Endpoint& from, const Endpoint& to, const Payload& payload) {
    if (!faults_.first_view_messages_lost || healed_) return false;
    bool of_views = std::holds_alternative<TriggerCertificate>(payload) ||
                    std::holds_alternative<ViewChangePtr>(payload) ||
                    std::holds_alternative<NewView>(payload) ||
                    std::holds_alternative<NewViewAccept>(payload) ||
                    std::holds_alternative<ViewChanges>(payload);
    return of_views && first_lost_.emplace(from, to, payload.index()).second;
}

void Network::carry(Link& link, const Endpoint& to, const Packet& packet, Duration extra) {
    if (!healed_) {
        if (link.cut_until > time_.now() || prng_.chance(faults_.loss_permille)) return;
        if (split_until_ > time_.now() && side_.contains(packet->from()) != side_.contains(to))
            return;
        if (prng_.chance(faults_.reorder_permille)) extra += Duration(prng_.below(10'000'000));
    }
    Duration latency = link.latency + Duration(prng_.below(100'000)) + extra;
    TimePoint when = std::max(time_.now(), link.clogged_until) + latency;
    time_.at(when, [this, to, packet] { deliver_(to, packet); });
}

void Network::clog(const Endpoint& from, const Endpoint& to, TimePoint when) {
    link(from, to).clogged_until = when;
}

void Network::cut(const Endpoint& from, const Endpoint& to, TimePoint when) {
    link(from, to).cut_until = when;
}

void Network::heal() {
    healed_ = true;
    split_until_ = {};
    for (Link& link : links_) {
        link.latency = link.healthy;
        link.clogged_until = {};
        link.cut_until = {};
    }
}

}  // namespace bft::sim

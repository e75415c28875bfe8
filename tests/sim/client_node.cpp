#include "client_node.hpp"

#include <algorithm>

namespace bft::sim {

using namespace consensus;

namespace {

constexpr std::size_t heard_max = 256;  // calls; late replies are of old ones

}  // namespace

namespace {

constexpr std::uint32_t refusals_enough = 20;

client::CoreOptions options(const Bytes& key) {
    client::CoreOptions options;
    if (!key.empty()) options.key = key_name(key);
    options.retry_after = 500ms;
    options.retry_max = 2s;
    return options;
}

}  // namespace

ClientNode::ClientNode(Cluster& cluster, ClientId self, Prng prng, Bytes key)
    : cluster_(cluster),
      id_(self),
      self_(Endpoint::of_client(self)),
      prng_(prng),
      key_(std::move(key)) {
    begin(ClientSeq(1));
    cluster.nodes[self_] = this;
}

void ClientNode::begin(ClientSeq first) {
    core_ = std::make_unique<client::ClientCore>(cluster_.client_membership, id_, options(key_),
                                                 first, prng_.next());
    known_ = cluster_.genesis;
}

void ClientNode::restart(Bytes key, bool quietly) {
    key_ = std::move(key);
    invoked_.clear();
    heard_.clear();
    begin(core_->highest());
    leaving_ = false;
    refused_ = 0;
    stopped_ = quietly;
    if (!quietly) start();
}

// Only who was told by f+1 replicas is refused, and then it is true.
void ClientNode::note_refusal(const client::Finished& done) {
    const std::uint64_t key = key_.empty() ? 0 : key_name(key_);
    if (done.reason != Rejected::Reason::not_a_client ||
        (!leaving_ && cluster_.nobody_changes() && cluster_.configs.newest().in_force(id_, key)))
        return cluster_.checker.fail("L-REPLY", to_string(self_) + " got no answer: " + done.text);
    cluster_.reach("a client that is gone is refused");
    if (++refused_ >= refusals_enough) stopped_ = true;
}

void ClientNode::start() {
    for (std::uint32_t i = 0; i < cluster_.plan.client_depth; ++i) call();
}

void ClientNode::call() {
    auto think = static_cast<std::uint64_t>(cluster_.plan.think.count());
    cluster_.time.after(Duration(prng_.below(think + 1)), [this] {
        if (stopped_) return;
        std::vector<PartitionId> parts;
        std::uint32_t all = cluster_.plan.partitions;
        parts.emplace_back(static_cast<std::uint32_t>(prng_.between(1, all)));
        PartitionId home = parts.front();
        if (prng_.chance(cluster_.plan.multi_permille))
            for (std::uint64_t more = prng_.between(1, 3); more > 0; --more)
                parts.emplace_back(static_cast<std::uint32_t>(prng_.between(1, all)));
        std::sort(parts.begin(), parts.end());
        parts.erase(std::unique(parts.begin(), parts.end()), parts.end());
        submit(home, std::move(parts), encode(prng_.next()));
    });
}

void ClientNode::submit(PartitionId home, std::vector<PartitionId> parts, Bytes op) {
    std::uint64_t token = ++tokens_;
    invoked_[token] = cluster_.time.now();
    auto submitted =
        core_->submit(token, home, std::move(parts), false, std::move(op), cluster_.time.now());
    if (!submitted) cluster_.checker.fail("L-CLIENT", submitted.error().what);
    pump();
}

void ClientNode::receive(const Network::Packet& packet) {
    HostId peer = cluster_.membership.host_of(packet->from()).value_or(HostId(~0u));
    if (const auto* reply = std::get_if<Reply>(&packet->payload())) {
        Heard& heard = heard_[reply->answer.rid][packet->from()];
        if (!heard.answer.has_result) heard = {reply->answer, reply->slot};
        if (heard_.size() > heard_max) heard_.erase(heard_.begin());
        core_->replied(peer, *reply, cluster_.time.now());
    } else if (const auto* barrier = std::get_if<BarrierCertPtr>(&packet->payload())) {
        show(packet, *barrier);
    } else if (const auto* rejected = std::get_if<Rejected>(&packet->payload())) {
        core_->rejected(peer, packet->from(), *rejected, cluster_.time.now());
    }
    pump();
}

void ClientNode::show(const Network::Packet& packet, const BarrierCertPtr& barrier) {
    if (barrier->config->version <= core_->config()) return;
    if (!Verifier(known_, cluster_.tokens).verify(packet->message())) {
        cluster_.reach("a client is shown a barrier by somebody whom it does not know yet");
        return core_->heard_of(packet->from(), barrier->config->version);
    }
    core_->configured(packet->from(), barrier, cluster_.time.now());
    if (core_->config() == barrier->config->version) follow(known_, *barrier->config);
}

// O6: fewer than f+1 sent the answer itself; what others sent was its digest.
void ClientNode::note_acceptance(const client::Finished& done) {
    auto heard = heard_.find(done.id);
    if (heard == heard_.end()) return;
    std::uint32_t full = 0;
    for (const auto& [node, what] : heard->second)
        if (what.answer.has_result && what.slot == done.slot &&
            what.answer.same_answer(done.answer))
            ++full;
    if (full > 0 && full < cluster_.membership.quorum())
        cluster_.reach("client accepts an answer and digests of it");
    heard_.erase(heard);
}

void ClientNode::pump() {
    for (;;) {
        client::ClientCore::Output output = core_->take_output();
        if (output.ask_config) {
            cluster_.reach("a client asks for the configuration");
            cluster_.network.send(self_, {output.ask_config->to, output.ask_config->question});
        }
        if (!output.sign && output.send.empty() && output.finished.empty()) break;
        for (const auto& send : output.send) {
            cluster_.checker.requested(send.body);
            cluster_.network.send(self_, {send.to, send.body});
        }
        for (const client::Finished& done : output.finished) {
            TimePoint invoked = invoked_.at(done.token);
            invoked_.erase(done.token);
            ++finished_;
            if (cluster_.listening())
                cluster_.log(self_, "accepted slot=" + std::to_string(done.slot.value) +
                                        " home=" + std::to_string(done.id.home.value) +
                                        " cseq=" + std::to_string(done.id.cseq.value) +
                                        " attempts=" + std::to_string(done.attempts));
            if (done.how != client::Finished::How::answered)
                note_refusal(done);
            else
                cluster_.checker.accepted(done.id, done.slot, done.answer, invoked,
                                          cluster_.time.now());
            note_acceptance(done);
            call();
        }
        if (output.sign) {
            Bytes signature = cluster_.tokens.sign(key_.empty() ? cluster_.client_key(id_) : key_,
                                                   output.sign->digest);
            core_->bundle_signed(*output.sign, signature, cluster_.time.now());
        }
    }
    arm_timer();
}

void ClientNode::arm_timer() {
    auto deadline = core_->next_deadline();
    if (!deadline || (timer_at_ && *timer_at_ <= *deadline)) return;
    TimePoint when = std::max(*deadline, cluster_.time.now());
    timer_at_ = when;
    cluster_.time.at(when, [this, when] {
        if (timer_at_ != when) return;
        timer_at_.reset();
        core_->tick(cluster_.time.now());
        pump();
    });
}

}  // namespace bft::sim

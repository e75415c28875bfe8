#include "voter_node.hpp"

#include "consensus/signed_bytes.hpp"

namespace bft::sim {

using namespace consensus;

VoterNode::VoterNode(Cluster& cluster, VoterId self, Prng prng)
    : cluster_(cluster),
      id_(self),
      self_(Endpoint::voter(self)),
      correct_(cluster.correct(self_)),
      prng_(prng),
      database_(cluster.time, cluster.plan, prng_.split(),
                [this](const Execution& execution, const ItemResult& result) {
                    if (correct_) cluster_.checker.executed(id_, execution, result);
                    if (!cluster_.listening()) return;
                    cluster_.log(self_, "executed slot=" + std::to_string(execution.slot.value) +
                                            " index=" + std::to_string(execution.item.index) +
                                            " worker=" + std::to_string(execution.worker));
                }) {
    cluster.nodes[self_] = this;
}

void VoterNode::boot() {
    if (up()) return;
    cluster_.log(self_, "boot");
    VoterOptions options;
    options.workers = cluster_.plan.workers;
    options.sender_bytes = cluster_.plan.voter_sender_bytes;
    options.answers_kept = cluster_.plan.voter_answers;
    options.in_flight_max = 64;
    voter_ = std::make_unique<Voter>(cluster_.voter_membership, id_, options, database_.next());
    database_.attach([this](const std::vector<Executed>& results) {
        voter_->executed(results, cluster_.now());
        pump();
    });
    voter_->tick(cluster_.now());
    pump();
}

void VoterNode::crash() {
    if (!up()) return;
    cluster_.log(self_, "crash");
    ++incarnation_;
    voter_.reset();
    timer_at_.reset();
    database_.detach();
}

void VoterNode::receive(const Network::Packet& packet) {
    if (!up()) return;
    voter_->receive(*packet, cluster_.now());
    pump();
}

void VoterNode::pump() {
    VoterOutput output = voter_->take_output();
    for (Lookup& lookup : output.lookup) {
        cluster_.reach("voter looks an answer up");
        cluster_.time.after(cluster_.plan.database_latency,
                            [this, lookup, incarnation = incarnation_] {
                                if (incarnation != incarnation_) return;
                                voter_->found(lookup, database_.lookup(lookup), cluster_.now());
                                pump();
                            });
    }
    for (Send& send : output.send) {
        if (std::holds_alternative<FetchDbItems>(send.payload))
            cluster_.reach("voter asks for a gap");
        if (correct_)
            cluster_.checker.sending(self_, send);
        else if (!rewrite(send))
            continue;
        cluster_.network.send(self_, send);
    }
    for (const Event& event : output.events) cluster_.event(self_, event);
    for (Execution& execution : output.execute) {
        if (execution.item.kind == ItemKind::nop) cluster_.reach("NOP executed");
        if (execution.item.seqs.size() > 1) cluster_.reach("item of several partitions executed");
        for (const PartitionSeq& s : execution.item.seqs)
            if (cluster_.membership.owner(s.partition) != execution.group) {
                cluster_.reach("item with a partition of another group executed");
                break;
            }
        database_.execute(std::move(execution));
    }
    arm_timer();
}

bool VoterNode::rewrite(Send& send) {
    const VoterLies& lies = cluster_.plan.voter_lies;
    if (lies.silent) return false;
    auto* reply = std::get_if<DbReply>(&send.payload);
    if (reply == nullptr) return true;
    bool same_for_all = cluster_.plan.mutation == Mutation::too_many_liars;
    for (ItemResult& item : reply->items) {
        if (lies.wrong_results && (same_for_all || prng_.chance(500))) {
            item.outcome = Outcome::ok;
            item.code = 0;
            item.result = same_for_all ? encode(item.rid.cseq.value) : encode(prng_.next());
            item.has_result = true;
            item.rdig = result_digest(item.outcome, item.code, item.result);
        } else if (lies.wrong_digests && !same_for_all && prng_.chance(500)) {
            item.rdig.bytes[0] ^= 1;
            item.result.clear();
            item.has_result = false;
        }
    }
    if (lies.wrong_results && prng_.chance(100)) reply->slot = reply->slot.next();
    return true;
}

void VoterNode::arm_timer() {
    auto deadline = voter_->next_deadline();
    if (!deadline || (timer_at_ && *timer_at_ <= *deadline)) return;
    TimePoint when = std::max(*deadline, cluster_.time.now());
    timer_at_ = when;
    cluster_.time.at(when, [this, when, incarnation = incarnation_] {
        if (incarnation != incarnation_ || timer_at_ != when) return;
        timer_at_.reset();
        voter_->tick(cluster_.now());
        pump();
    });
}

}  // namespace bft::sim

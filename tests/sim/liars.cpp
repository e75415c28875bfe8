#include "liars.hpp"

#include "base/merkle.hpp"
#include "consensus/signed_bytes.hpp"
#include "wire/codec.hpp"

namespace bft::sim {

using namespace consensus;

namespace {

constexpr std::size_t remembered = 32;

template <class T>
void remember(std::deque<T>& list, T value) {
    list.push_back(std::move(value));
    if (list.size() > remembered) list.pop_front();
}

Digest random_digest(Prng& prng) {
    Digest digest;
    for (auto& byte : digest.bytes) byte = static_cast<std::uint8_t>(prng.next());
    return digest;
}

}  // namespace

// --- replicas ---

LyingReplica::LyingReplica(Cluster& cluster, const Endpoint& self, const ReplicaLies& lies,
                           Prng prng)
    : cluster_(cluster),
      self_(self),
      lies_(lies),
      prng_(prng),
      lies_of_views_(cluster, self, lies, prng_.split()) {
    auto others = cluster.peers(self);
    shunned_ = others[prng_.below(others.size())];
}

void LyingReplica::send(std::vector<Endpoint> to, Payload payload) {
    cluster_.network.send(self_, {std::move(to), std::move(payload)});
}

void LyingReplica::saw(const Verified& message) {
    if (const auto* prepare = std::get_if<Prepare>(&message.payload()))
        remember(prepares_, *prepare);
    lies_of_views_.saw(message);
}

void LyingReplica::rewrite(std::vector<Send>& sends) {
    if (lies_.silent) return sends.clear();
    lies_of_views_.rewrite(sends);
    std::vector<Send> changed;
    for (Send& send : sends) {
        if (lies_.selective) std::erase(send.to, shunned_);
        if (lies_.wrong_commit && std::holds_alternative<Commit>(send.payload)) {
            if (prng_.chance(200)) continue;  // withheld: a gap for everybody
            if (prng_.chance(200)) send.to.resize(1);
        }
        if (auto* items = std::get_if<CommitDb>(&send.payload)) {
            remember(items_, *items);
            if (lies_.forged_items && prng_.chance(400)) forge_items(*items);
        }
        if (auto* reply = std::get_if<Reply>(&send.payload);
            reply != nullptr && lies_.wrong_replies && prng_.chance(600)) {
            reply->answer.result = encode(prng_.next());
            reply->answer.has_result = true;
            reply->answer.rdig =
                result_digest(reply->answer.outcome, reply->answer.code, reply->answer.result);
            if (prng_.chance(300)) reply->slot = reply->slot.next();
        }
        if (lies_.garbage_answers) {
            if (auto* found = std::get_if<Certificates>(&send.payload)) {
                if (prng_.chance(500)) continue;
                if (!found->prepares.empty()) found->prepares.erase(found->prepares.begin());
                if (!found->view_changes.empty()) found->view_changes.pop_back();
                if (!found->new_views.empty()) found->new_views.back().hd = random_digest(prng_);
                if (!found->commits.empty()) found->commits.back().nvd = random_digest(prng_);
            }
            if (auto* found = std::get_if<StatePartPtr>(&send.payload)) {
                auto twisted = std::make_shared<StatePart>(**found);
                if (prng_.chance(500))
                    twisted->state.null_digest = random_digest(prng_);
                else if (!twisted->state.windows.empty())
                    twisted->state.windows.begin()->second = {};
                else
                    twisted->parts = 1 + twisted->part;
                if (prng_.chance(800)) *found = std::move(twisted);
            }
            if (auto* gone = std::get_if<Gone>(&send.payload))
                gone->line = Counter(prng_.next() | 1);
            if (auto* found = std::get_if<Bodies>(&send.payload)) {
                auto twisted = std::make_shared<Request>(*found->bodies.front());
                twisted->op.push_back(1);
                twisted->raw.push_back(1);
                if (prng_.chance(500)) found->bodies.front() = twisted;
                if (prng_.chance(500)) found->bodies.pop_back();
            }
            if (auto* status = std::get_if<Status>(&send.payload); status && prng_.chance(300)) {
                status->delivered = Slot(UINT64_MAX);
                status->low = Slot(prng_.next());
                for (Counter& seen : status->ordering_seen) seen = Counter(UINT64_MAX);
                for (Counter& seen : status->votes_seen) seen = Counter(prng_.next());
            }
        }
        if (!send.to.empty()) changed.push_back(std::move(send));
    }
    sends = std::move(changed);
}

// Every field that a voter counts by, and items that nobody ordered.
void LyingReplica::forge_items(CommitDb& message) {
    if (message.items.empty()) return;
    DbItem& item = message.items[prng_.below(message.items.size())];
    switch (prng_.below(8)) {
        case 0:
            item.rd = random_digest(prng_);
            break;
        case 1:
            item.kind = ItemKind::nop;
            break;
        case 2:
            item.ts_ms += 1;
            break;
        case 3:
            item.seed ^= 1;
            break;
        case 4:
            item.seqs.front().seq = item.seqs.front().seq.next();
            break;
        case 5:
            message.slot = message.slot + prng_.between(1, 1000);
            break;
        case 6:
            item.index += 1;
            break;
        case 7:
            item.seqs.front().seq = Seq(prng_.chance(500) ? 0 : UINT64_MAX);
            break;
    }
}

void LyingReplica::certify_commit(const Prepare& prepare, bool to_all) {
    Commit commit;
    commit.group = self_.group;
    commit.position = Position(self_.index);
    commit.view = prepare.view;
    commit.to = prepare.slot;
    commit.hd = prepare.hd;
    commit.prepare = prepare;
    commit.prepare.header = nullptr;
    cluster_.checker.certifying(commit);
    Digest digest = commit_digest(cluster_.membership.cluster, commit);
    auto peers = cluster_.peers(self_);
    if (!to_all) peers.resize(1);
    cluster_.tpm_of(self_).create(*cluster_.membership.usig_of(self_), digest,
                                  [this, commit, peers](Ui ui) mutable {
                                      commit.ui = std::move(ui);
                                      send(peers, std::move(commit));
                                  });
}

// A PREPARE of another content with a certificate that is none: nobody may believe it.
void LyingReplica::forge_prepare() {
    if (prepares_.empty()) return;
    Prepare prepare = prepares_.back();
    auto header = std::make_shared<Header>(*prepare.header);
    header->ts_ms += 1;
    prepare.hd = header_digest(*header);
    prepare.header = header;
    send({cluster_.peers(self_).front()}, std::move(prepare));
}

void LyingReplica::corrupt(Output& output) {
    lies_of_views_.corrupt(output);
}

void LyingReplica::tick() {
    if (lies_.silent) return;
    lies_of_views_.tick();
    if (!prepares_.empty() && prng_.chance(200)) {
        if (lies_.early_commit) certify_commit(prepares_.back(), true);
        if (lies_.wrong_commit && prng_.chance(200))
            certify_commit(prepares_.front(), prng_.chance(500));
    }
    if (lies_.forged_items && !items_.empty() && prng_.chance(300)) {
        CommitDb forged = items_[prng_.below(items_.size())];
        forge_items(forged);
        send(cluster_.membership.all_voters(), std::move(forged));
    }
    if (lies_.garbage_answers && prng_.chance(200)) forge_prepare();
}

// --- clients ---

LyingClient::LyingClient(Cluster& cluster, ClientId self, const ClientLies& lies, Prng prng)
    : cluster_(cluster), self_(self), lies_(lies), prng_(prng) {
    cluster.nodes[Endpoint::of_client(self)] = this;
}

void LyingClient::start() {
    cluster_.time.after(Duration(prng_.below(20'000'000)), [this] {
        if (stopped_) return;
        act();
        start();
    });
}

Body LyingClient::make(PartitionId home, ClientSeq cseq, ClientSeq low,
                       std::vector<PartitionId> parts) {
    Request request;
    request.id = {self_, home, cseq};
    request.ack_low = low;
    request.parts = std::move(parts);
    request.op = encode(prng_.next());
    request.raw = wire::encode_request(request);
    request.rd = request_digest(request.raw);
    request.signature = cluster_.tokens.sign(
        cluster_.client_key(self_),
        bundle_digest(cluster_.membership.cluster, self_, merkle_root({request.rd})));
    auto body = std::make_shared<const Request>(std::move(request));
    cluster_.checker.requested(body);
    made_.push_back(body);
    if (made_.size() > remembered) made_.pop_front();
    return body;
}

void LyingClient::act() {
    for (int times = lies_.floods && prng_.chance(300) ? 10 : 1; times > 0; --times) ask();
}

void LyingClient::ask() {
    const Membership& m = cluster_.membership;
    Endpoint self = Endpoint::of_client(self_);
    PartitionId home(static_cast<std::uint32_t>(prng_.between(1, cluster_.plan.partitions)));
    GroupId group = *m.owner(home);
    std::vector<Endpoint> all = m.replicas(group);
    for (const Endpoint& primary : m.all_primaries()) all.push_back(primary);
    ClientSeq& next = next_[home];
    next = prng_.chance(20) ? next + prng_.between(1, 1u << 20) : next.next();
    if (lies_.far_numbers && prng_.chance(20))
        next = ClientSeq(prng_.chance(500) ? std::uint64_t{1} << 63 : prng_.between(1, 1000));
    ClientSeq low(next.value > 100 ? next.value - 100 : 0);
    if (prng_.chance(100)) low = next;
    if (lies_.false_lows && prng_.chance(300))
        low = ClientSeq(prng_.chance(500) ? next.value + prng_.below(2) : prng_.next());

    Body body = make(home, next, low, {home});
    if (lies_.one_replica && prng_.chance(500)) {
        cluster_.network.send(self, {{all[prng_.below(all.size())]}, body});
        return;
    }
    if (lies_.bad_partitions && prng_.chance(200)) {
        Body bad = make(home, next, low, {home, PartitionId(999)});
        cluster_.network.send(self, {all, bad});
        Body empty = make(home, next, low, {});
        cluster_.network.send(self, {all, empty});
    }
    if (lies_.two_contents && prng_.chance(500)) {
        for (const Endpoint& to : all)
            cluster_.network.send(self, {{to}, make(home, next, low, {home})});
        return;
    }
    if (lies_.bad_signatures && prng_.chance(300)) {
        auto unsigned_one = std::make_shared<Request>(*body);
        unsigned_one->signature.front() ^= 1;
        for (const Endpoint& to : all)
            cluster_.network.send(self, {{to}, prng_.chance(500) ? body : Body(unsigned_one)});
        return;
    }
    cluster_.network.send(self, {all, body});
    if (lies_.replays && prng_.chance(500))
        cluster_.network.send(self, {all, made_[prng_.below(made_.size())]});
}

// --- the primary ---

LyingPrimary::LyingPrimary(Cluster& cluster, const PrimaryLies& lies, Prng prng)
    : cluster_(cluster),
      lies_(lies),
      prng_(prng),
      tip_digest_(genesis_header_digest(cluster.membership.cluster)) {
    cluster.nodes[self_] = this;
}

void LyingPrimary::start() {
    cluster_.time.after(cluster_.plan.tpm_latency + Duration(prng_.below(10'000'000)), [this] {
        if (stopped_) return;
        order();
        start();
    });
}

void LyingPrimary::receive(const Network::Packet& packet) {
    if (stopped_) return;
    if (const auto* body = std::get_if<Body>(&packet->payload())) {
        if (bodies_.emplace((*body)->rd, *body).second && pool_.size() < 1000)
            pool_.push_back(*body);
    } else if (const auto* fetch = std::get_if<FetchCertificates>(&packet->payload())) {
        if (lies_.withholds && prng_.chance(800)) return;
        if (fetch->stream != StreamId::ordering(PrimaryId(0))) return;
        Certificates found;
        found.stream = fetch->stream;
        for (auto it = certified_.lower_bound(fetch->from);
             it != certified_.end() && it->first <= fetch->to && found.prepares.size() < 64; ++it)
            found.prepares.push_back(it->second);
        if (!found.prepares.empty())
            cluster_.network.send(self_, {{packet->from()}, std::move(found)});
    } else if (const auto* wanted = std::get_if<FetchBodies>(&packet->payload())) {
        Bodies found;
        for (const Digest& rd : wanted->rds)
            if (auto known = bodies_.find(rd); known != bodies_.end() && found.bodies.size() < 64)
                found.bodies.push_back(known->second);
        if (!found.bodies.empty())
            cluster_.network.send(self_, {{packet->from()}, std::move(found)});
    }
}

Header LyingPrimary::next_header() {
    Header header;
    header.slot = tip_.next();
    header.previous = tip_digest_;
    header.ts_ms = std::max(ts_ms_ + 1, cluster_.now().wall_ms);
    while (!pool_.empty() && header.entries.size() < 16) {
        const Request& request = *pool_.front();
        header.entries.push_back({request.id, request.parts, EntryKind::transaction, request.rd});
        pool_.pop_front();
    }
    return header;
}

void LyingPrimary::spoil(Header& header) {
    if (lies_.floods)
        for (std::size_t i = 0; i < 8 && i < ordered_.size(); ++i)
            header.entries.push_back(ordered_[ordered_.size() - 1 - i]);
    if (lies_.duplicates && !ordered_.empty() && prng_.chance(300))
        header.entries.push_back(ordered_[prng_.below(ordered_.size())]);
    if (lies_.duplicates && !header.entries.empty() && prng_.chance(200))
        header.entries.push_back(header.entries.front());
    if (lies_.bogus_requests && !header.entries.empty() && prng_.chance(20)) {
        EntryHeader bogus = header.entries.front();
        bogus.rid.cseq = bogus.rid.cseq + 1000;
        bogus.rd = random_digest(prng_);
        header.entries.push_back(bogus);
    }
    if (lies_.invalid_headers && prng_.chance(10)) {
        switch (prng_.below(4)) {
            case 0:
                header.ts_ms = ts_ms_;
                break;
            case 1:
                header.previous = random_digest(prng_);
                break;
            case 2:
                if (!header.entries.empty()) header.entries[0].parts = {PartitionId(999)};
                break;
            case 3:
                if (!header.entries.empty()) header.entries[0].parts.clear();
                break;
        }
    }
}

void LyingPrimary::take(HeaderPtr header) {
    tip_ = header->slot;
    tip_digest_ = header_digest(*header);
    ts_ms_ = header->ts_ms;
    for (const EntryHeader& entry : header->entries) ordered_.push_back(entry);
}

void LyingPrimary::certify(HeaderPtr header, std::vector<Endpoint> to) {
    Prepare prepare{View{}, header->slot, header_digest(*header), {}, header};
    Digest digest =
        prepare_digest(cluster_.membership.cluster, prepare.view, prepare.slot, prepare.hd);
    cluster_.tpm_of(self_).create(*cluster_.membership.usig_of(self_), digest,
                                  [this, prepare, to = std::move(to)](Ui ui) mutable {
                                      prepare.ui = std::move(ui);
                                      certified_[prepare.ui.cv] = prepare;
                                      cluster_.network.send(self_, {to, prepare});
                                  });
}

void LyingPrimary::order() {
    std::vector<Endpoint> all = cluster_.membership.all_replicas();
    if (lies_.skips_counter && prng_.chance(5)) {
        auto junk = std::make_shared<Header>();
        junk->slot = tip_;
        certify(junk, {all[prng_.below(all.size())]});
        spoiled_ = true;
    }
    Header header = next_header();
    if (lies_.equivocates && prng_.chance(10)) {
        // The second certificate for the slot has the next counter value: malformed, wherever it
        // goes.
        Header other = header;
        other.ts_ms += 1;
        std::vector<Endpoint> half(all.begin(),
                                   all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2));
        if (cluster_.plan.mutation == Mutation::counter_rolls_back) {
            certify(std::make_shared<const Header>(other), half);
            cluster_.tpm_of(self_).roll_back_after_next(*cluster_.membership.usig_of(self_));
            std::erase_if(all, [&](const Endpoint& e) {
                return std::find(half.begin(), half.end(), e) != half.end();
            });
        } else {
            certify(std::make_shared<const Header>(other), half);
        }
    }
    spoil(header);
    auto shared = std::make_shared<const Header>(std::move(header));
    take(shared);
    if (lies_.withholds)
        while (all.size() > 1 && prng_.chance(300))
            all.erase(all.begin() + static_cast<std::ptrdiff_t>(prng_.below(all.size())));
    certify(shared, all);
}

}  // namespace bft::sim

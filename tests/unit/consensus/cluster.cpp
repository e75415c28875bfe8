#include "cluster.hpp"

#include <chrono>
#include <cstdlib>
#include <iostream>

namespace bft::consensus::test {

minbft::Primary::Recovered Disk::primary(PrimaryId id) const {
    minbft::Primary::Recovered log;
    for (const auto& [key, prepare] : prepares_)
        if (key.first == id) log.prepares.push_back(prepare);
    for (const auto& [key, record] : new_views_)
        if (key.first == id) log.new_views.push_back(record);
    log.intent = prepare_intent_;
    log.new_view_intent = new_view_intent_;
    log.standing = standing_;
    for (const auto& [key, cert] : voids_)
        if (key.first == StreamId::ordering(id)) log.voids.push_back(cert);
    for (const auto& [stream, proof] : equivocations_) log.equivocations.push_back(proof);
    return log;
}

minbft::Replica::Recovered Disk::replica(GroupId group, Position position) const {
    minbft::Replica::Recovered log;
    for (const auto& [key, prepare] : prepares_) log.prepares.push_back(prepare);
    for (const auto& [key, record] : new_views_) log.new_views.push_back(record.new_view);
    for (const auto& [key, commit] : commits_)
        (std::get<1>(key) == position ? log.own_commits : log.peer_commits).push_back(commit);
    for (const auto& [key, change] : changes_) log.view_changes.push_back(change);
    for (const auto& [hd, header] : headers_) log.headers.push_back(header);
    for (const auto& [nvd, cert] : certs_) log.view_certs.push_back(cert);
    for (const auto& [rd, body] : bodies_)
        if (membership->owner(body->id.home) == group) log.bodies.emplace(rd, body);
    log.intent = commit_intent_;
    log.view_change_intent = change_intent_;
    log.view = view_;
    log.vouches = vouches_;
    log.stable = stable_;
    log.snapshot = snapshot_;
    log.executed = executed_;
    log.void_promises = promises_;
    for (const auto& [key, cert] : voids_) log.voids.push_back(cert);
    for (const auto& [stream, proof] : equivocations_) log.equivocations.push_back(proof);
    log.fork = fork_;
    log.barriers = barriers_;
    log.handovers = handovers_;
    return log;
}

// As host/retention does, but for bodies: those of slots that are gone go.
void Disk::cut() {
    Mark mark{snapshot_->slot, {}, {}};
    for (const VoteTrack& track : snapshot_->votes) mark.votes.push_back(track.processed);
    for (std::size_t p = 0; p < snapshot_->ordering.size(); ++p) {
        const OrderingTrack& track = snapshot_->ordering[p];
        Counter reached = marks_.empty() ? Counter(0) : marks_.back().ordering[p];
        if (track.leading && snapshot_->slot >= track.base_slot)
            reached = std::max(reached, std::min(track.processed,
                                                 track.base + (snapshot_->slot - track.base_slot)));
        mark.ordering.push_back(reached);
    }
    marks_.push_back(std::move(mark));
    while (marks_.size() > 1 && marks_[1].slot + retain <= snapshot_->slot)
        marks_.erase(marks_.begin());
    const Mark& line = marks_.front();
    if (line.slot + retain > snapshot_->slot) return;
    auto ordered_below = [&](const auto& each) {
        return each.first.second < line.ordering[each.first.first.value];
    };
    std::erase_if(prepares_, ordered_below);
    std::erase_if(new_views_, ordered_below);
    auto voted_below = [&](const auto& each) {
        const auto& [group, position, cv] = each.first;
        if (group != owner.group) return false;
        Counter limit = line.votes[position.value];
        if (position.value == owner.index)
            limit = std::min(limit, vouches_ ? vouches_->base : Counter(0));
        return cv < limit;
    };
    std::erase_if(commits_, voted_below);
    std::erase_if(changes_, voted_below);
    std::erase_if(headers_, [&](const auto& each) {
        if (each.second->slot >= line.slot) return false;
        for (const EntryHeader& entry : each.second->entries) bodies_.erase(entry.rd);
        return true;
    });
    for (const auto& [key, prepare] : prepares_) headers_[prepare.hd] = prepare.header;
}

std::optional<Counter> Disk::next_from(const StreamId& stream, Counter from) const {
    std::optional<Counter> next;
    auto look = [&](const auto& messages, auto key, auto same_stream) {
        auto found = messages.lower_bound(key);
        if (found == messages.end() || !same_stream(found->first)) return;
        Counter cv = std::get<Counter>(found->first);
        if (!next || cv < *next) next = cv;
    };
    if (stream.kind == StreamId::Kind::ordering) {
        auto same = [&](const auto& key) { return key.first == stream.primary; };
        look(prepares_, std::pair(stream.primary, from), same);
        look(new_views_, std::pair(stream.primary, from), same);
        return next;
    }
    auto same = [&](const auto& key) {
        return std::get<0>(key) == stream.group && std::get<1>(key) == stream.position;
    };
    look(commits_, std::tuple(stream.group, stream.position, from), same);
    look(changes_, std::tuple(stream.group, stream.position, from), same);
    return next;
}

Cluster::Cluster(ClusterOptions options)
    : random(options.seed),
      m(small_cluster(options.groups, options.groups * 2, options.primaries)),
      options_(std::move(options)),
      verifier_(m, checker_) {
    m.checkpoint_slots = 4;
    genesis_ = m;
    std::vector<Endpoint> all = m.all_primaries();
    for (const Endpoint& each : m.all_replicas()) all.push_back(each);
    for (const Endpoint& who : all) start(make(who));
    for (auto& [who, node] : nodes_) arm(*node);
}

Cluster::Node& Cluster::make(const Endpoint& who) {
    auto node = std::make_unique<Node>();
    node->who = who;
    node->usig = *m.usig_of(who);
    node->signer = std::make_unique<HashSigner>(m, who);
    node->disk.membership = &m;
    node->disk.owner = who;
    node->disk.retain = who.role == Endpoint::Role::replica ? options_.retain : 0;
    return *(nodes_[who] = std::move(node));
}

void Cluster::add(GroupId group, const BarrierCertPtr& barrier) {
    follow(m, *barrier->config);
    for (const Endpoint& who : m.replicas(group)) {
        Node& node = make(who);
        node.disk.write({BarrierRecord{barrier}});
        node.up = false;
        restart(who);
        arm(node);
    }
}

void Cluster::start(Node& node) {
    if (node.who.role == Endpoint::Role::primary)
        node.primary = std::make_unique<minbft::Primary>(genesis_, PrimaryId(node.who.index),
                                                         options_.primary, *node.signer);
    else
        node.replica = std::make_unique<minbft::GroupReplica>(
            genesis_, node.who.group, Position(node.who.index), options_.replica, options_.executor,
            *node.signer);
}

Now Cluster::now() const {
    auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(now_.time_since_epoch());
    return {now_, static_cast<UnixMillis>(millis.count())};
}

void Cluster::later(Duration delay, std::function<void()> run) {
    tasks_.push({now_ + delay, order_++, std::move(run)});
}

void Cluster::run_for(Duration time) {
    TimePoint end = now_ + time;
    run_until([] { return false; }, time);
    now_ = end;
}

bool Cluster::run_until(const std::function<bool()>& done, Duration limit) {
    TimePoint end = now_ + limit;
    while (!tasks_.empty() && tasks_.top().at <= end && violation.empty()) {
        if (done()) return true;
        Task task = tasks_.top();
        tasks_.pop();
        now_ = std::max(now_, task.at);
        task.run();
    }
    return done();
}

std::vector<Endpoint> Cluster::everyone() const {
    std::vector<Endpoint> all;
    for (const auto& [who, node] : nodes_) all.push_back(who);
    return all;
}

// --- engines
// --------------------------------------------------------------------------------------

void Cluster::arm(Node& node) {
    if (!node.up) return;
    auto next = node.engine().next_deadline();
    if (!next) return;
    TimePoint at = std::max(*next, now_ + 100us);
    if (node.tick_at && *node.tick_at <= at) return;
    node.tick_at = at;
    later(at - now_, [this, &node, at, incarnation = node.incarnation] {
        if (node.incarnation != incarnation || node.tick_at != at) return;
        node.tick_at.reset();
        if (random.chance(300)) node.disk.sync();
        node.engine().tick(now());
        perform(node);
    });
}

Ui Cluster::certify(Node& node, const Digest& digest) {
    node.counter = node.counter.next();
    Ui ui = HashChecker::certify(node.usig, node.counter, digest);
    node.last = {digest, ui};
    return ui;
}

void Cluster::perform(Node& node) {
    Output out = node.engine().take_output();
    if (corrupt && liar(node.who)) corrupt(node, out);
    check(node, out);
    for (const Persist& persist : out.persist) node.disk.write(persist);
    if (out.voided) {
        if (node.hole != out.voided) violate("T1v: no hole there: " + to_string(node.who));
        node.hole.reset();
    }
    if (out.seal) {
        if (node.hole) violate("T1v: certifies behind a hole: " + to_string(node.who));
        node.draft_open = true;
        auto delay = Duration(random.below(static_cast<std::uint64_t>(options_.seal_max.count())));
        Digest digest = out.seal->digest;
        // The counter moves at once; its answer may be lost in a crash (T1).
        later(delay / 2, [this, &node, digest, delay, incarnation = node.incarnation] {
            if (node.incarnation != incarnation) return;
            node.draft_open = false;
            Ui ui = certify(node, digest);
            later(delay / 2, [this, &node, ui, incarnation] {
                if (node.incarnation != incarnation) return;
                node.engine().sealed(ui, now());
                perform(node);
            });
        });
    }
    for (Send& each : out.send) {
        if (node.primary)
            trace(to_string(node.who) + " sends " + std::to_string(each.payload.index()));
        for (const Endpoint& to : each.to) send(node.who, to, each.payload);
    }
    arm(node);
}

// BFT_TRACE=1 prints what happens: for replaying one seed.
void Cluster::trace(const std::string& what) const {
    static const bool on = std::getenv("BFT_TRACE") != nullptr;
    if (!on) return;
    auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now_.time_since_epoch());
    std::cerr << ms.count() << " " << what << "\n";
}

void Cluster::crash(const Endpoint& who) {
    Node& node = this->node(who);
    if (!node.up) return;
    trace(to_string(who) + " crashes");
    node.up = false;
    ++node.incarnation;
    node.tick_at.reset();
    bool power_cut = random.below(1000) < options_.hole_permille;
    if (std::exchange(node.draft_open, false) && power_cut && !liar(who)) {
        node.counter = node.counter.next();
        node.hole = node.counter;
    }
    node.disk.crash(random.below(node.disk.unsynced() + 1));
}

void Cluster::restart(const Endpoint& who) {
    Node& node = this->node(who);
    if (node.up) return;
    trace(to_string(who) + " restarts");
    node.up = true;
    ++node.incarnation;
    start(node);
    Result<void> recovered;
    if (node.primary) {
        auto log = node.disk.primary(PrimaryId(who.index));
        log.hole = node.hole;
        recovered = node.primary->recover(std::move(log), node.last);
    } else {
        auto log = node.disk.replica(who.group, Position(who.index));
        log.hole = node.hole;
        recovered = node.replica->recover(std::move(log), node.last);
    }
    if (!recovered) {
        if (!liar(who)) violate(to_string(who) + " does not recover: " + recovered.error().what);
        node.up = false;
        return;
    }
    perform(node);
}

// --- the network
// -----------------------------------------------------------------------------------

void Cluster::send(const Endpoint& from, const Endpoint& to, Payload payload) {
    if (network && !network(from, to, payload)) return;
    if (random.below(1000) < options_.drop_permille) return;
    auto delay = Duration(random.below(static_cast<std::uint64_t>(options_.delay_max.count())));
    later(delay, [this, from, to, payload = std::move(payload)] { arrive(from, to, payload); });
}

void Cluster::inject(Endpoint from, Endpoint to, Payload payload) {
    arrive(from, to, payload);
}

void Cluster::arrive(const Endpoint& from, const Endpoint& to, const Payload& payload) {
    if (to.role == Endpoint::Role::voter) {
        if (const auto* commit = std::get_if<CommitDb>(&payload))
            answer_as_voter(from, to, *commit);
        return;
    }
    if (to.role == Endpoint::Role::client) {
        const auto* reply = std::get_if<Reply>(&payload);
        if (reply == nullptr) return;
        auto& votes = replies_[reply->answer.rid][reply->answer.rdig];
        votes.insert(from.index);
        if (votes.size() > m.f) answered_.insert(reply->answer.rid);
        return;
    }
    Node& node = this->node(to);
    if (!node.up) return;
    auto verified = verifier_.verify({from, to, payload});
    if (!verified) {
        if (!liar(from) && from.role != Endpoint::Role::client)
            violate("a correct message of " + to_string(from) +
                    " was rejected: " + verified.error().what);
        return;
    }
    if (auto answer = answer_fetch(m, node.disk, *verified)) {
        send(to, from, answer->payload);
        return;
    }
    node.engine().receive(*verified, now());
    perform(node);
}

// Every database answers at once; what matters here is that all get the same items.
void Cluster::answer_as_voter(const Endpoint& to, const Endpoint& voter, const CommitDb& commit) {
    DbReply reply{VoterId(voter.index), to.group, commit.slot, {}};
    for (const DbItem& item : commit.items) {
        ItemResult result;
        result.index = item.index;
        result.rid = item.rid;
        result.outcome = item.kind == ItemKind::nop ? Outcome::duplicate : Outcome::ok;
        result.has_result = true;
        result.rdig = result_digest(result.outcome, 0, {});
        reply.items.push_back(result);
    }
    send(voter, to, reply);
    auto& next = executed_to_[voter.index];
    VoterStatus status{VoterId(voter.index), {}, {}};
    for (const DbItem& item : commit.items)
        for (const PartitionSeq& s : item.seqs)
            next[s.partition] = std::max(next[s.partition], s.seq.next());
    for (const auto& [partition, seq] : next) status.next.push_back({partition, seq});
    for (const Endpoint& each : m.all_replicas()) send(voter, each, status);
}

Body Cluster::submit(std::vector<PartitionId> parts, std::vector<Endpoint> to) {
    std::uint64_t cseq = ++cseqs_[parts.front()];
    Body body = make_request(m, cseq, parts, "op", ClientSeq(cseq > 200 ? cseq - 200 : 1));
    if (to.empty()) {
        submitted_.push_back(body);
        to = m.replicas(*m.owner(body->id.home));
        for (const Endpoint& each : m.all_primaries()) to.push_back(each);
    }
    offer(body, to);
    return body;
}

void Cluster::offer(const Body& body, const std::vector<Endpoint>& to) {
    if (answered(body)) return;
    for (const Endpoint& each : to) send(Endpoint::of_client(body->id.client), each, body);
    later(1s, [this, body, to] { offer(body, to); });
}

bool Cluster::all_answered() const {
    return std::all_of(submitted_.begin(), submitted_.end(),
                       [&](const Body& body) { return answered(body); });
}

// --- checkers
// -------------------------------------------------------------------------------------

void Cluster::violate(std::string what) {
    if (violation.empty()) violation = std::move(what);
}

std::uint64_t Cluster::count(Event::Kind kind) const {
    std::uint64_t total = 0;
    for (const auto& [who, node] : nodes_) {
        auto found = node->seen.find(kind);
        if (!liar(who) && found != node->seen.end()) total += found->second;
    }
    return total;
}

void Cluster::check(Node& node, const Output& out) {
    if (liar(node.who)) return;
    std::string name = to_string(node.who);
    for (const Event& event : out.events) {
        trace(name + " " + to_string(event.kind) + " " + to_string(event.peer) + " slot " +
              std::to_string(event.slot.value) + " count " + std::to_string(event.count) + " " +
              event.text);
        ++node.seen[event.kind];
        if (event.kind == Event::Kind::equivocation && !liar(event.peer))
            violate("S-EVID: " + name + " convicts " + to_string(event.peer));
        if (event.kind == Event::Kind::sender_dead && !liar(event.peer))
            violate("S-EVID: " + name + " calls " + to_string(event.peer) + " dead: " + event.text);
        if (event.kind == Event::Kind::halted && node.spoiled) continue;
        if (event.kind == Event::Kind::halted || event.kind == Event::Kind::order_conflict)
            violate(name + ": " + to_string(event.kind) + ": " + event.text);
    }
    for (const Send& each : out.send) {
        if (const auto* accept = std::get_if<NewViewAccept>(&each.payload)) {
            std::pair said{accept->nvd, accept->cv};
            if (node.accepted.try_emplace(accept->view, said).first->second != said)
                violate("S-VC-ONCE: " + name);
            if (new_views_.try_emplace(accept->view, said).first->second != said)
                violate("S-VIEW1: " + name);
        } else if (const auto* change = std::get_if<ViewChangePtr>(&each.payload)) {
            if (Endpoint::replica((*change)->group, (*change)->position) != node.who) continue;
            trace(name + " VC view " + std::to_string((*change)->view.value) + " cv " +
                  std::to_string((*change)->ui.cv.value));
            if ((*change)->view <= node.promised) continue;
            node.promised = (*change)->view;
            node.promised_cv = (*change)->ui.cv;
        } else if (const auto* commit = std::get_if<Commit>(&each.payload)) {
            trace(name + " COMMIT view " + std::to_string(commit->view.value) + " to " +
                  std::to_string(commit->to.value) + " cv " + std::to_string(commit->ui.cv.value));
            if (commit->view < node.promised && commit->ui.cv > node.promised_cv)
                violate("S-VC-ONCE: COMMIT after VC: " + name);
        }
    }
    for (const Delivery& delivery : out.deliver) check_delivery(node, delivery);
}

void Cluster::check_delivery(Node& node, const Delivery& delivery) {
    std::string name = to_string(node.who) + " at slot " + std::to_string(delivery.slot.value);
    if (auto hd = node.replica->agreement().chain().digest_at(delivery.slot))
        if (chain_.try_emplace(delivery.slot, *hd).first->second != *hd)
            violate("S-CHAIN: " + name);
    for (const DeliveredEntry& entry : delivery.entries) {
        auto key = std::tuple(node.who.group, delivery.slot, entry.item.index);
        if (decisions_.try_emplace(key, entry.item).first->second != entry.item)
            violate("S-DEC: " + name);
        if (entry.item.kind != ItemKind::transaction) continue;
        std::pair place{delivery.slot, entry.item.index};
        auto [executed, first] = executed_.try_emplace(entry.item.rid, place);
        if (executed->second != place) violate("S-EXACTLY-ONCE: " + name);
        // Once more after a restart, for its answer: the voters have executed it.
        if (first && !entry.body) violate("S-DEC: kept without a body: " + name);
    }
}

}  // namespace bft::consensus::test

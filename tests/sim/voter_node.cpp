#include "voter_node.hpp"

#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::sim {

using namespace consensus;

GuardOptions guard_options(const Plan& plan) {
    GuardOptions options;
    options.check_interval = 200ms;
    options.announce_interval = 1s;
    options.cut_interval = 2s;
    options.stuck_after = 4s;
    options.answer_within = 300ms + plan.database_latency * 8;
    options.naming_within = 1s + plan.database_latency * 16;
    // The order must reach a cut two checkpoints ahead, at the pace of heartbeats.
    options.cut_within =
        4s + plan.timers.heartbeat * 4 * static_cast<std::int64_t>(plan.checkpoint_slots);
    options.cut_within_max = options.cut_within * 64;
    options.lease = 5s + plan.database_latency * 32;
    return options;
}

VoterNode::VoterNode(Cluster& cluster, VoterId self, Prng prng)
    : cluster_(cluster),
      id_(self),
      self_(Endpoint::voter(self)),
      correct_(cluster.correct(self_)),
      prng_(prng),
      signer_(std::in_place, cluster.tokens, *cluster.membership.identity_key(self_)),
      database_(cluster.time, cluster.plan, prng_.split(),
                [this](const Execution& execution, const ItemResult& result) {
                    if (correct_) cluster_.checker.executed(id_, execution, result);
                    note_barrier(execution);
                    if (!cluster_.listening()) return;
                    cluster_.log(self_, "executed slot=" + std::to_string(execution.slot.value) +
                                            " index=" + std::to_string(execution.item.index) +
                                            " worker=" + std::to_string(execution.worker));
                }),
      clock_(cluster.clock_of(self_)) {
    cluster.nodes[self_] = this;
}

// --- life and death ---

DatabaseHandlers VoterNode::handlers() {
    DatabaseHandlers h;
    h.committed = [this](const std::vector<Executed>& results) {
        if (!voter_ || dies_at(Moment::durable)) return;
        voter_->executed(results, now());
        pump();
    };
    h.damaged = [this](const std::string& why) {
        cluster_.reach("voter finds its bookkeeping changed");
        if (!guard_) return cluster_.checker.fail("S-VOTER-ORDER", to_string(self_) + ": " + why);
        guard_->damaged(why, now());
        pump();
    };
    h.cut_skipped = [this](Slot slot) {
        cluster_.log(self_, "cut skipped slot=" + std::to_string(slot.value));
        cluster_.reach("cut skipped: another snapshot is in use");
        if (voter_) voter_->cut_skipped(slot);
        guard_->cut_skipped(slot);
        pump();
    };
    h.scanned = [this](Scan scan) {
        cluster_.log(self_, "scanned slot=" + std::to_string(scan.slot.value) +
                                (scan.leaves ? "" : " (broke off)"));
        guard_->scanned(std::move(scan), now());
        pump();
    };
    h.exported = [this](const ChunkExport& asked, std::optional<Bytes> rows) {
        guard_->exported(asked, std::move(rows), now());
        pump();
    };
    h.ready = [this] {
        guard_->ready_to_load(now());
        pump();
    };
    h.loaded = [this] {
        guard_->loaded(now());
        pump();
    };
    h.rebuilt = [this] { on_rebuilt(); };
    h.rebuild_failed = [this](const std::string& why) {
        guard_->rebuild_failed(why, now());
        pump();
    };
    return h;
}

void VoterNode::boot() {
    if (up()) return;
    cluster_.log(self_, "boot");
    up_ = true;
    auto condition = database_.attach(handlers());
    if (cluster_.membership.checkpoint_slots != 0) {
        GuardOptions options = guard_options(cluster_.plan);
        options.quirks = &cluster_.quirks;
        guard_ =
            std::make_unique<DatabaseGuard>(cluster_.membership, id_, options, *signer_, condition);
        if (condition == DatabaseGuard::Condition::half_built)
            cluster_.reach("voter restarts with a half built database");
    }
    if (!guard_ || !guard_->quarantined()) begin_service();
    on_deadline();
}

void VoterNode::begin_service() {
    VoterOptions options;
    options.workers = cluster_.plan.workers;
    options.sender_bytes = cluster_.plan.voter_sender_bytes;
    options.answers_kept = cluster_.plan.voter_answers;
    options.in_flight_max = 64;
    options.quirks = &cluster_.quirks;
    voter_ = std::make_unique<Voter>(cluster_.voter_membership, id_, options, database_.next(),
                                     database_.config());
}

void VoterNode::end_service() {
    voter_.reset();
}

void VoterNode::crash() {
    if (!up()) return;
    cluster_.log(self_, "crash");
    ++incarnation_;
    up_ = false;
    voter_.reset();
    guard_.reset();
    timer_at_.reset();
    database_.detach();
}

void VoterNode::on_rebuilt() {
    if (correct_) cluster_.checker.restored(id_, rebuilding_, database_.next());
    cluster_.reach("database state transfer");
    guard_->rebuilt(now());
    begin_service();
    voter_->tick(now());
    pump();
}

void VoterNode::tamper(SimDatabase::Tampering how) {
    static constexpr const char* names[] = {"a row", "a sequence number", "an answer", "a window",
                                            "everything"};
    const char* what = names[static_cast<int>(how)];
    cluster_.log(self_, std::string("its database was changed behind its back: ") + what);
    cluster_.reach(std::string("database tampered with: ") + what);
    cluster_.checker.tampered(id_);
    // Nobody can take the tables away under a server that goes on as if nothing had happened.
    // Whether a changed sequence number meets a process that knows better is a matter of luck.
    bool restart = up() && (how == SimDatabase::Tampering::everything ||
                            (how == SimDatabase::Tampering::sequence && prng_.chance(500)));
    if (restart) crash();
    database_.tamper(how);
    if (restart) boot();
}

void VoterNode::join() {
    cluster_.log(self_, "joins");
    cluster_.time.after(Duration(prng_.below(500'000'000)) + 20ms, [this] { boot(); });
}

void VoterNode::move_to(HostId host) {
    cluster_.log(self_, "host " + std::to_string(host.value) + " takes its place");
    cluster_.checker.tampered(id_);
    crash();
    database_.tamper(SimDatabase::Tampering::everything);
    signer_.emplace(cluster_.tokens, cluster_.tokens.host_key(host));
    cluster_.time.after(Duration(prng_.below(500'000'000)) + 20ms, [this] { boot(); });
}

// --- input and output ---

void VoterNode::receive(const Network::Packet& packet) {
    if (!up()) return;
    if (packet->from().role == Endpoint::Role::voter) {
        if (guard_) guard_->receive(*packet, now());
    } else if (voter_) {
        if (const auto* items = std::get_if<CommitDb>(&packet->payload()))
            for (const DbItem& item : items->items)
                if (item.kind == ItemKind::checkpoint)
                    barriers_.try_emplace(items->slot, cluster_.time.now());
        voter_->receive(*packet, now());
    }
    pump();
}

void VoterNode::pump() {
    if (guard_) pump_guard();
    if (voter_) pump_voter();
    if (up()) arm_timer();
}

// Partitions that stood at a checkpoint's entry for long before the last one came there.
void VoterNode::note_barrier(const Execution& execution) {
    TimePoint now = cluster_.time.now();
    if (auto known = barriers_.find(execution.slot);
        execution.item.kind == ItemKind::checkpoint && known != barriers_.end()) {
        TimePoint first = TimePoint::max();
        TimePoint last{};
        for (const PartitionSeq& s : execution.item.seqs) {
            TimePoint stood = std::max(known->second, committed_at_[s.partition]);
            first = std::min(first, stood);
            last = std::max(last, stood);
        }
        if (last - first > 100ms) cluster_.reach("checkpoint with a partition skew above 100 ms");
        barriers_.erase(barriers_.begin(), std::next(known));
    }
    for (const PartitionSeq& s : execution.item.seqs) committed_at_[s.partition] = now;
}

bool VoterNode::dies_at(Moment moment) {
    if (!cluster_.dies(self_, moment)) return false;
    cluster_.log(self_, std::string("dies at the moment of ") + to_string(moment));
    crash();
    cluster_.on_death(self_);
    return true;
}

void VoterNode::pump_guard() {
    GuardOutput output = guard_->take_output();
    if (output.stop) end_service();
    if (output.begin) begin_service();
    for (Slot slot : output.cuts) {
        cluster_.checker.scan_wanted(slot);
        if (voter_) voter_->want_cut(slot);
    }
    if (output.release) database_.close_snapshot();
    for (const ChunkExport& asked : output.exports) database_.read(asked);
    if (output.rebuild) {
        rebuilding_ = output.rebuild->slot;
        database_.begin_rebuild(std::move(*output.rebuild));
    }
    for (ChunkLoad& chunk : output.load) database_.load(std::move(chunk));
    if (output.finish) database_.finish_rebuild();
    send(output.send);
    if (up()) note(output.events);
}

void VoterNode::pump_voter() {
    VoterOutput output = voter_->take_output();
    for (Lookup& lookup : output.lookup) {
        cluster_.reach("voter looks an answer up");
        cluster_.time.after(cluster_.plan.database_latency,
                            [this, lookup, voter = voter_.get(), incarnation = incarnation_] {
                                if (incarnation != incarnation_ || voter != voter_.get()) return;
                                voter_->found(lookup, database_.lookup(lookup), now());
                                pump();
                            });
    }
    send(output.send);
    if (!up()) return;
    note(output.events);
    for (Execution& execution : output.execute) {
        if (execution.item.kind == ItemKind::nop) cluster_.reach("NOP executed");
        if (execution.item.kind == ItemKind::checkpoint)
            cluster_.reach("database checkpoint executed");
        else if (execution.item.kind == ItemKind::config)
            cluster_.reach("configuration executed");
        else if (execution.item.seqs.size() > 1)
            cluster_.reach("item of several partitions executed");
        for (const PartitionSeq& s : execution.item.seqs)
            if (execution.item.kind != ItemKind::checkpoint &&
                cluster_.membership.owner(s.partition) != execution.group) {
                cluster_.reach("item with a partition of another group executed");
                break;
            }
        database_.execute(std::move(execution));
    }
}

void VoterNode::send(std::vector<Send>& sends) {
    for (Send& send : sends) {
        if (std::holds_alternative<FetchDbItems>(send.payload))
            cluster_.reach("voter asks for a gap");
        if (dies_at(Moment::send)) return;
        note_donor(send);
        if (correct_)
            cluster_.checker.sending(self_, send);
        else if (!rewrite(send))
            continue;
        cluster_.network.send(self_, std::move(send));
    }
}

// G14.
void VoterNode::note_donor(const Send& send) {
    Slot cut{};
    if (const auto* chunk = std::get_if<FetchDbChunk>(&send.payload))
        cut = chunk->slot;
    else if (const auto* leaves = std::get_if<FetchDbLeaves>(&send.payload))
        cut = leaves->slot;
    else
        return;
    std::pair asked{cut, send.to.front()};
    if (donor_ && donor_->first == cut && donor_->second != asked.second)
        cluster_.reach("transfer source switched");
    donor_ = asked;
}

void VoterNode::note(const std::vector<Event>& events) {
    for (const Event& event : events) {
        cluster_.event(self_, event);
        if (event.kind == Event::Kind::quarantined)
            cluster_.reach("quarantined: " + event.text.substr(0, event.text.find(" at slot")));
        if (event.kind == Event::Kind::database_stable && correct_)
            cluster_.checker.database_stable(id_, event.slot, guard_->report().stable_root);
        if (event.kind == Event::Kind::quarantined && correct_ && cluster_.checker.sound(id_) &&
            (event.text.starts_with("own root") || event.text.starts_with("it stands ahead")))
            cluster_.checker.fail("S-CKPT",
                                  to_string(self_) + " puts itself in quarantine: " + event.text);
    }
}

bool VoterNode::rewrite(Send& send) {
    const VoterLies& lies = cluster_.plan.voter_lies;
    if (lies.silent) return false;
    if (auto* chunk = std::get_if<DbChunk>(&send.payload);
        chunk != nullptr && lies.wrong_chunks && !chunk->rows.empty())
        chunk->rows[prng_.below(chunk->rows.size())] ^= 1;
    if (auto* leaves = std::get_if<DbLeaves>(&send.payload);
        leaves != nullptr && lies.wrong_chunks && prng_.chance(300)) {
        auto forged = std::make_shared<std::vector<DbLeaf>>(*leaves->leaves);
        if (!forged->empty()) forged->pop_back();
        leaves->leaves = forged;
    }
    if (auto* root = std::get_if<DbCheckpoint>(&send.payload);
        root != nullptr && lies.wrong_roots && prng_.chance(500)) {
        root->root.bytes[0] ^= static_cast<std::uint8_t>(prng_.between(1, 255));
        root->signature = signer_->sign(db_checkpoint_digest(cluster_.membership.cluster, *root));
    }
    auto* reply = std::get_if<DbReply>(&send.payload);
    return reply == nullptr || rewrite(*reply);
}

bool VoterNode::rewrite(DbReply& reply) {
    const VoterLies& lies = cluster_.plan.voter_lies;
    bool same_for_all = cluster_.plan.mutation == Mutation::too_many_liars;
    for (ItemResult& item : reply.items) {
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
    if (lies.wrong_results && prng_.chance(100)) reply.slot = reply.slot.next();
    return true;
}

// --- time ---

void VoterNode::on_deadline() {
    if (voter_) {
        auto deadline = voter_->next_deadline();
        if (deadline && *deadline <= now().mono) voter_->tick(now());
    }
    if (guard_ && guard_->next_deadline() <= now().mono) {
        if (voter_) {
            auto report = voter_->report();
            guard_->asked_again(voter_->asked_again());
            guard_->standing(report.next, voter_->checkpoint(), report.in_flight > 0, now());
        }
        guard_->tick(now());
    }
    pump();
}

void VoterNode::arm_timer() {
    std::optional<TimePoint> deadline;
    if (voter_) deadline = voter_->next_deadline();
    if (guard_ && (!deadline || guard_->next_deadline() < *deadline))
        deadline = guard_->next_deadline();
    if (!deadline || (timer_at_ && *timer_at_ <= *deadline)) return;
    TimePoint when = *deadline;
    timer_at_ = when;
    cluster_.time.at(clock_.global(when), [this, when, incarnation = incarnation_] {
        if (incarnation != incarnation_ || timer_at_ != when) return;
        timer_at_.reset();
        on_deadline();
    });
}

}  // namespace bft::sim

#include "world.hpp"

#include "consensus/select.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::sim {

using namespace consensus;

namespace {

constexpr std::uint64_t instant_events_max = 200'000;
constexpr std::uint64_t bounds_every = 256;  // events between two looks at S-BOUND

}  // namespace

World::World(const Plan& the_plan, bool log)
    : plan(the_plan), cluster(the_plan, log), prng(cluster.split()) {
    build();
    cluster.checker.on_view([this](const NewView& new_view) { note_bodies(new_view); });
}

// A kept entry may depend on a single body (H5).
void World::note_bodies(const NewView& new_view) {
    for (Slot s = cluster.checker.chain_tip().next(); s <= new_view.slot; s = s.next()) {
        const Header* header = nullptr;
        for (const auto& node : replicas)
            if (node->up() && node->replica()->agreement().chain().at(s) != nullptr)
                header = node->replica()->agreement().chain().at(s)->prepare.header.get();
        if (header == nullptr) continue;
        for (std::uint32_t i = 0; i < header->entries.size(); ++i) {
            const EntryHeader& entry = header->entries[i];
            if (std::binary_search(new_view.nullset.begin(), new_view.nullset.end(),
                                   EntryRef{s, i}))
                continue;
            auto group = cluster.checker.reference().owner(s, entry.rid.home);
            auto holders = std::count_if(replicas.begin(), replicas.end(), [&](const auto& node) {
                return node->self().group == group && node->disk().has_body(entry.rd);
            });
            if (holders == 1) cluster.reach("a kept entry whose body one replica has");
        }
    }
}

void World::build() {
    choose_clocks();
    if (plan.plot) mind = std::make_unique<Mind>(cluster, prng.split());
    for (std::uint32_t p = 0; p < plan.primaries; ++p) {
        Endpoint self = Endpoint::primary(PrimaryId(p));
        if (p == 0 && plan.scripted_primary()) {
            scripted = std::make_unique<LyingPrimary>(cluster, plan.primary_lies, prng.split());
            primaries.push_back(nullptr);
            continue;
        }
        if (mind && !cluster.correct(self)) {
            mind->lead(PrimaryId(p));
            primaries.push_back(nullptr);
            continue;
        }
        auto node = std::make_unique<EngineNode>(cluster, self);
        if (plan.twins && !cluster.correct(self))
            twins.push_back(std::make_unique<EngineTwin>(cluster, *node, prng.split()));
        else if (plan.mutates && !cluster.correct(self))
            node->set_liar(std::make_unique<MutatingLiar>(cluster, self, prng.split()));
        else if (!cluster.correct(self))
            node->set_liar(
                std::make_unique<LyingLeader>(cluster, *node, plan.leader_lies, prng.split()));
        primaries.push_back(std::move(node));
    }
    for (const Endpoint& self : cluster.membership.all_replicas()) {
        auto node = std::make_unique<EngineNode>(cluster, self);
        if (mind && !cluster.correct(self))
            node->set_liar(mind->puppet(*node));
        else if (plan.twins && !cluster.correct(self))
            twins.push_back(std::make_unique<EngineTwin>(cluster, *node, prng.split()));
        else if (plan.mutates && !cluster.correct(self))
            node->set_liar(std::make_unique<MutatingLiar>(cluster, self, prng.split()));
        else if (!cluster.correct(self))
            node->set_liar(
                std::make_unique<LyingReplica>(cluster, self, plan.replica_lies, prng.split()));
        replicas.push_back(std::move(node));
    }
    for (std::uint32_t d = 0; d < plan.voters(); ++d)
        voters.push_back(std::make_unique<VoterNode>(cluster, VoterId(d), prng.split()));
    for (auto& voter : voters)
        if (plan.twins && !cluster.correct(voter->self()))
            voter_twins.push_back(std::make_unique<VoterTwin>(cluster, *voter, prng.split()));
    for (std::uint32_t c = 0; c < plan.clients; ++c)
        clients.push_back(std::make_unique<ClientNode>(cluster, ClientId(c), prng.split()));
    if (plan.byzantine_client)
        lying_client = std::make_unique<LyingClient>(cluster, ClientId(plan.clients),
                                                     plan.client_lies, prng.split());
    if (plan.moves_every > Duration{}) {
        admin = std::make_unique<AdminNode>(cluster, Prng(plan.seed ^ 0xad314));
        cluster.on_barrier = [this](const BarrierCertPtr& barrier) { welcome(barrier); };
        admin->caught_up = [this](const Endpoint& node) { return caught_up(node); };
        admin->on_client = [this](ClientId client, const Bytes& before, const Bytes& key) {
            follow_client(client, before, key);
        };
        cluster.nobody_changes = [this] { return admin->idle(); };
        admin->end_view = [this] { end_view(); };
        admin->strike_dead = [this](const Endpoint& node) { strike_dead(node); };
    }
}

// A13, A14. Liveness needs monotonic clocks that run alike, safety nothing at all.
void World::choose_clocks() {
    for (HostClock& clock : cluster.clocks) {
        if (plan.wrong_clocks)
            clock.wall_ms = static_cast<std::int64_t>(prng.below(7'200'000)) - 3'600'000;
        if (plan.drift) clock.drift_ppm = static_cast<std::int64_t>(prng.below(100'000)) - 50'000;
    }
}

void World::start() {
    // A9: one after the other, in any order.
    auto later = [&](auto& node) {
        Duration wait{};
        if (plan.chaotic_start)
            wait = Duration(prng.below(static_cast<std::uint64_t>(plan.chaos.count())));
        if (wait == Duration{}) return node->boot();
        cluster.time.after(wait, [booted = node.get()] { booted->boot(); });
    };
    for (auto& replica : replicas) later(replica);
    for (auto& voter : voters) later(voter);
    for (auto& primary : primaries)
        if (primary) later(primary);
    if (scripted) scripted->start();
    if (mind) mind->start();
    for (auto& twin : twins) twin->start();
    for (auto& twin : voter_twins) twin->start();
    for (auto& client : clients) client->start();
    if (lying_client) lying_client->start();
    if (admin) admin->start();
}

bool World::gone(const Endpoint& node) const {
    auto host = cluster.membership.host_of(node);
    return host && plan.gone.contains(host->value);
}

EngineNode* World::replica(std::uint32_t group, std::uint32_t position) {
    Endpoint wanted = Endpoint::replica(GroupId(group), Position(position));
    for (auto& node : replicas)
        if (node->self() == wanted) return node.get();
    return nullptr;
}

// --- members come and go ---

// What an operator does for a member that the order has accepted: its process begins with the
// barriers up to the one that brought it (CF9), and with nothing else.
void World::welcome(const BarrierCertPtr& barrier) {
    const std::vector<HostId> databases = cluster.membership.voters;
    if (!cluster.configured(barrier)) return;
    for (std::uint32_t d = 0; d < cluster.membership.voters.size(); ++d) {
        const HostId host = cluster.membership.voters[d];
        if (d < databases.size() && host == databases[d]) continue;
        if (d < databases.size()) {
            cluster.reach("a database is replaced");
            voters[d]->move_to(host);
        } else {
            cluster.reach("a database is added");
            voters.push_back(std::make_unique<VoterNode>(cluster, VoterId(d), prng.split()));
            voters.back()->join();
        }
        for (auto& other : voters)
            if (other->guard() != nullptr) other->note_replaced(VoterId(d));
    }
    for (const Endpoint& self : cluster.membership.all_replicas()) {
        if (cluster.nodes.contains(self)) continue;
        joined_[self] = barrier->slot;
        join(self, replicas);
    }
    while (primaries.size() < cluster.membership.primaries.size()) {
        join(Endpoint::primary(PrimaryId(static_cast<std::uint32_t>(primaries.size()))), primaries);
        cluster.reach("a primary is replaced");
    }
}

// A client that came later than the cluster file. Its old keys are in the hands of a thief.
void World::follow_client(ClientId client, const Bytes& before, const Bytes& key) {
    auto& node = guests[client];
    if (!before.empty())
        thieves.push_back(std::make_unique<Thief>(cluster, client, before, prng.split()));
    if (!before.empty() && !stopped_) thieves.back()->start();
    if (key.empty()) return node->leave();
    if (!node) {
        cluster.reach("a client comes");
        node = std::make_unique<ClientNode>(cluster, client, prng.split(), key);
        if (!stopped_) node->start();
        return;
    }
    cluster.reach("a client has another key");
    node->restart(key, stopped_);
}

void World::join(const Endpoint& member, std::vector<std::unique_ptr<EngineNode>>& nodes) {
    auto node = std::make_unique<EngineNode>(cluster, member);
    EngineNode* booted = node.get();
    if (!cluster.correct(member) && plan.mutates)
        node->set_liar(std::make_unique<MutatingLiar>(cluster, member, prng.split()));
    else if (!cluster.correct(member))
        node->set_liar(
            std::make_unique<LyingReplica>(cluster, member, plan.replica_lies, prng.split()));
    nodes.push_back(std::move(node));
    std::vector<Persist> known;
    for (BarrierCertPtr each = cluster.configs.after(ConfigVersion(0)); each != nullptr;
         each = cluster.configs.after(each->config->version))
        known.push_back({BarrierRecord{each}});
    booted->mutable_disk().append(std::move(known), [] {});
    if (member.role == Endpoint::Role::replica) cluster.reach("a member is replaced");
    // On a machine that is gone, or will be: it counts as faulty from the beginning.
    if (gone(member)) return booted->stay_away(true);
    cluster.time.after(Duration(prng.below(800'000'000)) + 20ms, [booted] { booted->boot(); });
}

bool World::caught_up(const Endpoint& node) const {
    if (struck_.contains(node)) return false;
    if (node.role == Endpoint::Role::primary) {
        const EngineNode* primary = primaries.at(node.index).get();
        return primary == nullptr || primary->up();
    }
    auto joined = joined_.find(node);
    if (joined == joined_.end()) return true;
    for (const auto& each : replicas)
        if (each->self() == node)
            return each->up() && each->replica()->agreement().delivered() > joined->second;
    return false;
}

void World::strike_dead(const Endpoint& node) {
    if (healed) return;
    for (auto* nodes : {&primaries, &replicas})
        for (auto& each : *nodes) {
            if (!each || each->self() != node || !cluster.correct(node)) continue;
            each->crash();
            each->stay_away(true);
            struck_.insert(node);
        }
}

void World::end_view() {
    if (healed) return;
    for (auto& node : primaries) {
        if (!node || !node->up() || !cluster.correct(node->self())) continue;
        if (node->primary()->report().phase != minbft::Primary::Phase::active) continue;
        node->resign();
        cluster.reach("a view ends in the middle of a change");
    }
}

bool World::on_machine(const EngineNode& node, std::uint32_t machine) const {
    std::uint32_t host = cluster.membership.host_of(node.self())->value;
    return host == machine || (host >= plan.machines() && !plan.gone.contains(machine) &&
                               host % plan.machines() == machine);
}

// --- faults ---

void World::crash_machine(std::uint32_t machine) {
    bool liars = scripted && machine == plan.primary_machine(0);
    auto crash = [&](EngineNode& node) {
        if (!on_machine(node, machine)) return;
        if (cluster.correct(node.self()))
            node.crash();
        else
            liars = true;
    };
    for (auto& primary : primaries)
        if (primary) crash(*primary);
    for (auto& replica : replicas) crash(*replica);
    if (machine < voters.size()) voters[machine]->crash();
    if (!liars) cluster.tpms[machine]->machine_crashed();
}

void World::send_away(std::uint32_t machine) {
    if (healed) return;
    for (auto& replica : replicas) {
        if (!on_machine(*replica, machine)) continue;
        if (!cluster.correct(replica->self())) continue;
        replica->crash();
        replica->stay_away(true);
    }
}

void World::boot_machine(std::uint32_t machine) {
    auto boot = [&](EngineNode& node) {
        if (on_machine(node, machine)) node.boot();
    };
    if (plan.gone.contains(machine)) return;
    for (auto& primary : primaries)
        if (primary) boot(*primary);
    for (auto& replica : replicas) boot(*replica);
    if (machine < voters.size()) voters[machine]->boot();
}

// T2, T3: who comes back without its log, or without its counter, must say so and stay away.
void World::lose_machine(std::uint32_t machine) {
    crash_machine(machine);
    if (plan.loss == Plan::Loss::crash) return;
    std::vector<EngineNode*> victims;
    for (auto* nodes : {&primaries, &replicas})
        for (auto& node : *nodes)
            if (node && cluster.membership.host_of(node->self())->value == machine &&
                cluster.correct(node->self()))
                victims.push_back(node.get());
    for (EngineNode* node : victims) {
        bool certified =
            cluster.tpms[machine]->last(*cluster.membership.usig_of(node->self())).has_value();
        bool must_refuse = certified || plan.loss == Plan::Loss::tpm;
        if (plan.loss == Plan::Loss::disk)
            node->lose_disk();
        else if (plan.loss == Plan::Loss::rot)
            node->rot_disk();
        else if (plan.loss == Plan::Loss::rollback)
            must_refuse = node->roll_back_disk();
        else
            node->expect_refusal();
        if (must_refuse) {
            if (plan.loss == Plan::Loss::rollback) cluster.reach("disk rolled back (T2)");
            if (plan.loss == Plan::Loss::rot) cluster.reach("record of a log rotten");
            cluster.time.after(10ms, [node] { node->boot(); });
        }
    }
    if (plan.loss == Plan::Loss::tpm) cluster.tpms[machine]->reset();
}

void World::power_cut() {
    cluster.reach("power cut of everything");
    for (std::uint32_t machine = 0; machine < plan.machines(); ++machine) crash_machine(machine);
    for (std::uint32_t machine = 0; machine < plan.machines(); ++machine)
        cluster.time.after(Duration(prng.below(50'000'000)),
                           [this, machine] { boot_machine(machine); });
}

void World::stop_clients() {
    for (auto& client : clients) client->stop();
    stopped_ = true;
    for (auto& [id, client] : guests) client->stop();
    for (auto& thief : thieves) thief->stop();
    if (lying_client) lying_client->stop();
    if (admin) admin->stop();
}

void World::heal() {
    healed = true;
    cluster.quirks.stop();
    cluster.network.heal();
    if (mind) mind->heal();
    for (auto* nodes : {&primaries, &replicas})
        for (auto& node : *nodes)
            if (node) {
                node->stay_away(false);
                node->resume();
                node->mutable_disk().slow_until({}, {});
            }
    for (auto& voter : voters) voter->full_until({});
    for (auto& node : replicas)
        if (cluster.membership.host_of(node->self())->value >= plan.machines()) node->boot();
    for (std::uint32_t machine = 0; machine < plan.machines(); ++machine) {
        cluster.tpms[machine]->away_until({});
        cluster.tpms[machine]->slow_until({}, {});
        if (plan.gone.contains(machine))
            crash_machine(machine);
        else
            boot_machine(machine);
    }
}

void World::silence_liars() {
    if (scripted) scripted->stop();
    if (mind) mind->silence();
    for (auto& twin : twins) twin->stop();
    for (auto& primary : primaries)
        if (primary && !cluster.correct(primary->self())) primary->crash();
}

// --- time ---

bool World::advance(TimePoint limit, const std::function<bool()>& enough) {
    TimePoint instant = cluster.time.now();
    std::uint64_t at_instant = 0;
    while (cluster.checker.violations().empty()) {
        if (cluster.time.steps() % bounds_every == 0) {
            check_bounds();
            if (enough && enough()) return true;
        }
        if (!cluster.time.step(limit)) return enough && enough();
        at_instant = cluster.time.now() == instant ? at_instant + 1 : 0;
        instant = cluster.time.now();
        if (at_instant > instant_events_max) {
            cluster.checker.fail("L-TIME", "time stands still: a node is busy with nothing");
            return false;
        }
    }
    return false;
}

// --- a run without end ---

void World::forget_old(std::uint64_t kept, std::uint64_t retain) {
    Slot low = cluster.checker.chain_tip();
    for (auto& node : replicas) {
        node->mutable_disk().forget_old(node->self(), retain);
        low = std::min(low, node->disk().snapshot_slot());
    }
    for (auto& node : primaries)
        if (node) node->mutable_disk().forget_old_views(retain);
    if (low.value > kept) cluster.checker.forget(Slot(low.value - kept));
}

std::map<std::string, std::size_t> World::sizes() const {
    std::map<std::string, std::size_t> all = cluster.checker.sizes();
    auto note = [&](const char* what, std::size_t size) { all[what] = std::max(all[what], size); };
    for (const auto& node : replicas) {
        note("replica: records in its log", node->disk().records());
        if (!node->up()) continue;
        auto agreement = node->replica()->agreement().report();
        auto executor = node->replica()->executor().report();
        note("replica: headers of its chain", agreement.links);
        note("replica: own certified messages", agreement.vote_log);
        note("replica: pending requests", agreement.pending);
        note("replica: missing bodies", agreement.missing_bodies);
        note("replica: slots that voters have not answered", executor.waiting_slots);
        note("replica: outputs that wait", node->waiting());
    }
    for (const auto& node : primaries) {
        note("primary: records in its log", node->disk().records());
        if (node->up()) note("primary: pooled requests", node->primary()->report().pooled);
    }
    for (const auto& node : voters) {
        note("database: answers", node->database().state().executed.size());
        if (node->voter() == nullptr) continue;
        note("voter: items that wait", node->voter()->report().waiting);
        note("voter: items in flight", node->voter()->report().in_flight);
    }
    note("events to come", cluster.time.pending());
    return all;
}

// --- judgement ---

// S-BOUND: what engines hold, against what they are allowed to hold.
void World::check_bounds() {
    auto check = [&](const Endpoint& node, const char* what, std::uint64_t is, std::uint64_t max) {
        if (is > max)
            cluster.checker.fail("S-BOUND", to_string(node) + " holds " + std::to_string(is) + " " +
                                                what + ", allowed " + std::to_string(max));
    };
    std::uint64_t with_liar = plan.clients + 1 + guests.size();
    for (const auto& node : replicas) {
        if (!node->up() || !cluster.correct(node->self())) continue;
        auto agreement = node->replica()->agreement().report();
        check(node->self(), "pending requests", agreement.pending,
              with_liar * plan.partitions * minbft::ReplicaOptions{}.pending_per_client);
        // The window, and what a new view brings a replica that is behind; once all are well, the
        // window alone. Nobody helps somebody who was replaced to catch up.
        const Endpoint& self = node->self();
        bool member = cluster.membership.active(self.group, Position(self.index));
        std::uint64_t behind = well && member ? 0 : null_retention;
        if (agreement.links >= plan.window) cluster.reach("window full at a replica");
        check(node->self(), "links", agreement.links, behind + 2 * plan.window);
        check(node->self(), "messages in its own log", agreement.vote_log,
              MessageLimits{}.vote_log);
        check(node->self(), "missing bodies", agreement.missing_bodies, plan.window * 2000);
        check(node->self(), "undecided or unanswered slots",
              node->replica()->executor().report().waiting_slots,
              minbft::ExecutorOptions{}.slots_kept + plan.window);
        check(node->self(), "outputs", node->waiting(), 100'000);
    }
    for (const auto& node : voters) {
        if (node->voter() == nullptr) continue;
        auto report = node->voter()->report();
        // The smallest charge for an item is 288 bytes.
        check(node->self(), "waiting items", report.waiting,
              replicas.size() * (plan.voter_sender_bytes / 288 + 1));
        check(node->self(), "items in flight", report.in_flight, 64);
    }
    for (const auto& node : primaries)
        if (node && node->up())
            check(node->self(), "pooled requests", node->primary()->report().pooled,
                  with_liar * plan.groups * minbft::PrimaryOptions{}.client_pool);
}

bool World::all_answered() const {
    if (admin && !admin->idle()) return false;  // L-CFG
    return std::all_of(clients.begin(), clients.end(),
                       [](const auto& client) { return client->outstanding() == 0; }) &&
           std::all_of(guests.begin(), guests.end(),
                       [](const auto& each) { return each.second->outstanding() == 0; });
}

std::optional<View> World::common_view() const {
    std::optional<View> view;
    for (const auto& node : replicas) {
        if (!in_core(node->self())) continue;
        if (!node->up()) return std::nullopt;
        auto report = node->replica()->agreement().report();
        if (!report.active || (view && *view != report.view)) return std::nullopt;
        view = report.view;
    }
    return view;
}

bool World::converged() const {
    Slot tip = cluster.checker.chain_tip();
    for (const auto& node : replicas) {
        if (!in_core(node->self())) continue;
        if (!node->up()) return false;
        auto report = node->replica()->agreement().report();
        // Heartbeats go on: the tip itself moves while everybody follows.
        if (report.delivered + 8 < tip || node->replica()->executor().executed() + 8 < tip)
            return false;
    }
    return common_view() && all_executed();
}

bool World::all_executed() const {
    for (const auto& node : voters) {
        if (!in_core(node->self())) continue;
        if (node->voter() == nullptr) return false;
        for (const auto& [partition, next] : cluster.checker.reference().next()) {
            auto mine = node->database().next().find(partition);
            if (mine == node->database().next().end() || mine->second != next) return false;
        }
        // Nobody need notice what was overwritten since.
        bool sound = cluster.checker.sound(VoterId(node->self().index));
        if (!sound && database_root(*leaves_of(chunks_of(node->database().state()))) !=
                          cluster.checker.reference().root())
            return false;
    }
    return true;
}

std::string World::state() const {
    std::size_t outstanding = 0;
    std::string whose;
    auto count = [&](const std::string& who, std::size_t calls) {
        outstanding += calls;
        if (calls > 0) whose += " " + who + ":" + std::to_string(calls);
    };
    for (std::size_t c = 0; c < clients.size(); ++c)
        count("client." + std::to_string(c), clients[c]->outstanding());
    for (const auto& [id, client] : guests)
        count("client." + std::to_string(id.value), client->outstanding());
    std::string text = "delivered " + std::to_string(cluster.checker.chain_tip().value) + ", " +
                       std::to_string(outstanding) + " calls without answer:" + whose;
    auto who = [&](const auto& node) {
        text += "\n    " + to_string(node->self());
        if (!cluster.correct(node->self())) text += " (byzantine)";
        if (!node->up()) text += " down";
        return node->up();
    };
    for (const auto& node : primaries) {
        if (!node || !who(node)) continue;
        auto report = node->primary()->report();
        static constexpr const char* phases[] = {"idle", "collecting", "active"};
        text += " view=" + std::to_string(report.view.value) + " " +
                phases[static_cast<int>(report.phase)] +
                " tip=" + std::to_string(report.tip.value) +
                " pooled=" + std::to_string(report.pooled);
    }
    for (const auto& node : replicas) {
        if (!who(node)) continue;
        auto report = node->replica()->agreement().report();
        text += " view=" + std::to_string(report.view.value) + (report.active ? "" : " inactive") +
                (report.halted ? " halted" : "") + " tip=" + std::to_string(report.tip.value) +
                " committed=" + std::to_string(report.committed.value) +
                " delivered=" + std::to_string(report.delivered.value) +
                " stable=" + std::to_string(report.stable.value) +
                " executed=" + std::to_string(node->replica()->executor().executed().value) +
                " pending=" + std::to_string(report.pending) +
                " missing=" + std::to_string(report.missing_bodies) +
                " config=" + std::to_string(report.config.value) +
                (report.unsettled
                     ? " waits for the barrier of " + std::to_string(report.unsettled->value)
                     : std::string()) +
                " log=" + std::to_string(report.vote_log);
        for (const Endpoint& dead : report.dead) text += " dead=" + to_string(dead);
    }
    for (const auto& node : voters) {
        if (!who(node)) continue;
        if (!cluster.checker.sound(VoterId(node->self().index))) text += " tampered";
        if (node->guard() != nullptr)
            text += std::string(" guard=") + to_string(node->guard()->report().state) + " (" +
                    node->guard()->report().reason + ")";
        if (node->voter() == nullptr) continue;
        auto report = node->voter()->report();
        text += " executed=" + std::to_string(report.executed) +
                " waiting=" + std::to_string(report.waiting) +
                " in_flight=" + std::to_string(report.in_flight);
    }
    return text;
}

}  // namespace bft::sim

#include "plan.hpp"

#include "base/prng.hpp"

#include <algorithm>

namespace bft::sim {

using consensus::Endpoint;

namespace {

Duration between(Prng& prng, Duration low, Duration high) {
    return Duration(static_cast<std::int64_t>(prng.between(
        static_cast<std::uint64_t>(low.count()), static_cast<std::uint64_t>(high.count()))));
}

bool coin(Prng& prng) {
    return prng.chance(500);
}

// At most f positions of each group and f_D voters: the same machine everywhere, or others each.
void choose_byzantine(Plan& plan, Prng& prng) {
    bool lying_replicas = coin(prng);
    bool lying_voters = coin(prng);
    bool by_machine = coin(prng);
    std::uint32_t n = plan.replicas();
    std::set<std::uint32_t> machines = plan.gone;
    while (machines.size() < plan.f) machines.insert(static_cast<std::uint32_t>(prng.below(n)));
    auto others = [&] {
        std::set<std::uint32_t> chosen = plan.gone;
        while (chosen.size() < plan.f) chosen.insert(static_cast<std::uint32_t>(prng.below(n)));
        return chosen;
    };
    auto databases = [&] {
        std::set<std::uint32_t> chosen = plan.gone;
        while (chosen.size() < plan.f_of_databases())
            chosen.insert(static_cast<std::uint32_t>(prng.below(plan.voters())));
        return chosen;
    };
    for (std::uint32_t g = 1; g <= plan.groups; ++g)
        for (std::uint32_t j : by_machine ? machines : others())
            if (lying_replicas && !plan.gone.contains(j))
                plan.byzantine.insert(Endpoint::replica(GroupId(g), Position(j)));
    for (std::uint32_t d : by_machine&& plan.f_database == 0 ? machines : databases())
        if (lying_voters && !plan.gone.contains(d))
            plan.byzantine.insert(Endpoint::voter(VoterId(d)));
}

// Any number of primaries but one (F3); a scripted one leads view 0.
void choose_leaders(Plan& plan, Prng& prng) {
    LeaderLies& l = plan.leader_lies;
    for (bool* lie : {&l.bad_new_views, &l.two_new_views, &l.equivocates, &l.omits, &l.hides_bodies,
                      &l.falls_silent, &l.delays, &l.censors})
        *lie = prng.chance(350);
    std::uint32_t correct = plan.scripted_primary() ? 1 : 0;
    if (plan.scripted_primary() && !plan.gone.empty()) plan.primaries_beside_replicas = false;
    for (std::uint32_t p = correct; p < plan.primaries; ++p)
        if (!plan.gone.contains(plan.primary_machine(p)) && coin(prng)) correct = p;
    for (std::uint32_t p = 0; p < plan.primaries; ++p)
        if (p != correct && !(p == 0 && plan.scripted_primary()) && prng.chance(400))
            plan.byzantine.insert(Endpoint::primary(PrimaryId(p)));
}

void choose_lies(Plan& plan, Prng& prng) {
    ReplicaLies& r = plan.replica_lies;
    for (bool* lie : {&r.wrong_commit, &r.early_commit, &r.selective, &r.forged_items,
                      &r.wrong_replies, &r.garbage_answers})
        *lie = coin(prng);
    r.silent = prng.chance(150);
    for (bool* lie : {&r.hides_commits, &r.late_commits, &r.two_changes, &r.false_vouches,
                      &r.wrong_checkpoints, &r.accepts_anything, &r.complains, &r.hides_bodies})
        *lie = prng.chance(350);
    VoterLies& v = plan.voter_lies;
    v.wrong_results = coin(prng);
    v.wrong_digests = coin(prng);
    v.silent = prng.chance(150);
    if (prng.chance(250)) {
        PrimaryLies& p = plan.primary_lies;
        for (bool* lie : {&p.withholds, &p.bogus_requests, &p.duplicates, &p.skips_counter,
                          &p.equivocates, &p.invalid_headers})
            *lie = prng.chance(350);
        if (p.any()) plan.byzantine.insert(Endpoint::primary(PrimaryId(0)));
    }
    choose_leaders(plan, prng);
    plan.byzantine_client = coin(prng);
    ClientLies& c = plan.client_lies;
    for (bool* lie : {&c.two_contents, &c.replays, &c.one_replica, &c.bad_partitions})
        *lie = coin(prng);
    for (bool* lie : {&c.bad_signatures, &c.far_numbers, &c.false_lows, &c.floods})
        *lie = prng.chance(250);
    if (plan.byzantine_client) plan.byzantine.insert(Endpoint::of_client(ClientId(plan.clients)));
}

void choose_network(Plan& plan, Prng& prng) {
    NetworkFaults& net = plan.network;
    if (coin(prng)) net.loss_permille = static_cast<std::uint32_t>(prng.between(1, 300));
    if (coin(prng)) net.duplicate_permille = static_cast<std::uint32_t>(prng.between(1, 500));
    if (coin(prng)) net.reorder_permille = static_cast<std::uint32_t>(prng.between(1, 500));
    if (coin(prng)) net.replay_permille = static_cast<std::uint32_t>(prng.between(1, 100));
    net.clogs = coin(prng);
    net.cuts = coin(prng);
    net.slow_links = coin(prng);
    net.splits = coin(prng);
    net.swizzles = prng.chance(250);
    net.first_view_messages_lost = prng.chance(250);
}

// Patience must exceed what TPMs and queues cost a correct primary (section 8).
void choose_timers(Plan& plan, Prng& prng) {
    Duration tpm = (plan.tpm_latency + plan.tpm_jitter) * static_cast<int>(plan.groups + 1);
    Timers& t = plan.timers;
    t.heartbeat = between(prng, 50ms, 250ms);
    t.order = between(prng, 400ms, 1s) + tpm * 6;
    t.body = between(prng, 300ms, 1s) + tpm * 6;
    t.silence = between(prng, 200ms, 1s) + t.heartbeat + tpm * 6;
    t.new_view = between(prng, 1s, 2s) + tpm * 12;
    t.max = t.new_view * 4;
    // T6: above what a request may take whose way to the primary needs a replica's help, below T1.
    t.order_delay = 250ms + (t.order + tpm * 6) / 2;
    t.slot_interval = t.order_delay;
}

void choose_bounds(Plan& plan, Prng& prng) {
    if (prng.chance(500)) {
        plan.checkpoint_every = prng.between(1, 16);
        plan.window = plan.checkpoint_every * prng.between(4, 12);
    }
    if (prng.chance(200)) plan.voter_sender_bytes = prng.between(8, 64) * 1024;
    if (prng.chance(200)) plan.voter_answers = static_cast<std::uint32_t>(prng.between(1, 16));
}

// Faults of whole processes and machines.
void choose_faults(Plan& plan, Prng& prng) {
    plan.crashes = coin(prng);
    plan.role_crashes = coin(prng);
    plan.primary_crashes = coin(prng);
    plan.power_cuts = prng.chance(200);
    plan.pauses = prng.chance(300);
    plan.tpm_outages = prng.chance(250);
    plan.resigns = prng.chance(250);
    plan.chaotic_start = prng.chance(200);
    if (coin(prng))
        while (plan.gone.size() < prng.between(1, plan.f))
            plan.gone.insert(static_cast<std::uint32_t>(prng.below(plan.replicas())));
    plan.loss = static_cast<Plan::Loss>(prng.below(5));
}

// Everything that the databases tier tolerates: f_D of them are gone, lie or are changed.
void choose_databases(Plan& plan, Prng& prng) {
    std::set<std::uint32_t> bad = plan.gone;
    for (const Endpoint& node : plan.byzantine)
        if (node.role == Endpoint::Role::voter) bad.insert(node.index);
    // A replica that adopted a state votes for nothing before it. A database that lacks that needs
    // f_D+1 others that are as they should be.
    if (prng.chance(200) || (plan.long_away && !bad.empty())) return;
    plan.checkpoint_slots = prng.between(2, 12);
    plan.scan_slots = plan.checkpoint_slots * prng.between(1, 4);
    plan.scan_time = between(prng, 1ms, coin(prng) ? 50ms : 500ms);
    plan.voter_lies.wrong_chunks = coin(prng);
    plan.voter_lies.wrong_roots = coin(prng);
    bool honest = bad.empty();
    if (plan.mutation != Mutation::none) return;
    if (prng.chance(600) && !plan.long_away)
        for (std::uint32_t d = 0; d < plan.voters() && bad.size() < plan.f_of_databases(); ++d)
            if (coin(prng) && bad.insert(d).second) plan.tampered.insert(d);
    // Time enough to notice it, and to be disturbed while it is mended.
    if (!plan.tampered.empty()) plan.chaos += 3s;
    // Who needs what replicas no longer keep needs f_D+1 others that are as they should be.
    plan.long_outage = honest && plan.tampered.empty() && coin(prng);
    if (plan.long_outage) {
        plan.slots_kept = static_cast<std::uint32_t>(prng.between(32, 64));
        // A rebuild has to end before what follows it is let go; slow databases take seconds.
        plan.slots_kept += static_cast<std::uint32_t>(plan.database_latency / 100us);
    }
    plan.database_full = prng.chance(250);
}

void choose_environment(Plan& plan, Prng& prng) {
    bool lying_replicas =
        std::any_of(plan.byzantine.begin(), plan.byzantine.end(),
                    [](const Endpoint& node) { return node.role == Endpoint::Role::replica; });
    // Unanimous: every processor must come back, and tell the truth.
    plan.holes = plan.gone.empty() && !lying_replicas && plan.mutation == Mutation::none;
    plan.counter_patience = between(prng, 500ms, 1500ms) + plan.tpm_latency * 20;
    plan.wrong_clocks = prng.chance(300);
    if (plan.nothing_stops()) return;
    if (prng.chance(250)) plan.tpm_error_permille = static_cast<std::uint32_t>(prng.between(1, 60));
    plan.tpm_slow = prng.chance(200);
    plan.log_failures = prng.chance(300);
    plan.slow_disks = prng.chance(200);
    plan.drift = prng.chance(250);
    plan.early_timers = prng.chance(100);
    if (plan.early_timers)
        for (Duration* patience :
             {&plan.timers.order, &plan.timers.body, &plan.timers.silence, &plan.timers.new_view})
            *patience /= 10;
}

// Somebody is away for so long that the others' logs no longer lead back to where it was. Small
// windows make that a matter of seconds.
void choose_absence(Plan& plan, Prng& prng) {
    if (!prng.chance(250)) return;
    plan.long_away = true;
    plan.checkpoint_every = prng.between(1, 4);
    plan.window = plan.checkpoint_every * 4 + prng.between(8, 20);
    // Groups may be a window apart, and more when a primary goes on with one of them only.
    plan.retain = plan.window + prng.between(0, plan.window);
    plan.chaos = std::max(plan.chaos, between(prng, 5s, 9s));
    if (prng.chance(700)) plan.gone.clear();
    if (prng.chance(600))
        std::erase_if(plan.byzantine,
                      [](const Endpoint& e) { return e.role == Endpoint::Role::replica; });
}

// f positions of every group, on one machine or not, and all primaries but one.
void choose_plot(Plan& plan, Prng& prng, std::optional<Plot::Kind> kind) {
    Plot plot;
    plot.kind = kind.value_or(static_cast<Plot::Kind>(prng.below(6)));
    plot.lowest = prng.chance(850);
    plot.nullifies = prng.chance(850);
    plot.few_groups = coin(prng);
    plot.isolates = prng.chance(800);
    plot.resigns = prng.chance(800);
    plot.unfair = prng.chance(200);
    plan.plot = plot;
    plan.gone.clear();
    plan.loss = Plan::Loss::crash;
    plan.primary_lies = {};
    plan.leader_lies = {};
    std::erase_if(plan.byzantine, [](const Endpoint& e) {
        return e.role == Endpoint::Role::replica || e.role == Endpoint::Role::primary;
    });
    bool by_machine = coin(prng);
    auto some = [&] {
        std::set<std::uint32_t> chosen;
        while (chosen.size() < plan.f)
            chosen.insert(static_cast<std::uint32_t>(prng.below(plan.replicas())));
        return chosen;
    };
    std::set<std::uint32_t> machines = some();
    for (std::uint32_t g = 1; g <= plan.groups; ++g)
        for (std::uint32_t j : by_machine ? machines : some())
            plan.byzantine.insert(Endpoint::replica(GroupId(g), Position(j)));
    auto correct = static_cast<std::uint32_t>(prng.below(plan.primaries));
    for (std::uint32_t p = 0; p < plan.primaries; ++p)
        if (p != correct) plan.byzantine.insert(Endpoint::primary(PrimaryId(p)));
}

// The seed's Byzantine replicas, perhaps other primaries, one at least, without their lies.
void only_honest_liars(Plan& plan, Prng& prng) {
    plan.primary_lies = {};
    plan.leader_lies = {};
    plan.replica_lies = {};
    plan.gone.clear();
    plan.loss = Plan::Loss::crash;
    std::erase_if(plan.byzantine,
                  [](const Endpoint& e) { return e.role == Endpoint::Role::primary; });
    auto correct = static_cast<std::uint32_t>(prng.below(plan.primaries));
    for (std::uint32_t p = 0; p < plan.primaries; ++p)
        if (p != correct && coin(prng)) plan.byzantine.insert(Endpoint::primary(PrimaryId(p)));
    if (plan.byzantine.empty()) {
        Position one(static_cast<std::uint32_t>(prng.below(plan.replicas())));
        plan.byzantine.insert(Endpoint::replica(GroupId(1), one));
    }
}

void choose_twins(Plan& plan, Prng& prng) {
    only_honest_liars(plan, prng);
    plan.twins = true;
    plan.voter_lies = {};
}

void choose_mutators(Plan& plan, Prng& prng) {
    only_honest_liars(plan, prng);
    plan.mutates = true;
}

// Half of the seeds; their other choices are those that they would have without.
void choose_quirks(Plan& plan) {
    Prng prng(plan.seed ^ 0x9a1b'5c3d'77e0'2f46u);
    if (coin(prng) || plan.mutation != Mutation::none) return;
    for (std::uint32_t& permille : plan.quirks) {
        bool often = prng.chance(300);
        bool on = coin(prng);
        std::uint64_t value = often ? prng.between(50, 300) : prng.between(2, 30);
        if (on) permille = static_cast<std::uint32_t>(value);
    }
    // A wish of one replica alone does nothing; of all, all the time, nothing else happens.
    auto of = [&](consensus::Quirk quirk) -> std::uint32_t& {
        return plan.quirks[static_cast<std::size_t>(quirk)];
    };
    std::uint32_t& hasty = of(consensus::Quirk::hasty_suspicion);
    hasty = plan.calm() ? 0 : std::min(hasty, 40u);
    std::uint32_t& heartbeat = of(consensus::Quirk::early_heartbeat);
    heartbeat = std::min(heartbeat, 20u);
}

// A hundredth of the seeds. A software USIG spends no value without a certificate.
void choose_crypto(Plan& plan) {
    Prng prng(plan.seed ^ 0x41c6'4e6d'0f10'a3c7u);
    plan.real_crypto = prng.chance(10) && plan.mutation == Mutation::none;
    if (plan.real_crypto) plan.tpm_void_permille = 0;
}

// What a mutation needs to show: somebody who makes use of the broken rule.
void suit_mutation(Plan& plan) {
    auto lying_position = [&] {
        plan.gone.clear();
        std::erase_if(plan.byzantine, [](const Endpoint& e) {
            return e.role == Endpoint::Role::replica || e.role == Endpoint::Role::primary;
        });
        for (std::uint32_t g = 1; g <= plan.groups; ++g)
            plan.byzantine.insert(Endpoint::replica(GroupId(g), Position(0)));
        plan.primary_lies = {};
        plan.replica_lies.silent = false;
    };
    switch (plan.mutation) {
        case Mutation::none:
        case Mutation::database_ignores_order:
        case Mutation::reply_before_commit:
            break;
        case Mutation::verifier_accepts_all:
            lying_position();
            plan.replica_lies.garbage_answers = true;
            break;
        case Mutation::voters_trust_f:
            lying_position();
            plan.replica_lies.forged_items = true;
            break;
        case Mutation::client_trusts_one:
            lying_position();
            plan.replica_lies.wrong_replies = true;
            break;
        case Mutation::database_not_atomic:
        case Mutation::send_before_sync:
        case Mutation::disk_loses_tail:
        case Mutation::last_unused:
            plan.crashes = true;
            plan.primary_crashes = true;
            plan.disk_latency = 10ms;
            break;
        case Mutation::counter_rolls_back:
            plan.primary_lies = {};
            plan.primary_lies.equivocates = true;
            plan.byzantine.insert(Endpoint::primary(PrimaryId(0)));
            break;
        case Mutation::too_many_liars:
            plan.gone.clear();
            for (std::uint32_t d = 0; d <= plan.f; ++d)
                plan.byzantine.insert(Endpoint::voter(VoterId(d)));
            plan.voter_lies = {};
            plan.voter_lies.wrong_results = true;
            break;
    }
}

}  // namespace

namespace {

Plan make(std::uint64_t seed, Mutation mutation, std::optional<Plot::Kind> plot,
          std::uint32_t groups_min) {
    Prng prng(seed ^ 0x5eed5eed5eed5eedu);
    Plan plan;
    plan.seed = seed;
    plan.mutation = mutation;
    plan.f = prng.chance(850) ? 1 : 2;
    plan.groups = static_cast<std::uint32_t>(prng.between(groups_min, 3));
    plan.partitions = static_cast<std::uint32_t>(prng.between(plan.groups, 2 * plan.groups + 2));
    plan.clients = static_cast<std::uint32_t>(prng.between(1, 4));
    plan.client_depth = static_cast<std::uint32_t>(prng.between(1, 8));
    plan.multi_permille = prng.chance(200) ? 1000 : static_cast<std::uint32_t>(prng.below(600));
    plan.think = between(prng, 0ms, coin(prng) ? 5ms : 200ms);
    plan.workers = static_cast<std::uint32_t>(prng.between(1, 4));
    plan.chaos = between(prng, 500ms, coin(prng) ? 3s : 8s);

    plan.tpm_latency = between(prng, 500us, coin(prng) ? 5ms : 50ms);
    if (coin(prng)) plan.tpm_jitter = between(prng, 0ms, plan.tpm_latency);
    if (prng.chance(150)) plan.tpm_void_permille = 50;
    plan.primaries = static_cast<std::uint32_t>(prng.between(2, 3));
    plan.primaries_beside_replicas = coin(prng);
    choose_timers(plan, prng);
    plan.disk_latency = between(prng, 50us, coin(prng) ? 1ms : 10ms);
    plan.database_latency = between(prng, 200us, coin(prng) ? 2ms : 30ms);
    if (coin(prng)) plan.database_retry_permille = 100;
    // Tiny bounds now and then, so that every bound is met.
    choose_bounds(plan, prng);

    if (!prng.chance(100)) choose_network(plan, prng);
    // Now and then nothing is wrong, and nobody may be suspected.
    if (!prng.chance(60)) choose_faults(plan, prng);
    if (plan.gone.empty() && mutation == Mutation::none && prng.chance(200))
        plan.f_database = static_cast<std::uint32_t>(prng.between(1, 2));
    if (!prng.chance(200)) {
        choose_byzantine(plan, prng);
        choose_lies(plan, prng);
    }
    choose_absence(plan, prng);
    if (mutation == Mutation::none && (plot || prng.chance(250)))
        choose_plot(plan, prng, plot);
    else if (mutation == Mutation::none && prng.chance(150))
        choose_twins(plan, prng);
    else if (mutation == Mutation::none && prng.chance(200))
        choose_mutators(plan, prng);
    suit_mutation(plan);
    choose_databases(plan, prng);
    choose_environment(plan, prng);
    choose_quirks(plan);
    choose_crypto(plan);
    return plan;
}

}  // namespace

Plan make_plan(std::uint64_t seed, Mutation mutation, std::optional<Plot::Kind> plot) {
    return make(seed, mutation, plot, 1);
}

Plan make_moving_plan(std::uint64_t seed, std::optional<Plot::Kind> plot) {
    Plan plan = make(seed, Mutation::none, plot, 2);
    Prng prng(seed ^ 0xc0f16c0f16c0f16u);
    plan.moves_every = between(prng, 50ms, coin(prng) ? 300ms : 2s);
    return plan;
}

// In half of the seeds that have liars, one in each group that comes.
void choose_groups(Plan& plan, Prng& prng) {
    plan.group_changes = 1 + static_cast<std::uint32_t>(prng.below(10));
    if (coin(prng)) plan.moves_every = std::min<Duration>(plan.moves_every, 250ms);
    if (plan.plot || plan.twins || !plan.gone.empty() || plan.byzantine.empty() || coin(prng))
        return;
    for (std::uint32_t g = 0; g < plan.group_changes; ++g) {
        Position liar(static_cast<std::uint32_t>(prng.below(plan.replicas())));
        plan.byzantine.insert(Endpoint::replica(GroupId(first_new_group + g), liar));
    }
}

// A hole needs everybody who processes its counter to say so: not simulated while they change.
Plan make_changing_plan(std::uint64_t seed, std::optional<Plot::Kind> plot) {
    Plan plan = make(seed, Mutation::none, plot, 1);
    Prng prng(seed ^ 0x4ec0f16u);
    plan.moves_every = between(prng, 50ms, coin(prng) ? 300ms : 2s);
    plan.replacements = 1 + static_cast<std::uint32_t>(prng.below(6));
    plan.holes = plan.real_crypto = false;
    Prng of_clients(seed ^ 0xc11e27u);
    if (!of_clients.chance(300))
        plan.client_changes = 1 + static_cast<std::uint32_t>(of_clients.below(12));
    plan.forgets_clients = coin(of_clients);
    Prng of_groups(seed ^ 0x6401u);
    if (of_groups.chance(700)) choose_groups(plan, of_groups);
    // f_D+1 others must be as they should be while a database comes.
    plan.databases_replaced = plan.tampered;
    bool honest = plan.gone.empty();
    for (const Endpoint& node : plan.byzantine)
        honest = honest && node.role != Endpoint::Role::voter;
    if (plan.checkpoint_slots != 0 && plan.tampered.empty() && honest && !plan.long_away &&
        !plan.long_outage && coin(prng)) {
        plan.databases_replaced.insert(static_cast<std::uint32_t>(prng.below(plan.voters())));
        plan.chaos += 3s;
    }
    // Beyond 2f_D+1: those who were there are enough, as many of them bad as ever.
    Prng of_databases(seed ^ 0xdbadd);
    if (plan.checkpoint_slots != 0 && !plan.long_away && !plan.long_outage &&
        of_databases.chance(300)) {
        for (std::uint64_t more = 1 + of_databases.below(2); more > 0; --more)
            plan.databases_replaced.insert(plan.voters() + static_cast<std::uint32_t>(more) - 1);
        plan.chaos += 3s;
    }
    return plan;
}

bool Plan::nothing_stops() const {
    return !(crashes || role_crashes || primary_crashes || power_cuts || pauses || tpm_outages ||
             resigns || long_away || chaotic_start || !gone.empty());
}

bool Plan::calm() const {
    const NetworkFaults& net = network;
    bool network_faults = net.loss_permille + net.reorder_permille > 0 || net.clogs || net.cuts ||
                          net.slow_links || net.splits || net.swizzles;
    bool primaries_lie = false;
    for (const Endpoint& node : byzantine)
        primaries_lie = primaries_lie || node.role == Endpoint::Role::primary;
    bool stops = !nothing_stops() || tpm_error_permille > 0 || tpm_slow || log_failures ||
                 slow_disks || drift || early_timers || replacements > 0;
    return mutation == Mutation::none && !network_faults && !primaries_lie && !stops;
}

}  // namespace bft::sim

// A plan in words, for whoever replays its seed.
#include "plan.hpp"

#include <sstream>

namespace bft::sim {

using consensus::Endpoint;

const char* to_string(Plot::Kind kind) {
    static constexpr const char* names[] = {"loyal",  "late",         "back",
                                            "rebase", "two_prepares", "forged_view"};
    return names[static_cast<int>(kind)];
}

const char* to_string(Mutation mutation) {
    switch (mutation) {
        case Mutation::none:
            return "none";
        case Mutation::verifier_accepts_all:
            return "verifier_accepts_all";
        case Mutation::voters_trust_f:
            return "voters_trust_f";
        case Mutation::database_ignores_order:
            return "database_ignores_order";
        case Mutation::database_not_atomic:
            return "database_not_atomic";
        case Mutation::send_before_sync:
            return "send_before_sync";
        case Mutation::counter_rolls_back:
            return "counter_rolls_back";
        case Mutation::client_trusts_one:
            return "client_trusts_one";
        case Mutation::reply_before_commit:
            return "reply_before_commit";
        case Mutation::too_many_liars:
            return "too_many_liars";
        case Mutation::disk_loses_tail:
            return "disk_loses_tail";
        case Mutation::last_unused:
            return "last_unused";
    }
    return "unknown";
}

std::string Plan::text() const {
    std::ostringstream out;
    auto us = [](Duration d) {
        return std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(d).count());
    };
    auto flag = [&](const char* name, bool on) {
        if (on) out << ' ' << name;
    };
    out << "seed=" << seed << " f=" << f << " primaries=" << primaries
        << (primaries_beside_replicas ? "+" : "") << " groups=" << groups
        << " partitions=" << partitions << " clients=" << clients << " depth=" << client_depth
        << " multi=" << multi_permille << " workers=" << workers << " chaos_us=" << us(chaos)
        << " tpm_us=" << us(tpm_latency) << "+" << us(tpm_jitter) << " voids=" << tpm_void_permille
        << " disk_us=" << us(disk_latency) << " database_us=" << us(database_latency)
        << " window=" << window << "/" << checkpoint_every << " retain=" << retain
        << " patience_us=" << us(timers.order) << "/" << us(timers.body) << "/"
        << us(timers.silence) << "/" << us(timers.new_view) << " loss=" << network.loss_permille
        << " dup=" << network.duplicate_permille << " reorder=" << network.reorder_permille
        << " replay=" << network.replay_permille;
    if (moves_every > Duration{}) out << " moves_us=" << us(moves_every);
    if (client_changes > 0) out << " client_changes=" << client_changes;
    flag("forgets_clients", forgets_clients);
    if (replacements > 0) out << " replacements=" << replacements;
    flag("clogs", network.clogs);
    flag("cuts", network.cuts);
    flag("slow_links", network.slow_links);
    flag("splits", network.splits);
    flag("swizzles", network.swizzles);
    flag("first_view_messages_lost", network.first_view_messages_lost);
    flag("crashes", crashes);
    flag("role_crashes", role_crashes);
    flag("primary_crashes", primary_crashes);
    flag("power_cuts", power_cuts);
    flag("pauses", pauses);
    flag("tpm_outages", tpm_outages);
    flag("resigns", resigns);
    flag("chaotic_start", chaotic_start);
    flag("long_away", long_away);
    flag("scripted_primary", scripted_primary());
    if (checkpoint_slots > 0)
        out << " cuts=" << checkpoint_slots << "/" << scan_slots << " slots_kept=" << slots_kept;
    if (f_database > 0) out << " f_database=" << f_database;
    if (tpm_error_permille > 0) out << " tpm_errors=" << tpm_error_permille;
    flag("holes", holes);
    flag("tpm_slow", tpm_slow);
    flag("log_failures", log_failures);
    flag("slow_disks", slow_disks);
    flag("wrong_clocks", wrong_clocks);
    flag("drift", drift);
    flag("early_timers", early_timers);
    flag("database_full", database_full);
    flag("long_outage", long_outage);
    for (std::uint32_t voter : databases_replaced) out << " database_replaced=" << voter;
    for (std::uint32_t voter : tampered) out << " tampered=" << voter;
    if (quirky()) {
        out << " quirks=";
        for (std::uint32_t permille : quirks) out << permille << (permille == 0 ? "." : "/");
    }
    flag("real_crypto", real_crypto);
    flag("twins", twins);
    flag("mutates", mutates);
    if (plot) {
        out << " plot=" << to_string(plot->kind);
        flag("lowest", plot->lowest);
        flag("nullifies", plot->nullifies);
        flag("few_groups", plot->few_groups);
        flag("isolates", plot->isolates);
        flag("resigns", plot->resigns);
        flag("unfair", plot->unfair);
    }
    static constexpr const char* losses[] = {"", " (disk lost)", " (TPM reset)",
                                             " (disk rolled back)", " (disk rotten)"};
    for (std::uint32_t machine : gone) out << " gone=" << machine << losses[static_cast<int>(loss)];
    for (const Endpoint& node : byzantine) out << " byzantine=" << consensus::to_string(node);
    return out.str();
}

}  // namespace bft::sim

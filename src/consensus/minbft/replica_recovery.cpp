// A replica's restart: the log of the earlier incarnation against what the TPM certified (3.15).
#include "consensus/minbft/replica.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::consensus::minbft {

Result<void> Replica::recover(Recovered log, const std::optional<std::pair<Digest, Ui>>& last) {
    if (auto problem = recover_votes(log)) return error(Errc::refused, *problem);

    Counter logged = log.own_commits.empty() ? Counter(0) : log.own_commits.back().ui.cv;
    Counter certified = last ? last->second.cv : Counter(0);
    if (certified < logged)
        return error(Errc::refused,
                     "the TPM's counter is at " + std::to_string(certified.value) +
                         ", below the log's " + std::to_string(logged.value) +
                         ": the TPM's state was rolled back. Replace this replica's identity.");
    if (certified > logged) {
        bool intended =
            log.intent && commit_digest(membership_.cluster, log.intent->commit) == last->first;
        // The certificate may prove values before its own void.
        if (!intended || certified.value - last->second.voids != logged.value + 1)
            return error(Errc::refused,
                         "the TPM has certified up to " + std::to_string(certified.value) +
                             " but this host's log ends at " + std::to_string(logged.value) +
                             ": the log is old or lost. This replica must not certify anything; "
                             "restore its data directory or replace its identity.");
        // T1: certified, but the crash came before the log or the send.
        Commit commit = log.intent->commit;
        commit.ui = last->second;
        out_.persist.push_back({CommitRecord{commit}});
        resend_ = commit;
        adopt_own(std::move(commit));
    }

    // What this process wrote itself, it processes again as if it came from the network, except
    // that nothing is logged or asked for twice.
    Output kept = std::exchange(out_, {});
    bodies_ = std::move(log.bodies);
    for (Commit& commit : log.peer_commits) {
        on_commit(std::move(commit));
        drain_votes();
    }
    for (Prepare& prepare : log.prepares) {
        on_prepare(std::move(prepare));
        drain_ordering(Now{});
        deliver_committed();
    }
    if (ordering_.dead())
        return error(Errc::io, "the log holds an invalid PREPARE: the data directory is damaged");
    while (const Link* link = chain_.at(ready_to_.next())) {
        if (!has_bodies(*link)) break;
        ready_to_ = ready_to_.next();
    }

    // Bodies of what is not delivered stay; those of requests that were only pending come again
    // from their clients.
    std::unordered_map<Digest, Body, DigestHash> undelivered;
    for (Slot slot = delivered_.next(); slot <= chain_.tip(); slot = slot.next()) {
        const Link& link = *chain_.at(slot);
        for (const OwnEntry& own : link.own) {
            const Digest& rd = link.prepare.header->entries[own.index].rd;
            if (auto body = bodies_.find(rd); body != bodies_.end()) undelivered.insert(*body);
        }
    }
    bodies_ = std::move(undelivered);
    drop_finished(out_.deliver, log.executed);
    kept.deliver = std::move(out_.deliver);
    out_ = std::move(kept);
    check_invariants();
    return {};
}

// What every voter has answered need not go to them again, except where a client may still ask for
// the answer: the voters give it back from their execution tables (R1).
void Replica::drop_finished(std::vector<Delivery>& deliveries, Slot executed) const {
    for (Delivery& delivery : deliveries) {
        if (delivery.slot > executed) return;
        std::erase_if(delivery.entries, [&](const DeliveredEntry& entry) {
            return entry.item.kind == ItemKind::nop || finished(entry.item.rid);
        });
    }
}

// Own COMMITs must be whole: from 1, without gaps other than proven voids, increasing.
std::optional<std::string> Replica::recover_votes(Recovered& log) {
    Counter at{};
    for (const Commit& commit : log.own_commits) {
        if (commit.ui.cv <= at || commit.ui.cv.value - at.value - 1 > commit.ui.voids)
            return "the log lacks own COMMITs after counter " + std::to_string(at.value) +
                   ": restore this replica's data directory or replace its identity";
        at = commit.ui.cv;
        adopt_own(commit);
    }
    std::sort(log.peer_commits.begin(), log.peer_commits.end(),
              [](const Commit& a, const Commit& b) { return a.ui.cv < b.ui.cv; });
    return std::nullopt;
}

}  // namespace bft::consensus::minbft

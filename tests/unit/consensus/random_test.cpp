// Random schedules: crashes, restarts, cuts, loss, lying primaries and one lying position per
// group; then everything heals and everybody must commit. BFT_SEEDS and BFT_FIRST_SEED choose
// which.
#include "cluster_options.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

namespace bft::consensus::test {
namespace {

std::uint64_t from_environment(const char* name, std::uint64_t fallback) {
    const char* text = std::getenv(name);
    return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

struct Totals {
    std::uint64_t views = 0, nullified = 0, accepted = 0, crashes = 0, slots = 0;
};

class Chaos {
public:
    explicit Chaos(std::uint64_t seed) : dice_(seed * 7919 + 1), c_(options(seed, dice_)) {
        for (const Endpoint& who : c_.everyone())
            if (c_.liar(who)) c_.node(who).disk.hide_bodies = dice_.chance(500);
        c_.network = [this](const Endpoint& from, const Endpoint& to, Payload& payload) {
            return passes(from, to, payload);
        };
        c_.corrupt = [this](Cluster::Node& node, Output& out) { lie(node, out); };
    }

    std::string run(Totals& totals) {
        for (int step = 0; step < 40 && c_.violation.empty(); ++step) {
            c_.run_for(Duration(dice_.between(10, 250) * 1'000'000));
            disturb(totals);
        }
        if (!c_.violation.empty()) return c_.violation;
        heal();
        for (const auto& [p, owner] : c_.m.owners)
            if (p.value > 0) c_.submit({p});
        c_.submit({PartitionId(1), PartitionId(2)});
        bool live = c_.run_until([&] { return c_.all_answered() && converged(); }, 60s);
        totals.views += c_.view(0, correct(0)).value;
        totals.nullified += c_.count(Event::Kind::nullified);
        totals.accepted += c_.count(Event::Kind::new_view_accepted);
        totals.slots += c_.replica(0, correct(0)).replica->agreement().delivered().value;
        if (!c_.violation.empty()) return c_.violation;
        return live ? "" : "liveness: " + state();
    }

private:
    static ClusterOptions options(std::uint64_t seed, Prng& dice) {
        auto groups = static_cast<std::uint32_t>(dice.between(1, 3));
        auto primaries = static_cast<std::uint32_t>(dice.between(2, 3));
        ClusterOptions o = quick(groups, primaries, seed);
        if (dice.chance(500)) o.drop_permille = static_cast<std::uint32_t>(dice.below(60));
        if (dice.chance(300)) o.delay_max = 60ms;
        if (dice.chance(300)) o.seal_max = 50ms;
        // Short logs: who was away longer takes the others' state.
        if (dice.chance(500)) {
            o.retain = o.replica.window + dice.below(32);
            o.replica.lag_patience = 500ms;
            o.replica.state_entries = 2;
        }
        // Any number of primaries but one, at most f = 1 position in each group.
        for (std::uint32_t p = 1; p < primaries; ++p)
            if (dice.chance(400))
                o.liars.insert(
                    Endpoint::primary(PrimaryId(p - static_cast<std::uint32_t>(dice.chance(500)))));
        for (std::uint32_t g = 0; g < groups; ++g)
            if (dice.chance(400))
                o.liars.insert(Endpoint::replica(
                    GroupId(g), Position(static_cast<std::uint32_t>(dice.below(3)))));
        // A void is unanimous: a processor that is a liar may refuse it for ever (then T4).
        bool honest = std::none_of(o.liars.begin(), o.liars.end(), [](const Endpoint& liar) {
            return liar.role == Endpoint::Role::replica;
        });
        if (honest && dice.chance(500)) o.hole_permille = 500;
        return o;
    }
    std::uint32_t correct(std::uint32_t g) const {
        return c_.liar(Endpoint::replica(GroupId(g), Position(0))) ? 1 : 0;
    }

    bool passes(const Endpoint& from, const Endpoint& to, Payload& payload) {
        if (healed_) return true;
        if (cut_.contains(from) != cut_.contains(to)) return false;
        if (c_.liar(from) && mute_.contains(to) && dice_.chance(700)) return false;
        if (c_.liar(from) && from.role == Endpoint::Role::primary &&
            std::holds_alternative<Bodies>(payload))
            return false;
        return true;
    }

    void disturb(Totals& totals) {
        std::vector<Endpoint> all = c_.everyone();
        auto any = [&] { return all[dice_.below(all.size())]; };
        switch (dice_.below(10)) {
            case 0:
            case 1:
                c_.crash(any());
                ++totals.crashes;
                break;
            case 2:
            case 3:
                for (const Endpoint& who : all)
                    if (dice_.chance(700)) c_.restart(who);
                break;
            case 4:
                cut_.clear();
                for (const Endpoint& who : all)
                    if (dice_.chance(250)) cut_.insert(who);
                break;
            case 5:
                cut_.clear();
                break;
            case 6:
                mute_.clear();
                for (const Endpoint& who : all)
                    if (dice_.chance(400)) mute_.insert(who);
                break;
            case 7:
                secret();
                break;
            default:
                break;
        }
        for (std::uint64_t i = dice_.below(6); i > 0; --i) {
            auto partitions = static_cast<std::uint32_t>(c_.m.owners.size() - 1);
            PartitionId p(1 + static_cast<std::uint32_t>(dice_.below(partitions)));
            PartitionId q(1 + static_cast<std::uint32_t>(dice_.below(partitions)));
            if (p < q && dice_.chance(500))
                c_.submit({p, q});
            else
                c_.submit({p});
        }
    }

    // A request that only liars, or one correct replica, have.
    void secret() {
        PartitionId p(1 + static_cast<std::uint32_t>(dice_.below(c_.m.owners.size() - 1)));
        std::vector<Endpoint> to = c_.m.all_primaries();
        for (const Endpoint& each : c_.m.replicas(*c_.m.owner(p)))
            if (c_.liar(each) ? dice_.chance(800) : dice_.chance(150)) to.push_back(each);
        c_.submit({p}, to);
    }

    // Liars certify other NEW-VIEWs, VIEW-CHANGEs, COMMITs and PREPAREs than they should.
    void lie(Cluster::Node& node, Output& out) {
        if (node.who.role == Endpoint::Role::replica) hide_commits(node, out);
        if (healed_) return;
        equivocate(node, out);
        for (Persist& persist : out.persist) {
            if (auto* intent = std::get_if<NewViewIntent>(&persist.record)) {
                if (!dice_.chance(600)) continue;
                NewView lie = intent->new_view;
                corrupt(lie);
                lies_[node.who] = lie;
                intent->new_view = lie;
                out.seal = Draft{new_view_digest(c_.m.cluster, lie)};
            } else if (auto* record = std::get_if<NewViewRecord>(&persist.record)) {
                if (node.who.role != Endpoint::Role::primary) continue;
                substitute(node, record->new_view);
            }
        }
        for (Send& send : out.send)
            if (auto* new_view = std::get_if<NewView>(&send.payload)) substitute(node, *new_view);
    }
    // D1, D2: a VIEW-CHANGE that ends with an older COMMIT, or with none.
    void hide_commits(Cluster::Node& node, Output& out) {
        auto& commits = commits_[node.who];
        auto& changes = changes_[node.who];
        for (Persist& persist : out.persist) {
            if (auto* intent = std::get_if<ViewChangeIntent>(&persist.record)) {
                if (healed_ || !dice_.chance(500)) continue;
                ViewChange lie = *intent->change;
                Commit older;
                if (!commits.empty() && dice_.chance(800))
                    older = commits[dice_.below(commits.size())];
                if (older.view.value > 0 && older.view != lie.last.view) continue;
                lie.last = {older.view, older.to, older.hd, older.nvd};
                lie.proof = older.prepare;
                lie.from_new_view = older.from_new_view;
                if (older.view.value == 0) lie.view_cert = nullptr;
                if (dice_.chance(500)) lie.stable.reset();
                while (!lie.log.empty() && lie.log.back().last != lie.last) lie.log.pop_back();
                if (lie.log.empty() || dice_.chance(300)) {
                    lie.log.clear();
                    lie.base = {};
                    lie.vouches.clear();
                }
                out.seal = Draft{view_change_digest(c_.m.cluster, lie)};
                intent->change = std::make_shared<const ViewChange>(lie);
                changes.push_back(lie);
            } else if (auto* record = std::get_if<ViewChangeRecord>(&persist.record)) {
                record->change = substituted(changes, record->change);
            } else if (auto* commit = std::get_if<CommitRecord>(&persist.record)) {
                if (commit->commit.position.value == node.who.index)
                    commits.push_back(commit->commit);
            }
        }
        for (Send& send : out.send)
            if (auto* change = std::get_if<ViewChangePtr>(&send.payload))
                *change = substituted(changes, *change);
        // D2, D3: an old COMMIT once more, with a new counter value.
        if (healed_ || commits.empty() || !dice_.chance(3)) return;
        Commit again = commits[dice_.below(commits.size())];
        again.ui = c_.certify(node, commit_digest(c_.m.cluster, again));
        out.send.push_back({c_.m.replicas(again.group, again.position), again});
        if (dice_.chance(500)) out.persist.push_back({CommitRecord{again}});
    }
    ViewChangePtr substituted(const std::vector<ViewChange>& lies, const ViewChangePtr& change) {
        for (const ViewChange& each : lies) {
            if (each.view != change->view || each.position != change->position ||
                each.group != change->group)
                continue;
            ViewChange lie = each;
            lie.ui = change->ui;
            return std::make_shared<const ViewChange>(std::move(lie));
        }
        return change;
    }

    // C1: a second PREPARE of one slot, for some.
    void equivocate(Cluster::Node& node, Output& out) {
        for (Send& send : out.send) {
            const auto* prepare = std::get_if<Prepare>(&send.payload);
            if (prepare == nullptr || !dice_.chance(10)) continue;
            auto header = std::make_shared<Header>(*prepare->header);
            ++header->ts_ms;
            Prepare other = *prepare;
            other.hd = header_digest(*header);
            other.header = header;
            other.ui =
                c_.certify(node, prepare_digest(c_.m.cluster, other.view, other.slot, other.hd));
            std::vector<Endpoint> some;
            for (const Endpoint& each : c_.m.all_replicas())
                if (dice_.chance(500)) some.push_back(each);
            out.persist.push_back({PrepareRecord{other}});
            out.send.push_back({some, other});
            return;
        }
    }

    void substitute(Cluster::Node& node, NewView& new_view) {
        auto found = lies_.find(node.who);
        if (found == lies_.end() || found->second.view != new_view.view) return;
        Ui ui = new_view.ui;
        new_view = found->second;
        new_view.ui = ui;
    }
    void corrupt(NewView& v) {
        switch (dice_.below(5)) {
            case 0:
                if (v.slot.value > 0) --v.slot.value;
                break;
            case 1:
                v.nullset.push_back({v.slot + 1, 0});
                break;
            case 2:
                if (!v.nullset.empty()) v.nullset.erase(v.nullset.begin());
                break;
            case 3: {
                EntryRef extra{
                    Slot(v.slot.value - std::min<std::uint64_t>(dice_.below(6), v.slot.value)), 0};
                if (std::find(v.nullset.begin(), v.nullset.end(), extra) == v.nullset.end())
                    v.nullset.push_back(extra);
                std::sort(v.nullset.begin(), v.nullset.end());
                break;
            }
            default:
                if (!v.view_changes.empty())
                    v.view_changes.erase(
                        v.view_changes.begin() +
                        static_cast<std::ptrdiff_t>(dice_.below(v.view_changes.size())));
                break;
        }
    }

    void heal() {
        healed_ = true;
        cut_.clear();
        mute_.clear();
        for (const Endpoint& who : c_.everyone()) c_.restart(who);
    }

    // All correct replicas in one active view, close to each other.
    bool converged() {
        std::optional<View> view;
        Slot low(~std::uint64_t{0}), high{};
        for (const Endpoint& who : c_.m.all_replicas()) {
            if (c_.liar(who)) continue;
            auto report = c_.node(who).replica->agreement().report();
            if (!report.active || (view && *view != report.view)) return false;
            view = report.view;
            low = std::min(low, report.delivered);
            high = std::max(high, report.delivered);
        }
        return high - low < 16;
    }

    std::string state() {
        std::string all;
        for (const Endpoint& who : c_.m.all_replicas()) {
            auto r = c_.node(who).replica->agreement().report();
            all += "\n  " + to_string(who) + (c_.liar(who) ? " (liar)" : "") + " view " +
                   std::to_string(r.view.value) + (r.active ? " active" : "") + " tip " +
                   std::to_string(r.tip.value) + " committed " + std::to_string(r.committed.value) +
                   " delivered " + std::to_string(r.delivered.value) + " stable " +
                   std::to_string(r.stable.value) + " pending " + std::to_string(r.pending) +
                   " missing " + std::to_string(r.missing_bodies) + " dead";
            for (const Endpoint& dead : r.dead) all += " " + to_string(dead);
        }
        for (const Endpoint& who : c_.m.all_primaries()) {
            auto r = c_.node(who).primary->report();
            all += "\n  " + to_string(who) + (c_.liar(who) ? " (liar)" : "") + " view " +
                   std::to_string(r.view.value) + " phase " +
                   std::to_string(static_cast<int>(r.phase)) + " tip " +
                   std::to_string(r.tip.value) + " pool " + std::to_string(r.pooled);
        }
        return all;
    }

    Prng dice_;
    Cluster c_;
    std::set<Endpoint> cut_, mute_;
    std::map<Endpoint, NewView> lies_;
    std::map<Endpoint, std::vector<Commit>> commits_;
    std::map<Endpoint, std::vector<ViewChange>> changes_;
    bool healed_ = false;
};

TEST(Random, SchedulesAreSafeAndLive) {
    std::uint64_t first = from_environment("BFT_FIRST_SEED", 1);
    std::uint64_t seeds = from_environment("BFT_SEEDS", 6);
    Totals totals;
    std::uint64_t failed = 0;
    std::uint64_t run = 0;
    for (std::uint64_t seed = first; seed < first + seeds; ++seed, ++run) {
        std::string violation = Chaos(seed).run(totals);
        if (violation.empty()) continue;
        ADD_FAILURE() << "seed " << seed << ": " << violation;
        if (++failed >= from_environment("BFT_FAILURES", 3)) break;
    }
    std::cout << run << " seeds: " << totals.slots << " slots, " << totals.views << " views, "
              << totals.accepted << " NV-ACCEPTs, " << totals.nullified << " nullified, "
              << totals.crashes << " crashes\n";
}

}  // namespace
}  // namespace bft::consensus::test

// sim_run: whole clusters in one thread, seed by seed.
#include "modes.hpp"
#include "run.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <fcntl.h>
#include <fstream>
#include <malloc.h>
#include <map>
#include <string>
#include <unistd.h>
#include <vector>

// jemalloc asks for it where it is linked: one thread, small values all over a heap that does not
// fit into the caches.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "thp:always,narenas:1";
}

namespace {

using bft::consensus::Quirk;
using bft::consensus::quirk_kinds;
using bft::sim::make_plan;
using bft::sim::Mutation;
using bft::sim::RunResult;

// A campaign of so many seeds that misses one of these does not test what it is meant to test.
constexpr std::uint64_t some_seeds = 300;
constexpr const char* must_be_reached[] = {
    "DB-STABLE equal to the reference",
    "NOP executed",
    "TPM away",
    "TPM error in the place of a certificate",
    "TPM slow",
    "a VIEW-CHANGE whose log begins with a VIEW-CHANGE",
    "a VIEW-CHANGE with vouches",
    "a changed message is certified",
    "body_missing",
    "certificate found by last() at run time",
    "changed bytes refused by the decoder",
    "client accepts an answer and digests of it",
    "checkpoint_stable",
    "colluders cut correct replicas off",
    "cut skipped: another snapshot is in use",
    "database full",
    "disagreement",
    "disk slow",
    "dropped: item beyond the window",
    "dropped: over the sender's quota",
    "duplicate_ordered",
    "gap",
    "item of several partitions executed",
    "item with a partition of another group executed",
    "log write failed",
    "message refused by the Verifier",
    "network split",
    "new_view_accepted",
    "nullified",
    "primary restarts by last() (T1)",
    "primary restarts from its log (T0)",
    "process paused",
    "quorum completed for an old view",
    "replica restarts by last() (T1)",
    "replica restarts from a snapshot",
    "replica restarts from its log (T0)",
    "sender_dead",
    "suspected: dead",
    "suspected: no_new_view",
    "suspected: resigned",
    "suspected: silent",
    "view_active",
    "voter asks for a gap",
    "voter looks an answer up",
    "wall clock jumps",
    "window full at a primary",
    "window full at a replica",
};
// Rarer ones.
constexpr std::uint64_t campaign = 1000;
constexpr const char* campaign_must_reach[] = {
    "NEW-VIEW with a nullset",
    "a donor crashes in the middle of a transfer",
    "a kept entry whose body one replica has",
    "a peer's counter is adopted",
    "a primary certifies an invalid NEW-VIEW",
    "a primary's counter is adopted",
    "a replica certifies a VIEW-CHANGE that hides a COMMIT",
    "a restarted twin refuses to start",
    "a state is adopted during a view change",
    "a state is adopted",
    "a twin refuses to start",
    "a twin restarts",
    "a twin starts later",
    "changed bytes decoded",
    "checkpoint with a partition skew above 100 ms",
    "colluders begin a view",
    "colluders hold a second PREPARE of a slot",
    "database state transfer",
    "disk rolled back (T2)",
    "dropped: a database lags too far: it needs a state transfer",
    "hole voided",
    "power cut of everything",
    "primary resigns: no certificate in time",
    "quarantined: it stands still while f_D+1 others are ahead: what it lacks is no "
    "longer sent",
    "quarantined: it stands ahead of what f+1 replicas order: it takes for executed what it "
    "never executed",
    "quarantined: own root",
    "real signatures and certificates",
    "record of a log rotten",
    "refuses to start without its past (T2, T3)",
    "run in which nobody may be suspected",
    "suspected: body_missing",
    "suspected: request_not_ordered",
    "the longest chain is of a group that did not complain",
    "transfer source switched",
    "two failed views in a row",
    "voter finds its bookkeeping changed",
    "voter restarts with a half built database",
};

struct Arguments {
    std::uint64_t seed = 0;
    bool one = false;
    bool log = false;
    std::uint64_t first = 1;
    std::uint64_t count = 100;
    double minutes = 0;
    std::uint64_t failures_max = 10;
    std::string mutation = "none";
    std::uint64_t twice = 100;
    std::string logs;  ///< directory for the event logs of failing seeds
    std::string plot;
    std::string failing;              ///< file that failing seeds are appended to
    std::vector<std::uint64_t> open;  ///< seeds of known bugs that are not mended yet
    bool moves = false;               ///< partitions move between groups
    bool reconfigure = false;         ///< and members are replaced
};

Mutation mutation_named(const std::string& name) {
    for (int i = 0; i < 16; ++i) {
        auto mutation = static_cast<Mutation>(i);
        if (name == to_string(mutation)) return mutation;
    }
    std::fprintf(stderr, "unknown mutation %s\n", name.c_str());
    std::exit(2);
}

bft::sim::Plan plan_of(std::uint64_t seed, const Arguments& arguments) {
    using Kind = bft::sim::Plot::Kind;
    std::optional<Kind> plot;
    for (int i = 0; i <= static_cast<int>(Kind::forged_view); ++i)
        if (arguments.plot == to_string(static_cast<Kind>(i))) plot = static_cast<Kind>(i);
    if (!plot && !arguments.plot.empty()) {
        std::fprintf(stderr, "unknown plot %s\n", arguments.plot.c_str());
        std::exit(2);
    }
    if (arguments.reconfigure) return bft::sim::make_changing_plan(seed, plot);
    if (arguments.moves) return bft::sim::make_moving_plan(seed, plot);
    return make_plan(seed, mutation_named(arguments.mutation), plot);
}

void print(std::uint64_t seed, const std::vector<bft::sim::Violation>& violations,
           const Arguments& arguments) {
    std::printf("\nFAILED %s\n", plan_of(seed, arguments).text().c_str());
    for (const auto& violation : violations)
        std::printf("  %s: %s\n", violation.property.c_str(), violation.text.c_str());
    std::printf("  replay: sim_run --seed %llu --log%s%s%s%s%s\n",
                static_cast<unsigned long long>(seed),
                arguments.reconfigure ? " --reconfigure"
                : arguments.moves     ? " --moves"
                                      : "",
                arguments.mutation == "none" ? "" : " --mutation ",
                arguments.mutation == "none" ? "" : arguments.mutation.c_str(),
                arguments.plot.empty() ? "" : " --plot ", arguments.plot.c_str());
    std::fflush(stdout);
}

// What happened, into a file beside the list of failing seeds, and its end to
// the screen.
void save_log(std::uint64_t seed, const Arguments& arguments) {
    constexpr std::size_t shown = 25;
    if (arguments.logs.empty()) return;
    std::string name = arguments.logs + "/seed-" + std::to_string(seed) + ".log";
    std::fflush(stdout);
    int before = ::dup(STDOUT_FILENO);
    int file = ::open(name.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    if (before < 0 || file < 0) return;
    ::dup2(file, STDOUT_FILENO);
    run_seed(plan_of(seed, arguments), true);
    std::fflush(stdout);
    ::dup2(before, STDOUT_FILENO);
    ::close(before);
    ::close(file);
    std::deque<std::string> lines;
    std::ifstream log(name);
    for (std::string line; std::getline(log, line);) {
        lines.push_back(line.substr(0, 160));
        if (lines.size() > shown) lines.pop_front();
    }
    std::printf("  the end of %s:\n", name.c_str());
    for (const std::string& line : lines) std::printf("    %s\n", line.c_str());
}

void note(std::uint64_t seed, const std::vector<bft::sim::Violation>& violations,
          const Arguments& arguments) {
    if (arguments.failing.empty()) return;
    std::ofstream file(arguments.failing, std::ios::app);
    file << seed << ' ' << violations.front().property << ' '
         << violations.front().text.substr(0, violations.front().text.find('\n')) << '\n';
}

int replay(const Arguments& arguments) {
    auto plan = plan_of(arguments.seed, arguments);
    std::printf("%s\n", plan.text().c_str());
    RunResult result = run_seed(plan, arguments.log);
    std::printf("slots=%llu answered=%llu views=%llu events=%llu hash=%016llx\n",
                static_cast<unsigned long long>(result.slots),
                static_cast<unsigned long long>(result.answered),
                static_cast<unsigned long long>(result.views),
                static_cast<unsigned long long>(result.events),
                static_cast<unsigned long long>(result.hash));
    if (result.violations.empty()) return 0;
    print(arguments.seed, result.violations, arguments);
    return 1;
}

int many(const Arguments& arguments) {
    using Clock = std::chrono::steady_clock;
    Clock::time_point start = Clock::now();
    Clock::time_point shown = start;
    std::vector<std::uint64_t> failing;
    std::uint64_t slots = 0;
    std::uint64_t answered = 0;
    std::uint64_t views = 0;
    std::uint64_t done = 0;
    std::map<std::string, std::uint64_t> reached;
    auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
    auto report = [&](const char* end) {
        std::printf(
            "\r%llu of %llu seeds, %llu slots, %llu views, %llu answers, %.0f slots/s of CPU time, "
            "%zu failed%s",
            static_cast<unsigned long long>(done), static_cast<unsigned long long>(arguments.count),
            static_cast<unsigned long long>(slots), static_cast<unsigned long long>(views),
            static_cast<unsigned long long>(answered),
            static_cast<double>(slots) / std::max(bft::sim::cpu_seconds(), 1e-9), failing.size(),
            end);
        std::fflush(stdout);
    };
    for (std::uint64_t i = 0; i < arguments.count; ++i) {
        if (arguments.minutes > 0 && seconds() > arguments.minutes * 60) break;
        std::uint64_t seed = arguments.first + i;
        if (std::ranges::find(arguments.open, seed) != arguments.open.end()) {
            std::printf("\nNOT RUN, open: %llu\n", static_cast<unsigned long long>(seed));
            ++done;
            continue;
        }
        auto plan = plan_of(seed, arguments);
        RunResult result = run_seed(plan, false);
        // S-DET: the same seed gives the same run.
        if (arguments.twice > 0 && seed % arguments.twice == 0 && result.violations.empty() &&
            run_seed(plan, false).hash != result.hash)
            result.violations.push_back({"S-DET", "two runs of this seed differ"});
        slots += result.slots;
        answered += result.answered;
        views += result.views;
        for (const auto& [what, times] : result.reached) reached[what] += times;
        ++done;
        if (!result.violations.empty()) {
            failing.push_back(seed);
            print(seed, result.violations, arguments);
            note(seed, result.violations, arguments);
            save_log(seed, arguments);
            if (failing.size() >= arguments.failures_max) break;
        }
        if (Clock::now() - shown > std::chrono::seconds(5)) {
            shown = Clock::now();
            report("");
        }
    }
    report("\n");
    for (const auto& [what, times] : reached)
        std::printf("%12llu  %s\n", static_cast<unsigned long long>(times), what.c_str());
    if (done < arguments.count && failing.empty())
        std::printf("STOPPED EARLY: --minutes ended the campaign after %llu of %llu seeds\n",
                    static_cast<unsigned long long>(done),
                    static_cast<unsigned long long>(arguments.count));
    bool complete = true;
    auto expect = [&](const char* what) {
        if (reached.contains(what)) return;
        complete = false;
        std::printf("NEVER REACHED: %s\n", what);
    };
    if (arguments.mutation == "none" && arguments.plot.empty()) {
        if (done >= some_seeds) std::ranges::for_each(must_be_reached, expect);
        if (done >= campaign) {
            std::ranges::for_each(campaign_must_reach, expect);
            for (int i = 0; i < quirk_kinds; ++i)
                if (static_cast<Quirk>(i) != Quirk::other_donor)  // one in a thousand seeds
                    expect((std::string("quirk: ") + to_string(static_cast<Quirk>(i))).c_str());
        }
    }
    if (!complete) return 1;
    if (failing.empty()) return 0;
    std::printf("failing seeds:");
    for (std::uint64_t seed : failing) std::printf(" %llu", static_cast<unsigned long long>(seed));
    std::printf("\n");
    return 1;
}

}  // namespace

int main(int argc, char** argv) {
    // Worlds come and go: their memory stays with the process.
    ::mallopt(M_TRIM_THRESHOLD, 1 << 30);
    ::mallopt(M_TOP_PAD, 64 << 20);
    Arguments arguments;
    std::string range;
    CLI::App app{"Runs whole simulated clusters with faults; exit status 1 when a property broke."};
    auto* seed = app.add_option("--seed", arguments.seed, "replay one seed");
    app.add_flag("--log", arguments.log,
                 "with --seed, --steady or --crash-points: print everything that happens");
    app.add_option("--seeds", range, "a range, A..B");
    app.add_option("--count", arguments.count, "number of seeds, from 1");
    app.add_option("--minutes", arguments.minutes,
                   "stop after this time; an unfinished campaign fails");
    app.add_option("--open", arguments.open,
                   "seeds of bugs that docs/testing.md lists as open: named, not run")
        ->delimiter(',');
    app.add_option("--failures", arguments.failures_max, "stop after this many failing seeds");
    app.add_option("--failing", arguments.failing, "append failing seeds to this file");
    app.add_option("--logs", arguments.logs,
                   "write the event log of each failing seed to this directory");
    app.add_option("--mutation", arguments.mutation,
                   "break a rule on purpose (tests of the checkers)");
    std::uint64_t plain = 0;
    std::uint64_t stride = 0;
    std::uint64_t steady = 0;
    app.add_option("--steady", steady,
                   "so many minutes of virtual time with steady load, faults on "
                   "and off: fails "
                   "when memory or any queue grows");
    app.add_option("--plain", plain,
                   "this many seconds of virtual time without faults: what a slot costs");
    app.add_option("--crash-points", stride,
                   "one run for every N-th moment in which a process may die");
    app.add_flag("--reconfigure", arguments.reconfigure,
                 "partitions move and members are replaced all the time");
    app.add_flag("--moves", arguments.moves, "partitions move between groups all the time");
    app.add_option("--twice", arguments.twice, "every N-th seed twice (S-DET); 0: none");
    app.add_option("--plot", arguments.plot,
                   "in every seed liars work together: loyal, late, back, rebase, two_prepares, "
                   "forged_view");
    CLI11_PARSE(app, argc, argv);
    if (steady > 0) return bft::sim::run_steady(std::chrono::minutes(steady), arguments.log);
    if (plain > 0) return bft::sim::run_plain(std::chrono::seconds(plain));
    if (stride > 0) return bft::sim::run_crash_points(stride, arguments.log);
    if (seed->count() > 0) return replay(arguments);
    if (!range.empty()) {
        auto dots = range.find("..");
        if (dots == std::string::npos) {
            std::fprintf(stderr, "--seeds wants A..B\n");
            return 2;
        }
        arguments.first = std::stoull(range.substr(0, dots));
        std::uint64_t last = std::stoull(range.substr(dots + 2));
        arguments.count = last < arguments.first ? 0 : last - arguments.first + 1;
    }
    return many(arguments);
}

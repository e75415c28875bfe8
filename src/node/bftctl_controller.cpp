// bftctl controller: as many groups serve as the load needs. It only ever acts through
// configurations that the cluster orders, so replicas check each step.
#include "base/log.hpp"
#include "node/bftctl_survey.hpp"
#include "node/elastic.hpp"
#include "node/new_group.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

namespace bft::node {
namespace {

struct Options {
    std::vector<std::string> places;
    std::string client;
    std::string cluster;
    std::vector<std::string> keys;
    std::string policy;
    double target_ms = 0, cool_down_s = -1;
    std::uint32_t min_groups = 0, max_groups = 0;
    double seconds = 0;
    bool dry_run = false;
};

constexpr Duration patience = 10s;      // for what is in force, and for a change
constexpr Duration seen_patience = 3s;  // for hosts to say that they run

TimePoint clock_now() {
    return TimePoint(
        std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

ElasticView look(const std::vector<Target>& targets) {
    ElasticView view;
    Survey survey = ask(targets);
    for (HostStatus& host : survey.hosts)
        if (!host.document.empty()) view.hosts.emplace(host.host, std::move(host.status));
    view.at = clock_now();
    return view;
}

/// The file's policy, with what the command line says.
std::optional<ElasticPolicy> policy_of(const Options& options) {
    ElasticPolicy policy;
    if (!options.policy.empty()) {
        Loaded<ElasticPolicy> loaded = load_policy(options.policy);
        for (const Diagnostic& wrong : loaded.errors)
            std::fprintf(stderr, "%s\n", to_string(wrong).c_str());
        if (!loaded.value) return std::nullopt;
        policy = *loaded.value;
    }
    const auto duration = [](double seconds) {
        return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
    };
    if (options.target_ms > 0) policy.target_p95 = duration(options.target_ms / 1000);
    if (options.cool_down_s >= 0) policy.cool_down = duration(options.cool_down_s);
    if (options.min_groups > 0) policy.min_groups = options.min_groups;
    if (options.max_groups > 0) policy.max_groups = options.max_groups;
    return policy;
}

class Controller {
public:
    Controller(const ElasticPolicy& policy, RunningCluster cluster,
               std::vector<crypto::SigningKey> keys, bool dry_run)
        : policy_(policy),
          cluster_(std::move(cluster)),
          keys_(std::move(keys)),
          dry_run_(dry_run) {}

    void step(const ElasticView& before, const ElasticView& after) {
        if (!look_again()) return;
        ElasticSample sample = sample_between(before, after, cluster_.now);
        sample.addable = groups_for(cluster_.now.f, candidates(cluster_));
        const ElasticDecision decision = decide(policy_, sample, memory_);
        log::debug("controller_sample groups={} what=\"{}\"", serving(sample.now).size(),
                   decision.why);
        if (!decision.changes()) return;
        if (dry_run_)
            log::info("controller_would groups={} what=\"{}\"", decision.groups, decision.why);
        else
            act(std::move(sample), decision);
    }

private:
    bool look_again() {
        auto now = cluster_.admin->current(patience);
        if (!now) {
            log::warn("controller_blind what=\"{}\"", now.error().what);
            return false;
        }
        cluster_.now = std::move(*now);
        return true;
    }

    void act(ElasticSample sample, const ElasticDecision& decision) {
        std::vector<consensus::MovePartition> moves = decision.moves;
        std::string why = decision.why;
        if (decision.add > 0) {
            for (std::uint32_t n = 0; n < decision.add; ++n)
                if (!add()) return;
            sample.now = cluster_.now;
            moves = spread(sample, decision.groups);
            why += ", " + moves_text(moves);
        }
        if (!moves.empty()) {
            consensus::ConfigChange change;
            change.moves = std::move(moves);
            order("controller_decided groups=" + std::to_string(decision.groups), std::move(change),
                  why);
        }
        if (!decision.remove.empty()) {
            consensus::ConfigChange change;
            change.groups_removed = decision.remove;
            order("controller_removed", std::move(change), why);
        }
    }

    /// One more group, and what is in force then. False: it did not come, or not in time.
    bool add() {
        std::string away;
        auto members =
            choose(cluster_, running(cluster_, candidates(cluster_), seen_patience, away));
        auto change = members ? new_group(cluster_, *members) : members.error();
        if (!change) {
            log::warn("controller_added done=false because=\"{}\"",
                      change.error().what + (away.empty() ? "" : "; " + away));
            return false;
        }
        const consensus::AddGroup group = change->groups_added.front();
        std::vector<consensus::Endpoint> engines;
        std::string hosts;
        for (std::size_t p = 0; p < group.members.size(); ++p) {
            engines.push_back(
                consensus::Endpoint::replica(group.group, Position(static_cast<std::uint32_t>(p))));
            hosts += (hosts.empty() ? "" : ", ") + cluster_.name_of(group.members[p].by.host);
        }
        if (!order("controller_added group=" + std::to_string(group.group.value),
                   std::move(*change), "on " + hosts) ||
            !look_again())
            return false;
        const auto there = cluster_.admin->caught_up(engines, patience);
        if (there.size() < engines.size())
            log::warn("controller_added group={} what=\"{} of {} members have caught up\"",
                      group.group.value, there.size(), engines.size());
        // With f+1 it decides; it gets its partitions when a later sample still asks for them.
        return there.size() >= cluster_.now.f + 1;
    }

    bool order(const std::string& event, consensus::ConfigChange change, const std::string& why) {
        change.version = cluster_.now.version.next();
        auto request = client::sign_change(cluster_.config.cluster, cluster_.now.admins,
                                           std::move(change), keys_);
        if (!request) {
            log::error("controller_refused what=\"{}\"", request.error().what);
            return false;
        }
        const TimePoint began = clock_now();
        auto barrier = cluster_.admin->order(*request, patience);
        const auto took =
            std::chrono::duration_cast<std::chrono::milliseconds>(clock_now() - began).count();
        if (!barrier)
            log::warn("{} done=false ms={} what=\"{}\" because=\"{}\"", event, took, why,
                      barrier.error().what);
        else
            log::info("{} done=true version={} slot={} ms={} what=\"{}\"", event,
                      (*barrier)->config->version.value, (*barrier)->slot.value, took, why);
        return barrier.has_value();
    }

    const ElasticPolicy& policy_;
    RunningCluster cluster_;
    std::vector<crypto::SigningKey> keys_;
    bool dry_run_;
    ElasticMemory memory_;
};

int failed(const Error& why) {
    std::fprintf(stderr, "bftctl: %s\n", why.what.c_str());
    return exit_failed;
}

bool holds_admin_key(const consensus::AdminKeys& admins,
                     const std::vector<crypto::SigningKey>& keys) {
    return std::any_of(keys.begin(), keys.end(), [&](const crypto::SigningKey& key) {
        return std::find(admins.keys.begin(), admins.keys.end(), key.public_key()) !=
               admins.keys.end();
    });
}

/// Whether it runs shows later.
Result<RunningCluster> open_cluster(const Options& options) {
    auto config = client::load_config(options.client);
    if (!config) return config.error();
    ClusterFile file;
    Result<std::unique_ptr<client::Admin>> admin = error(Errc::internal, "");
    if (options.cluster.empty()) {
        admin = client::Admin::open(*config);
    } else {
        auto loaded = load_cluster_file(options.cluster);
        if (!loaded.value) return error(Errc::malformed, to_string(loaded.errors.front()));
        file = std::move(*loaded.value);
        consensus::Membership membership = file.membership();
        membership.clients.clear();
        admin = client::Admin::open(*config, std::move(membership));
    }
    if (!admin) return admin.error();
    return RunningCluster{{std::move(*config), std::move(*admin), {}}, std::move(file)};
}

int run(const Options& options) {
    const Result<std::vector<Target>> targets = find_targets(options.places);
    if (!targets) {
        std::fprintf(stderr, "%s\n", targets.error().what.c_str());
        return exit_usage;
    }
    const std::optional<ElasticPolicy> policy = policy_of(options);
    if (!policy) return exit_usage;
    auto keys = client::load_keys(options.keys);
    if (!keys) return failed(keys.error());
    auto cluster = open_cluster(options);
    if (!cluster) return failed(cluster.error());
    log::start("controller", "info");
    if (auto now = cluster->admin->current(patience); now && holds_admin_key(now->admins, *keys))
        log::warn(
            "controller_key what=\"this key may change members, keys and clients, too: `bftctl key "
            "grant` makes one that may not\"");
    Controller controller(*policy, std::move(*cluster), std::move(*keys), options.dry_run);
    const TimePoint began = clock_now();
    for (ElasticView last = look(*targets);;) {
        std::this_thread::sleep_for(policy->sample_every);
        ElasticView now = look(*targets);
        controller.step(last, now);
        last = std::move(now);
        if (options.seconds > 0 &&
            std::chrono::duration<double>(clock_now() - began).count() >= options.seconds)
            return exit_done;
    }
}

}  // namespace

Command add_controller(CLI::App& app) {
    CLI::App* command = app.add_subcommand(
        "controller", "Lets as many groups serve as the load needs, until it is ended");
    auto options = std::make_shared<Options>();
    command
        ->add_option("PLACE", options->places,
                     "where load is seen: a cluster's folder, a host's folder, or node.toml")
        ->required();
    command->add_option("--client", options->client, "a client's folder, made by init")->required();
    command
        ->add_option("--key", options->keys,
                     "a key of `bftctl key grant`; or admins', as often as keys must sign")
        ->required();
    command
        ->add_option(
            "--cluster", options->cluster,
            "cluster.toml: where groups are too few they are added, on hosts with counters "
            "to spare, and removed as the policy says")
        ->check(CLI::ExistingFile);
    command->add_option("--policy", options->policy, "config/controller.toml explains every key")
        ->check(CLI::ExistingFile);
    command->add_option("--target-p95-ms", options->target_ms, "instead of the policy's")
        ->check(CLI::Range(1.0, 1e7));
    command->add_option("--cool-down", options->cool_down_s, "seconds, instead of the policy's")
        ->check(CLI::Range(0.0, 86400.0));
    command->add_option("--min-groups", options->min_groups, "instead of the policy's")
        ->check(CLI::Range(1u, 0xffff'ffffu));
    command->add_option("--max-groups", options->max_groups, "instead of the policy's")
        ->check(CLI::Range(1u, 0xffff'ffffu));
    command->add_option("--seconds", options->seconds, "end after so long")
        ->check(CLI::Range(1.0, 1e9));
    command->add_flag("--dry-run", options->dry_run, "only say what it would do");
    command->footer(
        "Each decision is one line on standard error: controller_decided, with the reason. What "
        "it\n"
        "can do is what `bftctl partition move` and, with --cluster, `bftctl group` can: replicas "
        "check\n"
        "each step, and a controller that dies or errs costs time, not safety.\n"
        "Exit status: 0 the --seconds are over; 1 it could not begin; 2 wrong command line or "
        "file;\n"
        "130 interrupted.\n"
        "Example:\n"
        "  bftctl controller cluster --client cluster/clients/admin --key "
        "controller.key --policy controller.toml");
    return [options] { return run(*options); };
}

}  // namespace bft::node

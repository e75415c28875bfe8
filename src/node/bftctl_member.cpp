// bftctl member: who takes part, and how a host that is lost makes room for another.
#include "node/bftctl_member.hpp"

#include "base/log.hpp"
#include "client/admin.hpp"
#include "node/cluster_file.hpp"
#include "node/join_file.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace bft::node {
namespace {

namespace json = boost::json;
using consensus::Endpoint;

struct Options {
    std::string client;
    std::string cluster;
    std::string old;
    std::string by;
    std::vector<std::string> keys;
    double timeout_s = 60;
    bool dry_run = false;
    std::string format = "table";

    [[nodiscard]] bool json() const { return format == "json"; }
    [[nodiscard]] Duration patience() const {
        return std::chrono::milliseconds(static_cast<std::int64_t>(timeout_s * 1000));
    }
};

constexpr Duration caught_up_patience = 5s;

int failed(const Error& why) {
    std::fprintf(stderr, "bftctl: %s\n", why.what.c_str());
    return why.code == Errc::unavailable ? exit_unknown : exit_failed;
}

/// What the cluster began with, and what it has in force.
struct Cluster {
    ClusterFile file;
    client::Config config;
    std::unique_ptr<client::Admin> admin;
    consensus::Configuration now;

    [[nodiscard]] std::map<HostId, consensus::JoinedHost> hosts() const {
        std::map<HostId, consensus::JoinedHost> all = now.hosts;
        for (std::uint32_t h = 0; h < file.hosts.size(); ++h)
            all[HostId(h)] = {file.hosts[h].name, file.hosts[h].address, file.hosts[h].key};
        return all;
    }
    [[nodiscard]] std::string name_of(HostId host) const {
        auto all = hosts();
        auto found = all.find(host);
        return found == all.end() ? "host " + std::to_string(host.value) : found->second.name;
    }
    [[nodiscard]] std::optional<HostId> host(const std::string& name) const {
        for (const auto& [id, host] : hosts())
            if (host.name == name) return id;
        return std::nullopt;
    }
};

Result<Cluster> look(const Options& options) {
    log::start("bftctl", "warn");  // standard output is for the answer
    Cluster cluster;
    auto file = load_cluster_file(options.cluster);
    std::string wrong;
    for (const Diagnostic& each : file.errors)
        wrong += (wrong.empty() ? "" : "\n") + to_string(each);
    if (!file.value) return error(Errc::malformed, wrong);
    cluster.file = std::move(*file.value);
    auto config = client::load_config(options.client);
    if (!config) return config.error();
    cluster.config = std::move(*config);
    // Of the clients an admin needs to know nothing.
    consensus::Membership membership = cluster.file.membership();
    membership.clients.clear();
    auto admin = client::Admin::open(cluster.config, std::move(membership));
    if (!admin) return admin.error();
    cluster.admin = std::move(*admin);
    auto now = cluster.admin->current(options.patience());
    if (!now) return now.error();
    cluster.now = std::move(*now);
    return cluster;
}

/// The active seats of a host.
std::vector<Endpoint> seats_of(const consensus::Configuration& config, HostId host) {
    std::vector<Endpoint> seats;
    for (const consensus::Group& group : config.groups)
        for (std::uint32_t p = 0; p < group.members.size(); ++p)
            if (group.members[p].host == host && group.active(Position(p)))
                seats.push_back(Endpoint::replica(group.id, Position(p)));
    return seats;
}

std::optional<VoterId> voter_of(const consensus::Configuration& config, HostId host) {
    for (std::uint32_t d = 0; d < config.voters.size(); ++d)
        if (config.voters[d] == host) return VoterId(d);
    return std::nullopt;
}

bool leads(const consensus::Configuration& config, HostId host) {
    return std::any_of(config.primaries.begin(), config.primaries.end(),
                       [host](const consensus::Member& m) { return m.host == host; });
}

// --- list

json::object describe(const Cluster& cluster, HostId id, const consensus::JoinedHost& host) {
    json::array seats;
    for (const Endpoint& seat : seats_of(cluster.now, id))
        seats.emplace_back(json::object{{"group", seat.group.value}, {"position", seat.index}});
    const auto voter = voter_of(cluster.now, id);
    const bool part = !seats.empty() || voter || leads(cluster.now, id);
    json::object document{{"name", host.name},
                          {"id", id.value},
                          {"address", host.address},
                          {"primary", leads(cluster.now, id)},
                          {"seats", std::move(seats)},
                          {"joined", cluster.now.hosts.contains(id)},
                          {"member", part}};
    if (voter) document["database"] = voter->value;
    return document;
}

std::string roles_text(const Cluster& cluster, HostId id) {
    std::string text;
    const auto add = [&text](const std::string& what) {
        text += (text.empty() ? "" : ", ") + what;
    };
    if (leads(cluster.now, id)) add("can order");
    for (const Endpoint& seat : seats_of(cluster.now, id))
        add("group " + std::to_string(seat.group.value) + " position " +
            std::to_string(seat.index));
    if (auto voter = voter_of(cluster.now, id)) add("database " + std::to_string(voter->value));
    return text.empty() ? "- (was replaced)" : text;
}

int list(const Options& options) {
    auto cluster = look(options);
    if (!cluster) return failed(cluster.error());
    json::array all;
    if (!options.json())
        std::printf("configuration %llu\n%-16s %-24s %s\n",
                    static_cast<unsigned long long>(cluster->now.version.value), "HOST", "ADDRESS",
                    "ROLES");
    for (const auto& [id, host] : cluster->hosts()) {
        all.emplace_back(describe(*cluster, id, host));
        if (!options.json())
            std::printf("%-16s %-24s %s\n", host.name.c_str(), host.address.c_str(),
                        roles_text(*cluster, id).c_str());
    }
    if (options.json())
        std::printf("%s\n", json::serialize(json::object{{"version", cluster->now.version.value},
                                                         {"members", std::move(all)}})
                                .c_str());
    return exit_done;
}

// --- replace

Error refused(std::string why) {
    return error(Errc::refused, std::move(why));
}

HostId next_host(const Cluster& cluster) {
    std::uint32_t next = 0;
    for (const auto& [id, host] : cluster.hosts()) next = std::max(next, id.value + 1);
    return HostId(next);
}

Result<consensus::ConfigChange> change_of(const Cluster& cluster, HostId old,
                                          const JoinFile& join) {
    const std::string name = cluster.name_of(old);
    if (leads(cluster.now, old))
        return refused(name + " can order requests: such a host cannot be replaced");
    if (join.cluster != cluster.config.cluster)
        return refused(join.name + " was prepared for another cluster");
    for (const auto& [id, host] : cluster.hosts())
        if (host.name == join.name || host.key == join.key)
            return refused(join.name + " has the name or the key of " + host.name +
                           ", which is or was a member: a new host needs new ones");
    const std::vector<Endpoint> seats = seats_of(cluster.now, old);
    const auto voter = voter_of(cluster.now, old);
    if (seats.empty() && !voter) return refused(name + " takes no part: it was replaced already");
    if (join.counters.size() < seats.size())
        return refused(name + " has " + std::to_string(seats.size()) + " seats, and " + join.name +
                       " has " + std::to_string(join.counters.size()) +
                       " counter(s): prepare it for this host");
    if (voter && !join.database)
        return refused(name + " has a database, and " + join.name + " was prepared without one");
    consensus::ConfigChange change;
    change.version = cluster.now.version.next();
    const HostId host = next_host(cluster);
    change.hosts.push_back({host, {join.name, join.address, join.key}});
    for (std::size_t s = 0; s < seats.size(); ++s) {
        const std::string identity = usig::encode(join.counters[s].usig);
        change.replacements.push_back({seats[s].group,
                                       Position(seats[s].index),
                                       {host, join.counters[s].id},
                                       Bytes(identity.begin(), identity.end())});
    }
    if (voter) change.voters.push_back({*voter, host});
    change.held = consensus::held_by(cluster.now, change);
    return change;
}

// CF1, as far as the order cannot see to it: until it has caught up the new member counts as
// faulty, and no more than f of a group may be.
Result<void> check_others(const Cluster& cluster, const consensus::ConfigChange& change) {
    std::vector<Endpoint> others;
    for (const consensus::ReplaceReplica& each : change.replacements) {
        const consensus::Group& group = *cluster.now.group(each.group);
        for (std::uint32_t p = 0; p < group.members.size(); ++p)
            if (group.active(Position(p)) && Position(p) != each.position)
                others.push_back(Endpoint::replica(group.id, Position(p)));
    }
    const std::set<Endpoint> good = cluster.admin->caught_up(others, caught_up_patience);
    for (const consensus::ReplaceReplica& each : change.replacements) {
        std::string missing;
        std::uint32_t faulty = 1;
        for (const Endpoint& other : others) {
            if (other.group != each.group || good.contains(other)) continue;
            ++faulty;
            missing += (missing.empty() ? "" : ", ") +
                       cluster.name_of(cluster.now.group(other.group)->members[other.index].host);
        }
        if (faulty > cluster.now.f)
            return refused(missing + " of group " + std::to_string(each.group.value) +
                           " is away, or has not caught up yet; with a new member that has nothing "
                           "yet, more than f = " +
                           std::to_string(cluster.now.f) + " would be missing: try again when " +
                           (missing.find(',') == std::string::npos ? "it has" : "they have"));
    }
    return {};
}

json::object to_json(const Options& options, const consensus::ConfigChange& change) {
    json::array seats;
    for (const consensus::ReplaceReplica& each : change.replacements)
        seats.emplace_back(json::object{{"group", each.group.value},
                                        {"position", each.position.value},
                                        {"counter", each.by.usig.value}});
    json::object document{{"version", change.version.value},
                          {"replaces", options.old},
                          {"by", change.hosts.front().joined.name},
                          {"address", change.hosts.front().joined.address},
                          {"seats", std::move(seats)}};
    if (!change.voters.empty()) document["database"] = change.voters.front().voter.value;
    return document;
}

void tell(const Options& options, const consensus::ConfigChange& change) {
    if (options.json()) return;
    const char* by = change.hosts.front().joined.name.c_str();
    for (const consensus::ReplaceReplica& each : change.replacements)
        std::printf("group %u: the seat of %s at position %u goes to %s\n", each.group.value,
                    options.old.c_str(), each.position.value, by);
    for (const consensus::ReplaceVoter& each : change.voters)
        std::printf("database %u: that of %s, which begins empty\n", each.voter.value, by);
    std::fflush(stdout);
}

void conclude(const Options& options, const json::object& document, const std::string& line) {
    std::printf("%s\n", options.json() ? json::serialize(document).c_str() : line.c_str());
    std::fflush(stdout);
}

std::int64_t since(std::chrono::steady_clock::time_point began) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                 began)
        .count();
}

int order(const Options& options, const Cluster& cluster, const consensus::ConfigChange& change,
          const consensus::Body& request) {
    json::object document = to_json(options, change);
    tell(options, change);
    const auto began = std::chrono::steady_clock::now();
    auto barrier = cluster.admin->order(request, options.patience());
    if (!barrier) return failed(barrier.error());
    document["slot"] = (*barrier)->slot.value;
    document["milliseconds"] = since(began);
    if (!options.json())
        conclude(options, document,
                 "configuration " + std::to_string(change.version.value) +
                     " is in force behind slot " + std::to_string((*barrier)->slot.value) +
                     ", after " + std::to_string(since(began)) + " ms; " +
                     change.hosts.front().joined.name + " catches up ...");
    const std::vector<Endpoint> seats = seats_of(*(*barrier)->config, change.hosts.front().host);
    const bool all = cluster.admin->caught_up(seats, options.patience()).size() == seats.size();
    document["caught_up"] = all;
    document["caught_up_milliseconds"] = since(began);
    conclude(options, document,
             all ? change.hosts.front().joined.name + " has caught up, after " +
                       std::to_string(since(began)) + " ms"
                 : "it has not caught up in time, and goes on; `bftctl member replace` refuses "
                   "another one until it has");
    return all ? exit_done : exit_unknown;
}

int replace(const Options& options) {
    auto join = load_join_file(options.by);
    if (!join) {
        std::fprintf(stderr, "bftctl: %s\n", join.error().what.c_str());
        return exit_usage;
    }
    auto keys = client::load_keys(options.keys);
    if (!keys) return failed(keys.error());
    auto cluster = look(options);
    if (!cluster) return failed(cluster.error());
    auto old = cluster->host(options.old);
    if (!old) return failed(refused("there is no host '" + options.old + "'"));
    auto change = change_of(*cluster, *old, *join);
    if (!change) return failed(change.error());
    if (auto next = consensus::apply(cluster->now, *change); !next) return failed(next.error());
    auto request =
        client::sign_change(cluster->config.cluster, cluster->now.admins, *change, *keys);
    Result<void> allowed = request ? check_others(*cluster, *change) : request.error();
    if (options.dry_run) {
        json::object document = to_json(options, *change);
        tell(options, *change);
        document["allowed"] = allowed.has_value();
        if (!allowed) document["why_not"] = allowed.error().what;
        conclude(options, document,
                 allowed ? "allowed; nothing was changed"
                         : "not allowed: " + allowed.error().what + "; nothing was changed");
        return allowed ? exit_done : exit_failed;
    }
    if (!allowed) return failed(allowed.error());
    return order(options, *cluster, *change, *request);
}

void add_common(CLI::App& command, const std::shared_ptr<Options>& options) {
    command.add_option("--client", options->client, "a client's folder, made by init")->required();
    command.add_option("--cluster", options->cluster, "cluster.toml, as init made it")
        ->required()
        ->check(CLI::ExistingFile);
    command.add_option("--timeout", options->timeout_s, "give up after so many seconds")
        ->check(CLI::Range(0.1, 86400.0))
        ->capture_default_str();
    command.add_option("--format", options->format, "table, or json for programs")
        ->check(CLI::IsMember({"table", "json"}))
        ->capture_default_str();
}

}  // namespace

Command add_member(CLI::App& app) {
    CLI::App* command =
        app.add_subcommand("member", "The hosts that take part; replaces one that is lost");
    command->require_subcommand(1);
    auto options = std::make_shared<Options>();
    CLI::App* lists = command->add_subcommand("list", "Each host and what it does");
    add_common(*lists, options);
    lists->footer(
        "Exit status: 0 done; 1 it did not work; 2 wrong command line; 4 no f+1 replicas said in "
        "time what\nis in force.\nExample:\n"
        "  bftctl member list --client cluster/clients/admin --cluster "
        "cluster/hosts/host1/cluster.toml");
    auto prepare = add_member_prepare(*command);
    CLI::App* replaces = command->add_subcommand(
        "replace",
        "Gives the seats and the database of a host to a new one, while the cluster runs");
    add_common(*replaces, options);
    replaces->add_option("OLD", options->old, "the host that is lost, or shall go")->required();
    replaces->add_option("--by", options->by, "NAME.join of `bftctl member prepare`")->required();
    replaces->add_option("--key", options->keys, "an admin's key; as often as keys must sign")
        ->required();
    replaces->add_flag("--dry-run", options->dry_run,
                       "only say what would change, and whether it is allowed");
    replaces->footer(
        "No request fails and nothing pauses. OLD takes no part from then on, for good, also when "
        "it comes\nback. Ends when the new host has caught up, its database included. Exit status: "
        "0 it has; 1 refused,\nnothing changed; 2 wrong command line or file; 4 not known in "
        "time.\n"
        "Example:\n"
        "  bftctl member replace host1 --by host4.join --client cluster/clients/admin \\\n"
        "    --cluster cluster/hosts/host2/cluster.toml --key cluster/admins/admin.key");
    command->footer(
        "A dead host is replaced in two commands: `bftctl member prepare` on the new one, and "
        "`bftctl member\nreplace` by an admin. Exit status: 0 done; others: each command's --help "
        "has them.\n"
        "Example:\n  bftctl member list --client cluster/clients/admin --cluster cluster.toml");
    return [options, prepare, command, lists] {
        if (lists->parsed()) return list(*options);
        return command->got_subcommand("prepare") ? prepare() : replace(*options);
    };
}

}  // namespace bft::node

// bftctl member prepare, on the new host: identity key, counters in its TPM, node.toml, and the
// public file that an admin brings into the order.
#include "crypto/signing_key.hpp"
#include "net/address.hpp"
#include "node/bftctl_member.hpp"
#include "node/cluster_file.hpp"
#include "node/host_tpm.hpp"
#include "node/join_file.hpp"
#include "node/render.hpp"
#include "node/staging.hpp"
#include "usig/protocol.hpp"

#include <algorithm>
#include <cstdio>
#include <ctime>

namespace bft::node {
namespace {

namespace fs = std::filesystem;

struct Options {
    std::string name;
    std::string cluster;
    std::string replaces;
    std::string dir;
    std::string address;
    std::string tcti;
    std::string provision_tcti;
    std::string metrics;
    std::string database_socket;
    std::string database_user = "bftnode";
    std::string database_name;
    std::string password_file;
    std::uint32_t workers = 1;
    std::size_t seats = 0;
    bool software_usig = false;
    bool force = false;
};

int failed(const std::string& what, int status = exit_failed) {
    std::fprintf(stderr, "bftctl: %s\n", what.c_str());
    return status;
}

/// Of what a host does in a cluster, that for which it needs counters.
struct Work {
    std::size_t seats = 0;
    bool orders = false;

    [[nodiscard]] std::size_t counters() const { return seats + (orders ? 1 : 0); }
};

/// As the cluster file says; of a host that joined later, whatever it may have; in nobody's place,
/// none.
Work work_of(const ClusterFile& cluster, const std::string& host) {
    if (host.empty()) return {};
    if (!cluster.host_id(host)) return {cluster.groups.size(), true};
    auto is_host = [&](const ClusterIdentity& each) { return each.host == host; };
    Work work;
    work.orders = std::any_of(cluster.primaries.begin(), cluster.primaries.end(), is_host);
    for (const ClusterGroup& group : cluster.groups)
        if (std::any_of(group.members.begin(), group.members.end(), is_host)) ++work.seats;
    return work;
}

TopologyHost host_of(const Options& options) {
    TopologyHost host;
    host.name = options.name;
    host.address = options.address;
    host.tcti = options.tcti;
    host.provision_tcti = options.provision_tcti.empty() ? options.tcti : options.provision_tcti;
    host.metrics = options.metrics;
    if (!options.database_socket.empty()) {
        DatabaseConfig database;
        database.socket = options.database_socket;
        database.user = options.database_user;
        database.name = options.database_name;
        database.workers = options.workers;
        if (!options.password_file.empty()) database.password_file = "database.password";
        host.database = std::move(database);
    }
    return host;
}

// The address is not in the cluster file, so node.toml says where to listen.
std::string node_toml(const TopologyHost& host) {
    std::string text = render_node_toml(host, {});
    const std::string name = "name = " + node::quoted(host.name) + "\n";
    const std::size_t at = text.find(name);
    return text.insert(at + name.size(), "listen = " + node::quoted(host.address) + "\n");
}

Result<void> stage(const Options& options, const ClusterFile& cluster, const Work& work,
                   const HostTpm& tpm, const crypto::SigningKey& key, Staging& staging) {
    const TopologyHost host = host_of(options);
    JoinFile join{cluster.digest(),         host.name, host.address, key.public_key(), {}, {},
                  host.database.has_value()};
    usig::protocol::Tokens tokens;
    for (const usig::PublicIdentity& identity : tpm.identities) {
        auto token = usig::protocol::new_token();
        if (!token) return token.error();
        const JoinFile::Counter counter{late_id(identity), identity};
        if (join.counters.size() < work.seats)
            join.counters.push_back(counter);
        else
            join.ordering = counter;
        tokens.emplace(counter.id, *token);
    }
    if (!tokens.empty()) {
        const auto token_file = staging.place("usig.tokens");
        if (!token_file) return token_file.error();
        if (auto done = usig::protocol::save_tokens(*token_file, tokens); !done) return done;
    }
    if (!options.password_file.empty())
        if (auto done = staging.copy_secret(options.password_file, "database.password"); !done)
            return done;
    if (auto done = staging.write("node.toml", node_toml(host)); !done) return done;
    ClusterFile here = cluster;
    here.application.folder = "app";
    if (auto done = staging.write("cluster.toml", render(here)); !done) return done;
    if (auto done = staging.copy_folder(cluster.application.folder, "app"); !done) return done;
    return staging.write(options.name + ".join", render(join));
}

// Wrong words, before anything is made; empty: none.
std::string wrong(const Options& options, const ClusterFile& cluster) {
    if (cluster.host_id(options.name))
        return "the cluster has a host '" + options.name + "': a new one needs a new name";
    if (auto address = net::parse_address(options.address); !address) return address.error().what;
    if (options.replaces.empty() && options.database_socket.empty() && options.seats == 0)
        return "without --replaces the host brings one more database (--database-socket says where "
               "it is), or counters for new groups (--counters)";
    if ((!options.replaces.empty() || options.seats > 0) && options.tcti.empty())
        return "--tcti is missing: it says where the host's TPM is";
    if (options.tcti.starts_with("software:") && !options.software_usig)
        return "tcti = \"" + options.tcti +
               "\" is no TPM: anybody who breaks into the host can forge its certificates. For "
               "trials only, say --insecure-software-usig";
    const bool had_database = std::find(cluster.voters.begin(), cluster.voters.end(),
                                        options.replaces) != cluster.voters.end();
    if (had_database && options.database_socket.empty())
        return options.replaces + " has a database: --database-socket says where the new one is";
    return {};
}

int prepare(const Options& options) {
    const auto loaded = load_cluster_file(options.cluster);
    for (const Diagnostic& each : loaded.errors)
        std::fprintf(stderr, "%s\n", to_string(each).c_str());
    if (!loaded.value) return exit_usage;
    const ClusterFile& cluster = *loaded.value;
    if (const std::string what = wrong(options, cluster); !what.empty())
        return failed(what, exit_usage);
    Work work = work_of(cluster, options.replaces);
    work.seats = std::max(work.seats, options.seats);
    if (work.counters() == 0 && !options.replaces.empty())
        return failed(options.replaces + " has no seat in any group, and cannot order requests");
    Options named = options;
    if (named.database_name.empty()) named.database_name = cluster.application.name;
    auto staging = Staging::open(options.dir);
    if (!staging) return failed(staging.error().what);
    const auto key_file = staging->place("identity.key");
    if (!key_file) return failed(key_file.error().what);
    const crypto::SigningKey key = crypto::SigningKey::generate();
    if (auto saved = key.save(*key_file); !saved) return failed(saved.error().what);
    auto tpm = work.counters() == 0 ? Result<HostTpm>(HostTpm())
                                    : make_counters(host_of(named), work.counters(), cluster.id,
                                                    options.force, *staging, "");
    if (!tpm) return failed(tpm.error().what);
    auto done = stage(named, cluster, work, *tpm, key, *staging);
    if (done && !options.force && !staging->conflicts().empty())
        done = error(Errc::refused, staging->conflicts().front().string() +
                                        " exists already; --force moves it aside");
    if (done) done = staging->commit("before-" + std::to_string(std::time(nullptr)));
    if (!done) {
        if (auto removed = remove_counters(*tpm); !removed)
            std::fprintf(stderr, "bftctl: %s\n", removed.error().what.c_str());
        return failed(done.error().what);
    }
    const std::string counters = work.counters() == 0 ? std::string()
                                                      : " and " + std::to_string(work.counters()) +
                                                            " counter(s) in " + tpm->tcti;
    std::string change = "member replace " + options.replaces + " --by";
    if (options.replaces.empty())
        change = options.database_socket.empty() ? "group add --join" : "member add";
    std::printf(
        "%s has a key%s\n"
        "start it now (bftnode --config %s): it waits until an admin has run\n"
        "  bftctl %s %s ...\n",
        options.name.c_str(), counters.c_str(),
        (fs::path(options.dir) / "node.toml").string().c_str(), change.c_str(),
        (fs::path(options.dir) / (options.name + ".join")).string().c_str());
    return exit_done;
}

}  // namespace

Command add_member_prepare(CLI::App& member) {
    CLI::App* command = member.add_subcommand(
        "prepare", "On a new host: its key, its TPM's counters, its files, and NAME.join");
    auto options = std::make_shared<Options>();
    command->add_option("NAME", options->name, "of the new host")->required();
    command->add_option("--cluster", options->cluster, "cluster.toml of the cluster, beside app/")
        ->required()
        ->check(CLI::ExistingFile);
    command->add_option("--replaces", options->replaces,
                        "the host whose work it takes over; without: it brings one more database");
    command->add_option("--dir", options->dir, "where the host's files go")->required();
    command->add_option("--address", options->address, "host:port where the others reach it")
        ->required();
    command->add_option("--tcti", options->tcti,
                        "its TPM, as its daemon opens it; a database alone needs none");
    command->add_option("--provision-tcti", options->provision_tcti,
                        "the same TPM as it is reached now; default: the same");
    command
        ->add_option("--counters", options->seats,
                     "for so many seats of groups; default: as many as the replaced host has in "
                     "the cluster file")
        ->check(CLI::Range(1, 64));
    command->add_option("--metrics", options->metrics, "host:port of its Prometheus metrics");
    command->add_option("--database-socket", options->database_socket,
                        "of its own, empty database server");
    command->add_option("--database-user", options->database_user, "there")->capture_default_str();
    command->add_option("--database-name", options->database_name,
                        "there; default: the application's name");
    command->add_option("--database-password-file", options->password_file,
                        "default: no password, authentication by the socket");
    command->add_option("--database-workers", options->workers, "sessions that execute in parallel")
        ->capture_default_str()
        ->check(CLI::Range(1, 64));
    command->add_flag("--force", options->force,
                      "even if DIR or the TPM were prepared before: files are moved aside, earlier "
                      "counters die");
    command->add_flag("--insecure-software-usig", options->software_usig,
                      "allow a host without TPM (--tcti software:FILE), for trials");
    command->footer(
        "Nothing in NAME.join is secret; everything else in DIR stays on the host. Prove the TPM "
        "with\n`bftctl enroll` as those of the other hosts. Exit status: 0 made; 1 it could not "
        "be, "
        "and nothing was;\n2 wrong command line or file.\n"
        "Example:\n"
        "  bftctl member prepare host4 --replaces host1 --cluster cluster.toml --dir "
        "/etc/bftnode \\\n"
        "    --address 10.0.0.4:7000 --tcti device:/dev/tpmrm0 --database-socket "
        "/run/mysqld/mysqld.sock");
    return [options] { return prepare(*options); };
}

}  // namespace bft::node

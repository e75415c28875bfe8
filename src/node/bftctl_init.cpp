// bftctl init: from one topology file to every key, TPM counter and file of a new cluster.
#include "catalog/application.hpp"
#include "crypto/signing_key.hpp"
#include "crypto/web_key.hpp"
#include "node/bftctl.hpp"
#include "node/bftctl_snapshot.hpp"
#include "node/cluster_file.hpp"
#include "node/enrolment.hpp"
#include "node/host_tpm.hpp"
#include "node/manifest.hpp"
#include "node/render.hpp"
#include "node/staging.hpp"
#include "node/topology.hpp"

#include <openssl/rand.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <ctime>
#include <map>
#include <signal.h>

namespace bft::node {
namespace {

namespace fs = std::filesystem;

struct Options {
    std::string topology;
    std::string dir;
    bool force = false;
    bool software_usig = false;
    std::string snapshot;
    std::string snapshot_cluster;
    std::vector<fs::path> tpm_authorities;
    std::vector<std::string> tpm_keys;
};

std::atomic<bool> stop_wanted = false;

void on_signal(int /*signal*/) {
    stop_wanted = true;
}

/// SIGINT and SIGTERM are noted, and obeyed between two steps.
void catch_signals() {
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
}

constexpr const char* password_name = "database.password";
const Error stopped = error(Errc::unavailable, "interrupted: nothing was made");

class Maker {
public:
    Maker(const Topology& topology, Staging& staging, bool force,
          const std::optional<CheckedSnapshot>& snapshot, const TpmTrust& trust)
        : topology_(topology),
          staging_(staging),
          force_(force),
          snapshot_(snapshot),
          trust_(trust),
          steps_(topology.hosts.size() + 1) {}

    Result<ClusterFile> make() {
        if (Result<void> done = start_cluster(); !done) return done.error();
        for (const TopologyHost& host : topology_.hosts)
            if (Result<void> done = make_host(host); !done) return done.error();
        for (const TopologyClient& client : topology_.clients)
            if (Result<void> done = make_client(client); !done) return done.error();
        for (const std::string& name : topology_.admins)
            if (Result<void> done = make_admin(name); !done) return done.error();
        cluster_.admin_quorum = topology_.admin_quorum;
        fill_places();
        if (Result<void> done = write_files(); !done) return done.error();
        return cluster_;
    }

    /// Gives the counters back to the TPMs, after a failure.
    void undo() {
        for (const auto& [host, tpm] : tpms_)
            if (Result<void> done = remove_counters(tpm); !done)
                std::fprintf(stderr, "bftctl: %s: %s\n", host.c_str(), done.error().what.c_str());
    }

private:
    void say(const std::string& what) {
        std::printf("[%zu/%zu] %s\n", ++step_, steps_, what.c_str());
        std::fflush(stdout);
    }

    Result<void> start_cluster() {
        const Result<catalog::Application> application =
            catalog::Application::load(topology_.application);
        if (!application)
            return error(application.error().code,
                         topology_.application.string() + ":\n" + application.error().what);
        const std::size_t voters = topology_.hosts_with(Role::voter).size();
        if (Result<void> fits = application->fits(voters); !fits) return fits;
        cluster_.name = topology_.name;
        cluster_.id.resize(16);
        if (RAND_bytes(cluster_.id.data(), static_cast<int>(cluster_.id.size())) != 1)
            return error(Errc::internal, "the system gives no random numbers");
        cluster_.f = topology_.f;
        cluster_.f_database = topology_.f_database;
        cluster_.checkpoint_slots = topology_.checkpoint_slots;
        cluster_.scan_slots = topology_.scan_slots;
        cluster_.application = {application->name(), application->digest(), "app"};
        cluster_.voters = topology_.hosts_with(Role::voter);
        return snapshot_ ? begin_with(snapshot_->head) : Result<void>();
    }

    /// The rows have to mean something here: one application, and an owner for each partition.
    Result<void> begin_with(const database::SnapshotHead& head) {
        if (head.application != cluster_.application.digest)
            return error(Errc::refused,
                         "the snapshot is of another application, or of another version of it, "
                         "than " +
                             topology_.application.string());
        std::set<PartitionId> owned;
        for (const TopologyGroup& group : topology_.groups)
            owned.insert(group.partitions.begin(), group.partitions.end());
        for (const consensus::DbLeaf& leaf : database::application_leaves(*head.leaves))
            if (leaf.partition.value != 0 && !owned.contains(leaf.partition))
                return error(Errc::refused, "the snapshot has rows of partition " +
                                                std::to_string(leaf.partition.value) +
                                                ", which no group of the topology owns");
        cluster_.genesis = genesis_of(head);
        return {};
    }

    [[nodiscard]] std::size_t replicas_on(const std::string& host) const {
        return static_cast<std::size_t>(
            std::count_if(topology_.groups.begin(), topology_.groups.end(), [&](const auto& group) {
                return std::find(group.hosts.begin(), group.hosts.end(), host) != group.hosts.end();
            }));
    }

    Result<void> make_host(const TopologyHost& host) {
        if (stop_wanted) return stopped;
        const fs::path home = fs::path("hosts") / host.name;
        const Result<fs::path> key_file = staging_.place(home / "identity.key");
        if (!key_file) return key_file.error();
        const crypto::SigningKey key = crypto::SigningKey::generate();
        if (Result<void> done = key.save(*key_file); !done) return done;
        cluster_.hosts.push_back({host.name, host.address, key.public_key(), {}, host.http});
        if (Result<void> done = make_http(host, home); !done) return done;
        if (Result<void> done = copy_password(host, home); !done) return done;

        const std::size_t counters = replicas_on(host.name) +
                                     (host.roles.contains(Role::primary) ? 1 : 0) +
                                     host.spare_counters;
        if (counters > 0) {
            Result<HostTpm> tpm =
                make_counters(host, counters, cluster_.id, force_, staging_, home);
            if (!tpm) return error(tpm.error().code, host.name + ": " + tpm.error().what);
            const HostTpm& made = tpms_.emplace(host.name, std::move(*tpm)).first->second;
            if (Result<void> done = enroll(host.name, made); !done) return done;
        }
        say(host.name + ": key and " + std::to_string(counters) + " counter(s)" +
            (counters > 0 ? " in " + host.provision_tcti : ""));
        return {};
    }

    /// The folder goes to another machine: what it needs is in it, and node.toml names it there.
    Result<void> copy_password(const TopologyHost& host, const fs::path& home) {
        if (!has_password(host)) return {};
        if (Result<void> done =
                staging_.copy_secret(host.database->password_file, home / password_name);
            !done)
            return error(done.error().code,
                         host.name + ": the database's password: " + done.error().what);
        return {};
    }

    static bool has_password(const TopologyHost& host) {
        return host.database && !host.database->password_file.empty();
    }

    std::string node_toml(TopologyHost host) const {
        if (has_password(host)) host.database->password_file = password_name;
        return render_node_toml(host, topology_.origins);
    }

    /// The TPM shows that it is real, and that the new key is in it and nowhere else.
    Result<void> enroll(const std::string& host, const HostTpm& tpm) {
        if (!trust_.wanted) return {};
        if (!tpm.provisioned)
            return error(Errc::refused, host + ": its counters are made by software: no TPM");
        auto connection = usig::Connection::open(tpm.tcti);
        if (!connection)
            return error(connection.error().code, host + ": " + connection.error().what);
        const auto enrolled = enrol(**connection, tpm.provisioned->secrets, tpm.provisioned->layout,
                                    tpm.identities.front(), host, trust_);
        if (!enrolled) return error(enrolled.error().code, host + ": " + enrolled.error().what);
        enrolments_ += host + " " + hex(tpm.identities.front().key_name()) + " " +
                       hex(enrolled->fingerprint) + " " +
                       (enrolled->certificate.empty() ? "-" : hex(enrolled->certificate)) + "\n";
        return {};
    }

    /// The host's key for answers to browsers, and its certificate. The authority that signs the
    /// certificates lives as long as this program: nobody can make another one for this cluster.
    Result<void> make_http(const TopologyHost& host, const fs::path& home) {
        const std::optional<HttpUrl> url = parse_http_url(host.http);
        if (!url) return {};
        const auto save = [&](const crypto::WebKey& key, const char* name) -> Result<void> {
            const Result<fs::path> file = staging_.place(home / name);
            if (!file) return file.error();
            return key.save(*file);
        };
        const crypto::WebKey web_key = crypto::WebKey::generate();
        if (Result<void> done = save(web_key, "web.key"); !done) return done;
        cluster_.hosts.back().web_key = web_key.public_key();
        if (!url->secure) return {};
        if (!authority_) authority_.emplace(topology_.name);
        const crypto::WebKey key = crypto::WebKey::generate();
        if (Result<void> done = save(key, "http.key"); !done) return done;
        const Result<std::string> certificate = authority_->issue(key, {url->host});
        if (!certificate) return certificate.error();
        return staging_.write(home / "http.crt", *certificate);
    }

    Result<void> make_client(const TopologyClient& client) {
        if (stop_wanted) return stopped;
        Bytes public_key = client.key;
        const auto make = [&](const auto& key) -> Result<void> {
            const Result<fs::path> file =
                staging_.place(fs::path("clients") / client.name / "client.key");
            if (!file) return file.error();
            public_key = key.public_key();
            return key.save(*file);
        };
        if (client.key.empty()) {
            const Result<void> done = client.p256 ? make(crypto::WebKey::generate())
                                                  : make(crypto::SigningKey::generate());
            if (!done) return done;
        }
        cluster_.clients.push_back(
            {ClientId(cluster_.clients.size() + 1), client.name, std::move(public_key)});
        return {};
    }

    Result<void> make_admin(const std::string& name) {
        const Result<fs::path> file = staging_.place(fs::path("admins") / (name + ".key"));
        if (!file) return file.error();
        const crypto::SigningKey key = crypto::SigningKey::generate();
        cluster_.admins.push_back({name, key.public_key()});
        return key.save(*file);
    }

    /// A host's counters go to its ordering identity first, then to its groups by id; the others
    /// are spare.
    ClusterIdentity next_identity(const std::string& host) {
        return {host, tpms_.at(host).identities.at(used_[host]++)};
    }

    void fill_places() {
        for (const std::string& host : topology_.hosts_with(Role::primary))
            cluster_.primaries.push_back(next_identity(host));
        std::vector<TopologyGroup> groups = topology_.groups;
        std::sort(groups.begin(), groups.end(),
                  [](const auto& a, const auto& b) { return a.id < b.id; });
        for (const TopologyGroup& group : groups) {
            ClusterGroup& made = cluster_.groups.emplace_back();
            made.id = group.id;
            made.partitions = group.partitions;
            for (const std::string& host : group.hosts) made.members.push_back(next_identity(host));
        }
        for (std::size_t h = 0; h < topology_.hosts.size(); ++h)
            for (std::uint32_t n = 0; n < topology_.hosts[h].spare_counters; ++n)
                cluster_.hosts[h].spare_counters.push_back(
                    next_identity(topology_.hosts[h].name).usig);
    }

    Result<void> write_files() {
        const std::string cluster_text = render(cluster_);
        for (const TopologyHost& host : topology_.hosts) {
            const fs::path home = fs::path("hosts") / host.name;
            if (Result<void> done = staging_.write(home / "node.toml", node_toml(host)); !done)
                return done;
            if (Result<void> done = staging_.write(home / "cluster.toml", cluster_text); !done)
                return done;
            if (Result<void> done = staging_.copy_folder(topology_.application, home / "app");
                !done)
                return done;
            if (Result<void> done = write_tokens(cluster_, host.name, staging_, home); !done)
                return done;
        }
        for (const ClusterClient& client : cluster_.clients) {
            const fs::path home = fs::path("clients") / client.name;
            if (Result<void> done = staging_.write(
                    home / "client.toml", client::to_toml(client_config(cluster_, client.id)));
                !done)
                return done;
            if (Result<void> done = staging_.copy_folder(topology_.application, home / "app");
                !done)
                return done;
        }
        if (Result<void> done = write_for_all(); !done) return done;
        if (stop_wanted) return stopped;
        say("files of " + std::to_string(topology_.hosts.size()) + " hosts and " +
            std::to_string(cluster_.clients.size()) + " clients");
        return {};
    }

    /// What HTTP clients pin: the manifest, and the authority of the certificates.
    Result<void> write_for_all() {
        if (!enrolments_.empty()) {
            const std::string head =
                "# host, name of its key, fingerprint of its endorsement key, certificate (DER)\n";
            if (Result<void> done = staging_.write("enrolments.txt", head + enrolments_); !done)
                return done;
        }
        const Result<catalog::Application> application =
            catalog::Application::load(topology_.application);
        if (!application) return application.error();
        if (Result<void> done =
                staging_.write("manifest.json", manifest_json(cluster_, *application));
            !done)
            return done;
        if (!authority_) return {};
        const Result<std::string> certificate = authority_->certificate();
        if (!certificate) return certificate.error();
        return staging_.write("http-ca.crt", *certificate);
    }

    const Topology& topology_;
    Staging& staging_;
    std::optional<crypto::WebAuthority> authority_;
    bool force_;
    const std::optional<CheckedSnapshot>& snapshot_;
    const TpmTrust& trust_;
    std::string enrolments_;
    ClusterFile cluster_;
    std::map<std::string, HostTpm> tpms_;
    std::map<std::string, std::size_t> used_;
    std::size_t step_ = 0;
    std::size_t steps_;
};

/// Before any TPM is touched: would a file be overwritten?
bool target_is_free(const Options& options, const Topology& topology) {
    bool free = true;
    const auto look = [&](const fs::path& file) {
        std::error_code bad;
        if (options.force || !fs::exists(file, bad)) return;
        std::fprintf(stderr, "bftctl: %s exists already\n", file.string().c_str());
        free = false;
    };
    for (const TopologyHost& host : topology.hosts)
        for (const char* file :
             {"node.toml", "identity.key", "usig.tokens", "usig.secrets", "cluster.toml"})
            look(fs::path(options.dir) / "hosts" / host.name / file);
    for (const TopologyClient& client : topology.clients)
        for (const char* file : {"client.toml", "client.key"})
            look(fs::path(options.dir) / "clients" / client.name / file);
    for (const std::string& name : topology.admins)
        look(fs::path(options.dir) / "admins" / (name + ".key"));
    if (!free)
        std::fprintf(
            stderr,
            "bftctl: nothing was changed; take another --dir, or --force, which moves what is "
            "there into a folder 'before-...'\n");
    return free;
}

bool usig_is_wanted(const Options& options, const Topology& topology) {
    for (const TopologyHost& host : topology.hosts) {
        if (!host.tcti.starts_with("software:") || options.software_usig) continue;
        std::fprintf(
            stderr,
            "bftctl: %s has no TPM (tcti = \"%s\"): anybody who breaks into it can forge its "
            "certificates. For trials only, say --insecure-software-usig\n",
            host.name.c_str(), host.tcti.c_str());
        return false;
    }
    return true;
}

/// Reads all of it, and believes it only if f_D+1 databases of its cluster signed it.
bool read_snapshot(const Options& options, std::optional<CheckedSnapshot>& into) {
    if (options.snapshot.empty()) return true;
    const Loaded<ClusterFile> cluster = load_cluster_file(options.snapshot_cluster);
    for (const Diagnostic& wrong : cluster.errors)
        std::fprintf(stderr, "%s\n", to_string(wrong).c_str());
    if (!cluster.value) return false;
    auto checked = check_snapshot(options.snapshot, &*cluster.value,
                                  [](std::uint64_t) { return !stop_wanted; });
    if (!checked) {
        std::fprintf(stderr, "bftctl: %s: %s\n", options.snapshot.c_str(),
                     checked.error().what.c_str());
        return false;
    }
    into = std::move(*checked);
    return true;
}

int run(const Options& options) {
    const Loaded<Topology> topology = load_topology(options.topology);
    for (const Diagnostic& wrong : topology.errors)
        std::fprintf(stderr, "%s\n", to_string(wrong).c_str());
    if (!topology.value || !usig_is_wanted(options, *topology.value)) return exit_usage;
    if (!target_is_free(options, *topology.value)) return exit_failed;
    catch_signals();
    const Result<TpmTrust> trust = TpmTrust::make(options.tpm_authorities, options.tpm_keys);
    if (!trust) {
        std::fprintf(stderr, "bftctl: %s\n", trust.error().what.c_str());
        return exit_usage;
    }
    std::optional<CheckedSnapshot> snapshot;
    if (!read_snapshot(options, snapshot)) return stop_wanted ? exit_interrupted : exit_failed;
    Result<Staging> staging = Staging::open(options.dir);
    if (!staging) {
        std::fprintf(stderr, "bftctl: %s\n", staging.error().what.c_str());
        return exit_failed;
    }
    Maker maker(*topology.value, *staging, options.force, snapshot, *trust);
    const Result<ClusterFile> cluster = maker.make();
    const Result<void> committed =
        cluster ? staging->commit("before-" + std::to_string(std::time(nullptr)))
                : Result<void>(cluster.error());
    if (!committed) {
        std::fprintf(stderr, "bftctl: %s\n", committed.error().what.c_str());
        maker.undo();
        return stop_wanted ? exit_interrupted : exit_failed;
    }
    std::printf(
        "cluster '%s' is in %s, digest %s\n"
        "each host needs its own folder hosts/NAME and nothing else; each client its own "
        "folder clients/NAME\n",
        cluster->name.c_str(), options.dir.c_str(), hex(cluster->digest()).c_str());
    if (cluster->genesis)
        std::printf(
            "its databases begin with slot %llu of cluster %s: load each of them with `bftctl "
            "snapshot restore %s hosts/NAME` before its first start\n",
            static_cast<unsigned long long>(cluster->genesis->slot.value),
            hex(cluster->genesis->cluster).c_str(), options.snapshot.c_str());
    if (!cluster->admins.empty())
        std::printf(
            "%u of the %zu key(s) in admins/ change its configuration: move them to a safe "
            "place\n",
            cluster->admin_quorum, cluster->admins.size());
    return exit_done;
}

}  // namespace

Command add_init(CLI::App& app) {
    CLI::App* command = app.add_subcommand(
        "init", "Makes keys, TPM counters and all files of a new cluster from a topology file");
    auto options = std::make_shared<Options>();
    command->add_option("--topology", options->topology, "the topology file")
        ->required()
        ->check(CLI::ExistingFile);
    command->add_option("--dir", options->dir, "where the cluster's files go")->required();
    command->add_flag("--force", options->force,
                      "even if DIR holds a cluster already: its files are moved aside");
    command->add_flag("--insecure-software-usig", options->software_usig,
                      "allow hosts without TPM (tcti = \"software:FILE\"), for trials");
    CLI::Option* snapshot =
        command->add_option("--snapshot", options->snapshot,
                            "the databases begin with this file of `bftctl snapshot save`");
    CLI::Option* snapshot_cluster =
        command->add_option("--snapshot-cluster", options->snapshot_cluster,
                            "cluster.toml of the cluster that the snapshot is of, for its keys");
    command->add_option("--tpm-ca", options->tpm_authorities,
                        "TPM manufacturers' authorities (PEM): every host's TPM must prove itself");
    command->add_option("--tpm-ek", options->tpm_keys,
                        "HOST=FINGERPRINT: by an endorsement key that you know, see enroll");
    snapshot->needs(snapshot_cluster);
    snapshot_cluster->needs(snapshot);
    command->footer(
        "A topology with every key explained: config/topology.toml. The TPMs must be reachable "
        "from "
        "here.\nExit status: 0 made; 1 it could not be, and nothing was; 2 wrong command line or "
        "file; 130 interrupted.\nExample:\n  bftctl init --topology topology.toml --dir cluster");
    return [options] { return run(*options); };
}

}  // namespace bft::node

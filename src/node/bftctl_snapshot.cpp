// bftctl snapshot: the command line, and verify.
#include "node/bftctl_snapshot.hpp"

#include "consensus/signed_bytes.hpp"
#include "crypto/signing_key.hpp"
#include "node/bftctl.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <csignal>
#include <cstdio>
#include <map>
#include <unistd.h>

namespace bft::node {
namespace {

namespace json = boost::json;

volatile std::sig_atomic_t signalled = 0;

void on_signal(int /*signal*/) {
    signalled = 1;
}

struct VerifyOptions {
    std::string file;
    std::string cluster;
    bool json = false;
};

std::vector<std::string> signers(const database::SnapshotHead& head, const ClusterFile& cluster) {
    std::vector<std::string> names;
    for (const consensus::DbCheckpoint& vote : head.votes)
        names.push_back(vote.voter.value < cluster.voters.size()
                            ? cluster.voters[vote.voter.value]
                            : std::to_string(vote.voter.value));
    return names;
}

std::map<std::string, std::uint64_t> rows_by_table(const database::SnapshotHead& head) {
    std::map<std::string, std::uint64_t> rows;
    for (const consensus::DbLeaf& leaf : *head.leaves) rows[leaf.table] += leaf.rows;
    return rows;
}

void print_json(const CheckedSnapshot& found, const ClusterFile& cluster) {
    json::object tables;
    for (const auto& [table, rows] : rows_by_table(found.head)) tables[table] = rows;
    json::array names;
    for (const std::string& name : signers(found.head, cluster)) names.emplace_back(name);
    const json::object document{{"cluster", cluster.name},
                                {"cluster_digest", hex(found.head.cluster)},
                                {"application", cluster.application.name},
                                {"slot", found.head.slot.value},
                                {"root", hex(found.head.root)},
                                {"genesis", hex(genesis_of(found.head).root)},
                                {"signers", std::move(names)},
                                {"bytes", found.bytes},
                                {"tables", std::move(tables)}};
    std::printf("%s\n", json::serialize(document).c_str());
}

void print_text(const CheckedSnapshot& found, const ClusterFile& cluster) {
    std::string names;
    for (const std::string& name : signers(found.head, cluster))
        names += (names.empty() ? "" : ", ") + name;
    std::printf("cluster      %s, %s\n", cluster.name.c_str(), hex(found.head.cluster).c_str());
    std::printf("application  %s\n", cluster.application.name.c_str());
    std::printf("slot         %llu\n", static_cast<unsigned long long>(found.head.slot.value));
    std::printf("root         %s\n", hex(found.head.root).c_str());
    std::printf("signed by    %s\n", names.c_str());
    for (const auto& [table, rows] : rows_by_table(found.head))
        std::printf("table        %-24s %12llu rows\n", table.c_str(),
                    static_cast<unsigned long long>(rows));
    std::printf("good: %s of rows, all as f+1 databases had them at that slot\n",
                megabytes(found.bytes).c_str());
}

int verify(const VerifyOptions& options) {
    const Loaded<ClusterFile> cluster = load_cluster_file(options.cluster);
    for (const Diagnostic& wrong : cluster.errors)
        std::fprintf(stderr, "%s\n", to_string(wrong).c_str());
    if (!cluster.value) return exit_usage;
    Progress progress;
    const auto found =
        check_snapshot(options.file, &*cluster.value, [&progress](std::uint64_t bytes) {
            progress.show(megabytes(bytes) + " checked");
            return true;
        });
    progress.end();
    if (!found) {
        std::fprintf(stderr, "bftctl: %s: %s\n", options.file.c_str(), found.error().what.c_str());
        return found.error().code == Errc::not_found ? exit_usage : exit_failed;
    }
    if (options.json)
        print_json(*found, *cluster.value);
    else
        print_text(*found, *cluster.value);
    return exit_done;
}

constexpr const char* place_help =
    "a cluster's folder, a host's folder, or node.toml; on this machine";

Command add_save(CLI::App& snapshot) {
    CLI::App* command = snapshot.add_subcommand(
        "save", "Copies one host's database, as it is at one point of the order, into a file");
    auto options = std::make_shared<SnapshotSaveOptions>();
    command->add_option("PLACE", options->places, place_help)->required();
    command->add_option("--host", options->host, "whose database is copied (the first that can)");
    command->add_option("--out", options->out, "the file to write (bft-CLUSTER-SLOT.snapshot)");
    command->add_option("--timeout", options->timeout_s, "give up waiting for f+1 roots after this")
        ->capture_default_str()
        ->check(CLI::Range(1.0, 86400.0));
    command->footer(
        "The cluster goes on meanwhile. All databases are scanned at one slot; the file holds the "
        "rows of\n"
        "one of them and the signatures of f+1 for the root over these rows, so it need not be "
        "believed\n"
        "because of where it came from. Nothing is left of a file that did not become whole.\n"
        "The rows are not encrypted: the file (mode 0600) is as secret as the database.\n"
        "Exit status: 0 written, its name is printed; 1 it could not be; 2 wrong command line or "
        "file;\n"
        "130 interrupted.\n"
        "Example:\n  bftctl snapshot save /etc/bftnode --out /backup/monday.snapshot");
    return [options] { return save_snapshot(*options); };
}

Command add_verify(CLI::App& snapshot) {
    CLI::App* command = snapshot.add_subcommand(
        "verify", "Checks a snapshot with the public keys of its cluster; asks no daemon");
    auto options = std::make_shared<VerifyOptions>();
    command->add_option("FILE", options->file, "the snapshot")->required();
    command
        ->add_option("--cluster", options->cluster,
                     "cluster.toml of the cluster that it is of, from a place that you trust")
        ->required();
    command->add_flag("--json", options->json, "for programs");
    command->footer(
        "Computes the root from the rows in the file and checks the signatures of f+1 databases "
        "for it.\n"
        "Exit status: 0 good; 1 it proves nothing: one line says where it is damaged; 2 wrong "
        "command\n"
        "line or file.\n"
        "Example:\n  bftctl snapshot verify monday.snapshot --cluster /etc/bftnode/host1/"
        "cluster.toml");
    return [options] { return verify(*options); };
}

Command add_restore(CLI::App& snapshot) {
    CLI::App* command = snapshot.add_subcommand(
        "restore",
        "Loads a snapshot into the empty databases of a new cluster that begins with it");
    auto options = std::make_shared<SnapshotRestoreOptions>();
    command->add_option("FILE", options->file, "the snapshot")->required();
    command->add_option("PLACE", options->places, place_help)->required();
    command->add_option("--host", options->host, "only this host's database");
    command->footer(
        "Before it, `bftctl init --snapshot FILE --snapshot-cluster OLD.toml` makes the new "
        "cluster: its\n"
        "cluster.toml names what its databases begin with, and no voter starts with anything "
        "else. Daemons\n"
        "do not run yet. What of a run that ended too early is in a database counts as nothing: "
        "run it again.\n"
        "Exit status: 0 loaded, read again and equal; 1 it could not be; 2 wrong command line or "
        "file; 130\n"
        "interrupted.\n"
        "Example:\n  bftctl snapshot restore monday.snapshot new/hosts/host1");
    return [options] { return restore_snapshot(*options); };
}

}  // namespace

Result<void> check_head(const database::SnapshotHead& head, const ClusterFile& cluster) {
    const consensus::Membership membership = cluster.membership();
    if (head.cluster != membership.cluster)
        return error(Errc::refused, "it is of another cluster, " + hex(head.cluster) +
                                        ", or its head is damaged; " + cluster.file.string() +
                                        " is " + hex(membership.cluster));
    if (head.application != cluster.application.digest)
        return error(Errc::refused, "it is of another application, or its head is damaged");
    if (!membership.is_checkpoint(head.slot))
        return error(Errc::refused, "its slot is no checkpoint, or its head is damaged");
    const auto check = [&](VoterId voter, const Digest& digest, ByteView signature) {
        const Bytes* key = membership.identity_key(consensus::Endpoint::voter(voter));
        return key != nullptr && crypto::verify(*key, digest, signature);
    };
    return database::check_votes(head, membership.database_quorum(), check);
}

Result<CheckedSnapshot> check_snapshot(const std::filesystem::path& file,
                                       const ClusterFile* cluster,
                                       const std::function<bool(std::uint64_t)>& progress) {
    auto reader = database::SnapshotReader::open(file);
    if (!reader) return reader.error();
    if (cluster != nullptr)
        if (auto right = check_head(reader->head(), *cluster); !right) return right.error();
    std::uint64_t bytes = 0;
    while (true) {
        auto chunk = reader->next();
        if (!chunk) return chunk.error();
        if (!*chunk) return CheckedSnapshot{reader->head(), bytes};
        bytes += (*chunk)->rows.size();
        if (!progress(bytes)) return error(Errc::unavailable, "interrupted");
    }
}

ClusterGenesis genesis_of(const database::SnapshotHead& head) {
    return {consensus::database_root(database::application_leaves(*head.leaves)), head.root,
            head.cluster, head.slot};
}

void note_signals() {
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    for (int number : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(number, &action, nullptr);
}

bool interrupted() {
    return signalled != 0;
}

void Progress::show(const std::string& what) {
    if (::isatty(STDERR_FILENO) == 0) return;
    width_ = std::max(width_, what.size());
    std::fprintf(stderr, "\r%-*s", static_cast<int>(width_), what.c_str());
    std::fflush(stderr);
}

void Progress::end() {
    if (width_ > 0) std::fprintf(stderr, "\n");
    width_ = 0;
}

std::string megabytes(std::uint64_t bytes) {
    const std::uint64_t tenths = (bytes + 50'000) / 100'000;
    return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " MB";
}

Command add_snapshot(CLI::App& app) {
    CLI::App* snapshot =
        app.add_subcommand("snapshot", "Copies of the databases that prove themselves, for backup");
    snapshot->require_subcommand(1);
    snapshot->footer(
        "Each has its own --help, also for the exit status, such as `bftctl snapshot save "
        "--help`.\n"
        "Example:\n  bftctl snapshot save /etc/bftnode --out monday.snapshot");
    const std::vector<std::pair<std::string, Command>> commands = {
        {"save", add_save(*snapshot)},
        {"verify", add_verify(*snapshot)},
        {"restore", add_restore(*snapshot)},
    };
    return [snapshot, commands] {
        for (const auto& [name, run] : commands)
            if (snapshot->got_subcommand(name)) return run();
        return static_cast<int>(exit_usage);
    };
}

}  // namespace bft::node

// bftctl snapshot restore: fills the empty database of a host before its first start.
#include "consensus/signed_bytes.hpp"
#include "database/rebuild.hpp"
#include "database/setup.hpp"
#include "node/bftctl.hpp"
#include "node/bftctl_database.hpp"
#include "node/bftctl_snapshot.hpp"
#include "node/bftctl_targets.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <cstdio>
#include <optional>

namespace bft::node {
namespace {

const Error stopped = error(Errc::unavailable, "interrupted");

Result<database::ExecutorOptions> executor_options(const Target& target) {
    auto connect = connect_options_of(*target.config.database);
    if (!connect) return connect.error();
    database::ExecutorOptions options;
    options.connect = *connect;
    options.cluster = target.cluster.digest();
    const auto& voters = target.cluster.voters;
    const auto self = std::find(voters.begin(), voters.end(), target.config.host);
    options.self = VoterId(static_cast<std::uint32_t>(self - voters.begin()));
    return options;
}

/// Nobody's rows are destroyed: the database is empty, or what is there was never in service.
Result<void> check_unused(const database::ConnectOptions& connect) {
    auto found = database::examine(connect);
    if (!found) return found.error();
    if (*found == database::Condition::half_built) return {};
    database::ConnectOptions server = connect;
    server.database.clear();
    auto session = database::Session::connect(server);
    if (!session) return session.error();
    const std::string name = database::quote_text(connect.database);
    auto rows = session->value(
        *found == database::Condition::empty
            ? "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema=" + name +
                  " AND table_name NOT LIKE 'cbft\\_%'"
            : "SELECT COUNT(*) FROM " + database::quote_name(connect.database) + ".cbft_part");
    if (!rows) return rows.error();
    if (*rows == "0") return {};
    return error(Errc::refused, *found == database::Condition::empty
                                    ? "database '" + connect.database +
                                          "' has tables already: give it an empty one"
                                    : "database '" + connect.database +
                                          "' has been in service already: nothing was changed");
}

/// Drives a Rebuilder from one thread.
class Loader {
public:
    Loader(const database::ExecutorOptions& options, const catalog::Application& application)
        : rebuilder_(loop_, options, application,
                     database::RebuildHandlers{
                         [this] { step_done_ = true; }, [this] { step_done_ = true; },
                         [this] { step_done_ = true; },
                         [this](const std::string& why) { failure_ = why; }}) {}

    Result<void> load(database::SnapshotReader reader, const std::string& host,
                      Progress& progress) {
        auto leaves = std::make_shared<const std::vector<consensus::DbLeaf>>(
            database::application_leaves(*reader.head().leaves));
        rebuilder_.begin(nullptr, {reader.head().slot, consensus::database_root(*leaves), leaves});
        if (auto emptied = wait(); !emptied) return emptied;
        std::uint64_t bytes = 0;
        while (true) {
            auto chunk = reader.next();
            if (!chunk) return chunk.error();
            if (!*chunk) break;
            const consensus::DbLeaf& leaf = (*reader.head().leaves)[(*chunk)->leaf];
            const auto ours = std::find(leaves->begin(), leaves->end(), leaf);
            if (ours == leaves->end()) continue;
            bytes += (*chunk)->rows.size();
            rebuilder_.load({static_cast<std::uint32_t>(ours - leaves->begin()), (*chunk)->chunk,
                             std::move((*chunk)->rows)});
            if (auto loaded = wait(); !loaded) return loaded;
            progress.show(host + ": " + megabytes(bytes) + " loaded, " + leaf.table);
        }
        progress.show(host + ": " + megabytes(bytes) + " loaded, is read again");
        rebuilder_.finish();
        return wait();
    }

private:
    Result<void> wait() {
        step_done_ = false;
        while (!step_done_ && !failure_) {
            if (interrupted()) return stopped;
            loop_.restart();
            loop_.run_one_for(std::chrono::milliseconds(100));
        }
        if (failure_) return error(Errc::internal, *failure_);
        return {};
    }

    boost::asio::io_context loop_;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
        loop_.get_executor()};
    bool step_done_ = false;
    std::optional<std::string> failure_;
    database::Rebuilder rebuilder_;  ///< last: its thread posts to the loop
};

Result<void> restore_one(const Target& target, const std::string& file, Progress& progress) {
    auto application = catalog::Application::load(target.cluster.application.folder);
    if (!application) return application.error();
    if (application->digest() != target.cluster.application.digest)
        return error(Errc::refused, target.cluster.application.folder.string() +
                                        " is not the application of this cluster");
    auto options = executor_options(target);
    if (!options) return options.error();
    if (auto unused = check_unused(options->connect); !unused) return unused;
    auto reader = database::SnapshotReader::open(file);
    if (!reader) return reader.error();
    Loader loader(*options, *application);
    return loader.load(std::move(*reader), target.config.host, progress);
}

Result<void> check_genesis(const Target& target, const database::SnapshotHead& head) {
    const std::string file = target.cluster.file.string();
    if (!target.cluster.genesis)
        return error(Errc::refused, file +
                                        " names no snapshot: make the new cluster with `bftctl "
                                        "init --snapshot`");
    const ClusterGenesis here = genesis_of(head);
    if (here.root != target.cluster.genesis->root ||
        here.snapshot != target.cluster.genesis->snapshot)
        return error(Errc::refused, file + " begins with another snapshot, of slot " +
                                        std::to_string(target.cluster.genesis->slot.value) +
                                        ", root " + hex(target.cluster.genesis->snapshot));
    return {};
}

}  // namespace

int restore_snapshot(const SnapshotRestoreOptions& options) {
    Result<std::vector<Target>> targets = find_targets(options.places);
    if (!targets) {
        std::fprintf(stderr, "%s\n", targets.error().what.c_str());
        return exit_usage;
    }
    std::erase_if(*targets, [&](const Target& target) {
        return !target.config.database ||
               !target.cluster.roles_of(target.config.host).contains(Role::voter) ||
               (!options.host.empty() && target.config.host != options.host);
    });
    if (targets->empty()) {
        std::fprintf(stderr, "bftctl: no host here has a database\n");
        return exit_usage;
    }
    note_signals();
    // The whole file first: a damaged one touches no database.
    Progress progress;
    const auto checked = check_snapshot(options.file, nullptr, [&progress](std::uint64_t bytes) {
        progress.show(megabytes(bytes) + " checked");
        return !interrupted();
    });
    Result<void> done = checked ? Result<void>() : Result<void>(checked.error());
    for (std::size_t i = 0; done && i < targets->size(); ++i)
        done = check_genesis((*targets)[i], checked->head);
    if (!done) {
        progress.end();
        std::fprintf(stderr, "bftctl: %s; nothing was changed\n", done.error().what.c_str());
        return interrupted() ? exit_interrupted : exit_failed;
    }
    for (const Target& target : *targets) {
        done = restore_one(target, options.file, progress);
        progress.end();
        if (!done) {
            std::fprintf(stderr, "bftctl: %s: %s\n", target.config.host.c_str(),
                         done.error().what.c_str());
            return interrupted() ? exit_interrupted : exit_failed;
        }
        std::printf("%-12s begins with slot %llu of the earlier cluster\n",
                    target.config.host.c_str(),
                    static_cast<unsigned long long>(checked->head.slot.value));
        std::fflush(stdout);
    }
    return exit_done;
}

}  // namespace bft::node

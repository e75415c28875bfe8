// Snapshots of a cluster's databases in files (docs/adr/0020): what the commands share.
#pragma once

#include "base/result.hpp"
#include "database/snapshot_file.hpp"
#include "node/cluster_file.hpp"

#include <atomic>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace bft::node {

struct SnapshotSaveOptions {
    std::vector<std::string> places;
    std::string host;
    std::string out;
    double timeout_s = 600;
};
int save_snapshot(const SnapshotSaveOptions& options);

struct SnapshotRestoreOptions {
    std::string file;
    std::vector<std::string> places;
    std::string host;
};
int restore_snapshot(const SnapshotRestoreOptions& options);

/// Is this the head of a snapshot of that cluster, signed by f_D+1 of its voters? Errc::refused.
Result<void> check_head(const database::SnapshotHead& head, const ClusterFile& cluster);

struct CheckedSnapshot {
    database::SnapshotHead head;
    std::uint64_t bytes = 0;  ///< of all rows
};
/// Reads all of `file`. `cluster`: whose keys must have signed it; null: only the rows are compared
/// with the head. Errc::malformed, Errc::refused: it proves nothing, and where. `progress` is
/// called with rows' bytes so far; false ends it (Errc::unavailable).
Result<CheckedSnapshot> check_snapshot(const std::filesystem::path& file,
                                       const ClusterFile* cluster,
                                       const std::function<bool(std::uint64_t)>& progress);

/// What a new cluster that begins with it says in its cluster file.
ClusterGenesis genesis_of(const database::SnapshotHead& head);

/// SIGINT, SIGTERM and SIGHUP are noted from now on, instead of ending the program.
void note_signals();
[[nodiscard]] bool interrupted();

/// A line on standard error that is overwritten, on a terminal.
class Progress {
public:
    void show(const std::string& what);
    /// Leaves the last one standing.
    void end();
    ~Progress() { end(); }

private:
    std::size_t width_ = 0;
};
std::string megabytes(std::uint64_t bytes);

}  // namespace bft::node

// A snapshot of one database in a file: rows, the leaves that they are chunks of, and f_D+1 signed
// DBCKPTs for the root of these (docs/adr/0020). Whoever has the cluster's public keys can check
// it; nothing in it is believed because of where it came from.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "consensus/messages.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace bft::database {

/// Everything but the rows. What is not covered by a signature must equal the cluster file.
struct SnapshotHead {
    Digest cluster;
    Digest application;
    Slot slot{};
    Digest root;
    std::vector<consensus::DbCheckpoint> votes;  ///< distinct voters, ascending; all for `root`
    consensus::DbLeavesPtr leaves;
};

Bytes encode(const SnapshotHead& head);
/// Errc::malformed: not a head, one beyond the bounds, or the leaves are not those of the root.
Result<SnapshotHead> decode_snapshot_head(ByteView bytes);

/// Did `voter` sign `digest`?
using CheckVote = std::function<bool(VoterId voter, const Digest& digest, ByteView signature)>;
/// Errc::refused: fewer than `quorum` of the votes are good. Votes that are not good are named.
Result<void> check_votes(const SnapshotHead& head, std::size_t quorum, const CheckVote& check);

/// The leaves of the application's own tables: what a new cluster can begin with. Its bookkeeping
/// (cbft_part, cbft_win, cbft_exec) begins anew.
std::vector<consensus::DbLeaf> application_leaves(const std::vector<consensus::DbLeaf>& leaves);

/// "table T" or "table T partition P".
std::string describe(const consensus::DbLeaf& leaf);

/// Makes a file so that either all of it is there or nothing: temporary, synced, renamed.
class SnapshotWriter {
public:
    /// Errc::refused: `file` exists. Mode 0600.
    static Result<SnapshotWriter> create(const std::filesystem::path& file,
                                         const SnapshotHead& head);
    SnapshotWriter(SnapshotWriter&& other) noexcept;
    SnapshotWriter& operator=(SnapshotWriter&&) = delete;
    /// Removes what is not finished.
    ~SnapshotWriter();

    /// The next chunk, in the order of the leaves; the caller has checked its digest.
    Result<void> add(ByteView rows);
    Result<void> finish();
    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

private:
    SnapshotWriter(std::filesystem::path file, std::filesystem::path temporary, int descriptor)
        : file_(std::move(file)), temporary_(std::move(temporary)), descriptor_(descriptor) {}
    Result<void> put(ByteView bytes);

    std::filesystem::path file_, temporary_;
    int descriptor_ = -1;
    std::uint64_t bytes_ = 0;
};

/// Where a snapshot's bytes come from: fills `into` and says how much it got; less: the end.
using SnapshotSource = std::function<Result<std::size_t>(std::span<std::uint8_t> into)>;

class SnapshotReader {
public:
    /// Reads the head. Errc::not_found, Errc::io; Errc::malformed: it is no snapshot.
    static Result<SnapshotReader> open(const std::filesystem::path& file);
    static Result<SnapshotReader> from(SnapshotSource source);

    [[nodiscard]] const SnapshotHead& head() const { return head_; }

    struct Chunk {
        std::uint32_t leaf = 0;
        std::uint32_t chunk = 0;
        Bytes rows;  ///< as the leaf's digest says
    };
    /// nullopt: that was all, and nothing follows. Errc::malformed names table and partition.
    Result<std::optional<Chunk>> next();

private:
    explicit SnapshotReader(SnapshotSource source) : source_(std::move(source)) {}
    Result<void> read_head();
    [[nodiscard]] Result<Bytes> take(std::size_t size, const std::string& what);

    SnapshotSource source_;
    SnapshotHead head_;
    std::uint32_t leaf_ = 0;
    std::uint32_t chunk_ = 0;
};

}  // namespace bft::database

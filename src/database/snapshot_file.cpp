#include "database/snapshot_file.hpp"

#include "consensus/signed_bytes.hpp"
#include "consensus/verify.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <unistd.h>

namespace bft::database {

namespace {

constexpr std::string_view magic = "bftsnap1";
constexpr consensus::MessageLimits limits;
constexpr std::size_t head_bytes_max = 32 * 1024 * 1024;
constexpr std::size_t table_bytes_max = 64;
constexpr std::size_t votes_max = 64;
constexpr std::size_t vote_bytes_max = 256;

Error malformed(std::string what) {
    return error(Errc::malformed, std::move(what));
}

void put_number(Bytes& out, std::uint64_t value, int bytes) {
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
        out.push_back(static_cast<std::uint8_t>(value >> shift));
}

void put_bytes(Bytes& out, ByteView bytes) {
    put_number(out, bytes.size(), 4);
    out.insert(out.end(), bytes.begin(), bytes.end());
}

void put_digest(Bytes& out, const Digest& digest) {
    out.insert(out.end(), digest.bytes.begin(), digest.bytes.end());
}

std::uint64_t number_of(ByteView bytes) {
    std::uint64_t value = 0;
    for (std::uint8_t byte : bytes) value = value << 8 | byte;
    return value;
}

/// Takes fields off the front of hostile bytes; after the first that is not there all are empty.
class Fields {
public:
    explicit Fields(ByteView rest) : rest_(rest) {}

    ByteView bytes(std::size_t size) {
        if (size > rest_.size()) {
            good_ = false;
            rest_ = {};
            return {};
        }
        ByteView taken = rest_.first(size);
        rest_ = rest_.subspan(size);
        return taken;
    }
    std::uint64_t number(std::size_t size) { return number_of(bytes(size)); }
    Digest digest() { return Digest::from(bytes(32)).value_or(Digest()); }
    /// A count of things of which each takes at least `each` bytes, so that no count promises more
    /// than there is.
    std::size_t count(std::size_t most, std::size_t each) {
        std::uint64_t value = number(4);
        if (value > most || value > rest_.size() / each) {
            good_ = false;
            return 0;
        }
        return static_cast<std::size_t>(value);
    }
    ByteView counted(std::size_t most) { return bytes(count(most, 1)); }
    [[nodiscard]] bool good() const { return good_; }
    [[nodiscard]] bool empty() const { return rest_.empty(); }

private:
    ByteView rest_;
    bool good_ = true;
};

bool read_votes(Fields& in, SnapshotHead& head) {
    const std::size_t votes = in.count(votes_max, 8);
    for (std::size_t i = 0; i < votes && in.good(); ++i) {
        consensus::DbCheckpoint vote{VoterId(static_cast<std::uint32_t>(in.number(4))), head.slot,
                                     head.root, to_bytes(in.counted(vote_bytes_max))};
        if (!head.votes.empty() && vote.voter <= head.votes.back().voter) return false;
        head.votes.push_back(std::move(vote));
    }
    return in.good();
}

bool read_leaves(Fields& in, std::vector<consensus::DbLeaf>& leaves) {
    constexpr std::size_t leaf_bytes_min = 4 + 4 + 8 + 4;
    std::size_t chunks = 0;
    const std::size_t count = in.count(limits.database_leaves, leaf_bytes_min);
    leaves.reserve(count);
    for (std::size_t i = 0; i < count && in.good(); ++i) {
        consensus::DbLeaf& leaf = leaves.emplace_back();
        leaf.table = as_text(in.counted(table_bytes_max));
        leaf.partition = PartitionId(static_cast<std::uint32_t>(in.number(4)));
        leaf.rows = in.number(8);
        const std::size_t own = in.count(limits.database_chunks, 32);
        chunks += own;
        if (leaf.table.empty() || own == 0 || chunks > limits.database_chunks) return false;
        leaf.chunks.reserve(own);
        for (std::size_t k = 0; k < own; ++k) leaf.chunks.push_back(in.digest());
    }
    return in.good();
}

Error failed(const char* what, const std::filesystem::path& file) {
    const int cause = errno;
    return error(cause == ENOENT ? Errc::not_found : Errc::io,
                 std::string(what) + " " + file.string() + ": " + std::strerror(cause));
}

}  // namespace

Bytes encode(const SnapshotHead& head) {
    Bytes out;
    put_digest(out, head.cluster);
    put_digest(out, head.application);
    put_number(out, head.slot.value, 8);
    put_digest(out, head.root);
    put_number(out, head.votes.size(), 4);
    for (const consensus::DbCheckpoint& vote : head.votes) {
        put_number(out, vote.voter.value, 4);
        put_bytes(out, vote.signature);
    }
    put_number(out, head.leaves->size(), 4);
    for (const consensus::DbLeaf& leaf : *head.leaves) {
        put_bytes(out, as_bytes(leaf.table));
        put_number(out, leaf.partition.value, 4);
        put_number(out, leaf.rows, 8);
        put_number(out, leaf.chunks.size(), 4);
        for (const Digest& chunk : leaf.chunks) put_digest(out, chunk);
    }
    return out;
}

Result<SnapshotHead> decode_snapshot_head(ByteView bytes) {
    Fields in(bytes);
    SnapshotHead head;
    head.cluster = in.digest();
    head.application = in.digest();
    head.slot = Slot(in.number(8));
    head.root = in.digest();
    auto leaves = std::make_shared<std::vector<consensus::DbLeaf>>();
    if (!read_votes(in, head) || !read_leaves(in, *leaves) || !in.good() || !in.empty())
        return malformed("its head is damaged");
    if (consensus::database_root(*leaves) != head.root)
        return malformed("its head is damaged: the tables' digests are not those of its root");
    head.leaves = std::move(leaves);
    return head;
}

Result<void> check_votes(const SnapshotHead& head, std::size_t quorum, const CheckVote& check) {
    std::size_t good = 0;
    std::string bad;
    for (const consensus::DbCheckpoint& vote : head.votes) {
        if (check(vote.voter, consensus::db_checkpoint_digest(head.cluster, vote), vote.signature))
            ++good;
        else
            bad += (bad.empty() ? "; not of voter " : ", ") + std::to_string(vote.voter.value);
    }
    if (good >= quorum) return {};
    return error(Errc::refused, "it has " + std::to_string(good) + " good signature(s) of the " +
                                    std::to_string(quorum) + " voters that it needs" + bad);
}

std::vector<consensus::DbLeaf> application_leaves(const std::vector<consensus::DbLeaf>& leaves) {
    std::vector<consensus::DbLeaf> own;
    for (const consensus::DbLeaf& leaf : leaves)
        if (!leaf.table.starts_with("cbft_")) own.push_back(leaf);
    return own;
}

std::string describe(const consensus::DbLeaf& leaf) {
    std::string text = "table " + leaf.table;
    if (leaf.partition.value != 0) text += " partition " + std::to_string(leaf.partition.value);
    return text;
}

// --- writing
// -------------------------------------------------------------------------

Result<SnapshotWriter> SnapshotWriter::create(const std::filesystem::path& file,
                                              const SnapshotHead& head) {
    std::error_code ignored;
    if (std::filesystem::exists(file, ignored))
        return error(Errc::refused, file.string() + " exists already");
    std::string temporary = file.string() + ".part-XXXXXX";
    const int descriptor = ::mkostemp(temporary.data(), O_CLOEXEC);
    if (descriptor < 0) return failed("cannot write to", temporary);
    SnapshotWriter writer(file, temporary, descriptor);
    const Bytes encoded = encode(head);
    Bytes begin = to_bytes(as_bytes(magic));
    put_number(begin, encoded.size(), 8);
    if (auto done = writer.put(begin); !done) return done.error();
    if (auto done = writer.put(encoded); !done) return done.error();
    return writer;
}

SnapshotWriter::SnapshotWriter(SnapshotWriter&& other) noexcept
    : file_(std::move(other.file_)),
      temporary_(std::move(other.temporary_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      bytes_(other.bytes_) {}

SnapshotWriter::~SnapshotWriter() {
    if (descriptor_ < 0) return;
    ::close(descriptor_);
    ::unlink(temporary_.c_str());
}

Result<void> SnapshotWriter::put(ByteView bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return failed("cannot write to", temporary_);
        bytes_ += static_cast<std::uint64_t>(written);
        bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return {};
}

Result<void> SnapshotWriter::add(ByteView rows) {
    Bytes size;
    put_number(size, rows.size(), 4);
    if (auto done = put(size); !done) return done;
    return put(rows);
}

Result<void> SnapshotWriter::finish() {
    if (::fsync(descriptor_) != 0) return failed("cannot make durable", temporary_);
    // What has come there meanwhile stays; where the file system cannot say so, it was looked for.
    bool moved =
        ::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, file_.c_str(), RENAME_NOREPLACE) == 0 ||
        (errno == EINVAL && ::rename(temporary_.c_str(), file_.c_str()) == 0);
    if (!moved) return failed("cannot make", file_);
    ::close(std::exchange(descriptor_, -1));
    std::filesystem::path folder = std::filesystem::absolute(file_).parent_path();
    const int directory = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool synced = directory >= 0 && ::fsync(directory) == 0;
    if (directory >= 0) ::close(directory);
    if (!synced) return failed("cannot make durable", folder);
    return {};
}

// --- reading
// -------------------------------------------------------------------------

Result<SnapshotReader> SnapshotReader::open(const std::filesystem::path& file) {
    const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return failed("cannot read", file);
    std::shared_ptr<const int> owned(new int(descriptor), [](const int* open) {
        ::close(*open);
        delete open;
    });
    return from([owned, file](std::span<std::uint8_t> into) -> Result<std::size_t> {
        std::size_t got = 0;
        while (got < into.size()) {
            const ssize_t more = ::read(*owned, into.data() + got, into.size() - got);
            if (more < 0 && errno == EINTR) continue;
            if (more < 0) return failed("cannot read", file);
            if (more == 0) break;
            got += static_cast<std::size_t>(more);
        }
        return got;
    });
}

Result<SnapshotReader> SnapshotReader::from(SnapshotSource source) {
    SnapshotReader reader(std::move(source));
    if (auto done = reader.read_head(); !done) return done.error();
    return reader;
}

/// Grows with what is there, not with what a size field promises.
Result<Bytes> SnapshotReader::take(std::size_t size, const std::string& what) {
    constexpr std::size_t step = 1024 * 1024;
    Bytes bytes;
    while (bytes.size() < size) {
        const std::size_t had = bytes.size();
        const std::size_t more = std::min(step, size - had);
        bytes.resize(had + more);
        auto got = source_(std::span(bytes).subspan(had, more));
        if (!got) return got.error();
        if (*got < more) return malformed(what);
    }
    return bytes;
}

Result<void> SnapshotReader::read_head() {
    auto begin = take(magic.size() + 8, "this is no snapshot of `bftctl snapshot save`");
    if (!begin) return begin.error();
    const ByteView view(*begin);
    if (as_text(view.first(magic.size())) != magic)
        return malformed("this is no snapshot of `bftctl snapshot save`");
    const std::uint64_t size = number_of(view.subspan(magic.size()));
    if (size > head_bytes_max) return malformed("its head is damaged");
    auto encoded = take(static_cast<std::size_t>(size), "its head is cut short");
    if (!encoded) return encoded.error();
    auto head = decode_snapshot_head(*encoded);
    if (!head) return head.error();
    head_ = std::move(*head);
    return {};
}

Result<std::optional<SnapshotReader::Chunk>> SnapshotReader::next() {
    const auto& leaves = *head_.leaves;
    if (leaf_ == leaves.size()) {
        std::array<std::uint8_t, 1> more{};
        auto got = source_(more);
        if (!got) return got.error();
        if (*got != 0) return malformed("something follows its last table");
        return std::optional<Chunk>();
    }
    const consensus::DbLeaf& leaf = leaves[leaf_];
    auto size = take(4, describe(leaf) + " is cut short");
    if (!size) return size.error();
    const std::uint64_t bytes = number_of(*size);
    if (bytes > limits.chunk_bytes) return malformed(describe(leaf) + " is damaged");
    auto rows = take(static_cast<std::size_t>(bytes), describe(leaf) + " is cut short");
    if (!rows) return rows.error();
    if (consensus::chunk_digest(*rows) != leaf.chunks[chunk_])
        return malformed(describe(leaf) + " is damaged: its rows are not those that were signed");
    Chunk chunk{leaf_, chunk_, std::move(*rows)};
    if (++chunk_ == leaf.chunks.size()) {
        chunk_ = 0;
        ++leaf_;
    }
    return std::optional<Chunk>(std::move(chunk));
}

}  // namespace bft::database

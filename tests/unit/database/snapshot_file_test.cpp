// Snapshots as files: what is written is read, what is damaged is refused by name, what is signed
// by too few proves nothing, and hostile bytes reach nothing.
#include "database/snapshot_file.hpp"

#include "consensus/signed_bytes.hpp"
#include "crypto/signing_key.hpp"
#include "database/row_codec.hpp"
#include "mutator.hpp"
#include "snapshot_entry.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sys/stat.h>

namespace bft::database {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class SnapshotFile : public testing::Test {
protected:
    SnapshotFile() {
        std::string name = "/tmp/bft-snapshot-XXXXXX";
        folder_ = ::mkdtemp(name.data());
        for (int i = 0; i < 3; ++i) keys_.push_back(crypto::SigningKey::generate());
        for (std::string_view value : {"alice", "bob", "1"}) {
            Bytes rows;
            put_value(rows, value);
            chunks_.push_back(rows);
        }
        auto leaves = std::make_shared<std::vector<consensus::DbLeaf>>();
        leaves->push_back(
            {"account",
             PartitionId(2),
             2,
             {consensus::chunk_digest(chunks_[0]), consensus::chunk_digest(chunks_[1])}});
        leaves->push_back({"cbft_part", PartitionId(0), 1, {consensus::chunk_digest(chunks_[2])}});
        head_.cluster.bytes.fill(1);
        head_.application.bytes.fill(2);
        head_.slot = Slot(64);
        head_.root = consensus::database_root(*leaves);
        head_.leaves = leaves;
        for (std::uint32_t voter : {0u, 2u}) sign(voter);
    }
    ~SnapshotFile() override { fs::remove_all(folder_); }

    void sign(std::uint32_t voter) {
        consensus::DbCheckpoint vote{VoterId(voter), head_.slot, head_.root, {}};
        vote.signature = keys_[voter].sign(consensus::db_checkpoint_digest(head_.cluster, vote));
        head_.votes.push_back(vote);
    }
    Result<void> check(std::size_t quorum = 2) {
        return check_votes(
            head_, quorum, [this](VoterId voter, const Digest& digest, ByteView signature) {
                return voter.value < keys_.size() &&
                       crypto::verify(keys_[voter.value].public_key(), digest, signature);
            });
    }
    fs::path write() {
        const fs::path file = folder_ / "one";
        auto writer = SnapshotWriter::create(file, head_);
        for (const Bytes& chunk : chunks_) EXPECT_TRUE(writer->add(chunk));
        EXPECT_TRUE(writer->finish());
        return file;
    }
    static Result<void> read_all(const fs::path& file) {
        auto reader = SnapshotReader::open(file);
        if (!reader) return reader.error();
        while (true) {
            auto chunk = reader->next();
            if (!chunk) return chunk.error();
            if (!*chunk) return {};
        }
    }
    std::size_t files() const {
        return static_cast<std::size_t>(
            std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
    }

    fs::path folder_;
    std::vector<crypto::SigningKey> keys_;
    std::vector<Bytes> chunks_;
    SnapshotHead head_;
};

TEST_F(SnapshotFile, IsReadAsItWasWritten) {
    const fs::path file = write();
    struct stat status {};
    ASSERT_EQ(::stat(file.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777u, 0600u) << "it is as secret as the database";
    auto reader = SnapshotReader::open(file);
    ASSERT_TRUE(reader) << reader.error().what;
    EXPECT_EQ(reader->head().cluster, head_.cluster);
    EXPECT_EQ(reader->head().application, head_.application);
    EXPECT_EQ(reader->head().slot, head_.slot);
    EXPECT_EQ(*reader->head().leaves, *head_.leaves);
    ASSERT_EQ(reader->head().votes.size(), 2u);
    EXPECT_EQ(reader->head().votes[1].signature, head_.votes[1].signature);
    std::vector<Bytes> rows;
    for (auto chunk = reader->next(); chunk && *chunk; chunk = reader->next())
        rows.push_back((*chunk)->rows);
    EXPECT_EQ(rows, chunks_);
    EXPECT_EQ(files(), 1u);
}

TEST_F(SnapshotFile, NothingIsLeftOfOneThatDidNotBecomeWhole) {
    {
        auto writer = SnapshotWriter::create(folder_ / "half", head_);
        ASSERT_TRUE(writer);
        ASSERT_TRUE(writer->add(chunks_[0]));
        EXPECT_FALSE(fs::exists(folder_ / "half"));
        EXPECT_EQ(files(), 1u);
    }
    EXPECT_EQ(files(), 0u);
    EXPECT_EQ(SnapshotWriter::create("/nowhere/at/all", head_).error().code, Errc::not_found);
}

TEST_F(SnapshotFile, NothingIsWrittenOver) {
    const fs::path file = write();
    EXPECT_EQ(SnapshotWriter::create(file, head_).error().code, Errc::refused);
    auto writer = SnapshotWriter::create(folder_ / "two", head_);
    std::ofstream(folder_ / "two") << "came meanwhile";
    EXPECT_FALSE(writer->finish());
    std::ifstream in(folder_ / "two");
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), "came meanwhile");
}

TEST_F(SnapshotFile, EveryByteCountsAndTheTableIsNamed) {
    const fs::path file = write();
    std::ifstream in(file, std::ios::binary);
    const std::string good((std::istreambuf_iterator<char>(in)), {});
    const std::size_t first_chunk = 16 + encode(head_).size();
    const std::size_t last_chunk = good.size() - chunks_[2].size() - 4;
    ASSERT_TRUE(read_all(file));
    for (std::size_t at = 0; at < good.size(); ++at) {
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ 0x40);
        std::ofstream(file, std::ios::binary | std::ios::trunc) << bad;
        const auto read = read_all(file);
        // Cluster, application, slot and signatures are the verifier's part.
        const bool outside = at >= 16 && at < 16 + 32 + 32 + 8;
        if (read) {
            auto reader = SnapshotReader::open(file);
            head_ = reader->head();
            EXPECT_TRUE(outside || !check()) << "byte " << at;
            continue;
        }
        const char* table = at >= last_chunk ? "table cbft_part" : "table account partition 2";
        EXPECT_THAT(read.error().what, HasSubstr(at >= first_chunk ? table : "")) << at;
    }
    for (std::size_t size = 0; size < good.size(); ++size) {
        std::ofstream(file, std::ios::binary | std::ios::trunc) << good.substr(0, size);
        EXPECT_FALSE(read_all(file)) << size;
    }
    std::ofstream(file, std::ios::binary | std::ios::trunc) << good << "x";
    EXPECT_THAT(read_all(file).error().what, HasSubstr("follows"));
}

TEST_F(SnapshotFile, FewerThanAQuorumProveNothing) {
    EXPECT_TRUE(check());
    EXPECT_THAT(check(3).error().what, HasSubstr("2 good signature"));
    auto good = head_;
    head_.votes.pop_back();
    EXPECT_FALSE(check());
    head_ = good;
    head_.votes[1].signature[5] ^= 1;
    EXPECT_THAT(check().error().what, HasSubstr("not of voter 2"));
    head_ = good;
    head_.votes[1].voter = VoterId(1);  // somebody else's
    EXPECT_FALSE(check());
    head_ = good;
    head_.slot = Slot(96);
    for (auto& vote : head_.votes) vote.slot = Slot(96);
    EXPECT_FALSE(check()) << "the slot is signed";
    head_ = good;
    head_.cluster.bytes.fill(9);
    EXPECT_FALSE(check()) << "and so is the cluster";
}

TEST_F(SnapshotFile, OneVoterIsNotTwo) {
    head_.votes[1] = head_.votes[0];
    EXPECT_FALSE(decode_snapshot_head(encode(head_)));
    head_.votes = {{VoterId(2), head_.slot, head_.root, Bytes(64)},
                   {VoterId(0), head_.slot, head_.root, Bytes(64)}};
    EXPECT_FALSE(decode_snapshot_head(encode(head_))) << "ascending";
}

TEST_F(SnapshotFile, BookkeepingIsNotOfTheApplication) {
    const auto own = application_leaves(*head_.leaves);
    ASSERT_EQ(own.size(), 1u);
    EXPECT_EQ(own[0].table, "account");
}

TEST_F(SnapshotFile, PromisedSizesCostNothing) {
    Bytes huge = fuzz::small_snapshot();
    for (std::size_t i = 8; i < 16; ++i) huge[i] = 0xff;  // the head's length
    EXPECT_FALSE(fuzz::snapshot_file(huge));
    huge = fuzz::small_snapshot();
    huge[8 + 8 + 32 + 32 + 8 + 32] = 0xff;  // the number of votes
    EXPECT_FALSE(fuzz::snapshot_file(huge));
}

TEST_F(SnapshotFile, MutationsAreRefusedOrHarmless) {
    const Bytes good = fuzz::small_snapshot();
    ASSERT_TRUE(fuzz::snapshot_file(good));
    fuzz::Mutator mutate(11);
    std::size_t accepted = 0, refused = 0;
    for (int i = 0; i < 20000; ++i) ++(fuzz::snapshot_file(mutate(good)) ? accepted : refused);
    EXPECT_GT(accepted, 100u) << "identity and signatures are checked with keys only";
    EXPECT_GT(refused, 5000u);
}

}  // namespace
}  // namespace bft::database

#include "usig/journal.hpp"

#include "fakes.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bft::usig::test {
namespace {

std::string file_content(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}
void write_file(const std::filesystem::path& path, const std::string& content) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}
std::string value_of(Journal& journal, const std::string& key) {
    const auto value = journal.get(key).value();
    return value ? std::string(as_text(*value)) : "none";
}

class FileJournalTest : public testing::Test {
protected:
    void SetUp() override {
        auto journal = FileJournal::open(folder_.path()).value();
        ASSERT_TRUE(journal->put("a", as_bytes("1")).has_value());
        ASSERT_TRUE(journal->put("b", as_bytes("2")).has_value());
        ASSERT_TRUE(journal->put("a", as_bytes("3")).has_value());
        ASSERT_TRUE(journal->sync().has_value());
    }
    TempFolder folder_;
    std::filesystem::path file_ = folder_.path() / "journal";
};

TEST_F(FileJournalTest, KeepsTheLastValueOfEachKey) {
    auto journal = FileJournal::open(folder_.path()).value();
    EXPECT_EQ(value_of(*journal, "a"), "3");
    EXPECT_EQ(value_of(*journal, "b"), "2");
    EXPECT_EQ(value_of(*journal, "c"), "none");
}

TEST_F(FileJournalTest, IsHeldByOneProcess) {
    auto journal = FileJournal::open(folder_.path()).value();
    EXPECT_EQ(FileJournal::open(folder_.path()).error().code, Errc::unavailable);
}

TEST_F(FileJournalTest, CutsOffATornLastRecordAtAnyByte) {
    const auto whole = file_content(file_);
    const auto record = whole.size() / 3;
    for (std::size_t size = 2 * record; size < whole.size(); ++size) {
        write_file(file_, whole.substr(0, size));
        auto journal = FileJournal::open(folder_.path());
        ASSERT_TRUE(journal.has_value()) << size;
        EXPECT_EQ(value_of(**journal, "a"), "1");
        ASSERT_TRUE((*journal)->put("a", as_bytes("4")).has_value());
        journal->reset();
        EXPECT_EQ(value_of(*FileJournal::open(folder_.path()).value(), "a"), "4");
    }
}

TEST_F(FileJournalTest, RefusesDamageInFrontOfGoodRecords) {
    const auto whole = file_content(file_);
    const auto record = whole.size() / 3;
    for (std::size_t at = 0; at < 2 * record; ++at) {
        auto bad = whole;
        bad[at] = static_cast<char>(bad[at] ^ 0x10);
        write_file(file_, bad);
        const auto journal = FileJournal::open(folder_.path());
        ASSERT_FALSE(journal.has_value()) << at;
        EXPECT_EQ(journal.error().code, Errc::io);
    }
}

TEST_F(FileJournalTest, StaysSmallAndLosesNothingWhenItIsCompacted) {
    {
        auto journal =
            FileJournal::open(folder_.path(), {.compact_bytes = 4096, .fsync = false}).value();
        for (int i = 0; i < 2000; ++i) {
            ASSERT_TRUE(journal->reserve().has_value());
            ASSERT_TRUE(
                journal->put("k" + std::to_string(i % 7), as_bytes(std::to_string(i))).has_value());
        }
        EXPECT_LT(std::filesystem::file_size(file_), 8192u);
    }
    auto journal = FileJournal::open(folder_.path()).value();
    EXPECT_EQ(value_of(*journal, "a"), "3");
    for (int i = 1993; i < 2000; ++i)
        EXPECT_EQ(value_of(*journal, "k" + std::to_string(i % 7)), std::to_string(i));
}

constexpr int no_small_disk = 77;

/// Mounts one of `bytes` on `folder`, for this process only. Needs no privileges where users may
/// make namespaces.
bool mount_small_disk(const std::filesystem::path& folder, std::size_t bytes) {
    const int spaces = CLONE_NEWNS | (::geteuid() == 0 ? 0 : CLONE_NEWUSER);
    const auto size = "size=" + std::to_string(bytes);
    return ::unshare(spaces) == 0 &&
           ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           ::mount("tmpfs", folder.c_str(), "tmpfs", 0, size.c_str()) == 0;
}

/// Takes all that is left; how much of it does not matter.
void fill(const std::filesystem::path& file) {
    std::ofstream out(file, std::ios::binary);
    const std::string block(4096, 'x');
    while (out.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) continue;
}

/// The number of what went wrong.
int use_a_full_disk(const std::filesystem::path& folder) {
    if (!mount_small_disk(folder, 1024 * 1024)) return no_small_disk;
    auto journal =
        FileJournal::open(folder / "j", {.compact_bytes = 128 * 1024, .reserve_bytes = 32 * 1024});
    if (!journal || !(*journal)->reserve()) return 1;
    fill(folder / "filler");
    // Whatever was promised is there, and when it is not any more, that is said beforehand.
    const Bytes value(1000, 7);
    int rounds = 0;
    for (; (*journal)->reserve(); ++rounds)
        for (int i = 0; i < 25; ++i)
            if (!(*journal)->put("k" + std::to_string(i), value) || !(*journal)->sync()) return 2;
    if (rounds == 0) return 3;
    if ((*journal)->reserve().error().code != Errc::exhausted) return 4;
    std::filesystem::remove(folder / "filler");
    for (int i = 0; i < 1000; ++i)
        if (!(*journal)->reserve() || !(*journal)->put("z", value)) return 5;
    journal->reset();
    auto again = FileJournal::open(folder / "j");
    if (!again) return 6;
    return value_of(**again, "k24") == as_text(value) && value_of(**again, "z") == as_text(value)
               ? 0
               : 7;
}

TEST(FileJournalOnAFullDisk, WhatWasReservedFindsRoomAndTheRestIsRefusedInTime) {
    TempFolder folder;
    const auto child = ::fork();
    if (child == 0) ::_exit(use_a_full_disk(folder.path()));
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    if (WEXITSTATUS(status) == no_small_disk) GTEST_SKIP() << "no small disk can be mounted here";
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace bft::usig::test

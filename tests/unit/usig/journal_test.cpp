#include "usig/journal.hpp"

#include "fakes.hpp"

#include <gtest/gtest.h>

#include <fstream>

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
        for (int i = 0; i < 2000; ++i)
            ASSERT_TRUE(
                journal->put("k" + std::to_string(i % 7), as_bytes(std::to_string(i))).has_value());
        EXPECT_LT(std::filesystem::file_size(file_), 8192u);
    }
    auto journal = FileJournal::open(folder_.path()).value();
    EXPECT_EQ(value_of(*journal, "a"), "3");
    for (int i = 1993; i < 2000; ++i)
        EXPECT_EQ(value_of(*journal, "k" + std::to_string(i % 7)), std::to_string(i));
}

}  // namespace
}  // namespace bft::usig::test

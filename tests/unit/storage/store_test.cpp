#include "storage/store.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

namespace bft::storage {
namespace {

namespace fs = std::filesystem;

class StoreTest : public testing::Test {
protected:
    // A death test runs its statement in a fresh process (RocksDB's threads do not survive a fork),
    // which comes through here and the test's body, too, and is told the folder by its parent.
    void SetUp() override {
        GTEST_FLAG_SET(death_test_style, "threadsafe");
        if (const char* parents = std::getenv(folder_variable)) {
            folder_ = parents;
            return;
        }
        std::string name = (fs::temp_directory_path() / "bft-store-XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        folder_ = name;
        ::setenv(folder_variable, name.c_str(), 1);
        parent_ = true;
    }
    void TearDown() override {
        if (!parent_) return;
        fs::remove_all(folder_);
        ::unsetenv(folder_variable);
    }

    std::unique_ptr<Store> open() {
        auto store = Store::open(folder_ / "data");
        EXPECT_TRUE(store.has_value()) << store.error().what;
        return store ? std::move(*store) : nullptr;
    }

    static void put(Store& store, const std::string& key, const std::string& value,
                    bool sync = false) {
        Batch batch;
        batch.put(as_bytes(key), as_bytes(value));
        auto done = store.write(batch, sync);
        ASSERT_TRUE(done.has_value()) << done.error().what;
    }

    static std::string get(const Store& store, const std::string& key) {
        auto value = store.get(as_bytes(key));
        if (!value) return "error: " + value.error().what;
        return *value ? std::string(as_text(**value)) : "none";
    }

    static std::vector<std::string> keys(const Store& store, const std::string& prefix,
                                         const std::string& from = "", std::size_t limit = 1000) {
        std::vector<std::string> found;
        auto done = store.scan(as_bytes(prefix), as_bytes(from), [&](ByteView key, ByteView) {
            found.emplace_back(as_text(key));
            return found.size() < limit;
        });
        EXPECT_TRUE(done.has_value());
        return found;
    }

    [[nodiscard]] fs::path newest_log() const {
        fs::path newest;
        for (const auto& entry : fs::directory_iterator(folder_ / "data"))
            if (entry.path().extension() == ".log" && entry.path() > newest) newest = entry.path();
        return newest;
    }

    static constexpr const char* folder_variable = "BFT_STORE_TEST_FOLDER";
    fs::path folder_;
    bool parent_ = false;
};

TEST_F(StoreTest, WhatWasWrittenIsThereAfterReopening) {
    {
        auto store = open();
        put(*store, "a", "1", true);
        put(*store, "b", std::string(100'000, 'x'));
        EXPECT_EQ(get(*store, "a"), "1");
        EXPECT_EQ(get(*store, "c"), "none");
    }
    auto store = open();
    EXPECT_EQ(get(*store, "a"), "1");
    EXPECT_EQ(get(*store, "b").size(), 100'000u);
    EXPECT_GT(store->bytes_on_disk(), 100'000u);
}

TEST_F(StoreTest, BatchIsOneChange) {
    auto store = open();
    put(*store, "old", "1");
    Batch batch;
    EXPECT_TRUE(batch.empty());
    batch.put(as_bytes("k"), as_bytes(""));
    batch.erase(as_bytes("old"));
    EXPECT_FALSE(batch.empty());
    EXPECT_GT(batch.bytes(), 0u);
    ASSERT_TRUE(store->write(batch, true).has_value());
    EXPECT_EQ(get(*store, "k"), "");
    EXPECT_EQ(get(*store, "old"), "none");
    batch.clear();
    EXPECT_TRUE(batch.empty());
}

TEST_F(StoreTest, ScanKeepsToPrefixAndOrder) {
    auto store = open();
    for (const char* key : {"a1", "b1", "b2", "b3", "b\xff", "c1"}) put(*store, key, "v");
    EXPECT_EQ(keys(*store, "b"), (std::vector<std::string>{"b1", "b2", "b3", "b\xff"}));
    EXPECT_EQ(keys(*store, "b", "b2"), (std::vector<std::string>{"b2", "b3", "b\xff"}));
    EXPECT_EQ(keys(*store, "b", "a"), (std::vector<std::string>{"b1", "b2", "b3", "b\xff"}));
    EXPECT_EQ(keys(*store, "b", "", 2), (std::vector<std::string>{"b1", "b2"}));
    EXPECT_EQ(keys(*store, "").size(), 6u);
    EXPECT_TRUE(keys(*store, "b", "c").empty());
}

TEST_F(StoreTest, EmptyViewsWithoutAnAddress) {
    auto store = open();
    put(*store, "k", "v");
    int seen = 0;
    auto done = store->scan({}, {}, [&](ByteView, ByteView) { return ++seen > 0; });
    ASSERT_TRUE(done.has_value());
    EXPECT_EQ(seen, 1);
    Batch batch;
    batch.put(as_bytes("empty"), {});
    ASSERT_TRUE(store->write(batch, false).has_value());
    EXPECT_EQ(get(*store, "empty"), "");
}

TEST_F(StoreTest, EraseRangeLeavesTheEnd) {
    auto store = open();
    for (const char* key : {"p1", "p2", "p3", "q1"}) put(*store, key, "v");
    Batch batch;
    batch.erase_range(as_bytes("p1"), as_bytes("p3"));
    ASSERT_TRUE(store->write(batch, false).has_value());
    EXPECT_EQ(keys(*store, ""), (std::vector<std::string>{"p3", "q1"}));
}

TEST_F(StoreTest, SecondOpenIsRefusedWithTheReason) {
    auto store = open();
    auto second = Store::open(folder_ / "data");
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code, Errc::unavailable);
    EXPECT_NE(second.error().what.find("second node"), std::string::npos) << second.error().what;
}

TEST_F(StoreTest, SecondProcessIsRefusedWithTheReason) {
    std::unique_ptr<Store> held = parent_ ? open() : nullptr;
    EXPECT_EXIT(
        {
            auto second = Store::open(folder_ / "data");
            std::fputs(second ? "opened" : second.error().what.c_str(), stderr);
            ::_exit(!second && second.error().code == Errc::unavailable ? 0 : 1);
        },
        testing::ExitedWithCode(0), "second node");
}

TEST_F(StoreTest, TornTailIsCut) {
    {
        auto store = open();
        put(*store, "a", "1");
        put(*store, "b", "2");
        put(*store, "c", std::string(1000, 'x'));
    }
    fs::path log = newest_log();
    ASSERT_FALSE(log.empty());
    fs::resize_file(log, fs::file_size(log) - 500);
    auto store = open();
    EXPECT_EQ(get(*store, "a"), "1");
    EXPECT_EQ(get(*store, "b"), "2");
    EXPECT_EQ(get(*store, "c"), "none");
}

TEST_F(StoreTest, DamageInTheMiddleOfTheLogIsAnErrorNotAnOlderState) {
    {
        auto store = open();
        put(*store, "a", std::string(1000, 'x'));
        put(*store, "b", "2");
        put(*store, "c", "3");
    }
    fs::path log = newest_log();
    {
        std::fstream file(log, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(300);
        file.put('!');
    }
    auto store = Store::open(folder_ / "data");
    ASSERT_FALSE(store.has_value());
    EXPECT_EQ(store.error().code, Errc::io);
    EXPECT_NE(store.error().what.find("damaged"), std::string::npos) << store.error().what;
}

TEST_F(StoreTest, FolderThatCannotBeMade) {
    std::ofstream(folder_ / "file") << "x";
    auto store = Store::open(folder_ / "file" / "data");
    ASSERT_FALSE(store.has_value());
    EXPECT_NE(store.error().what.find("data directory"), std::string::npos);
}

// A file that may not grow is the nearest thing to a full or broken disk that needs no privileges.
TEST_F(StoreTest, FailedWriteIsAnErrorAndSoIsEveryLaterOne) {
    auto attempt = [this] {
        auto store = Store::open(folder_ / "data");
        if (!store) return 2;
        ::signal(SIGXFSZ, SIG_IGN);
        struct rlimit limit {};
        limit.rlim_cur = limit.rlim_max = 64 * 1024;
        ::setrlimit(RLIMIT_FSIZE, &limit);
        Batch big;
        big.put(as_bytes("k"), Bytes(200'000, 7));
        auto first = (*store)->write(big, true);
        if (first || first.error().code != Errc::io) return 3;
        Batch small;
        small.put(as_bytes("s"), as_bytes("v"));
        return (*store)->write(small, true) ? 4 : 0;
    };
    EXPECT_EXIT(::_exit(attempt()), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace bft::storage

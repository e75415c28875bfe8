#include "cpu_account.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace bft::tpcc {
namespace {

class PidsFile {
public:
    explicit PidsFile(const std::string& text) {
        char name[] = "/tmp/tpcc-pids.XXXXXX";
        close(mkstemp(name));
        path = name;
        write(text);
    }
    ~PidsFile() { std::filesystem::remove(path); }
    void write(const std::string& text) const { std::ofstream(path) << text; }
    std::string path;
};

void burn(std::chrono::milliseconds time) {
    auto used = [] { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; };
    for (double end = used() + std::chrono::duration<double>(time).count(); used() < end;) {
    }
}

TEST(CpuTicks, ReadsPastTheProgramsName) {
    EXPECT_EQ(*cpu_ticks("7 (a) b) S 1 2 3 4 5 6 7 8 9 10 40 2 13 14"), 42u);
    EXPECT_FALSE(cpu_ticks("7 (x) S 1"));
    EXPECT_FALSE(cpu_ticks("nonsense"));
}

TEST(CpuAccount, CountsFromTheBeginning) {
    PidsFile file("# processes\n" + std::to_string(getpid()) + " daemon host1\n\n");
    burn(std::chrono::milliseconds(50));
    CpuAccount account(file.path);
    ASSERT_TRUE(account.begin());
    burn(std::chrono::milliseconds(100));
    ASSERT_TRUE(account.sample());
    auto used = account.by_role().at("daemon");
    EXPECT_GE(used.count(), 70000);
    ASSERT_TRUE(account.begin());
    EXPECT_LT(account.by_role().at("daemon"), used);
}

TEST(CpuAccount, AProcessNamedLaterCountsFromItsStart) {
    PidsFile file("");
    CpuAccount account(file.path);
    ASSERT_TRUE(account.begin());
    burn(std::chrono::milliseconds(50));
    file.write(std::to_string(getpid()) + " database\n");
    ASSERT_TRUE(account.sample());
    EXPECT_GE(account.by_role().at("database").count(), 30000);
}

TEST(CpuAccount, RefusesABadFile) {
    EXPECT_FALSE(CpuAccount("/nonexistent/pids").begin());
    PidsFile unknown_role("1 cook\n");
    EXPECT_FALSE(CpuAccount(unknown_role.path).begin());
    PidsFile no_pid("daemon 1\n");
    EXPECT_FALSE(CpuAccount(no_pid.path).begin());
}

TEST(CpuAccount, IsOffWithoutAFile) {
    CpuAccount account("");
    EXPECT_FALSE(account.enabled());
    EXPECT_TRUE(account.begin());
    EXPECT_TRUE(account.by_role().empty());
}

}  // namespace
}  // namespace bft::tpcc

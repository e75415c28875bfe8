#include "node/staging.hpp"

#include "fixtures.hpp"

#include <gtest/gtest.h>

namespace bft::node {
namespace {

namespace fs = std::filesystem;

std::size_t entries(const fs::path& folder) {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(Staging, NothingAppearsBeforeCommit) {
    const TempFolder temp;
    const fs::path target = temp.path() / "cluster";
    {
        auto staging = Staging::open(target);
        ASSERT_TRUE(staging);
        ASSERT_TRUE(staging->write("hosts/a/x", "1"));
        EXPECT_FALSE(fs::exists(target / "hosts"));
    }
    EXPECT_FALSE(fs::exists(target)) << "what was made for a failed attempt is taken away";
}

TEST(Staging, ACopyOfASecretIsItsOwnersAlone) {
    const TempFolder temp;
    temp.write("password", "s3cret\n");
    temp.write("nothing", "");
    fs::permissions(temp.path() / "password", fs::perms(0644));
    auto staging = Staging::open(temp.path() / "cluster");
    ASSERT_TRUE(staging);
    for (const char* none : {"missing", "nothing", "."}) {
        const auto refused = staging->copy_secret(temp.path() / none, "hosts/a/password");
        ASSERT_FALSE(refused) << none;
        EXPECT_EQ(refused.error().code, Errc::not_found) << none;
        EXPECT_NE(refused.error().what.find(none), std::string::npos) << refused.error().what;
    }
    ASSERT_TRUE(staging->copy_secret(temp.path() / "password", "hosts/a/password"));
    ASSERT_TRUE(staging->commit("before"));
    const fs::path copy = temp.path() / "cluster/hosts/a/password";
    EXPECT_EQ(read_file(copy), "s3cret\n");
    EXPECT_EQ(fs::status(copy).permissions(), fs::perms(0600));
}

TEST(Staging, CommitJoinsWhatIsThere) {
    const TempFolder temp;
    temp.write("hosts/a/tpm/state", "tpm");
    auto staging = Staging::open(temp.path());
    ASSERT_TRUE(staging);
    ASSERT_TRUE(staging->write("hosts/a/x", "1"));
    EXPECT_TRUE(staging->conflicts().empty());
    ASSERT_TRUE(staging->commit("before"));
    EXPECT_EQ(read_file(temp.path() / "hosts/a/x"), "1");
    EXPECT_EQ(read_file(temp.path() / "hosts/a/tpm/state"), "tpm");
}

TEST(Staging, OldFilesAreSetAsideNotLost) {
    const TempFolder temp;
    temp.write("hosts/a/x", "old");
    {
        auto staging = Staging::open(temp.path());
        ASSERT_TRUE(staging);
        ASSERT_TRUE(staging->write("hosts/a/x", "new"));
        EXPECT_EQ(staging->conflicts(), std::vector<fs::path>{temp.path() / "hosts/a/x"});
        ASSERT_TRUE(staging->commit("before"));
    }
    EXPECT_EQ(read_file(temp.path() / "hosts/a/x"), "new");
    EXPECT_EQ(read_file(temp.path() / "before/hosts/a/x"), "old");
    EXPECT_EQ(entries(temp.path()), 2U) << "no staging folder is left";
}

TEST(Staging, CopiesAFolder) {
    const TempFolder temp;
    temp.write("app/schema.sql", "S");
    temp.write("app/catalog.toml", "C");
    auto staging = Staging::open(temp.path() / "out");
    ASSERT_TRUE(staging);
    ASSERT_TRUE(staging->copy_folder(temp.path() / "app", "hosts/a/app"));
    ASSERT_TRUE(staging->commit("before"));
    EXPECT_EQ(read_file(temp.path() / "out/hosts/a/app/schema.sql"), "S");
    EXPECT_FALSE(staging->copy_folder(temp.path() / "missing", "x"));
}

}  // namespace
}  // namespace bft::node

#include "database/setup.hpp"

#include "base/sha256.hpp"
#include "database/state_digest.hpp"
#include "rig.hpp"
#include "server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bft::database::testing {
namespace {

using ::testing::HasSubstr;

class Setup : public ::testing::Test {
protected:
    static void SetUpTestSuite() { server = std::make_unique<PrivateServer>(); }
    static void TearDownTestSuite() { server.reset(); }
    void SetUp() override { connect = server->fresh_database("bank"); }

    static std::unique_ptr<PrivateServer> server;
    ConnectOptions connect;
};
std::unique_ptr<PrivateServer> Setup::server;

TEST_F(Setup, ASecondVoterIsRefused) {
    Rig first(connect);
    ASSERT_TRUE(first.open());
    Rig second(connect);
    auto opened = second.open();
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Errc::refused);
    EXPECT_THAT(opened.error().what, HasSubstr("in use by another voter process"));
}

TEST_F(Setup, DatabasesOfOthersAreRefused) {
    ASSERT_TRUE(Rig(connect, 1, 2, sha256(as_bytes("ours"))).open());
    auto other_cluster = Rig(connect, 1, 2, sha256(as_bytes("theirs"))).open();
    ASSERT_FALSE(other_cluster);
    EXPECT_THAT(other_cluster.error().what, HasSubstr("belongs to another cluster"));
    auto other_voter = Rig(connect, 1, 0, sha256(as_bytes("ours"))).open();
    ASSERT_FALSE(other_voter);
    EXPECT_THAT(other_voter.error().what,
                HasSubstr("belongs to voter 2 of this cluster, not to voter 0"));
    EXPECT_TRUE(Rig(connect, 1, 2, sha256(as_bytes("ours"))).open());
}

TEST_F(Setup, ConnectionsThatFailSayWhatToDo) {
    auto fails = [](const ConnectOptions& options) {
        auto session = Session::connect(options);
        return session ? std::string("connected") : session.error().what;
    };
    auto nobody = connect;
    nobody.socket = "/nonexistent/mysqld.sock";
    EXPECT_THAT(fails(nobody), HasSubstr("nobody answers"));
    EXPECT_EQ(Session::connect(nobody).error().code, Errc::unavailable);
    auto stranger = connect;
    stranger.user = "stranger";
    EXPECT_THAT(fails(stranger), HasSubstr("access denied for user 'stranger'"));
    auto nowhere = connect;
    nowhere.database = "nowhere";
    EXPECT_THAT(fails(nowhere), HasSubstr("there is no database 'nowhere'"));
    auto mysql = connect;
    mysql.server = Server::mysql_8;
    EXPECT_THAT(fails(mysql), HasSubstr("MySQL 8 is configured"));
}

TEST_F(Setup, DatabasesWithAnotherCollationAreRefused) {
    auto session = Session::connect(connect).value();
    session.run("ALTER DATABASE bank CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci").value();
    auto opened = Rig(connect).open();
    ASSERT_FALSE(opened);
    EXPECT_THAT(opened.error().what, HasSubstr("COLLATE utf8mb4_bin"));
}

TEST_F(Setup, InstallsOnceAndAfterAnInterruption) {
    auto session = Session::connect(connect).value();
    create_bookkeeping(session).value();
    auto missing = check_installed(session, bank());
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, Errc::not_found);
    // As if the process had died after its first table.
    session.run("INSERT INTO cbft_meta VALUES ('installing', 'x');" + bank().schema()[0].text)
        .value();
    ASSERT_TRUE(install(session, bank()));
    session.run("INSERT INTO account VALUES (1, 1, 1, NULL)").value();
    ASSERT_TRUE(install(session, bank()));
    EXPECT_EQ(session.value("SELECT COUNT(*) FROM account").value(), "1");
    session.run("UPDATE cbft_meta SET v='other' WHERE k='application'").value();
    EXPECT_EQ(install(session, bank()).error().code, Errc::refused);
}

TEST_F(Setup, DigestsSeeEveryDifference) {
    auto session = Session::connect(connect).value();
    session
        .run(
            "CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(9), c VARCHAR(9));"
            "INSERT INTO t VALUES (1,'x',''),(2,NULL,'y')")
        .value();
    auto digest = state_digest(session).value();
    EXPECT_EQ(digest.tables.at("t").rows, 2u);
    for (const char* change : {"b='',c='x' WHERE a=1", "b='' WHERE a=2", "a=3 WHERE a=2"}) {
        auto other = Session::connect(connect).value();
        other.run(std::string("UPDATE t SET ") + change).value();
        EXPECT_NE(state_digest(session).value().root(), digest.root()) << change;
        other.run("REPLACE INTO t VALUES (1,'x',''),(2,NULL,'y'); DELETE FROM t WHERE a=3").value();
        EXPECT_EQ(state_digest(session).value(), digest);
    }
}

}  // namespace
}  // namespace bft::database::testing

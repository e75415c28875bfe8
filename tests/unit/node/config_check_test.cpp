// bftnode --check-config, on a host's folder that is right and then broken in one way at a time.
#include "catalog/application.hpp"
#include "crypto/signing_key.hpp"
#include "fixtures.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bft::node {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class CheckConfig : public testing::Test {
protected:
    void SetUp() override {
        temp.write("app/catalog.toml", read_file(BFT_SOURCE_DIR "/config/apps/tpcc/catalog.toml"));
        temp.write("app/schema.sql", read_file(BFT_SOURCE_DIR "/config/apps/tpcc/schema.sql"));
        temp.write("app/procedures.sql",
                   read_file(BFT_SOURCE_DIR "/config/apps/tpcc/procedures.sql"));
        const auto application = catalog::Application::load(temp.path() / "app");
        ASSERT_TRUE(application) << application.error().what;
        const auto key = crypto::SigningKey::generate();
        ASSERT_TRUE(key.save(temp.path() / "identity.key"));
        cluster.file = temp.path() / "cluster.toml";
        cluster.application.digest = application->digest();
        cluster.application.folder = temp.path() / "app";
        cluster.hosts[1].key = key.public_key();
        write_cluster();
        write_node("");
        for (const char* file : {"usig.tokens", "usig.secrets"}) {
            temp.write(file, "");
            fs::permissions(temp.path() / file, fs::perms(0600));
        }
        temp.write("usig.secrets", "");
        fs::permissions(temp.path() / "usig.secrets", fs::perms(0600));
    }

    void write_cluster() const { temp.write("cluster.toml", render(cluster)); }
    void write_node(const std::string& more, const std::string& name = "host1") const {
        temp.write("node.toml", "[host]\nname = \"" + name + "\"\n" + more +
                                    "[usig]\ntcti = \"device:/dev/tpmrm0\"\n"
                                    "[database]\nsocket = \"/s\"\nuser = \"u\"\nname = \"n\"\n");
    }
    [[nodiscard]] std::string check() const {
        std::string all;
        for (const Diagnostic& wrong : check_config(temp.path() / "node.toml"))
            all += to_string(wrong) + "\n";
        return all;
    }

    TempFolder temp;
    ClusterFile cluster = small_cluster();
};

TEST_F(CheckConfig, NothingIsWrong) {
    EXPECT_EQ(check(), "");
}

TEST_F(CheckConfig, KeyOfAnotherHost) {
    std::swap(cluster.hosts[1].key, cluster.hosts[2].key);
    write_cluster();
    EXPECT_THAT(check(), HasSubstr("it belongs to host 'host2'"));
}

TEST_F(CheckConfig, KeyOpenToOthers) {
    fs::permissions(temp.path() / "identity.key", fs::perms(0644));
    EXPECT_THAT(check(), HasSubstr("chmod 600"));
}

TEST_F(CheckConfig, KeyMissingAndTokensMissing) {
    fs::remove(temp.path() / "identity.key");
    fs::remove(temp.path() / "usig.tokens");
    fs::remove(temp.path() / "usig.secrets");
    EXPECT_THAT(check(), HasSubstr("identity.key: No such file"));
    EXPECT_THAT(check(), HasSubstr("usig.tokens: No such file"));
    EXPECT_THAT(check(), HasSubstr("usig.secrets: No such file"));
}

TEST_F(CheckConfig, UnknownHost) {
    write_node("", "hots1");
    EXPECT_THAT(check(), HasSubstr("node.toml:2:8: "));
    EXPECT_THAT(check(), HasSubstr("has no host 'hots1'; did you mean 'host1'?"));
}

TEST_F(CheckConfig, RoleThatTheClusterDoesNotGive) {
    write_node("roles = [\"primary\"]\n");
    EXPECT_THAT(check(), HasSubstr("gives host 'host1' no role 'primary'"));
}

TEST_F(CheckConfig, OtherApplication) {
    temp.write("app/schema.sql",
               read_file(BFT_SOURCE_DIR "/config/apps/tpcc/schema.sql") + "\n-- changed\n");
    EXPECT_THAT(check(), HasSubstr("is not the one that the cluster was made with"));
}

TEST_F(CheckConfig, ErrorsOfBothFilesComeTogether) {
    temp.write("cluster.toml", "name = 5\n");
    write_node("roles = [\"voter\"]\n");
    fs::permissions(temp.path() / "identity.key", fs::perms(0644));
    const std::string all = check();
    EXPECT_THAT(all, HasSubstr("cluster.toml:1:8: 'name' must be a text"));
    EXPECT_THAT(all, HasSubstr("chmod 600"));
}

TEST_F(CheckConfig, VoterWithoutDatabase) {
    temp.write("node.toml", "[host]\nname = \"host1\"\n[usig]\ntcti = \"swtpm:path=/t\"\n");
    EXPECT_THAT(check(), HasSubstr("[database] is missing"));
}

TEST_F(CheckConfig, NoTpmNamed) {
    temp.write(
        "node.toml",
        "[host]\nname = \"host1\"\n[database]\nsocket = \"/s\"\nuser = \"u\"\nname = \"n\"\n");
    EXPECT_THAT(check(), HasSubstr("[usig] tcti is missing"));
}

}  // namespace
}  // namespace bft::node

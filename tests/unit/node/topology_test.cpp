#include "node/topology.hpp"

#include "crypto/web_key.hpp"
#include "fixtures.hpp"
#include "node/render.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bft::node {
namespace {

using testing::HasSubstr;

std::string sample() {
    return read_file(BFT_SOURCE_DIR "/config/topology.toml");
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
    const std::size_t at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return text.replace(at, what.size(), with);
}

TEST(Topology, TheSampleIsRight) {
    const auto loaded = parse_topology(sample(), BFT_SOURCE_DIR "/config/topology.toml");
    ASSERT_TRUE(loaded.value) << listing(loaded.errors);
    const Topology& t = *loaded.value;
    EXPECT_EQ(t.hosts.size(), 5U);
    EXPECT_EQ(t.hosts_with(Role::primary), (std::vector<std::string>{"primary1", "primary2"}));
    EXPECT_EQ(t.f_database, 1U);
    EXPECT_EQ(t.groups[1].hosts, (std::vector<std::string>{"host1", "host2", "host3"}));
    EXPECT_EQ(t.hosts[2].database->workers, 2U);
    EXPECT_EQ(t.hosts[2].provision_tcti, "mssim:host=10.0.0.11,port=2321");
    EXPECT_EQ(t.application, BFT_SOURCE_DIR "/config/apps/tpcc");
}

TEST(Topology, SaysWhatIsWrong) {
    const std::vector<std::pair<std::string, std::string>> changes_and_messages[] = {
        {{"f = 1", "f = 2"}, {"", "needs replicas on 2f+1 = 5 hosts; this one has 3"}},
        {{"name = \"host2\"", "name = \"host 2\""}, {"", "letters, digits"}},
        {{"[0, 1, 3, 5]", "[1, 3, 5]"}, {"", "no group owns partition 0"}},
        {{"[2, 4]", "[2, 3]"}, {"", "partition '3' is given twice"}},
        {{"roles = [\"primary\"]", "roles = [\"voter\"]"},
         {"", "1 hosts have the role 'primary'; with f = 1 there must be at least f+1 = 2"}},
        {{"clients = [\"bench\", \"admin\"]", "clients = []"}, {"", "at least one client"}},
        {{"tcti = \"device:/dev/tpmrm0\"", "tcti = \"tpm\""}, {"", "names no TPM"}},
        {{"10.0.0.13:7000", "10.0.0.12:7000"}, {"", "given twice"}},
    };
    for (const auto& test : changes_and_messages) {
        const auto loaded =
            parse_topology(replaced(sample(), test[0].first, test[0].second), "/t.toml");
        EXPECT_FALSE(loaded.value) << test[1].second;
        EXPECT_THAT(listing(loaded.errors), HasSubstr(test[1].second));
    }
}

TEST(Topology, MostAdminsMustSignUnlessItSaysOtherwise) {
    const auto with = [](const std::string& lines) {
        return parse_topology(replaced(sample(), "# admins = [\"admin\"]", lines), "/t.toml");
    };
    EXPECT_EQ(with("").value->admins, (std::vector<std::string>{"admin"}));
    EXPECT_EQ(with("").value->admin_quorum, 1U);
    const auto three = with("admins = [\"ann\", \"ben\", \"cy\"]");
    ASSERT_TRUE(three.value) << listing(three.errors);
    EXPECT_EQ(three.value->admin_quorum, 2U);
    EXPECT_EQ(with("admins = []").value->admin_quorum, 0U);
    EXPECT_THAT(listing(with("admins = [\"a\"]\nadmin_quorum = 2").errors),
                HasSubstr("admin_quorum"));
    EXPECT_THAT(listing(with("admins = [\"a\", \"a\"]").errors), HasSubstr("given twice"));
}

TEST(Topology, WithoutVotersItOrdersOnly) {
    std::string text = sample();
    for (int i = 0; i < 3; ++i) text = replaced(text, "\"replica\", \"voter\"", "\"replica\"");
    const auto loaded = parse_topology(text, "/t.toml");
    ASSERT_TRUE(loaded.value) << listing(loaded.errors);
    EXPECT_EQ(loaded.value->f_database, 0U);
    const auto wanted = parse_topology("f_database = 1\n" + text, "/t.toml");
    EXPECT_THAT(listing(wanted.errors), HasSubstr("0 hosts have the role 'voter'"));
}

TEST(Topology, OneTpmBelongsToOneHost) {
    std::string text = sample();
    for (int i = 0; i < 5; ++i) text = replaced(text, "provision_tcti", "# provision-tcti");
    const auto loaded = parse_topology(text, "/t.toml");
    EXPECT_THAT(listing(loaded.errors), HasSubstr("TPM 'device:/dev/tpmrm0' is given twice"));
}

TEST(Topology, HostsGetTheNodeTomlTheyAskedFor) {
    TopologyHost host;
    host.name = "host1";
    host.tcti = "swtpm:path=/a \"b\"";
    host.tpm_delay = 7ms;
    host.metrics = "127.0.0.1:9";
    host.database.emplace();
    host.database->socket = "/run/s.sock";
    host.database->user = "u";
    host.database->name = "n";
    host.database->workers = 3;
    const auto loaded = parse_node_config(render_node_toml(host), "/h/node.toml");
    ASSERT_TRUE(loaded.value) << listing(loaded.errors);
    EXPECT_EQ(loaded.value->host, "host1");
    EXPECT_EQ(loaded.value->usig.tcti, host.tcti);
    EXPECT_EQ(loaded.value->usig.tpm_delay, 7ms);
    EXPECT_EQ(loaded.value->metrics, "127.0.0.1:9");
    EXPECT_EQ(loaded.value->database->socket, "/run/s.sock");
    EXPECT_EQ(loaded.value->database->workers, 3U);
}

TEST(Topology, ClientsAndFrontsForBrowsers) {
    std::string text = replaced(sample(), "# origins = ", "origins = ");
    std::string point = "04" + hex(crypto::WebKey::generate().public_key()).substr(2);
    text +=
        "\n[[client]]\nname = \"web\"\nkind = \"p256\"\n[[client]]\nname = \"alice\"\nkey = \"" +
        point + "\"\n";
    const auto loaded = parse_topology(text, "/t.toml");
    ASSERT_TRUE(loaded.value) << listing(loaded.errors);
    const Topology& t = *loaded.value;
    ASSERT_EQ(t.clients.size(), 4U);
    EXPECT_FALSE(t.clients[0].p256);
    EXPECT_TRUE(t.clients[2].p256);
    EXPECT_EQ(hex(t.clients[3].key), point);
    EXPECT_EQ(t.hosts[2].http, "https://10.0.0.11:8443");

    const auto node = parse_node_config(render_node_toml(t.hosts[2], t.origins), "/h/node.toml");
    ASSERT_TRUE(node.value) << listing(node.errors);
    EXPECT_EQ(node.value->http->listen, "10.0.0.11:8443");
    EXPECT_EQ(node.value->http->certificate, "/h/http.crt");
    EXPECT_EQ(node.value->http->server.origins, t.origins);
    EXPECT_FALSE(parse_node_config(render_node_toml(t.hosts[3]), "/h/node.toml").value->http);
}

TEST(Topology, PlainHttpStaysOnThisMachine) {
    for (const char* listen : {"127.0.0.1:80", "[::1]:80", "localhost:80"})
        EXPECT_TRUE(parse_node_config(
                        "[host]\nname = \"h\"\n[http]\nlisten = \"" + std::string(listen) + "\"\n",
                        "/n.toml")
                        .value)
            << listen;
    const auto open =
        parse_node_config("[host]\nname = \"h\"\n[http]\nlisten = \"0.0.0.0:80\"\n", "/n.toml");
    EXPECT_THAT(listing(open.errors), HasSubstr("HTTP is plain"));
    for (const char* url : {"https://", "ftp://h:1", "http://h", "http://h:1/path", "h:1"})
        EXPECT_FALSE(parse_http_url(url)) << url;
}

TEST(Topology, ClientsGetAWorkingClientToml) {
    const ClusterFile cluster = small_cluster();
    const auto config = client::parse_config(client::to_toml(client_config(cluster, ClientId(1))),
                                             "/clients/bench", "client.toml");
    ASSERT_TRUE(config) << config.error().what;
    EXPECT_EQ(config->cluster, cluster.digest());
    EXPECT_EQ(config->id, ClientId(1));
    EXPECT_EQ(config->hosts.size(), 4U);
    EXPECT_EQ(config->primaries, std::vector<HostId>{HostId(0)});
    EXPECT_EQ(config->owners.at(PartitionId(3)), GroupId(1));
    EXPECT_EQ(config->groups.at(GroupId(2)).size(), 3U);
}

}  // namespace
}  // namespace bft::node

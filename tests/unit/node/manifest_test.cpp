#include "node/manifest.hpp"

#include "crypto/web_key.hpp"
#include "fixtures.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bft::node {
namespace {

using testing::HasSubstr;

catalog::Application application() {
    auto loaded = catalog::Application::load(BFT_SOURCE_DIR "/config/apps/payment");
    EXPECT_TRUE(loaded) << loaded.error().what;
    return *loaded;
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
    const std::size_t at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return text.replace(at, what.size(), with);
}

TEST(Manifest, SaysWhatTheDigestNeeds) {
    ClusterFile cluster = small_cluster();
    const Digest before = cluster.digest();
    cluster.hosts[1].http = "https://h1:8443";
    EXPECT_EQ(cluster.digest(), before) << "an address is not part of the identity";
    cluster.hosts[1].web_key = crypto::WebKey::generate().public_key();
    cluster.clients.push_back({ClientId(77), "web", crypto::WebKey::generate().public_key()});
    // Not their defaults: the document must say them.
    cluster.checkpoint_slots = 64;
    cluster.scan_slots = 128;
    cluster.admins = {{"ann", Bytes(32, 1)}, {"ben", Bytes(32, 2)}};
    cluster.admin_quorum = 2;
    EXPECT_NE(cluster.digest(), before);
    const auto again = parse_manifest(manifest_json(cluster, application()));
    ASSERT_TRUE(again) << again.error().what;
    EXPECT_EQ(again->digest(), cluster.digest());
    EXPECT_EQ(again->membership().clients, cluster.membership().clients);
    EXPECT_EQ(manifest_json(cluster, application()), manifest_json(cluster, application()));
}

TEST(Manifest, ClusterFileKeepsTheSame) {
    ClusterFile cluster = small_cluster();
    cluster.hosts[1].http = "https://h1:8443";
    cluster.hosts[1].web_key = crypto::WebKey::generate().public_key();
    cluster.clients.push_back({ClientId(77), "web", crypto::WebKey::generate().public_key()});
    const auto again = parse_cluster_file(render(cluster), cluster.file);
    ASSERT_TRUE(again.value) << listing(again.errors);
    EXPECT_EQ(again.value->digest(), cluster.digest());
    EXPECT_EQ(again.value->hosts[1].http, cluster.hosts[1].http);
}

TEST(Manifest, ChangedOrDamagedOnesAreRefused) {
    const std::string good = manifest_json(small_cluster(), application());
    for (const auto& [what, with] : std::vector<std::pair<std::string, std::string>>{
             {"\"name\":\"small\"", "\"name\":\"other\""},
             {"\"f_database\":1", "\"f_database\":2"},
             {"\"host\":\"host1\"", "\"host\":\"host2\""},
         })
        EXPECT_THAT(parse_manifest(replaced(good, what, with)).error().what, HasSubstr("digest"));
    for (const std::string& bad :
         {std::string(), std::string("{}"), std::string("[1]"), good.substr(0, good.size() / 2),
          replaced(good, "\"f\":1", "\"f\":\"1\""), replaced(good, "\"f\":1", "\"f\":2"),
          replaced(good, "\"hosts\":[", "\"hosts\":[1,"),
          replaced(good, "\"voters\":[", "\"voters\":[\"x\",")})
        EXPECT_FALSE(parse_manifest(bad)) << bad.substr(0, 80);
}

}  // namespace
}  // namespace bft::node

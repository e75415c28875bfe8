#include "node/cluster_file.hpp"

#include "fixtures.hpp"
#include "node/join_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace bft::node {
namespace {

using testing::HasSubstr;

Loaded<ClusterFile> parse(const ClusterFile& cluster) {
    return parse_cluster_file(render(cluster), cluster.file);
}

TEST(ClusterFile, IsReadAsItWasWritten) {
    const ClusterFile cluster = small_cluster();
    const auto loaded = parse(cluster);
    ASSERT_TRUE(loaded.value) << listing(loaded.errors);
    EXPECT_EQ(loaded.value->digest(), cluster.digest());
    EXPECT_EQ(render(*loaded.value), render(cluster));
    EXPECT_EQ(loaded.value->application.folder, "/cluster/app");
}

TEST(ClusterFile, ASnapshotToBeginWithMakesAnotherClusterOfIt) {
    ClusterFile cluster = small_cluster();
    const Digest without = cluster.digest();
    ClusterGenesis genesis;
    genesis.root.bytes.fill(1);
    genesis.snapshot.bytes.fill(2);
    genesis.cluster.bytes.fill(3);
    genesis.slot = Slot(64);
    cluster.genesis = genesis;
    EXPECT_NE(cluster.digest(), without);
    const auto loaded = parse(cluster);
    ASSERT_TRUE(loaded.value) << listing(loaded.errors);
    ASSERT_TRUE(loaded.value->genesis);
    EXPECT_EQ(loaded.value->genesis->root, genesis.root);
    EXPECT_EQ(loaded.value->genesis->slot, genesis.slot);
    EXPECT_EQ(loaded.value->digest(), cluster.digest());
    EXPECT_EQ(render(*loaded.value), render(cluster));
    for (Digest* field :
         {&cluster.genesis->root, &cluster.genesis->snapshot, &cluster.genesis->cluster}) {
        const Digest before = cluster.digest();
        field->bytes[7] ^= 1;
        EXPECT_NE(cluster.digest(), before);
    }
    std::string text = render(cluster);
    text.replace(text.find("slot = 64"), 9, "slot = 0 ");
    EXPECT_FALSE(parse_cluster_file(text, "/cluster/cluster.toml").value);
}

TEST(ClusterFile, CountersToSpareAreForGroupsThatCome) {
    ClusterFile cluster = small_cluster();
    const Digest without = cluster.digest();
    const usig::PublicIdentity spare = software_identity(77);
    cluster.hosts[1].spare_counters = {spare, software_identity(78)};
    EXPECT_NE(cluster.digest(), without);
    const auto loaded = parse(cluster);
    ASSERT_TRUE(loaded.value) << listing(loaded.errors);
    EXPECT_EQ(loaded.value->hosts[1].spare_counters, cluster.hosts[1].spare_counters);
    EXPECT_EQ(loaded.value->digest(), cluster.digest());
    const auto spares = loaded.value->membership().spares;
    ASSERT_EQ(spares.size(), 2u);
    const std::string encoded = usig::encode(spare);
    EXPECT_EQ(spares.at(late_id(spare)),
              (consensus::SpareCounter{HostId(1), Bytes(encoded.begin(), encoded.end())}));
    EXPECT_TRUE(loaded.value->roles_of(cluster.hosts[1].name).contains(Role::replica));
    cluster.hosts[0].spare_counters = {spare};
    EXPECT_THAT(listing(parse(cluster).errors), HasSubstr("given twice"));
}

TEST(ClusterFile, CheckpointsHaveDefaultsAndAreChecked) {
    std::string text = render(small_cluster());
    auto without = text;
    for (const char* key : {"checkpoint_slots = 32\n", "scan_slots = 4096\n"}) {
        ASSERT_NE(without.find(key), std::string::npos);
        without.erase(without.find(key), std::string_view(key).size());
    }
    const auto loaded = parse_cluster_file(without, "/cluster/cluster.toml");
    ASSERT_TRUE(loaded.value) << listing(loaded.errors);
    EXPECT_EQ(loaded.value->membership().checkpoint_slots, 32u);
    EXPECT_EQ(loaded.value->membership().scan_slots, 4096u);
    text.replace(text.find("scan_slots = 4096"), 17, "scan_slots = 100");
    const auto wrong = parse_cluster_file(text, "/cluster/cluster.toml");
    EXPECT_FALSE(wrong.value);
    EXPECT_THAT(listing(wrong.errors), HasSubstr("multiple of checkpoint_slots"));
}

TEST(ClusterFile, GivesTheMembership) {
    const ClusterFile cluster = small_cluster();
    const consensus::Membership m = cluster.membership();
    EXPECT_EQ(m.cluster, cluster.digest());
    ASSERT_EQ(m.primaries.size(), 1U);
    EXPECT_EQ(m.primaries[0].host, HostId(0));
    EXPECT_EQ(m.primaries[0].usig, UsigId(0));
    ASSERT_EQ(m.groups.size(), 2U);
    EXPECT_EQ(m.groups[1].members[2].host, HostId(3));
    EXPECT_EQ(m.groups[1].members[2].usig, UsigId(6));
    EXPECT_EQ(m.owner(PartitionId(2)), GroupId(2));
    EXPECT_EQ(m.owner(PartitionId(0)), GroupId(1));
    EXPECT_EQ(m.voters.size(), 3U);
    const auto identities = cluster.usig_identities();
    ASSERT_EQ(identities.size(), 7U);
    EXPECT_EQ(identities[6], cluster.groups[1].members[2].usig);
    EXPECT_EQ(cluster.roles_of("primary1"), (std::set<Role>{Role::usig, Role::primary}));
    EXPECT_EQ(cluster.roles_of("host2"), (std::set<Role>{Role::usig, Role::replica, Role::voter}));
}

TEST(ClusterFile, AdminsAreThereOrNot) {
    ClusterFile cluster = small_cluster();
    const Digest without = cluster.digest();
    EXPECT_EQ(cluster.membership().admins.quorum, 0U);
    cluster.admins = {{"ann", Bytes(32, 1)}, {"ben", Bytes(32, 2)}, {"cy", Bytes(32, 3)}};
    cluster.admin_quorum = 2;
    EXPECT_NE(cluster.digest(), without);
    const auto loaded = parse(cluster);
    ASSERT_TRUE(loaded.value) << listing(loaded.errors);
    EXPECT_EQ(loaded.value->digest(), cluster.digest());
    EXPECT_EQ(loaded.value->membership().admins.quorum, 2U);
    EXPECT_EQ(loaded.value->membership().admins.keys[2], Bytes(32, 3));
    for (const std::uint32_t quorum : {0U, 4U}) {
        cluster.admin_quorum = quorum;
        EXPECT_THAT(listing(parse(cluster).errors), HasSubstr("admin_quorum"));
    }
    cluster.admin_quorum = 2;
    cluster.admins[1].key = cluster.admins[0].key;
    EXPECT_THAT(listing(parse(cluster).errors), HasSubstr("is given twice"));
}

TEST(ClusterFile, AGroupMayOwnNothing) {
    ClusterFile cluster = small_cluster();
    for (PartitionId p : cluster.groups[1].partitions) cluster.groups[0].partitions.push_back(p);
    cluster.groups[1].partitions.clear();
    const auto loaded = parse(cluster);
    ASSERT_TRUE(loaded.value) << listing(loaded.errors);
    EXPECT_EQ(loaded.value->membership().groups.size(), 2U);
}

TEST(ClusterFile, DigestBindsEverythingButAddressesAndFolders) {
    const ClusterFile original = small_cluster();
    ClusterFile moved = original;
    moved.hosts[1].address = "10.1.1.1:7";
    moved.application.folder = "/elsewhere";
    EXPECT_EQ(moved.digest(), original.digest());

    const std::vector<std::function<void(ClusterFile&)>> changes = {
        [](ClusterFile& c) { c.name = "other"; },
        [](ClusterFile& c) { c.id[0] ^= 1; },
        [](ClusterFile& c) { c.f = 2; },
        [](ClusterFile& c) { c.f_database = 2; },
        [](ClusterFile& c) { c.checkpoint_slots = 64; },
        [](ClusterFile& c) { c.scan_slots = 0; },
        [](ClusterFile& c) { c.application.digest.bytes[0] ^= 1; },
        [](ClusterFile& c) { c.hosts[2].key[5] ^= 1; },
        [](ClusterFile& c) { std::swap(c.hosts[1], c.hosts[2]); },
        [](ClusterFile& c) { c.primaries[0].usig.first_value = 3; },
        [](ClusterFile& c) { std::swap(c.groups[0].members[0], c.groups[0].members[1]); },
        [](ClusterFile& c) { std::swap(c.groups[0].partitions, c.groups[1].partitions); },
        [](ClusterFile& c) { std::swap(c.voters[0], c.voters[1]); },
        [](ClusterFile& c) { c.clients[0].key[0] ^= 1; },
    };
    for (std::size_t i = 0; i < changes.size(); ++i) {
        ClusterFile changed = original;
        changes[i](changed);
        EXPECT_NE(changed.digest(), original.digest()) << "change " << i;
    }
}

TEST(ClusterFile, RefusesWhatCannotWork) {
    struct Case {
        std::function<void(ClusterFile&)> change;
        const char* message;
    };
    const std::vector<Case> cases = {
        {[](ClusterFile& c) { c.groups[0].members.pop_back(); },
         "group 1 has 2 members; with f = 1 it needs 2f+1 = 3"},
        {[](ClusterFile& c) { c.groups[0].members[1].host = "host1"; },
         "host 'host1' is a member of group 1 twice"},
        {[](ClusterFile& c) { c.groups[0].members[1].host = "hots2"; },
         "there is no [[host]] named 'hots2'; did you mean 'host2'?"},
        {[](ClusterFile& c) { c.groups[1].partitions.push_back(PartitionId(1)); },
         "partition '1' is given twice"},
        {[](ClusterFile& c) { c.groups[0].partitions.erase(c.groups[0].partitions.begin()); },
         "no group owns partition 0"},
        {[](ClusterFile& c) { c.groups[1].id = GroupId(1); }, "group id '1' is given twice"},
        {[](ClusterFile& c) { c.voters.pop_back(); }, "there are 2 voters"},
        {[](ClusterFile& c) { c.hosts[2].key = c.hosts[1].key; }, "each must be its own"},
        {[](ClusterFile& c) { c.clients[0].key = c.hosts[1].key; }, "each must be its own"},
        {[](ClusterFile& c) { c.hosts[2].name = "host1"; }, "host name 'host1' is given twice"},
        {[](ClusterFile& c) { c.hosts[2].address = c.hosts[1].address; },
         "address '127.0.0.1:7001'"},
        {[](ClusterFile& c) { c.groups[1].members[0].usig = c.groups[0].members[0].usig; },
         "USIG identity"},
        {[](ClusterFile& c) { c.primaries.clear(); }, "'primary' is missing"},
    };
    for (const Case& test : cases) {
        ClusterFile cluster = small_cluster();
        test.change(cluster);
        const auto loaded = parse(cluster);
        EXPECT_FALSE(loaded.value) << test.message;
        EXPECT_THAT(listing(loaded.errors), HasSubstr(test.message));
    }
}

TEST(ClusterFile, AClusterMayOrderOnly) {
    ClusterFile cluster = small_cluster();
    cluster.voters.clear();
    EXPECT_THAT(listing(parse(cluster).errors), HasSubstr("there are 0 voters"));
    cluster.f_database = 0;
    const auto loaded = parse(cluster);
    ASSERT_TRUE(loaded.value) << listing(loaded.errors);
    EXPECT_TRUE(loaded.value->membership().orders_only());
    EXPECT_NE(loaded.value->digest(), small_cluster().digest());

    ClusterFile both = small_cluster();
    both.f_database = 0;
    EXPECT_THAT(listing(parse(both).errors), HasSubstr("there are 3 voters"));
}

TEST(ClusterFile, RefusesDamagedIdentities) {
    std::string text = render(small_cluster());
    text.replace(text.find("software:"), 9, "tpm2-a4s:");
    const auto loaded = parse_cluster_file(text, "/c.toml");
    EXPECT_FALSE(loaded.value);
    EXPECT_THAT(listing(loaded.errors), HasSubstr("this is no USIG identity"));
}

}  // namespace
}  // namespace bft::node

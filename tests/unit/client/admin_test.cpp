#include "client/admin.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bft::client {
namespace {

using testing::HasSubstr;

class SignChange : public ::testing::Test {
protected:
    SignChange() {
        for (int i = 0; i < 3; ++i) keys.push_back(crypto::SigningKey::generate());
        config.cluster.bytes.fill(4);
        config.admins.quorum = 2;
        for (const auto& key : keys) config.admins.keys.push_back(key.public_key());
        change.version = ConfigVersion(6);
        change.moves = {{PartitionId(3), GroupId(2)}};
    }
    std::string why_not(std::vector<crypto::SigningKey> with) {
        auto made = sign_change(config.cluster, config.admins, change, with);
        return made ? "" : made.error().what;
    }
    /// A key can be moved only; a copy comes from where it is kept.
    std::vector<crypto::SigningKey> some(std::initializer_list<std::size_t> which) {
        std::vector<crypto::SigningKey> taken;
        for (std::size_t i : which) taken.push_back(std::move(keys[i]));
        return taken;
    }

    Config config;
    std::vector<crypto::SigningKey> keys;
    consensus::ConfigChange change;
};

TEST_F(SignChange, EnoughAdminsMakeARequest) {
    auto made = sign_change(config.cluster, config.admins, change, some({2, 0}));
    ASSERT_TRUE(made) << made.error().what;
    const consensus::Request& request = **made;
    EXPECT_EQ(request.id.client, consensus::config_client);
    EXPECT_EQ(request.parts, (std::vector<PartitionId>{PartitionId(0), PartitionId(3)}));
    auto read = consensus::decode_change(request.op);
    ASSERT_TRUE(read);
    ASSERT_EQ(read->signatures.size(), 2U);
    EXPECT_EQ(read->signatures[0].key, 0U);
    EXPECT_EQ(read->signatures[1].key, 2U);
    EXPECT_TRUE(crypto::verify(config.admins.keys[2],
                               consensus::change_digest(config.cluster, change),
                               read->signatures[1].signature));
    // As every replica will judge it.
    consensus::Membership membership = membership_of(config);
    membership.groups = {{GroupId(1), {{HostId(0), {}}, {HostId(1), {}}, {HostId(2), {}}}}};
    KeyChecker checker;
    consensus::Verifier verifier(membership, checker);
    auto from = consensus::Endpoint::of_client(ClientId(1));
    auto to = consensus::Endpoint::replica(GroupId(1), Position(0));
    EXPECT_TRUE(verifier.verify({from, to, *made}));
    membership.admins.quorum = 3;
    EXPECT_FALSE(verifier.verify({from, to, *made}));
}

class Mover : public SignChange {
protected:
    Mover() {
        as_admin = config.admins;
        as_admin.quorum = 1;
        config.admins.keys.pop_back();
        config.admins.movers.push_back(keys[2].public_key());
        membership = membership_of(config);
        membership.groups = {{GroupId(1), {{HostId(0), {}}, {HostId(1), {}}, {HostId(2), {}}}}};
    }
    /// As every replica will judge it.
    Result<void> judged(consensus::Body request) {
        KeyChecker checker;
        auto verified = consensus::Verifier(membership, checker)
                            .verify({consensus::Endpoint::of_client(ClientId(1)),
                                     consensus::Endpoint::replica(GroupId(1), Position(0)),
                                     std::move(request)});
        if (!verified) return verified.error();
        return {};
    }

    consensus::AdminKeys as_admin;  ///< those of a cluster in which the mover is an admin
    consensus::Membership membership;
};

TEST_F(Mover, MovesPartitionsByItself) {
    auto made = sign_change(config.cluster, config.admins, change, some({0, 2}));
    ASSERT_TRUE(made) << made.error().what;
    auto read = consensus::decode_change((*made)->op);
    ASSERT_TRUE(read);
    ASSERT_EQ(read->signatures.size(), 1U);
    EXPECT_EQ(read->signatures[0].key, 2U);
    EXPECT_TRUE(judged(*made));
    membership.admins.movers.clear();
    EXPECT_FALSE(judged(*made));
}

TEST_F(Mover, DoesNothingElse) {
    change.clients.push_back({ClientId(7), Bytes(32, 1)});
    EXPECT_THAT(why_not({}), HasSubstr("2 must sign"));
    auto made = sign_change(config.cluster, as_admin, change, some({2}));
    ASSERT_TRUE(made) << made.error().what;
    membership.admins.quorum = 1;
    auto refused = judged(*made);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().what,
                HasSubstr("may move partitions, add groups on spare counters"));
    // Were it an admin, that would do.
    membership.admins = as_admin;
    EXPECT_TRUE(judged(*made));
}

TEST_F(Mover, AddsGroupsOnTheCountersThatTheClusterFileSpares) {
    consensus::AddGroup added{GroupId(2), {}};
    for (std::uint32_t h = 0; h < 3; ++h) {
        const UsigId counter(100 + h);
        const Bytes identity(3, static_cast<std::uint8_t>(h));
        added.members.push_back({{HostId(h), counter}, identity});
        membership.spares[counter] = {HostId(h), identity};
    }
    change.moves.clear();
    change.groups_added = {added};
    const std::vector<crypto::SigningKey> mover = some({2});
    auto judge = [&] {
        auto made = sign_change(config.cluster, config.admins, change, mover);
        EXPECT_TRUE(made);
        return judged(*made);
    };
    EXPECT_TRUE(judge());
    change.groups_added[0].members[1].usig_key.push_back(1);
    EXPECT_FALSE(judge()) << "a counter of its own making";
    change.groups_added[0] = added;
    std::swap(change.groups_added[0].members[0].by.host, change.groups_added[0].members[1].by.host);
    EXPECT_FALSE(judge()) << "on another host than its own";
    change.groups_added.clear();
    change.groups_removed = {GroupId(1)};
    EXPECT_TRUE(judge()) << "whether it owns something, the order says";
}

TEST_F(Mover, IsToldSoBeforeItSigns) {
    change.clients.push_back({ClientId(7), Bytes(32, 1)});
    EXPECT_THAT(why_not(some({2, 0})), HasSubstr("and nothing else"));
}

TEST_F(SignChange, TooFewOrForeignKeysDoNot) {
    EXPECT_THAT(why_not({}), HasSubstr("2 must sign"));
    EXPECT_THAT(why_not(some({1})), HasSubstr("1 admin key(s) given"));
    std::vector<crypto::SigningKey> foreign = some({0, 2});
    foreign.push_back(crypto::SigningKey::generate());
    EXPECT_THAT(why_not(std::move(foreign)), HasSubstr("no admin key"));
    config.admins = {};
    EXPECT_THAT(why_not({}), HasSubstr("no admin keys"));
}

}  // namespace
}  // namespace bft::client

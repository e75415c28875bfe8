// Clients that come, change their key and go by the order; admin keys; feature levels (CF12).
#include "cluster_options.hpp"
#include "consensus/config_change.hpp"

#include <gtest/gtest.h>

namespace bft::consensus::test {
namespace {

const ClientId guest{9};
const Endpoint p0 = Endpoint::primary(PrimaryId(0));

Body signed_with(const Membership& m, const Bytes& key, std::uint64_t cseq) {
    Request request = *make_request(m, cseq);
    request.id.client = guest;
    request.key = key_name(key);
    request.raw = to_bytes(Digester("guest").u64(cseq).u64(request.key).finish().view());
    request.rd = request_digest(request.raw);
    request.signature =
        HashChecker::sign(key, bundle_digest(m.cluster, guest, *merkle_fold(request.rd, 0, 1, {})));
    return std::make_shared<const Request>(std::move(request));
}

ConfigChange change_to(std::uint64_t version) {
    ConfigChange change;
    change.version = ConfigVersion(version);
    return change;
}

ConfigChange set_client(std::uint64_t version, Bytes key) {
    ConfigChange change = change_to(version);
    change.clients.push_back({guest, std::move(key)});
    return change;
}

class ClientChange : public ::testing::Test {
protected:
    ClientChange() {
        for (const Bytes& key : {old_key_, new_key_}) c_.m.later_keys[{guest, key_name(key)}] = key;
        c_.network = [this](const Endpoint&, const Endpoint& to, Payload& payload) {
            if (const auto* rejected = std::get_if<Rejected>(&payload);
                rejected != nullptr && to == Endpoint::of_client(guest))
                refused_[rejected->rid].push_back(rejected->text);
            return true;
        };
    }

    void everyone_gets(const Body& body) {
        for (const Endpoint& each : c_.everyone())
            if (each.role != Endpoint::Role::voter)
                c_.inject(Endpoint::of_client(guest), each, body);
    }
    void order(const ConfigChange& change) {
        Body body = make_config(c_.m, change);
        for (const Endpoint& each : c_.m.replicas(GroupId(0)))
            c_.inject(Endpoint::of_client(ClientId(1)), each, body);
        c_.inject(Endpoint::of_client(ClientId(1)), p0, body);
        ASSERT_TRUE(c_.run_until([&] { return version() >= change.version.value; }, 10s))
            << c_.violation;
    }
    std::uint64_t version() {
        std::uint64_t least = ~0ull;
        for (const Endpoint& each : c_.m.all_replicas())
            least = std::min(least, c_.node(each).replica->agreement().report().config.value);
        return least;
    }
    bool executed(const Body& body) {
        for (std::uint32_t j = 0; j < 3; ++j)
            if (!c_.replica(0, j).replica->agreement().delivered_before(body->id)) return false;
        return true;
    }
    bool executes(const Body& body) {
        everyone_gets(body);
        return c_.run_until([&] { return executed(body); }, 3s);
    }

    Cluster c_{quick(2, 2)};
    const Bytes old_key_ = Bytes(32, 1);
    const Bytes new_key_ = Bytes(32, 2);
    std::map<RequestId, std::vector<std::string>> refused_;
};

TEST_F(ClientChange, ComesChangesItsKeyAndGoes) {
    Body early = signed_with(c_.m, old_key_, 1);
    EXPECT_FALSE(executes(early)) << "no client yet";
    order(set_client(1, old_key_));
    EXPECT_TRUE(executes(early));
    order(set_client(2, new_key_));
    Body stolen = signed_with(c_.m, old_key_, 2);
    EXPECT_FALSE(executes(stolen));
    ASSERT_GE(refused_[stolen->id].size(), c_.m.quorum());
    EXPECT_NE(refused_[stolen->id].front().find("another key"), std::string::npos);
    Body good = signed_with(c_.m, new_key_, 3);
    EXPECT_TRUE(executes(good));
    order(set_client(3, {}));
    Body late = signed_with(c_.m, new_key_, 4);
    EXPECT_FALSE(executes(late));
    ASSERT_GE(refused_[late->id].size(), c_.m.quorum());
    EXPECT_NE(refused_[late->id].front().find("removed"), std::string::npos);
    // What it had done is answered, and nobody is to blame for anything.
    everyone_gets(good);
    c_.run_for(200ms);
    EXPECT_FALSE(refused_.contains(good->id));
    EXPECT_EQ(c_.count(Event::Kind::suspected), 0u);
    EXPECT_EQ(c_.violation, "");
}

// A cluster of later programs, and one host that has gone back to ours.
TEST(FeatureLevel, AProgramThatDoesNotKnowItDoesNotStart) {
    ClusterOptions options = quick(2, 2);
    options.replica.features = options.primary.features = features_max + 1;
    Cluster c(options);
    ConfigChange change = change_to(1);
    change.parameters.push_back({Parameter::features, features_max + 1});
    Body body = make_config(c.m, change);
    for (const Endpoint& each : c.m.replicas(GroupId(0)))
        c.inject(Endpoint::of_client(ClientId(1)), each, body);
    c.inject(Endpoint::of_client(ClientId(1)), p0, body);
    auto& one = c.replica(0, 0);
    ASSERT_TRUE(c.run_until(
        [&] { return one.replica->agreement().report().config == ConfigVersion(1); }, 10s));
    c.run_for(300ms);
    one.disk.sync();
    c.primary(0).disk.sync();
    minbft::Replica again(c.m, GroupId(0), Position(0), {}, *one.signer);
    auto recovered = again.recover(one.disk.replica(GroupId(0), Position(0)), one.last);
    ASSERT_FALSE(recovered);
    EXPECT_NE(recovered.error().what.find("upgrade bftnode"), std::string::npos);
    minbft::Primary leader(c.m, PrimaryId(1), {}, *one.signer);
    EXPECT_FALSE(leader.recover(c.primary(0).disk.primary(PrimaryId(0)), {}));
}

// While it runs, too: nobody guesses.
TEST(FeatureLevel, AProgramThatMeetsItHalts) {
    Cluster c(quick(2, 2));
    ConfigChange change = change_to(1);
    change.parameters.push_back({Parameter::features, features_max + 1});
    Body body = make_config(c.m, change);
    for (const Endpoint& each : c.m.replicas(GroupId(0)))
        c.inject(Endpoint::of_client(ClientId(1)), each, body);
    c.inject(Endpoint::of_client(ClientId(1)), p0, body);
    EXPECT_FALSE(c.run_until([] { return false; }, 2s));
    EXPECT_NE(c.violation.find("halted: the cluster is at feature level"), std::string::npos);
}

TEST(FeatureLevel, OnlyRises) {
    Configuration now = configuration_of(small_cluster(2));
    EXPECT_EQ(now.features(), features_first);
    ConfigChange change = change_to(now.version.value + 1);
    change.parameters.push_back({Parameter::features, features_first});
    EXPECT_FALSE(apply(now, change));
    change.parameters[0].value = features_skip;
    auto next = apply(now, change);
    ASSERT_TRUE(next);
    EXPECT_EQ(next->features(), features_skip);
}

// Who lags needs what old admins have signed, and nobody takes it for more than that.
TEST(AdminKeysByVersion, TheOldOnesSignWhatTheyMade) {
    Membership m = small_cluster(2);
    HashChecker checker;
    Configuration now = configuration_of(m);
    ConfigChange change = change_to(now.version.value + 1);
    change.admins = AdminKeys{1, {Bytes(32, 7)}};
    Body rotation = make_config(m, change);
    auto next = apply(now, change);
    ASSERT_TRUE(next);
    EXPECT_TRUE(decode_configuration(encode(*next)));
    Membership later = m;
    follow(later, *next);
    Verifier verifier(later, checker);
    auto judged = [&](const Body& body) {
        return verifier.verify({Endpoint::of_client(ClientId(1)), p0, body}).has_value();
    };
    EXPECT_TRUE(judged(rotation));
    ConfigChange more = change_to(now.version.value + 2);
    more.parameters.push_back({Parameter::features, features_skip});
    EXPECT_FALSE(judged(make_config(m, more))) << "old keys, new version";
    EXPECT_TRUE(judged(make_config(later, more, 1)));
}

TEST(KeyOfAClient, IsTheOneInForce) {
    Configuration now = configuration_of(small_cluster(2));
    EXPECT_TRUE(now.in_force(ClientId(1), 0));
    EXPECT_FALSE(now.in_force(ClientId(1), 5));
    now.clients[ClientId(1)] = Bytes(32, 3);
    EXPECT_FALSE(now.in_force(ClientId(1), 0));
    EXPECT_TRUE(now.in_force(ClientId(1), key_name(Bytes(32, 3))));
    now.clients[ClientId(1)] = {};
    EXPECT_TRUE(now.removed(ClientId(1)));
    EXPECT_FALSE(now.in_force(ClientId(1), 0));
}

}  // namespace
}  // namespace bft::consensus::test

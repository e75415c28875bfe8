// EQUIV-PROOF and forks (section 3.15), and whose complaints count for how long (T4).
#include "consensus/minbft/equivocation.hpp"

#include "cluster_options.hpp"

#include <gtest/gtest.h>

namespace bft::consensus::test {
namespace {

const Endpoint p0 = Endpoint::primary(PrimaryId(0));

Endpoint at(std::uint32_t g, std::uint32_t j) {
    return Endpoint::replica(GroupId(g), Position(j));
}

/// Two COMMITs of (0,2) with one counter value.
EquivocationProof sample_proof(const Membership& m) {
    StreamId stream = StreamId::vote(GroupId(0), Position(2));
    UsigId usig = *m.usig_of(owner_of(stream));
    Digest a = Digester("a").finish();
    Digest b = Digester("b").finish();
    if (b < a) std::swap(a, b);
    return {stream, Counter(5),
            a,      HashChecker::certify(usig, Counter(5), a),
            b,      HashChecker::certify(usig, Counter(5), b)};
}

TEST(Equivocation, AProofProvesItself) {
    Membership m = small_cluster(2);
    HashChecker checker;
    Verifier verifier(m, checker);
    auto passes = [&](EquivocationProof proof) {
        return verifier.verify({at(1, 0), at(0, 0), std::move(proof)}).has_value();
    };
    EquivocationProof good = sample_proof(m);
    EXPECT_TRUE(passes(good));
    EquivocationProof bad = good;
    bad.second = bad.first;
    bad.second_ui = bad.first_ui;
    EXPECT_FALSE(passes(bad));  // one certificate, twice
    bad = good;
    std::swap(bad.first, bad.second);
    std::swap(bad.first_ui, bad.second_ui);
    EXPECT_FALSE(passes(bad));  // the same proof in another shape
    bad = good;
    bad.second_ui = HashChecker::certify(*m.usig_of(at(0, 2)), Counter(6), bad.second);
    EXPECT_FALSE(passes(bad));  // of another value
    bad = good;
    bad.stream.position = Position(1);
    EXPECT_FALSE(passes(bad));  // of another counter
    bad = good;
    bad.stream.group = GroupId(9);
    EXPECT_FALSE(passes(bad));
    bad = good;
    bad.first_ui.certificate[0] ^= 1;
    EXPECT_FALSE(passes(bad));
    EXPECT_FALSE(verifier.verify({Endpoint::of_client(ClientId(1)), at(0, 0), good}));
}

TEST(Equivocation, IsSeenInWhateverCarriesTheCertificate) {
    Membership m = small_cluster(1);
    auto body = make_request(m, 1);
    Digest genesis = genesis_header_digest(m.cluster);
    Prepare one = make_prepare(m, Slot(1), genesis, {}, 1);
    Prepare other = make_prepare(m, Slot(1), genesis, {entry_of(body)}, 1);
    HashChecker checker;
    Verifier verifier(m, checker);
    minbft::EquivocationWatch watch(m);
    auto inspect = [&](const Payload& payload) {
        auto verified = verifier.verify({at(0, 1), at(0, 0), payload});
        EXPECT_TRUE(verified);
        return watch.inspect(*verified);
    };
    EXPECT_FALSE(inspect(one));
    EXPECT_FALSE(inspect(one));
    // A peer's COMMIT shows what the primary said to that peer.
    auto proof = inspect(make_commit(m, GroupId(0), Position(1), other, Counter(1)));
    ASSERT_TRUE(proof);
    EXPECT_EQ(proof->stream, StreamId::ordering(PrimaryId(0)));
    EXPECT_EQ(proof->cv, Counter(1));
    EXPECT_TRUE(verifier.verify({at(0, 1), at(0, 0), *proof}));
    EXPECT_TRUE(watch.take(*proof));
    EXPECT_FALSE(watch.take(*proof));
    EXPECT_TRUE(watch.proven(proof->stream));
    EXPECT_FALSE(inspect(other));  // one per counter is enough
}

/// A second certificate of `node`'s counter with the value of its last one.
Ui clone_last(Cluster& c, const Endpoint& who, const Digest& digest) {
    auto& node = c.node(who);
    return HashChecker::certify(node.usig, node.counter, digest);
}

void load(Cluster& c, int rounds) {
    for (int i = 0; i < rounds; ++i)
        for (const auto& [p, owner] : c.m.owners)
            if (p.value > 0) c.submit({p});
}

void expect_progress(Cluster& c) {
    load(c, 3);
    EXPECT_TRUE(c.run_until([&] { return c.all_answered(); }, 20s));
    EXPECT_EQ(c.violation, "");
}

// F6: a member whose TPM was rolled back. All learn of it, nobody counts it, the group goes on, and
// whoever restarts still knows.
TEST(Equivocation, AMemberWithTwoCertificatesCountsNoMore) {
    ClusterOptions o = quick(2, 2);
    o.liars = {at(0, 2)};
    Cluster c(o);
    expect_progress(c);
    VoteEntry entry;
    entry.last = {View(0), Slot(99), Digester("x").finish(), {}};
    Commit lie;
    lie.group = GroupId(0);
    lie.position = Position(2);
    Prepare last;
    c.network = [&](const Endpoint&, const Endpoint&, Payload& payload) {
        if (const auto* prepare = std::get_if<Prepare>(&payload)) last = *prepare;
        return true;
    };
    c.submit({PartitionId(1)});
    c.run_for(1s);
    lie.to = last.slot;
    lie.hd = last.hd;
    lie.prepare = last;
    lie.prepare.header = nullptr;
    lie.nvd = {};
    lie.ui = clone_last(c, at(0, 2), commit_digest(c.m.cluster, lie));
    // Whether or not it repeats the last COMMIT: one of another slot does not.
    if (lie.to.value > 1) {
        Ui& ui = lie.ui;
        lie.ui = HashChecker::certify(c.node(at(0, 2)).usig, Counter(ui.cv.value - 1),
                                      commit_digest(c.m.cluster, lie));
    }
    c.inject(at(0, 2), at(0, 1), lie);
    auto everyone_knows = [&] { return c.count(Event::Kind::equivocation) >= 7; };
    EXPECT_TRUE(c.run_until(everyone_knows, 2s));  // 5 correct replicas, 2 primaries
    expect_progress(c);
    auto dead = [&](std::uint32_t j) {
        auto report = c.replica(0, j).replica->agreement().report();
        return std::find(report.dead.begin(), report.dead.end(), at(0, 2)) != report.dead.end();
    };
    EXPECT_TRUE(dead(0));
    EXPECT_TRUE(dead(1));
    c.crash(at(0, 0));
    c.run_for(100ms);
    c.restart(at(0, 0));
    EXPECT_TRUE(dead(0));
    expect_progress(c);
    c.crash(p0);  // and the next primary collects without it
    expect_progress(c);
}

// C2: whoever sees two PREPAREs with one value ends the view for all, and each later view of that
// primary lasts no longer than it takes to say so.
TEST(Equivocation, APrimaryWithTwoCertificatesLeadsNoMore) {
    ClusterOptions o = quick(2, 2);
    o.liars = {p0};
    Cluster c(o);
    expect_progress(c);
    Prepare last;
    c.network = [&](const Endpoint& from, const Endpoint&, Payload& payload) {
        const auto* prepare = std::get_if<Prepare>(&payload);
        if (prepare != nullptr && from == p0) last = *prepare;
        return true;
    };
    c.run_for(200ms);
    Prepare other = last;
    auto header = std::make_shared<Header>(*last.header);
    ++header->ts_ms;
    other.header = header;
    other.hd = header_digest(*header);
    other.ui = HashChecker::certify(c.node(p0).usig, last.ui.cv,
                                    prepare_digest(c.m.cluster, other.view, other.slot, other.hd));
    c.inject(p0, at(1, 0), other);
    EXPECT_TRUE(c.run_until([&] { return c.view(0, 0) == View(1); }, 2s));
    expect_progress(c);
    c.crash(Endpoint::primary(PrimaryId(1)));
    c.run_for(3s);
    c.restart(Endpoint::primary(PrimaryId(1)));
    expect_progress(c);
    EXPECT_EQ(c.view(1, 2).value % 2, 1u);  // primary 1 leads again
}

class Forks : public testing::Test {
protected:
    Forks() : m_(small_cluster(2)) { options_.checkpoint_every = 1; }

    void give(minbft::Replica& replica, Endpoint from, Payload payload) {
        auto verified = verifier_.verify({from, at(0, 0), std::move(payload)});
        ASSERT_TRUE(verified) << verified.error().what;
        replica.receive(*verified, {TimePoint{} + 1h, 0});
        Output out = replica.take_output();
        for (auto& persist : out.persist)
            if (auto* fork = std::get_if<ForkRecord>(&persist.record)) fork_ = fork->other;
        for (auto& event : out.events)
            if (event.kind == Event::Kind::halted) why_ = event.text;
    }
    Checkpoint foreign(std::uint32_t j, const Digest& hd) {
        Checkpoint c{GroupId(1), Position(j), Slot(1), hd, 1, Digester("state").finish(), {}};
        c.signature =
            HashChecker::sign(*m_.identity_key(at(1, j)), checkpoint_digest(m_.cluster, c));
        return c;
    }
    /// Delivers slot 1.
    Prepare deliver(minbft::Replica& replica) {
        Prepare p = make_prepare(m_, Slot(1), genesis_header_digest(m_.cluster), {}, 1);
        give(replica, p0, p);
        for (std::uint32_t j = 1; j < 3; ++j)
            give(replica, at(0, j), make_commit(m_, GroupId(0), Position(j), p, Counter(1)));
        EXPECT_EQ(replica.report().delivered, Slot(1));
        return p;
    }

    Membership m_;
    HashChecker checker_;
    Verifier verifier_{m_, checker_};
    HashSigner signer_{m_, at(0, 0)};
    minbft::ReplicaOptions options_;
    std::optional<StableCert> fork_;
    std::string why_;
};

TEST_F(Forks, AnotherHeaderAtAnotherGroupHaltsThisOne) {
    minbft::Replica replica(m_, GroupId(0), Position(0), options_, signer_);
    Digest other = Digester("another header").finish();
    give(replica, at(1, 0), foreign(0, other));
    Prepare p = deliver(replica);
    give(replica, at(1, 1), foreign(1, p.hd));
    EXPECT_FALSE(replica.report().halted);  // f members may say anything
    give(replica, at(1, 2), foreign(2, other));
    EXPECT_TRUE(replica.report().halted);
    EXPECT_NE(why_.find("forked"), std::string::npos) << why_;
    ASSERT_TRUE(fork_);
    EXPECT_EQ(fork_->group, GroupId(1));

    minbft::Replica again(m_, GroupId(0), Position(0), options_, signer_);
    minbft::Replica::Recovered log;
    log.fork = fork_;
    ASSERT_TRUE(again.recover(std::move(log), std::nullopt));
    EXPECT_TRUE(again.report().halted);
}

TEST_F(Forks, EqualHeadersAreNoFork) {
    minbft::Replica replica(m_, GroupId(0), Position(0), options_, signer_);
    Prepare p = deliver(replica);
    for (std::uint32_t j = 0; j < 3; ++j) give(replica, at(1, j), foreign(j, p.hd));
    EXPECT_FALSE(replica.report().halted);
    EXPECT_FALSE(fork_);
}

RequestViewChange complaint(Cluster& c, std::uint32_t j) {
    RequestViewChange request{GroupId(0), Position(j), View(1), Suspicion::silent, {}};
    request.signature = HashChecker::sign(*c.m.identity_key(at(0, j)),
                                          request_view_change_digest(c.m.cluster, request));
    return request;
}

// T4: one honest complaint of long ago and one liar are no quorum.
TEST(Complaints, CountWhileTheyAreRepeated) {
    for (Duration between : {20ms, 200ms}) {
        ClusterOptions o = quick(2, 2);
        o.liars = {at(0, 2)};
        Cluster c(o);
        expect_progress(c);
        c.inject(at(0, 1), at(0, 0), complaint(c, 1));
        c.run_for(between);
        c.inject(at(0, 2), at(0, 0), complaint(c, 2));
        c.run_for(500ms);
        EXPECT_EQ(c.view(0, 0), between < 100ms ? View(1) : View(0));
        expect_progress(c);
    }
}

TEST(Complaints, OfOthersAreNotPassedOn) {
    ClusterOptions o = quick(2, 2);
    o.liars = {at(0, 2)};
    Cluster c(o);
    expect_progress(c);
    c.inject(at(0, 2), at(0, 0), complaint(c, 1));
    c.inject(at(0, 2), at(0, 0), complaint(c, 2));
    c.run_for(500ms);
    EXPECT_EQ(c.view(0, 0), View(0));
}

}  // namespace
}  // namespace bft::consensus::test

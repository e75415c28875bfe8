#include "consensus/verify.hpp"

#include "fixture.hpp"

#include <gtest/gtest.h>

namespace bft::consensus {
namespace {

using namespace test;

class VerifierTest : public testing::Test {
protected:
    Result<Verified> verify(Endpoint from, Payload payload) {
        return verifier_.verify(
            {from, Endpoint::replica(GroupId(0), Position(0)), std::move(payload)});
    }
    Result<Verified> request_with(void (*change)(Request&), bool sign_again = false) {
        Request request = *make_request(m_, 1);
        change(request);
        if (sign_again) {
            Digest root = *merkle_fold(request.rd, 0, 1, {});
            request.signature = HashChecker::sign(
                m_.clients.begin()->second, bundle_digest(m_.cluster, request.id.client, root));
        }
        return verify(client_, Body(std::make_shared<const Request>(request)));
    }

    Membership m_ = small_cluster();
    HashChecker checker_;
    Verifier verifier_{m_, checker_};
    Endpoint client_ = Endpoint::of_client(ClientId(1));
    Endpoint peer_ = Endpoint::replica(GroupId(0), Position(1));
    Endpoint primary_ = Endpoint::primary(PrimaryId(0));
};

TEST_F(VerifierTest, TakesAGoodRequestFromItsClientAndFromForwarders) {
    EXPECT_TRUE(verify(client_, make_request(m_, 1)));
    EXPECT_TRUE(verify(peer_, make_request(m_, 1)));
    EXPECT_FALSE(verify(Endpoint::of_client(ClientId(2)), make_request(m_, 1)));
    EXPECT_FALSE(verify(Endpoint::voter(VoterId(0)), make_request(m_, 1)));
}

TEST_F(VerifierTest, RefusesBadRequests) {
    EXPECT_TRUE(request_with([](Request&) {}, true));
    EXPECT_FALSE(request_with([](Request& r) { r.signature.back() ^= 1; }));
    EXPECT_FALSE(request_with([](Request& r) { r.raw.push_back(0); }));
    EXPECT_FALSE(request_with([](Request& r) { r.id.client = ClientId(9); }, true));
    EXPECT_FALSE(request_with([](Request& r) { r.parts = {PartitionId(77)}; }, true));
    EXPECT_FALSE(request_with([](Request& r) { r.parts = {}; }, true));
    EXPECT_FALSE(request_with([](Request& r) { r.parts = {PartitionId(2)}; }, true));
    EXPECT_FALSE(request_with([](Request& r) { r.id.cseq = ClientSeq(500); }, true));
    EXPECT_FALSE(request_with([](Request& r) { r.ack_low = ClientSeq(2); }, true));
    EXPECT_FALSE(request_with([](Request& r) { r.bundle_count = 0; }, true));
    EXPECT_FALSE(request_with([](Request& r) { r.bundle_index = 5; }, true));
    EXPECT_FALSE(request_with([](Request& r) { r.op.resize(1 << 20); }, true));
    EXPECT_FALSE(verify(client_, Body(nullptr)));
}

TEST_F(VerifierTest, OneSignatureCoversABundle) {
    std::vector<Body> bodies = make_bundle(
        m_, {make_request(m_, 1), make_request(m_, 2), make_request(m_, 3), make_request(m_, 4)});
    EXPECT_TRUE(verify(client_, Bodies{bodies}));
    EXPECT_TRUE(verify(client_, Bodies{{bodies[3], bodies[1]}}));  // a part of it
    EXPECT_TRUE(verify(peer_, bodies[2]));
    EXPECT_FALSE(verify(Endpoint::of_client(ClientId(2)), Bodies{bodies}));

    // Alone, with the path that the bundle gives.
    Request alone = *bodies[2];
    RequestProof proof = proof_of(alone);
    alone.bundle = nullptr;
    alone.bundle_path = proof.path;
    alone.signature = proof.signature;
    EXPECT_TRUE(verify(peer_, Body(std::make_shared<const Request>(alone))));
}

TEST_F(VerifierTest, NothingHidesBehindABundlesSignature) {
    std::vector<Body> bodies =
        make_bundle(m_, {make_request(m_, 1), make_request(m_, 2), make_request(m_, 3)});
    auto second = [&](auto&& change) {
        Request request = *bodies[1];
        change(request);
        return verify(client_,
                      Bodies{{bodies[0], std::make_shared<const Request>(std::move(request))}});
    };
    EXPECT_TRUE(second([](Request&) {}));
    EXPECT_FALSE(second([](Request& r) { r.raw.push_back(0); }));
    EXPECT_FALSE(second([](Request& r) {
        r.raw.push_back(0);
        r.rd = request_digest(r.raw);
    }));
    EXPECT_FALSE(second([](Request& r) { r.bundle_index = 2; }));
    EXPECT_FALSE(second([](Request& r) { r.bundle_index = 77; }));
    EXPECT_FALSE(second([](Request& r) { r.bundle_count = 2; }));
    EXPECT_FALSE(second([](Request& r) { r.parts = {PartitionId(77)}; }));
    EXPECT_FALSE(second([](Request& r) {
        r.bundle = std::make_shared<const SignedBundle>(
            SignedBundle{r.bundle->tree, Bytes(r.bundle->signature.size())});
    }));
    EXPECT_FALSE(verify(client_, Bodies{{make_request(m_, 1), nullptr}}));
}

TEST_F(VerifierTest, ChecksAPreparesCertificateAndHeader) {
    Prepare good = make_prepare(m_, Slot(1), genesis_header_digest(m_.cluster), {}, 5);
    EXPECT_TRUE(verify(primary_, good));
    EXPECT_TRUE(verify(peer_, good));  // certified messages may be relayed
    EXPECT_FALSE(verify(client_, good));
    Prepare bad = good;
    bad.header = nullptr;
    EXPECT_FALSE(verify(primary_, bad));
    bad = good;
    bad.header = make_prepare(m_, Slot(1), Digest{}, {}, 6).header;
    EXPECT_FALSE(verify(primary_, bad));
    bad = good;
    bad.ui.cv = Counter(2);
    EXPECT_FALSE(verify(primary_, bad));
    bad = good;
    bad.view = View(1);
    EXPECT_FALSE(verify(primary_, bad));
}

TEST_F(VerifierTest, ChecksACommit) {
    Prepare prepare = make_prepare(m_, Slot(1), genesis_header_digest(m_.cluster), {}, 5);
    Commit good = make_commit(m_, GroupId(0), Position(1), prepare, Counter(1));
    EXPECT_TRUE(verify(peer_, good));
    Commit bad = good;
    bad.to = Slot(2);
    EXPECT_FALSE(verify(peer_, bad));
    bad = good;
    bad.position = Position(2);  // another identity's certificate
    EXPECT_FALSE(verify(peer_, bad));
    bad = good;
    bad.position = Position(3);
    EXPECT_FALSE(verify(peer_, bad));
    bad = good;
    bad.prepare.ui.certificate.back() ^= 1;
    EXPECT_FALSE(verify(peer_, bad));
    bad = good;
    bad.nvd = prepare.hd;
    EXPECT_FALSE(verify(peer_, bad));
}

TEST_F(VerifierTest, NobodySpeaksForOthers) {
    CommitDb commit_db{GroupId(0), Position(2), Slot(1), {}, {}, {}};
    EXPECT_FALSE(verify(peer_, commit_db));
    EXPECT_TRUE(verify(Endpoint::replica(GroupId(0), Position(2)), commit_db));
    DbReply reply{VoterId(1), GroupId(0), Slot(1), {}};
    EXPECT_FALSE(verify(Endpoint::voter(VoterId(2)), reply));
    EXPECT_FALSE(verify(peer_, reply));
    EXPECT_TRUE(verify(Endpoint::voter(VoterId(1)), reply));
    EXPECT_FALSE(verify(Endpoint::voter(VoterId(7)), VoterStatus{VoterId(7), {}}));
    EXPECT_FALSE(verify(Endpoint::replica(GroupId(9), Position(0)), Status{}));
}

TEST_F(VerifierTest, APayloadMustFitItsDigest) {
    ItemResult item;
    item.result = to_bytes(as_bytes("rows"));
    item.has_result = true;
    item.rdig = result_digest(item.outcome, item.code, item.result);
    Endpoint voter = Endpoint::voter(VoterId(0));
    EXPECT_TRUE(verify(voter, DbReply{VoterId(0), GroupId(0), Slot(1), {item}}));
    item.result.push_back(0);
    EXPECT_FALSE(verify(voter, DbReply{VoterId(0), GroupId(0), Slot(1), {item}}));
}

TEST_F(VerifierTest, BoundsFetches) {
    EXPECT_FALSE(verify(peer_, FetchBodies{}));
    EXPECT_FALSE(verify(peer_, FetchBodies{std::vector<Digest>(10'000)}));
    StreamId stream = StreamId::ordering(PrimaryId(0));
    EXPECT_FALSE(verify(peer_, FetchCertificates{stream, Counter(0), Counter(3)}));
    EXPECT_FALSE(verify(peer_, FetchCertificates{stream, Counter(4), Counter(3)}));
    EXPECT_TRUE(verify(peer_, FetchCertificates{stream, Counter(3), Counter(3)}));
}

}  // namespace
}  // namespace bft::consensus

#include "consensus/receipt.hpp"

#include "base/merkle.hpp"
#include "base/sha256.hpp"
#include "consensus/signed_bytes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bft::consensus {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A signature is the key, then the digest.
class Tokens final : public SignatureChecker {
public:
    bool certified(UsigId, const Ui&, const Digest&) override { return false; }
    bool signed_by(ByteView key, const Digest& digest, ByteView signature) override {
        return to_bytes(signature) == token(to_bytes(key), digest);
    }
    static Bytes token(Bytes key, const Digest& digest) {
        key.insert(key.end(), digest.bytes.begin(), digest.bytes.end());
        return key;
    }
};

class ReceiptTest : public testing::Test {
protected:
    ReceiptTest() {
        membership.cluster.bytes.fill(3);
        membership.groups = {{GroupId(1), {{HostId(0), {}}, {HostId(1), {}}, {HostId(2), {}}}},
                             {GroupId(2), {{HostId(2), {}}, {HostId(0), {}}, {HostId(1), {}}}}};
        membership.owners = {{PartitionId(4), GroupId(2)}, {PartitionId(5), GroupId(1)}};
        receipt.cluster = membership.cluster;
        receipt.request = to_bytes(as_bytes("raw"));
        Reply& reply = receipt.answer;
        reply.group = GroupId(2);
        reply.slot = Slot(9);
        reply.answer.rid = {ClientId(7), PartitionId(4), ClientSeq(8)};
        reply.answer.result = to_bytes(as_bytes("result"));
        reply.answer.has_result = true;
        reply.answer.rdig = result_digest(Outcome::ok, 0, reply.answer.result);
        reply.rd = request_digest(receipt.request);
        reply.ts_ms = 1234;
    }
    static Bytes key(HostId host) { return Bytes(4, static_cast<std::uint8_t>(host.value + 1)); }
    HostId host(Position position) const {
        return *membership.host_of(Endpoint::replica(GroupId(2), position));
    }
    /// As one of three answers that share a signature.
    Receipt::Signed signature(Position position, const Bytes& with) const {
        std::vector<Digest> leaves{sha256(as_bytes("a")),
                                   answer_digest(receipt.answer, receipt.page),
                                   sha256(as_bytes("b"))};
        ReplySignature made{1, 3, merkle_path(leaves, 1), {}};
        made.signature = Tokens::token(
            with, replies_digest(membership.cluster, GroupId(2), position, merkle_root(leaves)));
        return {position, "?", "ed25519", made};
    }
    void sign(std::uint32_t position) {
        receipt.signatures.push_back(signature(Position(position), key(host(Position(position)))));
    }
    Result<std::vector<Position>> check() {
        return check_receipt(receipt, membership, checker,
                             [this](GroupId group, Position position, const std::string& alg) {
                                 auto at = membership.host_of(Endpoint::replica(group, position));
                                 return at && alg == "ed25519" ? key(*at) : Bytes();
                             });
    }

    Membership membership;
    Receipt receipt;
    Tokens checker;
};

TEST_F(ReceiptTest, TwoOfThreeAreEnough) {
    sign(0);
    EXPECT_THAT(check().error().what, HasSubstr("1 good signature"));
    sign(2);
    ASSERT_TRUE(check());
    EXPECT_THAT(*check(), ElementsAre(Position(0), Position(2)));
}

TEST_F(ReceiptTest, OnePositionCountsOnce) {
    sign(1);
    sign(1);
    receipt.signatures.push_back(signature(Position(2), key(host(Position(1)))));
    receipt.signatures.push_back(signature(Position(7), key(host(Position(1)))));
    EXPECT_FALSE(check()) << "one host's key is one word, whatever position it claims";
}

TEST_F(ReceiptTest, WhatIsSignedCannotBeChanged) {
    sign(0);
    sign(1);
    ASSERT_TRUE(check());
    const Receipt good = receipt;
    auto spoilt = [&](const std::function<void(Receipt&)>& change) {
        receipt = good;
        change(receipt);
        return !check();
    };
    EXPECT_TRUE(spoilt([](Receipt& r) { r.answer.slot = Slot(10); }));
    EXPECT_TRUE(spoilt([](Receipt& r) { r.answer.ts_ms++; }));
    EXPECT_TRUE(spoilt([](Receipt& r) { r.answer.answer.index++; }));
    EXPECT_TRUE(spoilt([](Receipt& r) { r.answer.answer.code++; }));
    EXPECT_TRUE(spoilt([](Receipt& r) { r.answer.answer.rid.cseq = ClientSeq(9); }));
    EXPECT_TRUE(spoilt([](Receipt& r) { r.answer.answer.result.push_back(0); }));
    EXPECT_TRUE(spoilt([](Receipt& r) { r.request.push_back(0); }));
    EXPECT_TRUE(spoilt([](Receipt& r) { r.cluster.bytes[0] ^= 1; }));
    EXPECT_TRUE(spoilt([](Receipt& r) { r.page.bytes[0] ^= 1; }));
    EXPECT_TRUE(spoilt([](Receipt& r) { r.html = "<p>not signed</p>"; }));
    EXPECT_TRUE(spoilt([](Receipt& r) { r.signatures[0].signature.bundle_index = 0; }));
    EXPECT_TRUE(spoilt([](Receipt& r) { r.signatures[0].signature.bundle_path.pop_back(); }));
    EXPECT_TRUE(spoilt([](Receipt& r) { r.signatures[0].alg = "p256"; }));
}

TEST_F(ReceiptTest, APartitionMayHaveMovedToAnotherGroup) {
    receipt.answer.answer.rid.home = PartitionId(5);
    sign(0);
    sign(1);
    EXPECT_TRUE(check());
}

TEST_F(ReceiptTest, OnlyGroupsAndPartitionsOfTheClusterCount) {
    receipt.answer.answer.rid.home = PartitionId(6);
    sign(0);
    sign(1);
    EXPECT_THAT(check().error().what, HasSubstr("no such partition"));
    receipt.answer.answer.rid.home = PartitionId(5);
    receipt.answer.group = GroupId(3);
    EXPECT_THAT(check().error().what, HasSubstr("no such group"));
}

}  // namespace
}  // namespace bft::consensus

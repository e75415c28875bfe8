#include "wire/json.hpp"

#include "samples.hpp"
#include "wire/codec.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gtest/gtest.h>

namespace bft::wire {
namespace {

namespace json = boost::json;
using consensus::Receipt;

consensus::Request sample_request() {
    consensus::Request request;
    request.id = {ClientId(~0ull), PartitionId(2), ClientSeq(1ull << 60)};
    request.ack_low = ClientSeq(5);
    request.parts = {PartitionId(2), PartitionId(3)};
    request.op = {1, 2, 3};
    request.raw = encode_request(request);
    request.bundle_index = 1;
    request.bundle_count = 2;
    request.bundle_path = {Digest{}};
    request.signature = Bytes(64, 9);
    return request;
}

TEST(RequestJson, GoesThereAndBack) {
    consensus::Request request = sample_request();
    auto back = request_from_json(request_to_json(request));
    ASSERT_TRUE(back) << back.error().what;
    EXPECT_EQ((*back)->id, request.id);
    EXPECT_EQ((*back)->raw, request.raw);
    EXPECT_EQ((*back)->signature, request.signature);
    EXPECT_EQ((*back)->bundle_path, request.bundle_path);
    EXPECT_EQ((*back)->op, request.op);
}

TEST(RequestJson, RefusesEverythingElse) {
    const json::object good = request_to_json(sample_request());
    auto with = [&](const char* name, json::value value) {
        json::object changed = good;
        changed[name] = std::move(value);
        return request_from_json(changed);
    };
    for (const char* name : {"raw", "signature"}) {
        EXPECT_FALSE(with(name, 1));
        EXPECT_FALSE(with(name, "="));
        EXPECT_FALSE(with(name, json::string(1000000, 'A')));
        json::object without = good;
        without.erase(name);
        EXPECT_FALSE(request_from_json(without));
    }
    EXPECT_FALSE(with("raw", "AAAA")) << "no request";
    EXPECT_FALSE(with("bundle_index", -1));
    EXPECT_FALSE(with("bundle_index", 1.5));
    EXPECT_FALSE(with("bundle_index", "1"));
    EXPECT_FALSE(with("bundle_count", 1ull << 40));
    EXPECT_FALSE(with("bundle_path", json::array(12, json::value(json::string(64, '0')))));
    EXPECT_FALSE(with("bundle_path", json::array{"00"}));
    EXPECT_FALSE(with("bundle_path", json::array{1}));
    EXPECT_FALSE(with("signatur", "AAAA"));
    EXPECT_FALSE(request_from_json(json::value("text")));
    EXPECT_FALSE(request_from_json(json::array{good}));
}

Receipt sample_receipt() {
    Receipt receipt;
    receipt.cluster.bytes.fill(1);
    receipt.answer.group = GroupId(3);
    receipt.answer.slot = Slot(~0ull);
    receipt.answer.answer.rid = {ClientId(1), PartitionId(2), ClientSeq(3)};
    receipt.answer.answer.outcome = consensus::Outcome::aborted;
    receipt.answer.answer.code = 17;
    receipt.answer.answer.result = {1, 2};
    receipt.answer.answer.has_result = true;
    receipt.answer.ts_ms = 5;
    receipt.page.bytes.fill(2);
    receipt.html = "<p>\"&\n</p>";
    receipt.request = {7, 8};
    receipt.signatures = {{Position(2), "host3", "p256", {1, 2, {Digest{}}, Bytes(64, 3)}}};
    return receipt;
}

TEST(ReceiptJson, GoesThereAndBack) {
    std::string text = json::serialize(receipt_to_json(sample_receipt()));
    auto back = receipt_from_json(text);
    ASSERT_TRUE(back) << back.error().what;
    EXPECT_EQ(json::serialize(receipt_to_json(*back)), text);
    EXPECT_EQ(back->answer.slot, Slot(~0ull));
    EXPECT_EQ(back->html, sample_receipt().html);
    ASSERT_EQ(back->signatures.size(), 1u);
    EXPECT_EQ(back->signatures[0].signature, sample_receipt().signatures[0].signature);
}

TEST(ReceiptJson, EveryPrefixIsRefused) {
    std::string text = json::serialize(receipt_to_json(sample_receipt()));
    for (std::size_t size = 0; size < text.size(); ++size)
        EXPECT_FALSE(receipt_from_json(text.substr(0, size))) << size;
}

TEST(Number64, HasOneForm) {
    EXPECT_EQ(number_from("0"), 0u);
    EXPECT_EQ(number_from("18446744073709551615"), ~0ull);
    for (const char* wrong :
         {"", "00", "01", "-1", "+1", "1 ", "0x1", "18446744073709551616", "1e3"})
        EXPECT_FALSE(number_from(wrong)) << wrong;
}

}  // namespace
}  // namespace bft::wire

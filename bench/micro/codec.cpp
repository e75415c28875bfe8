// The codec: messages that every request or slot needs, to bytes and back.
#include "wire/codec.hpp"

#include "base/sha256.hpp"
#include "consensus/signed_bytes.hpp"

#include <benchmark/benchmark.h>

namespace {

using namespace bft;
using namespace bft::consensus;

constexpr std::size_t certificate_bytes = 250;  // a TPM's, as usig/tpm2 makes it

Digest digest_of(std::uint64_t number) {
    return Digester("bench").u64(number).finish();
}
RequestId rid(std::size_t i) {
    return {ClientId(1), PartitionId(static_cast<std::uint32_t>(1 + i % 8)), ClientSeq(i + 1)};
}

std::vector<Body> bundle(std::size_t count, std::size_t op_bytes) {
    std::vector<std::shared_ptr<Request>> requests;
    std::vector<Digest> rds;
    for (std::size_t i = 0; i < count; ++i) {
        Request fields;
        fields.id = rid(i);
        fields.parts = {fields.id.home};
        fields.op = Bytes(op_bytes, 'x');
        requests.push_back(
            std::make_shared<Request>(*wire::decode_request(wire::encode_request(fields))));
        rds.push_back(requests.back()->rd);
    }
    auto together =
        std::make_shared<const SignedBundle>(SignedBundle{MerkleTree(rds), Bytes(64, 7)});
    std::vector<Body> bodies;
    for (std::size_t i = 0; i < count; ++i) {
        requests[i]->bundle = together;
        requests[i]->bundle_index = static_cast<std::uint32_t>(i);
        requests[i]->bundle_count = static_cast<std::uint32_t>(count);
        bodies.push_back(std::move(requests[i]));
    }
    return bodies;
}

Message requests(std::size_t count) {
    return {Endpoint::of_client(ClientId(1)), Endpoint::primary(PrimaryId(0)),
            Bodies{bundle(count, 0)}};
}
Message kilobytes(std::size_t count) {
    return {Endpoint::of_client(ClientId(1)), Endpoint::primary(PrimaryId(0)),
            Bodies{bundle(count, 1024)}};
}

Prepare make_prepare(std::size_t count) {
    auto header = std::make_shared<Header>();
    header->slot = Slot(9);
    for (std::size_t i = 0; i < count; ++i)
        header->entries.push_back({rid(i), {rid(i).home}, EntryKind::transaction, digest_of(i)});
    Prepare prepare;
    prepare.slot = header->slot;
    prepare.hd = header_digest(*header);
    prepare.header = header;
    prepare.ui = {Counter(9), 0, Bytes(certificate_bytes, 5)};
    return prepare;
}
Message prepare(std::size_t count) {
    return {Endpoint::primary(PrimaryId(0)), Endpoint::replica(GroupId(0), Position(1)),
            make_prepare(count)};
}
Message commit(std::size_t) {
    Commit commit;
    commit.prepare = make_prepare(1);
    commit.prepare.header = nullptr;
    commit.to = commit.prepare.slot;
    commit.hd = commit.prepare.hd;
    commit.ui = {Counter(3), 0, Bytes(certificate_bytes, 6)};
    return {Endpoint::replica(GroupId(0), Position(0)), Endpoint::replica(GroupId(0), Position(1)),
            commit};
}
Message commit_db(std::size_t count) {
    CommitDb message;
    message.slot = Slot(9);
    for (std::size_t i = 0; i < count; ++i) {
        DbItem item;
        item.index = static_cast<std::uint32_t>(i);
        item.rid = rid(i);
        item.rd = digest_of(i);
        item.ts_ms = 1'700'000'000'000;
        item.seqs = {{item.rid.home, Seq(i + 1)}};
        message.items.push_back(item);
    }
    return {Endpoint::replica(GroupId(0), Position(0)), Endpoint::voter(VoterId(1)), message};
}
Message replies(std::size_t count) {
    Replies message;
    for (std::size_t i = 0; i < count; ++i) {
        Reply reply;
        reply.slot = Slot(9);
        reply.answer.index = static_cast<std::uint32_t>(i);
        reply.answer.rid = rid(i);
        reply.answer.result = Bytes(40, 'r');
        reply.answer.has_result = true;
        reply.answer.rdig = result_digest(Outcome::ok, 0, reply.answer.result);
        message.replies.push_back(reply);
    }
    return {Endpoint::replica(GroupId(0), Position(0)), Endpoint::of_client(ClientId(1)), message};
}

using Make = Message (*)(std::size_t);

void encode(benchmark::State& state, Make make) {
    Message message = make(static_cast<std::size_t>(state.range(0)));
    std::size_t bytes = 0;
    for (auto _ : state) {
        Bytes frame = wire::encode(message);
        bytes = frame.size();
        benchmark::DoNotOptimize(frame);
    }
    state.counters["bytes"] = static_cast<double>(bytes);
    state.SetItemsProcessed(state.iterations() * state.range(0));
}

void decode(benchmark::State& state, Make make) {
    Bytes frame = wire::encode(make(static_cast<std::size_t>(state.range(0))));
    for (auto _ : state) {
        auto message = wire::decode(frame);
        if (!message) return state.SkipWithError(message.error().what.c_str());
        benchmark::DoNotOptimize(message);
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}

#define BFT_CODEC(name)                                                                     \
    BENCHMARK_CAPTURE(encode, name, name)->Arg(1)->Arg(256)->Unit(benchmark::kMicrosecond); \
    BENCHMARK_CAPTURE(decode, name, name)->Arg(1)->Arg(256)->Unit(benchmark::kMicrosecond)

BFT_CODEC(requests);
BFT_CODEC(kilobytes);
BFT_CODEC(prepare);
BFT_CODEC(commit_db);
BFT_CODEC(replies);
BENCHMARK_CAPTURE(encode, commit, commit)->Arg(1)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(decode, commit, commit)->Arg(1)->Unit(benchmark::kMicrosecond);

}  // namespace

BENCHMARK_MAIN();

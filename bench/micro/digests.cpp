// Digests: of bytes, of structures, of a slot's header, and the trees that a signature covers.
#include "base/merkle.hpp"
#include "base/sha256.hpp"
#include "consensus/signed_bytes.hpp"

#include <benchmark/benchmark.h>

namespace {

using namespace bft;
using namespace bft::consensus;

std::vector<Digest> leaves(std::size_t count) {
    std::vector<Digest> found;
    for (std::size_t i = 0; i < count; ++i) found.push_back(Digester("leaf").u64(i).finish());
    return found;
}

void hash(benchmark::State& state) {
    Bytes bytes(static_cast<std::size_t>(state.range(0)), 7);
    for (auto _ : state) benchmark::DoNotOptimize(sha256(bytes));
    state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(hash)->Name("sha256")->Arg(64)->Arg(1024)->Arg(65536);

void request(benchmark::State& state) {
    Bytes raw(static_cast<std::size_t>(state.range(0)), 7);
    for (auto _ : state) benchmark::DoNotOptimize(request_digest(raw));
}
BENCHMARK(request)->Name("request_digest")->Arg(64)->Arg(1024);

void root(benchmark::State& state) {
    auto all = leaves(static_cast<std::size_t>(state.range(0)));
    for (auto _ : state) benchmark::DoNotOptimize(merkle_root(all));
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(root)->Name("merkle_root")->Arg(1)->Arg(32)->Arg(1024);

void path(benchmark::State& state) {
    auto all = leaves(static_cast<std::size_t>(state.range(0)));
    MerkleTree tree(all);
    auto proof = tree.path(0);
    for (auto _ : state)
        if (merkle_fold(all.front(), 0, all.size(), proof) != tree.root())
            return state.SkipWithError("the path leads elsewhere");
}
BENCHMARK(path)->Name("merkle_fold")->Arg(32)->Arg(1024);

void header(benchmark::State& state) {
    Header header;
    header.slot = Slot(7);
    for (const Digest& rd : leaves(static_cast<std::size_t>(state.range(0)))) {
        EntryHeader entry;
        entry.rid = {ClientId(1), PartitionId(2), ClientSeq(header.entries.size())};
        entry.parts = {PartitionId(2)};
        entry.rd = rd;
        header.entries.push_back(entry);
    }
    for (auto _ : state) benchmark::DoNotOptimize(header_digest(header));
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(header)->Name("header_digest")->Arg(1)->Arg(512);

void commit(benchmark::State& state) {
    Digest cluster = Digester("cluster").finish();
    Commit message;
    message.to = Slot(9);
    for (auto _ : state) benchmark::DoNotOptimize(commit_digest(cluster, message));
}
BENCHMARK(commit)->Name("commit_digest");

}  // namespace

BENCHMARK_MAIN();

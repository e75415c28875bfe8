// Signatures: of hosts and clients (Ed25519), of browsers' clients (P-256).
#include "base/sha256.hpp"
#include "crypto/signing_key.hpp"
#include "crypto/web_key.hpp"

#include <benchmark/benchmark.h>

namespace {

using namespace bft;
using namespace bft::crypto;

Digest digest_of(std::uint64_t number) {
    return Digester("bench").u64(number).finish();
}

template <class Key>
void sign(benchmark::State& state) {
    Key key = Key::generate();
    std::uint64_t number = 0;
    for (auto _ : state) benchmark::DoNotOptimize(key.sign(digest_of(++number)));
}
BENCHMARK_TEMPLATE(sign, SigningKey)->Name("sign/ed25519")->Unit(benchmark::kMicrosecond);
BENCHMARK_TEMPLATE(sign, WebKey)->Name("sign/p256")->Unit(benchmark::kMicrosecond);

template <class Key>
void check(benchmark::State& state) {
    Key key = Key::generate();
    Digest digest = digest_of(1);
    Bytes signature = key.sign(digest);
    for (auto _ : state)
        if (!verify(key.public_key(), digest, signature))
            return state.SkipWithError("does not verify");
}
BENCHMARK_TEMPLATE(check, SigningKey)->Name("verify/ed25519")->Unit(benchmark::kMicrosecond);
BENCHMARK_TEMPLATE(check, WebKey)->Name("verify/p256")->Unit(benchmark::kMicrosecond);

}  // namespace

BENCHMARK_MAIN();

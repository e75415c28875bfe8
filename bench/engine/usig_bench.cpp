// What a USIG certificate costs: to verify in software, and to make.
//
//   usig_bench                                        verification and the software stand-in
//   BFT_BENCH_TCTI=swtpm:path=/tmp/tpm.sock usig_bench   also creation on that TPM
//
// The TPM is provisioned at other handles than a cluster's, and cleaned up at the end of the next
// run.
#include "base/sha256.hpp"
#include "usig/software_usig.hpp"
#include "usig/tpm2.hpp"
#include "usig/verifier.hpp"

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <optional>

namespace {

using namespace bft;
using namespace bft::usig;

const Progress no_progress = [](ByteView) { return Result<void>{}; };

Digest digest_of(std::uint64_t number) {
    return Digester("bench").u64(number).finish();
}

struct TpmRig {
    std::vector<PublicIdentity> identities;
    std::unique_ptr<Tpm2> tpm;
};

/// nullptr without BFT_BENCH_TCTI; ends the program with a sentence when that TPM cannot be used.
TpmRig* tpm_rig() {
    static std::optional<TpmRig> rig;
    const char* tcti = std::getenv("BFT_BENCH_TCTI");
    if (tcti == nullptr) return nullptr;
    if (rig) return &*rig;
    const auto fail = [](const Error& problem) {
        std::fprintf(stderr, "usig_bench: %s\n", problem.what.c_str());
        std::exit(1);
    };
    ProvisionOptions options;
    options.layout = {0x81000bbb, 0x01800bbb};
    auto secrets = TpmSecrets::generate();
    if (!secrets) fail(secrets.error());
    options.secrets = *secrets;
    options.label = digest_of(0);
    options.replace = true;
    rig.emplace();
    {
        auto connection = Connection::open(tcti);
        if (!connection) fail(connection.error());
        auto made = provision(**connection, options);
        if (!made) fail(made.error());
        rig->identities = *made;
    }
    auto tpm =
        Tpm2::open({tcti, options.secrets, options.layout}, {{UsigId(0), rig->identities[0]}});
    if (!tpm) fail(tpm.error());
    rig->tpm = std::move(*tpm);
    return &*rig;
}

void create_on_tpm(benchmark::State& state) {
    auto* rig = tpm_rig();
    if (rig == nullptr) return state.SkipWithError("BFT_BENCH_TCTI is not set");
    std::uint64_t number = 0;
    for (auto _ : state) {
        const auto ui = rig->tpm->create(UsigId(0), digest_of(++number), no_progress);
        if (!ui) return state.SkipWithError(ui.error().what.c_str());
    }
}
BENCHMARK(create_on_tpm)->Unit(benchmark::kMicrosecond)->UseRealTime();

// swtpm 0.7.1's certificate over sha256("golden"), so that no TPM is needed.
constexpr const char* golden_identity =
    "tpm2-"
    "a4s:0023000b00050472000000100018000b00030010002010c7d3184130a4f322e2376a66b6bdaa"
    "7b2cd93b4ee89c93f980f7f449b4699f00209642506899831c757d1d59298ee508b0dbb81fa98f40"
    "9d7926c2ed7b4db5789a:01800b50000b220400140020c78829163b55c27aba440f5ef731ba3f4e6"
    "604c71e7a981a1cdeaa40f65d47fd0008:1";
constexpr const char* golden_certificate =
    "00000000000000040002010000000000000058a3cd9f6bd598a2dc0192e79556cf4cc42c00000000"
    "0000006aa3cd9f6bd598a2dc0192e79556cf4cc42c000000000000006aa1213b6672fbf991017f2c"
    "7e9c3f52d225477e2605693844321259d146397820e29c61f41e4e599157ebb333a683052cc2902b"
    "225dda793be2ccd26f2deb612db99efdecdd64b1e019dbb8bfcd8cfc8f34";

void verify_tpm(benchmark::State& state) {
    const auto prepared =
        PreparedIdentity::prepare(decode_public_identity(golden_identity).value()).value();
    const consensus::Ui ui{Counter(3), 1, from_hex(golden_certificate).value()};
    const auto digest = sha256(as_bytes("golden"));
    for (auto _ : state)
        if (!prepared.verify(ui, digest)) return state.SkipWithError("does not verify");
}
BENCHMARK(verify_tpm)->Unit(benchmark::kMicrosecond)->ThreadRange(1, 2)->UseRealTime();

void create_software(benchmark::State& state) {
    const auto usig = SoftwareUsig::ephemeral({UsigId(0)});
    std::uint64_t number = 0;
    for (auto _ : state)
        benchmark::DoNotOptimize(usig->create(UsigId(0), digest_of(++number), no_progress));
}
BENCHMARK(create_software)->Unit(benchmark::kMicrosecond);

void verify_software(benchmark::State& state) {
    const auto usig = SoftwareUsig::ephemeral({UsigId(0)});
    const auto prepared =
        PreparedIdentity::prepare(usig->identity(UsigId(0)), AllowSoftware::yes).value();
    const auto ui = usig->create(UsigId(0), digest_of(1), no_progress).value();
    for (auto _ : state)
        if (!prepared.verify(ui, digest_of(1))) return state.SkipWithError("does not verify");
}
BENCHMARK(verify_software)->Unit(benchmark::kMicrosecond);

}  // namespace

BENCHMARK_MAIN();

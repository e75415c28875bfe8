// libFuzzer: ./engine_replica_fuzz CORPUS. FUZZ_ENTRY says which entry function.
#include FUZZ_HEADER

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    bft::fuzz::FUZZ_ENTRY({data, size});
    return 0;
}

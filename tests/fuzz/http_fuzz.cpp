// libFuzzer: ./http_connection_fuzz CORPUS. HTTP_ENTRY says which entry function.
#include "http_entry.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    bft::fuzz::HTTP_ENTRY({data, size});
    return 0;
}

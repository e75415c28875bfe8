// libFuzzer: ./frame_fuzz CORPUS. CODEC_ENTRY says which decoder.
#include "codec_entry.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    bft::fuzz::CODEC_ENTRY({data, size});
    return 0;
}

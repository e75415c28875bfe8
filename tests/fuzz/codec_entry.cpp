#include "codec_entry.hpp"

#include "base/invariant.hpp"
#include "wire/codec.hpp"

namespace bft::fuzz {

namespace {

template <class Decode, class Encode>
bool survives(ByteView bytes, Decode decode, Encode encode) {
    auto first = decode(bytes);
    if (!first) return false;
    const Bytes ours = encode(*first);
    auto second = decode(ours);
    invariant(second.has_value(), "what we encode can be decoded");
    invariant(encode(*second) == ours, "decoding what we encoded changes nothing");
    return true;
}

}  // namespace

bool frame(ByteView bytes) {
    return survives(bytes, wire::decode,
                    [](const consensus::Message& message) { return wire::encode(message); });
}

bool record(ByteView bytes) {
    return survives(bytes, wire::decode_record, wire::encode_record);
}

bool request(ByteView bytes) {
    return survives(bytes, wire::decode_request, wire::encode_request);
}

}  // namespace bft::fuzz

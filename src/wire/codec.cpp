#include "wire/codec.hpp"

#include "base/invariant.hpp"
#include "consensus/signed_bytes.hpp"
#include "wire/payloads.hpp"
#include "wire/records.hpp"

#include <google/protobuf/arena.h>

#include <array>
#include <string>

namespace bft::wire {

using namespace consensus;

namespace {

// Most frames fit the first block: their objects then cost no allocation.
class Scratch {
public:
    Scratch() : arena_(block_.data(), block_.size()) {}
    template <class T>
    T* make() {
        return google::protobuf::Arena::CreateMessage<T>(&arena_);
    }

private:
    alignas(std::max_align_t) std::array<char, 4096> block_;
    google::protobuf::Arena arena_;
};

Error malformed(const char* what, Fault fault) {
    return error(Errc::malformed, std::string(what) + ": " + fault);
}

template <class T>
Bytes serialize(const T& message) {
    const std::size_t size = message.ByteSizeLong();
    invariant(size < (std::size_t{1} << 31), "what we encode fits protobuf's bound of 2 GiB");
    Bytes bytes(size);
    message.SerializeWithCachedSizesToArray(bytes.data());
    return bytes;
}

template <class T>
Fault parse(ByteView bytes, const Shape& shape, std::size_t bytes_max, T* out) {
    if (bytes.size() > bytes_max) return "longer than its bound";
    if (Fault fault = check_shape(bytes, shape)) return fault;
    return out->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))
               ? nullptr
               : "protobuf cannot read it";
}

}  // namespace

Bytes encode(const Message& message) {
    Scratch scratch;
    auto* frame = scratch.make<pb::Frame>();
    write(message.from, frame->mutable_from());
    write(message.to, frame->mutable_to());
    write_payload(message.payload, frame);
    return serialize(*frame);
}

// Fields come in any order: each recipient's own is appended to what all get.
std::vector<Bytes> encode(const Endpoint& from, const std::vector<Endpoint>& to,
                          const Payload& payload) {
    Scratch scratch;
    auto* frame = scratch.make<pb::Frame>();
    write(from, frame->mutable_from());
    write_payload(payload, frame);
    const Bytes shared = serialize(*frame);
    std::vector<Bytes> frames;
    frames.reserve(to.size());
    for (const Endpoint& each : to) {
        auto* own = scratch.make<pb::Frame>();
        write(each, own->mutable_to());
        const Bytes more = serialize(*own);
        Bytes& bytes = frames.emplace_back();
        bytes.reserve(shared.size() + more.size());
        bytes.insert(bytes.end(), shared.begin(), shared.end());
        bytes.insert(bytes.end(), more.begin(), more.end());
    }
    return frames;
}

Result<Message> decode(ByteView bytes) {
    Scratch scratch;
    auto* frame = scratch.make<pb::Frame>();
    Message message;
    Fault fault = parse(bytes, frame_shape, frame_bytes_max, frame);
    if (fault == nullptr) fault = read(frame->from(), message.from);
    if (fault == nullptr) fault = read(frame->to(), message.to);
    if (fault == nullptr) fault = read_payload(*frame, message.payload);
    if (fault != nullptr) return malformed("malformed frame", fault);
    return message;
}

Bytes encode_record(const LogRecord& record) {
    Scratch scratch;
    auto* out = scratch.make<pb::Record>();
    write_record(record, out);
    return serialize(*out);
}

Result<LogRecord> decode_record(ByteView bytes) {
    Scratch scratch;
    auto* in = scratch.make<pb::Record>();
    LogRecord record;
    Fault fault = parse(bytes, record_shape, record_bytes_max, in);
    if (fault == nullptr) fault = read_record(*in, record);
    if (fault != nullptr) return malformed("malformed log record", fault);
    return record;
}

Bytes encode_request(const Request& request) {
    pb::RequestContent content;
    content.set_client(request.id.client.value);
    content.set_home(request.id.home.value);
    content.set_cseq(request.id.cseq.value);
    content.set_ack_low(request.ack_low.value);
    for (PartitionId part : request.parts) content.add_parts(part.value);
    content.set_read_only(request.read_only);
    content.set_op(text(request.op));
    content.set_key(request.key);
    return serialize(content);
}

Result<Request> decode_request(ByteView raw) {
    Request request;
    if (raw.size() > raw_bytes_max) return malformed("malformed request", "longer than its bound");
    if (Fault fault = read_content(raw, request)) return malformed("malformed request", fault);
    request.raw = to_bytes(raw);
    request.rd = request_digest(raw);
    return request;
}

}  // namespace bft::wire

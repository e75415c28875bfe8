// What a protobuf message may look like, checked before protobuf sees it. Protobuf's own decoder
// allocates an object for every two bytes of an endless list; here the lists and strings are
// bounded first, unknown fields and repeated single ones are refused, and nothing is allocated.
#pragma once

#include "base/bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace bft::wire {

/// Where and why input is malformed; null: it is not.
using Fault = const char*;

struct Shape;

struct Field {
    enum class Kind : std::uint8_t { varint, bytes, packed_varint, packed_fixed64, message };
    std::uint32_t number;
    Kind kind;
    std::size_t max;     ///< varint: 1; bytes: length; packed: elements; message: occurrences
    const Shape* shape;  ///< of a message
};

struct Shape {
    const char* name;
    std::span<const Field> fields;
    /// Exactly one of the fields from this number on must be there; 0: no such rule.
    std::uint32_t one_of_from = 0;
    /// No encoding of ours is shorter. For what long lists hold, so that a few bytes on the wire
    /// never become an object each.
    std::size_t bytes_min = 0;
};

/// More than any message has.
inline constexpr std::size_t shape_fields_max = 64;

extern const Shape frame_shape;
extern const Shape record_shape;
extern const Shape request_content_shape;

[[nodiscard]] Fault check_shape(ByteView bytes, const Shape& shape);

}  // namespace bft::wire

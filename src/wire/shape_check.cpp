#include "wire/shapes.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace bft::wire {

namespace {

class Scanner {
public:
    explicit Scanner(ByteView bytes) : rest_(bytes) {}

    [[nodiscard]] bool done() const { return rest_.empty(); }

    std::optional<std::uint64_t> varint() {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
            std::uint8_t byte = rest_.front();
            rest_ = rest_.subspan(1);
            if (shift == 63 && byte > 1) return std::nullopt;
            value |= std::uint64_t{byte & 0x7fu} << shift;
            if (byte < 0x80) return value;
        }
        return std::nullopt;
    }

    std::optional<ByteView> delimited() {
        std::optional<std::uint64_t> size = varint();
        if (!size || *size > rest_.size()) return std::nullopt;
        ByteView view = rest_.first(static_cast<std::size_t>(*size));
        rest_ = rest_.subspan(view.size());
        return view;
    }

private:
    ByteView rest_;
};

constexpr std::uint64_t wire_varint = 0;
constexpr std::uint64_t wire_delimited = 2;

// Whoever reads a list by hand relies on numbers that end, and have 64 bits at most.
Fault check_packed_varints(ByteView view, std::size_t max) {
    Scanner numbers(view);
    for (std::size_t count = 0; !numbers.done(); ++count) {
        if (!numbers.varint()) return "a number in a list is unfinished, or has more than 64 bits";
        if (count == max) return "a list is longer than its bound";
    }
    return nullptr;
}

Fault check_delimited(ByteView view, const Field& field) {
    switch (field.kind) {
        case Field::Kind::bytes:
            return view.size() <= field.max ? nullptr : "a byte string is longer than its bound";
        case Field::Kind::packed_varint:
            return check_packed_varints(view, field.max);
        case Field::Kind::packed_fixed64:
            return view.size() % 8 == 0 && view.size() / 8 <= field.max
                       ? nullptr
                       : "a list is longer than its bound, or unfinished";
        case Field::Kind::message:
            return check_shape(view, *field.shape);
        case Field::Kind::varint:
            break;
    }
    return "wrong wire type";
}

}  // namespace

// Recursion ends because the shapes do: none contains itself.
Fault check_shape(ByteView bytes, const Shape& shape) {
    if (bytes.size() < shape.bytes_min) return "shorter than any encoding of it";
    std::array<std::size_t, shape_fields_max> seen{};
    std::size_t chosen = 0;
    for (Scanner scanner(bytes); !scanner.done();) {
        std::optional<std::uint64_t> tag = scanner.varint();
        if (!tag) return "unfinished tag";
        auto field = std::ranges::find(shape.fields, *tag >> 3, &Field::number);
        if (field == shape.fields.end()) return "unknown field";
        std::size_t occurrences = field->kind == Field::Kind::message ? field->max : 1;
        if (++seen[static_cast<std::size_t>(field - shape.fields.begin())] > occurrences)
            return "a field is repeated too often";
        if (shape.one_of_from != 0 && field->number >= shape.one_of_from) ++chosen;
        if (field->kind == Field::Kind::varint) {
            if ((*tag & 7) != wire_varint) return "wrong wire type";
            if (!scanner.varint()) return "unfinished number";
            continue;
        }
        if ((*tag & 7) != wire_delimited) return "wrong wire type";
        std::optional<ByteView> view = scanner.delimited();
        if (!view) return "a length reaches beyond the end";
        if (Fault fault = check_delimited(*view, *field)) return fault;
    }
    if (shape.one_of_from != 0 && chosen != 1) return "not exactly one payload";
    return nullptr;
}

}  // namespace bft::wire

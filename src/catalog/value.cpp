#include "catalog/value.hpp"

#include "base/invariant.hpp"
#include "catalog/codec.hpp"

#include <algorithm>
#include <cctype>

namespace bft::catalog {
namespace {

constexpr std::uint8_t kFormat = 1;

enum Tag : std::uint8_t { tag_null = 0, tag_integer = 1, tag_text = 2, tag_rows = 3 };

void put_value(Bytes& out, const Value& value) {
    if (const auto* integer = std::get_if<std::int64_t>(&value)) {
        put<std::uint8_t>(out, tag_integer);
        put(out, *integer);
    } else if (const auto* text = std::get_if<std::string>(&value)) {
        put<std::uint8_t>(out, tag_text);
        put_text(out, *text);
    } else {
        put<std::uint8_t>(out, tag_null);
    }
}

Value read_value(Reader& in, std::uint8_t tag, std::size_t text_max) {
    switch (tag) {
        case tag_null:
            return {};
        case tag_integer:
            return in.number<std::int64_t>();
        case tag_text:
            return in.text(text_max);
        default:
            in.fail();
            return {};
    }
}

/// Every value takes a byte at least, so counts are bounded by the bytes that are there.
Rows read_rows(Reader& in, std::size_t columns, std::size_t count, std::size_t text_max) {
    Rows rows;
    rows.reserve(count);
    for (std::size_t r = 0; r < count && in.ok(); ++r) {
        Row row;
        row.reserve(columns);
        for (std::size_t c = 0; c < columns && in.ok(); ++c)
            row.push_back(read_value(in, in.number<std::uint8_t>(), text_max));
        rows.push_back(std::move(row));
    }
    return rows;
}

void put_rows(Bytes& out, const Rows& rows) {
    const std::size_t columns = rows.empty() ? 0 : rows.front().size();
    put<std::uint8_t>(out, tag_rows);
    put(out, static_cast<std::uint16_t>(columns));
    put(out, static_cast<std::uint32_t>(rows.size()));
    for (const auto& row : rows) {
        invariant(row.size() == columns,
                  "all rows of one argument have the same number of columns");
        for (const auto& value : row) put_value(out, value);
    }
}

Rows read_argument_rows(Reader& in) {
    std::size_t columns = in.number<std::uint16_t>();
    std::size_t rows = in.number<std::uint32_t>();
    // One form per value: no rows means no columns, and rows have at least one.
    if ((rows == 0) != (columns == 0) || columns > kColumnsMax) {
        in.fail();
        return {};
    }
    rows = in.count(rows, kRowsMax, columns);
    return read_rows(in, columns, rows, kCallBytesMax);
}

}  // namespace

Bytes encode_call(const Call& call) {
    Bytes out;
    put<std::uint8_t>(out, kFormat);
    put_text(out, call.procedure);
    put(out, static_cast<std::uint16_t>(call.arguments.size()));
    for (const auto& argument : call.arguments) {
        if (const auto* rows = std::get_if<Rows>(&argument))
            put_rows(out, *rows);
        else if (const auto* integer = std::get_if<std::int64_t>(&argument))
            put_value(out, *integer);
        else if (const auto* text = std::get_if<std::string>(&argument))
            put_value(out, *text);
        else
            put_value(out, {});
    }
    return out;
}

Result<Call> decode_call(ByteView bytes) {
    if (bytes.size() > kCallBytesMax) return error(Errc::malformed, "call: too large");
    Reader in(bytes);
    if (in.number<std::uint8_t>() != kFormat) in.fail();
    Call call;
    call.procedure = in.text(kNameMax);
    std::size_t count = in.count(in.number<std::uint16_t>(), kArgumentsMax, 1);
    call.arguments.reserve(count);
    for (std::size_t i = 0; i < count && in.ok(); ++i) {
        auto tag = in.number<std::uint8_t>();
        if (tag == tag_rows) {
            call.arguments.emplace_back(read_argument_rows(in));
            continue;
        }
        std::visit([&](auto&& value) { call.arguments.emplace_back(std::move(value)); },
                   read_value(in, tag, kCallBytesMax));
    }
    if (!in.at_end()) return error(Errc::malformed, "call: not a valid encoding");
    return call;
}

Bytes encode_result(const CallResult& result) {
    Bytes out;
    put<std::uint8_t>(out, kFormat);
    put(out, static_cast<std::uint32_t>(result.sets.size()));
    for (const auto& set : result.sets) {
        put(out, set.columns);
        put(out, static_cast<std::uint32_t>(set.rows.size()));
        for (const auto& row : set.rows) {
            invariant(row.size() == set.columns, "a row has a value for each column");
            for (const auto& value : row) put_value(out, value);
        }
    }
    return out;
}

Result<CallResult> decode_result(ByteView bytes) {
    if (bytes.size() > kResultBytesMax) return error(Errc::malformed, "result: too large");
    Reader in(bytes);
    if (in.number<std::uint8_t>() != kFormat) in.fail();
    CallResult result;
    std::size_t count = in.count(in.number<std::uint32_t>(), kSetsMax, 8);
    for (std::size_t i = 0; i < count && in.ok(); ++i) {
        ResultSet set;
        set.columns = in.number<std::uint32_t>();
        std::size_t rows = in.number<std::uint32_t>();
        if (set.columns == 0 || set.columns > kColumnsMax) in.fail();
        if (in.ok())
            set.rows =
                read_rows(in, set.columns, in.count(rows, kRowsMax, set.columns), kResultBytesMax);
        result.sets.push_back(std::move(set));
    }
    if (!in.at_end()) return error(Errc::malformed, "result: not a valid encoding");
    return result;
}

ResultEncoder::ResultEncoder() {
    put<std::uint8_t>(out_, kFormat);
    put<std::uint32_t>(out_, 0);
}

bool ResultEncoder::room_for(std::size_t bytes) {
    if (out_.size() + bytes > kResultBytesMax) fits_ = false;
    return fits_;
}

void ResultEncoder::begin_set(std::uint32_t columns) {
    if (columns == 0 || columns > kColumnsMax || ++sets_ > kSetsMax) fits_ = false;
    if (!room_for(8)) return;
    put(out_, columns);
    rows_at_ = out_.size();
    rows_ = 0;
    put<std::uint32_t>(out_, 0);
}

void ResultEncoder::null() {
    if (room_for(1)) put<std::uint8_t>(out_, tag_null);
}

void ResultEncoder::integer(std::int64_t value) {
    if (room_for(9)) put_value(out_, value);
}

void ResultEncoder::text(std::string_view value) {
    if (!room_for(5 + value.size())) return;
    put<std::uint8_t>(out_, tag_text);
    put_text(out_, value);
}

void ResultEncoder::end_row() {
    if (++rows_ > kRowsMax) fits_ = false;
    if (!fits_) return;
    for (std::size_t i = 0; i < 4; ++i)
        out_[rows_at_ + i] = static_cast<std::uint8_t>(rows_ >> (24 - 8 * i));
}

Bytes ResultEncoder::finish() {
    invariant(fits_, "a result that exceeds the bounds has no encoding");
    for (std::size_t i = 0; i < 4; ++i)
        out_[1 + i] = static_cast<std::uint8_t>(sets_ >> (24 - 8 * i));
    return std::move(out_);
}

namespace {

void put_json_text(std::string& out, std::string_view text) {
    static constexpr char kHex[] = "0123456789abcdef";
    out += '"';
    for (char c : text) {
        auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20) {
            out += "\\u00";
            out += kHex[byte >> 4];
            out += kHex[byte & 15];
        } else {
            out += c;
        }
    }
    out += '"';
}

}  // namespace

std::string to_json(const Rows& rows) {
    std::string out = "[";
    for (const auto& row : rows) {
        if (out.size() > 1) out += ',';
        out += '[';
        bool first = true;
        for (const auto& value : row) {
            if (!first) out += ',';
            first = false;
            if (const auto* integer = std::get_if<std::int64_t>(&value))
                out += std::to_string(*integer);
            else if (const auto* text = std::get_if<std::string>(&value))
                put_json_text(out, *text);
            else
                out += "null";
        }
        out += ']';
    }
    return out + ']';
}

Result<std::string> canonical_decimal(std::string_view text, std::uint32_t precision,
                                      std::uint32_t scale) {
    auto refuse = [&](const char* why) {
        return error(Errc::malformed, "'" + std::string(text.substr(0, 80)) + "' is no decimal(" +
                                          std::to_string(precision) + "," + std::to_string(scale) +
                                          "): " + why);
    };
    std::string_view rest = text;
    bool negative = !rest.empty() && rest.front() == '-';
    if (negative) rest.remove_prefix(1);
    std::size_t point = rest.find('.');
    std::string whole(rest.substr(0, point));
    std::string part(point == std::string_view::npos ? "" : rest.substr(point + 1));
    auto digits = [](const std::string& s) {
        return std::all_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; });
    };
    if (whole.empty() || !digits(whole) || !digits(part)) return refuse("not a number");
    if (point != std::string_view::npos && part.empty()) return refuse("not a number");
    whole.erase(0, std::min(whole.find_first_not_of('0'), whole.size() - 1));
    if (part.find_last_not_of('0') != std::string::npos && part.find_last_not_of('0') >= scale)
        return refuse("too many digits behind the point");
    part.resize(scale, '0');
    if ((whole == "0" ? 0 : whole.size()) + scale > precision) return refuse("too many digits");
    bool zero = whole == "0" && part.find_first_not_of('0') == std::string::npos;
    return (negative && !zero ? "-" : "") + whole + (scale > 0 ? "." + part : "");
}

}  // namespace bft::catalog

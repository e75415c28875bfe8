#include "database/row_codec.hpp"

namespace bft::database {

void put_null(Bytes& out) {
    out.push_back(0);
}

void put_value(Bytes& out, std::string_view value) {
    auto size = static_cast<std::uint32_t>(value.size());
    out.push_back(1);
    for (int shift = 24; shift >= 0; shift -= 8)
        out.push_back(static_cast<std::uint8_t>(size >> shift));
    out.insert(out.end(), value.begin(), value.end());
}

Result<std::vector<RowView>> decode_rows(ByteView bytes, std::size_t columns) {
    std::vector<RowView> rows;
    std::size_t at = 0;
    auto malformed = [] { return error(Errc::malformed, "rows of a chunk that end too early"); };
    if (columns == 0) return malformed();
    while (at < bytes.size()) {
        RowView row;
        row.reserve(columns);
        for (std::size_t i = 0; i < columns; ++i) {
            if (at >= bytes.size() || bytes[at] > 1) return malformed();
            if (bytes[at++] == 0) {
                row.emplace_back(std::nullopt);
                continue;
            }
            if (bytes.size() - at < 4) return malformed();
            std::size_t size = 0;
            for (int k = 0; k < 4; ++k) size = size << 8 | bytes[at++];
            if (bytes.size() - at < size) return malformed();
            row.emplace_back(as_text(bytes.subspan(at, size)));
            at += size;
        }
        rows.push_back(std::move(row));
    }
    return rows;
}

}  // namespace bft::database

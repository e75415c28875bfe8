// The canonical encoding of rows: what chunk digests cover and what a transfer carries. For each
// value one byte, 0 for NULL or 1, then four bytes of length, big-endian, and the value as the text
// protocol gives it.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "database/session.hpp"

#include <string_view>
#include <vector>

namespace bft::database {

void put_null(Bytes& out);
void put_value(Bytes& out, std::string_view value);

/// Rows of `columns` values each. Errc::malformed when the bytes are not that. The views point into
/// `bytes`.
using RowView = std::vector<std::optional<std::string_view>>;
Result<std::vector<RowView>> decode_rows(ByteView bytes, std::size_t columns);

}  // namespace bft::database

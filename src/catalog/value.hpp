// What a call carries and what it answers, as plain values with one canonical encoding each.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace bft::catalog {

/// NULL, a 64-bit integer, or text. Decimals, dates and binary strings travel as text.
using Value = std::variant<std::monostate, std::int64_t, std::string>;
using Row = std::vector<Value>;
using Rows = std::vector<Row>;
/// One argument of a call: a value, or the rows of a `rows` parameter.
using Argument = std::variant<std::monostate, std::int64_t, std::string, Rows>;

/// The call of a stored procedure: what Request::op encodes.
struct Call {
    std::string procedure;
    std::vector<Argument> arguments;

    bool operator==(const Call&) const = default;
};

/// One result set of a CALL, in the order in which the procedure produced its rows.
struct ResultSet {
    std::uint32_t columns = 0;
    Rows rows;  ///< each of `columns` values

    bool operator==(const ResultSet&) const = default;
};

/// Everything that a CALL returned: what ItemResult::result encodes.
struct CallResult {
    std::vector<ResultSet> sets;

    bool operator==(const CallResult&) const = default;
};

// Bounds of the encodings. They are the same on every node: a result that exceeds them is a
// deterministic abort.
inline constexpr std::size_t kNameMax = 64;
inline constexpr std::size_t kArgumentsMax = 256;
inline constexpr std::size_t kRowsMax = 65535;
inline constexpr std::size_t kColumnsMax = 256;
inline constexpr std::size_t kSetsMax = 64;
inline constexpr std::size_t kCallBytesMax = 1024 * 1024;
inline constexpr std::size_t kResultBytesMax = 1024 * 1024;

/// Two equal calls have equal encodings, and decode_call() accepts no other. Integers are
/// big-endian; a call that exceeds the bounds above encodes to something that decode_call()
/// refuses.
Bytes encode_call(const Call& call);
/// Errc::malformed for everything that encode_call() does not make. Safe on hostile input.
Result<Call> decode_call(ByteView bytes);

Bytes encode_result(const CallResult& result);
/// Errc::malformed for everything that encode_result() does not make. Safe on hostile input.
Result<CallResult> decode_result(ByteView bytes);

/// Builds the encoding of a result row by row, so that a large one is noticed while it is read.
class ResultEncoder {
public:
    ResultEncoder();

    void begin_set(std::uint32_t columns);
    void null();
    void integer(std::int64_t value);
    void text(std::string_view value);
    void end_row();
    /// False once a bound was exceeded; what is added from then on is dropped.
    [[nodiscard]] bool fits() const { return fits_; }
    /// Requires fits().
    [[nodiscard]] Bytes finish();

private:
    bool room_for(std::size_t bytes);

    Bytes out_;
    std::uint32_t sets_ = 0;
    std::uint32_t rows_ = 0;
    std::size_t rows_at_ = 0;  ///< where the current set's row count is written
    bool fits_ = true;
};

/// The rows as JSON, an array of arrays: the text that the procedure gets. Integers are JSON
/// numbers, text is a JSON string (decimals, too: they stay exact), no white space.
std::string to_json(const Rows& rows);

/// `text` with exactly `scale` digits behind the point, no needless zeros before it, no "-0": the
/// only form in which check_call() accepts a decimal. Errc::malformed when it is no number of that
/// scale.
Result<std::string> canonical_decimal(std::string_view text, std::uint32_t precision,
                                      std::uint32_t scale);

}  // namespace bft::catalog

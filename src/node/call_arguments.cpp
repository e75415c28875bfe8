#include "node/call_arguments.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <charconv>
#include <optional>

namespace bft::node {
namespace {

std::optional<std::int64_t> whole_number(std::string_view text) {
    std::int64_t number = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failure != std::errc{} || end != text.data() + text.size() || text.empty())
        return std::nullopt;
    return number;
}

Result<void> parse_cell(const boost::json::value& cell, bftnode::Value& into) {
    if (cell.is_int64())
        into.data = cell.get_int64();
    else if (cell.is_string())
        into.data = std::string(cell.get_string());
    else if (!cell.is_null())
        return error(Errc::malformed, "a row's values are whole numbers, \"texts\" or null");
    return {};
}

Result<void> parse_rows(std::string_view text, bftnode::Value& into) {
    boost::system::error_code failure;
    const boost::json::value parsed = boost::json::parse({text.data(), text.size()}, failure);
    if (failure)
        return error(Errc::malformed, "'" + std::string(text) +
                                          "' looks like rows but is no JSON (" + failure.message() +
                                          "); write text:... for a text");
    bftnode::Rows& rows = into.data.emplace<bftnode::Rows>();
    for (const boost::json::value& row : parsed.as_array()) {
        if (!row.is_array())
            return error(Errc::malformed, "rows are a list of lists, as in [[1,\"a\"],[2,\"b\"]]");
        bftnode::Row& made = rows.emplace_back();
        for (const boost::json::value& cell : row.get_array())
            if (Result<void> done = parse_cell(cell, made.emplace_back()); !done) return done;
    }
    return {};
}

}  // namespace

Result<void> parse_argument(std::string_view text, bftnode::Value& into) {
    constexpr std::string_view prefix = "text:";
    into.data = std::monostate();
    if (text.starts_with('[')) return parse_rows(text, into);
    if (text.starts_with(prefix))
        into.data = std::string(text.substr(prefix.size()));
    else if (const auto number = whole_number(text))
        into.data = *number;
    else if (text != "NULL")
        into.data = std::string(text);
    return {};
}

}  // namespace bft::node

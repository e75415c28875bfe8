#include "client/json_calls.hpp"

#include "base/base64url.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include <algorithm>

namespace bft::client {

namespace json = boost::json;

namespace {

constexpr std::size_t depth_max = 8;

Error bad(const std::string& what) {
    return error(Errc::malformed, what);
}

Result<bftnode::Value> scalar(const catalog::Parameter& parameter, const json::value& value) {
    if (value.is_null()) return bftnode::Value();
    if (value.is_int64()) return bftnode::Value(value.get_int64());
    if (value.is_string())
        return bftnode::Value(std::string(value.get_string().data(), value.get_string().size()));
    return bad("'" + parameter.name + "' must be an integer, a string (decimals, too) or null" +
               (value.is_double() ? "; a number with a point must be written as a string" : ""));
}

// The values of `parameters` in their order, from an array or, by name, from an object.
Result<std::vector<const json::value*>> in_order(const std::vector<catalog::Parameter>& parameters,
                                                 const json::value& value,
                                                 const std::string& where) {
    static const json::value null;
    std::vector<const json::value*> found;
    if (const json::array* list = value.if_array()) {
        if (list->size() != parameters.size())
            return bad(where + " takes " + std::to_string(parameters.size()) + " values, not " +
                       std::to_string(list->size()));
        for (const json::value& one : *list) found.push_back(&one);
        return found;
    }
    const json::object* object = value.if_object();
    if (object == nullptr) return bad(where + " must be an array, or an object by name");
    std::size_t used = 0;
    for (const catalog::Parameter& parameter : parameters) {
        const json::value* one = object->if_contains(parameter.name);
        if (one == nullptr && !parameter.nullable)
            return bad(where + " lacks '" + parameter.name + "'");
        if (one != nullptr) ++used;
        found.push_back(one == nullptr ? &null : one);
    }
    if (used == object->size()) return found;
    for (const auto& member : *object) {
        std::string name(member.key());
        bool known = std::any_of(parameters.begin(), parameters.end(),
                                 [&](const auto& parameter) { return parameter.name == name; });
        if (!known) return bad(where + " has no parameter '" + name.substr(0, 64) + "'");
    }
    return found;
}

Result<bftnode::Value> argument(const catalog::Parameter& parameter, const json::value& value) {
    if (parameter.type != catalog::Type::rows) return scalar(parameter, value);
    const json::array* list = value.if_array();
    if (list == nullptr) return bad("'" + parameter.name + "' must be an array of rows");
    bftnode::Rows rows;
    for (const json::value& one : *list) {
        auto columns = in_order(parameter.columns, one, "a row of '" + parameter.name + "'");
        if (!columns) return columns.error();
        bftnode::Row row;
        for (std::size_t c = 0; c < columns->size(); ++c) {
            auto column = scalar(parameter.columns[c], *(*columns)[c]);
            if (!column) return column.error();
            row.push_back(std::move(*column));
        }
        rows.push_back(std::move(row));
    }
    return bftnode::Value(std::move(rows));
}

json::value to_json(const bftnode::Value& value) {
    if (value.is_null()) return nullptr;
    if (const auto* number = std::get_if<std::int64_t>(&value.data)) return *number;
    const std::string& text = value.text();
    // JSON holds text only; other bytes say what they are.
    if (!catalog::utf8_characters(text))
        return json::object{{"base64url", base64url(as_bytes(text))}};
    return json::value(json::string_view(text.data(), text.size()));
}

}  // namespace

Result<std::vector<bftnode::Value>> arguments_from_json(const catalog::Procedure& procedure,
                                                        std::string_view body) {
    boost::system::error_code failure;
    json::parse_options options;
    options.max_depth = depth_max;
    json::value value =
        json::parse(json::string_view(body.data(), body.size()), failure, {}, options);
    if (failure) return bad("the body is not JSON: " + failure.message());
    auto values = in_order(procedure.parameters, value, procedure.name);
    if (!values) return values.error();
    std::vector<bftnode::Value> all;
    for (std::size_t i = 0; i < values->size(); ++i) {
        auto one = argument(procedure.parameters[i], *(*values)[i]);
        if (!one) return one.error();
        all.push_back(std::move(*one));
    }
    return all;
}

json::array results_to_json(const std::vector<bftnode::Rows>& sets) {
    json::array out;
    for (const bftnode::Rows& rows : sets) {
        json::array set;
        for (const bftnode::Row& row : rows) {
            json::array columns;
            for (const bftnode::Value& value : row) columns.push_back(to_json(value));
            set.push_back(std::move(columns));
        }
        out.push_back(std::move(set));
    }
    return out;
}

}  // namespace bft::client

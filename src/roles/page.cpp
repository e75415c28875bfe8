#include "roles/page.hpp"

#include "base/base64url.hpp"
#include "wire/json.hpp"

#include <kainjow/mustache.hpp>

namespace bft::roles {

namespace mustache = kainjow::mustache;

namespace {

mustache::data to_data(const catalog::Value& value) {
    if (const auto* integer = std::get_if<std::int64_t>(&value)) return std::to_string(*integer);
    if (const auto* text = std::get_if<std::string>(&value))
        // A page is UTF-8 whatever the database holds.
        return catalog::utf8_characters(*text) ? *text : base64url(as_bytes(*text));
    return mustache::data(mustache::data::type::bool_false);
}

// {{c0}}, {{c1}}, ...; {{columns}} for templates that do not know how many.
mustache::data to_data(const catalog::Row& row) {
    mustache::data out;
    mustache::data columns(mustache::data::type::list);
    for (std::size_t c = 0; c < row.size(); ++c) {
        out.set("c" + std::to_string(c), to_data(row[c]));
        mustache::data column;
        column.set("value", to_data(row[c]));
        columns.push_back(std::move(column));
    }
    out.set("columns", std::move(columns));
    return out;
}

mustache::data to_data(const catalog::Rows& rows) {
    mustache::data list(mustache::data::type::list);
    for (const catalog::Row& row : rows) list.push_back(to_data(row));
    return list;
}

mustache::data to_data(const catalog::Argument& argument) {
    if (const auto* rows = std::get_if<catalog::Rows>(&argument)) return to_data(*rows);
    if (const auto* integer = std::get_if<std::int64_t>(&argument))
        return to_data(catalog::Value(*integer));
    if (const auto* text = std::get_if<std::string>(&argument))
        return to_data(catalog::Value(*text));
    return to_data(catalog::Value());
}

mustache::data truth(bool value) {
    return mustache::data(value ? mustache::data::type::bool_true
                                : mustache::data::type::bool_false);
}

}  // namespace

std::string render_page(const std::string& text, const catalog::Procedure& procedure,
                        const catalog::Call& call, const consensus::Reply& reply) {
    const consensus::ItemResult& answer = reply.answer;
    mustache::data context;
    context.set("procedure", call.procedure);
    context.set("ok", truth(answer.outcome == consensus::Outcome::ok));
    context.set("aborted", truth(answer.outcome == consensus::Outcome::aborted));
    context.set("duplicate", truth(answer.outcome == consensus::Outcome::duplicate));
    context.set("outcome", wire::name_of(answer.outcome));
    context.set("code", std::to_string(answer.code));
    context.set("slot", std::to_string(reply.slot.value));
    context.set("index", std::to_string(answer.index));
    context.set("ts_ms", std::to_string(reply.ts_ms));
    mustache::data arguments;
    for (std::size_t i = 0; i < procedure.parameters.size() && i < call.arguments.size(); ++i)
        arguments.set(procedure.parameters[i].name, to_data(call.arguments[i]));
    context.set("arguments", std::move(arguments));
    if (auto result = catalog::decode_result(answer.result); result) {
        for (std::size_t s = 0; s < result->sets.size(); ++s) {
            const catalog::Rows& rows = result->sets[s].rows;
            context.set("set" + std::to_string(s), to_data(rows));
            if (!rows.empty()) context.set("row" + std::to_string(s), to_data(rows.front()));
        }
    }
    mustache::mustache page(text);
    return page.render(context);
}

Result<void> check_template(const std::string& text) {
    mustache::mustache page(text);
    if (!page.is_valid()) return error(Errc::malformed, page.error_message());
    return {};
}

}  // namespace bft::roles

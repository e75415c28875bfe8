#include "client/calls.hpp"

#include <algorithm>

namespace bft::client {

namespace {

std::optional<catalog::Value> to_column(bftnode::Value&& value) {
    if (value.is_null()) return catalog::Value();
    if (auto* number = std::get_if<std::int64_t>(&value.data)) return catalog::Value(*number);
    if (auto* text = std::get_if<std::string>(&value.data)) return catalog::Value(std::move(*text));
    return std::nullopt;
}

Result<catalog::Argument> to_argument(bftnode::Value&& value) {
    if (auto* rows = std::get_if<bftnode::Rows>(&value.data)) {
        catalog::Rows converted;
        converted.reserve(rows->size());
        for (bftnode::Row& row : *rows) {
            catalog::Row& to = converted.emplace_back();
            to.reserve(row.size());
            for (bftnode::Value& column : row) {
                auto one = to_column(std::move(column));
                if (!one) return error(Errc::malformed, "rows may not hold rows");
                to.push_back(std::move(*one));
            }
        }
        return catalog::Argument(std::move(converted));
    }
    if (value.is_null()) return catalog::Argument();
    if (auto* number = std::get_if<std::int64_t>(&value.data)) return catalog::Argument(*number);
    return catalog::Argument(std::move(std::get<std::string>(value.data)));
}

// The first declared partition source: where the application says that a call belongs.
PartitionId home_of(const catalog::Procedure& procedure, const catalog::Call& call,
                    const std::vector<PartitionId>& parts) {
    const catalog::PartitionSource& source = procedure.partitions.front();
    const catalog::Argument& argument = call.arguments[source.parameter];
    const std::int64_t* number = std::get_if<std::int64_t>(&argument);
    if (number == nullptr && source.column)
        if (const auto* rows = std::get_if<catalog::Rows>(&argument); rows && !rows->empty())
            number = std::get_if<std::int64_t>(&rows->front()[*source.column]);
    if (number == nullptr) return parts.front();
    PartitionId home(static_cast<std::uint32_t>(*number));
    return std::find(parts.begin(), parts.end(), home) != parts.end() ? home : parts.front();
}

}  // namespace

Result<Prepared> prepare(const catalog::Application& application, std::string_view name,
                         std::vector<bftnode::Value> args) {
    catalog::Call call{std::string(name), {}};
    call.arguments.reserve(args.size());
    for (bftnode::Value& value : args) {
        auto argument = to_argument(std::move(value));
        if (!argument) return argument.error();
        call.arguments.push_back(std::move(*argument));
    }
    if (auto checked = application.check_call(call); !checked) return checked.error();
    const catalog::Procedure& procedure = *application.procedure(name);
    Prepared prepared;
    prepared.parts = application.partitions_of(call);
    prepared.home = home_of(procedure, call, prepared.parts);
    prepared.read_only = procedure.read_only;
    prepared.op = catalog::encode_call(call);
    return prepared;
}

bftnode::Rows to_rows(catalog::Rows&& rows) {
    bftnode::Rows converted;
    converted.reserve(rows.size());
    for (catalog::Row& row : rows) {
        bftnode::Row& to = converted.emplace_back();
        to.reserve(row.size());
        for (catalog::Value& value : row) {
            if (auto* number = std::get_if<std::int64_t>(&value))
                to.emplace_back(*number);
            else if (auto* text = std::get_if<std::string>(&value))
                to.emplace_back(std::move(*text));
            else
                to.emplace_back();
        }
    }
    return converted;
}

}  // namespace bft::client

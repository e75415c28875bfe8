#include "catalog/application.hpp"

#include "base/invariant.hpp"
#include "base/sha256.hpp"
#include "catalog/reader.hpp"
#include "catalog/rules.hpp"
#include "catalog/sql_tokens.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

namespace bft::catalog {

std::string Problem::text() const {
    return file + (line == 0 ? "" : ":" + std::to_string(line)) + ": " + what;
}

std::optional<std::size_t> utf8_characters(std::string_view text) {
    std::size_t characters = 0;
    for (std::size_t i = 0; i < text.size(); ++characters) {
        auto lead = static_cast<unsigned char>(text[i++]);
        if (lead < 0x80) continue;
        std::size_t more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
        if (lead < 0xc2 || lead > 0xf4 || text.size() - i < more) return std::nullopt;
        std::uint32_t code = lead & (0x3fu >> more);
        for (std::size_t k = 0; k < more; ++k) {
            auto next = static_cast<unsigned char>(text[i++]);
            if ((next & 0xc0) != 0x80) return std::nullopt;
            code = code << 6 | (next & 0x3fu);
        }
        if ((more == 2 && code < 0x800) || (more == 3 && code < 0x10000) || code > 0x10ffff ||
            (code >= 0xd800 && code <= 0xdfff))
            return std::nullopt;
    }
    return characters;
}

namespace {

constexpr std::uintmax_t kFileBytesMax = 16 * 1024 * 1024;

Error all_of(std::vector<Problem> problems) {
    std::stable_sort(problems.begin(), problems.end(), [](const Problem& a, const Problem& b) {
        return std::tie(a.file, a.line) < std::tie(b.file, b.line);
    });
    std::string text;
    for (const auto& problem : problems) text += (text.empty() ? "" : "\n") + problem.text();
    return error(Errc::malformed, text);
}

std::string read_file(const std::filesystem::path& path, std::vector<Problem>& problems) {
    std::error_code failure;
    auto size = std::filesystem::file_size(path, failure);
    std::ifstream in(path, std::ios::binary);
    if (failure || !in) {
        problems.push_back({path.string(), 0,
                            "cannot be read: an application is a folder with "
                            "catalog.toml, schema.sql and procedures.sql"});
        return {};
    }
    if (size > kFileBytesMax) {
        problems.push_back({path.string(), 0, "is larger than 16 MiB"});
        return {};
    }
    std::ostringstream out;
    out << in.rdbuf();
    return std::move(out).str();
}

/// The templates, by procedure; none where there is no such folder.
std::map<std::string, std::string> read_pages(const std::filesystem::path& folder,
                                              std::vector<Problem>& problems) {
    std::map<std::string, std::string> pages;
    std::error_code absent;
    if (!std::filesystem::exists(folder, absent)) return pages;
    for (const auto& entry : std::filesystem::directory_iterator(folder, absent)) {
        const std::filesystem::path& file = entry.path();
        if (!entry.is_regular_file() || file.extension() != ".html")
            problems.push_back({file.string(), 0, "is no page: only PROCEDURE.html belongs here"});
        else
            pages[file.stem().string()] = read_file(file, problems);
    }
    if (absent) problems.push_back({folder.string(), 0, "cannot be read: " + absent.message()});
    return pages;
}

/// Why a value does not fit; empty when it does.
std::string misfit(const Parameter& parameter, const Value& value) {
    if (std::holds_alternative<std::monostate>(value))
        return parameter.nullable ? "" : "must not be NULL";
    const auto* integer = std::get_if<std::int64_t>(&value);
    const auto* text = std::get_if<std::string>(&value);
    switch (parameter.type) {
        case Type::integer:
            if (integer == nullptr) return "must be an integer";
            if (*integer < parameter.low || *integer > parameter.high)
                return "must be from " + std::to_string(parameter.low) + " to " +
                       std::to_string(parameter.high);
            return {};
        case Type::decimal: {
            if (text == nullptr) return "must be a decimal, as text";
            auto canonical = canonical_decimal(*text, parameter.precision, parameter.scale);
            if (!canonical || *canonical != *text)
                return "must be a decimal with " + std::to_string(parameter.precision) +
                       " digits, exactly " + std::to_string(parameter.scale) + " behind the point";
            return {};
        }
        case Type::string: {
            if (text == nullptr) return "must be text";
            auto characters = utf8_characters(*text);
            if (!characters) return "must be valid UTF-8";
            if (*characters > parameter.max)
                return "must have at most " + std::to_string(parameter.max) + " characters";
            return {};
        }
        case Type::rows:
            break;
    }
    return "must be rows";
}

std::string misfit_rows(const Parameter& parameter, const Rows& rows) {
    if (rows.size() > parameter.max_rows)
        return "must have at most " + std::to_string(parameter.max_rows) + " rows";
    for (std::size_t r = 0; r < rows.size(); ++r) {
        std::string row = "row " + std::to_string(r) + " ";
        if (rows[r].size() != parameter.columns.size())
            return row + "must have " + std::to_string(parameter.columns.size()) + " columns";
        for (std::size_t c = 0; c < rows[r].size(); ++c)
            if (auto why = misfit(parameter.columns[c], rows[r][c]); !why.empty())
                return row + "column " + std::to_string(c) + " " + why;
    }
    return {};
}

std::string misfit(const Parameter& parameter, const Argument& argument) {
    if (const auto* rows = std::get_if<Rows>(&argument))
        return parameter.type == Type::rows ? misfit_rows(parameter, *rows) : "must not be rows";
    if (const auto* integer = std::get_if<std::int64_t>(&argument))
        return misfit(parameter, Value(*integer));
    if (const auto* text = std::get_if<std::string>(&argument))
        return misfit(parameter, Value(*text));
    return misfit(parameter, Value());
}

/// Calls `take` with each value that names a partition.
template <class Take>
void each_partition(const Procedure& procedure, const Call& call, Take&& take) {
    for (const auto& source : procedure.partitions) {
        const Argument& argument = call.arguments[source.parameter];
        if (!source.column) {
            take(std::get<std::int64_t>(argument));
            continue;
        }
        for (const auto& row : std::get<Rows>(argument))
            take(std::get<std::int64_t>(row[*source.column]));
    }
}

}  // namespace

Result<Application> Application::load(const std::filesystem::path& folder) {
    std::vector<Problem> problems;
    std::string catalog = read_file(folder / "catalog.toml", problems);
    std::string schema, procedures;
    std::vector<Problem> told_by_parse;
    bool ordering = read_catalog(catalog, "", told_by_parse).kind == Kind::ordering;
    for (auto [file, text] : {std::pair{"schema.sql", &schema}, {"procedures.sql", &procedures}}) {
        std::error_code absent;
        if (!ordering || std::filesystem::exists(folder / file, absent))
            *text = read_file(folder / file, problems);
    }
    auto pages = read_pages(folder / "pages", problems);
    if (!problems.empty()) return all_of(std::move(problems));
    return parse(folder.string(), catalog, schema, procedures, pages);
}

Result<Application> Application::parse(const std::string& where, std::string_view catalog_toml,
                                       std::string_view schema_sql, std::string_view procedures_sql,
                                       const std::map<std::string, std::string>& pages) {
    const std::string prefix = where.empty() ? "" : where + "/";
    std::vector<Problem> problems;
    auto content = read_catalog(catalog_toml, prefix + "catalog.toml", problems);

    Application application;
    application.name_ = std::move(content.name);
    application.kind_ = content.kind;
    application.version_ = content.version;
    application.procedures_ = std::move(content.procedures);
    application.tables_ = std::move(content.tables);
    application.schema_ = split_statements(schema_sql, prefix + "schema.sql", problems);
    application.routines_ = split_statements(procedures_sql, prefix + "procedures.sql", problems);
    Digester digest("application");
    digest.text(catalog_toml).text(schema_sql).text(procedures_sql);
    for (const auto& [procedure, text] : pages) {
        if (!application.procedures_.contains(procedure))
            problems.push_back({prefix + "pages/" + procedure + ".html", 0,
                                "is the page of no procedure: its name must be that of one"});
        digest.text(procedure).text(text);
        application.pages_[procedure] = {text, Digester("template").text(text).finish()};
    }
    application.digest_ = digest.finish();

    RuleInput input{application.tables_,
                    application.procedures_,
                    std::move(content.table_lines),
                    std::move(content.procedure_lines),
                    prefix + "catalog.toml",
                    prefix + "schema.sql",
                    prefix + "procedures.sql"};
    if (application.kind_ == Kind::database) {
        check_schema(application.schema_, input, problems);
        check_routines(application.routines_, input, problems);
    } else if (!application.tables_.empty() || !schema_sql.empty() || !procedures_sql.empty() ||
               !pages.empty()) {
        problems.push_back({prefix + "catalog.toml", 0,
                            "an application of kind \"ordering\" has no tables, no SQL and no "
                            "pages: nothing would run them"});
    }
    if (!problems.empty()) return all_of(std::move(problems));
    return application;
}

const Procedure* Application::procedure(std::string_view name) const {
    auto it = procedures_.find(name);
    return it == procedures_.end() ? nullptr : &it->second;
}

bool Application::commute(const Procedure& one, const Procedure& other) const {
    return (one.read_only && other.read_only) || one.commutes_with.contains(other.name) ||
           other.commutes_with.contains(one.name);
}

Result<void> Application::fits(std::size_t voters) const {
    if (kind_ == Kind::ordering && voters > 0)
        return error(Errc::refused,
                     "application '" + name_ +
                         "' is of kind \"ordering\", and this cluster has databases: "
                         "nothing would reach them");
    if (kind_ == Kind::database && voters == 0)
        return error(Errc::refused, "application '" + name_ +
                                        "' needs databases, and this cluster has none: no host has "
                                        "the role 'voter'");
    return {};
}

Result<void> Application::check_call(const Call& call) const {
    const Procedure* called = procedure(call.procedure);
    if (called == nullptr)
        return error(Errc::not_found, "application '" + name_ + "' has no procedure of that name");
    if (call.arguments.size() != called->parameters.size())
        return error(Errc::malformed,
                     called->name + ": takes " + std::to_string(called->parameters.size()) +
                         " arguments, not " + std::to_string(call.arguments.size()));
    for (std::size_t i = 0; i < call.arguments.size(); ++i)
        if (auto why = misfit(called->parameters[i], call.arguments[i]); !why.empty())
            return error(Errc::malformed,
                         called->name + ": '" + called->parameters[i].name + "' " + why);
    bool in_range = true;
    each_partition(*called, call,
                   [&](std::int64_t id) { in_range &= id >= 1 && id <= UINT32_MAX; });
    if (!in_range)
        return error(Errc::malformed,
                     called->name + ": a partition is a number from 1 to 4294967295");
    return {};
}

std::vector<PartitionId> Application::partitions_of(const Call& call) const {
    const Procedure* called = procedure(call.procedure);
    invariant(called != nullptr && call.arguments.size() == called->parameters.size(),
              "partitions_of() is asked about a checked call");
    std::vector<PartitionId> partitions;
    each_partition(*called, call, [&](std::int64_t id) {
        partitions.emplace_back(static_cast<std::uint32_t>(id));
    });
    std::sort(partitions.begin(), partitions.end());
    partitions.erase(std::unique(partitions.begin(), partitions.end()), partitions.end());
    return partitions;
}

}  // namespace bft::catalog

#include "catalog/reader.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <limits>

namespace bft::catalog {
namespace {

bool good_name(std::string_view name) {
    return !name.empty() && name.size() <= kNameMax &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_';
           });
}

class CatalogParser {
public:
    CatalogParser(const std::string& file, std::vector<Problem>& problems)
        : file_(file), problems_(problems) {}

    CatalogContent run(const toml::table& root) {
        allow(root, {"application", "partition", "tables", "procedures"}, "catalog.toml");
        if (const auto* application = root["application"].as_table())
            read_application(*application);
        else
            problem(root, "[application] is missing");
        if (const auto* partition = root["partition"].as_table())
            allow(*partition, {"column_rule"}, "[partition]");
        read_tables(root);
        if (const auto* procedures = root["procedures"].as_table()) {
            for (const auto& [key, node] : *procedures)
                read_procedure(std::string(key.str()), node);
        } else {
            problem(root, "[procedures] is missing: there is nothing to call");
        }
        return std::move(out_);
    }

private:
    void problem(const toml::node& at, std::string what) {
        problems_.push_back({file_, at.source().begin.line, std::move(what)});
    }

    void allow(const toml::table& table, std::initializer_list<std::string_view> keys,
               const std::string& where) {
        for (const auto& [key, node] : table)
            if (std::find(keys.begin(), keys.end(), key.str()) == keys.end())
                problem(node, where + ": unknown key '" + std::string(key.str()) + "'");
    }

    template <class T>
    std::optional<T> get(const toml::table& table, std::string_view key, const std::string& where,
                         const char* type) {
        const toml::node* node = table.get(key);
        if (node == nullptr) return std::nullopt;
        auto value = node->value_exact<T>();
        if (!value) problem(*node, where + ": '" + std::string(key) + "' must be " + type);
        return value;
    }
    /// A number from `low` to `high`; `otherwise` when it is absent or bad.
    std::int64_t get_integer(const toml::table& table, std::string_view key,
                             const std::string& where, std::int64_t low, std::int64_t high,
                             std::int64_t otherwise) {
        auto value = get<std::int64_t>(table, key, where, "an integer");
        if (value && (*value < low || *value > high)) {
            problem(*table.get(key), where + ": '" + std::string(key) + "' must be from " +
                                         std::to_string(low) + " to " + std::to_string(high));
            return otherwise;
        }
        return value.value_or(otherwise);
    }

    void read_application(const toml::table& table) {
        allow(table, {"name", "version", "kind", "global_tables"}, "[application]");
        out_.name = get<std::string>(table, "name", "[application]", "a string").value_or("");
        if (!good_name(out_.name))
            problem(table,
                    "[application]: 'name' must be letters, digits and underscores, at most 64");
        out_.version = static_cast<std::uint32_t>(
            get_integer(table, "version", "[application]", 1, UINT32_MAX, 0));
        auto kind =
            get<std::string>(table, "kind", "[application]", "a string").value_or("database");
        if (kind != "database" && kind != "ordering")
            problem(table, "[application]: 'kind' must be \"database\" or \"ordering\"");
        if (kind == "ordering") out_.kind = Kind::ordering;
        if (table.get("version") == nullptr) problem(table, "[application]: 'version' is missing");
        const toml::node* globals = table.get("global_tables");
        if (globals == nullptr) return;
        if (!globals->is_array()) {
            problem(*globals, "[application]: 'global_tables' must be an array of names");
            return;
        }
        for (const auto& node : *globals->as_array()) {
            auto name = node.value_exact<std::string>();
            if (!name || !good_name(*name))
                problem(node, "[application]: 'global_tables' must be an array of names");
            else
                add_table(*name, "", node);
        }
    }

    void add_table(const std::string& name, const std::string& column, const toml::node& at) {
        if (!out_.tables.emplace(name, column).second)
            problem(at, "table '" + name + "' is named twice");
        out_.table_lines.emplace(name, at.source().begin.line);
    }

    void read_tables(const toml::table& root) {
        const auto* tables = root["tables"].as_table();
        if (tables == nullptr) return;
        for (const auto& [key, node] : *tables) {
            std::string where = "[tables." + std::string(key.str()) + "]";
            const auto* table = node.as_table();
            if (table == nullptr) {
                problem(node, where + " must be a table");
                continue;
            }
            allow(*table, {"partition_column"}, where);
            auto column =
                get<std::string>(*table, "partition_column", where, "a string").value_or("");
            if (!good_name(column)) problem(*table, where + ": 'partition_column' is missing");
            if (!good_name(key.str())) problem(*table, where + ": not a name");
            add_table(std::string(key.str()), column, *table);
        }
    }

    void read_procedure(const std::string& name, const toml::node& node) {
        std::string where = "[procedures." + name + "]";
        const auto* table = node.as_table();
        if (table == nullptr || !good_name(name)) {
            problem(node, where + ": not a table with a procedure's name");
            return;
        }
        allow(*table, {"read_only", "params", "partitions", "batch", "batch_from", "commutes_with"},
              where);
        Procedure procedure;
        procedure.name = name;
        procedure.read_only =
            get<bool>(*table, "read_only", where, "true or false").value_or(false);
        const auto* parameters = table->get_as<toml::array>("params");
        if (parameters == nullptr)
            problem(*table, where + ": 'params' is missing (an array, [] for none)");
        else
            for (const auto& parameter : *parameters)
                procedure.parameters.push_back(read_parameter(parameter, where));
        for (std::size_t i = 0; i < procedure.parameters.size(); ++i)
            for (std::size_t k = 0; k < i; ++k)
                if (procedure.parameters[i].name == procedure.parameters[k].name)
                    problem(*table, where + ": parameter '" + procedure.parameters[i].name +
                                        "' is named twice");
        if (procedure.parameters.size() > kArgumentsMax)
            problem(*table, where + ": more than " + std::to_string(kArgumentsMax) + " parameters");
        read_partitions(*table, procedure, where);
        read_batch(*table, procedure, where);
        out_.procedure_lines.emplace(name, table->source().begin.line);
        out_.procedures.emplace(name, std::move(procedure));
    }

    void read_batch(const toml::table& table, Procedure& procedure, const std::string& where) {
        procedure.batch = get<std::string>(table, "batch", where, "a string").value_or("");
        if (!procedure.batch.empty() && !good_name(procedure.batch))
            problem(table, where + ": 'batch' must be the name of a procedure");
        procedure.batch_from =
            static_cast<std::uint32_t>(get_integer(table, "batch_from", where, 2, 1000, 2));
        if (procedure.batch.empty() && table.contains("batch_from"))
            problem(*table.get("batch_from"), where + ": 'batch_from' is for a 'batch'");
        const toml::node* others = table.get("commutes_with");
        if (others == nullptr) return;
        if (!others->is_array()) {
            problem(*others, where + ": 'commutes_with' must be an array of procedures' names");
            return;
        }
        for (const auto& node : *others->as_array()) {
            auto name = node.value_exact<std::string>();
            if (!name || !good_name(*name) || *name == procedure.name)
                problem(node,
                        where + ": 'commutes_with' must be an array of other procedures' names");
            else
                procedure.commutes_with.insert(*name);
        }
    }

    Parameter read_parameter(const toml::node& node, std::string where) {
        Parameter parameter;
        const auto* table = node.as_table();
        if (table == nullptr) {
            problem(node, where + ": each of 'params' must be {name = ..., type = ...}");
            return parameter;
        }
        parameter.name = get<std::string>(*table, "name", where, "a string").value_or("");
        if (!good_name(parameter.name)) problem(*table, where + ": a parameter needs a 'name'");
        where += " parameter '" + parameter.name + "'";
        parameter.nullable = get<bool>(*table, "nullable", where, "true or false").value_or(false);
        auto type = get<std::string>(*table, "type", where, "a string").value_or("");
        if (type == "int") {
            allow(*table, {"name", "type", "nullable", "min", "max"}, where);
            parameter.low = get_integer(*table, "min", where, INT64_MIN, INT64_MAX, INT64_MIN);
            parameter.high = get_integer(*table, "max", where, INT64_MIN, INT64_MAX, INT64_MAX);
            if (parameter.low > parameter.high) problem(*table, where + ": 'min' is above 'max'");
        } else if (type == "decimal") {
            allow(*table, {"name", "type", "nullable", "precision", "scale"}, where);
            parameter.type = Type::decimal;
            parameter.precision =
                static_cast<std::uint32_t>(get_integer(*table, "precision", where, 1, 65, 0));
            parameter.scale =
                static_cast<std::uint32_t>(get_integer(*table, "scale", where, 0, 30, 0));
            if (parameter.precision == 0 || parameter.scale > parameter.precision)
                problem(*table, where + ": needs 'precision' (1 to 65) and a 'scale' not above it");
        } else if (type == "string") {
            allow(*table, {"name", "type", "nullable", "max"}, where);
            parameter.type = Type::string;
            parameter.max = static_cast<std::uint32_t>(
                get_integer(*table, "max", where, 1, static_cast<std::int64_t>(kCallBytesMax), 0));
            if (parameter.max == 0) problem(*table, where + ": needs 'max', in characters");
        } else if (type == "rows") {
            allow(*table, {"name", "type", "columns", "max_rows"}, where);
            parameter.type = Type::rows;
            read_columns(*table, parameter, where);
        } else {
            problem(*table,
                    where + ": 'type' must be \"int\", \"decimal\", \"string\" or \"rows\"");
        }
        return parameter;
    }

    void read_columns(const toml::table& table, Parameter& parameter, const std::string& where) {
        parameter.max_rows = static_cast<std::uint32_t>(
            get_integer(table, "max_rows", where, 1, static_cast<std::int64_t>(kRowsMax), 0));
        if (parameter.max_rows == 0) problem(table, where + ": needs 'max_rows'");
        const auto* columns = table.get_as<toml::array>("columns");
        if (columns == nullptr || columns->empty() || columns->size() > kColumnsMax) {
            problem(table, where + ": needs 'columns', an array of types");
            return;
        }
        for (const auto& node : *columns) {
            auto text = node.value_exact<std::string>();
            auto column = text ? column_type(*text) : std::nullopt;
            if (!column) {
                problem(node, where +
                                  ": a column is \"int\", \"decimal(p,s)\" or \"string(max)\", "
                                  "with a ? behind it when it may be NULL");
                continue;
            }
            column->name = std::to_string(parameter.columns.size());
            parameter.columns.push_back(*column);
        }
    }

    static std::optional<Parameter> column_type(std::string_view text) {
        Parameter column;
        if (text.ends_with('?')) {
            column.nullable = true;
            text.remove_suffix(1);
        }
        if (text == "int") return column;
        auto open = text.find('(');
        if (open == std::string_view::npos || !text.ends_with(')')) return std::nullopt;
        auto type = text.substr(0, open);
        auto inside = text.substr(open + 1, text.size() - open - 2);
        auto comma = inside.find(',');
        auto number = [](std::string_view digits, std::uint32_t& out) {
            auto [end, bad] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
            return bad == std::errc() && end == digits.data() + digits.size();
        };
        if (type == "string" && number(inside, column.max) && column.max > 0) {
            column.type = Type::string;
            return column;
        }
        if (type == "decimal" && comma != std::string_view::npos &&
            number(inside.substr(0, comma), column.precision) &&
            number(inside.substr(comma + 1), column.scale) && column.precision >= 1 &&
            column.precision <= 65 && column.scale <= std::min(column.precision, 30u)) {
            column.type = Type::decimal;
            return column;
        }
        return std::nullopt;
    }

    void read_partitions(const toml::table& table, Procedure& procedure, const std::string& where) {
        const auto* partitions = table.get_as<toml::array>("partitions");
        if (partitions == nullptr || partitions->empty()) {
            problem(table, where + ": 'partitions' must name the parameters that name partitions");
            return;
        }
        for (const auto& node : *partitions) {
            auto text = node.value_exact<std::string>();
            auto source = text ? partition_source(*text, procedure) : std::nullopt;
            if (source)
                procedure.partitions.push_back(*source);
            else
                problem(node, where + ": " + (text ? "'" + *text + "'" : "this") +
                                  " is neither an int parameter nor an int column of a rows "
                                  "parameter (name.column, counted from 0)");
        }
        // Somebody has to own the call: without a partition of its own it would have no order.
        if (std::none_of(procedure.partitions.begin(), procedure.partitions.end(),
                         [](const PartitionSource& s) { return !s.column; }))
            problem(table, where + ": at least one of 'partitions' must be a parameter of its own");
    }

    static std::optional<PartitionSource> partition_source(const std::string& text,
                                                           const Procedure& procedure) {
        auto point = text.find('.');
        auto name = text.substr(0, point);
        for (std::size_t i = 0; i < procedure.parameters.size(); ++i) {
            const Parameter& parameter = procedure.parameters[i];
            if (parameter.name != name) continue;
            if (point == std::string::npos) {
                if (parameter.type != Type::integer || parameter.nullable) return std::nullopt;
                return PartitionSource{i, std::nullopt};
            }
            std::size_t column = 0;
            const char* end = text.data() + text.size();
            auto parsed = std::from_chars(text.data() + point + 1, end, column);
            if (parsed.ec != std::errc() || parsed.ptr != end || parameter.type != Type::rows ||
                column >= parameter.columns.size() ||
                parameter.columns[column].type != Type::integer ||
                parameter.columns[column].nullable)
                return std::nullopt;
            return PartitionSource{i, column};
        }
        return std::nullopt;
    }

    const std::string& file_;
    std::vector<Problem>& problems_;
    CatalogContent out_;
};

}  // namespace

CatalogContent read_catalog(std::string_view text, const std::string& file,
                            std::vector<Problem>& problems) {
    try {
        return CatalogParser(file, problems).run(toml::parse(text));
    } catch (const toml::parse_error& failure) {
        problems.push_back({file, failure.source().begin.line, std::string(failure.description())});
        return {};
    }
}

}  // namespace bft::catalog

#include "catalog/rules.hpp"

#include <algorithm>

namespace bft::catalog {
namespace {

/// One CREATE TABLE.
class TableRules {
public:
    TableRules(const std::vector<Token>& tokens, const RuleInput& input,
               std::vector<Problem>& problems)
        : tokens_(tokens), input_(input), problems_(problems) {}

    /// The table's name; empty when the statement is not understood.
    std::string run() {
        std::size_t at = 2;  // CREATE TABLE
        if (is(at, "IF")) {
            refuse(at,
                   "IF NOT EXISTS is refused: an application is installed into an empty database");
            at += 3;
        }
        if (at >= tokens_.size() || !tokens_[at].is_identifier()) {
            refuse(0, "CREATE TABLE needs a name");
            return {};
        }
        name_ = tokens_[at].text;
        if (!is(at + 1, "(")) {
            refuse(at,
                   "CREATE TABLE " + name_ + " must list its columns: LIKE and SELECT are refused");
            return name_;
        }
        auto known = input_.tables.find(name_);
        if (known == input_.tables.end())
            refuse(at, "table '" + name_ + "' is not in catalog.toml: give [tables." + name_ +
                           "] with its partition_column, or list it in global_tables");
        else
            partition_ = known->second;
        std::size_t end = definitions(at + 2);
        if (!has_primary_)
            refuse(at, "table '" + name_ + "' has no PRIMARY KEY: its rows have no order");
        if (!partition_.empty() && !columns_.contains(partition_))
            refuse(at, "table '" + name_ + "' has no column '" + partition_ +
                           "', its partition_column in catalog.toml");
        table_options(end);
        return name_;
    }

private:
    bool is(std::size_t at, std::string_view what) const {
        return at < tokens_.size() && tokens_[at].is(what);
    }
    void refuse(std::size_t at, const std::string& why) {
        problems_.push_back(
            {input_.schema_file, tokens_[std::min(at, tokens_.size() - 1)].line, why});
    }

    /// What is between the parentheses; returns the place after them.
    std::size_t definitions(std::size_t at) {
        std::size_t begin = at;
        std::size_t depth = 1;
        for (; at < tokens_.size(); ++at) {
            if (is(at, "(")) ++depth;
            if (is(at, ")")) --depth;
            if ((depth == 1 && is(at, ",")) || depth == 0) {
                if (begin < at) definition(begin, at);
                begin = at + 1;
            }
            if (depth == 0) return at + 1;
        }
        return at;
    }

    void definition(std::size_t begin, std::size_t end) {
        std::size_t at = begin;
        if (is(at, "CONSTRAINT")) {
            ++at;
            if (at < end && !is(at, "PRIMARY") && !is(at, "UNIQUE") && !is(at, "FOREIGN") &&
                !is(at, "CHECK"))
                ++at;
        }
        if (is(at, "CHECK")) return;
        if (is(at, "PRIMARY")) has_primary_ = true;
        if (is(at, "FULLTEXT") || is(at, "SPATIAL")) {
            refuse(at, tokens_[at].upper +
                           " indexes are refused: they rank rows by the server's statistics");
        } else if (is(at, "PRIMARY") || is(at, "UNIQUE") || is(at, "KEY") || is(at, "INDEX")) {
            key(at, end);
        } else if (is(at, "FOREIGN")) {
            key(at, end);
        } else if (at < end && tokens_[at].is_identifier()) {
            column(at, end);
        }
    }

    /// A row of another partition may be locked or changed at the same time: keys must not reach
    /// it.
    void key(std::size_t at, std::size_t end) {
        std::size_t open = at;
        while (open < end && !is(open, "(")) ++open;
        if (open + 1 >= end || partition_.empty()) return;
        if (tokens_[open + 1].text != partition_)
            refuse(at, "table '" + name_ + "': every key must begin with the partition column '" +
                           partition_ + "', this one begins with '" + tokens_[open + 1].text + "'");
    }

    void column(std::size_t at, std::size_t end) {
        columns_.insert(tokens_[at].text);
        for (std::size_t i = at + 1; i < end; ++i) {
            bool primary = is(i, "PRIMARY") && is(i + 1, "KEY");
            has_primary_ |= primary;
            if ((primary || is(i, "UNIQUE")) && !partition_.empty() &&
                tokens_[at].text != partition_)
                refuse(i, "table '" + name_ +
                              "': every key must begin with the partition column '" + partition_ +
                              "', this one is '" + tokens_[at].text + "'");
            if (is(i, "REFERENCES"))
                refuse(i,
                       "a column's REFERENCES is refused: write FOREIGN KEY, beginning with the "
                       "partition column");
        }
    }

    void table_options(std::size_t at) {
        for (; at < tokens_.size(); ++at) {
            if (is(at, "ENGINE")) {
                std::size_t value = is(at + 1, "=") ? at + 2 : at + 1;
                if (!is(value, "INNODB"))
                    refuse(at, "table '" + name_ +
                                   "': the engine must be InnoDB, which is transactional");
            }
            if (is(at, "SELECT") || is(at, "AS")) refuse(at, "CREATE TABLE ... SELECT is refused");
        }
    }

    const std::vector<Token>& tokens_;
    const RuleInput& input_;
    std::vector<Problem>& problems_;
    std::string name_;
    std::string partition_;
    std::set<std::string> columns_;
    bool has_primary_ = false;
};

/// CREATE [UNIQUE] INDEX name ON table (column ...)
void check_index(const std::vector<Token>& tokens, const RuleInput& input,
                 std::vector<Problem>& problems) {
    for (std::size_t i = 0; i + 3 < tokens.size(); ++i) {
        if (!tokens[i].is("ON") || !tokens[i + 2].is("(")) continue;
        auto table = input.tables.find(tokens[i + 1].text);
        if (table != input.tables.end() && !table->second.empty() &&
            tokens[i + 3].text != table->second)
            problems.push_back({input.schema_file, tokens[i].line,
                                "table '" + table->first +
                                    "': every key must begin with the partition column '" +
                                    table->second + "'"});
        return;
    }
}

}  // namespace

void check_schema(const std::vector<Statement>& schema, const RuleInput& input,
                  std::vector<Problem>& problems) {
    std::set<std::string> created;
    for (const auto& statement : schema) {
        auto tokens = tokenize(statement.text, statement.line, input.schema_file, problems);
        if (tokens.empty()) continue;
        check_words(tokens, input.schema_file, problems);
        auto begins = [&](std::size_t at, std::string_view word) {
            return at < tokens.size() && tokens[at].is(word);
        };
        if (begins(0, "CREATE") && begins(1, "TABLE")) {
            auto name = TableRules(tokens, input, problems).run();
            if (name.starts_with("cbft_"))
                problems.push_back({input.schema_file, statement.line,
                                    "'" + name + "': names that begin with cbft_ are ours"});
            created.insert(name);
        } else if (begins(0, "CREATE") && (begins(1, "INDEX") || begins(2, "INDEX"))) {
            check_index(tokens, input, problems);
        } else if (!begins(0, "INSERT")) {
            problems.push_back(
                {input.schema_file, statement.line,
                 "only CREATE TABLE, CREATE INDEX and INSERT belong here, not " + tokens[0].upper});
        }
    }
    for (const auto& [table, column] : input.tables)
        if (!created.contains(table)) {
            auto line = input.table_lines.find(table);
            problems.push_back({input.catalog_file,
                                line == input.table_lines.end() ? 0 : line->second,
                                "table '" + table + "' is not created in schema.sql"});
        }
}

}  // namespace bft::catalog

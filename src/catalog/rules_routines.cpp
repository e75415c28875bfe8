#include "catalog/rules.hpp"

#include <algorithm>
#include <charconv>

namespace bft::catalog {
namespace {

constexpr std::string_view kTransaction = "the executor owns the transaction";
constexpr std::string_view kDefinition = "definitions and administration do not belong into a call";
constexpr std::string_view kDynamic = "dynamic SQL cannot be checked";

struct Denied {
    std::string_view word;
    std::string_view why;
};
// Where a statement begins.
constexpr Denied kStatements[] = {
    {"COMMIT", kTransaction},
    {"ROLLBACK", kTransaction},
    {"START", kTransaction},
    {"SAVEPOINT", kTransaction},
    {"RELEASE", kTransaction},
    {"XA", kTransaction},
    {"LOCK", kTransaction},
    {"UNLOCK", kTransaction},
    {"PREPARE", kDynamic},
    {"EXECUTE", kDynamic},
    {"DEALLOCATE", kDynamic},
    {"CREATE", kDefinition},
    {"ALTER", kDefinition},
    {"DROP", kDefinition},
    {"TRUNCATE", kDefinition},
    {"RENAME", kDefinition},
    {"GRANT", kDefinition},
    {"REVOKE", kDefinition},
    {"LOAD", kDefinition},
    {"SHOW", kDefinition},
    {"FLUSH", kDefinition},
    {"KILL", kDefinition},
    {"ANALYZE", kDefinition},
    {"OPTIMIZE", kDefinition},
    {"REPAIR", kDefinition},
    {"CHECK", kDefinition},
    {"CHECKSUM", kDefinition},
    {"CACHE", kDefinition},
    {"RESET", kDefinition},
    {"PURGE", kDefinition},
    {"CHANGE", kDefinition},
    {"INSTALL", kDefinition},
    {"UNINSTALL", kDefinition},
    {"DESCRIBE", kDefinition},
    {"DESC", kDefinition},
    {"EXPLAIN", kDefinition},
    {"USE", kDefinition},
    {"HANDLER", kDefinition},
    {"BINLOG", kDefinition},
    {"SHUTDOWN", kDefinition},
    {"GET", "the server's diagnostics are text of its own"},
    {"VALUES", "write SELECT"},
};

// Numbered conditions that are deterministic; all others may be about this one server.
constexpr unsigned kHandled[] = {1048, 1062, 1264, 1329, 1365, 1406, 1451, 1452, 1690, 3819, 4025};

template <class List, class Value>
bool contains(const List& list, const Value& value) {
    return std::find(std::begin(list), std::end(list), value) != std::end(list);
}

class RoutineRules {
public:
    RoutineRules(const std::vector<Token>& tokens, const RuleInput& input,
                 const std::set<std::string>& created, std::vector<Problem>& problems)
        : tokens_(tokens), input_(input), created_(created), problems_(problems) {}

    void run(std::size_t name_at) {
        procedure_ = nullptr;
        auto it = input_.procedures.find(tokens_[name_at].text);
        if (it != input_.procedures.end()) procedure_ = &it->second;
        std::size_t body = parameters(name_at + 1);
        collect_declared(body);
        statements(body);
    }

private:
    bool is(std::size_t at, std::string_view what) const {
        return at < tokens_.size() && tokens_[at].is(what);
    }
    void refuse(std::size_t at, const std::string& why) {
        problems_.push_back(
            {input_.procedures_file, tokens_[std::min(at, tokens_.size() - 1)].line, why});
    }

    /// Returns the place after the parameter list.
    std::size_t parameters(std::size_t at) {
        if (!is(at, "(")) {
            refuse(at, "a parameter list is expected here");
            return at;
        }
        std::size_t begin = ++at;
        std::size_t depth = 1;
        std::size_t index = 0;
        for (; at < tokens_.size(); ++at) {
            if (is(at, "(")) ++depth;
            if (is(at, ")")) --depth;
            if ((depth == 1 && is(at, ",")) || depth == 0) {
                if (begin < at) parameter(begin, index++);
                begin = at + 1;
            }
            if (depth == 0) break;
        }
        if (procedure_ != nullptr && index != procedure_->parameters.size())
            refuse(begin - 1, "procedure '" + procedure_->name + "' has " + std::to_string(index) +
                                  " parameters here and " +
                                  std::to_string(procedure_->parameters.size()) +
                                  " in catalog.toml");
        return at + 1;
    }

    void parameter(std::size_t at, std::size_t index) {
        bool out = is(at, "OUT") || is(at, "INOUT");
        if (out || is(at, "IN")) ++at;
        declared_.insert(tokens_[at].upper);
        if (procedure_ == nullptr) return;
        if (out)
            refuse(at, "a procedure of the catalog answers with SELECT, not with OUT parameters");
        if (index >= procedure_->parameters.size() || at + 1 >= tokens_.size()) return;
        const Parameter& wanted = procedure_->parameters[index];
        const std::string& type = tokens_[at + 1].upper;
        bool fits = false;
        switch (wanted.type) {
            case Type::integer:
                fits = type.ends_with("INT") || type == "INTEGER" || type == "BOOLEAN" ||
                       type == "BOOL";
                break;
            case Type::decimal:
                fits = type == "DECIMAL" || type == "NUMERIC" || type == "DEC";
                break;
            case Type::rows:
                fits = type == "JSON" || is_text(type);
                break;
            case Type::string:
                fits = is_text(type) || type.starts_with("DATE") || type.starts_with("TIME") ||
                       type.ends_with("BINARY") || type.ends_with("BLOB");
                break;
        }
        if (!fits)
            refuse(at, "parameter '" + tokens_[at].text + "' of '" + procedure_->name + "' is " +
                           type + " here, which does not take what catalog.toml says of '" +
                           wanted.name + "'");
    }
    static bool is_text(const std::string& type) {
        return type.ends_with("CHAR") || type.ends_with("TEXT");
    }

    /// Names after DECLARE: only they may be SET, because SET of any other name is a server
    /// variable.
    void collect_declared(std::size_t at) {
        for (; at < tokens_.size(); ++at) {
            if (!is(at, "DECLARE")) continue;
            do {
                ++at;
                if (at < tokens_.size()) declared_.insert(tokens_[at].upper);
                ++at;
            } while (is(at, ","));
        }
    }

    void statements(std::size_t at) {
        // Characteristics (LANGUAGE SQL, READS SQL DATA, COMMENT '...') end where the body begins.
        while (at < tokens_.size() && !begins_body(at)) ++at;
        while (at < tokens_.size()) {
            std::size_t end = at;
            statement(at);
            while (end < tokens_.size() && !ends_statement(end)) ++end;
            at = end + 1;
        }
    }
    bool begins_body(std::size_t at) const {
        static constexpr std::string_view kBodies[] = {
            "BEGIN", "SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "SET",    "CALL", "IF",
            "CASE",  "WITH",   "RETURN", "SIGNAL", "DO",     "LOOP",    "REPEAT", "WHILE"};
        return contains_word(kBodies, at) || contains_statement(at);
    }
    template <class List>
    bool contains_word(const List& list, std::size_t at) const {
        return std::any_of(std::begin(list), std::end(list), [&](auto w) { return is(at, w); });
    }
    bool contains_statement(std::size_t at) const {
        return std::any_of(std::begin(kStatements), std::end(kStatements),
                           [&](const Denied& d) { return is(at, d.word); });
    }
    /// After this token another statement begins. ELSE and THEN of a CASE expression count, too,
    /// which does no harm.
    bool ends_statement(std::size_t at) const {
        static constexpr std::string_view kEnds[] = {";",  "BEGIN", "THEN",  "ELSE",
                                                     "DO", "LOOP",  "REPEAT"};
        bool label = is(at, ":") && at > 0 && tokens_[at - 1].is_identifier();
        // REPEAT(...) is a function.
        return label || (contains_word(kEnds, at) && !(is(at, "REPEAT") && is(at + 1, "(")));
    }
    /// The place of the ';' that ends the statement that begins at `at`.
    std::size_t end_of(std::size_t at) const {
        while (at < tokens_.size() && !is(at, ";")) ++at;
        return at;
    }

    void statement(std::size_t at) {
        if (tokens_[at].kind == Token::Kind::word && !is(at + 1, ":")) {
            for (const auto& denied : kStatements)
                if (is(at, denied.word))
                    refuse(at, tokens_[at].upper +
                                   " is refused in a procedure: " + std::string(denied.why));
        }
        if (is(at, "BEGIN") && (is(at + 1, "WORK") || is(at + 1, ";")))
            refuse(at,
                   "BEGIN as a statement is refused in a procedure: " + std::string(kTransaction));
        check_rand(at);
        if (is(at, "SET")) set(at);
        if (is(at, "DECLARE")) declare(at);
        if (is(at, "SELECT") || is(at, "WITH") || (is(at, "(") && is(at + 1, "SELECT")))
            visible(at, "a result that the caller sees");
        if (is(at, "INSERT") || is(at, "REPLACE") || is(at, "UPDATE") || is(at, "DELETE"))
            write(at);
        if (is(at, "CALL")) call(at);
    }

    /// RAND() follows the ordered seed, but rows are visited in an order of the server's choice.
    void check_rand(std::size_t at) {
        std::size_t end = at;
        bool select = false;
        std::size_t rand = 0;
        while (end < tokens_.size() && !ends_statement(end)) {
            select |= is(end, "SELECT");
            if (is(end, "RAND") && is(end + 1, "(")) rand = end;
            ++end;
        }
        if (rand != 0 && (!is(at, "SET") || select))
            refuse(rand,
                   "RAND() is allowed in SET variable = ... only, where the ordered seed rules "
                   "its value");
    }

    void set(std::size_t at) {
        bool target = true;
        std::size_t depth = 0;
        for (std::size_t i = at + 1, end = end_of(at); i < end; ++i) {
            if (is(i, "(")) ++depth;
            if (is(i, ")") && depth > 0) --depth;
            if (target && tokens_[i].kind != Token::Kind::variable &&
                !declared_.contains(tokens_[i].upper))
                refuse(i, "SET " + tokens_[i].text +
                              ": not a parameter or declared variable of this procedure; server "
                              "settings are fixed");
            target = depth == 0 && is(i, ",");
        }
    }

    void declare(std::size_t at) {
        std::size_t end = end_of(at);
        for (std::size_t i = at + 1; i < end; ++i) {
            bool handler = is(i, "HANDLER") && is(i + 1, "FOR");
            bool condition = is(i, "CONDITION") && is(i + 1, "FOR");
            if (is(i, "CURSOR") && is(i + 1, "FOR")) {
                visible(i + 2, "a cursor");
                return;
            }
            if (handler || condition) {
                conditions(i + 2);
                return;
            }
        }
    }

    /// Errors 1213 and 1205 (the server has rolled back already), a full disk and the like must
    /// reach the executor, which runs the transaction again.
    void conditions(std::size_t at) {
        while (at < tokens_.size()) {
            if (is(at, "SQLEXCEPTION") || is(at, "SQLWARNING"))
                refuse(at,
                       "a handler FOR " + tokens_[at].upper +
                           " also swallows deadlocks and full disks: name the SQLSTATE that you "
                           "expect");
            if (tokens_[at].kind == Token::Kind::number) condition_number(at);
            if (is(at, "NOT")) ++at;  // NOT FOUND
            if (is(at, "SQLSTATE")) {
                ++at;
                if (is(at, "VALUE")) ++at;
                if (at < tokens_.size()) condition_state(at);
            }
            ++at;
            if (!is(at, ",")) break;
            ++at;
        }
        if (at < tokens_.size() && !is(at, ";")) statement(at);  // what the handler does
    }
    void condition_number(std::size_t at) {
        unsigned number = 0;
        const std::string& text = tokens_[at].text;
        std::from_chars(text.data(), text.data() + text.size(), number);
        if (!contains(kHandled, number))
            refuse(at, "error " + text +
                           " may concern this one server: handle the SQLSTATE of what "
                           "you expect instead");
    }
    void condition_state(std::size_t at) {
        std::string state = tokens_[at].text.substr(1, 2);
        if (state != "02" && state != "21" && state != "22" && state != "23" && state != "45")
            refuse(
                at,
                "SQLSTATE " + tokens_[at].text +
                    " may concern this one server: classes 02, 21, 22, 23 and 45 may be handled");
    }

    /// What is seen row by row must have an order. One row needs none.
    void visible(std::size_t at, const std::string& what) {
        std::size_t depth = 0;
        bool from = false, into = false, order = false, group = false, select = false;
        bool aggregate = false;
        for (std::size_t i = at, end = end_of(at); i < end; ++i) {
            if (is(i, "(")) ++depth;
            if (is(i, ")") && depth > 0) --depth;
            if (depth != 0) continue;
            if (is(i, "SELECT") && !select) {
                select = true;
                aggregate =
                    is(i + 2, "(") && (is(i + 1, "COUNT") || is(i + 1, "SUM") || is(i + 1, "MIN") ||
                                       is(i + 1, "MAX") || is(i + 1, "AVG"));
            }
            from |= is(i, "FROM");
            into |= is(i, "INTO");
            group |= is(i, "GROUP") || is(i, "UNION");
            order |= is(i, "ORDER") && is(i + 1, "BY");
        }
        bool one_row = select && (!from || (aggregate && !group));
        if (!into && !order && !one_row)
            refuse(at, what +
                           " needs an ORDER BY over a unique key: without it each server gives "
                           "another order");
    }

    void write(std::size_t at) {
        if (procedure_ != nullptr && procedure_->read_only)
            refuse(at, tokens_[at].upper + " in '" + procedure_->name +
                           "', which catalog.toml calls read_only");
        static constexpr std::string_view kBetween[] = {
            "INTO", "FROM", "IGNORE", "LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "QUICK"};
        std::size_t table = at + 1;
        while (contains_word(kBetween, table)) ++table;
        if (table >= tokens_.size()) return;
        auto known = input_.tables.find(tokens_[table].text);
        if (known != input_.tables.end() && known->second.empty())
            refuse(table, "table '" + known->first + "' is global and therefore read-only");
        if (tokens_[table].upper.starts_with("CBFT_"))
            refuse(table, "'" + tokens_[table].text + "' belongs to the voter");
    }

    void call(std::size_t at) {
        if (at + 1 >= tokens_.size()) return;
        const std::string& callee = tokens_[at + 1].text;
        if (!created_.contains(callee))
            refuse(at, "CALL " + callee + ": not a procedure of this application");
        auto it = input_.procedures.find(callee);
        if (procedure_ != nullptr && procedure_->read_only &&
            (it == input_.procedures.end() || !it->second.read_only))
            refuse(at, "'" + procedure_->name + "' is read_only and calls '" + callee +
                           "', which is not");
    }

    const std::vector<Token>& tokens_;
    const RuleInput& input_;
    const std::set<std::string>& created_;
    std::vector<Problem>& problems_;
    const Procedure* procedure_ = nullptr;
    std::set<std::string> declared_;
};

/// Where the routine's name is in CREATE [OR REPLACE] {PROCEDURE|FUNCTION} [IF NOT EXISTS] name; 0
/// when the statement is something else.
std::size_t name_of_create(const std::vector<Token>& tokens) {
    auto is = [&](std::size_t at, std::string_view what) {
        return at < tokens.size() && tokens[at].is(what);
    };
    if (!is(0, "CREATE")) return 0;
    std::size_t at = is(1, "OR") ? 3 : 1;
    if (!is(at, "PROCEDURE") && !is(at, "FUNCTION")) return 0;
    at += is(at + 1, "IF") ? 4 : 1;
    return at < tokens.size() && tokens[at].is_identifier() ? at : 0;
}

bool drops_routine(const std::vector<Token>& tokens) {
    return tokens.size() == 5 && tokens[0].is("DROP") &&
           (tokens[1].is("PROCEDURE") || tokens[1].is("FUNCTION")) && tokens[2].is("IF");
}

}  // namespace

void check_routines(const std::vector<Statement>& routines, const RuleInput& input,
                    std::vector<Problem>& problems) {
    std::vector<std::pair<std::size_t, std::vector<Token>>> parsed;
    std::set<std::string> created;
    for (const auto& statement : routines) {
        auto tokens = tokenize(statement.text, statement.line, input.procedures_file, problems);
        if (tokens.empty()) continue;
        check_words(tokens, input.procedures_file, problems);
        std::size_t name = name_of_create(tokens);
        if (name != 0) {
            if (!created.insert(tokens[name].text).second)
                problems.push_back({input.procedures_file, statement.line,
                                    "'" + tokens[name].text + "' is created twice"});
            parsed.emplace_back(name, std::move(tokens));
        } else if (!drops_routine(tokens)) {
            problems.push_back({input.procedures_file, statement.line,
                                "only CREATE PROCEDURE and CREATE FUNCTION belong here, not " +
                                    tokens[0].upper +
                                    " (a body of several statements needs a DELIMITER line)"});
        }
    }
    for (const auto& [name, tokens] : parsed)
        RoutineRules(tokens, input, created, problems).run(name);
    for (const auto& [name, procedure] : input.procedures) {
        auto line = input.procedure_lines.find(name);
        auto complain =
            [&, at = line == input.procedure_lines.end() ? 0 : line->second](std::string what) {
                problems.push_back({input.catalog_file, at, std::move(what)});
            };
        if (!created.contains(name))
            complain("procedure '" + name + "' is not created in procedures.sql");
        if (!procedure.batch.empty() && !created.contains(procedure.batch))
            complain("the batch form '" + procedure.batch + "' of '" + name +
                     "' is not created in procedures.sql");
        if (!procedure.batch.empty() && input.procedures.contains(procedure.batch))
            complain("'" + procedure.batch + "' is a batch form and cannot be called by itself");
        for (const std::string& other : procedure.commutes_with)
            if (!input.procedures.contains(other))
                complain("'" + name + "' commutes with '" + other + "', which is no procedure");
    }
}

}  // namespace bft::catalog

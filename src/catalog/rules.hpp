// The determinism rules that an application must keep to be registered (database.md,
// "Determinism"): three independent servers have to give the same rows and the same answers. The
// rules work on tokens. They refuse what is known to differ between servers; what they cannot see
// is caught at run time, when databases compare their results.
#pragma once

#include "catalog/application.hpp"
#include "catalog/sql_tokens.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace bft::catalog {

/// What the catalog says about tables, for the rules.
struct RuleInput {
    const std::map<std::string, std::string>& tables;  ///< table -> partition column, empty: global
    const std::map<std::string, Procedure, std::less<>>& procedures;
    std::map<std::string, std::size_t> table_lines;  ///< where catalog.toml names them
    std::map<std::string, std::size_t> procedure_lines;
    std::string catalog_file;
    std::string schema_file;
    std::string procedures_file;
};

/// Tables: InnoDB, a primary key and indexes that begin with the partition column, no values that
/// the server makes up.
void check_schema(const std::vector<Statement>& schema, const RuleInput& input,
                  std::vector<Problem>& problems);

/// Procedures: one for each of the catalog's, with fitting parameters, and nothing in them that
/// differs between servers or that ends the transaction.
void check_routines(const std::vector<Statement>& routines, const RuleInput& input,
                    std::vector<Problem>& problems);

/// The rules for words, functions and literals, which hold everywhere.
void check_words(const std::vector<Token>& tokens, const std::string& file,
                 std::vector<Problem>& problems);

}  // namespace bft::catalog

// SQL text as tokens and statements: enough to check the determinism rules, no parser.
#pragma once

#include "catalog/application.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace bft::catalog {

struct Token {
    enum class Kind : std::uint8_t {
        word,  ///< unquoted identifier or keyword
        name,  ///< identifier in backticks, without them
        text,  ///< string or hexadecimal literal
        number,
        variable,  ///< @x or @@x
        symbol,    ///< one character
    };
    Kind kind{};
    std::string text;   ///< as written
    std::string upper;  ///< of a word: in capitals; otherwise the text
    std::size_t line = 0;

    [[nodiscard]] bool is(std::string_view word_or_symbol) const {
        return (kind == Kind::word || kind == Kind::symbol) && upper == word_or_symbol;
    }
    [[nodiscard]] bool is_identifier() const { return kind == Kind::word || kind == Kind::name; }
};

/// Tokens of one statement that begins at `line`. Comments are left out; an executable comment
/// (/*! ... */ or /*M! ... */) is a problem: servers disagree on what it means.
std::vector<Token> tokenize(std::string_view sql, std::size_t line, const std::string& file,
                            std::vector<Problem>& problems);

/// The statements of a file, split as the `mysql` client does: at the delimiter, which is ";" until
/// a line says DELIMITER.
std::vector<Statement> split_statements(std::string_view sql, const std::string& file,
                                        std::vector<Problem>& problems);

}  // namespace bft::catalog

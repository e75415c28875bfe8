#include "catalog/sql_tokens.hpp"

#include <algorithm>
#include <cctype>

namespace bft::catalog {
namespace {

bool is_space(char c) {
    return std::isspace(static_cast<unsigned char>(c)) != 0;
}
bool is_word(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' ||
           static_cast<unsigned char>(c) >= 0x80;
}

std::string in_capitals(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return out;
}

/// The end of what begins at `at` and is passed over as one piece: a comment, or something in
/// quotes. `at` itself when nothing of that kind begins there; npos when its end is missing.
std::size_t skip_piece(std::string_view sql, std::size_t at) {
    char c = sql[at];
    if (c == '#' || (sql.substr(at, 2) == "--" && (at + 2 == sql.size() || is_space(sql[at + 2]))))
        return std::min(sql.find('\n', at), sql.size());
    if (sql.substr(at, 2) == "/*") {
        std::size_t end = sql.find("*/", at + 2);
        return end == std::string_view::npos ? end : end + 2;
    }
    if (c != '\'' && c != '"' && c != '`') return at;
    for (std::size_t i = at + 1; i < sql.size(); ++i) {
        if (sql[i] == '\\' && c != '`') {
            ++i;
        } else if (sql[i] == c) {
            if (i + 1 < sql.size() && sql[i + 1] == c)
                ++i;
            else
                return i + 1;
        }
    }
    return std::string_view::npos;
}

class Tokenizer {
public:
    Tokenizer(std::string_view sql, std::size_t line, const std::string& file,
              std::vector<Problem>& problems)
        : sql_(sql), line_(line), file_(file), problems_(problems) {}

    std::vector<Token> run() {
        while (at_ < sql_.size()) {
            if (is_space(sql_[at_]))
                advance(at_ + 1);
            else if (!piece())
                simple();
        }
        return std::move(tokens_);
    }

private:
    void advance(std::size_t to) {
        line_ += static_cast<std::size_t>(
            std::count(sql_.begin() + static_cast<std::ptrdiff_t>(at_),
                       sql_.begin() + static_cast<std::ptrdiff_t>(to), '\n'));
        at_ = to;
    }
    void add(Token::Kind kind, std::size_t end) {
        std::string text(sql_.substr(at_, end - at_));
        std::string upper = kind == Token::Kind::word ? in_capitals(text) : text;
        tokens_.push_back({kind, std::move(text), std::move(upper), line_});
        advance(end);
    }

    bool piece() {
        std::size_t end = skip_piece(sql_, at_);
        if (end == at_) return false;
        if (end == std::string_view::npos) {
            problems_.push_back({file_, line_, "a comment or something in quotes has no end"});
            advance(sql_.size());
            return true;
        }
        char c = sql_[at_];
        if (c == '\'' || c == '"') {
            add(Token::Kind::text, end);
        } else if (c == '`') {
            add(Token::Kind::name, end);
            std::string& text = tokens_.back().text;
            text = text.substr(1, text.size() - 2);
            tokens_.back().upper = text;
        } else {
            if (sql_.substr(at_, 3) == "/*!" || sql_.substr(at_, 4) == "/*M!")
                problems_.push_back({file_, line_,
                                     "an executable comment means different things on different "
                                     "servers: write the statement without it"});
            advance(end);
        }
        return true;
    }

    void simple() {
        std::size_t end = at_;
        char c = sql_[at_];
        auto upto = [&](auto&& accept) {
            while (end < sql_.size() && accept(sql_[end])) ++end;
        };
        if (c == '@') {
            upto([](char x) { return x == '@'; });
            if (end < sql_.size() && (sql_[end] == '`' || sql_[end] == '\'' || sql_[end] == '"'))
                end = std::min(skip_piece(sql_, end), sql_.size());
            else
                upto([](char x) { return is_word(x) || x == '.'; });
            add(Token::Kind::variable, end);
        } else if (std::isdigit(static_cast<unsigned char>(c)) ||
                   (c == '.' && at_ + 1 < sql_.size() &&
                    std::isdigit(static_cast<unsigned char>(sql_[at_ + 1])) && !after_name())) {
            upto([](char x) { return is_word(x) || x == '.'; });
            char last = sql_[end - 1];
            if ((last == 'e' || last == 'E') && end < sql_.size() &&
                (sql_[end] == '+' || sql_[end] == '-')) {
                ++end;
                upto([](char x) { return is_word(x); });
            }
            add(Token::Kind::number, end);
        } else if (is_word(c)) {
            upto(is_word);
            add(Token::Kind::word, end);
        } else {
            add(Token::Kind::symbol, at_ + 1);
        }
    }

    /// "t.1x" is a column, ".1" a number.
    [[nodiscard]] bool after_name() const {
        return at_ > 0 && (is_word(sql_[at_ - 1]) || sql_[at_ - 1] == '`');
    }

    std::string_view sql_;
    std::size_t at_ = 0;
    std::size_t line_;
    const std::string& file_;
    std::vector<Problem>& problems_;
    std::vector<Token> tokens_;
};

/// Whether a DELIMITER line begins at `at`, which is the beginning of a line and of a statement.
bool delimiter_line(std::string_view sql, std::size_t at) {
    return in_capitals(sql.substr(at, 9)) == "DELIMITER" && at + 9 < sql.size() &&
           is_space(sql[at + 9]);
}

}  // namespace

std::vector<Token> tokenize(std::string_view sql, std::size_t line, const std::string& file,
                            std::vector<Problem>& problems) {
    return Tokenizer(sql, line, file, problems).run();
}

std::vector<Statement> split_statements(std::string_view sql, const std::string& file,
                                        std::vector<Problem>& problems) {
    std::vector<Statement> statements;
    std::string delimiter = ";";
    std::size_t begin = 0;
    bool begun = false;  // something but space and comments was seen since `begin`
    auto line_of = [&](std::size_t at) {
        return 1 + static_cast<std::size_t>(std::count(
                       sql.begin(), sql.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
    };
    std::size_t at = 0;
    while (at < sql.size()) {
        if (!begun && delimiter_line(sql, at)) {
            std::size_t end = std::min(sql.find('\n', at), sql.size());
            std::string_view word = sql.substr(at + 9, end - at - 9);
            while (!word.empty() && is_space(word.front())) word.remove_prefix(1);
            while (!word.empty() && is_space(word.back())) word.remove_suffix(1);
            if (word.empty())
                problems.push_back({file, line_of(at), "DELIMITER needs a delimiter"});
            else
                delimiter = word;
            at = end;
        } else if (sql.substr(at, delimiter.size()) == delimiter) {
            if (begun)
                statements.push_back({std::string(sql.substr(begin, at - begin)), line_of(begin)});
            at += delimiter.size();
            begun = false;
        } else if (std::size_t end = skip_piece(sql, at); end != at) {
            // An executable comment is no comment: the tokenizer has to see and refuse it.
            bool content = sql[at] == '\'' || sql[at] == '"' || sql[at] == '`' ||
                           sql.substr(at, 3) == "/*!" || sql.substr(at, 4) == "/*M!";
            if (content && !begun) {
                begin = at;
                begun = true;
            }
            if (end == std::string_view::npos) {
                problems.push_back(
                    {file, line_of(at), "a comment or something in quotes has no end"});
                return statements;
            }
            at = end;
        } else {
            if (!begun && !is_space(sql[at])) {
                begin = at;
                begun = true;
            }
            ++at;
        }
    }
    if (begun)
        problems.push_back(
            {file, line_of(begin), "this statement is not ended by '" + delimiter + "'"});
    return statements;
}

}  // namespace bft::catalog

#include "catalog/rules.hpp"

#include <algorithm>
#include <string_view>

namespace bft::catalog {
namespace {

struct Denied {
    std::string_view word;
    std::string_view why;
};

constexpr std::string_view kServer = "says something about this one server or connection";
constexpr std::string_view kRandom = "gives other values on each server";
constexpr std::string_view kSession = "depends on what the session did before";
constexpr std::string_view kFloat =
    "is floating-point arithmetic, whose last digits depend on order and library";
constexpr std::string_view kLock = "waits or locks beside the agreed order";
constexpr std::string_view kSequence =
    "takes its value from the server, and a rollback leaves a gap";

// Followed by a parenthesis.
constexpr Denied kFunctions[] = {
    {"SYSDATE", "reads the server's clock; NOW() gives the ordered time"},
    {"UUID", kRandom},
    {"UUID_SHORT", kRandom},
    {"SYS_GUID", kRandom},
    {"RANDOM_BYTES", kRandom},
    {"ENCRYPT", kRandom},
    {"DES_ENCRYPT", kRandom},
    {"CONNECTION_ID", kServer},
    {"USER", kServer},
    {"SESSION_USER", kServer},
    {"SYSTEM_USER", kServer},
    {"DATABASE", kServer},
    {"SCHEMA", kServer},
    {"VERSION", kServer},
    {"LOAD_FILE", kServer},
    {"PS_CURRENT_THREAD_ID", kServer},
    {"ICU_VERSION", kServer},
    {"SLEEP", kLock},
    {"BENCHMARK", kLock},
    {"GET_LOCK", kLock},
    {"RELEASE_LOCK", kLock},
    {"RELEASE_ALL_LOCKS", kLock},
    {"IS_FREE_LOCK", kLock},
    {"IS_USED_LOCK", kLock},
    {"MASTER_POS_WAIT", kLock},
    {"MASTER_GTID_WAIT", kLock},
    {"SOURCE_POS_WAIT", kLock},
    {"FOUND_ROWS", kSession},
    {"ROW_COUNT", kSession},
    {"LAST_INSERT_ID", kSession},
    {"NEXTVAL", kSequence},
    {"LASTVAL", kSequence},
    {"SETVAL", kSequence},
    {"POW", kFloat},
    {"POWER", kFloat},
    {"SQRT", kFloat},
    {"EXP", kFloat},
    {"LN", kFloat},
    {"LOG", kFloat},
    {"LOG2", kFloat},
    {"LOG10", kFloat},
    {"SIN", kFloat},
    {"COS", kFloat},
    {"TAN", kFloat},
    {"COT", kFloat},
    {"ASIN", kFloat},
    {"ACOS", kFloat},
    {"ATAN", kFloat},
    {"ATAN2", kFloat},
    {"PI", kFloat},
    {"RADIANS", kFloat},
    {"DEGREES", kFloat},
    {"STD", kFloat},
    {"STDDEV", kFloat},
    {"STDDEV_POP", kFloat},
    {"STDDEV_SAMP", kFloat},
    {"VARIANCE", kFloat},
    {"VAR_POP", kFloat},
    {"VAR_SAMP", kFloat},
    {"PERCENT_RANK", kFloat},
    {"CUME_DIST", kFloat},
    {"JSON_OBJECTAGG", "puts its members together in no defined order"},
};

// Anywhere as an unquoted word.
constexpr Denied kWords[] = {
    {"CURRENT_USER", kServer},
    {"CURRENT_ROLE", kServer},
    {"ROWNUM", "numbers rows in no defined order"},
    {"FLOAT", kFloat},
    {"FLOAT4", kFloat},
    {"FLOAT8", kFloat},
    {"DOUBLE", kFloat},
    {"REAL", kFloat},
    {"AUTO_INCREMENT", kSequence},
    {"SERIAL", kSequence},
    {"TEMPORARY", "temporary tables live in the session, and ordered transactions share sessions"},
    {"MYISAM", "the engine must be InnoDB, which is transactional"},
    {"ARIA", "the engine must be InnoDB, which is transactional"},
    {"DEFINER", "names a user of one server; leave it out"},
    {"NOWAIT", kLock},
};

constexpr std::string_view kCatalogs[] = {"MYSQL", "INFORMATION_SCHEMA", "PERFORMANCE_SCHEMA",
                                          "SYS"};

template <std::size_t N>
const Denied* find(const Denied (&list)[N], std::string_view word) {
    auto it = std::find_if(std::begin(list), std::end(list),
                           [&](const Denied& d) { return d.word == word; });
    return it == std::end(list) ? nullptr : it;
}

class Words {
public:
    Words(const std::vector<Token>& tokens, const std::string& file, std::vector<Problem>& problems)
        : tokens_(tokens), file_(file), problems_(problems) {}

    void run() {
        for (at_ = 0; at_ < tokens_.size(); ++at_) {
            const Token& token = tokens_[at_];
            if (token.kind == Token::Kind::variable)
                variable(token);
            else if (token.kind == Token::Kind::number)
                number(token);
            else if (token.is_identifier() && !is(at_ - 1, "."))
                word(token);
        }
        limits();
        qualified();
    }

private:
    bool is(std::size_t at, std::string_view what) const {
        return at < tokens_.size() && tokens_[at].is(what);
    }
    void refuse(const Token& token, const std::string& why) {
        problems_.push_back({file_, token.line, why});
    }

    void variable(const Token& token) {
        if (token.text.starts_with("@@"))
            refuse(token, token.text + " is a server variable: it may differ between servers");
        else
            refuse(token, token.text +
                              " is a user variable, which outlives the call in the session: "
                              "use DECLARE");
    }
    void number(const Token& token) {
        bool hex = token.text.starts_with("0x") || token.text.starts_with("0X");
        if (!hex && token.text.find_first_of("eE") != std::string::npos)
            refuse(token, token.text + " is a floating-point literal: write it as a decimal");
    }

    void word(const Token& token) {
        if (token.kind == Token::Kind::word) {
            if (const Denied* denied = find(kWords, token.upper))
                refuse(token, token.upper + " is refused: " + std::string(denied->why));
            if (token.upper == "SKIP" && is(at_ + 1, "LOCKED"))
                refuse(token, "SKIP LOCKED is refused: " + std::string(kLock));
            if ((token.upper == "NEXT" || token.upper == "PREVIOUS") && is(at_ + 1, "VALUE") &&
                is(at_ + 2, "FOR"))
                refuse(token, token.upper + " VALUE is refused: " + std::string(kSequence));
        }
        if (is(at_ + 1, "(") && !names_something()) function(token);
        bool catalog = std::any_of(std::begin(kCatalogs), std::end(kCatalogs), [&](auto name) {
            return name.size() == token.text.size() &&
                   std::equal(name.begin(), name.end(), token.text.begin(), [](char a, char b) {
                       return a == std::toupper(static_cast<unsigned char>(b));
                   });
        });
        if (catalog && is(at_ + 1, "."))
            refuse(token, token.text + " is the server's own catalog: it differs between servers");
    }
    /// "INSERT INTO user (...)" is no call of USER().
    bool names_something() const {
        static constexpr std::string_view kBefore[] = {"INTO", "TABLE", "EXISTS",    "REFERENCES",
                                                       "KEY",  "INDEX", "PROCEDURE", "FUNCTION"};
        return std::any_of(std::begin(kBefore), std::end(kBefore),
                           [&](auto before) { return is(at_ - 1, before); });
    }
    void function(const Token& token) {
        if (const Denied* denied = find(kFunctions, token.upper))
            refuse(token, token.upper + "() is refused: it " + std::string(denied->why));
        if ((token.upper == "GROUP_CONCAT" || token.upper == "JSON_ARRAYAGG") && !ordered_inside())
            refuse(token, token.upper + "() needs an ORDER BY over a total order inside");
    }
    bool ordered_inside() const {
        std::size_t depth = 0;
        for (std::size_t i = at_ + 1; i < tokens_.size(); ++i) {
            if (is(i, "(")) ++depth;
            if (is(i, ")") && --depth == 0) return false;
            if (depth == 1 && is(i, "ORDER") && is(i + 1, "BY")) return true;
        }
        return false;
    }

    /// LIMIT takes some rows of many: without an order, others on each server.
    void limits() {
        std::vector<bool> ordered{false};
        for (std::size_t i = 0; i < tokens_.size(); ++i) {
            if (is(i, "(")) {
                ordered.push_back(false);
            } else if (is(i, ")") && ordered.size() > 1) {
                ordered.pop_back();
            } else if (is(i, "SELECT") || is(i, ";") || is(i, "UPDATE") || is(i, "DELETE")) {
                ordered.back() = false;
            } else if (is(i, "ORDER") && is(i + 1, "BY")) {
                ordered.back() = true;
            } else if (bool fetch = is(i, "FETCH") && (is(i + 1, "FIRST") || is(i + 1, "NEXT")) &&
                                    !is(i + 2, "FROM");
                       (fetch || is(i, "LIMIT")) && !is(i - 1, ".") && !ordered.back()) {
                refuse(tokens_[i],
                       tokens_[i].upper +
                           " without ORDER BY in the same statement takes other rows on "
                           "each server: order by a unique key");
            }
        }
    }

    /// A table of another database is outside of what is ordered, checked and compared.
    void qualified() {
        std::vector<std::string> opened;  // the word before each open parenthesis
        for (std::size_t i = 0; i + 3 < tokens_.size(); ++i) {
            if (is(i, "(")) opened.push_back(i > 0 ? tokens_[i - 1].upper : "");
            if (is(i, ")") && !opened.empty()) opened.pop_back();
            bool table = is(i, "JOIN") || is(i, "INTO") || is(i, "TABLE") ||
                         (is(i, "UPDATE") && !is(i - 1, "KEY")) ||
                         (is(i, "FROM") && !(!opened.empty() && takes_from(opened.back())));
            if (table && tokens_[i + 1].is_identifier() && is(i + 2, ".") &&
                tokens_[i + 3].is_identifier())
                refuse(tokens_[i + 1],
                       "'" + tokens_[i + 1].text + "." + tokens_[i + 3].text +
                           "' names a table with its database: leave the database out");
        }
    }
    static bool takes_from(const std::string& function) {
        return function == "TRIM" || function == "EXTRACT" || function == "SUBSTRING" ||
               function == "SUBSTR" || function == "MID";
    }

    const std::vector<Token>& tokens_;
    const std::string& file_;
    std::vector<Problem>& problems_;
    std::size_t at_ = 0;
};

}  // namespace

void check_words(const std::vector<Token>& tokens, const std::string& file,
                 std::vector<Problem>& problems) {
    Words(tokens, file, problems).run();
}

}  // namespace bft::catalog

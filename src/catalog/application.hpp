// An application is a folder: schema.sql, procedures.sql, catalog.toml (docs/adr/0004), and
// templates in pages/ if it has any. One of kind "ordering" is a catalog alone: its calls are
// ordered and answered with their place, and no database runs them (docs/adr/0014). The catalog
// says how each procedure is called and which partitions a call touches.
#pragma once

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "catalog/value.hpp"

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace bft::catalog {

enum class Type : std::uint8_t { integer, decimal, string, rows };

/// One parameter of a procedure, or one column of a `rows` parameter.
struct Parameter {
    std::string name;
    Type type = Type::integer;
    bool nullable = false;
    std::int64_t low = INT64_MIN;    ///< integer: smallest value
    std::int64_t high = INT64_MAX;   ///< integer: largest value
    std::uint32_t max = 0;           ///< string: Unicode characters
    std::uint32_t precision = 0;     ///< decimal: digits in all
    std::uint32_t scale = 0;         ///< decimal: digits behind the point
    std::vector<Parameter> columns;  ///< rows
    std::uint32_t max_rows = 0;      ///< rows
};

/// Which argument names a partition: a parameter, or one column of a rows parameter.
struct PartitionSource {
    std::size_t parameter = 0;
    std::optional<std::size_t> column;
};

struct Procedure {
    std::string name;
    bool read_only = false;
    std::vector<Parameter> parameters;
    std::vector<PartitionSource> partitions;
    /// The procedure that runs a row of such calls at once; empty: there is none.
    std::string batch;
    std::uint32_t batch_from = 2;  ///< fewer calls run one by one: the batch form would cost more
    /// Calls of these may change places with a call of this one.
    std::set<std::string, std::less<>> commutes_with;
};

/// One statement of an SQL file, as the server gets it.
struct Statement {
    std::string text;
    std::size_t line = 0;  ///< where it begins, from 1
};

/// A template for the results of one procedure (docs/http.md, "Pages").
struct Page {
    std::string text;
    Digest digest;
};

/// Why an application is not accepted.
struct Problem {
    std::string file;
    std::size_t line = 0;  ///< 0 when it concerns the file as a whole
    std::string what;

    /// "file:line: what"
    [[nodiscard]] std::string text() const;
};

/// The number of characters of a UTF-8 text; nullopt when it is none. Overlong forms, surrogates
/// and what is beyond U+10FFFF are refused, as the server would, but here on every node alike.
std::optional<std::size_t> utf8_characters(std::string_view text);

/// What becomes of an ordered call.
enum class Kind : std::uint8_t {
    database = 1,  ///< databases run the procedure; f_D+1 equal results are the answer
    ordering = 2,  ///< nothing runs: its place in the order is the answer
};

class Application {
public:
    /// Reads and checks the folder, the determinism rules included. On failure the error holds
    /// every problem, one "file:line: reason" each, separated by line ends.
    static Result<Application> load(const std::filesystem::path& folder);
    /// The same from texts. `where` is the folder's name in problems, `pages` holds the templates
    /// by procedure.
    static Result<Application> parse(const std::string& where, std::string_view catalog_toml,
                                     std::string_view schema_sql, std::string_view procedures_sql,
                                     const std::map<std::string, std::string>& pages = {});

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] Kind kind() const { return kind_; }
    /// A cluster has databases exactly when its application is for databases; else why not.
    [[nodiscard]] Result<void> fits(std::size_t voters) const;
    [[nodiscard]] std::uint32_t version() const { return version_; }
    /// Binds the bytes of the three files and the templates: part of the cluster's identity.
    [[nodiscard]] const Digest& digest() const { return digest_; }
    [[nodiscard]] const std::map<std::string, Procedure, std::less<>>& procedures() const {
        return procedures_;
    }
    /// By procedure: the files pages/PROCEDURE.html.
    [[nodiscard]] const std::map<std::string, Page, std::less<>>& pages() const { return pages_; }
    /// nullptr when there is none of that name.
    [[nodiscard]] const Procedure* procedure(std::string_view name) const;
    /// Table -> partition column; empty for read-only global tables.
    [[nodiscard]] const std::map<std::string, std::string>& tables() const { return tables_; }
    [[nodiscard]] const std::vector<Statement>& schema() const { return schema_; }
    [[nodiscard]] const std::vector<Statement>& routines() const { return routines_; }

    /// Errc::not_found: unknown procedure. Errc::malformed: arguments that do not fit the
    /// parameters. The sentence names the procedure and the parameter. The same on every node.
    [[nodiscard]] Result<void> check_call(const Call& call) const;
    /// Whether neighbouring calls of these may change places, in effects and answers, though they
    /// share a partition.
    [[nodiscard]] bool commute(const Procedure& one, const Procedure& other) const;
    /// The partitions that the call touches, sorted, unique. Requires that check_call() accepts it.
    [[nodiscard]] std::vector<PartitionId> partitions_of(const Call& call) const;

private:
    std::string name_;
    Kind kind_ = Kind::database;
    std::uint32_t version_ = 0;
    Digest digest_;
    std::map<std::string, Procedure, std::less<>> procedures_;
    std::map<std::string, std::string> tables_;
    std::map<std::string, Page, std::less<>> pages_;
    std::vector<Statement> schema_;
    std::vector<Statement> routines_;
};

}  // namespace bft::catalog

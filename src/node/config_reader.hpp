// Reads TOML tables key by key into variables, notes every mistake with its place, and at the end
// every key that nobody asked for.
#pragma once

#include "base/bytes.hpp"
#include "node/config.hpp"

#include <toml++/toml.h>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace bft::node {

/// What the readers of one file share.
struct ReadContext {
    std::filesystem::path file;
    Diagnostics errors;
    std::map<std::string, Place> places;

    void error(Place place, std::string what);
    /// Errors by line, ready to be shown.
    [[nodiscard]] Diagnostics sorted() const;
};

/// The file's text, or a diagnostic in `context`.
std::optional<std::string> read_text_file(ReadContext& context);
/// nullopt after a syntax error, which is in `context` then.
std::optional<toml::table> parse_toml(std::string_view text, ReadContext& context);

enum class Need : std::uint8_t { required, optional };

/// A key's value is left as it was when the key is absent or wrong. The functions that return bool
/// say whether the key is present and right.
class TableReader {
public:
    /// `name` is the table's own ("usig", "group[0]"; empty for the root).
    TableReader(const toml::table& table, std::string name, ReadContext& context)
        : table_(&table), name_(std::move(name)), context_(&context) {}

    bool text(std::string_view key, std::string& into, Need need = Need::optional);
    /// Absolute; relative ones are taken from the file's folder.
    bool path(std::string_view key, std::filesystem::path& into, Need need = Need::optional);
    /// "name:port", "1.2.3.4:port" or "[::1]:port".
    bool address(std::string_view key, std::string& into, Need need = Need::optional);
    /// Exactly `size` bytes as hexadecimal digits.
    bool hex_bytes(std::string_view key, std::size_t size, Bytes& into, Need need = Need::optional);
    bool texts(std::string_view key, std::vector<std::string>& into, Need need = Need::optional);
    bool numbers(std::string_view key, std::int64_t max, std::vector<std::int64_t>& into,
                 Need need = Need::optional);
    bool boolean(std::string_view key, bool& into);
    bool millis(std::string_view key, Duration& into, std::int64_t min, std::int64_t max);

    template <class T>
    bool number(std::string_view key, T& into, std::int64_t min, std::int64_t max,
                Need need = Need::optional) {
        std::int64_t value = 0;
        if (!integer(key, value, min, max, need)) return false;
        into = static_cast<T>(value);
        return true;
    }

    /// One [table]; nullopt when it is absent or no table.
    std::optional<TableReader> table(std::string_view key, Need need = Need::optional);
    /// Every [[table]] of this name.
    std::vector<TableReader> tables(std::string_view key, Need need = Need::optional);

    /// Adds an error at `key`'s value, or at the table where the key is absent.
    void error(std::string_view key, std::string what);
    [[nodiscard]] Place place(std::string_view key = {}) const;
    [[nodiscard]] bool has(std::string_view key) const { return table_->contains(key); }
    /// "usig.tcti"
    [[nodiscard]] std::string full_name(std::string_view key) const;
    /// Reports the keys that nothing asked for. Call it last.
    void finish();

private:
    const toml::node* find(std::string_view key, Need need);
    bool integer(std::string_view key, std::int64_t& into, std::int64_t min, std::int64_t max,
                 Need need);
    bool wrong_type(std::string_view key, const toml::node& node, std::string_view wanted);

    const toml::table* table_;
    std::string name_;
    ReadContext* context_;
    std::set<std::string, std::less<>> asked_;
};

/// [database] of node.toml and [host.database] of a topology.
DatabaseConfig read_database(TableReader& table);
/// A TPM's name in the form of tss2-tctildr, of the kinds that are supported.
bool read_tcti(TableReader& table, std::string_view key, std::string& into, Need need);

/// A client's public key as hexadecimal digits, of either kind.
bool read_client_key(TableReader& table, std::string_view key, Bytes& into);
bool read_http_url(TableReader& table, std::string_view key, std::string& into);
/// [http] of node.toml and of gateway.toml.
void read_http(TableReader& table, HttpConfig& http);

/// The candidate that `word` was probably meant to be: at most two slips away; empty if none is.
std::string closest(std::string_view word, const std::set<std::string, std::less<>>& candidates);
/// "; did you mean 'x'?" or nothing.
std::string did_you_mean(std::string_view word,
                         const std::set<std::string, std::less<>>& candidates);
bool is_address(std::string_view text);

}  // namespace bft::node

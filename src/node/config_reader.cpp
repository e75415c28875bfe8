#include "node/config_reader.hpp"

#include <boost/asio/ip/address.hpp>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <sstream>

namespace bft::node {
namespace {

constexpr std::uintmax_t file_bytes_max = 4 * 1024 * 1024;

Place place_of(const toml::node& node) {
    const toml::source_region& source = node.source();
    return {static_cast<std::uint32_t>(source.begin.line),
            static_cast<std::uint32_t>(source.begin.column)};
}

/// Insertions, deletions, replacements and swaps of neighbours between two words.
std::size_t slips(std::string_view a, std::string_view b) {
    std::vector<std::vector<std::size_t>> cost(a.size() + 1,
                                               std::vector<std::size_t>(b.size() + 1));
    for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
    for (std::size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        for (std::size_t j = 1; j <= b.size(); ++j) {
            cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1,
                                   cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0u : 1u)});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
        }
    }
    return cost[a.size()][b.size()];
}

}  // namespace

std::string closest(std::string_view word, const std::set<std::string, std::less<>>& candidates) {
    std::string best;
    std::size_t best_slips = 3;
    for (const std::string& candidate : candidates) {
        const std::size_t n = slips(word, candidate);
        if (n < best_slips && n < candidate.size()) {
            best = candidate;
            best_slips = n;
        }
    }
    return best;
}

std::string did_you_mean(std::string_view word,
                         const std::set<std::string, std::less<>>& candidates) {
    const std::string best = closest(word, candidates);
    return best.empty() ? std::string() : "; did you mean '" + best + "'?";
}

bool is_address(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos || colon == 0) return false;
    std::string_view host = text.substr(0, colon);
    const std::string_view port_text = text.substr(colon + 1);
    unsigned port = 0;
    const auto [end, failure] =
        std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
    if (failure != std::errc{} || end != port_text.data() + port_text.size()) return false;
    if (port == 0 || port > 65535) return false;
    if (host.front() == '[') {
        if (host.back() != ']') return false;
        boost::system::error_code bad;
        boost::asio::ip::make_address_v6(std::string(host.substr(1, host.size() - 2)), bad);
        return !bad;
    }
    return host.size() <= 253 && std::all_of(host.begin(), host.end(), [](unsigned char c) {
               return std::isalnum(c) != 0 || c == '.' || c == '-';
           });
}

void ReadContext::error(Place place, std::string what) {
    errors.push_back({file, place.line, place.column, std::move(what)});
}

Diagnostics ReadContext::sorted() const {
    Diagnostics all = errors;
    std::stable_sort(all.begin(), all.end(), [](const Diagnostic& a, const Diagnostic& b) {
        return a.line != b.line ? a.line < b.line : a.column < b.column;
    });
    return all;
}

std::optional<std::string> read_text_file(ReadContext& context) {
    std::error_code bad;
    if (!std::filesystem::is_regular_file(context.file, bad)) {
        context.error({}, bad ? "cannot read this file: " + bad.message() : "this is no file");
        return std::nullopt;
    }
    if (std::filesystem::file_size(context.file, bad) > file_bytes_max || bad) {
        context.error({}, "this file is larger than 4 MiB: it cannot be a configuration");
        return std::nullopt;
    }
    std::ifstream in(context.file, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    if (!in) {
        context.error({}, std::string("cannot read this file: ") + std::strerror(errno));
        return std::nullopt;
    }
    return text.str();
}

std::optional<toml::table> parse_toml(std::string_view text, ReadContext& context) {
    try {
        return toml::parse(text, context.file.string());
    } catch (const toml::parse_error& failure) {
        const toml::source_position at = failure.source().begin;
        context.error({static_cast<std::uint32_t>(at.line), static_cast<std::uint32_t>(at.column)},
                      std::string(failure.description()));
        return std::nullopt;
    }
}

std::string TableReader::full_name(std::string_view key) const {
    return name_.empty() ? std::string(key) : name_ + "." + std::string(key);
}

Place TableReader::place(std::string_view key) const {
    const toml::node* node = key.empty() ? nullptr : table_->get(key);
    return place_of(node != nullptr ? *node : *table_);
}

void TableReader::error(std::string_view key, std::string what) {
    context_->error(place(key), std::move(what));
}

const toml::node* TableReader::find(std::string_view key, Need need) {
    asked_.emplace(key);
    const toml::node* node = table_->get(key);
    if (node != nullptr) {
        context_->places.emplace(full_name(key), place_of(*node));
    } else if (need == Need::required) {
        context_->error(place(), "'" + full_name(key) + "' is missing");
    }
    return node;
}

bool TableReader::wrong_type(std::string_view key, const toml::node& node,
                             std::string_view wanted) {
    context_->error(place_of(node), "'" + full_name(key) + "' must be " + std::string(wanted));
    return false;
}

bool TableReader::text(std::string_view key, std::string& into, Need need) {
    const toml::node* node = find(key, need);
    if (node == nullptr) return false;
    const toml::value<std::string>* value = node->as_string();
    if (value == nullptr) return wrong_type(key, *node, "a text in quotes");
    if (need == Need::required && value->get().empty())
        return wrong_type(key, *node, "a text that is not empty");
    into = value->get();
    return true;
}

bool TableReader::path(std::string_view key, std::filesystem::path& into, Need need) {
    std::string value;
    if (!text(key, value, need)) return false;
    if (value.empty()) {
        into.clear();
        return true;
    }
    into = (context_->file.parent_path() / value).lexically_normal();
    if (!into.has_filename()) into = into.parent_path();  // "data/" is "data"
    return true;
}

bool TableReader::address(std::string_view key, std::string& into, Need need) {
    std::string value;
    if (!text(key, value, need)) return false;
    if (!value.empty() && !is_address(value)) {
        error(key, "'" + value +
                       "' is no address; write \"host:port\", as in \"10.0.0.7:7000\" or "
                       "\"[fd00::7]:7000\"");
        return false;
    }
    into = std::move(value);
    return true;
}

bool TableReader::hex_bytes(std::string_view key, std::size_t size, Bytes& into, Need need) {
    std::string value;
    if (!text(key, value, need)) return false;
    std::optional<Bytes> bytes = from_hex(value);
    if (!bytes || bytes->size() != size) {
        error(key, "'" + full_name(key) + "' must be " + std::to_string(2 * size) +
                       " hexadecimal digits");
        return false;
    }
    into = std::move(*bytes);
    return true;
}

bool TableReader::texts(std::string_view key, std::vector<std::string>& into, Need need) {
    const toml::node* node = find(key, need);
    if (node == nullptr) return false;
    const toml::array* array = node->as_array();
    if (array == nullptr) return wrong_type(key, *node, "a list of texts, as in [\"a\", \"b\"]");
    std::vector<std::string> values;
    for (const toml::node& element : *array) {
        if (!element.is_string()) return wrong_type(key, element, "a list of texts only");
        values.push_back(element.as_string()->get());
    }
    into = std::move(values);
    return true;
}

bool TableReader::numbers(std::string_view key, std::int64_t max, std::vector<std::int64_t>& into,
                          Need need) {
    const toml::node* node = find(key, need);
    if (node == nullptr) return false;
    const toml::array* array = node->as_array();
    if (array == nullptr) return wrong_type(key, *node, "a list of numbers, as in [1, 2]");
    std::vector<std::int64_t> values;
    for (const toml::node& element : *array) {
        const toml::value<std::int64_t>* value = element.as_integer();
        if (value == nullptr || value->get() < 0 || value->get() > max)
            return wrong_type(key, element,
                              "a list of whole numbers from 0 to " + std::to_string(max));
        values.push_back(value->get());
    }
    into = std::move(values);
    return true;
}

bool TableReader::boolean(std::string_view key, bool& into) {
    const toml::node* node = find(key, Need::optional);
    if (node == nullptr) return false;
    if (!node->is_boolean()) return wrong_type(key, *node, "true or false");
    into = node->as_boolean()->get();
    return true;
}

bool TableReader::integer(std::string_view key, std::int64_t& into, std::int64_t min,
                          std::int64_t max, Need need) {
    const toml::node* node = find(key, need);
    if (node == nullptr) return false;
    const toml::value<std::int64_t>* value = node->as_integer();
    if (value == nullptr || value->get() < min || value->get() > max)
        return wrong_type(
            key, *node,
            "a whole number from " + std::to_string(min) + " to " + std::to_string(max));
    into = value->get();
    return true;
}

bool TableReader::millis(std::string_view key, Duration& into, std::int64_t min, std::int64_t max) {
    std::int64_t value = 0;
    if (!integer(key, value, min, max, Need::optional)) return false;
    into = std::chrono::milliseconds(value);
    return true;
}

std::optional<TableReader> TableReader::table(std::string_view key, Need need) {
    const toml::node* node = find(key, need);
    if (node == nullptr) return std::nullopt;
    const toml::table* found = node->as_table();
    if (found == nullptr) {
        wrong_type(key, *node, "a table, [" + full_name(key) + "]");
        return std::nullopt;
    }
    return TableReader(*found, full_name(key), *context_);
}

std::vector<TableReader> TableReader::tables(std::string_view key, Need need) {
    std::vector<TableReader> all;
    const toml::node* node = find(key, need);
    if (node == nullptr) return all;
    const toml::array* array = node->as_array();
    const bool right = array != nullptr && array->is_homogeneous(toml::node_type::table);
    if (!right) {
        wrong_type(key, *node, "one or more tables, [[" + full_name(key) + "]]");
        return all;
    }
    for (std::size_t i = 0; i < array->size(); ++i)
        all.emplace_back(*array->get_as<toml::table>(i),
                         full_name(key) + "[" + std::to_string(i) + "]", *context_);
    return all;
}

void TableReader::finish() {
    for (const auto& [key, node] : *table_) {
        if (asked_.contains(key.str())) continue;
        context_->error(
            {key.source().begin.line, key.source().begin.column},
            "unknown key '" + full_name(key.str()) + "'" + did_you_mean(key.str(), asked_));
    }
}

}  // namespace bft::node

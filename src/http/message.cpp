#include "http/message.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>

namespace bft::http {

namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::optional<std::string> unescape(std::string_view text, bool plus_is_space) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '%') {
            if (text.size() - i < 3) return std::nullopt;
            int high = hex_digit(text[i + 1]);
            int low = hex_digit(text[i + 2]);
            if (high < 0 || low < 0 || high * 16 + low == 0) return std::nullopt;
            out += static_cast<char>(high * 16 + low);
            i += 2;
        } else {
            out += c == '+' && plus_is_space ? ' ' : c;
        }
    }
    return out;
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : static_cast<char>(c);
    });
    return out;
}

}  // namespace

std::string_view Request::parameter(std::string_view name) const {
    auto found = query.find(name);
    return found == query.end() ? std::string_view() : std::string_view(found->second);
}

Response error_response(unsigned status, std::string_view code, std::string_view text) {
    Response response;
    response.status = status;
    response.body = boost::json::serialize(
        boost::json::object{{"error", boost::json::object{{"code", code}, {"text", text}}}});
    return response;
}

std::optional<Target> parse_target(std::string_view target) {
    if (target.empty() || target.front() != '/') return std::nullopt;
    std::size_t question = target.find('?');
    auto path = unescape(target.substr(0, question), false);
    if (!path) return std::nullopt;
    Target parsed{std::move(*path), {}};
    if (question == std::string_view::npos) return parsed;
    std::string_view rest = target.substr(question + 1);
    while (!rest.empty()) {
        std::string_view pair = rest.substr(0, rest.find('&'));
        rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
        std::size_t equals = pair.find('=');
        auto name = unescape(pair.substr(0, equals), true);
        auto value = unescape(
            equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1), true);
        if (!name || !value || !parsed.query.emplace(std::move(*name), std::move(*value)).second)
            return std::nullopt;
    }
    return parsed;
}

std::string media_type(std::string_view header) {
    std::string_view type = header.substr(0, header.find(';'));
    while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.remove_suffix(1);
    return lower(type);
}

}  // namespace bft::http

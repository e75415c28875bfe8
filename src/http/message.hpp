// Requests and responses as handlers see them.
#pragma once

#include "base/bytes.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bft::http {

struct Request {
    std::string method;
    std::string path;  ///< decoded, without the query
    std::map<std::string, std::string, std::less<>> query;
    std::vector<std::string> captured;  ///< what stands for each {} of the route, in order
    std::string content_type;           ///< lower case, without parameters
    std::string authorization;
    std::optional<std::string> idempotency_key;
    std::string body;
    std::string remote;  ///< address and port

    /// Of the query; empty when it is not there.
    [[nodiscard]] std::string_view parameter(std::string_view name) const;
};

struct Response {
    unsigned status = 200;
    std::string content_type = "application/json";
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers;
};

/// {"error": {"code": ..., "text": ...}} (docs/openapi.yaml).
Response error_response(unsigned status, std::string_view code, std::string_view text);

/// "/a/b?c=d" taken apart; nullopt when it is not in that form or its escapes are wrong.
struct Target {
    std::string path;
    std::map<std::string, std::string, std::less<>> query;
};
std::optional<Target> parse_target(std::string_view target);

/// Of a Content-Type: lower case, without parameters.
std::string media_type(std::string_view header);

/// Answers one request; on the loop, once (later calls do nothing).
using Respond = std::function<void(Response)>;
using Handler = std::function<void(Request, Respond)>;

}  // namespace bft::http

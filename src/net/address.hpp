// "host:port" as cluster files write it.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace bft::net {

struct Address {
    std::string host;  ///< a name, or an IPv4 or IPv6 address without brackets
    std::uint16_t port = 0;
};

/// "127.0.0.1:7000", "db-1.example:7000", "[::1]:7000".
[[nodiscard]] Result<Address> parse_address(std::string_view text);

}  // namespace bft::net

#include "net/address.hpp"

#include <charconv>

namespace bft::net {

namespace {

Error bad_address(std::string_view text) {
    return error(Errc::malformed, "\"" + std::string(text.substr(0, 100)) +
                                      "\" is not an address: write host:port or [IPv6]:port");
}

}  // namespace

Result<Address> parse_address(std::string_view text) {
    std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return bad_address(text);
    std::string_view host = text.substr(0, colon);
    std::string_view port = text.substr(colon + 1);
    if (host.size() >= 2 && host.front() == '[' && host.back() == ']')
        host = host.substr(1, host.size() - 2);
    else if (host.find(':') != std::string_view::npos)
        return bad_address(text);
    if (host.empty() || host.size() > 253 || port.empty()) return bad_address(text);
    Address address;
    address.host = host;
    auto [end, code] = std::from_chars(port.data(), port.data() + port.size(), address.port);
    if (code != std::errc() || end != port.data() + port.size()) return bad_address(text);
    return address;
}

}  // namespace bft::net

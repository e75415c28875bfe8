// Base64url without padding (RFC 4648, section 5): byte strings in JSON.
#pragma once

#include "base/bytes.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace bft {

std::string base64url(ByteView bytes);
/// nullopt for everything that base64url() would not have written.
std::optional<Bytes> from_base64url(std::string_view text);

}  // namespace bft

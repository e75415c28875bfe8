// Arguments of a call as people type them.
#pragma once

#include "base/result.hpp"

#include <bftnode/client.hpp>
#include <string_view>

namespace bft::node {

/// "NULL" is null; whole numbers are integers; "[[1,"a"],[2,null]]" (JSON) are rows; "text:..." is
/// what follows, whatever it looks like; anything else is a text.
Result<void> parse_argument(std::string_view text, bftnode::Value& into);

}  // namespace bft::node

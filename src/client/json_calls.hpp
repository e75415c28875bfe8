// Calls as plain JSON, for callers that sign nothing themselves (docs/openapi.yaml, /v1/call).
#pragma once

#include "base/result.hpp"
#include "bftnode/client.hpp"
#include "catalog/application.hpp"

#include <boost/json/array.hpp>

#include <string_view>
#include <vector>

namespace bft::client {

/// The arguments of `procedure` in their order, from an array or, by name, from an object. The
/// error's sentence is for the caller.
[[nodiscard]] Result<std::vector<bftnode::Value>> arguments_from_json(
    const catalog::Procedure& procedure, std::string_view body);
[[nodiscard]] boost::json::array results_to_json(const std::vector<bftnode::Rows>& sets);

}  // namespace bft::client

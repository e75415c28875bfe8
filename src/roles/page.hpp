// Pages: an application's templates, rendered from a transaction and nothing else, so that correct
// replicas give the same bytes (docs/http.md, "Pages").
#pragma once

#include "base/result.hpp"
#include "catalog/application.hpp"
#include "consensus/messages.hpp"

#include <string>

namespace bft::roles {

/// Renders `text`, a Mustache template, from the call and its answer. A result that cannot be
/// decoded gives a page without result sets.
std::string render_page(const std::string& text, const catalog::Procedure& procedure,
                        const catalog::Call& call, const consensus::Reply& reply);
/// Errors name what is wrong with the template.
Result<void> check_template(const std::string& text);

}  // namespace bft::roles

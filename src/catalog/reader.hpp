// catalog.toml -> what an Application holds, reporting every problem with its line.
#pragma once

#include "catalog/application.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace bft::catalog {

struct CatalogContent {
    std::string name;
    Kind kind = Kind::database;
    std::uint32_t version = 0;
    std::map<std::string, std::string> tables;
    std::map<std::string, Procedure, std::less<>> procedures;
    std::map<std::string, std::size_t> table_lines;
    std::map<std::string, std::size_t> procedure_lines;
};

/// `file` names the text in problems. Unknown keys are problems, too: a misspelt one would be
/// ignored.
CatalogContent read_catalog(std::string_view text, const std::string& file,
                            std::vector<Problem>& problems);

}  // namespace bft::catalog

// Files that a server hands out as they are, kept in memory: what is asked for later cannot lead
// anywhere else on the disk.
#pragma once

#include "base/result.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace bft::http {

struct SiteFile {
    std::string content_type;
    std::string body;
};

class Site {
public:
    /// Every regular file below `folder`, 32 MiB in all at most; names beginning with a dot are
    /// left out.
    static Result<Site> load(const std::filesystem::path& folder);

    /// "/" and names that end with it mean index.html. Null: there is none.
    [[nodiscard]] const SiteFile* find(std::string_view path) const;

private:
    std::map<std::string, std::shared_ptr<const SiteFile>, std::less<>> files_;
};

}  // namespace bft::http

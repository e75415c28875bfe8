#include "http/site.hpp"

#include <fstream>
#include <sstream>

namespace bft::http {

namespace fs = std::filesystem;

namespace {

constexpr std::uintmax_t bytes_max = 32 * 1024 * 1024;

std::string type_of(const fs::path& file) {
    static const std::map<std::string, std::string> types = {
        {".html", "text/html; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".mjs", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".json", "application/json"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".ico", "image/x-icon"},
        {".txt", "text/plain; charset=utf-8"},
        {".woff2", "font/woff2"},
    };
    auto found = types.find(file.extension().string());
    return found == types.end() ? "application/octet-stream" : found->second;
}

bool hidden(const fs::path& relative) {
    for (const fs::path& part : relative)
        if (part.string().starts_with(".")) return true;
    return false;
}

}  // namespace

Result<Site> Site::load(const fs::path& folder) {
    Site site;
    std::uintmax_t bytes = 0;
    std::error_code failure;
    for (fs::recursive_directory_iterator at(folder, failure), end; !failure && at != end;
         at.increment(failure)) {
        fs::path relative = at->path().lexically_relative(folder);
        if (!at->is_regular_file() || hidden(relative)) continue;
        bytes += at->file_size();
        if (bytes > bytes_max)
            return error(Errc::exhausted, folder.string() + " holds more than 32 MiB");
        std::ifstream in(at->path(), std::ios::binary);
        std::ostringstream text;
        text << in.rdbuf();
        if (!in) return error(Errc::io, "cannot read " + at->path().string());
        site.files_.emplace(
            "/" + relative.generic_string(),
            std::make_shared<const SiteFile>(SiteFile{type_of(relative), std::move(text).str()}));
    }
    if (failure)
        return error(Errc::io, "cannot read " + folder.string() + ": " + failure.message());
    return site;
}

const SiteFile* Site::find(std::string_view path) const {
    std::string name(path);
    if (name.ends_with("/")) name += "index.html";
    auto found = files_.find(name);
    return found == files_.end() ? nullptr : found->second.get();
}

}  // namespace bft::http

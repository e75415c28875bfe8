#include "base/secret_file.hpp"

#include <cstdlib>

namespace bft {
namespace {

std::filesystem::path credentials() {
    const char* folder = std::getenv("CREDENTIALS_DIRECTORY");
    return folder == nullptr ? std::filesystem::path() : std::filesystem::path(folder);
}

}  // namespace

std::filesystem::path secret_path(const std::filesystem::path& file) {
    const std::filesystem::path folder = credentials();
    if (folder.empty() || file.empty()) return file;
    std::filesystem::path handed = folder / file.filename();
    std::error_code missing;
    return std::filesystem::exists(handed, missing) ? handed : file;
}

bool is_closed(const std::filesystem::path& file, mode_t mode) {
    const std::filesystem::path folder = credentials();
    const mode_t others = S_IRWXG | S_IRWXO;
    if (!folder.empty() && file.parent_path() == folder) return (mode & others & ~S_IRGRP) == 0;
    return (mode & others) == 0;
}

}  // namespace bft

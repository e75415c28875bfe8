// Files with private keys: only their owner may read them, and none is ever overwritten.
#pragma once

#include "base/result.hpp"

#include <filesystem>
#include <string>
#include <string_view>

namespace bft::crypto {

/// Errors say what to do: missing, readable by others, too large for a key.
[[nodiscard]] Result<std::string> read_private_file(const std::filesystem::path& file);
/// Creates `file` with mode 0600 and syncs it.
[[nodiscard]] Result<void> write_private_file(const std::filesystem::path& file,
                                              std::string_view text);

}  // namespace bft::crypto

// Who may read a secret's file, and where the service manager puts secrets.
#pragma once

#include <filesystem>
#include <sys/stat.h>

namespace bft {

/// What is in `file` when the service manager hands secrets over (systemd's LoadCredential=): the
/// file of the same name in $CREDENTIALS_DIRECTORY, else `file` itself.
std::filesystem::path secret_path(const std::filesystem::path& file);

/// Is a secret of this mode closed to everybody but its owner? systemd opens its credentials to the
/// service's user by an access control list, which shows as the group's right to read.
bool is_closed(const std::filesystem::path& file, mode_t mode);

}  // namespace bft

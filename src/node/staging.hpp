// Writes a set of files so that either all of them appear or none.
#pragma once

#include "base/result.hpp"

#include <filesystem>
#include <set>
#include <string_view>
#include <vector>

namespace bft::node {

/// Files are made in a hidden folder beside their places and moved there by commit(); until then,
/// and when the object goes away without it, nothing is left behind.
class Staging {
public:
    /// Makes `target` (mode 0700) when it is missing.
    static Result<Staging> open(const std::filesystem::path& target);
    Staging(Staging&& other) noexcept;
    Staging& operator=(Staging&&) = delete;
    ~Staging();

    /// Where a file that shall be at `relative` under the target is to be made now; its folder
    /// exists.
    Result<std::filesystem::path> place(const std::filesystem::path& relative);
    Result<void> write(const std::filesystem::path& relative, std::string_view text);
    /// The regular files right in `folder`.
    Result<void> copy_folder(const std::filesystem::path& folder,
                             const std::filesystem::path& relative);
    /// A copy of a secret that only its owner may read. Errc::not_found: there is none, or an empty
    /// one.
    Result<void> copy_secret(const std::filesystem::path& file,
                             const std::filesystem::path& relative);

    /// The staged files whose places are taken.
    [[nodiscard]] std::vector<std::filesystem::path> conflicts() const;
    /// Moves everything into place. Files whose places are taken are moved to `set_aside` first
    /// (under the target): a key is never destroyed.
    Result<void> commit(const std::filesystem::path& set_aside);

private:
    Staging(std::filesystem::path target, std::filesystem::path folder, bool made_target)
        : target_(std::move(target)), folder_(std::move(folder)), made_target_(made_target) {}

    std::filesystem::path target_;
    std::filesystem::path folder_;
    bool made_target_ = false;
    std::set<std::filesystem::path> files_;  ///< relative
};

}  // namespace bft::node

// Merkle trees over digests: the entries of a slot, the requests of a signed bundle.
#pragma once

#include "base/bytes.hpp"

#include <cstddef>
#include <optional>
#include <vector>

namespace bft {

/// Root over the leaves in order. Leaves and inner nodes are hashed with different tags and the
/// root binds the number of leaves, so no subtree passes for a tree.
Digest merkle_root(const std::vector<Digest>& leaves);

/// The siblings from leaf `index` up to the root, bottom first. Requires index < leaves.size().
std::vector<Digest> merkle_path(const std::vector<Digest>& leaves, std::size_t index);

/// The same with every level kept: one root, and the paths of many leaves.
class MerkleTree {
public:
    explicit MerkleTree(std::vector<Digest> leaves);

    [[nodiscard]] const std::vector<Digest>& leaves() const { return leaves_; }
    [[nodiscard]] const Digest& root() const { return root_; }
    /// Requires index < leaves().size().
    [[nodiscard]] std::vector<Digest> path(std::size_t index) const;

private:
    std::vector<Digest> leaves_;
    std::vector<std::vector<Digest>> levels_;  ///< bottom first, up to the single top
    Digest root_;
};

/// The root that `leaf` at `index` of `count` leaves and `path` lead to; nullopt when the path's
/// length does not fit. Safe on hostile input.
std::optional<Digest> merkle_fold(const Digest& leaf, std::size_t index, std::size_t count,
                                  const std::vector<Digest>& path);

}  // namespace bft

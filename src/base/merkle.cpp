#include "base/merkle.hpp"

#include "base/invariant.hpp"
#include "base/sha256.hpp"

namespace bft {

namespace {

Digest leaf_hash(const Digest& leaf) {
    return Digester("mk-leaf").digest(leaf).finish();
}

Digest node_hash(const Digest& left, const Digest& right) {
    return Digester("mk-node").digest(left).digest(right).finish();
}

Digest root_hash(std::size_t count, const Digest& top) {
    return Digester("mk-root").u64(count).digest(top).finish();
}

// The level above: pairs are joined, an odd last node moves up as it is.
std::vector<Digest> level_above(const std::vector<Digest>& level) {
    std::vector<Digest> above;
    above.reserve((level.size() + 1) / 2);
    for (std::size_t i = 0; i + 1 < level.size(); i += 2)
        above.push_back(node_hash(level[i], level[i + 1]));
    if (level.size() % 2 == 1) above.push_back(level.back());
    return above;
}

std::vector<Digest> leaf_level(const std::vector<Digest>& leaves) {
    std::vector<Digest> level;
    level.reserve(leaves.size());
    for (const Digest& leaf : leaves) level.push_back(leaf_hash(leaf));
    return level;
}

}  // namespace

Digest merkle_root(const std::vector<Digest>& leaves) {
    if (leaves.empty()) return root_hash(0, Digest{});
    std::vector<Digest> level = leaf_level(leaves);
    while (level.size() > 1) level = level_above(level);
    return root_hash(leaves.size(), level.front());
}

std::vector<Digest> merkle_path(const std::vector<Digest>& leaves, std::size_t index) {
    invariant(index < leaves.size(), "the leaf is one of the tree's");
    std::vector<Digest> path;
    std::vector<Digest> level = leaf_level(leaves);
    while (level.size() > 1) {
        std::size_t sibling = index ^ 1;
        if (sibling < level.size()) path.push_back(level[sibling]);
        level = level_above(level);
        index /= 2;
    }
    return path;
}

MerkleTree::MerkleTree(std::vector<Digest> leaves) : leaves_(std::move(leaves)) {
    if (leaves_.empty()) {
        root_ = root_hash(0, Digest{});
        return;
    }
    levels_.push_back(leaf_level(leaves_));
    while (levels_.back().size() > 1) levels_.push_back(level_above(levels_.back()));
    root_ = root_hash(leaves_.size(), levels_.back().front());
}

std::vector<Digest> MerkleTree::path(std::size_t index) const {
    invariant(index < leaves_.size(), "the leaf is one of the tree's");
    std::vector<Digest> path;
    path.reserve(levels_.size());
    for (const std::vector<Digest>& level : levels_) {
        if (level.size() > 1 && (index ^ 1) < level.size()) path.push_back(level[index ^ 1]);
        index /= 2;
    }
    return path;
}

std::optional<Digest> merkle_fold(const Digest& leaf, std::size_t index, std::size_t count,
                                  const std::vector<Digest>& path) {
    if (index >= count) return std::nullopt;
    Digest node = leaf_hash(leaf);
    std::size_t used = 0;
    for (std::size_t width = count; width > 1; width = (width + 1) / 2, index /= 2) {
        if ((index ^ 1) >= width) continue;  // an odd last node moves up alone
        if (used == path.size()) return std::nullopt;
        const Digest& sibling = path[used++];
        node = index % 2 == 0 ? node_hash(node, sibling) : node_hash(sibling, node);
    }
    if (used != path.size()) return std::nullopt;
    return root_hash(count, node);
}

}  // namespace bft

// Merkle bundles of docs/http.md: one signature over many digests.

import { FormatError, digestOf, u64 } from './bytes.js';

async function levels(digests) {
  const out = [await Promise.all(digests.map((digest) => digestOf('mk-leaf', digest)))];
  while (out.at(-1).length > 1) {
    const below = out.at(-1);
    const level = [];
    for (let i = 0; i < below.length; i += 2)
      level.push(i + 1 < below.length ? digestOf('mk-node', below[i], below[i + 1]) : below[i]);
    out.push(await Promise.all(level));
  }
  return out;
}

function close(count, top) {
  return digestOf('mk-root', u64(count), top);
}

/** Root and every leaf's path. At least one digest. */
export async function merkleTree(digests) {
  const tree = await levels(digests);
  const paths = digests.map((_, leaf) => {
    const path = [];
    for (let level = 0, at = leaf; level + 1 < tree.length; ++level, at >>= 1)
      if ((at ^ 1) < tree[level].length) path.push(tree[level][at ^ 1]);
    return path;
  });
  return { root: await close(digests.length, tree.at(-1)[0]), paths };
}

/** The root that `digest` as leaf `index` of `count` and its path lead to. Throws when the path does not fit. */
export async function merkleFold(digest, index, count, path) {
  if (!Number.isInteger(index) || !Number.isInteger(count) || index < 0 || index >= count || count > 65536)
    throw new FormatError('a leaf outside of its bundle');
  let node = await digestOf('mk-leaf', digest);
  let used = 0;
  for (let at = index, width = count; width > 1; at >>= 1, width = (width + 1) >> 1) {
    if ((at ^ 1) >= width) continue;
    const sibling = path[used++];
    if (sibling === undefined) throw new FormatError('the path is too short');
    node = await (at & 1 ? digestOf('mk-node', sibling, node) : digestOf('mk-node', node, sibling));
  }
  if (used !== path.length) throw new FormatError('the path is too long');
  return close(count, node);
}

#include "snapshot_entry.hpp"

#include "base/invariant.hpp"
#include "consensus/signed_bytes.hpp"
#include "database/row_codec.hpp"
#include "database/snapshot_file.hpp"

#include <algorithm>

namespace bft::fuzz {

namespace {

database::SnapshotSource source_of(ByteView bytes) {
    return
        [bytes, at = std::size_t{0}](std::span<std::uint8_t> into) mutable -> Result<std::size_t> {
            const std::size_t got = std::min(into.size(), bytes.size() - at);
            std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), got, into.begin());
            at += got;
            return got;
        };
}

}  // namespace

bool snapshot_file(ByteView bytes) {
    auto reader = database::SnapshotReader::from(source_of(bytes));
    if (!reader) {
        invariant(!reader.error().what.empty(), "what is wrong is said");
        return false;
    }
    const database::SnapshotHead& head = reader->head();
    invariant(consensus::database_root(*head.leaves) == head.root, "the leaves are the root's");
    auto again = database::decode_snapshot_head(database::encode(head));
    invariant(again.has_value() && again->root == head.root && *again->leaves == *head.leaves,
              "what we write can be read");
    std::size_t chunks = 0, wanted = 0;
    for (const consensus::DbLeaf& leaf : *head.leaves) wanted += leaf.chunks.size();
    while (true) {
        auto chunk = reader->next();
        if (!chunk) {
            invariant(!chunk.error().what.empty(), "what is wrong is said");
            return false;
        }
        if (!*chunk) break;
        ++chunks;
        (void)database::decode_rows((*chunk)->rows, 3);
    }
    invariant(chunks == wanted, "all chunks were there");
    return true;
}

Bytes small_snapshot() {
    auto rows = [](std::string_view value) {
        Bytes bytes;
        database::put_value(bytes, value);
        database::put_null(bytes);
        database::put_value(bytes, "7");
        return bytes;
    };
    const std::vector<Bytes> chunks = {rows("alice"), rows("bob"), rows("1")};
    auto leaves = std::make_shared<std::vector<consensus::DbLeaf>>();
    leaves->push_back({"account",
                       PartitionId(1),
                       2,
                       {consensus::chunk_digest(chunks[0]), consensus::chunk_digest(chunks[1])}});
    leaves->push_back({"cbft_part", PartitionId(0), 1, {consensus::chunk_digest(chunks[2])}});
    database::SnapshotHead head;
    head.cluster.bytes.fill(1);
    head.application.bytes.fill(2);
    head.slot = Slot(64);
    head.root = consensus::database_root(*leaves);
    head.votes = {{VoterId(0), head.slot, head.root, Bytes(64, 3)},
                  {VoterId(2), head.slot, head.root, Bytes(64, 4)}};
    head.leaves = leaves;
    Bytes all = to_bytes(as_bytes("bftsnap1"));
    auto number = [&all](std::uint64_t value, int size) {
        for (int shift = 8 * (size - 1); shift >= 0; shift -= 8)
            all.push_back(static_cast<std::uint8_t>(value >> shift));
    };
    const Bytes encoded = database::encode(head);
    number(encoded.size(), 8);
    all.insert(all.end(), encoded.begin(), encoded.end());
    for (const Bytes& chunk : chunks) {
        number(chunk.size(), 4);
        all.insert(all.end(), chunk.begin(), chunk.end());
    }
    return all;
}

}  // namespace bft::fuzz

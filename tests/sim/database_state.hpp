// What a simulated database holds, as tables: everything in it is a function of the order, so that
// one root stands for it (docs/adr/0007).
#pragma once

#include "consensus/client_window.hpp"
#include "consensus/messages.hpp"
#include "operation.hpp"

#include <map>
#include <utility>
#include <vector>

namespace bft::sim {

struct DatabaseState {
    std::map<PartitionId, Rows> rows;
    std::map<PartitionId, Seq> next;
    std::map<std::pair<Slot, std::uint32_t>, consensus::ItemResult> executed;
    std::map<std::pair<PartitionId, ClientId>, consensus::ClientWindow> windows;
    Bytes config;  ///< cbft_cfg: the newest configuration; empty: none was executed

    /// At the checkpoint item of `slot`: rows of `executed` that no client may ask for any more, of
    /// slots that replicas do not send again.
    void forget_executed(Slot slot, std::uint64_t kept);
};

/// The rows of one partition in one table, cut into chunks.
struct TableChunks {
    std::string table;
    PartitionId partition{};
    std::uint64_t rows = 0;
    std::vector<Bytes> chunks;
};
std::vector<TableChunks> chunks_of(const DatabaseState& state);
consensus::DbLeavesPtr leaves_of(const std::vector<TableChunks>& tables);
/// Puts a chunk's rows in. False: they are no rows of that table.
bool load_chunk(DatabaseState& state, const consensus::DbLeaf& leaf, ByteView rows);

}  // namespace bft::sim

// Reads a whole database in canonical order, as digests of chunks (docs/adr/0007).
#pragma once

#include "catalog/application.hpp"
#include "consensus/messages.hpp"
#include "database/session.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace bft::database {

/// Every table that a root covers -> its partition column; empty: it has none.
std::map<std::string, std::string> tables_of(const catalog::Application& application);

struct TableShape {
    std::string name;
    std::vector<std::string> columns;  ///< in order, generated ones left out
    std::vector<bool> binary;          ///< by column: bytes, not characters
    /// Column numbers of partition column and primary key: the order of the rows.
    std::vector<std::size_t> keys;
    bool partitioned = false;  ///< keys begins with the partition column
};

/// A value of a column as SQL.
std::string literal(const TableShape& shape, std::size_t column, std::string_view value);

/// Errc::not_found: the table, its primary key or the partition column is missing.
Result<TableShape> describe(Session& session, const std::string& table,
                            const std::string& partition_column);

/// Where a chunk is in its table.
struct ChunkPlace {
    std::uint64_t rows = 0;
    std::vector<std::string> first;  ///< values of the keys in its first row
};

struct DatabaseScan {
    consensus::DbLeavesPtr leaves;
    std::vector<std::size_t> shape_of;            ///< by leaf
    std::vector<std::vector<ChunkPlace>> places;  ///< by leaf and chunk
    std::vector<TableShape> shapes;
};

/// A chunk ends after so many bytes.
inline constexpr std::size_t chunk_bytes = 1024 * 1024;

/// Opens the snapshot that scan() and read_chunk() see.
Result<void> begin_snapshot(Session& session);

/// Scans in begin_snapshot(). Errc::not_found: something is missing or unreadable, see
/// is_damage(); Errc::unavailable: the connection broke, or `pause`, which is called after each
/// chunk, returned false.
Result<DatabaseScan> scan(Session& session, const std::map<std::string, std::string>& tables,
                          const std::function<bool()>& pause);

/// The canonical rows of one chunk, read again in the same snapshot.
Result<Bytes> read_chunk(Session& session, const DatabaseScan& scan, std::uint32_t leaf,
                         std::uint32_t chunk);

}  // namespace bft::database

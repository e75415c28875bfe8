// An ordered store of byte strings on the local disk (RocksDB; docs/adr/0003-storage-rocksdb.md).
// Keys and values are bytes; what they mean is the caller's. Grouping several callers' records into
// one synced write is the caller's, too.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

namespace bft::storage {

/// Changes that become visible and durable together or not at all.
class Batch {
public:
    Batch();
    ~Batch();
    Batch(Batch&&) noexcept;
    Batch& operator=(Batch&&) noexcept;

    void put(ByteView key, ByteView value);
    void erase(ByteView key);
    /// Every key in [from, to).
    void erase_range(ByteView from, ByteView to);
    void clear();
    [[nodiscard]] bool empty() const;
    /// Encoded size, for whoever bounds a group.
    [[nodiscard]] std::size_t bytes() const;

private:
    friend class Store;
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

struct StoreOptions {
    std::size_t write_buffer_bytes =
        16 * 1024 * 1024;  ///< in memory before a table is written; twice this
    std::size_t cache_bytes = 16 * 1024 * 1024;  ///< of table blocks, for reads
};

/// Safe to use from several threads at once. After a write() that failed the store must be closed
/// and the node stopped: what a failed fsync left on the disk is unknown, and repeating it proves
/// nothing.
class Store {
public:
    /// Creates the directory if need be. Errors say what to do: another process holds it
    /// (Errc::unavailable), disk full (Errc::exhausted), damaged or unreadable (Errc::io).
    [[nodiscard]] static Result<std::unique_ptr<Store>> open(const std::filesystem::path& folder,
                                                             const StoreOptions& options = {});
    ~Store();
    Store(const Store&) = delete;
    Store& operator=(const Store&) = delete;

    /// With `sync`: this batch and all earlier ones are on the disk when it returns. Without: they
    /// survive the death of the process, not of the machine. Errc::exhausted: disk full; Errc::io.
    [[nodiscard]] Result<void> write(const Batch& batch, bool sync);

    /// nullopt: no such key. Errc::io also where a checksum does not match.
    [[nodiscard]] Result<std::optional<Bytes>> get(ByteView key) const;

    /// Visits keys that begin with `prefix`, from `from` on (empty: from the first), in bytewise
    /// order, while `visit` returns true. The views are valid during the call only. Sees one
    /// moment's state, whatever is written meanwhile.
    [[nodiscard]] Result<void> scan(
        ByteView prefix, ByteView from,
        const std::function<bool(ByteView key, ByteView value)>& visit) const;

    /// What the folder's files take, in bytes.
    [[nodiscard]] std::uint64_t bytes_on_disk() const;

private:
    struct Impl;
    explicit Store(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace bft::storage

#include "storage/store.hpp"

#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <string>
#include <system_error>

namespace bft::storage {

namespace {

// An empty view may have no address; RocksDB asserts that a Slice has one.
rocksdb::Slice slice(ByteView view) {
    if (view.empty()) return {};
    return {reinterpret_cast<const char*>(view.data()), view.size()};
}

ByteView view_of(const rocksdb::Slice& slice) {
    return {reinterpret_cast<const std::uint8_t*>(slice.data()), slice.size()};
}

Error failure(const rocksdb::Status& status, const std::string& doing) {
    std::string text = doing + ": " + status.ToString();
    if (status.IsNoSpace())
        return error(Errc::exhausted, text + "; free space on this file system, then start again");
    return error(Errc::io, text);
}

Error open_failure(const rocksdb::Status& status, const std::filesystem::path& folder) {
    const std::string where = "data directory " + folder.string();
    const std::string text = status.ToString();
    // RocksDB has no code of its own for a lock that another one holds.
    if (status.IsIOError() && (text.find("lock hold by current process") != std::string::npos ||
                               text.find("While lock file") != std::string::npos))
        return error(Errc::unavailable,
                     where +
                         " is in use by another process: a second node with the same data "
                         "directory must not run; stop it or give this one its own (" +
                         text + ")");
    if (status.IsNoSpace()) return failure(status, "cannot open " + where);
    if (status.IsCorruption())
        return error(Errc::io, where + " is damaged (" + text +
                                   "): nothing was changed; do not delete it to go on, but replace "
                                   "this node as docs/operations.md says");
    return error(Errc::io, "cannot open " + where + ": " + text);
}

rocksdb::Options database_options(const StoreOptions& wanted) {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.paranoid_checks = true;
    // An incomplete last record is a write that nobody was told about and is cut. Damage before the
    // end is never skipped: open() fails rather than give back an older state.
    options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
    options.recycle_log_file_num = 0;
    options.compression = rocksdb::kNoCompression;
    options.bottommost_compression = rocksdb::kNoCompression;
    options.write_buffer_size = wanted.write_buffer_bytes;
    options.max_write_buffer_number = 2;
    options.max_total_wal_size = 4 * wanted.write_buffer_bytes;
    options.target_file_size_base = 4 * wanted.write_buffer_bytes;
    options.max_background_jobs = 2;
    options.max_open_files = 256;
    options.keep_log_file_num = 4;
    options.max_log_file_size = 1024 * 1024;
    options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
    options.stats_dump_period_sec = 0;
    options.avoid_unnecessary_blocking_io = true;
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(wanted.cache_bytes);
    table.cache_index_and_filter_blocks = true;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    return options;
}

}  // namespace

// --- Batch
// -----------------------------------------------------------------------------------------

struct Batch::Impl {
    rocksdb::WriteBatch batch;
};

Batch::Batch() : impl_(std::make_unique<Impl>()) {}
Batch::~Batch() = default;
Batch::Batch(Batch&&) noexcept = default;
Batch& Batch::operator=(Batch&&) noexcept = default;

// Status is ignored on purpose: a WriteBatch without max_bytes and column families takes
// everything.
void Batch::put(ByteView key, ByteView value) {
    impl_->batch.Put(slice(key), slice(value)).PermitUncheckedError();
}
void Batch::erase(ByteView key) {
    impl_->batch.Delete(slice(key)).PermitUncheckedError();
}
void Batch::erase_range(ByteView from, ByteView to) {
    impl_->batch.DeleteRange(slice(from), slice(to)).PermitUncheckedError();
}
void Batch::clear() {
    impl_->batch.Clear();
}
bool Batch::empty() const {
    return impl_->batch.Count() == 0;
}
std::size_t Batch::bytes() const {
    return impl_->batch.GetDataSize();
}

// --- Store
// -----------------------------------------------------------------------------------------

struct Store::Impl {
    std::filesystem::path folder;
    std::unique_ptr<rocksdb::DB> db;
};

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::open(const std::filesystem::path& folder,
                                           const StoreOptions& options) {
    std::error_code code;
    std::filesystem::create_directories(folder, code);
    if (code)
        return error(Errc::io,
                     "cannot create data directory " + folder.string() + ": " + code.message());
    rocksdb::DB* db = nullptr;
    rocksdb::Status status = rocksdb::DB::Open(database_options(options), folder.string(), &db);
    if (!status.ok()) return open_failure(status, folder);
    auto impl = std::make_unique<Impl>();
    impl->folder = folder;
    impl->db.reset(db);
    return std::unique_ptr<Store>(new Store(std::move(impl)));
}

Result<void> Store::write(const Batch& batch, bool sync) {
    rocksdb::WriteOptions options;
    options.sync = sync;
    rocksdb::Status status = impl_->db->Write(options, &batch.impl_->batch);
    if (!status.ok()) return failure(status, "cannot write to " + impl_->folder.string());
    return {};
}

Result<std::optional<Bytes>> Store::get(ByteView key) const {
    rocksdb::PinnableSlice value;
    rocksdb::Status status = impl_->db->Get(rocksdb::ReadOptions(),
                                            impl_->db->DefaultColumnFamily(), slice(key), &value);
    if (status.IsNotFound()) return std::optional<Bytes>();
    if (!status.ok()) return failure(status, "cannot read from " + impl_->folder.string());
    return std::optional<Bytes>(to_bytes(view_of(value)));
}

Result<void> Store::scan(ByteView prefix, ByteView from,
                         const std::function<bool(ByteView key, ByteView value)>& visit) const {
    std::unique_ptr<rocksdb::Iterator> it(impl_->db->NewIterator(rocksdb::ReadOptions()));
    const rocksdb::Slice start =
        slice(from).compare(slice(prefix)) > 0 ? slice(from) : slice(prefix);
    for (it->Seek(start); it->Valid() && it->key().starts_with(slice(prefix)); it->Next())
        if (!visit(view_of(it->key()), view_of(it->value()))) break;
    if (!it->status().ok())
        return failure(it->status(), "cannot read from " + impl_->folder.string());
    return {};
}

std::uint64_t Store::bytes_on_disk() const {
    std::uint64_t total = 0;
    std::error_code code;
    for (std::filesystem::directory_iterator it(impl_->folder, code), end; !code && it != end;
         it.increment(code)) {
        // A file may vanish between the listing and the question: then it takes nothing.
        std::error_code gone;
        std::uintmax_t size = it->file_size(gone);
        if (!gone) total += size;
    }
    return total;
}

}  // namespace bft::storage

// Where the service keeps intents and last certificates. Injected, because a room cannot reach
// storage/: FileJournal is complete by itself, a node may put another store behind it.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace bft::usig {

class Journal {
public:
    virtual ~Journal() = default;
    /// Replaces the value of `key`. It outlives this process when put() returns; with sync() it
    /// outlives the machine. Called by one thread at a time.
    virtual Result<void> put(const std::string& key, ByteView value) = 0;
    /// Makes sure, before a counter is incremented, that what must be put afterwards will find
    /// room. Errc::exhausted: it would not; nothing has changed, ask again when there is room.
    virtual Result<void> reserve() = 0;
    /// Everything that was put is durable when this returns.
    virtual Result<void> sync() = 0;
    virtual Result<std::optional<Bytes>> get(const std::string& key) = 0;
};

/// An append-only file of checksummed records, held locked; compacted when it has grown. A torn
/// last record (crash in the middle of a write) is cut off; damage anywhere else refuses to open,
/// because a value forgotten here is an amnesia (T2) that must not pass unseen. A full disk is met
/// by reserve(), before a value is spent that could not be recorded.
class FileJournal : public Journal {
public:
    struct Options {
        std::uint64_t compact_bytes = 16 * 1024 * 1024;
        /// What reserve() promises, on top of what is in the file: a round of certificates takes
        /// some 20 KiB.
        std::uint64_t reserve_bytes = 64 * 1024;
        /// false in tests that measure nothing about durability.
        bool fsync = true;
    };
    /// Creates `folder` (mode 0700) when missing. Errc::unavailable: another process holds it.
    static Result<std::unique_ptr<FileJournal>> open(const std::filesystem::path& folder,
                                                     Options options);
    static Result<std::unique_ptr<FileJournal>> open(const std::filesystem::path& folder) {
        return open(folder, Options{});
    }
    ~FileJournal() override;

    Result<void> put(const std::string& key, ByteView value) override;
    Result<void> reserve() override;
    Result<void> sync() override;
    Result<std::optional<Bytes>> get(const std::string& key) override;

private:
    FileJournal(std::filesystem::path folder, Options options);
    Result<void> load();
    Result<void> append(const std::string& key, ByteView value);
    Result<void> compact();

    std::filesystem::path folder_;
    Options options_;
    int lock_ = -1;
    int file_ = -1;
    std::uint64_t size_ = 0;
    std::uint64_t compact_at_ = 0;
    std::uint64_t reserved_ = 0;   ///< the file has blocks of its own up to here
    bool cannot_reserve_ = false;  ///< the file system has no way to
    bool failed_ = false;
    std::map<std::string, Bytes> values_;
};

}  // namespace bft::usig

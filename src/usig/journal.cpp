#include "usig/journal.hpp"

#include "base/log.hpp"
#include "base/sha256.hpp"
#include "usig/byte_writer.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace bft::usig {

namespace {

// Record: check 8 (of what follows), key length 2, value length 4, key, value.
constexpr std::size_t check_bytes = 8;
constexpr std::size_t head_bytes = check_bytes + 6;
constexpr std::size_t key_bytes_max = 256;
constexpr std::size_t value_bytes_max = 64 * 1024;

Bytes record_of(const std::string& key, ByteView value) {
    ByteWriter body;
    body.put(static_cast<std::uint16_t>(key.size()));
    body.put(static_cast<std::uint32_t>(value.size()));
    body.raw(as_bytes(key)).raw(value);
    const auto check = sha256(body.bytes());
    return ByteWriter().raw(check.view().first(check_bytes)).raw(body.bytes()).take();
}

Error failure(const std::filesystem::path& path, const char* what) {
    const int code = errno;
    return error(Errc::io, "USIG journal " + path.string() + ": " + what + ": " +
                               std::strerror(code) + (code == ENOSPC ? "; free disk space" : ""));
}

bool write_fully(int fd, ByteView bytes) {
    while (!bytes.empty()) {
        const auto written = ::write(fd, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return true;
}

bool sync_folder(const std::filesystem::path& folder) {
    const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return false;
    const bool done = ::fsync(fd) == 0;
    ::close(fd);
    return done;
}

Result<Bytes> read_all(int fd, const std::filesystem::path& path) {
    struct ::stat status {};
    if (::fstat(fd, &status) != 0) return failure(path, "stat");
    Bytes out(static_cast<std::size_t>(status.st_size));
    for (std::size_t done = 0; done < out.size();) {
        const auto got =
            ::pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return failure(path, "read");
        done += static_cast<std::size_t>(got);
    }
    return out;
}

struct Record {
    std::string key;
    Bytes value;
    std::size_t size = 0;
};
/// nullopt where no whole and correct record begins.
std::optional<Record> parse_record(ByteView bytes) {
    ByteReader in(bytes);
    const auto check = in.raw(check_bytes);
    const auto key_size = in.get<std::uint16_t>();
    const auto value_size = in.get<std::uint32_t>();
    if (!in.good() || key_size > key_bytes_max || value_size > value_bytes_max) return std::nullopt;
    Record out;
    out.key = as_text(in.raw(key_size));
    out.value = to_bytes(in.raw(value_size));
    if (!in.good()) return std::nullopt;
    out.size = bytes.size() - in.rest().size();
    const auto expected = sha256(bytes.subspan(check_bytes, out.size - check_bytes));
    if (!std::ranges::equal(check, expected.view().first(check_bytes))) return std::nullopt;
    return out;
}

}  // namespace

FileJournal::FileJournal(std::filesystem::path folder, Options options)
    : folder_(std::move(folder)), options_(options) {}

FileJournal::~FileJournal() {
    if (file_ >= 0) ::close(file_);
    if (lock_ >= 0) ::close(lock_);
}

Result<std::unique_ptr<FileJournal>> FileJournal::open(const std::filesystem::path& folder,
                                                       Options options) {
    std::unique_ptr<FileJournal> journal(new FileJournal(folder, options));
    std::error_code code;
    if (std::filesystem::create_directories(folder, code))
        std::filesystem::permissions(folder, std::filesystem::perms::owner_all, code);
    if (code) return error(Errc::io, "USIG journal " + folder.string() + ": " + code.message());
    const auto lock = folder / "lock";
    journal->lock_ = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (journal->lock_ < 0) return failure(lock, "open");
    if (::flock(journal->lock_, LOCK_EX | LOCK_NB) != 0)
        return error(Errc::unavailable, "USIG journal " + folder.string() +
                                            " is in use: another USIG service runs on this host; "
                                            "stop it first");
    if (auto ok = journal->load(); !ok) return ok.error();
    return journal;
}

Result<void> FileJournal::load() {
    const auto path = folder_ / "journal";
    file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file_ < 0) return failure(path, "open");
    auto content = read_all(file_, path);
    if (!content) return content.error();
    ByteView rest = *content;
    while (!rest.empty()) {
        auto record = parse_record(rest);
        if (!record) break;
        values_[record->key] = std::move(record->value);
        rest = rest.subspan(record->size);
    }
    // A crash tears the last record only. Anything longer, or a good record behind the damage, is
    // not a torn write: forgetting it could hide a spent value.
    if (rest.size() > head_bytes + key_bytes_max + value_bytes_max)
        return error(Errc::io, "USIG journal " + path.string() + " is damaged at byte " +
                                   std::to_string(content->size() - rest.size()) +
                                   "; restore the disk or replace this host's identities");
    for (std::size_t skip = 1; skip + head_bytes <= rest.size(); ++skip)
        if (parse_record(rest.subspan(skip)))
            return error(Errc::io, "USIG journal " + path.string() + " is damaged at byte " +
                                       std::to_string(content->size() - rest.size()) +
                                       "; restore the disk or replace this host's identities");
    size_ = content->size() - rest.size();
    if (!rest.empty() && ::ftruncate(file_, static_cast<off_t>(size_)) != 0)
        return failure(path, "truncate");
    if (options_.fsync && (::fsync(file_) != 0 || !sync_folder(folder_)))
        return failure(path, "fsync");
    compact_at_ = std::max(options_.compact_bytes, size_ / 2);
    return {};
}

Result<void> FileJournal::append(const std::string& key, ByteView value) {
    const auto record = record_of(key, value);
    if (!write_fully(file_, record)) {
        // What is on the disk now is unknown; a later good record behind a torn one would make the
        // file unreadable.
        failed_ = true;
        return failure(folder_ / "journal", "write");
    }
    size_ += record.size();
    return {};
}

Result<void> FileJournal::put(const std::string& key, ByteView value) {
    if (failed_) return error(Errc::io, "USIG journal " + folder_.string() + " failed earlier");
    if (key.size() > key_bytes_max || value.size() > value_bytes_max)
        return error(Errc::malformed, "USIG journal: record too large");
    if (auto ok = append(key, value); !ok) return ok;
    values_[key] = to_bytes(value);
    return {};
}

// Blocks beyond the end of the file: it stays as long as its records, which is what load() goes by.
Result<void> FileJournal::reserve() {
    if (failed_) return error(Errc::io, "USIG journal " + folder_.string() + " failed earlier");
    if (size_ > compact_at_)
        if (auto ok = compact(); !ok) return ok;
    if (cannot_reserve_ || size_ + options_.reserve_bytes <= reserved_) return {};
    const auto length = 2 * options_.reserve_bytes;
    if (::fallocate(file_, FALLOC_FL_KEEP_SIZE, static_cast<off_t>(size_),
                    static_cast<off_t>(length)) == 0) {
        reserved_ = size_ + length;
        return {};
    }
    const auto path = folder_ / "journal";
    if (errno != EOPNOTSUPP)
        return error(Errc::exhausted, failure(path, "no room is left for certificates").what);
    cannot_reserve_ = true;
    log::warn(
        "usig_journal_unreserved file={} what=\"this file system cannot reserve room; a disk that "
        "is full may cost a counter value\"",
        path.string());
    return {};
}

Result<void> FileJournal::sync() {
    if (failed_) return error(Errc::io, "USIG journal " + folder_.string() + " failed earlier");
    if (!options_.fsync || ::fdatasync(file_) == 0) return {};
    // After a failed fsync the kernel may have dropped the pages: nothing written is certain.
    failed_ = true;
    return failure(folder_ / "journal", "fsync");
}

Result<std::optional<Bytes>> FileJournal::get(const std::string& key) {
    const auto found = values_.find(key);
    if (found == values_.end()) return std::optional<Bytes>{};
    return std::optional(found->second);
}

Result<void> FileJournal::compact() {
    const auto path = folder_ / "journal";
    const auto next = folder_ / "journal.new";
    const int fd = ::open(next.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return error(Errc::exhausted, failure(next, "open").what);
    // The journal itself is as it was, and can be appended to.
    const auto give_up = [&](const char* what) {
        const auto problem = failure(next, what);
        ::close(fd);
        ::unlink(next.c_str());
        return error(Errc::exhausted, problem.what);
    };
    std::uint64_t size = 0;
    for (const auto& [key, value] : values_) {
        const auto record = record_of(key, value);
        size += record.size();
        if (!write_fully(fd, record)) return give_up("write");
    }
    if ((options_.fsync && ::fsync(fd) != 0) || ::rename(next.c_str(), path.c_str()) != 0)
        return give_up("replace");
    ::close(file_);
    file_ = fd;
    size_ = size;
    reserved_ = 0;
    compact_at_ = std::max(options_.compact_bytes, 2 * size_);
    if (options_.fsync && !sync_folder(folder_)) {
        failed_ = true;
        return failure(path, "fsync");
    }
    return {};
}

}  // namespace bft::usig

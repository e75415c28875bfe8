#include "client/sequence_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace bft::client {

namespace {

// More than one incarnation uses in minutes; a restart skips what is left of it.
constexpr std::uint64_t reservation = std::uint64_t{1} << 24;
constexpr int digits =
    20;  // of the file's one number, zero-padded so that it is overwritten in place

Error failed(const std::filesystem::path& file, const char* what) {
    return error(Errc::io,
                 std::string("cannot ") + what + " " + file.string() + ": " + std::strerror(errno));
}

}  // namespace

SequenceFile::SequenceFile(SequenceFile&& other) noexcept
    : file_(std::move(other.file_)),
      fd_(std::exchange(other.fd_, -1)),
      first_(other.first_),
      reserved_(other.reserved_) {}

SequenceFile::~SequenceFile() {
    if (fd_ >= 0) ::close(fd_);
}

Result<SequenceFile> SequenceFile::open(const std::filesystem::path& file, std::uint64_t wall_us) {
    int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return failed(file, "open");
    SequenceFile sequence(file, fd);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0)
        return error(Errc::unavailable, "another process uses this client's key (it holds " +
                                            file.string() +
                                            "); give each process a client of its own");
    std::array<char, digits> text{};
    ssize_t got = ::pread(fd, text.data(), text.size(), 0);
    if (got < 0) return failed(file, "read");
    std::uint64_t reserved = 0;
    if (got > 0) {
        auto [end, ec] = std::from_chars(text.data(), text.data() + got, reserved);
        if (ec != std::errc() || got != digits)
            return error(Errc::io, file.string() +
                                       " is damaged; write a number above every sequence number "
                                       "that this client ever used, with 20 digits, into it");
    }
    sequence.first_ = ClientSeq(std::max({wall_us, reserved, std::uint64_t{1}}));
    if (auto written = sequence.write(sequence.first_.value + reservation); !written)
        return written.error();
    return sequence;
}

Result<void> SequenceFile::reserve(ClientSeq highest) {
    if (highest.value + reservation / 2 < reserved_) return {};
    return write(highest.value + reservation);
}

Result<void> SequenceFile::write(std::uint64_t reserved) {
    std::string text = std::to_string(reserved);
    text.insert(0, digits - text.size(), '0');
    if (::pwrite(fd_, text.data(), text.size(), 0) != digits || ::fdatasync(fd_) != 0)
        return failed(file_, "write");
    reserved_ = reserved;
    return {};
}

}  // namespace bft::client

#include "crypto/key_file.hpp"

#include "base/secret_file.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace bft::crypto {

namespace {

// PEM of an elliptic curve's key is below 300 bytes; whatever is far beyond that is another file.
constexpr off_t key_file_bytes_max = 16 * 1024;

class File {
public:
    explicit File(int fd) : fd_(fd) {}
    ~File() {
        if (fd_ >= 0) ::close(fd_);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    [[nodiscard]] int fd() const { return fd_; }

private:
    int fd_;
};

Error failed(const std::string& what, const std::filesystem::path& file) {
    return error(Errc::io, what + " " + file.string() + ": " + std::strerror(errno));
}

bool write_all(int fd, const char* data, std::size_t size) {
    while (size > 0) {
        ssize_t written = ::write(fd, data, size);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        data += written;
        size -= static_cast<std::size_t>(written);
    }
    return true;
}

}  // namespace

Result<std::string> read_private_file(const std::filesystem::path& file) {
    File in(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (in.fd() < 0) {
        if (errno == ENOENT)
            return error(Errc::not_found,
                         "key file " + file.string() +
                             " does not exist: create it with bftctl init, or copy "
                             "it from where the cluster was set up");
        return failed("cannot open key file", file);
    }
    struct stat info {};
    if (::fstat(in.fd(), &info) != 0) return failed("cannot examine key file", file);
    if (!S_ISREG(info.st_mode) || info.st_size > key_file_bytes_max)
        return error(Errc::malformed, file.string() + " is not a PEM key file");
    if (!is_closed(file, info.st_mode))
        return error(Errc::refused,
                     "key file " + file.string() +
                         " is open to other users: chmod 600 it, and replace the key "
                         "if somebody may have read it");
    std::string text(static_cast<std::size_t>(info.st_size), '\0');
    std::size_t have = 0;
    while (have < text.size()) {
        ssize_t got = ::read(in.fd(), text.data() + have, text.size() - have);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return failed("cannot read key file", file);
        if (got == 0) break;
        have += static_cast<std::size_t>(got);
    }
    text.resize(have);
    return text;
}

Result<void> write_private_file(const std::filesystem::path& file, std::string_view text) {
    File out(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR));
    if (out.fd() < 0) {
        if (errno == EEXIST)
            return error(Errc::refused,
                         "key file " + file.string() +
                             " exists already: move it away if it is to be replaced");
        return failed("cannot create key file", file);
    }
    bool written = ::fchmod(out.fd(), S_IRUSR | S_IWUSR) == 0 &&
                   write_all(out.fd(), text.data(), text.size()) && ::fsync(out.fd()) == 0;
    if (!written) {
        Error why = failed("cannot write key file", file);
        ::unlink(file.c_str());
        return why;
    }
    return {};
}

}  // namespace bft::crypto

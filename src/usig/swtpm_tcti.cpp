#include "usig/swtpm_tcti.hpp"

#include <cerrno>
#include <cstring>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

namespace bft::usig {

namespace {

constexpr std::uint64_t tcti_magic = 0x6266742d7377746dULL;
constexpr std::size_t header_bytes = 10;
constexpr std::size_t response_bytes_max = 4096;

Error unreachable(const std::string& address, int code) {
    return error(Errc::unavailable, "TPM missing: cannot connect to swtpm at " + address + " (" +
                                        std::strerror(code) + "); start swtpm or correct tcti");
}

Result<int> connect_unix(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return error(Errc::malformed, "swtpm socket path is too long: " + path);
    std::memcpy(address.sun_path, path.data(), path.size());
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return unreachable(path, errno);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        const int code = errno;
        ::close(fd);
        return unreachable(path, code);
    }
    return fd;
}

Result<int> connect_tcp(const std::string& host, const std::string& port) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const int code = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); code != 0)
        return error(Errc::malformed,
                     "swtpm address " + host + ":" + port + ": " + ::gai_strerror(code));
    int failure = ECONNREFUSED;
    int fd = -1;
    for (const addrinfo* one = found; one != nullptr && fd < 0; one = one->ai_next) {
        fd = ::socket(one->ai_family, one->ai_socktype | SOCK_CLOEXEC, one->ai_protocol);
        if (fd >= 0 && ::connect(fd, one->ai_addr, one->ai_addrlen) != 0) {
            failure = errno;
            ::close(fd);
            fd = -1;
        }
    }
    ::freeaddrinfo(found);
    if (fd < 0) return unreachable(host + ":" + port, failure);
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

}  // namespace

struct SwtpmTcti::Context {
    TSS2_TCTI_CONTEXT_COMMON_V2 common{};  // first: tpm2-tss sees this struct through its address
    SwtpmTcti* owner = nullptr;
};

struct SwtpmTctiCalls {
    static SwtpmTcti& owner(TSS2_TCTI_CONTEXT* context) {
        return *reinterpret_cast<SwtpmTcti::Context*>(context)->owner;
    }
    static TSS2_RC transmit(TSS2_TCTI_CONTEXT* context, size_t size, const uint8_t* command) {
        return owner(context).transmit(command, size);
    }
    static TSS2_RC receive(TSS2_TCTI_CONTEXT* context, size_t* size, uint8_t* response, int32_t) {
        return owner(context).receive(response, size);
    }
    static void finalize(TSS2_TCTI_CONTEXT*) {}
    static TSS2_RC cancel(TSS2_TCTI_CONTEXT*) { return TSS2_TCTI_RC_NOT_IMPLEMENTED; }
    static TSS2_RC poll_handles(TSS2_TCTI_CONTEXT*, TSS2_TCTI_POLL_HANDLE*, size_t*) {
        return TSS2_TCTI_RC_NOT_IMPLEMENTED;
    }
    static TSS2_RC locality(TSS2_TCTI_CONTEXT*, uint8_t) { return TSS2_TCTI_RC_NOT_IMPLEMENTED; }
    static TSS2_RC sticky(TSS2_TCTI_CONTEXT*, TPM2_HANDLE*, uint8_t) {
        return TSS2_TCTI_RC_NOT_IMPLEMENTED;
    }
};

SwtpmTcti::SwtpmTcti(int socket) : socket_(socket), context_(std::make_unique<Context>()) {
    auto& v1 = context_->common.v1;
    v1.magic = tcti_magic;
    v1.version = 2;
    v1.transmit = &SwtpmTctiCalls::transmit;
    v1.receive = &SwtpmTctiCalls::receive;
    v1.finalize = &SwtpmTctiCalls::finalize;
    v1.cancel = &SwtpmTctiCalls::cancel;
    v1.getPollHandles = &SwtpmTctiCalls::poll_handles;
    v1.setLocality = &SwtpmTctiCalls::locality;
    context_->common.makeSticky = &SwtpmTctiCalls::sticky;
    context_->owner = this;
}

SwtpmTcti::~SwtpmTcti() {
    ::close(socket_);
}

TSS2_TCTI_CONTEXT* SwtpmTcti::context() {
    return reinterpret_cast<TSS2_TCTI_CONTEXT*>(context_.get());
}

Result<std::unique_ptr<SwtpmTcti>> SwtpmTcti::connect(const std::string& address) {
    std::string path;
    std::string host = "127.0.0.1";
    std::string port;
    for (std::size_t start = 0; start < address.size();) {
        const auto end = std::min(address.find(',', start), address.size());
        const auto field = address.substr(start, end - start);
        const auto equals = field.find('=');
        const auto key = field.substr(0, equals);
        const auto value = equals == std::string::npos ? "" : field.substr(equals + 1);
        if (key == "path")
            path = value;
        else if (key == "host")
            host = value;
        else if (key == "port")
            port = value;
        else
            return error(Errc::malformed,
                         "tcti: swtpm knows path=, host= and port=, not '" + field + "'");
        start = end + 1;
    }
    if (path.empty() == port.empty())
        return error(Errc::malformed, "tcti: swtpm needs either path=/socket or host=,port=");
    auto fd = path.empty() ? connect_tcp(host, port) : connect_unix(path);
    if (!fd) return fd.error();
    return std::unique_ptr<SwtpmTcti>(new SwtpmTcti(*fd));
}

TSS2_RC SwtpmTcti::transmit(const std::uint8_t* command, std::size_t size) {
    while (size > 0) {
        const auto sent = ::send(socket_, command, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return TSS2_TCTI_RC_IO_ERROR;
        command += sent;
        size -= static_cast<std::size_t>(sent);
    }
    return TSS2_RC_SUCCESS;
}

bool SwtpmTcti::read_fully(std::uint8_t* to, std::size_t size) {
    while (size > 0) {
        pollfd wait{socket_, POLLIN, 0};
        const int ready = ::poll(&wait, 1, static_cast<int>(patience_.count()));
        if (ready < 0 && errno == EINTR) continue;
        if (ready == 0) timed_out_ = true;
        if (ready <= 0) return false;
        const auto got = ::recv(socket_, to, size, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        to += got;
        size -= static_cast<std::size_t>(got);
    }
    return true;
}

TSS2_RC SwtpmTcti::receive(std::uint8_t* response, std::size_t* size) {
    // Without a buffer the caller asks how large one must be; the header is not read yet.
    if (response == nullptr) {
        *size = response_bytes_max;
        return TSS2_RC_SUCCESS;
    }
    std::uint8_t header[header_bytes];
    if (!read_fully(header, header_bytes)) return TSS2_TCTI_RC_IO_ERROR;
    const std::size_t total = std::size_t{header[2]} << 24 | std::size_t{header[3]} << 16 |
                              std::size_t{header[4]} << 8 | header[5];
    if (total < header_bytes || total > *size) return TSS2_TCTI_RC_IO_ERROR;
    std::memcpy(response, header, header_bytes);
    if (!read_fully(response + header_bytes, total - header_bytes)) return TSS2_TCTI_RC_IO_ERROR;
    *size = total;
    return TSS2_RC_SUCCESS;
}

}  // namespace bft::usig

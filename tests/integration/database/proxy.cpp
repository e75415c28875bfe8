#include "proxy.hpp"

#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

namespace bft::database::testing {
namespace {

sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    return address;
}

bool readable(int fd, int milliseconds) {
    pollfd one{fd, POLLIN, 0};
    return ::poll(&one, 1, milliseconds) > 0;
}

bool send_all(int fd, const std::vector<char>& bytes) {
    return ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
}

/// What is there, at least one byte; empty at the end.
std::vector<char> receive(int fd) {
    std::vector<char> bytes(1 << 16);
    auto got = ::recv(fd, bytes.data(), bytes.size(), 0);
    bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return bytes;
}

/// One packet of the protocol: three bytes of length, little-endian, one of sequence.
std::vector<char> receive_packet(int fd) {
    std::vector<char> packet(4);
    if (::recv(fd, packet.data(), 4, MSG_WAITALL) != 4) return {};
    auto byte = [&](std::size_t i) { return std::size_t{static_cast<unsigned char>(packet[i])}; };
    std::size_t size = byte(0) | byte(1) << 8 | byte(2) << 16;
    packet.resize(4 + size);
    if (::recv(fd, packet.data() + 4, size, MSG_WAITALL) != static_cast<ssize_t>(size)) return {};
    return packet;
}

}  // namespace

CuttingProxy::CuttingProxy(std::string socket, std::string server, Cut cut)
    : server_path_(std::move(server)), cut_(cut) {
    listener_ = ::socket(AF_UNIX, SOCK_STREAM, 0);
    auto address = address_of(socket);
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_, 16) != 0)
        throw std::runtime_error("cannot listen at " + socket);
    thread_ = std::thread([this] { accept_all(); });
}

CuttingProxy::~CuttingProxy() {
    stop_ = true;
    thread_.join();
    ::close(listener_);
}

void CuttingProxy::accept_all() {
    std::vector<std::thread> connections;
    while (!stop_)
        if (readable(listener_, 20)) {
            int client = ::accept(listener_, nullptr, nullptr);
            connections.emplace_back([this, client] { forward(client); });
        }
    for (auto& connection : connections) connection.join();
}

void CuttingProxy::forward(int client) {
    int server = ::socket(AF_UNIX, SOCK_STREAM, 0);
    auto address = address_of(server_path_);
    bool open = ::connect(server, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    while (open && !stop_) {
        pollfd both[] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
        if (::poll(both, 2, 20) <= 0) continue;
        if (both[1].revents != 0) {
            auto answer = receive(server);
            open = !answer.empty() && send_all(client, answer);
        } else {
            open = pass_request(client, server);
        }
    }
    ::close(client);
    ::close(server);
}

bool CuttingProxy::pass_request(int client, int server) {
    auto packet = receive_packet(client);
    if (packet.empty()) return false;
    bool commits =
        std::string_view(packet.data(), packet.size()).find("COMMIT;") != std::string_view::npos;
    if (!commits || ++commits_ % 3 != 0) return send_all(server, packet);
    ++cuts_;
    if (cut_ == Cut::after && send_all(server, packet)) {
        // The last of its answers comes after the commit.
        while (readable(server, 50) && !receive(server).empty()) {
        }
    }
    return false;
}

}  // namespace bft::database::testing

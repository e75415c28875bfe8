#include "swtpm.hpp"

#include "base/sha256.hpp"

#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <signal.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace bft::usig::test {

namespace fs = std::filesystem;

TempFolder::TempFolder() {
    std::string pattern = (fs::temp_directory_path() / "bft-usig-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = pattern;
}

TempFolder::~TempFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
}

Swtpm::Swtpm() : Swtpm([](const fs::path&) {}) {}

Swtpm::Swtpm(const std::function<void(const fs::path& state)>& manufacture) {
    fs::create_directory(folder_.path() / "state");
    manufacture(folder_.path() / "state");
    start();
}

Swtpm::~Swtpm() {
    stop();
}

bool Swtpm::answers() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, socket().c_str(), sizeof address.sun_path - 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool connected =
        fd >= 0 && ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    if (fd >= 0) ::close(fd);
    return connected;
}

void Swtpm::start() {
    fs::remove(socket());
    const auto state = "dir=" + (folder_.path() / "state").string();
    const auto server = "type=unixio,path=" + socket().string();
    const auto log = "file=" + (folder_.path() / "swtpm.log").string();
    const auto parent = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("fork failed");
    if (pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) ::_exit(1);
        ::execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", state.c_str(), "--server",
                 server.c_str(), "--flags", "not-need-init,startup-clear", "--log", log.c_str(),
                 nullptr);
        ::_exit(127);
    }
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!answers()) {
        int status = 0;
        if (::waitpid(pid_, &status, WNOHANG) == pid_) {
            pid_ = 0;
            throw std::runtime_error("swtpm does not start; is the package swtpm installed?");
        }
        if (std::chrono::steady_clock::now() > deadline)
            throw std::runtime_error("swtpm does not listen");
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
}

void Swtpm::stop() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
}

void Swtpm::power_cut() {
    stop();
    start();
}

void Swtpm::save_state(const std::string& name) {
    fs::copy(folder_.path() / "state", folder_.path() / name, fs::copy_options::recursive);
}

void Swtpm::restore_state(const std::string& name) {
    stop();
    fs::remove_all(folder_.path() / "state");
    fs::copy(folder_.path() / name, folder_.path() / "state", fs::copy_options::recursive);
    start();
}

Digest message(const std::string& text) {
    return sha256(as_bytes(text));
}

Host::Host(std::size_t counters, const std::string& label) {
    options.secrets = TpmSecrets::generate().value();
    options.label = message(label);
    options.counters = counters;
    auto connection = Connection::open(tpm.tcti());
    if (!connection) throw std::runtime_error(connection.error().what);
    auto made = provision(**connection, options);
    if (!made) throw std::runtime_error(made.error().what);
    identities = std::move(*made);
}

std::map<UsigId, PublicIdentity> Host::wanted() const {
    std::map<UsigId, PublicIdentity> out;
    for (const auto& identity : identities)
        out.emplace(UsigId(static_cast<std::uint32_t>(out.size())), identity);
    return out;
}

}  // namespace bft::usig::test

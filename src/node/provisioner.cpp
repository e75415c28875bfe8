#include "node/provisioner.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {  // glibc 2.36 forgets to say so
#include <sys/pidfd.h>
}

namespace bft::node {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr int contract_version = 1;
constexpr std::size_t answer_bytes_max = 1 << 20;
constexpr int grace_ms = 5000;  ///< between SIGTERM and SIGKILL

/// Closes itself.
class File {
public:
    explicit File(int fd) : fd_(fd) {}
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() {
        if (fd_ >= 0) ::close(fd_);
    }
    [[nodiscard]] int fd() const { return fd_; }
    [[nodiscard]] bool open() const { return fd_ >= 0; }

private:
    int fd_;
};

Error away(std::string why) {
    return error(Errc::unavailable, std::move(why));
}

bool write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = ::write(fd, text.data(), text.size());
        if (n <= 0) return false;
        text.remove_prefix(static_cast<std::size_t>(n));
    }
    return ::lseek(fd, 0, SEEK_SET) == 0;
}

std::string read_all(int fd) {
    std::string text(answer_bytes_max + 1, '\0');
    std::size_t size = 0;
    while (size < text.size()) {
        const ssize_t n =
            ::pread(fd, text.data() + size, text.size() - size, static_cast<off_t>(size));
        if (n <= 0) break;
        size += static_cast<std::size_t>(n);
    }
    text.resize(size);
    return text;
}

bool ends_within(int pid_fd, std::int64_t milliseconds) {
    pollfd waiting{pid_fd, POLLIN, 0};
    int n = 0;
    do n = ::poll(&waiting, 1, static_cast<int>(std::min<std::int64_t>(milliseconds, 1 << 30)));
    while (n < 0 && errno == EINTR);
    return n > 0;
}

/// Its process has the files as standard input and output. Standard error is ours: it is for
/// people.
Result<void> run(const fs::path& program, const File& input, const File& output,
                 Duration patience) {
    std::string word = program.string();
    std::array<char*, 2> argv{word.data(), nullptr};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input.fd(), STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output.fd(), STDOUT_FILENO);
    pid_t child = -1;
    const int failed = ::posix_spawn(&child, word.c_str(), &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed != 0)
        return error(Errc::refused,
                     word + " cannot be run: " + std::generic_category().message(failed));
    const File pid_fd(::pidfd_open(child, 0));
    const auto whole = std::chrono::duration_cast<std::chrono::milliseconds>(patience).count();
    const bool in_time = pid_fd.open() && ends_within(pid_fd.fd(), whole);
    if (!in_time) {
        ::kill(child, SIGTERM);
        if (!pid_fd.open() || !ends_within(pid_fd.fd(), grace_ms)) ::kill(child, SIGKILL);
    }
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
    if (!in_time) return away(word + " did not end within " + std::to_string(whole / 1000) + " s");
    return {};
}

}  // namespace

Result<fs::path> find_provisioner(const std::string& name) {
    if (name.find('/') != std::string::npos) return fs::path(name);
    std::error_code failed;
    const fs::path self = fs::read_symlink("/proc/self/exe", failed);
    const fs::path folder = self.parent_path().parent_path() / "lib" / "bftnode" / "provision";
    if (fs::exists(folder / name, failed)) return folder / name;
    return error(Errc::not_found, "no provisioner is called '" + name + "' in " + folder.string() +
                                      "; a path has a '/' in it, such as ./" + name);
}

Result<ProvisionerAnswer> read_answer(std::string_view output, const std::string& host) {
    boost::system::error_code failed;
    json::value parsed;
    if (output.size() <= answer_bytes_max) parsed = json::parse(output, failed);
    const json::object* answer = parsed.if_object();
    if (failed || answer == nullptr) return away("it gave no answer in JSON");
    const auto text = [&](const char* field) -> std::string {
        const json::value* value = answer->if_contains(field);
        return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
    };
    const auto flag = [&](const char* field) {
        const json::value* value = answer->if_contains(field);
        return value != nullptr && value->is_bool() && value->get_bool();
    };
    const json::value* version = answer->if_contains("version");
    if (version == nullptr || *version != contract_version)
        return error(Errc::refused, "it speaks another version of the contract than " +
                                        std::to_string(contract_version));
    if (!flag("ok")) {
        std::string why = text("error");
        if (why.empty()) why = "it did not say why not";
        return error(flag("again") ? Errc::unavailable : Errc::refused, std::move(why));
    }
    static constexpr std::array<std::string_view, 4> states{"running", "starting", "stopped",
                                                            "absent"};
    std::string state = text("state");
    if (text("host") != host || std::find(states.begin(), states.end(), state) == states.end())
        return away("its answer is not about " + host + ", or says no state");
    return ProvisionerAnswer{std::move(state), flag("changed"), *answer};
}

Result<ProvisionerAnswer> ask(const fs::path& program, const ProvisionerRequest& request,
                              Duration patience) {
    const File input(::memfd_create("request", MFD_CLOEXEC));
    const File output(::memfd_create("answer", MFD_CLOEXEC));
    const json::object document{{"version", contract_version},
                                {"action", request.action},
                                {"cluster", request.cluster},
                                {"host", request.host},
                                {"settings", request.settings}};
    if (!input.open() || !output.open() || !write_all(input.fd(), json::serialize(document) + "\n"))
        return error(Errc::io, "no memory for a request to " + program.string());
    if (auto done = run(program, input, output, patience); !done) return done.error();
    auto answer = read_answer(read_all(output.fd()), request.host);
    if (!answer)
        return error(answer.error().code, program.filename().string() + ": " + answer.error().what);
    return answer;
}

}  // namespace bft::node

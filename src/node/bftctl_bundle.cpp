// bftctl debug bundle: everything that somebody who helps from afar needs, and no secret.
#include "node/bftctl.hpp"
#include "node/bftctl_survey.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <spawn.h>
#include <stdexcept>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace bft::node {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t log_bytes_max = 4 * 1024 * 1024;
constexpr std::size_t needle_bytes_min = 12;

struct Options {
    std::vector<std::string> places;
    std::string out;
    unsigned lines = 20000;
};

/// Throws std::runtime_error, for main() to say.
[[noreturn]] void fail(const std::string& what) {
    throw std::runtime_error(what);
}

std::string read_end(const fs::path& file, std::uintmax_t bytes_max) {
    std::ifstream in(file, std::ios::binary);
    if (!in) return {};
    std::error_code ignored;
    const std::uintmax_t size = fs::file_size(file, ignored);
    if (!ignored && size > bytes_max) in.seekg(static_cast<std::streamoff>(size - bytes_max));
    return {std::istreambuf_iterator<char>(in), {}};
}

/// What must be in no file of the bundle: the lines of every secret of these hosts.
class Secrets {
public:
    void add_host(const Target& target) {
        const NodeConfig& config = target.config;
        add(config.identity_key);
        add(config.usig.tokens);
        add(config.usig.secrets);
        if (config.database) add(config.database->password_file);
        if (config.http) {
            add(config.http->key);
            add(config.http->web_key);
        }
        // Whatever else lies there and is for its owner alone.
        std::error_code bad;
        for (const fs::directory_entry& entry :
             fs::directory_iterator(config.file.parent_path(), bad))
            if (entry.is_regular_file(bad) &&
                (entry.status(bad).permissions() &
                 (fs::perms::group_all | fs::perms::others_all)) == fs::perms::none)
                add(entry.path());
    }

    [[nodiscard]] std::string without(std::string text) const {
        for (const std::string& needle : needles_)
            for (std::size_t at = text.find(needle); at != std::string::npos;
                 at = text.find(needle, at))
                text.replace(at, needle.size(), "[SECRET REMOVED]");
        return text;
    }

private:
    void add(const fs::path& file) {
        if (file.empty()) return;
        std::ifstream in(file);
        for (std::string line; std::getline(in, line);) {
            if (line.starts_with("-----") || line.starts_with("#")) continue;
            // Of `name = "value"` the value counts, in whatever the file puts it.
            for (std::size_t at = 0; at < line.size();) {
                const std::size_t end =
                    std::min(line.find_first_of(" \t\"'=,:[]{}", at), line.size());
                if (end - at >= needle_bytes_min) needles_.push_back(line.substr(at, end - at));
                at = end + 1;
            }
            // Base64 may end with '='; names are shorter than any secret of ours.
        }
    }

    std::vector<std::string> needles_;
};

void write_file(const fs::path& file, const std::string& text, const Secrets& secrets) {
    std::ofstream out(file, std::ios::binary);
    out << secrets.without(text);
    out.close();
    if (!out) fail("cannot write " + file.string());
}

int run_program(const std::vector<std::string>& words, const fs::path& output) {
    std::vector<char*> argv;
    for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    if (!output.empty()) {
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.c_str(),
                                         O_WRONLY | O_CREAT | O_TRUNC, 0600);
        posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    }
    pid_t child = -1;
    const int failed =
        ::posix_spawnp(&child, argv.front(), &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    int status = 0;
    if (failed != 0 || ::waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
    return WEXITSTATUS(status);
}

/// Through a file that is no part of the bundle: what a program says is cleaned like all else.
std::string output_of(const std::vector<std::string>& words, const fs::path& scratch) {
    const int status = run_program(words, scratch);
    std::string text = read_end(scratch, log_bytes_max);
    std::error_code ignored;
    fs::remove(scratch, ignored);
    return status == -1 ? words.front() + " cannot be run\n" : text;
}

std::string metrics_of(const std::string& address) {
    if (address.empty()) return "node.toml has no 'metrics'\n";
    const std::size_t colon = address.rfind(':');
    boost::asio::ip::tcp::iostream stream;
    stream.expires_after(std::chrono::seconds(3));
    stream.connect(address.substr(0, colon), address.substr(colon + 1));
    stream << "GET /metrics HTTP/1.0\r\nHost: " << address << "\r\n\r\n" << std::flush;
    std::string text{std::istreambuf_iterator<char>(stream), {}};
    return text.empty() ? "nobody answers at " + address + "\n" : text;
}

std::string listing_of(const fs::path& folder) {
    std::string text;
    std::error_code bad;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, bad)) {
        char mode[16];
        std::snprintf(mode, sizeof mode, "%04o ",
                      static_cast<unsigned>(entry.status(bad).permissions()));
        const std::uintmax_t size = entry.is_regular_file(bad) ? entry.file_size(bad) : 0;
        text += mode + std::to_string(size) + " " + entry.path().filename().string() + "\n";
    }
    return text;
}

void add_logs(const Target& target, const fs::path& into, const Options& options,
              const Secrets& secrets) {
    const std::string& host = target.config.host;
    const fs::path folder = target.config.file.parent_path() / "log";
    std::error_code bad;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, bad))
        if (entry.path().extension() == ".log")
            write_file(into / entry.path().filename(), read_end(entry.path(), log_bytes_max),
                       secrets);
    if (fs::exists(folder, bad)) return;
    write_file(into / "journal.log",
               output_of({"journalctl", "--no-pager", "--output=short-iso-precise", "--lines",
                          std::to_string(options.lines), "--unit", "bftnode@" + host, "--unit",
                          "bftnode-usig@" + host},
                         into / "scratch"),
               secrets);
}

void add_host(const Target& target, const fs::path& into, const Options& options,
              const Secrets& secrets) {
    fs::create_directories(into);
    const NodeConfig& config = target.config;
    auto status = read_status(config.status_socket);
    write_file(into / "status.json", status ? *status : status.error().what + "\n", secrets);
    write_file(into / "node.toml", read_end(config.file, log_bytes_max), secrets);
    write_file(into / "cluster.toml", read_end(config.cluster_file, log_bytes_max), secrets);
    write_file(into / "metrics.txt", metrics_of(config.metrics), secrets);
    write_file(into / "files.txt",
               config.file.parent_path().string() + ":\n" + listing_of(config.file.parent_path()) +
                   config.data_dir.string() + ":\n" + listing_of(config.data_dir),
               secrets);
    add_logs(target, into, options, secrets);
}

std::string timestamp() {
    const std::time_t now = std::time(nullptr);
    std::tm utc{};
    ::gmtime_r(&now, &utc);
    char text[32];
    std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &utc);
    return text;
}

/// A folder that goes when the work is over.
class Scratch {
public:
    Scratch() {
        std::string pattern = (fs::temp_directory_path() / "bftctl-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) fail("cannot make a folder like " + pattern);
        path = pattern;
    }
    ~Scratch() {
        std::error_code ignored;
        fs::remove_all(path, ignored);
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    fs::path path;
};

int run(const Options& options) {
    const auto targets = find_targets(options.places);
    if (!targets) {
        std::fprintf(stderr, "%s\n", targets.error().what.c_str());
        return exit_usage;
    }
    const std::string name = "bft-debug-" + timestamp();
    const fs::path out = fs::absolute(options.out.empty() ? name + ".tar.gz" : options.out);
    Secrets secrets;
    for (const Target& target : *targets) secrets.add_host(target);
    Scratch scratch;
    const fs::path root = scratch.path / name;
    fs::create_directories(root);
    write_file(root / "about.txt",
               std::string("bftctl ") + BFT_VERSION + "\n" +
                   output_of({"bftnode", "--version"}, scratch.path / "o") +
                   output_of({"uname", "-a"}, scratch.path / "o") +
                   output_of({"uptime"}, scratch.path / "o") + read_end("/etc/os-release", 4096) +
                   read_end("/proc/meminfo", 65536) + output_of({"df", "-h"}, scratch.path / "o"),
               secrets);
    for (const Target& target : *targets)
        add_host(target, root / target.config.host, options, secrets);
    const ::mode_t before = ::umask(0077);
    const int packed =
        run_program({"tar", "-C", scratch.path.string(), "-czf", out.string(), name}, {});
    ::umask(before);
    if (packed != 0) fail("tar cannot write " + out.string());
    std::printf("%s\n", out.c_str());
    return exit_done;
}

}  // namespace

Command add_debug(CLI::App& app) {
    CLI::App* debug = app.add_subcommand("debug", "Gathers what somebody who helps needs");
    debug->require_subcommand(1);
    CLI::App* command = debug->add_subcommand(
        "bundle", "One .tar.gz with status, configuration, logs, versions and metrics; no secrets");
    auto options = std::make_shared<Options>();
    command
        ->add_option("PLACE", options->places,
                     "a cluster's folder, a host's folder, or node.toml; on this machine")
        ->required();
    command->add_option("--out", options->out, "the file to write (bft-debug-TIME.tar.gz)");
    command->add_option("--lines", options->lines, "of the journal, for each host")
        ->capture_default_str()
        ->check(CLI::Range(1, 10000000));
    command->footer(
        "Run it as a user that may read the hosts' secrets (root): what equals a part of one is "
        "cut\n"
        "out wherever it stands, logs included. Databases are not in it.\n"
        "Exit status: 0 written, its name is printed; 1 it could not be; 2 wrong command line or "
        "file.\n"
        "Example:\n  bftctl debug bundle /etc/bftnode");
    debug->footer("See `bftctl debug bundle --help`.");
    return [options] { return run(*options); };
}

}  // namespace bft::node

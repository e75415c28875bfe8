// bftctl install: puts a host's folder, as `bftctl init` made it, where the systemd units look for
// it.
#include "node/bftctl.hpp"
#include "node/config.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace bft::node {
namespace {

namespace fs = std::filesystem;

struct Options {
    std::string folder;
    std::string root = "/";
};

/// What a host's folder holds besides its state, which stays where it is.
struct Contents {
    std::vector<fs::path> open = {"node.toml", "cluster.toml"};
    std::vector<fs::path> secret = {"identity.key"};
    /// Of those, what the unit of the network roles does not name itself.
    std::vector<fs::path> credentials;
};

Contents contents_of(const NodeConfig& config, const fs::path& folder) {
    Contents contents;
    const auto add = [&](const fs::path& file, std::vector<fs::path>& to) {
        std::error_code missing;
        const bool inside = file.parent_path() == folder && fs::exists(file, missing);
        if (inside) to.push_back(file.filename());
        return inside;
    };
    add(config.usig.tokens, contents.secret);
    add(config.usig.secrets, contents.secret);
    std::vector<fs::path> more;
    if (config.database) more.push_back(config.database->password_file);
    if (config.http) {
        add(config.http->certificate, contents.open);
        more.push_back(config.http->key);
        more.push_back(config.http->web_key);
    }
    for (const fs::path& file : more)
        if (add(file, contents.secret)) contents.credentials.push_back(file.filename());
    return contents;
}

/// Throws std::filesystem::filesystem_error.
void copy(const fs::path& from, const fs::path& to, fs::perms mode) {
    fs::copy_file(from, to);
    fs::permissions(to, mode);
}

void copy_host(const fs::path& folder, const fs::path& target, const Contents& contents) {
    const auto secret = fs::perms::owner_read | fs::perms::owner_write;
    const auto open = secret | fs::perms::group_read | fs::perms::others_read;
    fs::create_directories(target);
    fs::permissions(target, fs::perms::owner_all);  // nobody looks in before all modes are right
    for (const fs::path& file : contents.secret) copy(folder / file, target / file, secret);
    for (const fs::path& file : contents.open) copy(folder / file, target / file, open);
    fs::copy(folder / "app", target / "app", fs::copy_options::recursive);
    fs::permissions(target, fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec |
                                fs::perms::others_read | fs::perms::others_exec);
}

/// The secrets that only some hosts have: systemd refuses to start a unit whose credential is
/// missing.
void write_drop_in(const fs::path& root, const std::string& host,
                   const std::vector<fs::path>& credentials) {
    const fs::path folder = root / "etc/systemd/system" / ("bftnode@" + host + ".service.d");
    fs::create_directories(folder);
    std::ofstream out(folder / "credentials.conf");
    out << "# Made by `bftctl install`.\n[Service]\n";
    for (const fs::path& file : credentials)
        out << "LoadCredential=" << file.string() << ":/etc/bftnode/" << host << "/"
            << file.string() << "\n";
    out.close();
    if (!out)
        throw fs::filesystem_error("cannot write", folder,
                                   std::make_error_code(std::errc::io_error));
}

int run(const Options& options) {
    const fs::path folder = fs::weakly_canonical(options.folder);
    const Loaded<NodeConfig> config = load_node_config(folder / "node.toml");
    for (const Diagnostic& wrong : config.errors)
        std::fprintf(stderr, "%s\n", to_string(wrong).c_str());
    if (!config.value) return exit_usage;
    const std::string& host = config.value->host;
    const fs::path root = options.root;
    const fs::path target = root / "etc/bftnode" / host;
    const fs::path half = root / "etc/bftnode" / ("." + host + ".new");
    if (fs::exists(target)) {
        std::fprintf(stderr,
                     "bftctl: %s exists already; nothing was changed. Edit the files there, or "
                     "move it away\n",
                     target.c_str());
        return exit_failed;
    }
    const Contents contents = contents_of(*config.value, folder);
    try {
        fs::remove_all(half);  // of a run that was interrupted
        copy_host(folder, half, contents);
        if (!contents.credentials.empty()) write_drop_in(root, host, contents.credentials);
        fs::rename(half, target);
    } catch (const fs::filesystem_error& failure) {
        std::error_code ignored;
        fs::remove_all(half, ignored);
        std::fprintf(stderr, "bftctl: %s; nothing was installed (are you root?)\n", failure.what());
        return exit_failed;
    }
    std::printf(
        "host '%s' is in %s; its state will be in /var/lib/bftnode/%s\n"
        "  systemctl daemon-reload\n"
        "  systemctl enable --now bftnode-usig@%s bftnode@%s\n"
        "  bftctl status /etc/bftnode\n"
        "Delete %s: it holds the host's secrets.\n",
        host.c_str(), target.c_str(), host.c_str(), host.c_str(), host.c_str(), folder.c_str());
    return exit_done;
}

}  // namespace

Command add_install(CLI::App& app) {
    CLI::App* command = app.add_subcommand(
        "install", "Puts a host's folder into /etc/bftnode, where the systemd units look for it");
    auto options = std::make_shared<Options>();
    command->add_option("FOLDER", options->folder, "hosts/NAME as `bftctl init` made it")
        ->required()
        ->check(CLI::ExistingDirectory);
    command->add_option("--root", options->root, "into the system under this folder, for images")
        ->capture_default_str();
    command->footer(
        "Run it as root on the host itself. Secrets are readable for root alone: systemd hands "
        "them to\n"
        "the daemons.\nExample:\n  bftctl install hosts/host1");
    return [options] { return run(*options); };
}

}  // namespace bft::node

// bftctl host: a host's processes, by a provisioner (docs/provisioning.md).
#include "node/bftctl.hpp"
#include "node/cluster_file.hpp"
#include "node/provisioner.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>

namespace bft::node {
namespace {

namespace json = boost::json;

struct Options {
    std::string host;
    std::string by;
    std::string cluster;
    std::string settings;
    double timeout_s = 900;
    std::string format = "table";
};

int wrong(const Error& why) {
    std::fprintf(stderr, "bftctl: %s\n", why.what.c_str());
    return exit_usage;
}

Result<std::string> cluster_name(const std::string& path) {
    auto file = load_cluster_file(path);
    if (file.value) return file.value->name;
    std::string all;
    for (const Diagnostic& each : file.errors) all += (all.empty() ? "" : "\n") + to_string(each);
    return error(Errc::malformed, all);
}

Result<json::object> read_settings(const std::string& path) {
    if (path.empty()) return json::object{};
    std::ifstream in(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    boost::system::error_code failed;
    json::value value = json::parse(text, failed);
    if (failed || !value.is_object())
        return error(Errc::malformed,
                     path + " has no JSON object, such as {\"folder\": \"/etc/bftnode\"}");
    return value.get_object();
}

int act(const Options& options, const std::string& action) {
    auto program = find_provisioner(options.by);
    if (!program) return wrong(program.error());
    auto cluster = cluster_name(options.cluster);
    if (!cluster) return wrong(cluster.error());
    auto settings = read_settings(options.settings);
    if (!settings) return wrong(settings.error());
    const auto patience =
        std::chrono::milliseconds(static_cast<std::int64_t>(options.timeout_s * 1000));
    auto answer = ask(*program, {action, *cluster, options.host, std::move(*settings)}, patience);
    if (!answer) {
        const bool again = answer.error().code == Errc::unavailable;
        std::fprintf(stderr, "bftctl: %s%s\n", answer.error().what.c_str(),
                     again ? "; it may help to repeat the command" : "");
        return exit_failed;
    }
    if (options.format == "json")
        std::printf("%s\n", json::serialize(answer->document).c_str());
    else
        std::printf("%s is %s%s\n", options.host.c_str(), answer->state.c_str(),
                    answer->changed      ? ", since now"
                    : action == "status" ? ""
                                         : ", as before");
    return exit_done;
}

void add_common(CLI::App& command, Options& options) {
    command.add_option("HOST", options.host, "its name")->required();
    command.add_option("--by", options.by, "local, systemd, ec2, or a provisioner's path")
        ->required();
    command.add_option("--cluster", options.cluster, "cluster.toml, as init made it")
        ->required()
        ->check(CLI::ExistingFile);
    command.add_option("--settings", options.settings, "file with the provisioner's own, as JSON")
        ->check(CLI::ExistingFile);
    command.add_option("--timeout", options.timeout_s, "end the provisioner after so many seconds")
        ->check(CLI::Range(0.1, 86400.0))
        ->capture_default_str();
    command.add_option("--format", options.format, "table, or json for programs")
        ->check(CLI::IsMember({"table", "json"}))
        ->capture_default_str();
}

}  // namespace

Command add_host(CLI::App& app) {
    CLI::App* command =
        app.add_subcommand("host", "Starts and stops a host's processes, here or elsewhere");
    command->require_subcommand(1);
    auto options = std::make_shared<Options>();
    static constexpr std::array<std::pair<const char*, const char*>, 3> actions{{
        {"start", "Makes them run; waits until they do, or says that they are starting"},
        {"stop", "Ends them; what is on the disk stays"},
        {"status", "Whether they run"},
    }};
    for (const auto& [name, what] : actions) {
        CLI::App* one = command->add_subcommand(name, what);
        add_common(*one, *options);
        one->footer(
            "Safe to repeat. Whether the host takes part says `bftctl status --wait`. Exit status: "
            "0 done; 1 it did not\nwork; 2 wrong command line or file.\nExample:\n  bftctl host " +
            std::string(name) + " host4 --by local --cluster cluster.toml --settings host4.json");
    }
    command->footer(
        "A provisioner is a program: three come along, and docs/provisioning.md says how others "
        "are made.\nExit status: 0 done; 1 it did not work; 2 wrong command line or file.\n"
        "Example:\n"
        "  bftctl host start host4 --by systemd --cluster cluster.toml --settings host4.json");
    return [options, command] {
        return act(*options, command->get_subcommands().front()->get_name());
    };
}

}  // namespace bft::node

// bftnode: the daemon.
#include "base/log.hpp"
#include "node/gateway.hpp"
#include "node/join_file.hpp"
#include "node/node.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>

namespace {

using namespace bft;

/// --role: all that the cluster file gives this host, except usig.
constexpr const char* all_on_network = "network";

constexpr const char* footer = R"(
Roles of a host:
  usig     owns the host's TPM and lends its counters to the other roles
  primary  orders all requests; a machine of its own is best
  replica  one replica of each group that the cluster file places on this host
  voter    executes ordered transactions on this host's database
  gateway  no part of the cluster: calls it for HTTP clients that cannot (config/gateway.toml)
  network  primary, replica and voter, as far as the cluster file gives them to this host
Roles that use the network share one process and one address; usig may run alone, so
that the others can be killed and restarted without touching the TPM.

Examples:
  bftctl init --topology topology.toml --dir cluster      make all files of a new cluster
  bftnode --check-config --config cluster/hosts/h1/node.toml
  bftnode --role=usig --config cluster/hosts/h1/node.toml &
  bftnode --role=replica,voter --config cluster/hosts/h1/node.toml
Every key of node.toml is explained in config/node.toml. SIGTERM or SIGINT stop the daemon;
kill -9 loses nothing.

Exit status: 0 stopped by a signal; 1 cannot start or go on, one line says why; 2 wrong use
or configuration.)";

struct Arguments {
    std::string config = "node.toml";
    std::string roles;
    std::string log_level;
    std::string misbehave;
    std::int64_t tpm_delay_ms = -1;
    std::int64_t page_cost_ms = 0;
    std::size_t page_workers = 1;
    bool check_config = false;
    bool software_usig = false;
};

int complain(const node::Diagnostics& diagnostics) {
    for (const node::Diagnostic& wrong : diagnostics)
        std::fprintf(stderr, "%s\n", to_string(wrong).c_str());
    return 2;
}

int usage(const std::string& what) {
    std::fprintf(stderr, "bftnode: %s\n", what.c_str());
    return 2;
}

Result<node::RunOptions> run_options(const Arguments& arguments, const node::NodeConfig& config,
                                     const node::ClusterFile& cluster) {
    node::RunOptions options;
    options.insecure_software_usig = arguments.software_usig;
    options.roles = config.roles;
    const bool joins =
        !cluster.host_id(config.host) && std::filesystem::exists(node::join_file_of(config));
    const std::set<node::Role> given =
        joins ? node::roles_of_newcomer(config) : cluster.roles_of(config.host);
    if (!arguments.roles.empty()) {
        auto roles = arguments.roles == all_on_network ? Result<std::set<node::Role>>(given)
                                                       : node::parse_roles(arguments.roles);
        if (!roles) return roles.error();
        options.roles = *roles;
        if (arguments.roles == all_on_network) options.roles.erase(node::Role::usig);
    }
    if (options.roles.empty()) options.roles = given;
    for (node::Role role : options.roles)
        if (!given.contains(role))
            return error(Errc::refused, "the cluster file gives host '" + config.host +
                                            "' no role '" + to_string(role) + "'");
    if (options.roles.empty())
        return error(Errc::refused, "the cluster file gives host '" + config.host + "' no role");
    auto misbehaviour = host::Misbehaviour::parse(arguments.misbehave);
    if (!misbehaviour) return misbehaviour.error();
    options.misbehaviour = std::move(*misbehaviour);
    options.page_cost = {std::chrono::milliseconds(arguments.page_cost_ms), arguments.page_workers};
    return options;
}

int start_gateway(const Arguments& arguments) {
    auto loaded = node::load_gateway_config(arguments.config);
    if (!loaded.value) return complain(loaded.errors);
    if (arguments.check_config) {
        std::printf("%s: no errors\n", arguments.config.c_str());
        return 0;
    }
    log::start("gateway",
               arguments.log_level.empty() ? loaded.value->log_level : arguments.log_level);
    node::raise_descriptor_limit();
    return node::run_gateway(*loaded.value);
}

int start(const Arguments& arguments) {
    if (arguments.roles == "gateway") return start_gateway(arguments);
    if (arguments.check_config) {
        auto wrong = node::check_config(arguments.config);
        if (!wrong.empty()) return complain(wrong);
        std::printf("%s: no errors\n", arguments.config.c_str());
        return 0;
    }
    auto loaded = node::load_node_config(arguments.config);
    if (!loaded.value) return complain(loaded.errors);
    node::NodeConfig config = *loaded.value;
    auto cluster = node::load_cluster_file(config.cluster_file);
    if (!cluster.value) return complain(cluster.errors);
    auto options = run_options(arguments, config, *cluster.value);
    if (!options) return usage(options.error().what);
    if (arguments.tpm_delay_ms >= 0)
        config.usig.tpm_delay = std::chrono::milliseconds(arguments.tpm_delay_ms);

    log::start(config.host, arguments.log_level.empty() ? config.log_level : arguments.log_level);
    if (config.http) node::raise_descriptor_limit();
    if (options->insecure_software_usig)
        log::warn(
            "INSECURE software_usig=true what=\"certificates of software count: for trials "
            "only\"");
    if (options->misbehaviour.any())
        log::warn("INSECURE misbehave={} what=\"this daemon lies on purpose\"",
                  options->misbehaviour.text());
    return node::run(config, *cluster.value, std::move(*options));
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"bftnode: a host of a Byzantine fault-tolerant database cluster", "bftnode"};
    Arguments arguments;
    app.add_option("--config", arguments.config, "this host's configuration")
        ->capture_default_str();
    app.add_option(
        "--role", arguments.roles,
        "usig, primary, replica, voter, or several with commas; network: all of these but usig; or "
        "gateway, with its own configuration file; default: what the "
        "configuration says, else all that the cluster file gives this host");
    app.add_flag("--check-config", arguments.check_config,
                 "report every error of the configuration with file and line, and exit");
    app.add_option("--log-level", arguments.log_level, "debug, info, warn or error")
        ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
    app.add_option("--tpm-delay-ms", arguments.tpm_delay_ms,
                   "role usig: wait before each certificate, to feel like a slower chip")
        ->check(CLI::Range(0, 60000));
    app.add_option("--page-cost-ms", arguments.page_cost_ms,
                   "role replica: hold each answer for so long, as if a page were made of it")
        ->check(CLI::Range(0, 60000));
    app.add_option("--page-workers", arguments.page_workers,
                   "pages that each replica makes at once")
        ->capture_default_str()
        ->check(CLI::Range(1, 10000));
    app.add_flag("--insecure-software-usig", arguments.software_usig,
                 "accept certificates of software in place of a TPM: for trials only");
    app.add_option("--insecure-misbehave", arguments.misbehave,
                   "for tests: lie on purpose; wrong-commit, wrong-commit-db, wrong-result, "
                   "wrong-reply, wrong-page, forged-signature, silence, garbage, or several with "
                   "commas");
    app.set_version_flag("--version", std::string("bftnode ") + BFT_VERSION);
    app.footer(footer);
    CLI11_PARSE(app, argc, argv);
    try {
        return start(arguments);
    } catch (const std::exception& failure) {
        return usage(failure.what());
    }
}

#include "node/config.hpp"

#include "base/secret_file.hpp"
#include "node/config_reader.hpp"

namespace bft::node {
namespace {

constexpr std::int64_t day_ms = 24 * 60 * 60 * 1000;

const std::set<std::string, std::less<>> role_names = {"usig", "primary", "replica", "voter"};
const std::set<std::string, std::less<>> log_levels = {"debug", "info", "warn", "error"};
const std::set<std::string, std::less<>> tcti_kinds = {"device", "swtpm", "mssim", "cmd",
                                                       "software"};

Result<Role> parse_role(std::string_view name) {
    if (name == "usig") return Role::usig;
    if (name == "primary") return Role::primary;
    if (name == "replica") return Role::replica;
    if (name == "voter") return Role::voter;
    return error(Errc::malformed, "there is no role '" + std::string(name) +
                                      "' (usig, primary, replica or voter)" +
                                      did_you_mean(name, role_names));
}

void read_roles(TableReader& host, std::set<Role>& roles) {
    std::vector<std::string> names;
    if (!host.texts("roles", names)) return;
    for (const std::string& name : names) {
        const Result<Role> role = parse_role(name);
        if (!role)
            host.error("roles", role.error().what);
        else if (!roles.insert(*role).second)
            host.error("roles", "role '" + name + "' is named twice");
    }
}

/// Where a host's state is when node.toml says nothing: beside that file; of a host that is
/// installed in /etc/bftnode/NAME, where the file system's standard wants it.
struct DefaultPlaces {
    std::filesystem::path data;
    std::filesystem::path sockets;  ///< empty: in the data folder
};

DefaultPlaces default_places(const std::filesystem::path& file) {
    const std::filesystem::path folder = file.parent_path();
    if (folder.parent_path() != "/etc/bftnode") return {folder / "data", {}};
    return {"/var/lib/bftnode" / folder.filename(), "/run/bftnode" / folder.filename()};
}

std::filesystem::path default_socket(const NodeConfig& config, const char* name) {
    const std::filesystem::path sockets = default_places(config.file).sockets;
    return (sockets.empty() ? config.data_dir : sockets) / name;
}

void read_host(TableReader host, NodeConfig& config) {
    host.text("name", config.host, Need::required);
    config.data_dir = default_places(config.file).data;
    host.path("data_dir", config.data_dir);
    host.address("listen", config.listen);
    read_roles(host, config.roles);
    config.identity_key = config.file.parent_path() / "identity.key";
    host.path("identity_key", config.identity_key);
    config.cluster_file = config.file.parent_path() / "cluster.toml";
    host.path("cluster_file", config.cluster_file);
    config.status_socket = default_socket(config, "status.sock");
    host.path("status_socket", config.status_socket);
    host.address("metrics", config.metrics);
    if (host.text("log_level", config.log_level) && !log_levels.contains(config.log_level))
        host.error("log_level", "'" + config.log_level +
                                    "' is no log level (debug, info, warn or error)" +
                                    did_you_mean(config.log_level, log_levels));
    host.number("verify_threads", config.verify_threads, 0, 64);
    host.finish();
}

void check_socket_length(TableReader& table, std::string_view key,
                         const std::filesystem::path& socket) {
    // sockaddr_un.sun_path, with its closing zero.
    if (socket.string().size() > 107)
        table.error(key, "'" + table.full_name(key) +
                             "' is longer than the 107 bytes that a unix " +
                             "socket's path may have: " + socket.string());
}

void read_usig(std::optional<TableReader> usig, NodeConfig& config) {
    config.usig.socket = default_socket(config, "usig.sock");
    config.usig.tokens = config.file.parent_path() / "usig.tokens";
    config.usig.secrets = config.file.parent_path() / "usig.secrets";
    config.usig.journal = config.data_dir / "usig";
    if (!usig) return;
    usig->path("socket", config.usig.socket);
    check_socket_length(*usig, "socket", config.usig.socket);
    usig->path("tokens", config.usig.tokens);
    usig->path("secrets", config.usig.secrets);
    usig->path("journal", config.usig.journal);
    read_tcti(*usig, "tcti", config.usig.tcti, Need::required);
    usig->millis("tpm_delay_ms", config.usig.tpm_delay, 0, 60'000);
    usig->finish();
}

void read_timing(std::optional<TableReader> timing, NodeConfig& config) {
    if (!timing) return;
    timing->millis("batch_interval_ms", config.primary.batch_interval, 0, 10'000);
    timing->millis("gather_interval_ms", config.primary.gather_interval, 0, 10'000);
    timing->millis("busy_batch_interval_ms", config.primary.busy_batch_interval, 0, 10'000);
    timing->millis("heartbeat_ms", config.primary.heartbeat, 1, day_ms);
    timing->millis("forward_after_ms", config.replica.forward_after, 1, day_ms);
    if (timing->millis("retransmit_ms", config.replica.retransmit, 1, day_ms))
        config.primary.retransmit = config.replica.retransmit;
    timing->millis("order_patience_ms", config.replica.order_patience, 1, day_ms);
    timing->millis("body_patience_ms", config.replica.body_patience, 1, day_ms);
    timing->millis("silence_patience_ms", config.replica.silence_patience, 1, day_ms);
    timing->millis("new_view_patience_ms", config.replica.new_view_patience, 1, day_ms);
    timing->millis("patience_max_ms", config.replica.patience_max, 1, day_ms);
    timing->millis("slow_slots_ms", config.replica.watch.slot_interval, 1, day_ms);
    timing->millis("late_orders_ms", config.replica.watch.order_delay, 1, day_ms);
    timing->millis("clock_drift_ms", config.replica.watch.clock_drift, 1, day_ms);
    timing->millis("view_min_ms", config.replica.watch.view_min, 0, day_ms);
    timing->millis("vouch_interval_ms", config.replica.vouch_interval, 1, day_ms);
    timing->millis("search_ms", config.primary.search, 1, day_ms);
    timing->millis("tpm_patience_ms", config.tpm_patience, 1, day_ms);
    if (timing->millis("status_interval_ms", config.replica.status_interval, 1, day_ms))
        config.voter.status_interval = config.replica.status_interval;
    timing->millis("gap_timeout_ms", config.voter.gap_timeout, 1, day_ms);
    timing->finish();
}

void read_limits(std::optional<TableReader> limits, NodeConfig& config) {
    if (!limits) return;
    if (limits->number("slot_entries", config.primary.slot_entries, 1, 65'536))
        config.replica.watch.slot_entries = config.primary.slot_entries;
    if (limits->number("slot_bytes", config.primary.slot_bytes, 64 * 1024, 8 * 1024 * 1024))
        config.replica.watch.slot_bytes = config.primary.slot_bytes;
    limits->number("overtaking", config.replica.watch.overtaking, 1, 1'000'000);
    limits->number("retain_slots", config.retain_slots, 1024, std::int64_t{1} << 40);
    limits->number("link_queue_bytes", config.link_queue_bytes, 32 * 1024 * 1024,
                   std::int64_t{1} << 32);
    limits->finish();
}

/// A service manager may hand secrets over elsewhere than node.toml says.
void take_credentials(NodeConfig& config) {
    for (std::filesystem::path* file :
         {&config.identity_key, &config.usig.tokens, &config.usig.secrets})
        *file = secret_path(*file);
    if (config.database)
        config.database->password_file = secret_path(config.database->password_file);
    if (!config.http) return;
    config.http->key = secret_path(config.http->key);
    config.http->web_key = secret_path(config.http->web_key);
}

}  // namespace

std::string to_string(const Diagnostic& diagnostic) {
    std::string text = diagnostic.file.string();
    if (diagnostic.line != 0)
        text += ":" + std::to_string(diagnostic.line) + ":" + std::to_string(diagnostic.column);
    return text + ": " + diagnostic.what;
}

const char* to_string(Role role) {
    switch (role) {
        case Role::usig:
            return "usig";
        case Role::primary:
            return "primary";
        case Role::replica:
            return "replica";
        case Role::voter:
            return "voter";
    }
    return "?";
}

Result<std::set<Role>> parse_roles(std::string_view comma_separated) {
    std::set<Role> roles;
    while (true) {
        const std::size_t comma = comma_separated.find(',');
        const std::string_view name = comma_separated.substr(0, comma);
        const Result<Role> role = parse_role(name);
        if (!role) return role.error();
        if (!roles.insert(*role).second)
            return error(Errc::malformed, "role '" + std::string(name) + "' is named twice");
        if (comma == std::string_view::npos) return roles;
        comma_separated.remove_prefix(comma + 1);
    }
}

bool read_tcti(TableReader& table, std::string_view key, std::string& into, Need need) {
    std::string value;
    if (!table.text(key, value, need)) return false;
    const std::size_t colon = value.find(':');
    if (colon == std::string::npos || !tcti_kinds.contains(value.substr(0, colon))) {
        table.error(key, "'" + value +
                             "' names no TPM; write device:/dev/tpmrm0, swtpm:path=/path/of/socket "
                             "or mssim:host=...,port=...");
        return false;
    }
    into = std::move(value);
    return true;
}

DatabaseConfig read_database(TableReader& table) {
    DatabaseConfig database;
    std::string flavour = "mariadb";
    table.text("flavour", flavour);
    if (flavour == "mysql")
        database.flavour = Flavour::mysql;
    else if (flavour != "mariadb")
        table.error("flavour", "'" + flavour + "' is no flavour (mariadb or mysql)");
    table.path("socket", database.socket);
    table.text("host", database.host);
    table.number("port", database.port, 1, 65535);
    if (database.socket.empty() == database.host.empty())
        table.error(table.has("host") ? "host" : "socket",
                    "a database needs either 'socket' or 'host' (and 'port')");
    if (!database.socket.empty()) check_socket_length(table, "socket", database.socket);
    table.text("user", database.user, Need::required);
    table.path("password_file", database.password_file);
    table.text("name", database.name, Need::required);
    table.number("workers", database.workers, 1, 256);
    table.number("batch", database.batch, 1, 1024);
    table.finish();
    return database;
}

Loaded<NodeConfig> parse_node_config(std::string_view text, const std::filesystem::path& file) {
    ReadContext context{std::filesystem::absolute(file).lexically_normal(), {}, {}};
    const std::optional<toml::table> root_table = parse_toml(text, context);
    if (!root_table) return {std::nullopt, context.sorted(), {}};
    TableReader root(*root_table, "", context);
    NodeConfig config;
    config.file = context.file;
    if (auto host = root.table("host", Need::required)) read_host(*host, config);
    read_usig(root.table("usig"), config);
    if (auto database = root.table("database")) {
        config.database = read_database(*database);
        config.voter.workers = config.database->workers;
    }
    if (auto http = root.table("http")) read_http(*http, config.http.emplace());
    read_timing(root.table("timing"), config);
    read_limits(root.table("limits"), config);
    root.finish();
    if (!context.errors.empty()) return {std::nullopt, context.sorted(), std::move(context.places)};
    return {std::move(config), {}, std::move(context.places)};
}

Loaded<NodeConfig> load_node_config(const std::filesystem::path& file) {
    ReadContext context{std::filesystem::absolute(file).lexically_normal(), {}, {}};
    const std::optional<std::string> text = read_text_file(context);
    if (!text) return {std::nullopt, context.errors, {}};
    auto loaded = parse_node_config(*text, file);
    if (loaded.value) take_credentials(*loaded.value);
    return loaded;
}

}  // namespace bft::node

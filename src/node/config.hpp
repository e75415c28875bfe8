// node.toml: what one host's processes need to know that is not of the whole cluster (that is in
// cluster_file.hpp). Parsed once into a const struct; all errors are reported together.
#pragma once

#include "base/result.hpp"
#include "base/time.hpp"
#include "consensus/minbft/primary.hpp"
#include "consensus/minbft/replica.hpp"
#include "consensus/voter.hpp"
#include "host/durable_log.hpp"
#include "http/server.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace bft::node {

/// One thing that is wrong with a file, in a sentence that says what to do about it.
struct Diagnostic {
    std::filesystem::path file;
    std::uint32_t line = 0;  ///< from 1; 0: the file as a whole
    std::uint32_t column = 0;
    std::string what;
};
using Diagnostics = std::vector<Diagnostic>;

/// "node.toml:12:3: unknown key 'datadir'; did you mean 'data_dir'?"
std::string to_string(const Diagnostic& diagnostic);

/// Where a value stands in its file.
struct Place {
    std::uint32_t line = 0;
    std::uint32_t column = 0;
};

/// A parsed file, or everything that is wrong with it.
template <class T>
struct Loaded {
    std::optional<T> value;  ///< set exactly when `errors` is empty
    Diagnostics errors;
    /// Of each value that the file gives, by its name ("usig.tcti", "host[2].name"): for checks
    /// that need other files, too.
    std::map<std::string, Place> places;
};

/// Of a cluster that says nothing else, see ClusterFile.
inline constexpr std::uint64_t default_checkpoint_slots = 32;
inline constexpr std::uint64_t default_scan_slots = 4096;

enum class Role : std::uint8_t { usig = 1, primary = 2, replica = 3, voter = 4 };
const char* to_string(Role role);
/// "replica,voter" as --role takes it; refuses unknown and repeated names.
Result<std::set<Role>> parse_roles(std::string_view comma_separated);

enum class Flavour : std::uint8_t { mariadb = 1, mysql = 2 };

/// [usig]: the service that owns this host's TPM, and how the roles reach it.
struct UsigConfig {
    std::filesystem::path socket;   ///< unix socket that the service listens on
    std::filesystem::path tokens;   ///< what entitles roles to hosted identities, mode 0600
    std::filesystem::path secrets;  ///< what entitles the service to the TPM's counters, mode 0600
    std::filesystem::path journal;  ///< folder: the service's intents and last certificates
    std::string tcti;      ///< "device:/dev/tpmrm0", "swtpm:path=/run/tpm.sock", "mssim:..."
    Duration tpm_delay{};  ///< added to each certificate: to feel like a slower chip
};

/// [database]: this host's own database server; voters only.
struct DatabaseConfig {
    Flavour flavour = Flavour::mariadb;
    std::filesystem::path socket;  ///< either this
    std::string host;              ///< or host and port
    std::uint16_t port = 3306;
    std::string user;
    std::filesystem::path password_file;  ///< empty: no password (unix socket authentication)
    std::string name;                     ///< of the database
    std::uint32_t workers = 1;            ///< sessions that execute in parallel
    std::uint32_t batch = 64;             ///< ordered transactions per SQL transaction, at most
};

/// [http]: the front for browsers and other HTTP clients.
struct HttpConfig {
    std::string listen;                 ///< "address:port"
    std::filesystem::path certificate;  ///< PEM; empty: plain HTTP, on a loopback address only
    std::filesystem::path key;          ///< PEM, mode 0600
    std::filesystem::path web_key;      ///< P-256 key for answers, mode 0600; empty: none
    std::filesystem::path site;         ///< folder served as it is; empty: none
    http::ServerOptions server;
    Duration answer_timeout = 30s;
};

/// "https://name:port" or "http://name:port" taken apart.
struct HttpUrl {
    bool secure = true;
    std::string host;     ///< without brackets
    std::string address;  ///< "name:port"
};
std::optional<HttpUrl> parse_http_url(std::string_view url);
/// Of an "address:port": does only this machine reach it?
bool is_loopback(std::string_view address);

/// gateway.toml.
struct GatewayConfig {
    std::filesystem::path file;
    std::filesystem::path client;      ///< client.toml, or the folder that holds it
    std::filesystem::path token_file;  ///< empty: callers need no token
    Duration give_up_after = 30s;
    std::uint32_t idempotency_keys = 16384;
    std::string log_level = "info";
    HttpConfig http;
};

/// Every path is absolute: relative ones are taken from the folder of node.toml.
struct NodeConfig {
    std::filesystem::path file;
    std::string host;  ///< name in the cluster file
    std::filesystem::path data_dir;
    std::string listen;    ///< "address:port"; empty: the host's address in the cluster file
    std::set<Role> roles;  ///< empty: what the cluster file gives this host, and usig
    std::filesystem::path identity_key;
    std::filesystem::path cluster_file;
    /// bftnode accepts connections here, writes one JSON document (docs/operations.md, "Status")
    /// and closes; `bftctl status` reads it. Mode 0600.
    std::filesystem::path status_socket;
    std::string metrics;  ///< "address:port" of Prometheus metrics; empty: none
    std::string log_level = "info";
    std::uint32_t verify_threads = 0;  ///< 0: signatures are checked on the event loop

    UsigConfig usig;
    std::optional<DatabaseConfig> database;
    std::optional<HttpConfig> http;

    /// [timing] and [limits] write into these: their defaults are the engines' own.
    consensus::minbft::PrimaryOptions primary;
    consensus::minbft::ReplicaOptions replica;
    consensus::VoterOptions voter;
    Duration tpm_patience = 1500ms;  ///< a primary without certificates resigns after this
    std::uint64_t retain_slots = host::DurableLog::retain_default;  ///< of log, for peers
    std::uint64_t link_queue_bytes = 64 * 1024 * 1024;  ///< waiting for one peer; beyond: dropped
};

/// The file alone: syntax, keys, types, ranges.
Loaded<NodeConfig> load_node_config(const std::filesystem::path& file);
Loaded<NodeConfig> parse_node_config(std::string_view text, const std::filesystem::path& file);

Loaded<GatewayConfig> load_gateway_config(const std::filesystem::path& file);

/// Everything that `bftnode --check-config` reports, sorted by file and line: node.toml, the
/// cluster file that it names, and whether the two agree with each other and with the files on this
/// host (present, private where secret, identity key the one that is pinned). Empty: nothing is
/// wrong.
Diagnostics check_config(const std::filesystem::path& node_file);

}  // namespace bft::node

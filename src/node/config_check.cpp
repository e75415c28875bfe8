// --check-config: whether node.toml, the cluster file and the files on this host fit together.
#include "base/secret_file.hpp"
#include "catalog/application.hpp"
#include "crypto/signing_key.hpp"
#include "crypto/web_tls.hpp"
#include "node/cluster_file.hpp"
#include "node/config.hpp"
#include "node/config_reader.hpp"
#include "node/join_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

namespace bft::node {
namespace {

namespace fs = std::filesystem;

class Checker {
public:
    Checker(const Loaded<NodeConfig>& node, const Loaded<ClusterFile>& cluster)
        : node_(node), cluster_(cluster), config_(*node.value) {}

    Diagnostics check() {
        check_identity_key();
        if (config_.usig.tcti.empty() && needs(Role::usig))
            add("usig.tcti", "[usig] tcti is missing: it says where this host's TPM is");
        if (cluster_.value) check_against_cluster(*cluster_.value);
        if (needs(Role::voter)) check_database();
        check_counters();
        check_http();
        check_data_dir();
        return std::move(errors_);
    }

private:
    /// Before the cluster file could be read, only what node.toml asks for is known.
    [[nodiscard]] bool needs(Role role) const {
        if (!config_.roles.empty()) return config_.roles.contains(role);
        if (!cluster_.value) return false;
        if (cluster_.value->host_id(config_.host))
            return cluster_.value->roles_of(config_.host).contains(role);
        return fs::exists(join_file_of(config_)) && roles_of_newcomer(config_).contains(role);
    }

    /// At the value `key` of node.toml, or at its table, or at the file.
    void add(const std::string& key, std::string what) {
        auto found = node_.places.find(key);
        if (found == node_.places.end()) found = node_.places.find(key.substr(0, key.find('.')));
        const Place place = found == node_.places.end() ? Place{} : found->second;
        errors_.push_back({config_.file, place.line, place.column, std::move(what)});
    }
    void add_to_cluster(const std::string& key, std::string what) {
        const auto found = cluster_.places.find(key);
        const Place place = found == cluster_.places.end() ? Place{} : found->second;
        errors_.push_back({config_.cluster_file, place.line, place.column, std::move(what)});
    }

    /// True when the file is there, readable, and closed to everybody else.
    bool check_secret(const std::string& key, const fs::path& file, const std::string& hint) {
        struct stat info {};
        if (::stat(file.c_str(), &info) != 0) {
            add(key, file.string() + ": " + std::strerror(errno) + "; " + hint);
            return false;
        }
        if (!is_closed(file, info.st_mode)) {
            add(key, file.string() + " is open to other users; run: chmod 600 " + file.string());
            return false;
        }
        if (::access(file.c_str(), R_OK) != 0) {
            add(key, file.string() + ": " + std::strerror(errno));
            return false;
        }
        return true;
    }

    void check_identity_key() {
        if (!check_secret(
                "host.identity_key", config_.identity_key,
                "copy it from where `bftctl init` made it; without it this is not the host"))
            return;
        const Result<crypto::SigningKey> key = crypto::SigningKey::load(config_.identity_key);
        if (!key) {
            add("host.identity_key", key.error().what);
            return;
        }
        if (!cluster_.value) return;
        const std::optional<HostId> id = cluster_.value->host_id(config_.host);
        if (const auto join = load_join_file(join_file_of(config_)); !id && join) {
            if (join->key != key->public_key())
                add("host.identity_key",
                    "this key is not the one in " + join_file_of(config_).string());
            return;
        }
        if (!id || cluster_.value->host(*id).key == key->public_key()) return;
        add("host.identity_key", "this key is not the one that " + config_.cluster_file.string() +
                                     " pins for host '" + config_.host + "'" +
                                     owner_of(key->public_key()));
    }

    [[nodiscard]] std::string owner_of(const Bytes& key) const {
        for (const ClusterHost& host : cluster_.value->hosts)
            if (host.key == key) return "; it belongs to host '" + host.name + "'";
        return "; no host of this cluster has it";
    }

    void check_against_cluster(const ClusterFile& cluster) {
        if (!cluster.host_id(config_.host) && fs::exists(join_file_of(config_))) {
            const auto join = load_join_file(join_file_of(config_));
            if (!join)
                add("host.name", join.error().what);
            else if (join->cluster != cluster.digest())
                add("host.name", join_file_of(config_).string() + " was made for another cluster");
            check_application(cluster);
            return;
        }
        if (!cluster.host_id(config_.host)) {
            std::set<std::string, std::less<>> names;
            for (const ClusterHost& host : cluster.hosts) names.insert(host.name);
            add("host.name", config_.cluster_file.string() + " has no host '" + config_.host + "'" +
                                 did_you_mean(config_.host, names));
            return;
        }
        const std::set<Role> given = cluster.roles_of(config_.host);
        for (const Role role : config_.roles)
            if (!given.contains(role))
                add("host.roles", std::string("the cluster file gives host '") + config_.host +
                                      "' no role '" + to_string(role) + "'");
        check_application(cluster);
    }

    void check_application(const ClusterFile& cluster) {
        const Result<catalog::Application> application =
            catalog::Application::load(cluster.application.folder);
        if (!application) {
            add_to_cluster("application.folder", application.error().what);
        } else if (const Result<void> fits = application->fits(cluster.voters.size()); !fits) {
            add_to_cluster("voters", fits.error().what);
        } else if (application->digest() != cluster.application.digest) {
            add_to_cluster("application.digest",
                           "the application in " + cluster.application.folder.string() +
                               " is not the one that the cluster was made with (digest " +
                               hex(application->digest()) + "): copy the folder from another host");
        }
    }

    void check_database() {
        if (!config_.database) {
            add("database", "this host is a voter: [database] is missing");
            return;
        }
        if (!config_.database->password_file.empty())
            check_secret("database.password_file", config_.database->password_file,
                         "put the database user's password into it");
    }

    void check_counters() {
        if (!needs(Role::usig) && !needs(Role::primary) && !needs(Role::replica)) return;
        const std::string hint = "copy it from where `bftctl init` made it";
        check_secret("usig.tokens", config_.usig.tokens, hint);
        if (!needs(Role::usig)) return;
        if (config_.usig.tcti.starts_with("software:"))
            check_secret("usig.tcti",
                         config_.file.parent_path() /
                             config_.usig.tcti.substr(config_.usig.tcti.find(':') + 1),
                         hint);
        else
            check_secret("usig.secrets", config_.usig.secrets, hint);
    }

    void check_http() {
        if (!config_.http) return;
        const HttpConfig& http = *config_.http;
        if (!http.certificate.empty()) {
            const bool private_key = check_secret(
                "http.key", http.key, "it belongs to the certificate that browsers are shown");
            if (private_key)
                if (auto tls = crypto::make_web_tls_context(http.certificate, http.key); !tls)
                    add("http.certificate", tls.error().what);
        }
        if (!http.web_key.empty())
            check_secret("http.web_key", http.web_key, "copy it from where `bftctl init` made it");
    }

    void check_data_dir() {
        std::error_code bad;
        fs::path at = config_.data_dir;
        while (!fs::exists(at, bad) && at.has_parent_path() && at != at.parent_path())
            at = at.parent_path();
        if (!fs::is_directory(at, bad))
            add("host.data_dir", at.string() + " is no folder: data_dir cannot be made there");
        else if (::access(at.c_str(), W_OK | X_OK) != 0)
            add("host.data_dir", "this user may not write to " + at.string());
    }

    const Loaded<NodeConfig>& node_;
    const Loaded<ClusterFile>& cluster_;
    const NodeConfig& config_;
    Diagnostics errors_;
};

}  // namespace

Diagnostics check_config(const fs::path& node_file) {
    const Loaded<NodeConfig> node = load_node_config(node_file);
    if (!node.value) return node.errors;
    const Loaded<ClusterFile> cluster = load_cluster_file(node.value->cluster_file);
    Diagnostics errors = Checker(node, cluster).check();
    errors.insert(errors.end(), cluster.errors.begin(), cluster.errors.end());
    std::stable_sort(errors.begin(), errors.end(), [&](const Diagnostic& a, const Diagnostic& b) {
        const bool a_first = a.file == node.value->file;
        const bool b_first = b.file == node.value->file;
        if (a_first != b_first) return a_first;
        return a.line != b.line ? a.line < b.line : a.column < b.column;
    });
    return errors;
}

}  // namespace bft::node

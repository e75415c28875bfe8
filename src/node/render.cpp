#include "node/render.hpp"

#include <sstream>

namespace bft::node {
namespace {

void render_database(std::ostream& out, const DatabaseConfig& database) {
    out << "\n[database]\n"
        << "flavour = " << (database.flavour == Flavour::mysql ? "\"mysql\"" : "\"mariadb\"")
        << "\n";
    if (!database.socket.empty())
        out << "socket = " << quoted(database.socket.string()) << "\n";
    else
        out << "host = " << quoted(database.host) << "\nport = " << database.port << "\n";
    out << "user = " << quoted(database.user) << "\n";
    if (!database.password_file.empty())
        out << "password_file = " << quoted(database.password_file.string()) << "\n";
    out << "name = " << quoted(database.name) << "\n"
        << "workers = " << database.workers << "\n"
        << "batch = " << database.batch << "\n";
}

void render_http(std::ostream& out, const HttpUrl& url, const std::vector<std::string>& origins) {
    out << "\n[http]\nlisten = " << quoted(url.address) << "\n";
    if (url.secure) out << "certificate = \"http.crt\"\nkey = \"http.key\"\n";
    out << "web_key = \"web.key\"\norigins = [";
    for (const std::string& origin : origins)
        out << (&origin == &origins.front() ? "" : ", ") << quoted(origin);
    out << "]\n";
}

}  // namespace

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto value = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (value < 0x20 || value == 0x7f) {
            constexpr std::string_view digits = "0123456789abcdef";
            out += "\\u00";
            out += digits[value >> 4U];
            out += digits[value & 15U];
        } else {
            out += c;
        }
    }
    return out + "\"";
}

std::string render_node_toml(const TopologyHost& host, const std::vector<std::string>& origins) {
    std::ostringstream out;
    out << "# Made by `bftctl init`. Every key there is, with its default: config/node.toml\n\n"
        << "[host]\n"
        << "name = " << quoted(host.name) << "\n";
    if (!host.metrics.empty()) out << "metrics = " << quoted(host.metrics) << "\n";
    if (!host.tcti.empty()) {
        out << "\n[usig]\ntcti = " << quoted(host.tcti) << "\n";
        if (host.tpm_delay != Duration{})
            out << "tpm_delay_ms = "
                << std::chrono::duration_cast<std::chrono::milliseconds>(host.tpm_delay).count()
                << "\n";
    }
    if (host.database) render_database(out, *host.database);
    if (auto url = parse_http_url(host.http)) render_http(out, *url, origins);
    return out.str();
}

client::Config client_config(const ClusterFile& cluster, ClientId id) {
    const consensus::Membership membership = cluster.membership();
    client::Config config;
    config.cluster = membership.cluster;
    config.version = membership.version;
    config.f = cluster.f;
    config.id = id;
    config.key_file = "client.key";
    config.application = "app";
    for (const ClusterHost& host : cluster.hosts)
        config.hosts.push_back({host.name, host.address, host.key});
    for (const consensus::Member& primary : membership.primaries)
        config.primaries.push_back(primary.host);
    for (const consensus::Group& group : membership.groups)
        for (const consensus::Member& member : group.members)
            config.groups[group.id].push_back(member.host);
    config.owners = membership.owners;
    config.admins = membership.admins;
    return config;
}

}  // namespace bft::node

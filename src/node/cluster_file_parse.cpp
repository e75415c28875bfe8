// Reading cluster.toml, and what must hold in it.
#include "crypto/web_key.hpp"
#include "node/cluster_file.hpp"
#include "node/config_reader.hpp"

#include <algorithm>
#include <functional>

namespace bft::node {

bool read_client_key(TableReader& table, std::string_view key, Bytes& into) {
    std::string text;
    if (!table.text(key, text, Need::required)) return false;
    auto bytes = from_hex(text);
    bool good = bytes && (bytes->size() == 32 || crypto::is_web_public_key(*bytes));
    if (good)
        into = std::move(*bytes);
    else
        table.error(key,
                    "a client's key is 64 hexadecimal digits (Ed25519), or 130 that are an "
                    "uncompressed point of P-256");
    return good;
}

bool read_http_url(TableReader& table, std::string_view key, std::string& into) {
    std::string url;
    if (!table.text(key, url)) return false;
    if (!parse_http_url(url)) {
        table.error(key, "'" + url + "' is no https://name:port or http://name:port");
        return false;
    }
    into = std::move(url);
    return true;
}

namespace {

using Names = std::set<std::string, std::less<>>;

constexpr std::int64_t f_max = 10;
constexpr std::int64_t checkpoint_slots_max = 1 << 24;
constexpr std::int64_t partition_max = 0xffff'ffff;

class Parser {
public:
    explicit Parser(ReadContext& context) : context_(context) {}

    ClusterFile parse(const toml::table& table) {
        cluster_.file = context_.file;
        TableReader root(table, "", context_);
        root.text("name", cluster_.name, Need::required);
        root.hex_bytes("id", 16, cluster_.id, Need::required);
        root.number("f", cluster_.f, 1, f_max, Need::required);
        root.number("f_database", cluster_.f_database, 0, f_max, Need::required);
        root.number("checkpoint_slots", cluster_.checkpoint_slots, 1, checkpoint_slots_max);
        root.number("scan_slots", cluster_.scan_slots, 0, checkpoint_slots_max);
        if (cluster_.scan_slots % cluster_.checkpoint_slots != 0)
            root.error("scan_slots", "scan_slots must be a multiple of checkpoint_slots, " +
                                         std::to_string(cluster_.checkpoint_slots));
        if (auto application = root.table("application", Need::required))
            read_application(*application);
        if (auto genesis = root.table("genesis")) read_genesis(*genesis);
        for (TableReader& host : root.tables("host", Need::required)) read_host(host);
        std::vector<TableReader> primaries = root.tables("primary", Need::required);
        Names primary_hosts;
        for (TableReader& primary : primaries)
            cluster_.primaries.push_back(read_identity(primary, primary_hosts, "primary"));
        for (TableReader& group : root.tables("group", Need::required)) read_group(group);
        check_partition_zero(root);
        read_voters(root);
        for (TableReader& client : root.tables("client", Need::required)) read_client(client);
        read_admins(root);
        root.finish();
        std::sort(cluster_.groups.begin(), cluster_.groups.end(),
                  [](const auto& a, const auto& b) { return a.id < b.id; });
        std::sort(cluster_.clients.begin(), cluster_.clients.end(),
                  [](const auto& a, const auto& b) { return a.id < b.id; });
        return std::move(cluster_);
    }

private:
    void read_application(TableReader& table) {
        table.text("name", cluster_.application.name, Need::required);
        Bytes digest;
        if (table.hex_bytes("digest", 32, digest, Need::required))
            cluster_.application.digest = *Digest::from(digest);
        table.path("folder", cluster_.application.folder, Need::required);
        table.finish();
    }

    void read_genesis(TableReader& table) {
        ClusterGenesis genesis;
        const auto digest = [&](const char* key, Digest& into) {
            Bytes bytes;
            if (table.hex_bytes(key, 32, bytes, Need::required)) into = *Digest::from(bytes);
        };
        digest("root", genesis.root);
        digest("snapshot", genesis.snapshot);
        digest("cluster", genesis.cluster);
        table.number("slot", genesis.slot.value, 1, std::numeric_limits<std::int64_t>::max(),
                     Need::required);
        table.finish();
        if (cluster_.f_database == 0)
            table.error("root", "a cluster without databases cannot begin with a snapshot");
        cluster_.genesis = genesis;
    }

    void once(TableReader& table, std::string_view key, Names& seen, const std::string& value,
              const std::string& what) {
        if (!value.empty() && !seen.insert(value).second)
            table.error(key, what + " '" + value + "' is given twice; each must be its own");
    }

    void read_host(TableReader& table) {
        ClusterHost host;
        table.text("name", host.name, Need::required);
        table.address("address", host.address, Need::required);
        table.hex_bytes("key", 32, host.key, Need::required);
        table.hex_bytes("web_key", crypto::web_public_key_bytes, host.web_key);
        check_curve(table, "web_key", host.web_key);
        read_http_url(table, "http", host.http);
        std::vector<std::string> spares;
        table.texts("spare_counters", spares);
        for (const std::string& text : spares)
            read_usig(table, "spare_counters", text, host.spare_counters.emplace_back());
        table.finish();
        once(table, "name", host_names_, host.name, "host name");
        once(table, "address", addresses_, host.address, "address");
        once(table, "key", keys_, hex(host.key), "key");
        cluster_.hosts.push_back(std::move(host));
    }

    static void check_curve(TableReader& table, std::string_view key, const Bytes& point) {
        if (!point.empty() && !crypto::is_web_public_key(point))
            table.error(key, "this is no P-256 key (an uncompressed point, 65 bytes)");
    }

    void known_host(TableReader& table, std::string_view key, const std::string& name) {
        if (!name.empty() && !host_names_.contains(name))
            table.error(
                key, "there is no [[host]] named '" + name + "'" + did_you_mean(name, host_names_));
    }

    ClusterIdentity read_identity(TableReader& table, Names& hosts_so_far,
                                  const std::string& what) {
        ClusterIdentity identity;
        table.text("host", identity.host, Need::required);
        known_host(table, "host", identity.host);
        if (!identity.host.empty() && !hosts_so_far.insert(identity.host).second)
            table.error("host", "host '" + identity.host + "' is a " + what +
                                    " twice; each place needs a host of its own");
        std::string text;
        if (table.text("usig", text, Need::required)) read_usig(table, "usig", text, identity.usig);
        table.finish();
        return identity;
    }

    void read_usig(TableReader& table, std::string_view key, const std::string& text,
                   usig::PublicIdentity& into) {
        Result<usig::PublicIdentity> usig = usig::decode_public_identity(text);
        if (!usig)
            table.error(key, "this is no USIG identity: " + usig.error().what);
        else
            into = *usig;
        once(table, key, usigs_, text, "USIG identity");
    }

    void read_group(TableReader& table) {
        ClusterGroup group;
        if (table.number("id", group.id.value, 0, partition_max, Need::required))
            once(table, "id", group_ids_, std::to_string(group.id.value), "group id");
        std::vector<std::int64_t> partitions;
        table.numbers("partitions", partition_max, partitions, Need::required);
        for (const std::int64_t partition : partitions) {
            once(table, "partitions", partitions_, std::to_string(partition), "partition");
            group.partitions.emplace_back(static_cast<std::uint32_t>(partition));
        }
        std::sort(group.partitions.begin(), group.partitions.end());
        std::vector<TableReader> members = table.tables("member", Need::required);
        Names hosts;
        for (TableReader& member : members)
            group.members.push_back(
                read_identity(member, hosts, "member of group " + std::to_string(group.id.value)));
        if (group.members.size() != 2 * cluster_.f + 1)
            table.error("member", "group " + std::to_string(group.id.value) + " has " +
                                      std::to_string(group.members.size()) +
                                      " members; with f = " + std::to_string(cluster_.f) +
                                      " it needs 2f+1 = " + std::to_string(2 * cluster_.f + 1));
        table.finish();
        cluster_.groups.push_back(std::move(group));
    }

    void check_partition_zero(TableReader& root) {
        if (!partitions_.contains("0") && !cluster_.groups.empty())
            root.error("group",
                       "no group owns partition 0, which configuration needs: add 0 to "
                       "the partitions of one group");
    }

    void read_voters(TableReader& root) {
        if (!root.texts("voters", cluster_.voters, Need::required)) return;
        Names seen;
        for (const std::string& voter : cluster_.voters) {
            known_host(root, "voters", voter);
            once(root, "voters", seen, voter, "voter");
        }
        const std::size_t wanted =
            cluster_.f_database == 0 ? 0 : 2 * std::size_t{cluster_.f_database} + 1;
        if (cluster_.voters.size() != wanted)
            root.error("voters", "there are " + std::to_string(cluster_.voters.size()) +
                                     " voters; with f_database = " +
                                     std::to_string(cluster_.f_database) + " there must be " +
                                     std::to_string(wanted) + (wanted == 0 ? "" : " = 2f+1"));
    }

    void read_client(TableReader& table) {
        ClusterClient client;
        if (table.number("id", client.id.value, 1, std::numeric_limits<std::int64_t>::max(),
                         Need::required))
            once(table, "id", client_ids_, std::to_string(client.id.value), "client id");
        table.text("name", client.name, Need::required);
        once(table, "name", client_names_, client.name, "client name");
        read_client_key(table, "key", client.key);
        once(table, "key", keys_, hex(client.key), "key");
        table.finish();
        cluster_.clients.push_back(std::move(client));
    }

    void read_admins(TableReader& root) {
        for (TableReader& table : root.tables("admin")) {
            ClusterAdmin admin;
            table.text("name", admin.name, Need::required);
            once(table, "name", admin_names_, admin.name, "admin");
            table.hex_bytes("key", 32, admin.key, Need::required);
            once(table, "key", keys_, hex(admin.key), "key");
            table.finish();
            cluster_.admins.push_back(std::move(admin));
        }
        const bool any = !cluster_.admins.empty();
        root.number("admin_quorum", cluster_.admin_quorum, any ? 1 : 0,
                    static_cast<std::int64_t>(cluster_.admins.size()),
                    any ? Need::required : Need::optional);
    }

    ReadContext& context_;
    ClusterFile cluster_;
    Names host_names_, addresses_, keys_, usigs_, group_ids_, partitions_, client_ids_,
        client_names_, admin_names_;
};

}  // namespace

Loaded<ClusterFile> parse_cluster_file(std::string_view text, const std::filesystem::path& file) {
    ReadContext context{std::filesystem::absolute(file).lexically_normal(), {}, {}};
    const std::optional<toml::table> root = parse_toml(text, context);
    if (!root) return {std::nullopt, context.sorted(), {}};
    ClusterFile cluster = Parser(context).parse(*root);
    if (!context.errors.empty()) return {std::nullopt, context.sorted(), std::move(context.places)};
    return {std::move(cluster), {}, std::move(context.places)};
}

Loaded<ClusterFile> load_cluster_file(const std::filesystem::path& file) {
    ReadContext context{std::filesystem::absolute(file).lexically_normal(), {}, {}};
    const std::optional<std::string> text = read_text_file(context);
    if (!text) return {std::nullopt, context.errors, {}};
    return parse_cluster_file(*text, file);
}

}  // namespace bft::node

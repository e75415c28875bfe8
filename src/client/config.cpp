#include "client/config.hpp"

#include <toml++/toml.h>

#include <fstream>
#include <set>
#include <sstream>

namespace bft::client {

namespace {

/// Reads one file's keys and collects everything that is wrong, each with its line.
class Reader {
public:
    explicit Reader(std::string file) : file_(std::move(file)) {}

    void complain(const toml::source_region& where, const std::string& what) {
        if (!errors_.empty()) errors_ += "; ";
        errors_ += file_ + ":" + std::to_string(where.begin.line) + ": " + what;
    }

    template <class T>
    T value(const toml::table& table, std::string_view key, const char* what) {
        const toml::node* node = table.get(key);
        if (node != nullptr)
            if (auto found = node->value_exact<T>()) return *found;
        complain(node != nullptr ? node->source() : table.source(),
                 "'" + std::string(key) + "' must be " + what);
        return T{};
    }

    std::uint64_t number(const toml::table& table, std::string_view key, std::int64_t max) {
        auto found = value<std::int64_t>(table, key, "a number");
        if (found >= 0 && found <= max) return static_cast<std::uint64_t>(found);
        complain(table.source(),
                 "'" + std::string(key) + "' must be from 0 to " + std::to_string(max));
        return 0;
    }

    Bytes binary(const toml::table& table, std::string_view key) {
        auto text = value<std::string>(table, key, "64 hexadecimal digits");
        auto bytes = from_hex(text);
        if (bytes && bytes->size() == 32) return *bytes;
        if (!text.empty())
            complain(table.source(), "'" + std::string(key) + "' must be 64 hexadecimal digits");
        return Bytes(32);
    }

    const toml::array& list(const toml::table& table, std::string_view key) {
        static const toml::array none;
        const toml::node* node = table.get(key);
        if (node != nullptr && node->is_array()) return *node->as_array();
        complain(node != nullptr ? node->source() : table.source(),
                 "'" + std::string(key) + "' must be a list");
        return none;
    }

    [[nodiscard]] const std::string& errors() const { return errors_; }

private:
    std::string file_;
    std::string errors_;
};

HostId host_named(Reader& reader, const std::map<std::string, HostId>& names,
                  const toml::node& node) {
    auto name = node.value<std::string>();
    if (name)
        if (auto found = names.find(*name); found != names.end()) return found->second;
    reader.complain(node.source(), "must name one of the [[host]] tables");
    return {};
}

void read_hosts(Reader& reader, const toml::table& root, Config& config,
                std::map<std::string, HostId>& names) {
    for (const toml::node& node : reader.list(root, "host")) {
        const toml::table* table = node.as_table();
        if (table == nullptr) {
            reader.complain(node.source(), "[[host]] must be a table");
            continue;
        }
        Host host;
        host.name = reader.value<std::string>(*table, "name", "a text");
        host.address = reader.value<std::string>(*table, "address", "\"address:port\"");
        host.key = reader.binary(*table, "key");
        HostId id(static_cast<std::uint32_t>(config.hosts.size()));
        if (!names.emplace(host.name, id).second)
            reader.complain(table->source(), "a second host '" + host.name + "'");
        config.hosts.push_back(std::move(host));
    }
}

void read_groups(Reader& reader, const toml::table& root, Config& config,
                 const std::map<std::string, HostId>& names) {
    for (const toml::node& node : reader.list(root, "group")) {
        const toml::table* table = node.as_table();
        if (table == nullptr) {
            reader.complain(node.source(), "[[group]] must be a table");
            continue;
        }
        GroupId id(static_cast<std::uint32_t>(reader.number(*table, "id", UINT32_MAX)));
        std::vector<HostId> members;
        for (const toml::node& member : reader.list(*table, "members"))
            members.push_back(host_named(reader, names, member));
        if (members.size() != 2 * config.f + 1)
            reader.complain(table->source(), "a group has 2f+1 members");
        if (!config.groups.emplace(id, std::move(members)).second)
            reader.complain(table->source(), "a second group with this id");
        for (const toml::node& part : reader.list(*table, "partitions")) {
            auto number = part.value_exact<std::int64_t>();
            if (!number || *number < 0 || *number > UINT32_MAX)
                reader.complain(part.source(), "a partition is a number from 0 to 4294967295");
            else if (!config.owners.emplace(PartitionId(static_cast<std::uint32_t>(*number)), id)
                          .second)
                reader.complain(part.source(), "this partition has an owner already");
        }
    }
}

void read_admins(Reader& reader, const toml::table& root, Config& config) {
    for (const toml::node& node : reader.list(root, "admins")) {
        auto text = node.value<std::string>();
        auto key = text ? from_hex(*text) : std::nullopt;
        if (key && key->size() == 32)
            config.admins.keys.push_back(std::move(*key));
        else
            reader.complain(node.source(), "an admin's key is 64 hexadecimal digits");
    }
    config.admins.quorum =
        static_cast<std::uint32_t>(reader.number(root, "admin_quorum", UINT32_MAX));
}

}  // namespace

Result<Config> parse_config(std::string_view text, const std::filesystem::path& folder,
                            const std::string& name_for_errors) {
    toml::table root;
    try {
        root = toml::parse(text);
    } catch (const toml::parse_error& failure) {
        return error(Errc::malformed, name_for_errors + ":" +
                                          std::to_string(failure.source().begin.line) + ": " +
                                          std::string(failure.description()));
    }
    Reader reader(name_for_errors);
    Config config;
    Bytes cluster = reader.binary(root, "cluster");
    std::copy(cluster.begin(), cluster.end(), config.cluster.bytes.begin());
    config.version = ConfigVersion(reader.number(root, "version", INT64_MAX));
    config.f = static_cast<std::uint32_t>(reader.number(root, "f", 1000));
    config.id = ClientId(reader.number(root, "client", INT64_MAX));
    if (root.contains("key_by_order"))
        config.key_by_order = reader.value<bool>(root, "key_by_order", "true or false");
    config.key_file = folder / reader.value<std::string>(root, "key", "a file name");
    config.application =
        folder / reader.value<std::string>(root, "application", "the name of a folder");
    std::map<std::string, HostId> names;
    read_hosts(reader, root, config, names);
    for (const toml::node& primary : reader.list(root, "primaries"))
        config.primaries.push_back(host_named(reader, names, primary));
    if (config.primaries.empty()) reader.complain(root.source(), "'primaries' is empty");
    read_groups(reader, root, config, names);
    if (config.groups.empty()) reader.complain(root.source(), "there is no [[group]]");
    if (root.contains("admins")) read_admins(reader, root, config);
    if (!reader.errors().empty()) return error(Errc::malformed, reader.errors());
    return config;
}

Result<Config> load_config(const std::filesystem::path& path) {
    std::filesystem::path file = path;
    if (std::filesystem::is_directory(file)) file /= "client.toml";
    std::ifstream in(file, std::ios::binary);
    if (!in)
        return error(Errc::not_found, "cannot read " + file.string() +
                                          "; `bftctl init` writes a client.toml for each client");
    std::ostringstream text;
    text << in.rdbuf();
    return parse_config(text.str(), std::filesystem::absolute(file).parent_path(), file.string());
}

std::string to_toml(const Config& config) {
    auto quoted = [](const std::string& text) {
        std::ostringstream out;
        out << toml::value<std::string>(text);
        return out.str();
    };
    auto names = [&](const std::vector<HostId>& hosts) {
        std::string list;
        for (HostId host : hosts)
            list += (list.empty() ? "" : ", ") + quoted(config.hosts.at(host.value).name);
        return "[" + list + "]";
    };
    std::ostringstream out;
    out << "# What one client must know of the cluster. The hosts' keys are pinned here.\n"
        << "cluster = " << quoted(hex(config.cluster)) << "\n"
        << "version = " << config.version.value << "\n"
        << "f = " << config.f << "\n"
        << "client = " << config.id.value << "\n"
        << "key = " << quoted(config.key_file.string()) << "\n"
        << (config.key_by_order ? "key_by_order = true\n" : "")
        << "application = " << quoted(config.application.string()) << "\n"
        << "primaries = " << names(config.primaries) << "\n";
    if (!config.admins.keys.empty()) {
        out << "admin_quorum = " << config.admins.quorum << "\nadmins = [";
        for (const Bytes& key : config.admins.keys)
            out << (&key == &config.admins.keys.front() ? "" : ", ") << quoted(hex(key));
        out << "]\n";
    }
    for (const Host& host : config.hosts)
        out << "\n[[host]]\nname = " << quoted(host.name) << "\naddress = " << quoted(host.address)
            << "\nkey = " << quoted(hex(host.key)) << "\n";
    for (const auto& [id, members] : config.groups) {
        out << "\n[[group]]\nid = " << id.value << "\nmembers = " << names(members)
            << "\npartitions = [";
        const char* comma = "";
        for (const auto& [partition, owner] : config.owners) {
            if (owner != id) continue;
            out << comma << partition.value;
            comma = ", ";
        }
        out << "]\n";
    }
    return out.str();
}

consensus::Membership membership_of(const Config& config) {
    consensus::Membership membership;
    membership.cluster = config.cluster;
    membership.version = config.version;
    membership.f = config.f;
    // USIG identities are numbered as in the cluster file: primaries, then groups by position.
    UsigId next{};
    auto member = [&next](HostId host) {
        consensus::Member made{host, next};
        next = next.next();
        return made;
    };
    for (HostId host : config.primaries) membership.primaries.push_back(member(host));
    for (const auto& [id, hosts] : config.groups) {
        consensus::Group group{id, {}};
        for (HostId host : hosts) group.members.push_back(member(host));
        membership.groups.push_back(std::move(group));
    }
    membership.owners = config.owners;
    membership.admins = config.admins;
    for (std::uint32_t h = 0; h < config.hosts.size(); ++h)
        membership.host_keys[HostId(h)] = config.hosts[h].key;
    return membership;
}

}  // namespace bft::client

#include "node/topology.hpp"

#include "node/config_reader.hpp"
#include "node/placement.hpp"

#include <algorithm>

namespace bft::node {
namespace {

using Names = std::set<std::string, std::less<>>;

// Where the topology says nothing, machines are alike and groups cost what their partitions do.
constexpr std::uint64_t partitions_per_cpu = 1000;
constexpr std::uint64_t replica_mib = 128;
constexpr std::uint64_t any_memory_mib = 1 << 24;

class Parser {
public:
    explicit Parser(ReadContext& context) : context_(context) {}

    Topology parse(const toml::table& table) {
        topology_.file = context_.file;
        TableReader root(table, "", context_);
        root.text("name", topology_.name, Need::required);
        root.number("f", topology_.f, 1, 10, Need::required);
        topology_.f_database = topology_.f;
        root.number("f_database", topology_.f_database, 1, 10);
        root.number("checkpoint_slots", topology_.checkpoint_slots, 1, 1 << 24);
        root.number("scan_slots", topology_.scan_slots, 0, 1 << 24);
        if (topology_.scan_slots % topology_.checkpoint_slots != 0)
            root.error("scan_slots", "scan_slots must be a multiple of checkpoint_slots, " +
                                         std::to_string(topology_.checkpoint_slots));
        root.path("application", topology_.application, Need::required);
        read_clients(root);
        root.texts("origins", topology_.origins);
        read_admins(root);
        for (TableReader& host : root.tables("host", Need::required)) read_host(host);
        for (TableReader& group : root.tables("group", Need::required)) read_group(group);
        place_groups(root);
        check_roles(root);
        root.finish();
        return std::move(topology_);
    }

private:
    /// Names become folder names.
    static bool is_plain(std::string_view name) {
        return !name.empty() && name.size() <= 64 &&
               std::all_of(name.begin(), name.end(), [](unsigned char c) {
                   return std::isalnum(c) != 0 || c == '-' || c == '_';
               });
    }

    void once(TableReader& table, std::string_view key, Names& seen, const std::string& value,
              const std::string& what) {
        if (!value.empty() && !seen.insert(value).second)
            table.error(key, what + " '" + value + "' is given twice");
    }

    void read_clients(TableReader& root) {
        Names seen;
        const auto add = [&](TableReader& table, std::string_view key, TopologyClient client) {
            if (!is_plain(client.name))
                table.error(key, "client name '" + client.name +
                                     "' may have letters, digits, '-' and '_' only");
            once(table, key, seen, client.name, "client");
            topology_.clients.push_back(std::move(client));
        };
        std::vector<std::string> names;
        root.texts("clients", names);
        for (std::string& name : names) add(root, "clients", {std::move(name), false, {}});
        for (TableReader& table : root.tables("client")) {
            TopologyClient client;
            table.text("name", client.name, Need::required);
            std::string kind = "ed25519";
            table.text("kind", kind);
            if (kind != "ed25519" && kind != "p256")
                table.error("kind", "'" + kind + "' is no kind of key (ed25519 or p256)");
            client.p256 = kind == "p256";
            if (table.has("key")) read_client_key(table, "key", client.key);
            add(table, "name", std::move(client));
            table.finish();
        }
        if (topology_.clients.empty()) root.error("clients", "name at least one client");
    }

    void read_admins(TableReader& root) {
        root.texts("admins", topology_.admins);
        Names seen;
        for (const std::string& name : topology_.admins) {
            if (!is_plain(name))
                root.error("admins",
                           "admin name '" + name + "' may have letters, digits, '-' and '_' only");
            once(root, "admins", seen, name, "admin");
        }
        const auto all = static_cast<std::uint32_t>(topology_.admins.size());
        topology_.admin_quorum = all == 0 ? 0 : all / 2 + 1;
        root.number("admin_quorum", topology_.admin_quorum, all == 0 ? 0 : 1, all);
    }

    void read_host(TableReader& table) {
        TopologyHost host;
        if (table.text("name", host.name, Need::required) && !is_plain(host.name))
            table.error("name",
                        "host name '" + host.name + "' may have letters, digits, '-' and '_' only");
        once(table, "name", names_, host.name, "host name");
        table.address("address", host.address, Need::required);
        once(table, "address", addresses_, host.address, "address");
        std::vector<std::string> roles;
        if (table.texts("roles", roles, Need::required)) {
            for (const std::string& name : roles) {
                const Result<std::set<Role>> role = parse_roles(name);
                if (!role)
                    table.error("roles", role.error().what);
                else
                    host.roles.insert(role->begin(), role->end());
            }
            host.roles.erase(Role::usig);
            if (host.roles.empty())
                table.error("roles", "give this host at least one of primary, replica and voter");
        }
        read_tpm(table, host);
        table.text("zone", host.zone);
        table.number("cpus", host.cpus, 1, 4096);
        table.number("memory_mib", host.memory_mib, 1, any_memory_mib);
        table.address("metrics", host.metrics);
        once(table, "metrics", addresses_, host.metrics, "address");
        if (read_http_url(table, "http", host.http))
            once(table, "http", addresses_, parse_http_url(host.http)->address, "address");
        if (auto database = table.table("database")) {
            host.database = read_database(*database);
        } else if (host.roles.contains(Role::voter)) {
            table.error("name", "host '" + host.name + "' is a voter: it needs [host.database]");
        }
        table.finish();
        topology_.hosts.push_back(std::move(host));
    }

    void read_tpm(TableReader& table, TopologyHost& host) {
        const bool certifies =
            host.roles.contains(Role::primary) || host.roles.contains(Role::replica);
        const Need need = certifies ? Need::required : Need::optional;
        if (read_tcti(table, "tcti", host.tcti, need) && !host.tcti.starts_with("software:")) {
            once(table, "tcti", tctis_, host.tcti + provision_of(table, host), "TPM");
        }
        host.provision_tcti = host.tcti;
        read_tcti(table, "provision_tcti", host.provision_tcti, Need::optional);
        table.millis("tpm_delay_ms", host.tpm_delay, 0, 60'000);
        table.number("spare_counters", host.spare_counters, 0, 64);
        if (host.spare_counters > 0 && !host.roles.contains(Role::replica))
            table.error("spare_counters", "they are for seats in groups: host '" + host.name +
                                              "' has no role 'replica'");
    }

    /// Two hosts may both say device:/dev/tpmrm0 when each is provisioned through a path of its
    /// own.
    static std::string provision_of(TableReader& table, const TopologyHost& host) {
        return table.has("provision_tcti") ? " of " + host.name : std::string();
    }

    void read_group(TableReader& table) {
        TopologyGroup group;
        if (table.number("id", group.id.value, 0, 0xffff'ffff, Need::required))
            once(table, "id", group_ids_, std::to_string(group.id.value), "group id");
        std::vector<std::int64_t> partitions;
        table.numbers("partitions", 0xffff'ffff, partitions, Need::required);
        for (const std::int64_t partition : partitions) {
            once(table, "partitions", partitions_, std::to_string(partition), "partition");
            group.partitions.emplace_back(static_cast<std::uint32_t>(partition));
        }
        std::sort(group.partitions.begin(), group.partitions.end());
        choose_hosts(table, group);
        table.finish();
        topology_.groups.push_back(std::move(group));
    }

    void choose_hosts(TableReader& table, TopologyGroup& group) {
        const std::size_t wanted = replicas();
        const std::vector<std::string> able = topology_.hosts_with(Role::replica);
        if (!table.texts("hosts", group.hosts) && able.size() >= wanted) return;  // place_groups()
        Names seen;
        for (const std::string& name : group.hosts) {
            once(table, "hosts", seen, name, "host");
            if (!names_.contains(name))
                table.error("hosts", "there is no [[host]] named '" + name + "'" +
                                         did_you_mean(name, names_));
            else if (std::find(able.begin(), able.end(), name) == able.end())
                table.error("hosts", "host '" + name + "' has no role 'replica'");
        }
        const std::size_t there = group.hosts.empty() ? able.size() : group.hosts.size();
        if (there != wanted)
            table.error("hosts", "a group with f = " + std::to_string(topology_.f) +
                                     " needs replicas on 2f+1 = " + std::to_string(wanted) +
                                     " hosts; this one has " + std::to_string(there));
    }

    [[nodiscard]] std::size_t replicas() const { return 2 * std::size_t{topology_.f} + 1; }

    // Groups that say no hosts get those with most room, beside the ones that do.
    void place_groups(TableReader& root) {
        std::vector<Machine> machines;
        for (const TopologyHost& host : topology_.hosts) {
            if (!host.roles.contains(Role::replica)) continue;
            Machine machine{
                host.name, host.zone, {host.cpus * partitions_per_cpu, host.memory_mib}, {}};
            if (host.roles.contains(Role::primary)) machine.carries.insert("primary");
            machines.push_back(std::move(machine));
        }
        std::vector<Workload> workloads;
        for (const TopologyGroup& group : topology_.groups) {
            Workload workload{"group " + std::to_string(group.id.value),
                              static_cast<std::uint32_t>(replicas()),
                              {std::max<std::size_t>(group.partitions.size(), 1), replica_mib},
                              {"primary"},
                              {}};
            for (std::size_t m = 0; m < machines.size(); ++m)
                if (std::find(group.hosts.begin(), group.hosts.end(), machines[m].name) !=
                    group.hosts.end())
                    workload.fixed.push_back(m);
            workloads.push_back(std::move(workload));
        }
        if (!context_.errors.empty()) return;
        auto placed = place(machines, workloads);
        if (!placed) return root.error("group", placed.error().what);
        for (std::size_t g = 0; g < workloads.size(); ++g) {
            TopologyGroup& group = topology_.groups[g];
            if (!group.hosts.empty()) continue;
            for (std::size_t m : (*placed)[g]) group.hosts.push_back(machines[m].name);
        }
    }

    void check_roles(TableReader& root) {
        if (topology_.hosts.empty()) return;
        const std::size_t primaries = topology_.hosts_with(Role::primary).size();
        if (primaries < std::size_t{topology_.f} + 1)
            root.error("host",
                       std::to_string(primaries) + " hosts have the role 'primary'; with " +
                           "f = " + std::to_string(topology_.f) + " there must be at least f+1 = " +
                           std::to_string(topology_.f + 1) + ": when one fails another one orders");
        const std::size_t voters = topology_.hosts_with(Role::voter).size();
        const std::size_t wanted = 2 * std::size_t{topology_.f_database} + 1;
        // Without any it is a cluster that orders only, if its application agrees.
        if (voters == 0 && !root.has("f_database")) {
            topology_.f_database = 0;
        } else if (voters != wanted)
            root.error("host", std::to_string(voters) + " hosts have the role 'voter'; with " +
                                   "f_database = " + std::to_string(topology_.f_database) +
                                   " there must be 2f+1 = " + std::to_string(wanted));
        if (!topology_.groups.empty() && !partitions_.contains("0"))
            root.error("group",
                       "no group owns partition 0, which configuration needs: add 0 to "
                       "the partitions of one group");
    }

    ReadContext& context_;
    Topology topology_;
    Names names_, addresses_, tctis_, group_ids_, partitions_;
};

}  // namespace

std::vector<std::string> Topology::hosts_with(Role role) const {
    std::vector<std::string> names;
    for (const TopologyHost& host : hosts)
        if (host.roles.contains(role)) names.push_back(host.name);
    return names;
}

Loaded<Topology> parse_topology(std::string_view text, const std::filesystem::path& file) {
    ReadContext context{std::filesystem::absolute(file).lexically_normal(), {}, {}};
    const std::optional<toml::table> root = parse_toml(text, context);
    if (!root) return {std::nullopt, context.sorted(), {}};
    Topology topology = Parser(context).parse(*root);
    if (!context.errors.empty()) return {std::nullopt, context.sorted(), std::move(context.places)};
    return {std::move(topology), {}, std::move(context.places)};
}

Loaded<Topology> load_topology(const std::filesystem::path& file) {
    ReadContext context{std::filesystem::absolute(file).lexically_normal(), {}, {}};
    const std::optional<std::string> text = read_text_file(context);
    if (!text) return {std::nullopt, context.errors, {}};
    return parse_topology(*text, file);
}

}  // namespace bft::node

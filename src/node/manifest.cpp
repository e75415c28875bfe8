#include "node/manifest.hpp"

#include "wire/json.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <set>
#include <stdexcept>

namespace bft::node {

namespace json = boost::json;

namespace {

const char* name_of(catalog::Type type) {
    switch (type) {
        case catalog::Type::integer:
            return "integer";
        case catalog::Type::decimal:
            return "decimal";
        case catalog::Type::string:
            return "string";
        case catalog::Type::rows:
            return "rows";
    }
    return "?";
}

json::array to_json(const std::vector<catalog::Parameter>& parameters) {
    json::array list;
    for (const catalog::Parameter& parameter : parameters) {
        json::object one{{"name", parameter.name},
                         {"type", name_of(parameter.type)},
                         {"nullable", parameter.nullable}};
        switch (parameter.type) {
            case catalog::Type::integer:
                one["low"] = std::to_string(parameter.low);
                one["high"] = std::to_string(parameter.high);
                break;
            case catalog::Type::decimal:
                one["precision"] = parameter.precision;
                one["scale"] = parameter.scale;
                break;
            case catalog::Type::string:
                one["max"] = parameter.max;
                break;
            case catalog::Type::rows:
                one["columns"] = to_json(parameter.columns);
                one["max_rows"] = parameter.max_rows;
                break;
        }
        list.emplace_back(std::move(one));
    }
    return list;
}

json::array procedures(const catalog::Application& application) {
    json::array list;
    for (const auto& [name, procedure] : application.procedures()) {
        json::array partitions;
        for (const catalog::PartitionSource& source : procedure.partitions) {
            json::object one{{"parameter", source.parameter}};
            if (source.column) one["column"] = *source.column;
            partitions.emplace_back(std::move(one));
        }
        list.emplace_back(json::object{{"name", name},
                                       {"read_only", procedure.read_only},
                                       {"parameters", to_json(procedure.parameters)},
                                       {"partitions", std::move(partitions)}});
    }
    return list;
}

json::object to_json(const ClusterIdentity& identity) {
    return {{"host", identity.host}, {"usig", usig::encode(identity.usig)}};
}

template <class Range, class Make>
json::array list_of(const Range& range, Make make) {
    json::array list;
    for (const auto& one : range) list.emplace_back(make(one));
    return list;
}

/// What parse_manifest() throws within itself: there are many places where a file can be wrong.
class Wrong : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

const json::value& member(const json::value& parent, std::string_view name) {
    const json::object* object = parent.if_object();
    const json::value* value = object == nullptr ? nullptr : object->if_contains(name);
    if (value == nullptr) throw Wrong("it lacks '" + std::string(name) + "'");
    return *value;
}

std::string text(const json::value& parent, std::string_view name) {
    const json::string* value = member(parent, name).if_string();
    if (value == nullptr) throw Wrong("'" + std::string(name) + "' must be a string");
    return std::string(value->data(), value->size());
}

std::uint32_t number(const json::value& value) {
    boost::system::error_code failure;
    auto found = value.to_number<std::uint32_t>(failure);
    if (failure || value.is_double()) throw Wrong("a number from 0 to 4294967295 is expected");
    return found;
}

const json::array& list(const json::value& parent, std::string_view name) {
    const json::array* value = member(parent, name).if_array();
    if (value == nullptr) throw Wrong("'" + std::string(name) + "' must be a list");
    return *value;
}

Bytes bytes(const json::value& parent, std::string_view name, std::set<std::size_t> sizes) {
    auto value = from_hex(text(parent, name));
    if (!value || !sizes.contains(value->size()))
        throw Wrong("'" + std::string(name) + "' must be hexadecimal digits of the right number");
    return *value;
}

usig::PublicIdentity counter(const json::value& value) {
    const json::string* encoded = value.if_string();
    auto usig = usig::decode_public_identity(
        encoded == nullptr ? std::string() : std::string(encoded->data(), encoded->size()));
    if (!usig) throw Wrong("a spare counter is no identity: " + usig.error().what);
    return std::move(*usig);
}

ClusterIdentity identity(const json::value& value, const ClusterFile& cluster) {
    auto usig = usig::decode_public_identity(text(value, "usig"));
    if (!usig) throw Wrong("'usig' is no identity: " + usig.error().what);
    std::string host = text(value, "host");
    if (!cluster.host_id(host)) throw Wrong("there is no host '" + host + "'");
    return {std::move(host), std::move(*usig)};
}

ClusterFile read_members(const json::value& root) {
    ClusterFile cluster;
    cluster.name = text(root, "name");
    cluster.id = bytes(root, "id", {16});
    cluster.f = number(member(root, "f"));
    cluster.f_database = number(member(root, "f_database"));
    cluster.checkpoint_slots = number(member(root, "checkpoint_slots"));
    cluster.scan_slots = number(member(root, "scan_slots"));
    const json::value& application = member(root, "application");
    cluster.application.name = text(application, "name");
    cluster.application.digest = *Digest::from(bytes(application, "digest", {32}));
    for (const json::value& one : list(root, "hosts")) {
        ClusterHost host;
        host.name = text(one, "name");
        host.key = bytes(one, "key", {32});
        if (one.as_object().contains("web_key")) host.web_key = bytes(one, "web_key", {65});
        if (one.as_object().contains("spare_counters"))
            for (const json::value& spare : list(one, "spare_counters"))
                host.spare_counters.push_back(counter(spare));
        cluster.hosts.push_back(std::move(host));
    }
    for (const json::value& one : list(root, "primaries"))
        cluster.primaries.push_back(identity(one, cluster));
    for (const json::value& one : list(root, "groups")) {
        ClusterGroup group;
        group.id = GroupId(number(member(one, "id")));
        for (const json::value& m : list(one, "members"))
            group.members.push_back(identity(m, cluster));
        if (group.members.size() != 2 * std::size_t{cluster.f} + 1)
            throw Wrong("a group must have 2f+1 members");
        for (const json::value& p : list(one, "partitions"))
            group.partitions.emplace_back(number(p));
        cluster.groups.push_back(std::move(group));
    }
    for (const json::value& one : list(root, "voters")) {
        const json::string* name = one.if_string();
        std::string host = name == nullptr ? "" : std::string(name->data(), name->size());
        if (!cluster.host_id(host)) throw Wrong("a voter is no host");
        cluster.voters.push_back(std::move(host));
    }
    for (const json::value& one : list(root, "clients")) {
        auto id = wire::number_from(text(one, "id"));
        if (!id) throw Wrong("a client's 'id' must be a number in a string");
        cluster.clients.push_back({ClientId(*id), text(one, "name"), bytes(one, "key", {32, 65})});
    }
    if (root.as_object().contains("genesis")) {
        const json::value& genesis = member(root, "genesis");
        const auto digest = [&](const char* name) {
            return *Digest::from(bytes(genesis, name, {32}));
        };
        auto slot = wire::number_from(text(genesis, "slot"));
        if (!slot) throw Wrong("'slot' of 'genesis' must be a number in a string");
        cluster.genesis = {digest("root"), digest("snapshot"), digest("cluster"), Slot(*slot)};
    }
    if (!root.as_object().contains("admins")) return cluster;
    cluster.admin_quorum = number(member(root, "admin_quorum"));
    for (const json::value& one : list(root, "admins"))
        cluster.admins.push_back({text(one, "name"), bytes(one, "key", {32})});
    return cluster;
}

}  // namespace

std::string manifest_json(const ClusterFile& cluster, const catalog::Application& application) {
    const auto identity_json = [](const ClusterIdentity& one) { return to_json(one); };
    json::object root{
        {"name", cluster.name},
        {"id", hex(cluster.id)},
        {"f", cluster.f},
        {"f_database", cluster.f_database},
        {"checkpoint_slots", cluster.checkpoint_slots},
        {"scan_slots", cluster.scan_slots},
        {"application", json::object{{"name", cluster.application.name},
                                     {"digest", hex(cluster.application.digest)},
                                     {"procedures", procedures(application)}}},
    };
    root["hosts"] = list_of(cluster.hosts, [](const ClusterHost& host) {
        json::object one{{"name", host.name}, {"key", hex(host.key)}};
        if (!host.web_key.empty()) one["web_key"] = hex(host.web_key);
        if (!host.http.empty()) one["http"] = host.http;
        if (!host.spare_counters.empty())
            one["spare_counters"] = list_of(host.spare_counters, [](const auto& spare) {
                return json::value(json::string(usig::encode(spare)));
            });
        return one;
    });
    root["primaries"] = list_of(cluster.primaries, identity_json);
    root["groups"] = list_of(cluster.groups, [&](const ClusterGroup& group) {
        return json::object{
            {"id", group.id.value},
            {"members", list_of(group.members, identity_json)},
            {"partitions", list_of(group.partitions, [](PartitionId p) { return p.value; })}};
    });
    root["voters"] = list_of(cluster.voters, [](const std::string& name) {
        return json::value(json::string_view(name.data(), name.size()));
    });
    root["clients"] = list_of(cluster.clients, [](const ClusterClient& client) {
        return json::object{{"id", std::to_string(client.id.value)},
                            {"name", client.name},
                            {"key", hex(client.key)}};
    });
    if (cluster.genesis)
        root["genesis"] = json::object{{"root", hex(cluster.genesis->root)},
                                       {"snapshot", hex(cluster.genesis->snapshot)},
                                       {"cluster", hex(cluster.genesis->cluster)},
                                       {"slot", std::to_string(cluster.genesis->slot.value)}};
    if (!cluster.admins.empty()) {
        root["admin_quorum"] = cluster.admin_quorum;
        root["admins"] = list_of(cluster.admins, [](const ClusterAdmin& admin) {
            return json::object{{"name", admin.name}, {"key", hex(admin.key)}};
        });
    }
    root["digest"] = hex(cluster.digest());
    return json::serialize(root);
}

Result<ClusterFile> parse_manifest(std::string_view text_in) {
    boost::system::error_code failure;
    json::value root = json::parse(json::string_view(text_in.data(), text_in.size()), failure);
    if (failure) return error(Errc::malformed, "this is not JSON: " + failure.message());
    try {
        ClusterFile cluster = read_members(root);
        if (hex(cluster.digest()) != text(root, "digest"))
            return error(Errc::refused,
                         "its digest is not that of its members: it was changed or damaged");
        return cluster;
    } catch (const Wrong& wrong) {
        return error(Errc::malformed, wrong.what());
    }
}

}  // namespace bft::node

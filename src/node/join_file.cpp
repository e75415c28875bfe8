#include "node/join_file.hpp"

#include "net/address.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <fstream>
#include <iterator>

namespace bft::node {

namespace json = boost::json;

namespace {

constexpr std::size_t file_bytes_max = 1024 * 1024;
constexpr std::size_t counters_max = 1024;
constexpr std::size_t text_max = 255;
constexpr std::size_t key_size = 32;
constexpr std::uint32_t ids_of_newcomers = 0x80000000;

Error malformed(const std::string& what) {
    return error(Errc::malformed, what);
}

std::string text_of(const json::object& object, std::string_view name) {
    const json::value* found = object.if_contains({name.data(), name.size()});
    return found != nullptr && found->is_string() ? std::string(found->get_string())
                                                  : std::string();
}

Result<JoinFile::Counter> read_counter(const json::value& value) {
    if (!value.is_string()) return malformed("a counter that is no text");
    auto identity = usig::decode_public_identity(std::string(value.get_string()));
    if (!identity) return identity.error();
    return JoinFile::Counter{late_id(*identity), std::move(*identity)};
}

}  // namespace

UsigId late_id(const usig::PublicIdentity& identity) {
    const Digest epoch = identity.epoch();
    std::uint32_t id = 0;
    for (std::size_t i = 0; i < 4; ++i) id = id << 8 | epoch.bytes[i];
    return UsigId(id | ids_of_newcomers);
}

std::vector<JoinFile::Counter> JoinFile::all() const {
    std::vector<Counter> found = counters;
    if (ordering) found.push_back(*ordering);
    return found;
}

std::string render(const JoinFile& join) {
    json::array counters;
    for (const JoinFile::Counter& counter : join.counters)
        counters.emplace_back(usig::encode(counter.usig));
    json::object document{{"cluster", hex(join.cluster)},    {"name", join.name},
                          {"address", join.address},         {"key", hex(join.key)},
                          {"counters", std::move(counters)}, {"database", join.database}};
    if (join.ordering) document["ordering"] = usig::encode(join.ordering->usig);
    return json::serialize(document) + "\n";
}

Result<JoinFile> parse_join_file(std::string_view text) {
    boost::system::error_code bad;
    const json::value root = json::parse({text.data(), text.size()}, bad);
    if (bad || !root.is_object()) return malformed("it is no file of `bftctl member prepare`");
    const json::object& object = root.get_object();
    JoinFile join;
    join.name = text_of(object, "name");
    join.address = text_of(object, "address");
    if (join.name.empty() || join.name.size() > text_max) return malformed("name is missing");
    if (join.address.size() > text_max) return malformed("address is too long");
    if (auto address = net::parse_address(join.address); !address) return address.error();
    auto key = from_hex(text_of(object, "key"));
    if (!key || key->size() != key_size) return malformed("key is no Ed25519 key");
    join.key = std::move(*key);
    auto cluster = from_hex(text_of(object, "cluster"));
    auto digest = cluster ? Digest::from(*cluster) : std::nullopt;
    if (!digest) return malformed("cluster is no digest");
    join.cluster = *digest;
    if (const json::value* database = object.if_contains("database"))
        join.database = database->is_bool() && database->get_bool();
    if (const json::value* ordering = object.if_contains("ordering")) {
        auto counter = read_counter(*ordering);
        if (!counter) return counter.error();
        join.ordering = std::move(*counter);
    }
    const json::value* counters = object.if_contains("counters");
    if (counters == nullptr || !counters->is_array() || counters->get_array().size() > counters_max)
        return malformed("counters are missing");
    for (const json::value& each : counters->get_array()) {
        auto counter = read_counter(each);
        if (!counter) return counter.error();
        join.counters.push_back(std::move(*counter));
    }
    if (join.counters.empty() && !join.ordering && !join.database)
        return malformed("it has neither a counter nor a database: nothing that it could do");
    return join;
}

Result<JoinFile> load_join_file(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) return error(Errc::not_found, "cannot read " + file.string());
    std::string text;
    text.resize(file_bytes_max + 1);
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    if (text.size() > file_bytes_max) return malformed(file.string() + " is too large");
    auto join = parse_join_file(text);
    if (!join) return error(join.error().code, file.string() + ": " + join.error().what);
    return join;
}

std::filesystem::path join_file_of(const NodeConfig& config) {
    return config.file.parent_path() / (config.host + ".join");
}

std::set<Role> roles_of_newcomer(const NodeConfig& config) {
    std::set<Role> roles;
    const auto join = load_join_file(join_file_of(config));
    // Where the file cannot be read the daemon says so.
    if (!join || !join->all().empty()) roles.insert(Role::usig);
    if (!join || !join->counters.empty()) roles.insert(Role::replica);
    if (join && join->ordering) roles.insert(Role::primary);
    if (config.database) roles.insert(Role::voter);
    return roles;
}

}  // namespace bft::node

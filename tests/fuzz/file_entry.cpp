#include "file_entry.hpp"

#include "base/invariant.hpp"
#include "catalog/application.hpp"
#include "node/cluster_file.hpp"
#include "node/config.hpp"
#include "node/topology.hpp"

namespace bft::fuzz {

namespace {

std::string_view text_of(ByteView bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <class T>
bool sound(const node::Loaded<T>& loaded) {
    invariant(loaded.value.has_value() == loaded.errors.empty(),
              "a file is taken exactly when nothing is wrong with it");
    for (const node::Diagnostic& wrong : loaded.errors)
        invariant(!to_string(wrong).empty(), "what is wrong is said");
    return loaded.value.has_value();
}

}  // namespace

bool file_node(ByteView bytes) {
    return sound(node::parse_node_config(text_of(bytes), "/nowhere/node.toml"));
}

bool file_cluster(ByteView bytes) {
    auto first = node::parse_cluster_file(text_of(bytes), "/nowhere/cluster.toml");
    if (!sound(first)) return false;
    const std::string ours = render(*first.value);
    auto second = node::parse_cluster_file(ours, "/nowhere/cluster.toml");
    invariant(sound(second), "what we write can be read");
    invariant(second.value->membership().cluster == first.value->membership().cluster,
              "and names the same cluster");
    return true;
}

bool file_topology(ByteView bytes) {
    return sound(node::parse_topology(text_of(bytes), "/nowhere/topology.toml"));
}

bool file_catalog(ByteView bytes) {
    std::string_view rest = text_of(bytes);
    auto part = [&rest] {
        const std::size_t end = std::min(rest.find('\0'), rest.size());
        const std::string_view text = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        return text;
    };
    const std::string_view catalog = part(), schema = part(), procedures = part();
    auto application = catalog::Application::parse("app", catalog, schema, procedures);
    if (!application) {
        invariant(!application.error().what.empty(), "what is wrong is said");
        return false;
    }
    for (const auto& [name, procedure] : application->procedures())
        invariant(!name.empty(), "a procedure has a name");
    return true;
}

}  // namespace bft::fuzz

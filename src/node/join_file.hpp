// NAME.join: what a host that is not in the cluster file says of itself. Nothing in it is secret;
// `bftctl member prepare` makes it on the new host, and an admin's `bftctl member replace` brings
// it into the order (docs/adr/0025).
#pragma once

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "node/config.hpp"
#include "usig/public_identity.hpp"

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace bft::node {

struct JoinFile {
    struct Counter {
        UsigId id{};
        usig::PublicIdentity usig;
    };
    Digest cluster;  ///< whose cluster file it was made with
    std::string name;
    std::string address;              ///< "host:port" where other nodes reach it
    Bytes key;                        ///< Ed25519, its identity
    std::vector<Counter> counters;    ///< one for each seat that it can take
    std::optional<Counter> ordering;  ///< with which it can order requests
    bool database = false;            ///< it has a server for a voter

    [[nodiscard]] std::vector<Counter> all() const;
};

std::string render(const JoinFile& join);
/// Everything in it is checked as far as it can be alone. Errors say what is wrong.
Result<JoinFile> parse_join_file(std::string_view text);
Result<JoinFile> load_join_file(const std::filesystem::path& file);

/// Beside node.toml, by the host's name.
std::filesystem::path join_file_of(const NodeConfig& config);
/// What a host can do that the cluster file does not know; what it does, the members say.
std::set<Role> roles_of_newcomer(const NodeConfig& config);

/// Of a counter that the cluster file gives no place: follows from the counter, so that it is known
/// before the order has heard of it; above all ids that cluster files give.
UsigId late_id(const usig::PublicIdentity& identity);

}  // namespace bft::node
